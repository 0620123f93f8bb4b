"""``genlab train`` as a user meets it: what it writes, what it refuses, how it ends."""

import json
import os
import resource
import signal
from pathlib import Path

import pytest
import yaml
from child import TRAIN, Child, genlab
from conftest import composed
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from genlab import config
from genlab.checkpoint import load
from genlab.ending import report
from genlab.run import Run


def test_a_run_folder_is_complete(tmp_path: Path) -> None:
    code, output = genlab(*TRAIN, "run_dir=run", "seed=3", folder=tmp_path)
    assert code == 0, output
    run = tmp_path / "run"
    names = {path.name for path in run.iterdir() if not path.name.startswith(".")}
    assert names == {
        *("config.yaml", "environment.json", "status.json", "metrics.json", "log.csv"),
        *("checkpoints", "tensorboard", "samples"),
    }
    assert {path.name for path in (run / "checkpoints").iterdir()} == {
        *("last.ckpt", "best.ckpt", "step-000000003.ckpt", "step-000000006.ckpt")
    }
    assert {path.name for path in (run / "samples").iterdir()} == {
        f"epoch-000{epoch}{kind}.png" for epoch in (1, 2) for kind in ("", "-reconstructions")
    }
    environment = json.loads((run / "environment.json").read_text())
    assert environment["seed"] == 3
    assert environment["packages"]["torch"]
    assert set(environment) >= {"command", "git", "python", "platform", "cores", "threads", "gpus"}
    assert json.loads((run / "status.json").read_text())["state"] == "finished"
    metrics = json.loads((run / "metrics.json").read_text())
    assert set(metrics) == {"train/kl", "train/negative_elbo", "train/reconstruction", "val/elbo"}
    for word in ("genlab resume run", "genlab sample run", "genlab evaluate run", "tensorboard --logdir run"):
        assert word in output
    assert "samples/epoch-0002.png" in output


def test_its_configuration_repeats_the_run(tmp_path: Path) -> None:
    assert genlab(*TRAIN, "run_dir=one", folder=tmp_path)[0] == 0
    code, output = genlab("train", "config=one/config.yaml", "run_dir=two", folder=tmp_path)
    assert code == 0, output
    one, two = (yaml.safe_load((tmp_path / name / "config.yaml").read_text()) for name in ("one", "two"))
    assert config.difference(one, two) == []
    assert (tmp_path / "one" / "log.csv").read_text() == (tmp_path / "two" / "log.csv").read_text()


