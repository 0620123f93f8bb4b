"""The user's own pairs and domains: that pairs stay together, bad files, proportions, and what is a change."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from genlab.datasets.batches import PairedImages, UnpairedImages
from genlab.datasets.pair_folders import FolderOfTwo, PairedFolder, UnpairedFolder
from genlab.errors import DataError, UsageError

ARGUMENTS: dict[str, Any] = {
    "name": "folder",
    "data_shape": (3, 8, 8),
    "batch_size": 4,
    "num_validation": 0,
    "num_test": 0,
    "resize": 1.5,
    "crop": "random",
    "flip": True,
    "direction": "a_to_b",
    "on_bad": "stop",
    "num_workers": 0,
    "seed": 0,
}


def paired(path: Path | None, **changes: Any) -> PairedFolder:
    return PairedFolder(path=None if path is None else str(path), **ARGUMENTS | changes)


def unpaired(path: Path | None, **changes: Any) -> UnpairedFolder:
    return UnpairedFolder(path=None if path is None else str(path), **ARGUMENTS | changes)


def ready(dataset: FolderOfTwo) -> FolderOfTwo:
    dataset.setup()
    return dataset


def picture(number: int, size: tuple[int, int] = (20, 14)) -> Image.Image:
    """A smooth picture of its own, ``(width, height)``: no two are alike, and crops of it differ from each other."""
    small = np.random.default_rng(number).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    return Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)


def negative(image: Image.Image) -> Image.Image:
    return Image.eval(image, lambda value: 255 - value)


def save(image: Image.Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


@pytest.fixture
def two_files(tmp_path: Path) -> Path:
    """Pairs of a picture and its negative, in A and B."""
    for number in range(12):
        save(picture(number), tmp_path / "two" / "A" / f"{number}.png")
        save(negative(picture(number)), tmp_path / "two" / "B" / f"{number}.bmp")
    return tmp_path / "two"


@pytest.fixture
def side_by_side(tmp_path: Path) -> Path:
    """The same pairs in one file each."""
    for number in range(12):
        both = Image.new("RGB", (40, 14))
        both.paste(picture(number), (0, 0))
        both.paste(negative(picture(number)), (20, 0))
        save(both, tmp_path / "one" / f"{number}.png")
    return tmp_path / "one"


@pytest.fixture
def domains(tmp_path: Path) -> Path:
    """Nine dark pictures and six light ones."""
    for number in range(9):
        save(Image.eval(picture(number), lambda value: value // 4), tmp_path / "domains" / "trainA" / f"{number}.png")
    for number in range(6):
        save(
            Image.eval(picture(50 + number, (14, 30)), lambda value: 192 + value // 4),
            tmp_path / "domains" / "trainB" / f"light {number}.png",
        )
    return tmp_path / "domains"


def batches(dataset: FolderOfTwo, epoch: int = 0) -> list[Any]:
    loader: Any = dataset.train_dataloader()
    loader.batch_sampler.set_epoch(epoch)
    return list(loader)


def same(one: list[Any], other: list[Any]) -> bool:
    return len(one) == len(other) and all(
        torch.equal(a, b) for first, second in zip(one, other, strict=True) for a, b in zip(first, second, strict=True)
    )


@pytest.mark.parametrize("layout", ["two_files", "side_by_side"])
def test_pairs_stay_together_under_crop_and_flip(layout: str, request: pytest.FixtureRequest) -> None:
    """A crop of a negative is the negative of the same crop."""
    dataset = ready(paired(request.getfixturevalue(layout)))
    for epoch in (0, 1):
        for batch in batches(dataset, epoch):
            assert isinstance(batch, PairedImages)
            torch.testing.assert_close(batch.target, -batch.source, rtol=0, atol=3 / 255)
            assert batch.source.std() > 0.2
    assert not torch.equal(batches(dataset, 0)[0].source, batches(dataset, 1)[0].source)


def test_both_layouts_give_the_same_batches(two_files: Path, side_by_side: Path) -> None:
    """But for the pixels that interpolation takes from beyond the middle: here none, as halves are cut first."""
    centre = {"crop": "center", "flip": False}
    assert same(batches(ready(paired(two_files, **centre))), batches(ready(paired(side_by_side, **centre))))


@pytest.mark.parametrize("layout", ["two_files", "side_by_side"])
def test_the_other_direction_swaps_source_and_target(layout: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(layout)
    there, back = ready(paired(folder)), ready(paired(folder, direction="b_to_a"))
    assert same([tuple(batch)[::-1] for batch in batches(there)], batches(back))
    assert there.fingerprint() != back.fingerprint()


def test_held_out_pairs_and_parts_of_the_folder(two_files: Path, tmp_path: Path) -> None:
    dataset = ready(paired(two_files, num_validation=3, num_test=2))
    assert dataset.sizes() == {"train": 7, "validation": 3, "test": 2}
    validation = list(dataset.val_dataloader())
    assert same(validation, list(ready(paired(two_files, num_validation=3, num_test=2, seed=5)).val_dataloader()))
    for side in ("A", "B"):
        shutil.copytree(two_files / side, tmp_path / "parts" / "train" / side)
        (tmp_path / "parts" / "test" / side).mkdir(parents=True)
        for file in sorted((two_files / side).iterdir())[:4]:
            shutil.copy(file, tmp_path / "parts" / "test" / side / file.name)
    own = ready(paired(tmp_path / "parts", num_validation=3, num_test=2))
    assert own.sizes() == {"train": 9, "validation": 3, "test": 4}


def test_workers_give_the_same_batches_as_none(two_files: Path, domains: Path) -> None:
    assert same(batches(ready(paired(two_files)), 1), batches(ready(paired(two_files, num_workers=1)), 1))
    assert same(batches(ready(unpaired(domains)), 1), batches(ready(unpaired(domains, num_workers=1)), 1))


def test_partners_of_other_proportions_are_bad(two_files: Path) -> None:
    save(picture(3, (14, 20)), two_files / "B" / "3.bmp")
    save(picture(4, (40, 28)), two_files / "B" / "4.bmp")  # another size alone is not
    with pytest.raises(DataError) as caught:
        ready(paired(two_files))
    assert "\n  A/3.png is 20x14 and its partner B/3.bmp 14x20: of other proportions\n" in str(caught.value)
    assert "4.png" not in str(caught.value)


def test_a_width_that_cannot_be_halved_is_bad(side_by_side: Path) -> None:
    save(picture(0, (41, 14)), side_by_side / "5.png")
    with pytest.raises(DataError, match=r"5\.png is 41 pixels wide, which are no two pictures of one width"):
        ready(paired(side_by_side))


def test_single_pictures_that_pass_for_pairs_are_told(tmp_path: Path) -> None:
    for number in range(6):
        save(picture(number, (20, 20)), tmp_path / "single" / f"{number}.png")
    with pytest.warns(
        UserWarning, match="one of 20x20 are taken for two side by side, of 10x20 each; if they are single"
    ):
        ready(paired(tmp_path / "single", num_validation=1, num_test=1))


def test_exif_turns_both_halves(tmp_path: Path) -> None:
    """A picture that is stored on its side is halved as it is seen."""
    both = Image.new("RGB", (40, 10), "red")
    both.paste("blue", (20, 0, 40, 10))
    exif = Image.Exif()
    exif[0x0112] = 6
    for number in range(4):
        both.transpose(Image.Transpose.ROTATE_90).save(tmp_path / f"{number}.png", exif=exif)
    batch = batches(ready(paired(tmp_path, crop="center")))[0]
    assert (batch.source[:, 0] > 0.9).all()
    assert (batch.target[:, 2] > 0.9).all()


def spoil(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def test_a_pair_is_left_out_if_either_picture_is_bad(two_files: Path) -> None:
    spoil(two_files / "A" / "2.png")
    (two_files / "B" / "7.bmp").write_bytes(b"")
    with pytest.raises(DataError, match=r"A/7\.png has the partner B/7\.bmp, which is empty \(0 bytes\)"):
        ready(paired(two_files))
    with pytest.warns(UserWarning, match="2 of 12 images are left out"):
        skipping = ready(paired(two_files, on_bad="skip"))
    for number in (2, 7):
        (two_files / "A" / f"{number}.png").unlink()
        (two_files / "B" / f"{number}.bmp").unlink()
    clean = ready(paired(two_files))
    assert same(batches(skipping), batches(clean))
    assert skipping.fingerprint() == clean.fingerprint()


def test_bad_pictures_of_both_domains_are_named_at_once(domains: Path) -> None:
    (domains / "trainA" / "0.png").write_bytes(b"")
    (domains / "trainB" / "light 1.png").write_text("text", encoding="utf-8")
    with pytest.raises(DataError) as caught:
        ready(unpaired(domains))
    assert str(caught.value).splitlines()[:3] == [
        f"{domains}: 2 images cannot be used:",
        "  trainA/0.png is empty (0 bytes)",
        "  trainB/light 1.png is no image that Pillow can read",
    ]
    assert [line.split()[0] for line in unpaired(domains).check()] == ["trainA/0.png", "trainB/light"]


def test_a_domain_of_bad_pictures_alone_is_refused(domains: Path) -> None:
    for path in (domains / "trainB").iterdir():
        path.write_bytes(b"")
    with (
        pytest.warns(UserWarning, match="6 of 15 images are left out"),
        pytest.raises(DataError, match="none of the 6 images of train can be used"),
    ):
        ready(unpaired(domains, on_bad="skip"))


def test_domains_keep_to_their_sides_and_the_smaller_one_comes_again(domains: Path) -> None:
    dataset = ready(unpaired(domains))
    assert dataset.sizes() == {"train": 9}
    for batch in batches(dataset):
        assert isinstance(batch, UnpairedImages)
        assert batch.first.max() < -0.4
        assert batch.second.min() > 0.4
    back = batches(ready(unpaired(domains, direction="b_to_a")))
    assert all(batch.first.min() > 0.4 for batch in back)
    assert not dataset.has_counterparts


def test_held_out_pictures_are_of_each_domain(domains: Path) -> None:
    dataset = ready(unpaired(domains, num_validation=2, num_test=1))
    assert dataset.sizes() == {"train": 6, "validation": 2, "test": 1}


@pytest.mark.parametrize("change", ["edit", "remove", "rename"])
def test_a_change_of_the_data_changes_the_fingerprint(change: str, domains: Path) -> None:
    before = ready(unpaired(domains)).fingerprint()
    path = domains / "trainB" / "light 3.png"
    if change == "edit":
        save(picture(99), path)
    elif change == "remove":
        path.unlink()
    else:
        path.rename(path.with_name("light 3b.png"))
    assert ready(unpaired(domains)).fingerprint() != before


def test_a_copy_elsewhere_has_the_same_fingerprint(domains: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(domains, tmp_path / "copy"))
    assert ready(unpaired(domains)).fingerprint() == ready(unpaired(copy)).fingerprint()


def test_what_is_not_used_is_said(domains: Path) -> None:
    (domains / "valA").mkdir()
    (domains / "trainA" / "readme.txt").touch()
    with pytest.warns(UserWarning, match=r"not used: 2 \(valA/, trainA/readme\.txt\)"):
        ready(unpaired(domains))


def test_a_folder_must_be_given() -> None:
    for make in (paired, unpaired):
        with pytest.raises(UsageError, match=r"needs a folder of images: dataset\.path=FOLDER"):
            make(None)
