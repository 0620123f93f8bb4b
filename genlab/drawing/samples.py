"""The samples that ``genlab sample`` shows, drawn by this process or shared out among several."""

from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import fields
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genlab.config.devices import num_cores
from genlab.drawing.request import Request, as_requested, given_seeds
from genlab.drawing.seeds import check_labels, condition_of, sampled, sampled_by_seed
from genlab.errors import ResourceError, UsageError
from genlab.loaded_run import load_model
from genlab.processes import fresh_processes
from genlab.texts import condition_of_text
from genlab.training import choose_device


def draw_samples(request: Request, usual: int) -> Tensor:
    """As many samples as are wanted, else ``usual``.

    Raises:
        UsageError: the model draws none, or not of these conditions; or there are fewer samples than processes.
        ResourceError: a process was killed.
    """
    conditions = conditions_of(request)
    seeds = given_seeds(request)
    count = len(seeds) if seeds is not None else request.num_samples or usual
    if request.processes is None:
        return draw_some(request, conditions, range(count))
    if request.processes > count:
        raise UsageError(f"processes={request.processes}: {count} samples are for at most as many processes")
    shares = [count * process // request.processes for process in range(request.processes + 1)]
    options = {field.name: getattr(request, field.name) for field in fields(request) if field.name != "loaded"}
    loaded = request.loaded
    run = {"name": str(loaded.path or loaded.folder), "checkpoint": loaded.checkpoint, "weights": loaded.weights}
    with ProcessPoolExecutor(request.processes, fresh_processes()) as pool:
        each = [
            pool.submit(draw_share, process, run, options, range(*shares[process : process + 2]))
            for process in range(request.processes)
        ]
        try:
            return torch.cat([torch.from_numpy(future.result()) for future in each])
        except BrokenProcessPool as error:
            raise ResourceError(
                f"one of processes={request.processes} was killed, as for want of memory\n"
                f"give fewer, or a smaller batch_size than {request.batch_size}"
            ) from error


def conditions_of(request: Request) -> list[int] | Tensor | None:
    if request.labels is not None:
        check_labels(request.model, request.labels)
    if request.attributes is not None:
        return condition_of(request.model, request.attributes)[None]
    if request.text is not None:
        return condition_of_text(request.model, request.text)[None]
    return request.labels


def draw_some(request: Request, conditions: list[int] | Tensor | None, which: range) -> Tensor:
    """Those samples that a process has its turn with."""
    seeds = given_seeds(request)
    if seeds is not None:
        return sampled_by_seed(request.model, [seeds[item] for item in which], conditions)
    return sampled(request.model, which, conditions, request.batch_size, request.seed)


def draw_share(process: int, run: dict[str, Any], options: dict[str, Any], which: range) -> np.ndarray:
    """What one of several processes does: it loads the run anew."""
    torch.set_num_threads(max(1, num_cores() // options["processes"]))
    loaded = load_model(**run)
    device = choose_device(options["device"])
    if device.type == "cuda":
        device = torch.device("cuda", process % torch.cuda.device_count())
    loaded.model.to(device)
    request = Request(loaded, **options)
    with torch.no_grad(), as_requested(request):
        return draw_some(request, conditions_of(request), which).cpu().numpy()
