"""Every command of the tutorials works, in its order; trainings are cut short, and sweeps to two jobs."""

import re
import shlex
from pathlib import Path

import pytest
import torch
from child import genlab
from conftest import SHORT, composed, small
from forked import forked

from genlab.config import build
from genlab.datasets.avatars import Avatars, Counterfactuals

__all__ = ["forked"]

PAGES = sorted((Path(__file__).parents[1] / "docs" / "tutorial").glob("*.md"))
FEW = {
    "sample": ["batch_size=64"],
    "apply": ["device=cpu"],
    "datasets": ["num_items=2"],
    "evaluate": ["num_samples=8", "iwae_k=2", "iwae_images=2", "device=cpu"],
}
PICTURES = {"latent_scatter": "scatter.png", "chain": "chain.gif", "growth": "growth.gif"}
PICTURES_OF = {"2_adversarial": ["icgan"], "4_translation": ["pix2pix", "cyclegan", "pixel_dtgan"]}
ALL_EDITS = Avatars.counterfactuals
OF_TEXT = ("runs/letters", "runs/spinner")


def commands(page: Path) -> list[list[str]]:
    blocks = re.findall(r"```bash\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    return [shlex.split(line)[1:] for block in blocks for line in block.splitlines()]


def few_edits(self: Avatars) -> Counterfactuals:
    return Counterfactuals(*(values[::60] for values in ALL_EDITS(self)))


@pytest.mark.usefixtures("forked")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_commands_of_the_tutorial(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The children are forks of this process.
    few = torch.linspace(0.1, 1, 10, dtype=torch.float64)
    monkeypatch.setattr("genlab.metrics.log_partition.paper_schedule", lambda: few)
    monkeypatch.setattr(Avatars, "counterfactuals", few_edits)
    for model in PICTURES_OF.get(page.stem, ()):  # decoded here, they need not be in each child
        build(composed(f"model={model}")["dataset"], "dataset").load_once()
    runs = set()
    for words in commands(page):
        given = [word for word in words if word.split("=")[0] != "trainer.max_epochs"]
        if "-m" in given:
            given = [re.sub(r"=([^,]+,[^,]+),.*", r"=\1", word) for word in given]
        if words[0] == "train":
            given += SHORT + small(*(word for word in words if word.startswith(("model=", "dataset=", "+experiment="))))
        code, output = genlab(*given, *FEW.get(words[0], ()), folder=tmp_path)
        assert code == 0, f"{shlex.join(words)}\n{output}"
        if words[0] == "datasets":
            exported = next(word.removeprefix("output=") for word in words if word.startswith("output="))
            assert list((tmp_path / exported).glob("*/0001.png")), output
            continue
        run = next((word.partition("=")[2] for word in words if word.startswith("run_dir=")), words[1])
        if words[0] == "train":
            runs.add(run)
            assert (tmp_path / run / ("comparison.png" if "-m" in words else "metrics.json")).is_file()
        elif words[0] == "sample":
            kind = next((word.partition("=")[2] for word in words if word.startswith("kind=")), "samples")
            written = "samples.txt" if run in OF_TEXT else PICTURES.get(kind, "grid.png")
            assert list((tmp_path / run / "samples").glob(f"{kind}*/{written}")), output
        elif words[0] == "apply":
            kind = "csv" if page.stem == "1_likelihood" else "png"
            assert list((tmp_path / run / "applied").glob(f"*/*.{kind}")), output
        assert run in runs
    film = {"1_likelihood": "plane_gmm/samples/mixture.gif", "2_adversarial": "ring_gan/samples/learning.gif"}
    film["3_autoregressive"] = "pixel_cnn/samples/growth-last-seed-0/growth.gif"
    film["4_translation"] = "pix2pix/samples/epoch-0002-translations.png"
    assert (tmp_path / "runs" / film[page.stem]).is_file()
