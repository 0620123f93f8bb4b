"""Measure a run: likelihoods, distances of its samples to held-out images, collapse."""

import json as json_format
import os
import pkgutil
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, PositiveInt

from genlab.errors import UsageError
from genlab.loaded_run import WeightsChoice
from genlab.run import Run

if TYPE_CHECKING:
    from genlab.metrics.evaluation import Evaluation, Score


def main(
    run: str | None,
    metrics: Annotated[list[str], Field(min_length=1)] | None,
    checkpoint: str,
    weights: WeightsChoice | None,
    num_samples: PositiveInt,
    features: str,
    temperature: Annotated[float, Field(ge=0.01)] | None,
    guidance: Annotated[float, Field(ge=0)] | None,
    iwae_k: PositiveInt,
    iwae_images: PositiveInt,
    seed: Annotated[int, Field(ge=0, le=2**63 - 1)],
    batch_size: PositiveInt,
    device: Literal["auto", "cpu", "cuda", "mps"],
    json: bool,
) -> None:
    """Prints the scores of a run and writes them to ``evaluation.json`` in its folder.

    Args:
        run: a run folder, a checkpoint file, or ``last``.
        metrics: modules of ``genlab.metrics``; None takes all that apply to the model and its data set, but for those
            that are measured only if they are named.
        weights: ``averaged`` over the training or the ``last``; None is averaged if there are.
        num_samples: samples for the distances, and at most as many held-out images.
        features: the network of the distances: ``auto``, ``digit``, ``fashion``, ``imagenet``, a file or a class;
            ``auto`` is the one that knows the images or, of other images, ``imagenet``.
        temperature, guidance: of the samples, as in ``genlab sample``; likelihoods have nothing to do with them.
        iwae_k: draws an image of the importance-weighted bound.
        iwae_images: images of that bound.
        seed: of all draws, and of which held-out images are taken where not all are.
        json: prints ``{"metrics": {name: value}, "how": {name: …}, …}``, the same as is written.

    Raises:
        RunError: no such run or checkpoint.
        UsageError: no such metric or network, it does not apply, the model has no temperature or guidance, or averaged
            weights are wanted of a run without.
        DataError: the data or the network's weights are damaged.
    """
    Run.check_name(run)
    import torch

    from genlab.drawing.request import draw_by
    from genlab.loaded_run import load_model
    from genlab.metrics.evaluation import Evaluation, holds_images
    from genlab.metrics.features import feature_network
    from genlab.run import write_json
    from genlab.training import choose_device, keep_freed_memory, resolve_threads

    chosen = choose(metrics)
    loaded = load_model(run, checkpoint, weights)
    draw_by(loaded.model, temperature, guidance)
    known = loaded.dataset.features or ("imagenet" if holds_images(loaded.dataset) else None)
    network = feature_network(features, known)
    where = choose_device(device)
    torch.set_num_threads(resolve_threads("auto"))
    keep_freed_memory()
    evaluation = Evaluation(
        model=loaded.model.to(where),
        dataset=loaded.dataset,
        network=network.to(where) if network else None,
        num_samples=num_samples,
        seed=seed,
        batch_size=batch_size,
        iwae_k=iwae_k,
        iwae_images=iwae_images,
    )
    with torch.no_grad():
        scores, left_out = measure(evaluation, chosen, all_must_apply=metrics is not None)
    report = {
        "metrics": {score.name: score.value for score in scores},
        "how": {score.name: score.how for score in scores},
        "left_out": left_out,
        "run": str(loaded.folder),
        "model": evaluation.model_name,
        "dataset": loaded.dataset.name,
        "checkpoint": loaded.checkpoint,
        "weights": loaded.weights,
        "step": loaded.step,
    }
    drawn_by = {"temperature": temperature, "guidance": guidance}
    drawn_by = {word: value for word, value in drawn_by.items() if value is not None}
    report |= drawn_by
    path = loaded.folder / "evaluation.json" if loaded.is_in_its_run else None
    if path is not None:
        write_json(path, report)
    if json:
        print(json_format.dumps(report, indent=2))
        return
    averaged = ", averaged weights" if loaded.weights == "averaged" else ""
    about = f"{evaluation.model_name} on {loaded.dataset.name}, checkpoint '{loaded.checkpoint}'"
    by = "".join(f", {word} {value:g}" for word, value in drawn_by.items())
    print(f"{about}, step {loaded.step}{averaged}{by}")
    print_table(scores, left_out)
    if path is not None:
        print(f"written to {os.path.relpath(path)}")


