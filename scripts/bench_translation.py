"""Prints how fast genlab trains translators, and applies them, beside plain loops of the same networks and losses.

    python scripts/bench_translation.py            # about an hour on 2 cores that do nothing else
    python scripts/bench_translation.py --rounds 1

The networks are the papers' for 128x128. The plain loops call each of them once for each thing, as the papers' formulas
read. Each round measures every line once, in turn, in this process; a figure is the median over the rounds of the
ratios within a round. Where the CPU computes in bf16 itself, the losses after 50 steps in bf16 are compared with those
in float32, too. The last lines translate a folder of 200 files, whose plain loop reads, translates and writes one after
the other.
"""

import contextlib
import csv
import io
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from bench_train import beside_plain_loops, config_of, rounds_given, show
from PIL import Image
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, l1_loss, mse_loss
from torchvision.transforms.functional import to_tensor
from torchvision.utils import save_image

from genlab.cli import main as main_of_genlab
from genlab.config import build, compose, save
from genlab.config.devices import cpu_bf16
from genlab.loaded_run import load_model
from genlab.run import Run
from genlab.training import build_model, fit, prepare

STEPS = 12
FILES = 200
BF16_STEPS = 50
CYCLEGAN = ("model=cyclegan", "model.width=64", "model.num_blocks=6", "model.num_downsamplings=2", "model.num_layers=3")
PIX2PIX = (
    *("model=pix2pix", "dataset=satellite_to_relief", "dataset.data_shape=[3,128,128]"),
    *("model.width=64", "model.depth=7", "model.num_layers=3"),
)
WORDS = {
    "cyclegan 128, batch 1": (*CYCLEGAN, "dataset.data_shape=[3,128,128]", "dataset.batch_size=1"),
    "cyclegan 64, batch 8": (*CYCLEGAN, "dataset.batch_size=8"),
    "pix2pix 128, batch 1": (*PIX2PIX, "dataset.batch_size=1"),
    "pix2pix 128, batch 16": (*PIX2PIX, "dataset.batch_size=16"),
}


class Pool(list[Tensor]):
    """Fifty earlier images, as the authors' code keeps them."""

    def shown(self, images: Tensor) -> Tensor:
        found = []
        for image in images.detach():
            if len(self) < 50:
                self.append(image)
            elif torch.rand(()) < 0.5:
                place = int(torch.randint(50, ()))
                image, self[place] = self[place], image
            found.append(image)
        return torch.stack(found)


def towards(scores: Tensor, value: float) -> Tensor:
    return mse_loss(scores, torch.full_like(scores, value))


def cyclegan_step(model: Any, optimizers: Sequence[torch.optim.Optimizer], pools: list[Pool], batch: Any) -> None:
    x, y = batch
    judges = (model.discriminator_x, model.discriminator_y)
    for judge in judges:
        judge.requires_grad_(False)
    fake_y, fake_x = model.x_to_y(x), model.y_to_x(y)
    cycle = l1_loss(model.y_to_x(fake_y), x) + l1_loss(model.x_to_y(fake_x), y)
    identity = l1_loss(model.y_to_x(x), x) + l1_loss(model.x_to_y(y), y)
    game = towards(model.discriminator_y(fake_y), 1) + towards(model.discriminator_x(fake_x), 1)
    optimizers[0].zero_grad()
    (game + 10 * cycle + 5 * identity).backward()
    optimizers[0].step()
    for judge in judges:
        judge.requires_grad_(True)
    optimizers[1].zero_grad()
    for judge, real, fake, pool in zip(judges, (x, y), (fake_x, fake_y), pools, strict=True):
        ((towards(judge(real), 1) + towards(judge(pool.shown(fake)), 0)) / 2).backward()
    optimizers[1].step()


def pix2pix_step(model: Any, optimizers: Sequence[torch.optim.Optimizer], pools: list[Pool], batch: Any) -> None:
    source, target = batch
    judge = model.discriminator
    fake = model.generator(source, lambda num_rows, *shape: torch.rand(num_rows, *shape))

    def told(images: Tensor, value: float) -> Tensor:
        logits = judge(torch.cat([source, images], 1))
        return binary_cross_entropy_with_logits(logits, torch.full_like(logits, value))

    optimizers[1].zero_grad()
    ((told(target, 1) + told(fake.detach(), 0)) / 2).backward()
    optimizers[1].step()
    judge.requires_grad_(False)
    optimizers[0].zero_grad()
    (told(fake, 1) + 100 * l1_loss(fake, target)).backward()
    optimizers[0].step()
    judge.requires_grad_(True)


