"""``genlab models``, ``runs`` and ``show``."""

import json
from pathlib import Path

import pytest
from child import TRAIN, genlab

from genlab.cli import main
from genlab.config import options


def test_models_are_listed_with_their_papers(tmp_path: Path) -> None:
    code, output = genlab("models", "json=true", folder=tmp_path)
    assert code == 0
    models = {model["name"]: model for model in json.loads(output)}
    assert list(models) == options("model")
    assert "arXiv:1312.6114" in models["vae"]["paper"]
    assert "vae" in genlab("models", folder=tmp_path)[1]


def test_show_gives_paper_networks_and_sizes(tmp_path: Path) -> None:
    code, output = genlab("show", "+experiment=dcgan_64", "json=true", folder=tmp_path)
    assert code == 0, output
    shown = json.loads(output)
    assert shown["model"] == "dcgan"
    assert "arXiv:1511.06434" in shown["paper"]
    assert shown["networks"] == {"generator": 3_576_704, "discriminator": 2_765_568}
    assert shown["parameters"] == 3_576_704 + 2_765_568
    assert shown["checkpoint_bytes"] > 3 * 4 * shown["parameters"]  # weights and Adam's two moments
    code, output = genlab("show", "model=gmm", folder=tmp_path)
    assert code == 0
    assert "Dempster" in output


@pytest.mark.parametrize("model", options("model"))
def test_every_model_is_shown(capsys: pytest.CaptureFixture[str], model: str) -> None:
    assert main(["show", f"model={model}", "json=true"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["model"] == model
    assert shown["checkpoint_bytes"] > 4 * shown["parameters"]


@pytest.mark.parametrize(
    ("recipe", "networks"),
    [
        ("pix2pix_paper", {"generator": 54_413_955, "discriminator": 2_768_705}),
        ("srresnet_paper", {"generator": 1_549_462}),
        ("mdan_paper", {"discriminator": 606_977}),
    ],
)
def test_a_recipe_is_shown_without_its_data(
    recipe: str, networks: dict[str, int], capsys: pytest.CaptureFixture[str]
) -> None:
    """Even if its data set still needs a folder, or a download."""
    assert main(["show", f"+experiment={recipe}", "json=true"]) == 0
    assert json.loads(capsys.readouterr().out)["networks"] == networks


def test_runs_are_listed_with_their_state(tmp_path: Path) -> None:
    assert "no runs under" in genlab("runs", folder=tmp_path)[1]
    assert genlab(*TRAIN, "trainer.max_steps=2", "run_dir=outputs/one", folder=tmp_path)[0] == 0
    assert (
        "none of 1 runs fits where=state=failed; their states: finished"
        in genlab("runs", "where=state=failed", folder=tmp_path)[1]
    )
    (tmp_path / "outputs" / "two").mkdir()
    (tmp_path / "outputs" / "two" / "config.yaml").write_text("- nonsense")
    code, output = genlab("runs", "json=true", folder=tmp_path)
    assert code == 0, output
    one, two = json.loads(output)
    assert (one["model"], one["dataset"], one["state"], one["step"]) == ("vae", "mnist", "finished", 2)
    assert two["state"] == "damaged"
    assert "outputs/one" in genlab("runs", folder=tmp_path)[1]
    assert genlab("runs", "root=nowhere", folder=tmp_path)[0] == 4
