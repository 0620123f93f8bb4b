"""The user's own folder of images: memory or disk, classes, bad files, and whether it has changed."""

import os
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from genlab.datasets.image_folder import ImageFolder
from genlab.datasets.images import ImagesInMemory
from genlab.datasets.loader import Loader, WorkerLoader
from genlab.datasets.pictures import PicturesInStream
from genlab.errors import DataError, UsageError


def write(folder: Path, names: list[str], side: int = 12) -> Path:
    """Random images of different proportions, each its own."""
    for number, name in enumerate(names):
        random = np.random.default_rng(number)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 256, (side, side + number % 5, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / name)
    return folder


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    return write(tmp_path / "flat", [f"{number:02}.png" for number in range(23)])


@pytest.fixture
def spoilt(flat: Path) -> Path:
    """23 images and 4 bad files."""
    whole = (flat / "00.png").read_bytes()
    (flat / "05b.png").write_bytes(whole[: len(whole) // 2])
    (flat / "empty.jpg").touch()
    (flat / "text.png").write_text("not an image", encoding="utf-8")
    Image.new("L", (1, 1)).save(flat / "dot.gif")
    return flat


BAD = [
    "05b.png is damaged (",
    "dot.gif is too small (1x1)",
    "empty.jpg is empty (0 bytes)",
    "text.png is no image that",
]


def image_folder(path: Path | str | None, **changes: Any) -> ImageFolder:
    arguments: dict[str, Any] = {
        "name": "image_folder",
        "path": None if path is None else str(path),
        "data_shape": (3, 8, 8),
        "batch_size": 5,
        "num_validation": 0,
        "num_test": 0,
        "resize": 1.0,
        "crop": "center",
        "flip": False,
        "on_bad": "stop",
        "memory_mb": 100,
        "num_workers": 0,
        "seed": 0,
    }
    return ImageFolder(**arguments | changes)


def ready(path: Path, **changes: Any) -> ImageFolder:
    dataset = image_folder(path, **changes)
    dataset.setup()
    return dataset


def batches(dataset: ImageFolder, epoch: int = 0) -> list[tuple[torch.Tensor, ...]]:
    loader: Any = dataset.train_dataloader()
    loader.batch_sampler.set_epoch(epoch)
    return list(loader)


def same(a: list[tuple[torch.Tensor, ...]], b: list[tuple[torch.Tensor, ...]]) -> bool:
    return len(a) == len(b) and all(
        torch.equal(x, y) for one, two in zip(a, b, strict=True) for x, y in zip(one, two, strict=True)
    )


def test_batches_are_float32_images_and_int64_labels(flat: Path) -> None:
    dataset = ready(flat)
    images, labels = batches(dataset)[0]
    assert (images.shape, images.dtype, labels.dtype) == ((5, 3, 8, 8), torch.float32, torch.int64)
    assert -1 <= images.min() < images.max() <= 1
    assert dataset.sizes() == {"train": 23}
    assert (dataset.num_classes, dataset.class_names) == (None, None)


def test_sub_folders_give_labels(tmp_path: Path) -> None:
    names = [f"{label}/{number}.png" for label in ("cat", "ape", "dog") for number in range(4)]
    dataset = ready(write(tmp_path, names), batch_size=12)
    assert (dataset.num_classes, dataset.class_names) == (3, ["ape", "cat", "dog"])
    images, labels = batches(dataset)[0]
    for image, label in zip(images, labels.tolist(), strict=True):
        of_class = [
            np.asarray(Image.open(path).resize((8, 8)))
            for path in sorted((tmp_path / ("ape", "cat", "dog")[label]).iterdir())
        ]
        shown = ((image + 1) * 127.5).permute(1, 2, 0).numpy()
        assert min(np.abs(shown - other).mean() for other in of_class) < 30  # random images differ by 85


@pytest.mark.parametrize("changes", [{}, {"flip": True}, {"flip": True, "resize": 1.3, "on_bad": "skip"}])
def test_memory_and_disk_give_the_same_batches(changes: dict[str, Any], flat: Path) -> None:
    in_memory, on_disk = ready(flat, **changes), ready(flat, memory_mb=0, **changes)
    assert isinstance(in_memory.sources["train"], ImagesInMemory)
    assert isinstance(on_disk.sources["train"], PicturesInStream)
    for epoch in (0, 1):
        assert same(batches(in_memory, epoch), batches(on_disk, epoch))


def test_images_in_memory_need_no_workers(flat: Path) -> None:
    dataset = ready(flat, num_workers=2)
    assert isinstance(dataset.train_dataloader(), Loader)
    assert isinstance(ready(flat, num_workers=2, memory_mb=0).train_dataloader(), WorkerLoader)


def test_workers_give_the_same_batches_as_none(flat: Path) -> None:
    changes = {"crop": "random", "resize": 1.5, "flip": True, "num_validation": 6}
    alone, by_workers = ready(flat, **changes), ready(flat, num_workers=2, **changes)
    assert same(batches(alone, 1), batches(by_workers, 1))
    assert same(list(alone.val_dataloader()), list(by_workers.val_dataloader()))


def test_random_crops_differ_each_epoch_and_never_in_validation(flat: Path) -> None:
    changes = {"crop": "random", "resize": 1.5, "flip": True, "num_validation": 6}
    dataset, other_seed = ready(flat, **changes), ready(flat, seed=1, **changes)
    assert isinstance(dataset.sources["train"], PicturesInStream)
    assert same(batches(dataset, 0), batches(ready(flat, **changes), 0))
    whole = [torch.cat([images for images, _ in batches(dataset, epoch)]).sum() for epoch in (0, 1)]
    assert whole[0] != whole[1]
    assert same(list(dataset.val_dataloader()), list(other_seed.val_dataloader()))


def test_resuming_amid_an_epoch_repeats_its_crops(flat: Path) -> None:
    changes = {"crop": "random", "resize": 1.5, "flip": True}
    resumed = ready(flat, **changes)
    resumed.resume_at(3, 2)
    assert same(list(resumed.train_dataloader()), batches(ready(flat, **changes), 3)[2:])


@pytest.mark.parametrize("memory_mb", [0, 100])
def test_the_parts_have_other_images(memory_mb: int, flat: Path) -> None:
    dataset = ready(flat, num_validation=6, num_test=4, memory_mb=memory_mb)
    assert dataset.sizes() == {"train": 13, "validation": 6, "test": 4}
    loaders = (dataset.train_dataloader(), dataset.val_dataloader(), dataset.test_dataloader())
    seen = [image.numpy().tobytes() for loader in loaders for images, _ in loader for image in images]
    assert len(set(seen)) == 23


def test_a_folder_must_be_given() -> None:
    with pytest.raises(UsageError, match=r"needs a folder of images: dataset\.path=FOLDER"):
        image_folder(None)


def test_the_home_folder_may_be_written_short(flat: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(flat.parent))
    assert ready(Path("~/flat")).sizes() == {"train": 23}


def test_a_folder_smaller_than_a_batch_is_refused(flat: Path) -> None:
    with pytest.raises(UsageError, match="has 23 training items, fewer than one batch of 64"):
        ready(flat, batch_size=64)


def test_bad_files_stop_the_start_and_are_all_named(spoilt: Path) -> None:
    with pytest.raises(DataError) as caught:
        ready(spoilt)
    first, *listed, last = str(caught.value).splitlines()
    assert first == f"{spoilt}: 4 images cannot be used:"
    assert [line.strip()[: len(bad)] for line, bad in zip(listed, BAD, strict=True)] == BAD
    assert last.endswith("or leave them out: dataset.on_bad=skip")
    assert caught.value.exit_code == 3


def test_on_disk_heads_are_read_at_the_start_and_the_rest_is_met_later(spoilt: Path) -> None:
    with pytest.raises(DataError, match="3 images cannot be used"):
        ready(spoilt, memory_mb=0)
    for name in ("dot.gif", "empty.jpg", "text.png"):
        (spoilt / name).unlink()
    dataset = ready(spoilt, memory_mb=0)
    with pytest.raises(DataError, match=r"05b\.png is damaged \("):
        batches(dataset)


def test_of_many_bad_files_ten_are_named(tmp_path: Path) -> None:
    for number in range(15):
        (tmp_path / f"{number:02}.png").touch()
    with pytest.raises(DataError) as caught:
        ready(tmp_path)
    lines = str(caught.value).splitlines()
    assert lines[10:12] == ["  09.png is empty (0 bytes)", "  … and 5 more"]


@pytest.mark.parametrize("changes", [{}, {"memory_mb": 0}, {"memory_mb": 0, "num_workers": 2}])
def test_skipping_bad_files_counts_them_and_changes_nothing_else(changes: dict[str, Any], spoilt: Path) -> None:
    with pytest.warns(UserWarning, match=r"flat: 4 of 27 images are left out$"):
        skipping = ready(spoilt, on_bad="skip", **changes)
    assert skipping.sizes() == {"train": 23}
    for name in ("05b.png", "dot.gif", "empty.jpg", "text.png"):
        (spoilt / name).unlink()
    assert same(batches(skipping), batches(ready(spoilt)))
    assert skipping.fingerprint() == ready(spoilt).fingerprint()


def test_a_folder_of_bad_files_alone_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    (tmp_path / "b.png").touch()
    with pytest.raises(DataError, match="none of its 2 images can be used"):
        ready(tmp_path, on_bad="skip")


def test_a_class_of_bad_files_alone_is_refused_by_its_name(tmp_path: Path) -> None:
    write(tmp_path, [f"{label}/{number}.png" for label in ("ape", "cat") for number in range(5)])
    (tmp_path / "dog").mkdir()
    (tmp_path / "dog" / "0.png").touch()
    with (
        pytest.warns(UserWarning, match="1 of 11 images are left out"),
        pytest.raises(DataError, match="no item has the label dog, expected each of 3 labels"),
    ):
        ready(tmp_path, on_bad="skip")


def test_one_class_alone_is_a_warning(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="all 5 items have the label cat$"):
        ready(write(tmp_path, [f"cat/{number}.png" for number in range(5)]))


def test_files_that_are_no_images_by_their_suffix_are_counted(flat: Path) -> None:
    for name in ("a.txt", "b.csv", "photo.jpgx", "z.pdf"):
        (flat / name).touch()
    with pytest.warns(UserWarning, match=r"no images by their suffix: 4 \(a\.txt, b\.csv, photo\.jpgx …\)$"):
        assert ready(flat).sizes() == {"train": 23}


def test_check_lists_every_bad_file_in_one_pass(spoilt: Path) -> None:
    for memory_mb in (0, 100):
        problems = image_folder(spoilt, memory_mb=memory_mb).check()
        assert [problem[: len(bad)] for problem, bad in zip(problems, BAD, strict=True)] == BAD


def test_check_reads_each_file_once(flat: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    real = Image.open
    monkeypatch.setattr(Image, "open", lambda path: opened.append(Path(path).name) or real(path))
    for memory_mb in (0, 100):
        opened.clear()
        assert image_folder(flat, memory_mb=memory_mb, num_validation=4).check() == []
        assert sorted(opened) == sorted(path.name for path in flat.iterdir())


def test_check_tells_what_else_is_wrong_and_warns_of_no_skipping(spoilt: Path) -> None:
    with warnings.catch_warnings(action="error"):
        problems = image_folder(spoilt, num_validation=23).check()
    assert len(problems) == 5
    assert problems[-1].startswith("dataset.num_validation=23 leaves nothing of the 23 items")
    assert image_folder(spoilt.parent / "nowhere").check()[0].startswith("there is no folder")


def test_check_of_bad_files_alone(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    problems = image_folder(tmp_path).check()
    assert problems == ["a.png is empty (0 bytes)", f"{tmp_path}: none of its 1 images can be used"]


def test_touching_moving_and_copying_leave_the_fingerprint(flat: Path, tmp_path: Path) -> None:
    before = ready(flat).fingerprint()
    os.utime(flat / "03.png", (0, 0))
    assert ready(flat).fingerprint() == before
    assert ready(Path(shutil.copytree(flat, tmp_path / "copy"))).fingerprint() == before
    assert ready(flat.rename(tmp_path / "elsewhere"), memory_mb=0).fingerprint() == before


@pytest.mark.parametrize("change", ["edit", "add", "remove", "rename", "swap"])
def test_a_change_of_the_data_changes_the_fingerprint(change: str, flat: Path) -> None:
    before = ready(flat).fingerprint()
    if change == "edit":
        data = bytearray((flat / "07.png").read_bytes())
        data[len(data) // 2] ^= 1
        (flat / "07.png").write_bytes(data)
    elif change == "add":
        shutil.copy(flat / "07.png", flat / "99.png")
    elif change == "remove":
        (flat / "07.png").unlink()
    elif change == "rename":
        (flat / "07.png").rename(flat / "07b.png")  # the order stays
    else:
        (flat / "07.png").rename(flat / "x")
        (flat / "08.png").rename(flat / "07.png")
        (flat / "x").rename(flat / "08.png")
    dataset = image_folder(flat, on_bad="skip", memory_mb=0)
    dataset.files = sorted(path.name for path in flat.iterdir())
    assert dataset.digest() != before


@pytest.mark.parametrize("change", ["longer", "head", "tail"])
def test_of_a_long_file_the_length_and_both_ends_are_covered(change: str, tmp_path: Path) -> None:
    write(tmp_path, ["a.png"], side=120)
    data = (tmp_path / "a.png").read_bytes()
    assert len(data) > 3 * 4096
    before = ready(tmp_path, batch_size=1, memory_mb=0).fingerprint()
    changed = {
        "longer": data[:6000] + b"x" + data[6000:],
        "head": data[:50] + b"x" + data[51:],
        "tail": data[:-9] + bytes(9),
    }
    (tmp_path / "a.png").write_bytes(changed[change])
    assert ready(tmp_path, batch_size=1, memory_mb=0).fingerprint() != before


def test_a_file_that_vanishes_is_named(flat: Path) -> None:
    dataset = ready(flat)
    (flat / "07.png").unlink()
    with pytest.raises(DataError, match=r"flat/07\.png cannot be read \(No such file or directory\)$"):
        dataset.fingerprint()


def test_names_that_are_not_utf_8_are_read_and_fingerprinted(flat: Path) -> None:
    (flat / "00.png").rename(flat / os.fsdecode(b"caf\xe9 \xff.png"))
    dataset = ready(flat)
    assert dataset.sizes() == {"train": 23}
    assert len(dataset.fingerprint()) == 64
