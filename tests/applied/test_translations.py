"""Translation of files: batches, borders, places and what is refused, with models of which the answer is known."""

import base64
import csv
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from genlab.applied.inputs import Inputs, images_at
from genlab.applied.photographs import Head
from genlab.applied.results import Applied, places_of, result_names
from genlab.applied.sheets import Sheet
from genlab.applied.translations import Translation, blend, heads_of, translate
from genlab.errors import DataError, RunError, UsageError


class Fake:
    """Applies a function, and remembers the shapes that it was given."""

    directions = ("x_to_y", "y_to_x")
    device = torch.device("cpu")

    def __init__(self, function: Callable[[Tensor], Tensor], stride: int = 1, scale: int = 1) -> None:
        self.function = function
        self.stride = stride
        self.scale = scale
        self.given: list[tuple[int, ...]] = []

    def translate(self, images: Tensor, direction: str = "x_to_y", generator: None = None) -> Tensor:
        self.given.append(tuple(images.shape))
        assert not images.shape[2] % self.stride
        assert not images.shape[3] % self.stride
        return self.function(images) if direction == "x_to_y" else images


def negative(images: Tensor) -> Tensor:
    return -images


def doubled(images: Tensor) -> Tensor:
    return images.repeat_interleave(2, 2).repeat_interleave(2, 3)


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)


def fill(folder: Path, sizes: dict[str, tuple[int, int]]) -> None:
    folder.mkdir(exist_ok=True)
    for seed, (name, (width, height)) in enumerate(sizes.items()):
        Image.fromarray(noise(height, width, seed)).save(folder / name)


def run(
    model: Fake,
    given: str,
    output: Path | None,
    tile: int | None = 64,
    direction: str = "x_to_y",
    batch_size: int = 4,
    sheet: Sheet | None = None,
    usual: Path | None = None,
) -> Applied:
    translation = Translation(model, 3, direction, tile, batch_size, "32-true")
    with images_at(given) as inputs:
        place = None if output is None else str(output)
        return translate(translation, inputs, place, usual or Path(given), sheet)


def test_images_keep_their_names_and_sizes(tmp_path: Path) -> None:
    fill(tmp_path / "in", {"a.png": (31, 17), "b.webp": (5, 3), "c.bmp": (40, 40)})
    applied = run(Fake(negative, stride=8), str(tmp_path / "in"), tmp_path / "out")
    assert applied.left_out == []
    assert set(applied.files) == {"a.png", "b.webp", "c.bmp"}
    for name, size in {"a.png": (31, 17), "b.webp": (5, 3), "c.bmp": (40, 40)}.items():
        assert Image.open(tmp_path / "out" / name).size == size
    for name in ("a.png", "c.bmp"):  # without loss
        before, after = (np.asarray(Image.open(tmp_path / where / name)) for where in ("in", "out"))
        assert np.array_equal(after, 255 - before)


def test_results_are_as_many_times_larger_as_the_model_says(tmp_path: Path) -> None:
    fill(tmp_path / "in", {"a.png": (31, 17), "large.png": (150, 90)})
    model = Fake(doubled, stride=4, scale=2)
    run(model, str(tmp_path / "in"), tmp_path / "out")
    for name in ("a.png", "large.png"):
        before, after = (np.asarray(Image.open(tmp_path / where / name)) for where in ("in", "out"))
        assert np.array_equal(after, before.repeat(2, 0).repeat(2, 1))
    assert max(shape[3] for shape in model.given) == 64


def test_the_border_is_a_reflection() -> None:
    seen: list[Tensor] = []

    def keep(images: Tensor) -> Tensor:
        seen.append(images)
        return images

    values = torch.arange(18, dtype=torch.uint8).view(1, 1, 1, 18).expand(-1, 3, 20, -1).numpy()
    Translation(Fake(keep, stride=8), 3, "x_to_y", None, 1, "32-true")(values)
    row = ((seen[0][0, 0, 0] + 1) * 127.5).round().int().tolist()
    assert row == [3, 2, 1, *range(18), 16, 15, 14]


