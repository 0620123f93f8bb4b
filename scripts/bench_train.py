"""Prints how fast genlab trains beside plain loops: ratios of figures measured in turn in this one process.

    python scripts/bench_train.py            # about 10 minutes on 2 cores that do nothing else
    python scripts/bench_train.py --rounds 1

Each round measures every line once; a figure is the median over the rounds of the ratios within a round. Beside other
work, OMP_NUM_THREADS=1 gives steadier figures.
"""

import argparse
import itertools
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytorch_lightning as pl
import torch
from rich.console import Console
from rich.table import Table
from torchvision import datasets, transforms

from genlab import checkpoint
from genlab.config import build, compose, save
from genlab.config.devices import cpu_bf16
from genlab.datasets.base import Dataset
from genlab.datasets.embedded import ASSETS
from genlab.models.dcgan import DCGAN
from genlab.models.vae import VAE, binary
from genlab.run import Run
from genlab.training import build_model, fit, keep_freed_memory, prepare, resolve_threads

VAE_STEPS = 200
VAE_WORDS = ("model=vae", "model.hidden_dims=[400]", "model.latent_dim=20", f"trainer.limit_train_batches={VAE_STEPS}")
DCGAN_WORDS = ("model=dcgan", "dataset.data_shape=[1,64,64]", "model.width=64", "dataset.batch_size=64")
DCGAN_STEPS = 8


class Clock(pl.Callback):
    """Notes the seconds of each epoch's batches, without validation and checkpoints."""

    seconds: ClassVar[list[float]] = []

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.started = time.perf_counter()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.seconds.append(time.perf_counter() - self.started)


def config_of(*words: str) -> dict[str, Any]:
    settings = ["accelerator=cpu", "trainer.limit_val_batches=0", "trainer.enable_progress_bar=false", *words]
    config = compose("train", settings).config
    clock = {"_target_": f"{Clock.__module__}.Clock"}
    return config | {"threads": torch.get_num_threads(), "callbacks": {"clock": clock}}


def by_genlab(*words: str) -> float:
    """Seconds of the second epoch of a whole run: run folder, TensorBoard, CSV, checks and all."""
    config = config_of(*words, "trainer.max_epochs=2")
    Clock.seconds.clear()
    with tempfile.TemporaryDirectory() as folder, Path(os.devnull).open("w") as silence:
        run = Run.create(Path(folder) / "run")
        save(config, run.folder / "config.yaml")
        standard = os.dup(1)
        os.dup2(silence.fileno(), 1)
        try:
            fit(run, config, *prepare(config))
        finally:
            os.dup2(standard, 1)
            os.close(standard)
    return Clock.seconds[1]


def bare_vae(batches: Callable[[], Any]) -> float:
    """Seconds of as many batches, with the same model in a loop of ten lines, after as many to warm up."""
    model = build_model(config_of(*VAE_WORDS))
    assert isinstance(model, VAE)
    optimizer = model.configure_optimizers()
    for _ in range(2):
        started = time.perf_counter()
        for images, _ in itertools.islice(batches(), VAE_STEPS):
            noise = torch.randn(len(images), model.latent_dim)
            reconstruction, kl = model.bound(binary(images, torch.rand_like(images)), noise)
            loss = reconstruction.mean() + kl.mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        seconds = time.perf_counter() - started
    return seconds


def usual_vae(loader: torch.utils.data.DataLoader[Any]) -> float:
    """The same, as a common example has it: images decoded one by one, Adam's defaults, the loss read at each step."""
    model = build_model(config_of(*VAE_WORDS))
    assert isinstance(model, VAE)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(2):
        started = time.perf_counter()
        total = 0.0
        for images, _ in itertools.islice(loader, VAE_STEPS):
            optimizer.zero_grad()
            noise = torch.randn(len(images), model.latent_dim)
            reconstruction, kl = model.bound(torch.bernoulli(images), noise)
            loss = reconstruction.mean() + kl.mean()
            loss.backward()
            total += loss.item()
            optimizer.step()
        seconds = time.perf_counter() - started
    return seconds


def bare_dcgan(batches: list[torch.Tensor], precision: str = "32", channels_last: bool = False) -> float:
    """Seconds of a number of full steps of the same networks in a plain loop."""
    model = build_model(config_of(*DCGAN_WORDS))
    assert isinstance(model, DCGAN)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    generator, discriminator = model.generator.to(memory_format=layout), model.discriminator.to(memory_format=layout)
    generator_optimizer, discriminator_optimizer = model.configure_optimizers()
    softplus = torch.nn.functional.softplus
    for _ in range(2):
        started = time.perf_counter()
        for images in batches:
            images = images.contiguous(memory_format=layout)
            with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
                fake = generator(torch.randn(len(images), model.latent_dim))
                loss = softplus(-discriminator(images)).mean() + softplus(discriminator(fake.detach())).mean()
            discriminator_optimizer.zero_grad()
            loss.backward()
            discriminator_optimizer.step()
            discriminator.requires_grad_(False)
            with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
                loss = softplus(-discriminator(fake)).mean()
            generator_optimizer.zero_grad()
            loss.backward()
            generator_optimizer.step()
            discriminator.requires_grad_(True)
        seconds = time.perf_counter() - started
    return seconds


