"""One texture in crops: genlab's own, or a file of the user's."""

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from genlab.datasets.embedded import ASSETS
from genlab.datasets.loader import Chosen
from genlab.datasets.textures import FILE, TEXTURES, Texture
from genlab.errors import DataError


def ready(texture: str | Path, **changes: Any) -> Texture:
    arguments: dict[str, Any] = {
        "name": "texture",
        "texture": str(texture),
        "data_shape": (3, 64, 64),
        "batch_size": 4,
        "crops_per_epoch": 20,
        "flip": False,
        "seed": 0,
    }
    dataset = Texture(**arguments | changes)
    dataset.setup()
    return dataset


def images(dataset: Texture, split: str, epoch: int = -1) -> torch.Tensor:
    source: Any = dataset.sources[split]
    return source.__getitems__(Chosen(epoch, torch.arange(len(source)))).images


def test_the_names_are_those_of_the_pack_and_in_the_configuration() -> None:
    with zipfile.ZipFile(ASSETS / FILE) as archive:
        assert sorted(TEXTURES) == [item["name"] for item in json.loads(archive.read("index.json"))["items"]]


def test_the_test_is_a_grid_of_the_texture_itself() -> None:
    dataset = ready("brick")
    assert dataset.sizes() == {"train": 20, "test": 16}
    assert torch.equal(images(dataset, "test"), images(ready("brick", seed=1), "test"))
    whole = dataset.picture().float().mul(2 / 255).sub(1)
    grid = images(dataset, "test").reshape(4, 4, 3, 64, 64).permute(2, 0, 3, 1, 4).reshape(3, 256, 256)
    torch.testing.assert_close(grid, whole, rtol=0, atol=1e-6)


def test_crops_are_others_each_epoch_and_the_same_by_one_seed() -> None:
    dataset, again = ready("pebbles"), ready("pebbles")
    assert torch.equal(images(dataset, "train", 5), images(again, "train", 5))
    assert not torch.equal(images(dataset, "train", 5), images(dataset, "train", 6))
    assert dataset.fingerprint() == again.fingerprint() != ready("soil").fingerprint()


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (70, 90, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "mine.png")
    dataset = ready(tmp_path / "mine.png")
    assert dataset.sizes() == {"train": 20, "test": 1}
    assert torch.equal(dataset.picture(), torch.from_numpy(pixels).permute(2, 0, 1))
    assert ready(tmp_path / "mine.png", data_shape=(1, 32, 32)).picture().shape == (1, 70, 90)


def test_a_wrong_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(DataError, match=r"(?s)no texture 'pebles' and no such file; did you mean 'pebbles'.*rattan"):
        ready("pebles")


def test_a_picture_smaller_than_a_crop_is_refused(tmp_path: Path) -> None:
    Image.new("RGB", (80, 40)).save(tmp_path / "small.png")
    with pytest.raises(DataError, match="has 40x80 pixels, fewer than a crop of 64x64"):
        ready(tmp_path / "small.png")


def test_a_file_that_is_no_picture_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no picture", encoding="utf-8")
    with pytest.raises(DataError, match=r"text\.png is no image that Pillow can read"):
        ready(tmp_path / "text.png")
