"""A trial that is behind the others ends early, well and for good."""

import json
from pathlib import Path

import pytest
from child import genlab
from forked import TINY, forked, sweep, undrawn

from genlab.checkpoint import load
from genlab.run import Run

__all__ = ["forked", "undrawn"]


@pytest.mark.usefixtures("forked", "undrawn")
def test_a_trial_that_is_behind_the_median_ends_after_its_first_epoch(tmp_path: Path) -> None:
    words = ["search=grid", "objective=val/negative_elbo", "pruning=median"]
    words += ["optimizer.lr=1e-2,2e-2,3e-2,1.5e-2,2.5e-2,1e-6"]  # the median pruner lets five trials go to their end
    code, output = sweep(tmp_path, *words)
    assert code == 0, output
    assert "trial 5 was pruned after epoch 1" in output
    trials = json.loads(genlab("sweep", "show", "sweep", "json=true", folder=tmp_path)[1])["trials"]
    states = {trial["number"]: trial["state"] for trial in trials}
    assert states == {0: "finished", 1: "finished", 2: "finished", 3: "finished", 4: "finished", 5: "pruned"}
    run = Run(tmp_path / "sweep" / "5")
    assert run.status["state"] == "finished"
    assert run.status["pruned"] == 1
    assert load(run.checkpoints / "last.ckpt")["genlab"]["step"] == 3
    assert load(tmp_path / "sweep" / "4" / "checkpoints" / "last.ckpt")["genlab"]["step"] == 6
    assert trials[-1]["values"]["val/negative_elbo"] == pytest.approx(
        -json.loads((run.folder / "metrics.json").read_text())["val/elbo"]
    )
    code, output = genlab("resume", str(run.folder), folder=tmp_path)
    assert "already complete, after step 3" in output


def test_a_run_without_its_sweep_says_so(tmp_path: Path) -> None:
    node = "{_target_:genlab.callbacks.pruning.Pruning,study:../study.journal,trial:0}"
    code, output = genlab("train", *TINY, f"+callbacks.pruning={node}", "run_dir=run", folder=tmp_path)
    assert code == 4, output
    assert f"there is no sweep in {tmp_path}/study.journal; to go on without: ~callbacks.pruning" in output
    code, output = genlab("resume", "run", "~callbacks.pruning", folder=tmp_path)
    assert code == 0, output