def choose(names: list[str] | None) -> dict[str, ModuleType]:
    """The modules of ``genlab.metrics`` that measure, by name: all but those of ``ONLY_IF_NAMED``, or those named.

    Raises:
        UsageError: there is no such metric.
    """
    from genlab import metrics
    from genlab.config.suggest import nearest

    modules = {
        module.name: import_module(f"genlab.metrics.{module.name}") for module in pkgutil.iter_modules(metrics.__path__)
    }
    found = {name: module for name, module in sorted(modules.items()) if hasattr(module, "measure")}
    if names is None:
        return {name: module for name, module in found.items() if not hasattr(module, "ONLY_IF_NAMED")}
    for name in names:
        if name not in found:
            raise UsageError(f"no metric '{name}'{nearest(name, found)}\nmetrics: {', '.join(found)}")
    return {name: found[name] for name in names}


def measure(
    evaluation: "Evaluation", chosen: dict[str, ModuleType], all_must_apply: bool
) -> "tuple[list[Score], dict[str, str]]":
    """The scores of the metrics that apply, and the reason of each that does not.

    Raises:
        UsageError: none applies, or one that must does not.
    """
    left_out = {name: reason for name, module in chosen.items() if (reason := module.unfit(evaluation))}
    reasons = "\n".join(f"  {name}: {reason}" for name, reason in left_out.items())
    if left_out and all_must_apply:
        fitting = ", ".join(name for name, module in choose(None).items() if not module.unfit(evaluation))
        raise UsageError(f"this cannot be measured:\n{reasons}\nwhat can be: {fitting or 'nothing'}")
    if len(left_out) == len(chosen):
        raise UsageError(f"nothing can be measured:\n{reasons}")
    scores = [score for name in chosen if name not in left_out for score in chosen[name].measure(evaluation)]
    return scores, left_out


OF_NETWORK = ("network", "sha256", "resize")
"""What is the same in all scores of one network, and printed once."""


def print_table(scores: "list[Score]", left_out: dict[str, str]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("metric", "value", "", box=None)
    networks: dict[str, None] = {}
    for score in scores:
        value = "undefined" if score.value is None else f"{score.value:.5g}"
        about_network = [phrase(key, score.how[key]) for key in OF_NETWORK if key in score.how]
        if about_network:
            networks[", ".join(about_network)] = None
        how = (phrase(key, part) for key, part in score.how.items() if key not in OF_NETWORK)
        table.add_row(score.name, value, ", ".join(how))
    console = Console(soft_wrap=True)
    console.print(table, highlight=False)
    for network in networks:
        console.print(network, highlight=False)
    if left_out:
        console.print(f"left out, as they do not apply: {', '.join(left_out)} (json=true says why)", highlight=False)


def phrase(key: str, value: Any) -> str:
    """One entry of ``Score.how`` for people: ``num_real: 2000`` is ``2,000 real``."""
    if key in ("unit", "undefined"):
        return str(value)
    if key == "interval":
        return f"95 % interval {value[0]:.4g} to {value[1]:.4g}"
    if key.startswith("num_"):
        return f"{value:,} {key.removeprefix('num_').replace('_', ' ')}"
    if isinstance(value, dict):
        return f"{key.replace('_', ' ')}: " + ", ".join(f"{name} {figures(part)}" for name, part in value.items())
    if key == "sha256":
        return f"sha256 {value[:12]}…"
    return f"{key.replace('_', ' ')} {value:.3g}" if isinstance(value, float) else f"{key.replace('_', ' ')} {value}"


def figures(value: Any) -> str:
    """A number, or a few of them."""
    if isinstance(value, list):
        return " and ".join(map(figures, value))
    return f"{value:.3g}" if isinstance(value, float) else str(value)
