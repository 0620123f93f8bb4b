"""Checkpoint files: nothing damaged is ever loaded, nothing malicious is ever executed, nothing is half-written."""

import multiprocessing
import os
import pickle
import resource
import signal
import zipfile
from pathlib import Path

import pytest
import torch

from genlab.checkpoint import DIGEST_LENGTH, load, save, stamp, verify
from genlab.errors import ResourceError, RunError


def small() -> dict:
    return {"genlab": stamp({"seed": 0}, "f" * 64) | {"step": 3}, "state_dict": {"weight": torch.arange(6.0)}}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    save(small(), tmp_path / "last.ckpt")
    return tmp_path / "last.ckpt"


def test_what_was_saved_is_loaded(path: Path) -> None:
    assert torch.equal(load(path)["state_dict"]["weight"], torch.arange(6.0))


def test_tensors_of_megabytes_are_hashed_in_their_order(tmp_path: Path) -> None:
    tensors = [torch.full((300_000,), float(number)) for number in range(5)]
    save(small() | {"state_dict": tensors}, tmp_path / "last.ckpt")
    assert all(torch.equal(*pair) for pair in zip(load(tmp_path / "last.ckpt")["state_dict"], tensors, strict=True))


def test_plain_torch_and_zip_readers_still_read_the_file(path: Path) -> None:
    assert torch.load(path, weights_only=True)["genlab"]["step"] == 3
    assert zipfile.ZipFile(path).testzip() is None


def test_every_flipped_bit_is_found(path: Path) -> None:
    good, missed = path.read_bytes(), []
    with path.open("r+b", buffering=0) as file:
        for position, byte in enumerate(good):
            for bit in range(8):
                os.pwrite(file.fileno(), bytes([byte ^ 1 << bit]), position)
                try:
                    verify(path)
                except RunError:
                    pass
                else:
                    missed.append((position, bit))
            os.pwrite(file.fileno(), bytes([byte]), position)
    verify(path)
    assert missed == []


@pytest.mark.parametrize("length", [0, 1, DIGEST_LENGTH, 200, -1])
def test_a_cut_file_is_refused_by_name(path: Path, length: int) -> None:
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(RunError, match=r"last\.ckpt is damaged or cut short"):
        load(path)


def test_garbage_and_text_are_refused(tmp_path: Path) -> None:
    for number, content in enumerate((b"hello\n", os.urandom(5000), b"\0" * 5000)):
        path = tmp_path / f"{number}.ckpt"
        path.write_bytes(content)
        with pytest.raises(RunError, match="damaged or cut short"):
            load(path)


class Evil:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple:
        return (Path.touch, (self.target,))


def test_a_malicious_pickle_is_refused_and_not_executed(tmp_path: Path) -> None:
    executed, path = tmp_path / "executed", tmp_path / "evil.ckpt"
    save({"genlab": Evil(executed)}, path)
    with pytest.raises(RunError, match="more than tensors and plain data"):
        load(path)
    assert not executed.exists()
    pickle.loads(pickle.dumps(Evil(executed)))  # the attack does work where pickles are trusted
    assert executed.exists()


def test_another_format_is_refused_with_the_version_that_reads_it(tmp_path: Path) -> None:
    checkpoint = small()
    checkpoint["genlab"] |= {"format": 99, "version": "9.0"}
    save(checkpoint, tmp_path / "new.ckpt")
    with pytest.raises(RunError, match=r"format 99, written by genlab 9\.0"):
        load(tmp_path / "new.ckpt")


def test_a_full_disk_keeps_the_earlier_checkpoint(path: Path) -> None:
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(ResourceError, match="could not be written"):
            save(small() | {"big": torch.zeros(100_000)}, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == ["last.ckpt"]


def test_killed_while_saving_leaves_a_whole_checkpoint(path: Path) -> None:
    """A child saves over and over and is killed at moments spread over many saves."""
    for moment in range(10):
        reader, writer = os.pipe()
        child = multiprocessing.get_context("fork").Process(target=save_for_ever, args=(path, writer))
        child.start()
        os.close(writer)
        assert os.read(reader, 1) == b"!"
        child.join(0.007 * moment)
        child.kill()
        child.join()
        os.close(reader)
        verify(path)


def save_for_ever(path: Path, writer: int) -> None:
    os.write(writer, b"!")
    while True:
        save({"genlab": stamp({}, ""), "w": torch.zeros(300_000)}, path)
