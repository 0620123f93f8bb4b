"""Prints how fast mixtures are fitted beside scikit-learn: the same data, the same start, as many iterations.

    python scripts/bench_mixtures.py            # about 15 minutes on 2 cores that do nothing else
    python scripts/bench_mixtures.py --rounds 1 --iterations 10

Each round fits by genlab and by scikit-learn in turn, in this process; a figure is each one's best round. Equal
log-likelihoods are asserted. The last lines fit a file on disk and one of ten times its rows, each in a process of its
own, and compare their peak memory.
"""

import argparse
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from sklearn.mixture import BayesianGaussianMixture, GaussianMixture

from genlab.networks.bayesian_mixture import BayesianMixture, moments_of
from genlab.networks.em import EM
from genlab.networks.gaussian_mixture import GaussianMixture as OurMixture
from genlab.networks.quadratic import Covariance
from genlab.training import keep_freed_memory, resolve_threads

BATCH = 16_384
CASES: tuple[tuple[str, int, int, int, Covariance], ...] = (
    ("gmm", 100_000, 32, 16, "full"),
    ("gmm", 100_000, 32, 16, "diag"),
    ("gmm", 1_000_000, 64, 64, "diag"),
    ("gmm", 10_000, 8, 4, "full"),
    ("vi_gmm", 100_000, 32, 16, "full"),
    ("vi_gmm", 100_000, 32, 16, "diag"),
)


def blobs(num_items: int, dim: int, num_components: int) -> np.ndarray:
    generator = np.random.default_rng(0)
    centres = 2 * generator.normal(size=(num_components, dim))
    return centres[generator.integers(num_components, size=num_items)] + generator.normal(size=(num_items, dim))


def nearest(items: np.ndarray, num_components: int) -> np.ndarray:
    """Which of the first items is nearest to each, the start of both."""
    firsts = torch.from_numpy(items[:num_components])
    parts = [torch.cdist(part, firsts).argmin(1) for part in torch.from_numpy(items).split(BATCH)]
    return np.eye(num_components, dtype=items.dtype)[torch.cat(parts).numpy()]


class Theirs(GaussianMixture):
    start: np.ndarray

    def _initialize_parameters(self, *given: Any, **others: Any) -> None:
        self._initialize(given[0], self.start)


class TheirsBayesian(BayesianGaussianMixture):
    start: np.ndarray

    def _initialize_parameters(self, *given: Any, **others: Any) -> None:
        self._initialize(given[0], self.start)


def by_genlab(
    kind: str, rows: np.ndarray, start: np.ndarray, covariance: Covariance, iterations: int
) -> tuple[float, float]:
    """Seconds of the iterations, and the last lower bound."""
    items, sizes = torch.from_numpy(rows), (1, start.shape[1], rows.shape[1], covariance, 1e-6)
    mixture = BayesianMixture(*sizes, "process", None) if kind == "vi_gmm" else OurMixture(*sizes)
    em, features = EM(mixture, 0), mixture.expectation.features
    began = time.perf_counter()
    mean, spread = moments_of(items.split(BATCH), features)
    mixture.expectation.place(mean)
    if isinstance(mixture, BayesianMixture):
        mixture.set_prior(0, mean, spread)
    for part, share in zip(features.chunks(items), features.chunks(torch.from_numpy(start)), strict=True):
        mixture.expectation.sums += share.double().T @ features(part, mixture.expectation.offset).T
    mixture.maximize(torch.tensor([True]))
    mixture.expectation.clear()
    for _ in range(iterations):
        for batch in items.split(BATCH):
            em.add(batch)
        em.end_pass(lambda total: total)
    return time.perf_counter() - began, em.lower_bounds.item()


def by_scikit_learn(
    kind: str, rows: np.ndarray, start: np.ndarray, covariance: Covariance, iterations: int
) -> tuple[float, float]:
    chosen = TheirsBayesian if kind == "vi_gmm" else Theirs
    fitted = chosen(n_components=start.shape[1], covariance_type=covariance, tol=0, max_iter=iterations)
    fitted.start = start
    began = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted.fit(rows)
    return time.perf_counter() - began, fitted.lower_bound_


FITS = {"genlab": by_genlab, "scikit-learn": by_scikit_learn}


def peak_gflops() -> float:
    """Of a product of float64 matrices on this machine, with the threads in use."""
    a = torch.randn(2048, 2048, dtype=torch.float64)
    seconds = []
    for _ in range(5):
        began = time.perf_counter()
        a @ a
        seconds.append(time.perf_counter() - began)
    return 2 * 2048**3 / min(seconds) / 1e9


