"""Every command of the page on sweeps works, in its order; searches and trainings are cut short."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from child import genlab
from forked import forked, undrawn

from genlab.sweep.launchers import Launcher, Local

PAGE = Path(__file__).parents[1] / "docs" / "sweeps.md"
SHORT = ["trainer.max_epochs=1", "trainer.limit_train_batches=2", "trainer.limit_val_batches=1", "callbacks=none"]
SHORT += ["dataset=optdigits", "dataset.batch_size=16", "threads=1"]

__all__ = ["forked", "undrawn"]


def commands() -> list[list[str]]:
    blocks = re.findall(r"```bash\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return [shlex.split(line)[1:] for block in blocks for line in block.splitlines()]


def here(name: str, jobs: int, folder: Path, resources: dict[str, Any]) -> Launcher:
    """Clusters have tests and a script of their own; here their commands run on this computer."""
    return Local(jobs, {} if name != "local" else resources)


@pytest.mark.usefixtures("forked", "undrawn")
def test_the_commands_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("genlab.sweep.launchers.new_launcher", here)
    for number, words in enumerate(commands()):
        cut = [re.sub(r"^trials=\d+", f"trials={2 + number // 4}", word) for word in words]
        cut = [re.sub(r"^repeats=\d+", "repeats=2", word) for word in cut]
        given = cut if "show" in words else [*cut, *SHORT, *(["trials=1"] if "+sweep=vae_latent" in words else [])]
        code, output = genlab(*given, folder=tmp_path)
        assert code == 0, f"{shlex.join(given)}\n{output}"
    for folder in (*(tmp_path / "sweeps").iterdir(), tmp_path / "outputs" / "sweeps" / "vae_latent"):
        assert (folder / "study.journal").is_file()
        assert (folder / "0" / "metrics.json").is_file()


def test_the_page_names_every_search_and_launcher() -> None:
    from typing import get_args, get_type_hints

    from genlab.commands.sweep import main

    text = PAGE.read_text(encoding="utf-8")
    for key in ("search", "launcher", "pruning"):
        for value in get_args(get_type_hints(main)[key]):
            assert value in ("none", "local") or f"`{value}`" in text or f"{key}={value}" in text
