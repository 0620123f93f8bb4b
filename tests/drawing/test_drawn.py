"""Movies: what their frames show, and what is said without the library that videos need."""

import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence

from genlab.drawing.drawn import Drawn, check_folder, video_library, write
from genlab.errors import RunError, UsageError
from genlab.processes import fresh_processes

WALKS = torch.linspace(-1, 1, 12).view(12, 1, 1, 1).expand(12, 1, 5, 5)
"""Three walks of four images, each of one grey that is brighter than the last."""


def test_each_frame_of_a_walk_shows_one_step_of_all_walks(tmp_path: Path) -> None:
    files = write(Drawn(WALKS, 4, "walk"), tmp_path, video=False)
    assert sorted(files) == sorted(path.name for path in tmp_path.iterdir())
    assert {"walk.gif", "grid.png", "0011.png"} <= set(files)
    with Image.open(tmp_path / "walk.gif") as gif:
        assert len(list(ImageSequence.Iterator(gif))) == 4
        for step in range(4):
            gif.seek(step)
            pixels = np.asarray(gif.convert("L"))
            side = (pixels.shape[1] - 2) // 3
            middles = [pixels[side // 2, 2 + walk * side + side // 2] for walk in range(3)]
            expected = [(WALKS[4 * walk + step, 0, 0, 0].item() + 1) / 2 * 255 for walk in range(3)]
            np.testing.assert_allclose(middles, expected, atol=2)


def test_earlier_files_give_way(tmp_path: Path) -> None:
    write(Drawn(WALKS, 4, "walk"), tmp_path, video=False)
    check_folder(tmp_path)
    write(Drawn(WALKS[:2]), tmp_path, video=False)
    assert {path.name for path in tmp_path.iterdir()} == {"grid.png", "0000.png", "0001.png", "samples.npz"}


@pytest.mark.parametrize("name", ["notes.txt", "table.csv", "figure.png", "0001.png.bak", "walk", "samples"])
def test_a_sampling_to_which_something_was_added_is_not_replaced(name: str, tmp_path: Path) -> None:
    write(Drawn(WALKS[:2]), tmp_path, video=False)
    (tmp_path / name).touch()
    with pytest.raises(RunError, match="holds other files, and nothing of yours is overwritten"):
        check_folder(tmp_path)
    write(Drawn(WALKS[:2]), tmp_path, video=False)
    assert (tmp_path / name).is_file()


@pytest.mark.parametrize("side", [5, 29])
def test_a_video_has_the_frames_of_the_gif(side: int, tmp_path: Path) -> None:
    av = pytest.importorskip("av", reason="videos come with the extra `video`")
    frames = torch.linspace(-1, 1, 6).view(6, 1, 1, 1, 1).expand(6, 3, 1, side, side)
    assert write(Drawn(frames, picture="chain"), tmp_path, video=True) == ["chain.gif", "chain.mp4", "samples.npz"]
    with av.open(str(tmp_path / "chain.mp4")) as video:
        pictures = [frame.to_ndarray(format="gray") for frame in video.decode(video=0)]
        assert video.streams.video[0].average_rate == 10
    assert len(pictures) == 6
    brightness = [picture[10:30, 10:30].mean() for picture in pictures]
    np.testing.assert_allclose(brightness, np.linspace(0, 255, 6), atol=8)


def test_without_the_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(UsageError, match=r"video=true needs PyAV; without it .*: pip install .*\[video\]"):
        video_library()


def test_the_library_is_not_imported_before_a_video_is_wanted() -> None:
    with ProcessPoolExecutor(1, fresh_processes()) as pool:
        assert not pool.submit(has_video_library).result()


def has_video_library() -> bool:
    """Called where only this module and what it imports are there."""
    return "av" in sys.modules
