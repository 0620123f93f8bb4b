"""Rebuilds brain.npz: 64x64 axial T1 slices of a healthy brain, some of them with a synthetic lesion and its mask.

Needs numpy, scipy, nibabel, dpkg-deb and Debian's package mricron-data 1.2.20211006+dfsg-4; ten seconds:

    apt-get download mricron-data
    python scripts/assets/brain.py mricron-data_*.deb

The package holds ch2better, the average of 27 scans of one man (Colin27) in voxels of 0.5 mm, and inia19-t1-brain, a
macaque. Each image is one slice, turned, moved, scaled, bent and perhaps mirrored a little by a fixed seed, at 2.9 mm a
pixel, front up, white matter near 200, in multiples of 4. Training and test slices are at least 1.5 mm apart.

    train           (4500, 64, 64)  healthy
    test_healthy    (400, 64, 64)   of other slices
    test_anomalous  (400, 64, 64)   with one lesion each: its kind, (400,), is a number of an entry of kinds
    test_clean      (400, 64, 64)   the same before the lesion
    test_mask       (400, 512)      numpy.packbits of where the lesion's weight is above one half
    contrast        (400,)          mean difference to test_clean inside the mask, grey levels
    train_z, test_z                 height of each slice, mm
    macaque         (100, 64, 64)   of the macaque, 1.65 mm a pixel
"""

import gzip
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from archive import Arrays, finish, members, options
from nibabel import Nifti1Image, as_closest_canonical
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates

SIDE = 64
KINDS = ["blob", "cyst", "ring", "texture"]
RADII = {"blob": (3.2, 5.5), "cyst": (3, 5.5), "ring": (4, 6.5), "texture": (5.5, 8.5)}
"""Least and largest radius of a lesion, pixels."""

TISSUE = 30
"""Grey values above this are no background."""


@dataclass(frozen=True)
class Scan:
    """A scan as it is sliced.

    Args:
        values: (right, front, up), white matter at 200, blurred to the size of a pixel.
        voxel: side of a voxel, mm.
        pixel: side of a pixel, mm.
        bottom: height of the lowest slice, mm.
        centre: (right, front) of the brain, voxels.
    """

    values: NDArray
    voxel: float
    pixel: float
    bottom: float
    centre: NDArray

    @classmethod
    def read(cls, data: bytes, pixel: float) -> "Scan":
        image = as_closest_canonical(Nifti1Image.from_bytes(gzip.decompress(data)))
        voxel = float(image.header.get_zooms()[0])
        values = np.asarray(image.dataobj).astype(np.float32)
        white = np.percentile(values[values > 0.1 * values.max()], 85)
        values = np.clip(values * (200 / white), 0, 255)
        inside = np.argwhere(values.max(2) > TISSUE)
        blur = 0.6 * pixel / voxel
        bottom = float(image.affine[2, 3])
        return cls(
            gaussian_filter(values, (blur, blur, 1.0)), voxel, pixel, bottom, (inside.min(0) + inside.max(0)) / 2
        )

    def heights(self) -> NDArray:
        return self.bottom + self.voxel * np.arange(self.values.shape[2])

    def areas(self) -> NDArray:
        """Voxels of tissue in each slice."""
        return (self.values > TISSUE).sum((0, 1))

    def view(self, level: int, rng: Generator) -> NDArray:
        """One slice, deformed at random, ``(64, 64)`` in 0 to 255."""
        y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32) - (SIDE - 1) / 2
        angle, scale = np.deg2rad(rng.uniform(-8, 8)), self.pixel / self.voxel * rng.uniform(0.94, 1.06)
        waves = [gaussian_filter(rng.standard_normal((SIDE, SIDE)), 10) for _ in range(2)]
        bends = [wave / (np.abs(wave).max() + 1e-6) * rng.uniform(0, 1.5) for wave in waves]
        x, y = x + rng.uniform(-1.5, 1.5) + bends[0], y + rng.uniform(-1.5, 1.5) + bends[1]
        side, gamma, gain = rng.choice([-1, 1]), rng.uniform(0.9, 1.1), rng.uniform(0.95, 1.05)
        right = self.centre[0] + scale * side * (np.cos(angle) * x - np.sin(angle) * y)
        front = self.centre[1] - scale * (np.sin(angle) * x + np.cos(angle) * y)
        seen = map_coordinates(self.values[:, :, level], [right, front], order=1, mode="constant")
        return np.clip(gain * 255 * (seen / 255) ** gamma, 0, 255)


def spot(rng: Generator, low: float, high: float) -> Callable[..., NDArray]:
    """An uneven, tilted blot around the origin: a function of y and x that gives its weight in 0 to 1."""
    radius, turns = rng.uniform(low, high), np.arange(1, 5)
    sizes, phases = rng.normal(0, 0.12, 4) / turns**0.5, rng.uniform(0, 2 * np.pi, 4)
    squash, tilt = rng.uniform(0.65, 1), rng.uniform(0, np.pi)

    def weight(y: NDArray, x: NDArray, factor: float = 1.0, edge: float = 1.0) -> NDArray:
        along = np.cos(tilt) * x + np.sin(tilt) * y
        across = (-np.sin(tilt) * x + np.cos(tilt) * y) / squash
        angle = np.arctan2(across, along)
        waves = sum(size * np.cos(turn * angle + phase) for size, turn, phase in zip(sizes, turns, phases, strict=True))
        return 1 / (1 + np.exp((np.hypot(along, across) - factor * radius * (1 + waves)) / edge))

    return weight


