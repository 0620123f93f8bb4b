"""TensorBoard on runs, each under a readable name."""

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

from pydantic import Field

from genlab.config import Composed
from genlab.errors import RunError, UsageError


def main(
    composed: Composed, root: str, action: str | None, port: Annotated[int, Field(ge=0, le=65535)], host: str
) -> None:
    """Runs TensorBoard until Ctrl-C; runs that begin later are not in it.

    Args:
        root: the folder whose runs are shown, where none are named.
        action: the words without ``=`` are runs.
        port: 0 takes a free one.

    Raises:
        RunError: there is no run.
        UsageError: the port is in use.
    """
    from genlab.run import Run

    names = [word for word in composed.words if "=" not in word]
    runs = [Run.open(name) for name in names] or Run.under(Path(root).expanduser())
    if not runs:
        raise RunError(f"no runs under {Path(root).absolute()}; `genlab train` makes one")
    with tempfile.TemporaryDirectory(prefix="genlab-tensorboard-") as folder:
        for name, run in zip(readable(runs), runs, strict=True):
            (Path(folder) / name).parent.mkdir(parents=True, exist_ok=True)
            (Path(folder) / name).symlink_to(run.folder / "tensorboard", target_is_directory=True)
        serve(folder, port, host)


def readable(runs: list) -> list[str]:
    """Paths from the folder that all runs are in, with the model before those that do not name it."""
    folders = [run.folder for run in runs]
    common = folders[0].parent if len(folders) == 1 else Path(os.path.commonpath(folders))
    names = []
    for run in runs:
        name, model = str(run.folder.relative_to(common)), run.config["model"]["_target_"].split(".")[-2]
        names.append(name if model in name else f"{model}-{name}")
    return names


def serve(folder: str, port: int, host: str) -> None:
    from tensorboard import program

    board = program.TensorBoard()
    board.configure(argv=[sys.argv[0], "--logdir", folder, "--port", str(port), "--host", host])
    try:
        address = board.launch()
    except program.TensorBoardServerException as error:
        raise UsageError(f"{error.msg.rstrip('.')}\ntake another one, as port={port + 1}, or port=0 for any") from error
    print(f"TensorBoard: {address}  (Ctrl-C ends it)", flush=True)
    while True:
        time.sleep(3600)