def test_images_of_one_size_are_a_batch_and_large_ones_are_alone(tmp_path: Path) -> None:
    fill(tmp_path / "in", {f"{place}.png": (20, 20) for place in range(9)} | {"wide.png": (60, 60), "z.png": (60, 60)})
    model = Fake(negative)
    run(model, str(tmp_path / "in"), tmp_path / "out")
    assert model.given == [(4, 3, 20, 20), (4, 3, 20, 20), (1, 3, 20, 20), (1, 3, 60, 60), (1, 3, 60, 60)]


def test_batches_and_tiles_change_nothing(tmp_path: Path) -> None:
    fill(tmp_path / "in", {f"{place}.png": (150, 100) for place in range(3)})
    network = nn.Conv2d(3, 3, 5, padding=2)
    results = []
    for name, tile, batch_size in (("tiles", 64, 1), ("whole", None, 1), ("batch", None, 3)):
        with torch.no_grad():
            run(Fake(network), str(tmp_path / "in"), tmp_path / name, tile=tile, batch_size=batch_size)
        results.append([np.asarray(Image.open(tmp_path / name / f"{place}.png")).astype(int) for place in range(3)])
    for others in results[1:]:
        for one, other in zip(results[0], others, strict=True):
            assert abs(one - other).max() <= 1  # of 255, where a half is rounded


def test_bf16_is_near() -> None:
    values = noise(20, 30).transpose(2, 0, 1)[None]
    network = nn.Conv2d(3, 3, 3, padding=1)
    with torch.no_grad():
        exact, fast = (
            Translation(Fake(network), 3, "x_to_y", None, 1, precision)(values).astype(int)
            for precision in ("32-true", "bf16-mixed")
        )
    assert 0 < abs(exact - fast).max() <= 4  # of 255


def test_each_tile_is_counted() -> None:
    counts: list[int] = []
    translation = Translation(Fake(negative), 3, "x_to_y", 64, 4, "32-true")
    translation(noise(150, 100).transpose(2, 0, 1)[None], counts.append)
    translation(np.zeros((4, 3, 20, 20), np.uint8), counts.append)
    assert counts == [1] * translation.tiles((100, 150)) + [4]


def test_files_turned_by_exif_stand_among_upright_ones(tmp_path: Path) -> None:
    fill(tmp_path / "in", {"a.jpg": (40, 20)})
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(noise(20, 40)).save(tmp_path / "in" / "b.jpg", exif=exif)
    applied = run(Fake(negative), str(tmp_path / "in"), tmp_path / "out")
    assert [(row["width"], row["height"]) for row in applied.values] == [(40, 20), (20, 40)]


def test_bad_files_are_left_out_and_leave_nothing(tmp_path: Path) -> None:
    fill(tmp_path / "in", {"good.png": (20, 20), "half.png": (200, 200)})
    half = tmp_path / "in" / "half.png"
    half.write_bytes(half.read_bytes()[:2000])  # its head is whole
    (tmp_path / "in" / "empty.png").touch()
    applied = run(Fake(negative), str(tmp_path / "in"), tmp_path / "out")
    assert applied.left_out[0] == "empty.png is empty (0 bytes)"
    assert applied.left_out[1].startswith("half.png is damaged")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"good.png", "translations.csv"}
    with (tmp_path / "out" / "translations.csv").open() as file:
        assert list(csv.reader(file)) == [["file", "output"], ["good.png", "good.png"]]
    (tmp_path / "in" / "good.png").unlink()
    with pytest.raises(DataError, match=r"no image can be used:\n  empty"):
        run(Fake(negative), str(tmp_path / "in"), tmp_path / "other")


