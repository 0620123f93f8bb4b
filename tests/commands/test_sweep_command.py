"""``genlab sweep``: what it does with a whole search, what it refuses, and that a killed sweep loses nothing."""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from child import Child, genlab
from conftest import differences
from forked import TINY, forked, sweep, undrawn
from toy import genlab as command_line

from genlab.checkpoint import load
from genlab.errors import installation
from genlab.run import Run

KILLS = int(os.environ.get("GENLAB_TEST_KILLS", "3"))
"""How often a sweep is killed; a long test sets more."""

OBJECTIVE = "objective=val/negative_elbo"
RANDOM = ["search=random", "trials=3", OBJECTIVE, "model.latent_dim=choice(1,2,3)"]
RANDOM += ["optimizer.lr=tag(log,interval(1e-4,1e-2))"]
GRID = ["search=grid", OBJECTIVE, "model.latent_dim=1,2"]

pytestmark = pytest.mark.usefixtures("forked", "undrawn")
__all__ = ["forked", "undrawn"]


def shown(folder: Path) -> list[dict[str, Any]]:
    """The trials as ``genlab sweep show`` gives them, by number."""
    code, output = genlab("sweep", "show", "sweep", "json=true", folder=folder)
    assert code == 0, output
    trials: list[dict[str, Any]] = json.loads(output)["trials"]
    return sorted(trials, key=lambda trial: trial["number"])


def files(folder: Path) -> dict[str, tuple[int, bytes]]:
    """The content of every run's files and when it was written."""
    runs = [run for run in (folder / "sweep").iterdir() if (run / "config.yaml").is_file()]
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes())
        for run in runs
        for path in run.rglob("*")
        if path.is_file()
    }


def kill(child: Child, folder: Path, with_trials: bool) -> None:
    """kill -9 of a sweep, and of its trials or not, as when its terminal or the whole computer dies."""
    child.send(signal.SIGKILL)
    child.process.join()
    pids = folder / "sweep" / ".pids"
    for pid in pids.read_text().split() if with_trials and pids.is_file() else ():
        try:
            if Path(f"/proc/{pid}/cwd").readlink() == folder:  # not another process, that has got this number since
                os.kill(int(pid), signal.SIGKILL)
        except (ProcessLookupError, FileNotFoundError):
            continue


def test_a_sweep_killed_at_random_moments_equals_one_that_was_not(tmp_path: Path) -> None:
    words = ["search=optuna", "pruning=median", *RANDOM[1:]]
    whole = tmp_path / "whole"
    whole.mkdir()
    started = time.monotonic()
    code, output = sweep(whole, *words)
    assert code == 0, output
    seconds = time.monotonic() - started
    moments = random.Random(f"sweep {KILLS}")
    killed, number = 0, 0
    while killed < KILLS:
        number += 1
        folder = tmp_path / f"killed-{number}"
        folder.mkdir()
        while True:
            child = Child("sweep", *TINY, "sweep_dir=sweep", *words, folder=folder)
            child.process.join(moments.uniform(0, seconds / 2) if killed < KILLS else None)
            if not child.process.is_alive():
                break
            kill(child, folder, with_trials=moments.random() < 0.5)
            killed += 1
        assert child.code() == 0, child.output
        check_equal(whole, folder)
        before = files(folder)
        assert sweep(folder, *words)[0] == 0
        assert files(folder) == before


def check_equal(whole: Path, folder: Path) -> None:
    """Checks that two sweeps have the same trials, weights and logs."""
    for one, other in zip(shown(whole), shown(folder), strict=True):
        assert {**one, "run_dir": ""} == {**other, "run_dir": ""}
        ends = [load(Path(trial["run_dir"]) / "checkpoints" / "last.ckpt") for trial in (one, other)]
        assert differences(*ends) == []
        logs = [(Path(trial["run_dir"]) / "log.csv").read_text() for trial in (one, other)]
        assert logs[0] == logs[1]