def write_idx(folder: Path) -> None:
    """The embedded MNIST in the files that torchvision reads."""
    raw = folder / "MNIST" / "raw"
    raw.mkdir(parents=True)
    with np.load(ASSETS / "mnist.npz") as arrays:
        for split, prefix in (("train", "train"), ("test", "t10k")):
            for kind, axes in (("images", 3), ("labels", 1)):
                array = arrays[f"{split}_{kind}"]
                head = bytes([0, 0, 8, axes]) + np.array(array.shape, ">u4").tobytes()
                (raw / f"{prefix}-{kind}-idx{axes}-ubyte").write_bytes(head + array.tobytes())


def checkpoint_seconds(state: dict[str, Any], folder: Path) -> tuple[float, float]:
    """A plain ``torch.save`` with fsync; then genlab's: saved, hashed, renamed and verified."""
    started = time.perf_counter()
    with (folder / "plain.pt").open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    plain = time.perf_counter() - started
    started = time.perf_counter()
    checkpoint.save(state, folder / "last.ckpt")
    checkpoint.verify(folder / "last.ckpt")
    return plain, time.perf_counter() - started


def rounds_given(description: str | None, usual: int) -> int:
    """What ``--rounds`` says; sets up this process."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=usual)
    rounds: int = parser.parse_args().rounds
    os.environ["GENLAB_ALLOW"] = Clock.__module__
    torch.set_num_threads(resolve_threads("auto"))
    keep_freed_memory()
    return rounds


def beside_plain_loops(
    recipes: Mapping[str, Sequence[str]], steps: int, plain: Callable[[str, list[Any]], float], rounds: int
) -> dict[str, list[float]]:
    """Ratios of steps a second, genlab to plain loops in float32, of recipes by name.

    Args:
        plain: gives the seconds of a plain loop over batches.
    """
    ratios: dict[str, list[float]] = {}
    for name, words in recipes.items():
        dataset = build(config_of(*words)["dataset"], "dataset")
        dataset.setup()
        batches = [batch for _, batch in zip(range(steps), dataset.train_dataloader(), strict=False)]
        few = (*words, f"trainer.limit_train_batches={steps}")
        for _ in range(rounds):
            seconds, ours = plain(name, batches), by_genlab(*few)
            ratios.setdefault(f"{name}: steps/s, genlab : plain loop, float32", []).append(seconds / ours)
            if cpu_bf16():
                fast = by_genlab(*few, "precision=bf16-mixed")
                ratios.setdefault(f"{name}: steps/s, genlab in bf16 : plain loop in float32", []).append(seconds / fast)
    return ratios


def show(ratios: Mapping[str, Sequence[float]], rounds: int) -> None:
    table = Table("measured", "median", "least", "most", box=None)
    for name, values in ratios.items():
        table.add_row(name, *(f"{value:.2f}" for value in (statistics.median(values), min(values), max(values))))
    console = Console(width=140)
    console.print(table)
    console.print(f"{torch.get_num_threads()} threads, {rounds} rounds, torch {torch.__version__}")


def main() -> None:
    rounds = rounds_given(__doc__, 5)
    dataset = build(config_of(*VAE_WORDS)["dataset"], "dataset")
    assert isinstance(dataset, Dataset)
    dataset.setup()
    pictures = build(config_of(*DCGAN_WORDS)["dataset"], "dataset")
    pictures.setup()
    images = [batch.images for _, batch in zip(range(DCGAN_STEPS), pictures.train_dataloader(), strict=False)]
    dcgan = build_model(config_of(*DCGAN_WORDS))
    optimizers: Any = dcgan.configure_optimizers()
    for optimizer in optimizers:
        for parameter in optimizer.param_groups[0]["params"]:
            parameter.grad = torch.zeros_like(parameter)
        optimizer.step()
    state = {"model": dcgan.state_dict(), "optimizers": [optimizer.state_dict() for optimizer in optimizers]}
    few = (*DCGAN_WORDS, f"trainer.limit_train_batches={DCGAN_STEPS}")
    ratios: dict[str, list[float]] = {}

    def note(name: str, ratio: float) -> None:
        ratios.setdefault(name, []).append(ratio)

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_idx(folder)
        examples = datasets.MNIST(folder, transform=transforms.ToTensor())
        common = torch.utils.data.DataLoader(examples, batch_size=128, shuffle=True)
        for _ in range(rounds):
            bare, ours = bare_vae(dataset.train_dataloader), by_genlab(*VAE_WORDS)
            unlogged = by_genlab(*VAE_WORDS, "trainer.log_every_n_steps=1000000")
            note("VAE 784-400-20, batch 128: steps/s, genlab : bare loop on the same tensors", bare / ours)
            note("the same: seconds of an epoch, logging on : off", ours / unlogged)
            usual = usual_vae(common)
            note("the same: steps/s, genlab : common example with torchvision's MNIST, DataLoader", usual / ours)
            bare, ours = bare_dcgan(images), by_genlab(*few)
            note("DCGAN 1x64x64, width 64, batch 64: steps/s, genlab : bare loop, float32", bare / ours)
            if cpu_bf16():
                fast = by_genlab(*few, "precision=bf16-mixed")
                note("the same: steps/s, genlab in bf16 : bare loop in float32", bare / fast)
            plain, whole = checkpoint_seconds(state, folder)
            note("checkpoint of that DCGAN: seconds, genlab : torch.save and fsync", whole / plain)
    show(ratios, rounds)
    if not cpu_bf16():
        print("DCGAN in bf16 is left out: this CPU has no native bf16")


if __name__ == "__main__":
    main()
