"""What a picture has besides its pixels comes through, and nothing half-written stays."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from genlab.applied.photographs import (
    Head,
    Photograph,
    encode,
    picture,
    probe,
    quantized,
    read_photograph,
    reworked,
    whole,
    written_suffix,
)
from genlab.datasets.pictures import BadPictureError, PictureFiles

ORIENTATION, MAKER = 0x0112, 0x010F


def pixels(height: int, width: int, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (height, width, channels), dtype=np.uint8)


def read(path: Path, channels: int = 3) -> Photograph:
    return read_photograph(PictureFiles(path.parent, [path.name]), 0, channels)


def test_pixels_come_and_go_unchanged(tmp_path: Path) -> None:
    values = pixels(7, 5)
    Image.fromarray(values).save(tmp_path / "a.png")
    photograph = read(tmp_path / "a.png")
    assert np.array_equal(photograph.pixels, values.transpose(2, 0, 1))
    encode(photograph, tmp_path / "b.png", ".png")
    assert np.array_equal(np.asarray(Image.open(tmp_path / "b.png")), values)


def test_transparency_is_kept_and_scaled(tmp_path: Path) -> None:
    values = pixels(6, 4, 4)
    values[:, :2, 3], values[:, 2:, 3] = 0, 255
    Image.fromarray(values).save(tmp_path / "a.png")
    photograph = read(tmp_path / "a.png")
    assert (photograph.pixels[:, :, :2] == 255).all()  # white where nothing is seen
    double = reworked(photograph, np.zeros((3, 12, 8), np.uint8))
    encode(double, tmp_path / "b.png", ".png")
    with Image.open(tmp_path / "b.png") as image:
        assert (image.mode, image.size) == ("RGBA", (8, 12))
        alpha = np.asarray(image.getchannel("A"))
    assert (alpha[:, 0] == 0).all()
    assert (alpha[:, -1] == 255).all()
    assert np.asarray(picture(double, on_white=True))[0, 0].tolist() == [255, 255, 255]


def test_a_palette_with_a_transparent_colour_is_transparent(tmp_path: Path) -> None:
    image = Image.new("P", (4, 3), 1)
    image.putpalette([0, 0, 0, 255, 0, 0])
    image.save(tmp_path / "a.png", transparency=1)
    assert probe(PictureFiles(tmp_path, ["a.png"]), 0) == Head((4, 3), True)
    alpha = read(tmp_path / "a.png").alpha
    assert alpha is not None
    assert (alpha == 0).all()


def test_a_photograph_is_turned_upright_once(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ORIENTATION], exif[MAKER] = 6, "Maker"
    Image.new("RGB", (30, 20)).save(tmp_path / "a.jpg", exif=exif)
    photograph = read(tmp_path / "a.jpg")
    assert photograph.pixels.shape == (3, 30, 20)
    encode(photograph, tmp_path / "b.jpg", ".jpg")
    with Image.open(tmp_path / "b.jpg") as image:
        assert image.size == (20, 30)
        assert dict(image.getexif()) == {MAKER: "Maker"}


def test_a_profile_goes_with_its_colours_only(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.new("RGB", (9, 9)).save(tmp_path / "a.png", icc_profile=profile)
    Image.new("CMYK", (9, 9)).save(tmp_path / "a.tif", icc_profile=profile)
    assert read(tmp_path / "a.png").profile == profile
    assert read(tmp_path / "a.png", 1).profile is None
    assert read(tmp_path / "a.tif").profile is None


def test_levels_are_rounded_and_cut_off() -> None:
    values = torch.tensor([[[[-1.5, -1.0, 0.0, 1.0, 2.0]]]])
    assert quantized(values).ravel().tolist() == [0, 0, 128, 255, 255]
    levels = torch.arange(256)
    assert quantized(levels.view(1, 1, 16, 16) * (2 / 255) - 1).ravel().tolist() == levels.tolist()


@pytest.mark.parametrize(
    ("name", "has_alpha", "suffix"),
    [
        ("a.JPG", False, ".JPG"),
        ("a.jpg", True, ".png"),  # a PNG under a wrong name
        ("a.webp", True, ".webp"),
        ("a.gif", False, ".png"),
        ("a.psd", False, ".png"),
        ("stdin", False, ".png"),
    ],
)
def test_the_suffix_stays_if_it_can_be_written(name: str, has_alpha: bool, suffix: str) -> None:
    assert written_suffix(name, Head((9, 9), has_alpha)) == suffix


def test_what_a_format_cannot_hold_is_said(tmp_path: Path) -> None:
    Image.new("RGBA", (4, 4)).save(tmp_path / "a.png")
    with pytest.raises(BadPictureError, match=r"cannot be written as \.jpg \(cannot write mode RGBA as JPEG\)"):
        encode(read(tmp_path / "a.png"), tmp_path / "b.jpg", ".jpg")


def test_half_a_file_does_not_stay(tmp_path: Path) -> None:
    def stop(path: Path) -> None:
        with whole(path) as partial:
            partial.write_text("half")
            raise KeyboardInterrupt

    (tmp_path / "a.txt").write_text("before")
    with pytest.raises(KeyboardInterrupt):
        stop(tmp_path / "a.txt")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["before"]