def test_ctrl_c_ends_the_trial_with_a_checkpoint_and_the_same_command_goes_on(tmp_path: Path) -> None:
    words = ["search=random", "trials=1", OBJECTIVE, "model.latent_dim=choice(1,2)"]
    words += ["trainer.max_epochs=10", "trainer.limit_train_batches=60"]
    child = Child("sweep", *TINY, "sweep_dir=sweep", *words, folder=tmp_path)
    log = tmp_path / "sweep" / "0" / "log.csv"
    while not log.is_file() or len(log.read_text().splitlines()) < 10:
        child.process.join(0.05)
    child.send(signal.SIGINT)
    assert child.code() == 130, child.output
    assert "stopped by SIGINT; nothing is lost: the same command goes on" in child.output
    run = Run(tmp_path / "sweep" / "0")
    assert run.status["state"] == "interrupted"
    assert "the same command goes on with it" in genlab("sweep", "show", "sweep", folder=tmp_path)[1]
    stopped_at = load(run.checkpoints / "last.ckpt")["genlab"]["step"]
    assert 0 < stopped_at < 600
    code, output = sweep(tmp_path, *words)
    assert code == 0, output
    assert "trial 0 goes on: model.latent_dim=" in output
    assert f"going on from last.ckpt, step {stopped_at}" in (run.folder / "console.log").read_text()
    assert [trial["state"] for trial in shown(tmp_path)] == ["finished"]


def test_a_failed_trial_does_not_stop_the_others_and_is_run_again_on_request(tmp_path: Path) -> None:
    words = ["search=grid", OBJECTIVE, "optimizer=sgd", "optimizer.lr=1e-3,1e30,1e-2"]
    code, output = sweep(tmp_path, *words)
    assert code == 5, output
    assert "these trials did not come to their end: 1;" in output
    trials = shown(tmp_path)
    assert [trial["state"] for trial in trials] == ["finished", "failed", "finished"]
    assert "the loss 'train/negative_elbo' is nan at step 2" in trials[1]["reason"]
    assert trials[1]["values"] is None
    before = files(tmp_path)
    code, output = sweep(tmp_path, *words)
    assert code == 5, output  # nothing is left to do, and the failed trial is not forgotten
    assert "trial 1" not in output.split(" trial  state")[0]
    assert files(tmp_path) == before
    code, output = sweep(tmp_path, *words, "retry=failed")
    assert code == 5, output
    assert "trial 1 starts again: optimizer.lr=1e+30" in output
    assert "trial 0" not in output.split("trial  state")[0]
    assert [trial["state"] for trial in shown(tmp_path)] == ["finished", "failed", "finished"]
    after = files(tmp_path)
    assert all(after[name] == before[name] for name in before if not name.startswith("sweep/1/"))


def test_another_search_in_the_same_folder_is_shown_and_refused(tmp_path: Path) -> None:
    assert sweep(tmp_path, *GRID)[0] == 0
    before = files(tmp_path)
    code, output = sweep(tmp_path, *GRID[:2], "model.latent_dim=2,3")
    assert code == 4, output
    assert "space.model.latent_dim: 1,2 in the sweep, 2,3 now" in output
    assert "allow_change=true" in output
    assert files(tmp_path) == before
    code, output = sweep(tmp_path, *GRID[:2], "model.latent_dim=2,3", "allow_change=true")
    assert code == 0, output
    trials = shown(tmp_path)
    assert [trial["words"] for trial in trials] == [[f"model.latent_dim={value}"] for value in (1, 2, 3)]
    after = files(tmp_path)
    assert all(after[name] == before[name] for name in before)


def test_trials_outside_of_a_changed_search_are_kept_but_do_not_count(tmp_path: Path) -> None:
    words = ["search=random", OBJECTIVE, "optimizer.lr=tag(log,interval(1e-3,1e-2))"]
    assert sweep(tmp_path, *words, "trials=2")[0] == 0
    narrow = ["search=random", OBJECTIVE, "optimizer.lr=tag(log,interval(1e-5,1e-4))", "allow_change=true"]
    code, output = sweep(tmp_path, *narrow, "trials=1")
    assert code == 0, output
    trials = shown(tmp_path)
    assert [trial["is_best"] for trial in trials] == [False, False, True]
    assert [trial["reason"] for trial in trials] == [*["outside of what is searched by now"] * 2, ""]
    assert all(trial["values"] for trial in trials)
    code, output = sweep(tmp_path, *narrow, "trials=1")
    assert "nothing is left to run; more trials= adds to those that are there" in output
    assert sweep(tmp_path, *words, "trials=2", "allow_change=true")[0] == 0
    assert [trial["reason"] for trial in shown(tmp_path)] == ["", "", "outside of what is searched by now"]
    assert not (tmp_path / "sweep" / "3").exists()