def test_an_earlier_output_in_the_run_folder_is_replaced_and_nothing_else(tmp_path: Path) -> None:
    fill(tmp_path / "in", {"a.png": (20, 20), "b.png": (20, 20)})
    folder = tmp_path / "usual"
    run(Fake(negative), str(tmp_path / "in"), None, sheet="html", usual=folder)
    (folder / "mine.png").write_bytes((folder / "a.png").read_bytes())
    run(Fake(negative), str(tmp_path / "in" / "a.png"), None, usual=folder)
    assert {path.name for path in folder.iterdir()} == {"a.png", "mine.png", "translations.csv"}
    fill(tmp_path / "in", {"mine.png": (20, 20)})
    with pytest.raises(RunError, match=r"mine\.png exists, and nothing of yours is overwritten"):
        run(Fake(negative), str(tmp_path / "in"), None, usual=folder)


def test_a_named_folder_is_a_new_one(tmp_path: Path) -> None:
    fill(tmp_path / "in", {"a.png": (20, 20)})
    (tmp_path / "out").mkdir()
    run(Fake(negative), str(tmp_path / "in"), tmp_path / "out")
    before = (tmp_path / "out" / "a.png").read_bytes()
    for given, output in ((tmp_path / "in", "out"), (tmp_path / "in", "in"), (tmp_path / "out", "out")):
        with pytest.raises(RunError, match="is not empty, and nothing of yours is overwritten: name a new folder"):
            run(Fake(negative), str(given), tmp_path / output)
    assert (tmp_path / "out" / "a.png").read_bytes() == before


def test_no_transparent_picture_is_written_where_there_is_no_transparency(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    Image.new("RGBA", (20, 20), (9, 9, 9, 99)).save(tmp_path / "in" / "a.png")
    with pytest.raises(UsageError, match=r"\.jpg holds no transparency, which the image has: name a \.png"):
        run(Fake(negative), str(tmp_path / "in"), tmp_path / "a.jpg")


def test_beside_and_single_files(tmp_path: Path) -> None:
    fill(tmp_path / "in", {"a.jpg": (20, 20), "b.png": (20, 20)})
    given = str(tmp_path / "in" / "*.jpg")
    applied = run(Fake(negative), given, Path("beside"))
    assert applied.files == [str(tmp_path / "in" / "a-x_to_y.jpg")]
    assert Path(applied.files[0]).is_file()
    with pytest.raises(RunError, match=r"a-x_to_y\.jpg exists"):
        run(Fake(negative), str(tmp_path / "in" / "a.jpg"), Path("beside"))
    assert run(Fake(negative), str(tmp_path / "in" / "b.png"), tmp_path / "new" / "c.webp").folder is None
    assert Image.open(tmp_path / "new" / "c.webp").size == (20, 20)
    with pytest.raises(UsageError, match=r"c\.webp is one image, but 3 are given: name a folder"):
        run(Fake(negative), str(tmp_path / "in"), tmp_path / "c.webp")
    with pytest.raises(UsageError, match=r"a\.gif: \.gif is not written; name a file in \.jpg, .*, or a folder"):
        run(Fake(negative), str(tmp_path / "in" / "b.png"), tmp_path / "a.gif")
    with pytest.raises(UsageError, match="sheet=png goes with a folder of its own, not with output=beside"):
        run(Fake(negative), str(tmp_path / "in" / "b.png"), Path("beside"), sheet="png")


def test_a_pattern_keeps_folders_and_hides_what_is_hidden(tmp_path: Path) -> None:
    for folder in ("one", "two", ".three"):
        fill(tmp_path / folder, {"a.png": (20, 20), "b.png": (20, 20)})
    with images_at(str(tmp_path / "**" / "a.png")) as inputs:
        assert (inputs.folder, inputs.names) == (tmp_path, ["one/a.png", "two/a.png"])
        assert inputs.stems == ["one-a", "two-a"]
    applied = run(Fake(negative), str(tmp_path / "**" / "a.png"), tmp_path / "out")
    assert applied.files == ["one/a.png", "two/a.png"]
    assert (tmp_path / "out" / "two" / "a.png").is_file()
    with pytest.raises(DataError, match="no image is called like that"), images_at(str(tmp_path / "*.png")):
        pass


def test_names_that_would_be_the_same() -> None:
    names = ["a.gif", "a.PNG", "a.psd", "b.gif", "sheet.png"]
    heads = {item: Head((9, 9), False) for item in range(5)}
    found = result_names(names, heads, {"sheet.png"})
    assert found == {0: "a.gif.png", 1: "a.PNG", 2: "a.psd.png", 3: "b.png", 4: "sheet.png.png"}


def test_the_list_of_an_output_leads_nowhere_else(tmp_path: Path) -> None:
    fill(tmp_path / "in", {"a.png": (20, 20)})
    fill(tmp_path, {"mine.png": (20, 20)})
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "translations.csv").write_text(f"file,output\na,../mine.png\nb,{tmp_path / 'mine.png'}\n")
    run(Fake(negative), str(tmp_path / "in"), None, usual=tmp_path / "out")
    assert (tmp_path / "mine.png").is_file()