def with_lesion(clean: NDArray, kind: str, rng: Generator) -> tuple[NDArray, NDArray] | None:
    """The image with a lesion somewhere and the lesion's mask; None if it would not lie in tissue."""
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    row, column = rng.uniform(8, SIDE - 8, 2)
    shape = spot(rng, *RADII[kind])
    weight = shape(y - row, x - column, edge=rng.uniform(0.4, 0.8))
    mask = weight > 0.5
    if mask.sum() < 12 or (clean[mask] > 60).mean() < 0.9:
        return None
    grain, strength = gaussian_filter(rng.standard_normal((SIDE, SIDE)), 1.0), rng.uniform(0.7, 0.95)
    grain /= grain.std()
    around = clean[mask].mean()
    if kind == "blob":
        lesion = np.maximum(clean, around) + rng.uniform(45, 75) + 4 * grain
    elif kind == "cyst":
        lesion = rng.uniform(30, 70) + 5 * grain
    elif kind == "ring":
        core = shape(y - row, x - column, factor=0.5, edge=0.5)
        lesion = (1 - core) * (around + rng.uniform(50, 80)) + core * rng.uniform(45, 85) + 4 * grain
    else:
        fine = gaussian_filter(rng.standard_normal((SIDE, SIDE)), rng.uniform(0.5, 0.8))
        lesion = gaussian_filter(clean, 4) + fine / fine.std() * rng.uniform(30, 44)
    return np.clip((1 - strength * weight) * clean + strength * weight * lesion, 0, 255), mask


def levels_of(scan: Scan) -> tuple[NDArray, NDArray]:
    """Slices of training and of the test: of each 9 mm, the lowest 5.5 and those between 7 and 7.5."""
    height = scan.heights()
    usable = (scan.areas() * scan.voxel**2 >= 6000) & (height >= -24) & (height <= 60)
    place = (height + 24) % 9
    return np.flatnonzero(usable & (place <= 5.5)), np.flatnonzero(usable & (place >= 7) & (place <= 7.5))


def drawn(scan: Scan, levels: NDArray, count: int, rng: Generator) -> tuple[NDArray, NDArray]:
    """Views of random slices and the slices' heights."""
    chosen, views = [], []
    for _ in range(count):
        chosen.append(levels[rng.integers(len(levels))])
        views.append(scan.view(chosen[-1], rng))
    return np.stack(views), scan.heights()[chosen].astype(np.float32)


def anomalous(scan: Scan, levels: NDArray, kind: str, rng: Generator) -> tuple[NDArray, NDArray, NDArray]:
    """A clean view, the same with a lesion, and the lesion's mask; 20 places are tried on each view."""
    while True:
        clean = drawn(scan, levels, 1, rng)[0][0]
        for _ in range(20):
            if (done := with_lesion(clean, kind, rng)) is not None:
                return clean, *done


def in_fours(images: NDArray) -> NDArray:
    return (np.clip(np.round(images / 4), 0, 63) * 4).astype(np.uint8)


def main() -> None:
    given = options(__doc__ or "", "the .deb file")
    files = members(given.source, "*/templates/*.nii.gz")
    rng = np.random.default_rng(0)
    human, monkey = Scan.read(files["ch2better.nii.gz"], 2.9), Scan.read(files["inia19-t1-brain.nii.gz"], 1.65)
    train_levels, test_levels = levels_of(human)
    train, train_z = drawn(human, train_levels, 4500, rng)
    healthy, test_z = drawn(human, test_levels, 400, rng)
    kinds = np.arange(400) % 4
    triples = [anomalous(human, test_levels, KINDS[kind], rng) for kind in kinds]
    clean, lesions, masks = (np.stack(part) for part in zip(*triples, strict=True))
    contrast = [np.abs(b - a)[mask].mean() for a, b, mask in zip(clean, lesions, masks, strict=True)]
    arrays: Arrays = {
        "train": in_fours(train),
        "train_z": train_z,
        "test_healthy": in_fours(healthy),
        "test_z": test_z,
        "test_anomalous": in_fours(lesions),
        "test_clean": in_fours(clean),
        "test_mask": np.packbits(masks.reshape(400, -1), axis=1),
        "kind": kinds.astype(np.uint8),
        "kinds": np.array(KINDS),
        "contrast": np.array(contrast, np.float32),
        "licence": np.array(
            "Made from ch2better (Colin27) and INIA19 of MRIcron, Copyright 2006-2010 Chris Rorden, BSD-3-Clause; "
            "resampled, deformed, lesions added."
        ),
        "macaque": in_fours(drawn(monkey, np.flatnonzero(monkey.areas() > 7000), 100, rng)[0]),
    }
    finish("brain.npz", arrays, given.out)


if __name__ == "__main__":
    main()
