"""``genlab runs``: lists, comparisons, the best, logs, tags, and old checkpoints."""

import json
import socket
from pathlib import Path
from typing import Any

import pytest
from child import TRAIN, Child, genlab
from PIL import Image

from genlab.commands.tensorboard import readable
from genlab.run import Run
from genlab.runs.comparison import verdict
from genlab.runs.listing import logged, size_of


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs of one model and one of another, an empty folder, and a third run whose files say that it is running."""
    folder = tmp_path_factory.mktemp("runs")
    for name, words in {
        "narrow": ["model=vae", "dataset=optdigits", "model.latent_dim=2", "optimizer.lr=0.02"],
        "wide": ["model=vae", "dataset=optdigits", "model.latent_dim=5", "optimizer.lr=0.01"],
        "mixture": ["model=gmm", "model.num_components=2"],
    }.items():
        code, output = genlab(*TRAIN, f"run_dir=outputs/{name}", *words, folder=folder)
        assert code == 0, output
    return folder


def listed(folder: Path, *words: str) -> Any:
    code, output = genlab("runs", *words, "json=true", folder=folder)
    assert code == 0, output
    return json.loads(output)


def names(rows: list[dict[str, Any]]) -> list[str]:
    return [Path(row["run"]).name for row in rows]


def test_a_row_says_how_far_a_run_is(folder: Path) -> None:
    mixture, narrow, wide = listed(folder)
    assert names([mixture, narrow, wide]) == ["mixture", "narrow", "wide"]
    assert (narrow["model"], narrow["dataset"], narrow["state"]) == ("vae", "optdigits", "finished")
    assert (narrow["epoch"], narrow["epochs"], narrow["step"]) == (2, 2, 6)
    assert narrow["monitor"]["name"] == "val/elbo"
    assert narrow["monitor"]["best"] >= narrow["monitor"]["last"]
    assert 0 <= narrow["age"] < 600
    assert 10_000 < narrow["size"] < wide["size"]


def test_rows_are_filtered_and_sorted(folder: Path) -> None:
    assert names(listed(folder, "where=model=vae")) == ["narrow", "wide"]
    assert names(listed(folder, "where=model=vae,state=failed")) == []
    best = [row["monitor"]["best"] for row in listed(folder, "where=model=vae", "sort=metric")]
    assert best == sorted(best, reverse=True)  # val/elbo is maximized
    assert names(listed(folder, "sort=size"))[-1] == max(listed(folder), key=lambda row: row["size"])["run"][-4:]


def test_a_comparison_shows_what_differs_and_nothing_else(folder: Path) -> None:
    compared = listed(folder, "compare", "outputs/wide", "outputs/narrow")
    assert compared["settings"] == {"model.latent_dim": [5, 2], "optimizer.lr": [0.01, 0.02]}
    metrics = [json.loads((folder / "outputs" / run / "metrics.json").read_text()) for run in ("wide", "narrow")]
    assert compared["metrics"]["val/elbo"]["values"] == [values["val/elbo"] for values in metrics]
    with Image.open(compared["picture"]) as picture:
        pictures = [max((folder / "outputs" / run / "samples").glob("epoch-*.png")) for run in ("wide", "narrow")]
        assert picture.size[0] == sum(Image.open(path).size[0] + 16 for path in pictures)
    assert "model.latent_dim" in genlab("runs", "compare", "outputs/wide", "outputs/narrow", folder=folder)[1]


def test_a_difference_is_told_from_noise() -> None:
    assert verdict([(1.0, 0.1), (1.2, 0.1)]) == "within noise"  # 0.2 < 1.96 * 0.141
    assert verdict([(1.0, 0.1), (1.3, 0.1)]) == "differ"
    assert verdict([(1.0, None), (1.3, 0.1)]) == ""
    assert verdict([(1.0, 0.1)] * 3) == ""


def test_the_best_run_is_the_first(folder: Path) -> None:
    values = {
        run: json.loads((folder / "outputs" / run / "metrics.json").read_text())["val/elbo"]
        for run in ("wide", "narrow")
    }
    found = listed(folder, "best", "metric=val/elbo", "where=model=vae")
    assert found[0] == {"run": found[0]["run"], "val/elbo": max(values.values())}
    found = listed(folder, "best", "metric=val/elbo", "direction=minimize")
    assert found[0]["val/elbo"] == min(values.values())


def test_the_log_of_a_run_is_printed(folder: Path) -> None:
    code, output = genlab("runs", "tail", "outputs/wide", "json=true", folder=folder)
    assert code == 0
    rows = [json.loads(line) for line in output.splitlines()]
    assert rows[-1]["step"] == "6"
    assert any("val/elbo" in row for row in rows)


def test_tags_find_a_run_again(folder: Path) -> None:
    assert listed(folder, "tag", "outputs/narrow", "add=[good,small]")[0]["tags"] == ["good", "small"]
    assert names(listed(folder, "where=tag=good")) == ["narrow"]
    assert listed(folder, "tag", "outputs/narrow", "remove=[good]")[0]["tags"] == ["small"]
    assert names(listed(folder, "where=tag=good")) == []


def test_only_checkpoints_without_a_further_name_are_removed(folder: Path) -> None:
    run = Run(folder / "outputs" / "wide")
    kept = {(run.checkpoints / f"{name}.ckpt").stat().st_ino for name in ("best", "last")}
    before = sorted(run.checkpoints.iterdir())
    code, output = genlab("runs", "prune", "outputs/wide", folder=folder)
    assert (code, "yes=true does it" in output) == (2, True)
    assert listed(folder, "prune", "outputs/wide", "yes=true", "older_than=1h")["files"] == []
    assert sorted(run.checkpoints.iterdir()) == before
    removed = listed(folder, "prune", "outputs/wide", "yes=true")
    after = {path.stat().st_ino for path in run.checkpoints.iterdir()}
    assert after == kept
    assert {Path(name) for name in removed["files"]} == set(before) - set(run.checkpoints.iterdir())
    assert genlab("sample", "outputs/wide", "num_samples=2", folder=folder)[0] == 0
    listed(folder, "prune", "outputs/wide", "keep=[last]", "yes=true")
    assert (run.checkpoints / "last.ckpt").is_file()


def test_a_run_in_work_keeps_its_checkpoints(tmp_path: Path) -> None:
    words = (*TRAIN, "model=vae", "dataset=optdigits", "run_dir=outputs/busy", "trainer.max_epochs=100000")
    child = Child(*words, folder=tmp_path, tell_at=9)
    run = Run(tmp_path / "outputs" / "busy")
    try:
        child.wait_for_step()
        assert run.status["state"] == "running"
        assert listed(tmp_path, "prune", "keep=[]", "yes=true")["files"] == []
    finally:
        child.kill_after(0)
    killed = listed(tmp_path)[0]
    assert killed["state"] == "killed"
    values = [float(row["val/elbo"]) for row in logged(run.folder / "log.csv") if "val/elbo" in row]
    assert killed["monitor"]["last"] == values[-1]
    assert listed(tmp_path, "prune", "keep=[]", "yes=true")["files"] != []


def test_files_that_a_run_in_work_renames_or_has_not_finished_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "last.ckpt").write_bytes(b"12345")
    (tmp_path / "best.ckpt").hardlink_to(tmp_path / "last.ckpt")
    (tmp_path / "gone.partial").symlink_to(tmp_path / "nowhere")
    assert size_of(tmp_path) == 5
    (tmp_path / "log.csv").write_text("step,loss\n1,2.5\n2,-")
    assert logged(tmp_path / "log.csv") == [{"step": "1", "loss": "2.5"}]


def test_names_in_tensorboard_are_short_and_name_the_model(folder: Path) -> None:
    runs = [Run(folder / "outputs" / name) for name in ("narrow", "mixture")]
    assert readable(runs) == ["vae-narrow", "gmm-mixture"]
    assert readable(runs[:1]) == ["vae-narrow"]


def test_a_port_in_use_is_refused(folder: Path) -> None:
    with socket.create_server(("localhost", 0)) as server:
        port = server.getsockname()[1]
        code, output = genlab("tensorboard", f"port={port}", folder=folder)
    assert (code, f"take another one, as port={port + 1}, or port=0 for any" in output) == (2, True), output


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["nonsense"], 2, "`genlab runs nonsense`: expected compare, best, tail, prune, tag"),
        (["compare", "outputs/wide"], 2, "`genlab runs compare` needs two runs or more"),
        (["tag"], 2, "`genlab runs tag` needs a run"),
        (["tail", "outputs/wide", "outputs/narrow"], 2, "`genlab runs tail` follows one run"),
        (["best"], 2, "`genlab runs best` needs a metric"),
        (["best", "metric=val/fid"], 2, "metric=val/fid: no run has it; there are: "),
        (["best", "metric=train/kl"], 2, "is more better? direction=maximize, or minimize"),
        (["where=colour=red"], 2, "where=colour=red: expected model=…, dataset=…, state=…, tag=…"),
        (["compare", "outputs/wide", "outputs/none"], 4, "'outputs/none' is not a run"),
        (["where=state=bogus"], 2, "a state is one of running, finished, pruned, failed, interrupted, killed, damaged"),
        (["prune", "older_than=3"], 2, "older_than=3: expected days, hours or minutes, as 30d, 12h or 45m"),
    ],
)
def test_refusals(folder: Path, words: list[str], code: int, message: str) -> None:
    found, output = genlab("runs", *words, folder=folder)
    assert found == code, output
    assert message in output