def bare(name: str, batches: list[Any]) -> float:
    """Seconds of full steps, float32, after as many to warm up."""
    model: Any = build_model(config_of(*WORDS[name])).to(memory_format=torch.contiguous_format)
    step = cyclegan_step if name.startswith("cyclegan") else pix2pix_step
    optimizers, pools = model.configure_optimizers(), [Pool(), Pool()]
    for _ in range(2):
        started = time.perf_counter()
        for batch in batches:
            step(model, optimizers, pools, batch)
        seconds = time.perf_counter() - started
    return seconds


def losses_after(*words: str) -> dict[str, float]:
    """The mean of each loss over the last ten of ``BF16_STEPS`` steps."""
    config = config_of(*words, f"trainer.max_steps={BF16_STEPS}", "trainer.max_epochs=1000")
    config["trainer"] |= {"log_every_n_steps": 1}
    with tempfile.TemporaryDirectory() as folder:
        run = Run.create(Path(folder) / "run")
        save(config, run.folder / "config.yaml")
        fit(run, config, *prepare(config))
        with (run.folder / "log.csv").open(encoding="utf-8") as file:
            rows = [row for row in csv.DictReader(file) if row.get("train/generator") or row.get("train/generator_x")]
    names = [name for name, value in rows[-1].items() if name.startswith("train/") and value]
    return {name: statistics.mean(float(row[name]) for row in rows[-10:]) for name in names}


def one_by_one(run: Path, pictures: Path, results: Path) -> float:
    """Seconds of a plain loop that translates the files of a folder, without loading the model."""
    model: Any = load_model(str(run)).model
    results.mkdir(exist_ok=True)
    started = time.perf_counter()
    with torch.no_grad():
        for file in sorted(pictures.iterdir()):
            image = to_tensor(Image.open(file).convert("RGB"))[None] * 2 - 1
            save_image((model.translate(image)[0] + 1) / 2, results / file.name)
    return time.perf_counter() - started


def by_apply(run: Path, pictures: Path, results: Path, *words: str) -> float:
    """Seconds of ``genlab apply``, which loads the model, too."""
    started = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        assert main_of_genlab(["apply", str(run), f"input={pictures}", f"output={results}", *words]) == 0
    return time.perf_counter() - started


def beside_one_by_one(rounds: int) -> dict[str, list[float]]:
    """Ratios of seconds of 200 files, plain loop to ``genlab apply``."""
    ratios: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        words = ["model=cyclegan", "trainer.max_steps=1", "callbacks=none", f"threads={torch.get_num_threads()}"]
        config = compose("train", words).config
        run = Run.create(folder / "run")
        save(config, run.folder / "config.yaml")
        fit(run, config, *prepare(config))
        dataset = build(config["dataset"], "dataset")
        dataset.setup()
        (folder / "pictures").mkdir()
        images = next(iter(dataset.train_dataloader()))[0]
        for number in range(FILES):
            image = images[number % len(images)].roll(number, 2)
            save_image((image + 1) / 2, folder / "pictures" / f"{number:03}.png")
        for number in range(rounds):
            plain = one_by_one(run.folder, folder / "pictures", folder / "plain")
            for precision in ("32-true", "bf16-mixed") if cpu_bf16() else ("32-true",):
                results = folder / f"{number}-{precision}"
                ours = by_apply(run.folder, folder / "pictures", results, f"precision={precision}")
                line = f"apply to {FILES} files of 64x64: seconds, plain loop in float32 : genlab apply, {precision}"
                ratios.setdefault(line, []).append(plain / ours)
    return ratios


def main() -> None:
    rounds = rounds_given(__doc__, 5)
    ratios = beside_plain_loops(WORDS, STEPS, bare, rounds) | beside_one_by_one(rounds)
    if cpu_bf16():
        words = WORDS["cyclegan 64, batch 8"]
        exact, coarse = losses_after(*words), losses_after(*words, "precision=bf16-mixed")
        for name, value in exact.items():
            change = coarse[name] / value - 1
            print(f"{name} after {BF16_STEPS} steps: {value:.4f} in float32, {change:+.1%} in bf16")
    show(ratios, rounds)


if __name__ == "__main__":
    main()