def memory(name: str) -> float:
    """MB of this process as Linux has it: ``VmRSS`` now, or ``VmHWM``, the most."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) / 1024


def fit_and_print_memory(who: str, case: int) -> None:
    kind, num_items, dim, num_components, covariance = CASES[case]
    rows = blobs(num_items, dim, num_components).astype(np.float32)
    start = nearest(rows, num_components)
    Path("/proc/self/clear_refs").write_text("5")  # forgets the most so far
    before = memory("VmRSS")
    FITS[who](kind, rows, start, covariance, 2)
    print(memory("VmHWM") - before)


def memory_of_file(num_items: int) -> float:
    """Peak MB of `genlab train` on a file of so many rows."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.npy"
        table = np.lib.format.open_memmap(path, "w+", np.float32, (num_items, 32))
        for first in range(0, num_items, 100_000):
            table[first : first + 100_000] = blobs(min(100_000, num_items - first), 32, 16)
        table.flush()
        words = ["train", "model=gmm", "dataset=vector_file", f"dataset.path={path}", "dataset.data_shape=[32]"]
        words += ["dataset.in_memory=false", f"dataset.batch_size={BATCH}", "model.num_components=16"]
        words += ["model.num_restarts=1", "trainer.max_epochs=3", f"run_dir={folder}/run"]
        program = "import sys; from genlab.cli import main; main(sys.argv[1:]); "
        program += "print(next(line for line in open('/proc/self/status') if line.startswith('VmHWM')).split()[1])"
        done = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, check=True)
    return int(done.stdout.splitlines()[-1]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--iterations", type=int, default=100)
    parser.add_argument("--memory", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(resolve_threads("auto"))
    if arguments.memory:
        fit_and_print_memory(arguments.memory[0], int(arguments.memory[1]))
        return
    keep_freed_memory()
    peak = peak_gflops()
    table = Table("fit", "data", "scikit-learn s", "genlab s", "ratio", "share of peak", "memory MB", box=None)
    for number, (kind, num_items, dim, num_components, covariance) in enumerate(CASES):
        iterations = max(1, arguments.iterations // 10) if num_items == 1_000_000 else arguments.iterations
        memory = ""
        if num_items == 1_000_000:
            command = [sys.executable, __file__, "--memory"]
            peaks = [
                subprocess.run([*command, who, str(number)], capture_output=True, text=True, check=True).stdout
                for who in FITS
            ]
            memory = " : ".join(f"{float(found):.0f}" for found in peaks)
        whole = blobs(num_items, dim, num_components)
        for dtype in (np.float32, np.float64):
            rows = whole.astype(dtype)
            start = nearest(rows, num_components)
            seconds: dict[str, list[float]] = {who: [] for who in FITS}
            for _ in range(arguments.rounds):
                bounds = {}
                for who, fit in FITS.items():
                    taken, bounds[who] = fit(kind, rows, start, covariance, iterations)
                    seconds[who].append(taken)
                tolerance = 1e-6 if dtype == np.float64 else 1e-4
                np.testing.assert_allclose(bounds["genlab"], bounds["scikit-learn"], rtol=tolerance)
            mine, other = (min(seconds[who]) for who in FITS)
            size = OurMixture(1, 1, dim, covariance, 0).expectation.features.size
            share = 4 * num_items * num_components * size * iterations / mine / 1e9 / peak
            name = f"{kind} {covariance}, {num_items:,} x {dim}, K={num_components}"
            table.add_row(
                f"{name}, {iterations} iterations",
                rows.dtype.name,
                f"{other:.2f}",
                f"{mine:.2f}",
                f"{other / mine:.1f}",
                f"{share:.0%}",
                memory,
            )
            print(name, rows.dtype.name, f"{other:.2f} {mine:.2f} {other / mine:.2f}", flush=True)
    console = Console(width=150)
    console.print(table)
    few, many = memory_of_file(200_000), memory_of_file(2_000_000)
    console.print(f"peak of `genlab train` on a file of 200,000 rows: {few:.0f} MB, of 2,000,000: {many:.0f} MB")
    console.print(f"{torch.get_num_threads()} threads, float64 matmul {peak:.0f} GFLOP/s, torch {torch.__version__}")


if __name__ == "__main__":
    main()
