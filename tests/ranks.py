"""Several processes that train one run, as torchrun starts them, but forked: a start costs nothing."""

import multiprocessing
import os
import signal
import socket
from pathlib import Path
from typing import Any

import torch
from lightning_utilities.core.rank_zero import rank_zero_only

from genlab.callbacks.checkpoints import Checkpoints
from genlab.callbacks.exact_state import ExactState
from genlab.errors import GenlabError
from genlab.run import Run
from genlab.training import fit, prepare


def train_by(processes: int, folder: Path, config: dict[str, Any], killed_at: int | None = None) -> list[int | None]:
    """Trains in ``folder``; gives the exit codes, and leaves the weights of each beside it, as ``rank-0.pt``.

    Args:
        killed_at: the step at which the last process is killed.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    fork = multiprocessing.get_context("fork")
    given = (processes, port, folder, config, killed_at)
    ranks = [fork.Process(target=train_as, args=(rank, *given)) for rank in range(processes)]
    for process in ranks:
        process.start()
    for process in ranks:
        process.join(60)
    return [process.exitcode for process in ranks]


def train_as(rank: int, processes: int, port: int, folder: Path, config: dict[str, Any], killed_at: int | None) -> None:
    os.environ |= {"LOCAL_RANK": str(rank), "RANK": str(rank), "WORLD_SIZE": str(processes)}
    os.environ |= {"TORCHELASTIC_RUN_ID": "test", "LOCAL_WORLD_SIZE": str(processes), "GROUP_RANK": "0"}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    # A fork keeps what its parent took for its rank.
    rank_zero_only.rank = rank
    callback: Any = Checkpoints
    save = callback.save

    def spy(self: Checkpoints, trainer: Any, model: Any, best: bool = False) -> None:
        save(self, trainer, model, best)
        torch.save(model.state_dict(), folder.parent / f"rank-{rank}.pt")

    callback.save = spy
    start = ExactState.on_train_batch_start

    def perish(self: ExactState, trainer: Any, module: Any, batch: Any, batch_idx: int) -> None:
        start(self, trainer, module, batch, batch_idx)
        if rank == processes - 1 and trainer.global_step == killed_at:
            os.kill(os.getpid(), signal.SIGKILL)

    exact: Any = ExactState
    exact.on_train_batch_start = perish
    try:
        fit(Run.create(folder) if rank == 0 else Run(folder), config, *prepare(config))
    except GenlabError as error:
        (folder.parent / f"rank-{rank}.txt").write_text(str(error), encoding="utf-8")
        os._exit(error.exit_code)
