"""How much faster drawing is that computes each pixel once than drawing with the whole network for each pixel.

    OMP_NUM_THREADS=1 python scripts/bench_sampling.py [--rounds 3] [--only pixel_cnn]

Both draw the same images with the same weights, which the tests show. The naive way is timed on a few of its passes,
in turn with the other, and multiplied: all of them would take hours. No way can gain more than there are pixels, the
bound.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from genlab.config import build, compose

NETWORKS = {
    "pixel_cnn": (
        "pixel_cnn",
        ["dataset=mnist", "model.width=64", "model.num_blocks=15", "model.first_kernel=7", "model.num_levels=256"],
    ),
    "gated_pixel_cnn": (
        "gated_pixel_cnn",
        ["dataset=mnist", "model.width=128", "model.num_layers=10", "model.first_kernel=7", "model.num_levels=256"],
    ),
    "pixel_cnn_pp": ("pixel_cnn_pp", ["+experiment=pixel_cnn_pp_released"]),
}
PASSES = 3


def seconds(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=NETWORKS, help="one network")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 16, 256], help="images drawn at a time")
    arguments = parser.parse_args()
    print(f"{torch.get_num_threads()} threads, median of {arguments.rounds} rounds", flush=True)
    for name, (model_name, words) in NETWORKS.items():
        if arguments.only in (None, name):
            measure(name, build_model(model_name, words), arguments.rounds, arguments.batches)


def build_model(name: str, words: list[str]) -> Any:
    torch.manual_seed(0)
    binarization = [] if name == "pixel_cnn_pp" else ["model.binarization=none"]
    chosen = [] if any(word.startswith("+experiment") for word in words) else [f"model={name}"]
    return build(compose("train", [*chosen, *words, *binarization]).config["model"], "model").eval()


def measure(name: str, model: Any, rounds: int, batches: list[int]) -> None:
    _, height, width = model.image_shape
    for batch in batches:
        images = model.sample(batch, None, torch.Generator().manual_seed(0))  # and warms up
        labels = torch.zeros(batch, dtype=torch.int64) if hasattr(model, "num_classes") else None
        whole_network, pixel_by_pixel = partial(model.predict, images, labels), partial(model.sample, batch, labels)
        cached, naive = [], []
        for _ in range(rounds):
            naive += [seconds(whole_network) for _ in range(PASSES)]
            cached.append(seconds(pixel_by_pixel))
        once, whole = statistics.median(cached), statistics.median(naive)
        print(
            f"{name}, {height}x{width}, batch {batch}: {whole * height * width / once:.0f}x the naive way "
            f"(bound {height * width}), {batch / once:.2f} images/s, {once / whole:.1f} passes of the whole network",
            flush=True,
        )


if __name__ == "__main__":
    main()
