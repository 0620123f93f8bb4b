"""The messages that the page on one's own pictures shows are those that are given."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from genlab.datasets.pair_folders import PairedFolder, UnpairedFolder
from genlab.errors import GenlabError

PAGE = Path(__file__).parents[2] / "docs" / "your_images.md"


def pictures(folder: str, names: list[str], size: tuple[int, int] = (96, 72)) -> None:
    Path(folder).mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        pixels = np.random.default_rng(number).integers(0, 256, (6, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize(size).save(Path(folder) / name)


def told(kind: type[PairedFolder | UnpairedFolder], path: str, name: str) -> str:
    """What a data set with the values of its YAML says, relative to the working folder."""
    dataset = kind(name, path, (3, 64, 64), 8, 0, 0, 1.12, "random", True, "a_to_b", "stop", 0, 0)
    with pytest.raises(GenlabError) as caught:
        dataset.setup()
    return str(caught.value)


def test_the_messages_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pictures").mkdir()
    monkeypatch.chdir(tmp_path / "pictures")
    pictures("summer_winter/trainA", [f"summer_{number:02}.jpg" for number in range(40)])
    pictures("summer_winter/trainB", [f"winter_{number:02}.jpg" for number in range(30)])
    for season in ("summer", "winter"):
        pictures(f"mine/{season}", [f"IMG_{number:04}.jpg" for number in range(6)])
    page = PAGE.read_text(encoding="utf-8")
    unpaired, paired = (UnpairedFolder, "unpaired_folder"), (PairedFolder, "paired_folder")
    messages = [
        told(unpaired[0], "sumer_winter", unpaired[1]),
        told(unpaired[0], "mine", unpaired[1]),
        told(paired[0], "summer_winter", paired[1]),
    ]
    pictures("names/A", [f"{number:03}.png" for number in range(6)])
    pictures("names/B", ["000.jpg", "001.jpg", "003.jpg", "005.jpg", "7.jpg"])
    for side in ("A", "B"):
        pictures(f"sizes/{side}", [f"{number}.png" for number in range(4)])
    pictures("sizes/B", ["2.png"], (72, 96))
    pictures("odd", ["0.png", "2.png"])
    pictures("odd", ["1.png"], (97, 48))
    messages += [told(paired[0], path, paired[1]) for path in ("names", "sizes", "odd")]
    for side in ("A", "B"):
        pictures(f"bad/train{side}", [f"{number:02}.jpg" for number in range(9)])
        pictures(f"few/train{side}", [f"{number:02}.jpg" for number in range(6)])
    Path("bad/trainA/03.jpg").write_bytes(b"")
    Path("bad/trainB/07.jpg").write_text("moved", encoding="utf-8")
    messages += [told(unpaired[0], path, unpaired[1]) for path in ("bad", "few")]
    for message in messages:
        assert f"```\n{message}\n```" in page
    shutil.rmtree("few/trainB")
    assert told(unpaired[0], "few", unpaired[1]).splitlines()[0].replace("few", "half") in page
