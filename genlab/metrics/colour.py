"""Whether translations have the colours that they should have."""

import torch
from torch import Tensor

from genlab.datasets.bags_and_shoes import BagsAndShoes
from genlab.datasets.batches import PairedImages
from genlab.datasets.loader import Chosen, Source
from genlab.datasets.pairs import Unpaired, images_of
from genlab.metrics.evaluation import Evaluation, Score, mean_score, progress
from genlab.models.capabilities import Translates

SAME = 1e-6
"""Mean colours nearer to each other than this are one but for rounding."""


def unfit(evaluation: Evaluation) -> str | None:
    if not isinstance(evaluation.model, Translates):
        return f"{evaluation.model_name} does not translate images"
    dataset = evaluation.dataset
    if dataset.batch_type is not PairedImages and not isinstance(dataset, BagsAndShoes):
        return f"the domains of '{dataset.name}' have no colours in common"
    return None if dataset.data_shape[0] == 3 else f"'{dataset.name}' has no colours"


def measure(evaluation: Evaluation) -> list[Score]:
    """Of pairs ``colour_error`` and ``colour_ratio``, without pairs ``colour_correlation_…`` and ``colour_relation_…``.

    ``colour_error`` is how far the mean colour of a translation is from that of its own target, the mean absolute
    difference of red, green and blue in [-1, 1]; ``colour_ratio`` is it, divided by the same for all other targets,
    which makes 1 of results that have nothing to do with their source. ``colour_correlation`` is Pearson's, of the
    shares of red, green and blue in the light of a source and of its translation, the mean of the three;
    ``colour_relation`` is the part of the translations' variance that a linear function of the sources explains, which
    is 1 too where each colour becomes another one, as it may where nobody has shown a pair.
    """
    split, source = evaluation.held_out
    assert isinstance(evaluation.model, Translates)
    how = {"split": split, "seed": evaluation.seed}
    if isinstance(source, Unpaired):
        domains = {"x_to_y": source.first, "y_to_x": source.second}
        ways = evaluation.model.directions
        return [score for way in ways for score in correlations(evaluation, way, domains[way], how)]
    made, wanted = [], []
    for part in progress(torch.arange(len(source)).split(evaluation.batch_size), "colours"):
        batch = source.__getitems__(Chosen(-1, part))
        made.append(translated(evaluation, batch.source, "x_to_y").mean((2, 3)))
        wanted.append(batch.target.double().mean((2, 3)))
    results, targets = torch.cat(made), torch.cat(wanted)
    distances = torch.cdist(results, targets, p=1) / 3
    is_other = torch.cdist(targets, targets, p=1) > SAME
    own = distances.diagonal()
    how |= {"num_images": len(own)}
    if not is_other.any():
        return [
            mean_score("colour_error", own, how),
            Score("colour_ratio", None, how | {"undefined": "all targets are one"}),
        ]
    others = distances[is_other].mean().item()
    about = {"own": own.mean().item(), "others": others} | how
    return [mean_score("colour_error", own, how), Score("colour_ratio", own.mean().item() / others, about)]


def translated(evaluation: Evaluation, images: Tensor, direction: str) -> Tensor:
    """``(N, C, H, W)`` float64 in [-1, 1] on the CPU."""
    model = evaluation.model
    assert isinstance(model, Translates)
    return model.translate(images.to(model.device), direction, evaluation.generator()).clamp(-1, 1).cpu().double()


def correlations(evaluation: Evaluation, direction: str, domain: Source, how: dict[str, object]) -> list[Score]:
    before, after = [], []
    for part in progress(torch.arange(len(domain)).split(evaluation.batch_size), "colours"):
        images = images_of(domain, Chosen(-1, part))
        before.append(shares(images.double()))
        after.append(shares(translated(evaluation, images, direction)))
    pairs = torch.stack([torch.cat(before), torch.cat(after)])
    centred = pairs - pairs.mean(1, keepdim=True)
    lengths = centred.norm(dim=1)
    names, how = (
        [f"colour_{kind}_{direction}" for kind in ("correlation", "relation")],
        how | {"num_images": pairs.shape[1]},
    )
    if (lengths < SAME).any():
        undefined = how | {"undefined": "all sources or all translations have one colour"}
        return [Score(name, None, undefined) for name in names]
    alike = (centred.prod(0).sum(0) / lengths.prod(0)).mean().item()
    sources, results = centred
    left = results - sources @ torch.linalg.lstsq(sources, results).solution
    explained = 1 - (left.square().sum() / results.square().sum()).item()
    return [Score(names[0], alike, how), Score(names[1], explained, how)]


def shares(images: Tensor) -> Tensor:
    """``(N, 3, H, W)`` in [-1, 1] -> ``(N, 3)``, the shares of the channels in the sum of all values above black."""
    sums = (images + 1).sum((2, 3))
    return sums / sums.sum(1, keepdim=True).clamp(min=1e-12)
