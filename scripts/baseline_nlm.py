"""Prints how well non-local means clean the test crops of `dataset=photos`, the least that a denoiser has to do better.

    pip install scikit-image
    python scripts/baseline_nlm.py                  # two minutes
    python scripts/baseline_nlm.py --level 50

The noise is that which `genlab evaluate` gives `model=denoiser`, and PSNR is measured as it does: on the brightness,
without a border of 4 pixels. Non-local means are told the level of the noise, and search each crop alone; the strength
that is best for the test crops is printed, too.
"""

import argparse

import torch
from torch import Tensor

from genlab.datasets.loader import Chosen
from genlab.datasets.photos import Photos
from genlab.losses.fidelity import BORDER, signal_to_noise
from genlab.randomness import row_by_row

STRENGTHS = (0.4, 0.6, 0.8, 1.0)
"""Of smoothing, in standard deviations of the noise; scikit-image recommends 0.6 in its slow mode."""


def cleaned(noisy: Tensor, level: float, strength: float) -> Tensor:
    """``(N, C, H, W)`` in [-1, 1] without noise of ``level`` of 255."""
    from skimage.restoration import denoise_nl_means

    deviation = 2 * level / 255
    found = [
        denoise_nl_means(
            image.permute(1, 2, 0).numpy(),
            patch_size=5,
            patch_distance=11,
            h=strength * deviation,
            sigma=deviation,
            fast_mode=False,
            channel_axis=2,
        )
        for image in noisy
    ]
    return torch.stack([torch.from_numpy(image).permute(2, 0, 1) for image in found])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--level", type=float, default=25, help="standard deviation of the noise, of 255")
    parser.add_argument("--every", type=int, default=1, help="takes every so manieth crop")
    options = parser.parse_args()
    dataset = Photos("photos", (3, 64, 64), 16, 4, 64, True, 0)
    dataset.load_once()
    source = dataset.sources["test"]
    images = source.__getitems__(Chosen(-1, torch.arange(len(source)))).images
    generator = torch.Generator().manual_seed(0)
    noise = row_by_row(len(images), torch.randn, images.shape[1:], generator=generator)
    noisy = (images + 2 / 255 * options.level * noise)[:: options.every]
    images = images[:: options.every]
    print(f"{len(images)} crops, level {options.level:g}: noisy {signal_to_noise(noisy, images, BORDER).mean():.2f} dB")
    for strength in STRENGTHS:
        found = signal_to_noise(cleaned(noisy, options.level, strength), images, BORDER).mean()
        print(f"non-local means, h = {strength:g} sigma: {found:.2f} dB")


if __name__ == "__main__":
    main()