def test_a_sheet_needs_no_other_file(tmp_path: Path) -> None:
    fill(tmp_path / "in", {"a & b.png": (20, 30), "c.png": (700, 400)})
    applied = run(Fake(doubled, scale=2), str(tmp_path / "in"), None, sheet="html", usual=tmp_path / "out")
    page = (tmp_path / "out" / "translations.html").read_text(encoding="utf-8")
    assert "translations.html" in applied.files
    assert "<figcaption>a &amp; b.png</figcaption>" in page
    data = page.split("base64,")[1:]
    assert len(data) == 4
    assert "src=" in page
    assert "http" not in page
    with Image.open(io.BytesIO(base64.b64decode(data[2].split('"')[0]))) as image:
        assert image.size == (320, 183)
    run(Fake(negative), str(tmp_path / "in"), None, sheet="png", usual=tmp_path / "out")
    assert not (tmp_path / "out" / "translations.html").exists()
    with Image.open(tmp_path / "out" / "translations.png") as image:
        assert image.width >= 640


def test_heads_tell_sizes_and_faults(tmp_path: Path) -> None:
    fill(tmp_path, {"a.png": (20, 30), "b.png": (1, 1)})
    heads, bad = heads_of(Inputs(tmp_path, ["a.png", "b.png"], "").pictures)
    assert heads == {0: Head((20, 30), False)}
    assert bad == {1: "b.png is too small (1x1)"}


class Pasting:
    """Takes the source where the mask is."""

    device = torch.device("cpu")

    def blend(self, source: Tensor, destination: Tensor, mask: Tensor) -> Tensor:
        assert mask.dtype == torch.bool
        return torch.where(mask, source, destination)


def test_a_blend(tmp_path: Path) -> None:
    fill(tmp_path, {"source.png": (30, 20), "destination.png": (30, 20), "small.png": (9, 9)})
    mask = np.zeros((20, 30), np.uint8)
    mask[5:10, 5:10] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    Image.fromarray(0 * mask).save(tmp_path / "black.png")
    source, destination, small, white, black = (
        str(tmp_path / f"{name}.png") for name in ("source", "destination", "small", "mask", "black")
    )
    usual = tmp_path / "out"
    applied = blend(Pasting(), 3, source, destination, white, None, usual)
    assert applied.files == ["destination.png"]
    arrays = [np.asarray(Image.open(name)) for name in (source, destination, usual / "destination.png")]
    expected = np.where(mask[..., None] > 0, arrays[0], arrays[1])
    assert np.array_equal(arrays[2], expected)
    with pytest.raises(DataError, match="must be of one size: source 9x9, destination 30x20, mask 30x20"):
        blend(Pasting(), 3, small, destination, white, None, usual)
    with pytest.raises(DataError, match="it is all black"):
        blend(Pasting(), 3, source, destination, black, None, usual)
    with pytest.raises(DataError, match=r"mask=nowhere\.png: there is no such file"):
        blend(Pasting(), 3, source, destination, "nowhere.png", None, usual)
    with pytest.raises(RunError, match=r"mask\.png exists"):
        blend(Pasting(), 3, source, destination, white, white, usual)


def test_standard_input_lies_nowhere(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="output=beside: standard input lies nowhere"):
        places_of("beside", tmp_path, Inputs(tmp_path, ["stdin"], "stdin"), {0: Head((9, 9), False)}, "x", "x", None)