def test_a_retry_leaves_trials_outside(tmp_path: Path) -> None:
    words = ["search=grid", OBJECTIVE, "optimizer=sgd"]
    assert sweep(tmp_path, *words, "optimizer.lr=1e-3,1e-2")[0] == 0
    assert sweep(tmp_path, *words, "optimizer.lr=1e-2,1e30", "allow_change=true")[0] == 5
    outside = [trial for trial in shown(tmp_path) if trial["reason"] == "outside of what is searched by now"]
    assert [(trial["number"], trial["state"]) for trial in outside] == [(0, "finished")]
    code, output = sweep(tmp_path, *words, "optimizer.lr=1e-2,1e30", "retry=failed")
    assert (code, "trial 2 starts again" in output) == (5, True), output
    assert [trial for trial in shown(tmp_path) if trial["number"] == 0] == outside


def test_a_sweep_is_put_beside_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "sweep").write_text("mine")
    code, output = sweep(tmp_path, *GRID)
    assert code == 4, output
    assert "sweep_dir=sweep is a file: give the path of a new folder" in output
    (tmp_path / "sweep").unlink()
    (tmp_path / "sweep").mkdir()
    (tmp_path / "sweep" / "notes.txt").write_text("mine")
    code, output = sweep(tmp_path, *GRID)
    assert code == 4, output
    assert "sweep_dir=sweep is no sweep's, and holds 'notes.txt': nothing is put beside it" in output
    assert [path.name for path in (tmp_path / "sweep").iterdir()] == ["notes.txt"]


def test_an_objective_that_the_model_does_not_log_stops_the_sweep_and_can_be_corrected(tmp_path: Path) -> None:
    words = ["search=grid", "model.latent_dim=1,2"]
    code, output = sweep(tmp_path, *words, "objective=val/elbow")
    assert code == 2, output
    assert "objective=val/elbow: the model logs no such value; it logs: " in output
    assert "val/elbo" in output
    assert not (tmp_path / "sweep" / "1").exists()
    assert "objective=val/elbow: the model logs no such value" in shown(tmp_path)[0]["reason"]
    code, output = sweep(tmp_path, *words, "objective=val/elbo", "direction=maximize", "allow_change=true")
    assert code == 0, output
    assert "trial 0 starts again" in output
    assert [trial["state"] for trial in shown(tmp_path)] == ["finished", "finished"]


def test_the_same_settings_twice_are_one_run(tmp_path: Path) -> None:
    code, output = sweep(tmp_path, "search=random", OBJECTIVE, "trials=6", "model.latent_dim=choice(1,2)")
    assert code == 0, output
    trials = shown(tmp_path)
    assert sorted(trial["config"]["model"]["latent_dim"] for trial in trials) == [1, 2]
    assert "would be the same as trial 0" in output or "all 2 combinations have been tried" in output
    code, output = sweep(tmp_path, "search=random", OBJECTIVE, "trials=40", "model.latent_dim=choice(1,2)")
    assert code == 0, output
    assert "all 2 combinations have been tried" in output
    assert len(shown(tmp_path)) == 2
    if "would be the same as trial 0" in output:
        assert "was not run: it is the same as trial 0" in output


def test_two_combinations_of_a_grid_that_mean_the_same_are_one_run(tmp_path: Path) -> None:
    code, output = sweep(tmp_path, "search=grid", OBJECTIVE, "model.activation=relu,'relu',tanh")
    assert code == 0, output
    assert "is the same as model.activation=relu, which is enough" in output
    assert [trial["config"]["model"]["activation"] for trial in shown(tmp_path)] == ["relu", "tanh"]


