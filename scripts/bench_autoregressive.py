"""Prints how fast genlab trains models of pixels beside plain PyTorch implementations of the same networks.

    python scripts/bench_autoregressive.py [--rounds 3]

The plain networks are written as a reader of the papers would, with whole masked kernels, padding and PyTorch's own
activations; before anything is timed they are checked to give the same likelihood from the same weights. Each round
measures every line once, in turn, in this process; a figure is the median over the rounds of the ratios within a round.
"""

import time
from typing import Any

import torch
from bench_train import beside_plain_loops, config_of, rounds_given, show
from torch import Tensor, nn
from torch.nn import functional

from genlab.datasets.batches import LabelledImages
from genlab.losses.mixture import discretized_logistic_mixture
from genlab.networks.two_streams import Scale, TwoStreams, down, right, with_ones
from genlab.training import build_model

STEPS = 4
WORDS = {
    "gated_pixel_cnn": (
        *("model=gated_pixel_cnn", "dataset=mnist", "model.binarization=threshold", "model.width=64"),
        *("model.num_layers=7", "model.first_kernel=7", "dataset.batch_size=32"),
    ),
    "pixel_cnn_pp": (
        *("model=pixel_cnn_pp", "dataset=mnist", "dataset.data_shape=[1,32,32]", "model.num_levels=256"),
        *("model.width=48", "model.num_blocks=2", "dataset.batch_size=16", "callbacks=none"),
    ),
}


