"""From an image file of any kind to a uint8 array of one shape."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image

from genlab.datasets.loader import Chosen
from genlab.datasets.pictures import BadPictureError, PictureFiles, PicturesInStream, cut, plain
from genlab.errors import DataError

RANDOM = np.random.default_rng(0)
RED = (200, 40, 20)


def noise(*shape: int) -> np.ndarray:
    return RANDOM.integers(0, 256, shape, dtype=np.uint8)


def smooth(height: int, width: int) -> np.ndarray:
    """A ramp in each direction, which resizing changes little."""
    down, right = np.meshgrid(np.linspace(0, 255, height), np.linspace(0, 255, width), indexing="ij")
    return np.stack([down, right, (down + right) / 2], -1).round().astype(np.uint8)


def read(folder: Path, name: str, shape: tuple[int, int, int] = (3, 8, 8), **options: float) -> np.ndarray:
    chosen = {"resize": 1.0, "random_crop": False, "flip": False, **options}
    return PicturesInStream(PictureFiles(folder, [name]), [0], torch.zeros(1), shape, seed=0, **chosen).array(0, -1)


def refused(folder: Path, name: str) -> str:
    stream = PicturesInStream(PictureFiles(folder, [name]), [0], torch.zeros(1), (3, 8, 8), 1.0, False, False, seed=0)
    return stream.bad()[0].removeprefix(f"{name} ")


@pytest.mark.parametrize(
    ("mode", "colour", "suffix", "seen"),
    [
        ("RGB", RED, "png", RED),
        ("L", 77, "png", (77, 77, 77)),
        ("1", 1, "png", (255, 255, 255)),
        ("CMYK", (0, 255, 255, 0), "tif", (255, 0, 0)),
        ("CMYK", (0, 255, 255, 0), "jpg", (255, 0, 0)),
        ("RGBA", (*RED, 255), "png", RED),
        ("RGBA", (*RED, 0), "png", (255, 255, 255)),  # transparency is laid on white
        ("RGBA", (0, 0, 0, 128), "png", (127, 127, 127)),
        ("LA", (0, 0), "png", (255, 255, 255)),
        ("I;16", 65535, "png", (255, 255, 255)),
        ("I;16", 200, "png", (1, 1, 1)),  # a dark image of 16 bits stays dark
        ("LAB", (137, 128, 128), "tif", (128, 128, 128)),  # L* of 53.7
        ("I", 32896, "tif", (128, 128, 128)),
        ("I", 200, "tif", (200, 200, 200)),
        ("YCbCr", (76, 85, 255), "jpg", (254, 0, 0)),
    ],
)
def test_every_colour_mode_becomes_rgb_and_grey(
    mode: str, colour: Any, suffix: str, seen: tuple[int, int, int], tmp_path: Path
) -> None:
    Image.new(mode, (9, 7), colour).save(tmp_path / f"a.{suffix}")
    array = read(tmp_path, f"a.{suffix}")
    assert (array.shape, array.dtype) == ((3, 8, 8), np.uint8)
    assert np.abs(array.astype(int) - np.array(seen)[:, None, None]).max() <= 2
    grey = read(tmp_path, f"a.{suffix}", (1, 8, 8))
    assert np.abs(grey - np.dot((0.299, 0.587, 0.114), seen)).max() <= 2  # ITU-R BT.601


def test_a_palette_and_its_transparent_colour(tmp_path: Path) -> None:
    image = Image.new("P", (8, 8), 1)
    image.putpalette([0, 0, 0, *RED])
    image.save(tmp_path / "a.png")
    image.save(tmp_path / "b.png", transparency=1)
    assert read(tmp_path, "a.png")[:, 3, 3].tolist() == list(RED)
    assert read(tmp_path, "b.png")[:, 3, 3].tolist() == [255, 255, 255]


def test_one_channel_makes_colours_grey(tmp_path: Path) -> None:
    image = Image.fromarray(noise(8, 8, 3))
    image.save(tmp_path / "a.png")
    assert np.array_equal(read(tmp_path, "a.png", (1, 8, 8))[0], np.asarray(image.convert("L")))


def test_an_image_of_the_right_size_is_read_as_it_is(tmp_path: Path) -> None:
    pixels = noise(8, 8, 3)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert np.array_equal(read(tmp_path, "a.png"), pixels.transpose(2, 0, 1))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotated_images_stand_upright(orientation: int, tmp_path: Path) -> None:
    """Against the definition of the tag: where row 0 and column 0 of the stored image belong."""
    stored = smooth(40, 60)
    upright = {
        1: stored,
        2: stored[:, ::-1],
        3: stored[::-1, ::-1],
        4: stored[::-1],
        5: stored.swapaxes(0, 1),
        6: stored[::-1].swapaxes(0, 1),
        7: stored[::-1, ::-1].swapaxes(0, 1),
        8: stored[:, ::-1].swapaxes(0, 1),
    }[orientation]
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    Image.fromarray(stored).save(tmp_path / "a.png", exif=exif)
    image = PictureFiles(tmp_path, ["a.png"]).open(0, 8)
    assert np.array_equal(np.asarray(image), upright)


def test_the_sides_keep_their_proportion_and_the_middle_is_taken(tmp_path: Path) -> None:
    pixels = np.zeros((10, 30, 3), np.uint8)
    pixels[:, 10:20] = 255
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert (read(tmp_path, "a.png", (3, 10, 10)) == 255).all()
    wide = read(tmp_path, "a.png", (3, 10, 30))
    assert np.array_equal(wide, pixels.transpose(2, 0, 1))


@pytest.mark.parametrize("size", [(20, 20), (20, 37), (64, 31), (9, 100), (300, 200)])
@pytest.mark.parametrize("cover", [(16, 16), (32, 24)])
def test_a_cut_is_what_scaling_the_whole_image_and_cropping_gives(
    size: tuple[int, int], cover: tuple[int, int]
) -> None:
    image = Image.fromarray(smooth(*size))
    scale = max(cover[0] / size[0], cover[1] / size[1])
    whole = image.resize((round(size[1] * scale), round(size[0] * scale)), Image.Resampling.BICUBIC)
    for down, right in ((0.0, 0.0), (0.5, 0.5), (0.999, 0.999)):
        top, left = int(down * (whole.height - 16 + 1)), int(right * (whole.width - 16 + 1))
        cropped = np.asarray(whole)[top : top + 16, left : left + 16]
        piece = np.asarray(cut(image, cover, (16, 16), down, right))
        assert np.abs(piece.astype(int) - cropped).max() <= 2


def test_a_crop_without_scaling_copies_pixels() -> None:
    pixels = noise(20, 30, 3)
    piece = np.asarray(cut(Image.fromarray(pixels), (20, 30), (8, 8), 0.25, 0.75))
    assert np.array_equal(piece, pixels[3:11, 17:25])


def test_30_000_pixels_wide_is_no_trouble(tmp_path: Path) -> None:
    pixels = np.zeros((2, 30_000, 3), np.uint8)
    pixels[:, 14_000:16_000] = RED
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert (read(tmp_path, "a.png", (3, 64, 64), resize=8.0) == np.array(RED)[:, None, None]).all()


def test_a_large_jpeg_is_decoded_at_a_fraction_and_looks_the_same(tmp_path: Path) -> None:
    Image.fromarray(smooth(800, 1200)).save(tmp_path / "a.jpg", quality=95)
    with Image.open(tmp_path / "a.jpg") as whole:
        slow = np.asarray(whole.resize((24, 16), Image.Resampling.BOX)).transpose(2, 0, 1).astype(int)
    assert PictureFiles(tmp_path, ["a.jpg"]).open(0, 24).width < 1200
    assert np.abs(read(tmp_path, "a.jpg", (3, 16, 24)) - slow).max() <= 4


def test_only_the_content_says_what_a_file_is(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8), RED).save(tmp_path / "a.bmp")
    (tmp_path / "a.bmp").rename(tmp_path / "a.jpg")
    assert (read(tmp_path, "a.jpg")[:, 0, 0] == RED).all()


def png(size: tuple[int, int] = (60, 60)) -> bytes:
    file = io.BytesIO()
    Image.fromarray(noise(size[1], size[0], 3)).save(file, "png")
    return file.getvalue()


def test_damaged_files_say_what_is_wrong(tmp_path: Path) -> None:
    whole = png()
    jpeg = io.BytesIO()
    Image.fromarray(noise(60, 60, 3)).save(jpeg, "jpeg")
    for name, data in {
        "empty.png": b"",
        "text.png": b"hello",
        "half.png": whole[: len(whole) // 2],
        "half.jpg": jpeg.getvalue()[: len(jpeg.getvalue()) // 2],
        "head.png": whole[:20],
        "flipped.png": whole[:200] + bytes([whole[200] ^ 255]) + whole[201:],
    }.items():
        (tmp_path / name).write_bytes(data)
    assert refused(tmp_path, "empty.png") == "is empty (0 bytes)"
    assert refused(tmp_path, "text.png") == "is no image that Pillow can read"
    for name in ("half.png", "half.jpg", "flipped.png"):
        assert refused(tmp_path, name).startswith("is damaged (")
    assert refused(tmp_path, "head.png").startswith("is ")
    assert refused(tmp_path, "missing.png") == "cannot be read (No such file or directory)"
    (tmp_path / "folder.png").mkdir()
    assert refused(tmp_path, "folder.png") == "cannot be read (Is a directory)"


def test_images_too_small_or_too_large_are_refused(tmp_path: Path) -> None:
    Image.new("L", (1, 1)).save(tmp_path / "dot.png")
    Image.new("L", (30_000, 1)).save(tmp_path / "line.png")
    Image.new("1", (20_000, 10_000)).save(tmp_path / "bomb.png")
    assert refused(tmp_path, "dot.png") == "is too small (1x1)"
    assert refused(tmp_path, "line.png") == "is too small (30000x1)"
    assert refused(tmp_path, "bomb.png").startswith("is too large (Image size (200000000 pixels) exceeds limit")


def test_values_of_unknown_range_are_refused() -> None:
    with pytest.raises(BadPictureError, match="floating-point values"):
        plain(Image.new("F", (4, 4)), 3)
    with pytest.raises(BadPictureError, match="has values from -5 to -5, expected 8 or 16 bits"):
        plain(Image.new("I", (4, 4), -5), 3)
    with pytest.raises(BadPictureError, match="is in colour mode La, which Pillow does not convert"):
        plain(Image.new("La", (4, 4)), 3)


@pytest.fixture
def stream(tmp_path: Path) -> PicturesInStream:
    """Six images of 12 x 12, cropped by chance to 8 x 8 and mirrored."""
    for item in range(6):
        Image.fromarray(noise(12, 12, 3)).save(tmp_path / f"{item}.png")
    files = PictureFiles(tmp_path, [f"{item}.png" for item in range(6)])
    return PicturesInStream(files, list(range(6)), torch.arange(6), (3, 8, 8), 1.5, True, True, seed=3)


def test_a_batch_is_float32_from_minus_one_to_one(stream: PicturesInStream) -> None:
    batch = stream.__getitems__(Chosen(-1, torch.tensor([4, 1])))
    assert (batch.images.shape, batch.images.dtype) == ((2, 3, 8, 8), torch.float32)
    assert batch.labels.tolist() == [4, 1]
    pixels = torch.from_numpy(np.stack([stream.array(4, -1), stream.array(1, -1)]))
    assert torch.equal(((batch.images + 1) * 127.5).round().byte(), pixels)


def test_crops_and_mirrors_follow_from_seed_epoch_and_item(stream: PicturesInStream) -> None:
    whole = stream.__getitems__(Chosen(2, torch.arange(6))).images
    again = PicturesInStream(stream.pictures, stream.items, stream.labels, (3, 8, 8), 1.5, True, True, seed=3)
    alone = torch.cat([again.__getitems__(Chosen(2, torch.tensor([item]))).images for item in reversed(range(6))])
    assert torch.equal(alone.flip(0), whole)
    assert not torch.equal(stream.__getitems__(Chosen(3, torch.arange(6))).images, whole)
    other = PicturesInStream(stream.pictures, stream.items, stream.labels, (3, 8, 8), 1.5, True, True, seed=4)
    assert not torch.equal(other.__getitems__(Chosen(2, torch.arange(6))).images, whole)


def test_a_random_crop_lies_in_the_image_and_may_be_mirrored(stream: PicturesInStream, tmp_path: Path) -> None:
    pixels = np.asarray(Image.open(tmp_path / "0.png")).transpose(2, 0, 1)
    windows = {
        pixels[:, top : top + 8, left : left + 8][:, :, ::step].tobytes(): (top, left, step)
        for top in range(5)
        for left in range(5)
        for step in (1, -1)
    }
    found = {windows[stream.array(0, epoch).tobytes()] for epoch in range(200)}
    assert {top for top, _, _ in found} == {left for _, left, _ in found} == set(range(5))
    assert {step for _, _, step in found} == {1, -1}
    assert windows[stream.array(0, -1).tobytes()] == (2, 2, 1)


def test_all_bad_files_of_a_batch_are_named(stream: PicturesInStream, tmp_path: Path) -> None:
    (tmp_path / "1.png").write_bytes(b"")
    (tmp_path / "3.png").unlink()
    with pytest.raises(DataError) as caught:
        stream.__getitems__(Chosen(0, torch.arange(6)))
    assert str(caught.value).splitlines()[:3] == [
        "2 images cannot be used:",
        "  1.png is empty (0 bytes)",
        "  3.png cannot be read (No such file or directory)",
    ]
    assert stream.bad() == {1: "1.png is empty (0 bytes)", 3: "3.png cannot be read (No such file or directory)"}