def test_repeats_are_runs_with_other_seeds_and_give_a_mean_with_its_interval(tmp_path: Path) -> None:
    code, output = sweep(tmp_path, *GRID, "repeats=3", "seed=7")
    assert code == 0, output
    for trial in shown(tmp_path):
        runs = [tmp_path / "sweep" / f"{trial['number']}{end}" for end in ("", "-1", "-2")]
        assert [Run(run).config["seed"] for run in runs] == [7, 8, 9]
        values = [-json.loads((run / "metrics.json").read_text())["val/elbo"] for run in runs]
        assert trial["values"]["val/negative_elbo"] == pytest.approx(sum(values) / 3)
        low, high = trial["spread"]["val/negative_elbo"]["interval"]
        assert min(values) - 50 < low < trial["values"]["val/negative_elbo"] < high < max(values) + 50
    assert " ± " in output
    assert f"trial 1: run 3 of 3 in {tmp_path / 'sweep' / '1-2'}" in output


def test_more_repeats_are_added_to_those_that_are_there(tmp_path: Path) -> None:
    assert sweep(tmp_path, *GRID)[0] == 0
    before = files(tmp_path)
    code, output = sweep(tmp_path, *GRID, "repeats=2", "allow_change=true")
    assert code == 0, output
    after = files(tmp_path)
    assert all(after[name] == before[name] for name in before)
    assert all((tmp_path / "sweep" / name / "metrics.json").is_file() for name in ("0-1", "1-1"))


def test_two_sweeps_in_one_folder_at_once_are_refused(tmp_path: Path) -> None:
    (tmp_path / "sweep").mkdir()
    with Run(tmp_path / "sweep").lock():
        code, output = sweep(tmp_path, *GRID)
    assert code == 4, output
    assert f"is in use by process {os.getpid()} on " in output


