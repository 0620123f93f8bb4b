"""What a sweep shows: the best first, why others failed, diagrams, the same trials in TensorBoard, as JSON."""

import json
import shlex
from pathlib import Path

import pytest
import torch
from child import genlab
from forked import forked, sweep
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from genlab.sweep.results import Result, cell, importances, short, spread
from genlab.sweep.study import new_study

__all__ = ["forked"]


@pytest.mark.usefixtures("forked")
def test_a_finished_sweep_is_shown_in_all_its_forms(tmp_path: Path) -> None:
    words = [
        "search=grid",
        "objective=val/elbo",
        "direction=maximize",
        "model.latent_dim=1,2",
        "optimizer.lr=1e-2,1e-5",
    ]
    code, output = sweep(tmp_path, *words)
    assert code == 0, output
    shown = json.loads(genlab("sweep", "show", "sweep", "json=true", folder=tmp_path)[1])
    assert list(shown) == ["trials"]
    values = [trial["values"]["val/elbo"] for trial in shown["trials"]]
    assert values == sorted(values, reverse=True)
    best = shown["trials"][0]
    assert best["config"]["optimizer"]["lr"] == 1e-2
    assert json.loads((Path(best["run_dir"]) / "metrics.json").read_text())["val/elbo"] == values[0]

    code, output = genlab("sweep", "show", "sweep_dir=sweep", folder=tmp_path)
    assert code == 0, output
    header, first, *_ = [line.split() for line in output.splitlines()]
    assert header == ["trial", "state", "model.latent_dim", "optimizer.lr", "val/elbo"]
    assert first[:2] == [str(best["number"]), "finished"]
    assert "importance for val/elbo: " in output
    for name in ("slice", "parallel_coordinate", "importance"):
        assert "Plotly" in (tmp_path / "sweep" / "plots" / f"{name}.html").read_text()
        assert (tmp_path / "sweep" / "plots" / f"{name}.png").read_bytes().startswith(b"\x89PNG")

    typed = next(line for line in output.splitlines() if line.startswith("best, trial ")).partition(": genlab ")[2]
    code, output = genlab(*shlex.split(typed), "run_dir=again", folder=tmp_path)
    assert code == 0, output
    assert json.loads((tmp_path / "again" / "metrics.json").read_text())["val/elbo"] == values[0]

    for trial in shown["trials"]:
        events = EventAccumulator(str(Path(trial["run_dir"]) / "tensorboard"))
        events.Reload()
        assert "_hparams_/session_start_info" in events.summary_metadata
        assert events.Scalars("val/elbo")[-1].value == pytest.approx(trial["values"]["val/elbo"])


@pytest.mark.usefixtures("forked")
def test_several_objectives_give_the_trials_that_no_other_beats_first(tmp_path: Path) -> None:
    words = ["objective=[val/negative_elbo,train/kl]", "search=grid", "model.latent_dim=1,2", "optimizer.lr=1e-4,1e-2"]
    code, output = sweep(tmp_path, *words)
    assert code == 0, output
    trials = json.loads(genlab("sweep", "show", "sweep", "json=true", folder=tmp_path)[1])["trials"]
    points = [tuple(trial["values"].values()) for trial in trials]
    beaten = [any(other[0] < point[0] and other[1] < point[1] for other in points) for point in points]
    assert beaten == sorted(beaten)
    assert output.count("best, trial ") == beaten.count(False)
    assert [trial["is_best"] for trial in trials] == [not is_beaten for is_beaten in beaten]
    assert output.count("* ") == beaten.count(False) + 1
    assert "* no other trial is better in all objectives" in output
    assert (tmp_path / "sweep" / "plots" / "pareto_front.html").is_file()


@pytest.mark.filterwarnings("ignore:PedAnovaImportanceEvaluator")
@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_the_setting_that_matters_is_the_important_one_in_either_direction(direction: str, tmp_path: Path) -> None:
    definition = {
        "objective": ["loss", "constant"],
        "direction": [direction, "minimize"],
        "pruning": "none",
        "space": {"matters": "interval(0,1)", "does_not": "interval(0,1)"},
    }
    study = new_study(tmp_path / "study.journal", definition, [])
    for _ in range(60):
        trial = study.ask()
        matters, _ = trial.suggest_float("matters", 0, 1), trial.suggest_float("does_not", 0, 1)
        study.tell(trial, [matters**2, 0])
    line = next(importances(study))
    assert line.startswith("importance for loss: matters ")
    assert int(line.split("matters ")[1].partition("%")[0]) > 70


def test_an_interval_of_repeats_is_about_their_mean() -> None:
    values = torch.randn(400, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = spread(values.tolist())
    assert found["std"] == pytest.approx(values.std().item())
    low, high = found["interval"]
    assert (low + high) / 2 == pytest.approx(values.mean().item(), abs=1e-9)
    assert (high - low) / 2 == pytest.approx(1.96 * values.std().item() / 20, rel=0.2)  # of the mean of 400


def test_long_numbers_are_shown_with_five_digits() -> None:
    assert short("0.005613005146135768") == "0.005613"
    assert short("5.613005146135768e-06") == "5.613e-06"
    assert [short(text) for text in ("1e-3", "0.25", "[200,200]", "vae", "1234567")] == [
        *("1e-3", "0.25", "[200,200]", "vae", "1234567"),
    ]


def test_a_trial_without_values_has_an_empty_cell() -> None:
    failed = Result(0, "failed", None, {}, {}, [], "", "no reason", False)
    assert cell(failed, "loss") == ""
    done = Result(
        0, "finished", {"loss": 98.2}, {"loss": {"std": 0.41, "interval": [97.94, 98.46]}}, {}, [], "", "", True
    )
    assert cell(done, "loss") == "98.2 ± 0.41 (97.94 to 98.46)"