@pytest.mark.parametrize("threads", [1, 2])
def test_the_same_seed_gives_the_same_weights_samples_metrics_and_curves(tmp_path: Path, threads: int) -> None:
    for name in ("one", "two"):
        assert genlab(*TRAIN, f"threads={threads}", f"run_dir={name}", folder=tmp_path)[0] == 0
        code, output = genlab("sample", name, "num_samples=4", f"output={name}/drawn", folder=tmp_path)
        assert code == 0, output
    for file in ("metrics.json", "log.csv", "samples/epoch-0002.png", "drawn/grid.png", "drawn/0003.png"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
    assert curves(tmp_path / "one") == curves(tmp_path / "two")


def curves(run: Path) -> dict[str, list[tuple[int, float]]]:
    """Every scalar of TensorBoard's files, without the times."""
    events = EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    return {tag: [(point.step, point.value) for point in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def test_tensorboard_holds_curves_pictures_settings_and_final_values(tmp_path: Path) -> None:
    assert genlab(*TRAIN, "run_dir=run", folder=tmp_path)[0] == 0
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    assert set(events.Tags()["images"]) == {"samples", "reconstructions"}
    assert [image.step for image in events.Images("samples")] == [2, 5]
    scalars = curves(tmp_path / "run")
    assert [step for step, _ in scalars["train/negative_elbo"]] == [0, 1, 2, 3, 4, 5]
    assert "hp_metric" not in scalars
    plugin = events.summary_metadata
    assert {"_hparams_/session_start_info", "_hparams_/session_end_info"} <= set(plugin)
    assert "_hparams_/experiment" not in plugin  # TensorBoard's table then begins with the settings that differ
    assert any("config" in tag for tag in events.Tags()["tensors"])


def test_log_counts_batches_from_one(tmp_path: Path) -> None:
    assert genlab(*TRAIN, "run_dir=run", folder=tmp_path)[0] == 0
    rows = (tmp_path / "run" / "log.csv").read_text().splitlines()
    assert rows[0].split(",")[0] == "step"
    assert sorted({int(row.split(",")[0]) for row in rows[1:]}) == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("word", ["trainer.max_steps=0", "trainer.max_epochs=0"])
def test_a_budget_of_nothing_gives_the_untrained_model(tmp_path: Path, word: str) -> None:
    code, output = genlab(*TRAIN, word, "run_dir=run", folder=tmp_path)
    assert code == 0, output
    assert load(tmp_path / "run" / "checkpoints" / "last.ckpt")["genlab"]["step"] == 0
    assert genlab("sample", "run", "num_samples=2", folder=tmp_path)[0] == 0


def test_a_time_limit_ends_with_success_and_a_checkpoint(tmp_path: Path) -> None:
    words = [*TRAIN, "trainer.max_epochs=1000000", "trainer.max_time=00:00:00:01", "callbacks=default"]
    code, output = genlab(*words, "run_dir=run", folder=tmp_path)
    assert code == 0, output
    assert load(tmp_path / "run" / "checkpoints" / "last.ckpt")["genlab"]["step"] > 0


def test_max_steps_counts_batches(tmp_path: Path) -> None:
    assert genlab(*TRAIN, "model=dcgan", "trainer.max_steps=2", "run_dir=run", folder=tmp_path)[0] == 0
    assert load(tmp_path / "run" / "checkpoints" / "last.ckpt")["genlab"]["step"] == 2


def test_nothing_of_an_earlier_run_is_overwritten(tmp_path: Path) -> None:
    assert genlab(*TRAIN, "run_dir=run", folder=tmp_path)[0] == 0
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    code, output = genlab(*TRAIN, "run_dir=run", "seed=9", folder=tmp_path)
    assert code == 4
    assert "run_dir=run already exists and is not empty" in output
    assert "genlab resume 'run'" in output
    assert {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()} == before


def test_without_a_name_runs_get_the_time_and_never_share_a_folder(tmp_path: Path) -> None:
    for _ in range(2):
        assert genlab(*TRAIN, "trainer.max_steps=0", folder=tmp_path)[0] == 0
    assert len(list((tmp_path / "outputs" / "vae").iterdir())) == 2


def test_wrong_data_leave_no_folder_behind(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    code, output = genlab(
        *TRAIN, "dataset=image_folder", "dataset.path=images", "dataset.data_shape=[1,8,8]", folder=tmp_path
    )
    assert code == 3, output
    assert "has no images in it" in output
    code, output = genlab(*TRAIN, "dataset.batch_size=55001", folder=tmp_path)
    assert code == 2
    assert "55000 training items, fewer than one batch of 55001" in output
    assert not (tmp_path / "outputs").exists()


def test_a_last_batch_of_one_is_refused_where_batch_norm_would_fail(tmp_path: Path) -> None:
    code, output = genlab("train", "model=dcgan", "dataset.batch_size=10999", folder=tmp_path)
    assert code == 2
    assert "leave a last batch of one" in output
    assert "dataset.batch_size=10998" in output


@pytest.mark.parametrize("name", ["a b/ü/🙂 [x]=y", "n" * 250])
def test_odd_names_of_folders(tmp_path: Path, name: str) -> None:
    code, output = genlab(*TRAIN, "trainer.max_steps=1", f"run_dir={name}", folder=tmp_path)
    assert code == 0, output
    assert genlab("sample", name, "num_samples=1", folder=tmp_path)[0] == 0
    assert genlab("resume", name, "trainer.max_steps=2", folder=tmp_path)[0] == 0


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    code, output = genlab(*TRAIN, "run_dir=file", folder=tmp_path)
    assert (code, "is a file" in output) == (4, True)
    code, output = genlab(*TRAIN, "run_dir=/proc/run", folder=tmp_path)
    assert (code, "cannot be made" in output) == (6, True)
    code, output = genlab(*TRAIN, f"run_dir={'n' * 300}", folder=tmp_path)
    assert (code, "too long" in output) == (6, True)


def test_a_full_disk_ends_the_run_and_keeps_the_last_checkpoint(tmp_path: Path) -> None:
    assert genlab(*TRAIN, "trainer.max_steps=2", "run_dir=run", folder=tmp_path)[0] == 0
    kept = (tmp_path / "run" / "checkpoints" / "last.ckpt").read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    try:
        code, output = genlab("resume", "run", "trainer.max_steps=4", folder=tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert code == 6, output
    assert "could not be written" in output
    assert (tmp_path / "run" / "checkpoints" / "last.ckpt").read_bytes() == kept
    assert not list((tmp_path / "run").rglob("*.partial"))
    assert genlab("resume", "run", "trainer.max_steps=4", folder=tmp_path)[0] == 0


def test_two_processes_cannot_train_in_one_folder(tmp_path: Path) -> None:
    child = Child(*TRAIN, "trainer.max_epochs=1000", "run_dir=run", folder=tmp_path, tell_at=2)
    child.wait_for_step()
    code, output = genlab("resume", "run", folder=tmp_path / "run")
    assert code == 4
    code, output = genlab("resume", str(tmp_path / "run"), folder=tmp_path.parent)
    assert code == 4
    assert f"is in use by process {child.process.pid} on {os.uname().nodename}" in output
    child.send(signal.SIGKILL)
    child.code()
    # The lock of a dead process is free, whatever it left behind.
    assert Run(tmp_path / "run").status["state"] == "killed"
    assert genlab("resume", "run", "trainer.max_epochs=2", folder=tmp_path)[0] == 0


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143), (signal.SIGUSR1, 0)]
)
def test_signals_lose_nothing(tmp_path: Path, number: int, code: int) -> None:
    assert genlab(*TRAIN, "run_dir=whole", folder=tmp_path)[0] == 0
    child = Child(*TRAIN, "run_dir=run", folder=tmp_path, tell_at=2)
    child.wait_for_step()
    child.send(number)
    assert child.code() == code, child.output
    if code:
        assert f"stopped by {signal.Signals(number).name} after step" in child.output
        assert "nothing is lost\ngo on with `genlab resume " in child.output
        assert Run(tmp_path / "run").status["state"] == "interrupted"
        assert genlab("resume", "run", folder=tmp_path)[0] == 0
    assert (tmp_path / "run" / "log.csv").read_text() == (tmp_path / "whole" / "log.csv").read_text()


def test_plain_output_without_a_terminal(tmp_path: Path) -> None:
    code, output = genlab(*TRAIN, "trainer.enable_progress_bar=true", "run_dir=run", folder=tmp_path)
    assert code == 0
    assert "\x1b" not in output
    assert "epoch 1/2  step 3" in output
    assert "epoch 2/2  step 6" in output
    assert "Lightning" not in output
    assert "rank_zero" not in output


def test_a_cluster_must_be_told_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    code, output = genlab(*TRAIN, "accelerator=ddp_cpu", folder=tmp_path)
    assert code == 2
    assert "run_dir=outputs/NAME" in output


def test_the_command_that_edits_names_an_attribute(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report(Run.create(tmp_path / "run"), composed("model=icgan"), {}, None, None)
    assert "run input=FILE_OR_FOLDER 'attributes=[long_hair]'\n" in capsys.readouterr().out