def test_a_recipe_and_words_that_win(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = [word for word in TINY if not word.startswith("model=")]
    code, output = genlab("sweep", "+sweep=vae_latent", *words, "trials=1", "model.latent_dim=3", folder=tmp_path)
    assert code == 0, output
    assert "sweep in outputs/sweeps/vae_latent" in output
    config = Run(tmp_path / "outputs" / "sweeps" / "vae_latent" / "0").config
    assert config["model"]["latent_dim"] == 3
    assert 1e-4 <= config["optimizer"]["lr"] <= 1e-2
    code, output = genlab("sweep", "+sweep=vae_latents", folder=tmp_path)
    assert code == 2
    assert "vae_latent" in output


def test_a_recipe_of_ones_own_and_the_best_command_that_finds_it(tmp_path: Path) -> None:
    recipe = tmp_path / "own" / "sweep" / "mine.yaml"
    recipe.parent.mkdir(parents=True)
    text = "search: grid\nobjective: val/elbo\nsettings:\n  optimizer.lr: 1e-3,1e-2\n  trainer: {max_epochs: 1}\n"
    recipe.write_text(text)
    words = ["sweep", "--config-dir", "own", "+sweep=mine", *TINY, "sweep_dir=sweep"]
    code, output = genlab(*words, folder=tmp_path)
    assert code == 2, output
    assert f"{recipe}: a recipe sets keys of every group; let its first line be # @package _global_" in output
    recipe.write_text(f"# @package _global_\n{text}")
    code, output = genlab(*words, folder=tmp_path)
    assert code == 2, output
    assert "settings.trainer holds keys of its own: write trainer.max_epochs: on one line" in output
    recipe.write_text(f"# @package _global_\n{text}".replace("trainer: {max_epochs: 1}", "trainer.max_epochs: 1"))
    code, output = genlab(*words, folder=tmp_path)
    assert code == 0, output
    assert f": genlab train --config-dir {tmp_path / 'own'} trainer.max_epochs=" in output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([OBJECTIVE, "search=grid", "optimizer.lr=1,-1"], "the trial optimizer.lr=-1 cannot work, so none was started"),
        ([OBJECTIVE, "trials=2", "optimizer.lr=interval(-1,1)"], "optimizer.lr=-1.0: expected more than 0"),
        ([OBJECTIVE, "trials=2", "model.latent_dimm=1,2"], "did you mean 'model.latent_dim'?"),
        (
            [OBJECTIVE, "search=grid", "optimizer.lr=interval(1,2)"],
            "optimizer.lr=interval(1,2) has no end of values",
        ),
        ([OBJECTIVE, "search=grid", "trials=2", "seed=1,2"], "search=grid runs every combination"),
        ([OBJECTIVE, "optimizer.lr=1,2"], "trials must be given for search=optuna"),
        ([OBJECTIVE, "trials=2"], "there is nothing to search"),
        (["trials=2", "seed=1,2"], "objective must be given"),
        ([OBJECTIVE, "trials=2", "search=tpe", "seed=1,2"], "search=tpe: expected 'optuna', 'grid', 'random'"),
        (["objective=[a,b]", "pruning=median", "trials=2", "seed=1,2"], "trials are pruned by one objective"),
        (["objective=[a,b]", "direction=[minimize]", "trials=2", "seed=1,2"], "one direction or as many"),
        ([OBJECTIVE, "search=cmaes", "trials=2", "seed=1,2", "optimizer.lr=interval(1,2)"], "a choice is: seed"),
        ([OBJECTIVE, "repeats=2", "trials=2", "seed=1,2"], "do not search seed too"),
        ([OBJECTIVE, "trials=2", "seed=1,2", "run_dir=here"], "sweep_dir=FOLDER chooses where they are"),
        ([OBJECTIVE, "trials=2", "seed=range(3,3)"], "this range is empty"),
        ([OBJECTIVE, "trials=2", "optimizer=glob(*)"], "expected choice(a,b), range(a,b,step) or interval(a,b)"),
        ([OBJECTIVE, "trials=2", "optimizer.lr=tag(log,interval(0,1))"], "low > 0 on a log scale"),
        ([OBJECTIVE, "trials=2", "seed=1,2", "+resources.num_gpus=1"], "launcher=local shares the cores and GPUs out"),
        ([OBJECTIVE, "trials=2", "optimizer.lr=interval(1,2"], "interval(a,b), int(interval(a,b)) or tag(log,"),
        (["show", "sweep", "trials=3"], "'trials=3' is for a search: leave it out"),
        (
            [OBJECTIVE, "trials=2", "optimizer.lr=intervall(1,2)"],
            "expected choice(a,b), range(a,b,step), interval(a,b)",
        ),
        ([OBJECTIVE, "trials=2", "optimizer.lr=tag(lgo,interval(1,2))"], "the tag lgo means nothing here; tag(log,…)"),
        ([OBJECTIVE, "trials=2", "seed=1,2", "serach=grid"], "no key 'serach'; did you mean 'search'?"),
        (["shwo", "sweep"], "expected `genlab sweep show FOLDER`"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_runs(tmp_path: Path, words: list[str], message: str) -> None:
    code, output = genlab("sweep", *words, "model=vae", folder=tmp_path)
    assert code == 2, output
    assert message in output
    assert not list(tmp_path.rglob("config.yaml"))


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--help"], 0),
        (["optimizer.lr=interval(1,2)", "trials=2"], 2),
        ([OBJECTIVE, "optimizer.lr=interval(1,2)", "trials=none"], 2),
        ([OBJECTIVE, "model.latent_dimm=1,2", "search=grid"], 2),
    ],
)
def test_help_and_wrong_words_need_neither_torch_nor_optuna(words: list[str], code: int) -> None:
    program = (
        "import sys; from genlab.cli import main; code = main(sys.argv[1:]); "
        "assert not [name for name in ('torch', 'optuna') if name in sys.modules]; sys.exit(code)"
    )
    done = command_line("sweep", *words, python=program)
    assert done.returncode == code, done.stderr
    assert "AssertionError" not in done.stderr


def test_what_is_not_installed_is_said_with_what_to_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    for words in (["show", "sweep"], [OBJECTIVE, "trials=2", "model.latent_dim=1,2"]):
        code, output = genlab("sweep", *words, folder=tmp_path)
        assert code == 2, output
        assert f"a sweep needs Optuna: {installation('sweep')}" in output


def test_what_is_no_sweep_is_not_shown(tmp_path: Path) -> None:
    code, output = genlab("sweep", "show", "nowhere", folder=tmp_path)
    assert code == 4
    assert "there is no sweep in nowhere" in output