class PlainGatedLayer(nn.Module):
    """One layer with square kernels of which a mask hides half, as papers draw them."""

    vertical_mask: Tensor
    horizontal_mask: Tensor

    def __init__(self, ours: Any) -> None:
        super().__init__()
        width, in_width = ours.output.out_channels, ours.vertical.in_channels
        size = ours.vertical.kernel_size[1]
        self.vertical = nn.Conv2d(in_width, 2 * width, size, padding=size // 2)
        self.link = nn.Conv2d(2 * width, 2 * width, 1)
        self.horizontal = nn.Conv2d(in_width, 2 * width, (1, size), padding=(0, size // 2))
        self.output = nn.Conv2d(width, width, 1)
        vertical, horizontal = torch.zeros(size, size), torch.zeros(1, size)
        vertical[: ours.vertical.kernel_size[0]] = 1
        horizontal[:, : size // 2 + (1 if ours.is_residual else 0)] = 1
        self.register_buffer("vertical_mask", vertical)
        self.register_buffer("horizontal_mask", horizontal)
        self.is_residual = ours.is_residual
        with torch.no_grad():
            self.vertical.weight.zero_()[:, :, : ours.vertical.kernel_size[0]] = ours.vertical.weight
            for name in ("link", "horizontal", "output"):
                getattr(self, name).weight.copy_(getattr(ours, name).weight)
            for name in ("vertical", "link", "horizontal", "output"):
                getattr(self, name).bias.copy_(getattr(ours, name).bias)

    def forward(self, vertical: Tensor, horizontal: Tensor) -> tuple[Tensor, Tensor]:
        size = self.vertical.kernel_size[0]
        above = functional.conv2d(
            vertical, self.vertical.weight * self.vertical_mask, self.vertical.bias, padding=size // 2
        )
        beside = functional.conv2d(
            horizontal, self.horizontal.weight * self.horizontal_mask, self.horizontal.bias, padding=(0, size // 2)
        )
        beside = beside + self.link(above)
        output = self.output(gate(beside))
        return gate(above), horizontal + output if self.is_residual else output


def gate(features: Tensor) -> Tensor:
    content, openness = features.chunk(2, 1)
    return torch.tanh(content) * torch.sigmoid(openness)


class PlainGated(nn.Module):
    def __init__(self, ours: Any) -> None:
        super().__init__()
        self.layers = nn.ModuleList(PlainGatedLayer(layer) for layer in ours.layers)
        self.head = nn.ModuleList(nn.Conv2d(layer.in_channels, layer.out_channels, 1) for layer in ours.head)
        for mine, layer in zip(self.head, ours.head, strict=True):
            mine.load_state_dict(layer.state_dict())

    def forward(self, images: Tensor) -> Tensor:
        vertical = horizontal = images
        for layer in self.layers:
            vertical, horizontal = layer(vertical, horizontal)
        for layer in self.head:
            horizontal = layer(functional.relu(horizontal))
        return horizontal

    def loss(self, images: Tensor) -> Tensor:
        logits = self(images)
        targets = (images + 1) / 2
        losses = functional.binary_cross_entropy_with_logits(logits.float(), targets, reduction="none")
        return losses.flatten(1).sum(1).mean()


def plain_concat_elu(features: Tensor) -> Tensor:
    return functional.elu(torch.cat([features, -features], dim=1))


class PlainTwoStreams(nn.Module):
    """PixelCNN++ by PyTorch's own operations, with the convolutions of ``network``."""

    def __init__(self, network: TwoStreams) -> None:
        super().__init__()
        self.network = network

    def convolve(self, layer: Any, features: Tensor) -> Tensor:
        return layer(functional.pad(features, layer.margin))

    def block(self, block: Any, features: Tensor, shortcuts: list[Tensor]) -> Tensor:
        hidden = self.convolve(block.convolve, plain_concat_elu(features))
        if block.shortcut is not None:
            hidden = hidden + block.shortcut(plain_concat_elu(torch.cat(shortcuts, dim=1)))
        hidden = functional.dropout(plain_concat_elu(hidden), block.dropout.p, self.training)
        content, openness = self.convolve(block.gate, hidden).chunk(2, dim=1)
        return features + content * torch.sigmoid(openness)

    def scale(self, scale: Scale, u: Tensor, ul: Tensor) -> tuple[Tensor, Tensor]:
        us, uls = [u], [ul]
        for of_u, of_ul in zip(scale.u_up, scale.ul_up, strict=True):
            us.append(self.block(of_u, us[-1], []))
            uls.append(self.block(of_ul, uls[-1], [us[-1]]))
        if scale.inner is None:
            u, ul = us.pop(), uls.pop()
        else:
            halves = self.convolve(scale.u_halve, us[-1]), self.convolve(scale.ul_halve, uls[-1])
            inner_u, inner_ul = self.scale(scale.inner, *halves)
            height, width = u.shape[2:]
            u, ul = scale.u_double(inner_u)[..., :height, :width], scale.ul_double(inner_ul)[..., :height, :width]
        for of_u, of_ul in zip(scale.u_down, scale.ul_down, strict=True):
            u = self.block(of_u, u, [us.pop()])
            ul = self.block(of_ul, ul, [u, uls.pop()])
        return u, ul

    def forward(self, images: Tensor) -> Tensor:
        network, seen = self.network, with_ones(images)
        above, left = self.convolve(network.ul_first_above, seen), self.convolve(network.ul_first_left, seen)
        _, ul = self.scale(network.scale, down(self.convolve(network.u_first, seen)), down(above) + right(left))
        return network.output(functional.elu(ul))

    def loss(self, images: Tensor) -> Tensor:
        return discretized_logistic_mixture(images, self(images), 256).mean()


def plain_of(name: str) -> tuple[Any, Any]:
    """genlab's model and the plain network with the same weights."""
    model: Any = build_model(config_of(*WORDS[name]))
    return model, PlainGated(model) if name == "gated_pixel_cnn" else PlainTwoStreams(model.network)


@torch.no_grad()
def check(name: str, images: Tensor) -> None:
    """Both give the same likelihood."""
    model, plain = plain_of(name)
    images = model.eval().quantize(images)
    torch.testing.assert_close(plain.eval().loss(images), -model.log_likelihood(images).mean(), rtol=1e-4, atol=1e-3)


def by_plain_loop(name: str, batches: list[LabelledImages]) -> float:
    """Seconds of full steps, float32, after as many to warm up and a check that both are the same network."""
    check(name, batches[0].images)
    model, plain = plain_of(name)
    optimizer = torch.optim.Adam(plain.parameters(), lr=1e-3)
    for _ in range(2):
        started = time.perf_counter()
        for images, _ in batches:
            optimizer.zero_grad()
            plain.loss(model.quantize(images)).backward()
            optimizer.step()
        seconds = time.perf_counter() - started
    return seconds


def main() -> None:
    rounds = rounds_given(__doc__, 3)
    show(beside_plain_loops(WORDS, STEPS, by_plain_loop, rounds), rounds)


if __name__ == "__main__":
    main()
