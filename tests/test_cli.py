"""The command line as a user meets it, in processes of its own."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from toy import genlab

from genlab import cli
from genlab.config.places import commands, config_dir
from genlab.errors import DataError, NumericError, RunError

pytest_plugins = ("toy",)

WITHOUT_TORCH = (
    "import sys; from genlab.cli import main; code = main()\n"
    "assert not [name for name in ('torch', 'pytorch_lightning', 'numpy') if name in sys.modules]; sys.exit(code)"
)
WITHOUT_HYDRA = WITHOUT_TORCH.replace("('torch',", "('torch', 'hydra', 'omegaconf', 'pydantic',")


@pytest.mark.parametrize("words", [["--help"], [], ["train", "--help"], ["runs", "-h"], ["--complete", "tr"]])
def test_help_imports_nothing(words: list[str]) -> None:
    done = genlab(*words, python=WITHOUT_HYDRA)
    assert done.returncode == 0, done.stderr
    assert "train" in done.stdout or words[0] == "runs"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["tran"], "no command 'tran'; did you mean 'train'?\ncommands: "),
        (["train", "--multi"], "no option '--multi'"),
        (["train", "--model=vae"], "no option '--model=vae'; did you mean model=vae, without dashes?"),
        (["--completion", "tcsh"], "expected one of bash, zsh, fish"),
    ],
)
def test_unknown_commands_and_options(words: list[str], message: str) -> None:
    done = genlab(*words, python=WITHOUT_HYDRA)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("model=cyclgan", "no model 'cyclgan'"),
        ("modle=vae", "did you mean 'model'?"),
        ("optimzer.lr=1", "did you mean 'optimizer.lr'?"),
        ("trainer.max_epoch=1", "did you mean 'trainer.max_epochs'?"),
        ("dataset=mnst", "did you mean 'mnist'?"),
    ],
)
def test_unknown_groups_options_and_keys(word: str, message: str) -> None:
    done = genlab("train", word, python=WITHOUT_TORCH)
    assert done.returncode == 2
    assert done.stderr.startswith("genlab: no ")
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) < 10


def test_help_shows_groups_keys_defaults_and_comments() -> None:
    page = genlab("train", "--help").stdout
    for text in ("dataset ", "mnist", "accelerator ", "max_steps: -1  # batches", "precision: 32-true", "--config-dir"):
        assert text in page
    assert "RUN" in genlab("resume", "--help").stdout
    for command in commands():
        assert genlab(command, "--help").returncode == 0


@pytest.mark.usefixtures("toy")
def test_the_printed_configuration_composes_again(tmp_path: Path) -> None:
    printed = genlab("train", "--cfg", "job", "model=toy", "seed=5", python=WITHOUT_TORCH)
    assert printed.returncode == 0, printed.stderr
    (tmp_path / "config.yaml").write_text(printed.stdout)
    again = genlab("train", "--cfg=job", f"config={tmp_path / 'config.yaml'}")
    assert again.stdout == printed.stdout


def test_a_users_folder_and_package_join_by_options(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GENLAB_CONFIG_DIR")
    monkeypatch.delenv("GENLAB_ALLOW")
    done = genlab("train", "--config-dir", str(toy), "model=toy", "--cfg", "job")
    assert "toy_models.Toy" in done.stdout
    refused = genlab("train", "--config-dir", str(toy), "model=toy", "dataset.batch_size=0")
    assert refused.returncode == 2
    allowed = genlab("train", "--config-dir", str(toy), "--allow=toy_models", "model=toy", "model.width=0")
    assert "model.width=0: expected more than 0" in allowed.stderr
    missing = genlab("train", "--config-dir", str(toy / "nowhere"))
    assert (missing.returncode, "there is no such folder" in missing.stderr) == (2, True)


@pytest.mark.parametrize(
    ("environment", "closed"),
    [
        ({"PYTHONIOENCODING": "ascii", "LC_ALL": "C"}, ""),
        ({"HOME": "/nowhere"}, ""),
        ({"NO_COLOR": "1", "COLUMNS": "20", "TERM": "dumb"}, ""),
        ({}, ">&-"),
        ({}, ">&- 2>&- <&-"),
        ({}, "| head -n 1"),
    ],
)
def test_odd_surroundings(environment: dict[str, str], closed: str) -> None:
    program = "import sys; from genlab.cli import main; sys.exit(main())"
    for words in ("train --help", "models", "train --cfg job"):
        command = f'set -o pipefail; "{sys.executable}" -c "{program}" {words} {closed}'
        done = subprocess.run(
            ["bash", "-c", command], capture_output=True, env=os.environ | environment, timeout=60, check=False
        )
        assert b"Traceback" not in done.stderr
        assert b"Exception ignored" not in done.stderr
        assert done.returncode in (0, 2), (words, done.stderr)


def test_home_may_be_unset() -> None:
    environment = {key: value for key, value in os.environ.items() if key != "HOME"}
    command = [sys.executable, "-m", "genlab", "train", "--help"]
    assert subprocess.run(command, env=environment, capture_output=True, check=False).returncode == 0


class OutOfMemoryError(RuntimeError):
    """As torch calls it."""


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (DataError("no such data"), 3, "genlab: no such data\n"),
        (RunError("no such run"), 4, "genlab: no such run\n"),
        (NumericError("the loss is nan"), 5, "genlab: the loss is nan\n"),
        (MemoryError(), 6, "not enough memory"),
        (OutOfMemoryError("CUDA out of memory"), 6, "CUDA out of memory\ntry a smaller dataset.batch_size"),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried"), 6, "not enough memory"),
        (OSError(errno.ENOSPC, "No space left on device", "/full/file"), 6, "No space left on device (/full/file)"),
        (PermissionError(errno.EACCES, "Permission denied", "/root/x"), 6, "Permission denied (/root/x)"),
        (OSError(errno.EROFS, "Read-only file system"), 6, "Read-only file system"),
        (KeyboardInterrupt(), 130, "genlab: stopped"),
        (ValueError("what?"), 1, "this is a defect of genlab: ValueError: what?\nGENLAB_DEBUG=1 shows where"),
        (FileNotFoundError(errno.ENOENT, "No such file"), 1, "this is a defect of genlab"),
    ],
)
def test_errors_become_exit_codes(
    error: BaseException, code: int, message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(arguments: list[str]) -> int:
        raise error

    monkeypatch.setattr(cli, "dispatch", fail)
    monkeypatch.delenv("GENLAB_DEBUG", raising=False)
    assert cli.main(["train"]) == code
    shown = capsys.readouterr().err
    assert message in shown
    assert "Traceback" not in shown
    monkeypatch.setenv("GENLAB_DEBUG", "1")
    cli.main(["train"])
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "advice"),
    [("apply", "try a smaller batch_size, or tile=256 for large images"), ("sample", "try a smaller batch_size")],
)
def test_what_to_make_smaller_is_an_option_of_the_command(
    command: str, advice: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(arguments: list[str]) -> int:
        raise MemoryError

    monkeypatch.setattr(cli, "dispatch", fail)
    assert cli.main([command]) == 6
    assert capsys.readouterr().err == f"genlab: there is not enough memory: out of memory\n{advice}\n"


def test_sys_argv_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["genlab", "train", "model=nope"])
    assert cli.main() == 2
    assert sys.argv == ["genlab", "train", "model=nope"]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["tr"], ["train"]),
        (["train", "model=to"], ["model=toy"]),
        (["train", "mod"], ["model=", "model."]),
        (["train", "model=toy", "model.w"], ["model.width="]),
        (["train", "trainer.max_s"], ["trainer.max_steps="]),
        (
            ["train", "model=toy", "dataset=mnist,fash"],
            ["dataset=mnist,fashion_mnist", "dataset=mnist,fashion_mnist_32"],
        ),
        (
            ["train", "trainer.enable_progress_bar="],
            [f"trainer.enable_progress_bar={word}" for word in ("false", "true")],
        ),
        (["train", "+exp"], ["+experiment="]),
        (["train", "--m"], ["--multirun"]),
        (["resume", "allow"], ["allow_data_change="]),
        (["nothing", "x"], []),
    ],
)
@pytest.mark.usefixtures("toy")
def test_completion(words: list[str], found: list[str]) -> None:
    done = genlab("--complete", *words, python=WITHOUT_TORCH)
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.split()) == sorted(found)


@pytest.fixture
def on_path(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ``genlab`` that a shell finds."""
    folder = toy.parent / "bin"
    folder.mkdir()
    script = folder / "genlab"
    script.write_text(f"#!{sys.executable}\nimport sys\nfrom genlab.cli import main\nsys.exit(main())\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


@pytest.mark.usefixtures("on_path")
@pytest.mark.parametrize(
    ("line", "reply"),
    [
        ("genlab tr", "train "),
        ("genlab train model=t", "toy "),
        ("genlab train model=toy model.wi", "model.width="),
        ("genlab train trainer.max_ep", "trainer.max_epochs="),
    ],
)
def test_bash_completes(line: str, reply: str) -> None:
    program = f"""
eval "$(genlab --completion bash)"
COMP_LINE="{line}"; COMP_POINT=${{#COMP_LINE}}
_genlab
printf '<%s>' "${{COMPREPLY[@]}}"
"""
    done = subprocess.run(["bash", "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert f"<{reply}>" in done.stdout, done


@pytest.mark.usefixtures("on_path")
def test_fish_completes() -> None:
    program = 'genlab --completion fish | source; complete -C "genlab train model=t"; complete -C "genlab tr"'
    try:
        done = subprocess.run(["fish", "-c", program], capture_output=True, text=True, timeout=60, check=False)
    except FileNotFoundError:
        pytest.skip("fish is not installed")
    assert done.stdout.split() == ["model=toy", "train"], done


@pytest.mark.usefixtures("on_path")
def test_zsh_completes() -> None:
    program = """
compadd() { while [[ "$1" != "--" ]]; do shift; done; shift; print -l -- "$@" }
compdef() { : }
eval "$(genlab --completion zsh)"
words=(genlab train model=t); CURRENT=3; _genlab
words=(genlab train trainer.max_s); CURRENT=3; _genlab
"""
    try:
        done = subprocess.run(["zsh", "-f", "-c", program], capture_output=True, text=True, timeout=60, check=False)
    except FileNotFoundError:
        pytest.skip("zsh is not installed")
    assert done.stdout.split() == ["model=toy", "trainer.max_steps="], done


def test_the_folder_of_yaml_files_is_found_from_anywhere(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from genlab.config import config_dir; print(config_dir())"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=True,
    )
    assert Path(done.stdout.strip()) == config_dir()
