"""Trains on two hosts by torchrun, and compares with one process: two network namespaces of this computer play them.

    sudo python scripts/two_hosts.py --out outputs/two_hosts

Each has a network card of its own and an address in a network of the two alone, one process and one thread. What is
done and printed:

1. a training by both, and the same by one process alone: the largest difference of a weight, relative to the largest
2. the same, stopped in the middle on both and resumed by both: whether all bits are equal
3. the same, one host's process killed: how long the other takes to end, its exit code and what it says

It needs Linux, root and the command ``ip``; the namespaces are removed at the end.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from genlab.checkpoint import load

HOSTS = ("genlab-a", "genlab-b")
ADDRESSES = ("10.77.0.1", "10.77.0.2")
WORDS = (
    "model=vae",
    "precision=64-true",
    "callbacks=none",
    "trainer.max_epochs=2",
    "trainer.limit_train_batches=40",
    "trainer.limit_val_batches=2",
    "trainer.enable_progress_bar=false",
    "threads=1",
)


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


@contextmanager
def network() -> Iterator[None]:
    """Two namespaces with a cable between them."""
    cards = ("genlab0", "genlab1")
    try:
        for host in HOSTS:
            ip("netns", "add", host)
        ip("link", "add", cards[0], "netns", HOSTS[0], "type", "veth", "peer", "name", cards[1], "netns", HOSTS[1])
        for host, card, address in zip(HOSTS, cards, ADDRESSES, strict=True):
            ip("-n", host, "address", "add", f"{address}/24", "dev", card)
            ip("-n", host, "link", "set", card, "up")
            ip("-n", host, "link", "set", "lo", "up")
        yield
    finally:
        for host in HOSTS:
            subprocess.run(["ip", "netns", "delete", host], check=False)


def start(rank: int, log: Path, *words: str) -> subprocess.Popen[bytes]:
    """What a user types on a host."""
    card = f"genlab{rank}"
    rendezvous = ["--master-addr", ADDRESSES[0], "--master-port", "29400", "--node-rank", str(rank)]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "1", *rendezvous]
    program = [*torchrun, "-m", "genlab", *words]
    environment = os.environ | {"GLOO_SOCKET_IFNAME": card, "OMP_NUM_THREADS": "1"}
    with log.open("wb") as file:
        return subprocess.Popen(
            ["ip", "netns", "exec", HOSTS[rank], *program], env=environment, stdout=file, stderr=subprocess.STDOUT
        )


def by_both(out: Path, name: str, *words: str) -> list[subprocess.Popen[bytes]]:
    return [start(rank, out / f"{name}-{rank}.log", *words) for rank in range(2)]


def codes(hosts: list[subprocess.Popen[bytes]]) -> list[int]:
    return [host.wait(timeout=600) for host in hosts]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load(folder / "checkpoints" / "last.ckpt")["state_dict"]


def steps(folder: Path) -> int:
    log = folder / "log.csv"
    return len(log.read_text().splitlines()) if log.is_file() else 0


def wait_for_steps(folder: Path, count: int) -> None:
    while steps(folder) < count:
        time.sleep(0.2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    out: Path = parser.parse_args().out.absolute()
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    many = ("accelerator=ddp_cpu", "accelerator.devices=1", "accelerator.num_nodes=2", "trainer.log_every_n_steps=1")
    alone = [sys.executable, "-m", "genlab", "train", *WORDS, "accelerator=cpu", f"run_dir={out / 'alone'}"]
    subprocess.run(alone, check=True, stdout=subprocess.DEVNULL)
    with network():
        print(
            "exit codes of a training", codes(by_both(out, "whole", "train", *WORDS, *many, f"run_dir={out / 'whole'}"))
        )
        mine, other = weights(out / "whole"), weights(out / "alone")
        worst = max(float((mine[name] - other[name]).abs().max() / other[name].abs().max()) for name in other)
        print(f"largest difference of a weight from those of one process, relative: {worst:.1e}")

        stopped = by_both(out, "stopped", "train", *WORDS, *many, f"run_dir={out / 'stopped'}")
        wait_for_steps(out / "stopped", 20)
        for host in stopped:
            host.send_signal(signal.SIGTERM)
        print("exit codes of a stop", codes(stopped), "after", steps(out / "stopped"), "steps")
        print("exit codes of its resumption", codes(by_both(out, "resumed", "resume", str(out / "stopped"))))
        again = weights(out / "stopped")
        print("bits equal those of never having stopped:", all(torch.equal(again[name], mine[name]) for name in mine))

        killed = by_both(out, "killed", "train", *WORDS, *many, f"run_dir={out / 'killed'}", "trainer.max_epochs=50")
        wait_for_steps(out / "killed", 20)
        pids = subprocess.run(["ip", "netns", "pids", HOSTS[1]], check=True, capture_output=True, text=True).stdout
        worker = max(map(int, pids.split()))
        os.kill(worker, signal.SIGKILL)
        began = time.monotonic()
        ended = codes(killed)
        print(f"one host's process killed: both ended {time.monotonic() - began:.0f} s later with exit codes {ended}")
        for rank in range(2):
            for line in (out / f"killed-{rank}.log").read_text().splitlines():
                if line.startswith("genlab:") or "exitcode" in line:
                    print(f"  host {rank}: {line.strip()}")


if __name__ == "__main__":
    main()
