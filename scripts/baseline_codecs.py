"""What PNG and WebP need for the test images of a data set, in bits for each colour of a pixel.

    python scripts/baseline_codecs.py [DATASET]

Both are lossless and at their slowest settings; each image is a file of its own. The second figure leaves out what
every file has, whatever its image: signatures, sizes and check sums.

A likelihood model is to be compared with them on the same images: genlab evaluate RUN metrics=[log_likelihood].
"""

import argparse
import io
import struct
from collections.abc import Callable

import numpy as np
import torch
from PIL import Image

from genlab.config import build, compose
from genlab.datasets.base import Dataset
from genlab.datasets.loader import Chosen


def png_content(file: bytes) -> int:
    """Bytes of the image data among the chunks of a PNG file."""
    place, size = 8, 0
    while place < len(file):
        (length,), kind = struct.unpack(">I", file[place : place + 4]), file[place + 4 : place + 8]
        size += length if kind == b"IDAT" else 0
        place += length + 12
    return size


def webp_content(file: bytes) -> int:
    """Bytes of the image data in a lossless WebP file: its VP8L chunk without signature, width and height."""
    place = 12
    while file[place : place + 4] != b"VP8L":
        place += 8 + (struct.unpack("<I", file[place + 4 : place + 8])[0] + 1) // 2 * 2
    return int(struct.unpack("<I", file[place + 4 : place + 8])[0]) - 5


CODECS: dict[str, tuple[dict[str, object], Callable[[bytes], int]]] = {
    "PNG": ({"optimize": True}, png_content),
    "WEBP": ({"lossless": True, "quality": 100, "method": 6}, webp_content),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", nargs="?", default="emoji_32", help="of 256 levels")
    name = parser.parse_args().dataset
    dataset = build(compose("train", [f"dataset={name}"]).config["dataset"], "dataset")
    assert isinstance(dataset, Dataset)
    dataset.setup()
    source = dataset.sources["test"]
    images = source.__getitems__(Chosen(-1, torch.arange(len(source)))).images
    pixels = ((images + 1) * 127.5).round().byte().permute(0, 2, 3, 1).squeeze(3).numpy()
    print(f"{len(pixels)} test images of {name}, bits a pixel and colour: files, and without their headers")
    for codec, (settings, content) in CODECS.items():
        files = [encoded(image, codec, settings) for image in pixels]
        whole, bare = (8 * sum(sizes) / pixels.size for sizes in (map(len, files), map(content, files)))
        print(f"{codec:5} {whole:.3f} {bare:.3f}")


def encoded(image: np.ndarray, codec: str, settings: dict[str, object]) -> bytes:
    out = io.BytesIO()
    Image.fromarray(image).save(out, codec, **settings)
    return out.getvalue()


if __name__ == "__main__":
    main()
