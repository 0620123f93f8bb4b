"""Draws the picture of the README: samples of some runs side by side.

python scripts/gallery.py RUN RUN RUN --out docs/samples.png
"""

import argparse
from pathlib import Path

import torch
from torchvision.utils import save_image

from genlab.callbacks.sample_grid import image_grid
from genlab.loaded_run import load_model
from genlab.models.capabilities import Samples


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    grids = []
    for name in given.runs:
        model = load_model(name).model
        assert isinstance(model, Samples)
        with torch.no_grad():
            images = model.sample(36, None, torch.Generator().manual_seed(0))
        if images.shape[2] < 28:
            images = images.repeat_interleave(32 // images.shape[2], 2).repeat_interleave(32 // images.shape[2], 3)
        margin = (32 - images.shape[2]) // 2
        grids.append(image_grid(torch.nn.functional.pad(images, [margin] * 4, value=-1), 6))
    gap = torch.ones(3, grids[0].shape[1], 16)
    pieces = [piece for grid in grids for piece in (grid, gap)][:-1]
    given.out.parent.mkdir(exist_ok=True)
    save_image(torch.cat(pieces, dim=2), given.out)


if __name__ == "__main__":
    main()
