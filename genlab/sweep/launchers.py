"""Where the runs of a sweep are trained: on this computer, by Ray, or by SLURM through submitit.

Ray and submitit get each run as a piece of ``Work`` through their own Python interfaces, and do all the scheduling.
"""

import os
from pathlib import Path
from typing import Any, Protocol

from genlab.errors import MissingExtraError, ResourceError, UsageError
from genlab.sweep.process import Shares, visible_gpus
from genlab.sweep.work import Work


class Launcher(Protocol):
    """Carries out work, from several threads at once."""

    def run(self, work: Work) -> int:
        """Waits for the end of the work; its exit code."""

    def stop(self, number: int) -> None:
        """Hands a signal to all that is under way."""


class Local:
    """Processes on this computer, each with its share of it.

    Args:
        jobs: how many run at a time.
    """

    def __init__(self, jobs: int, resources: dict[str, Any]) -> None:
        if resources:
            raise UsageError("resources: launcher=local shares the cores and GPUs out by itself; leave the word out")
        self.shares = Shares(jobs, visible_gpus() if jobs > 1 else ())
        self.under_way: set[Work] = set()
        self.signal = 0

    def run(self, work: Work) -> int:
        self.under_way.add(work)
        work.signal = self.signal  # it may have come just before
        try:
            with self.shares.one() as share:
                return work(share)
        finally:
            self.under_way.remove(work)

    def stop(self, number: int) -> None:
        self.signal = number
        for work in list(self.under_way):
            work.stop(number)


class Ray:
    """Tasks on a Ray cluster: the one that ``RAY_ADDRESS`` names or that runs here, else one for this sweep.

    Args:
        resources: of one run, as ``ray.remote`` takes them: ``{num_cpus: 4, num_gpus: 1}``; a GPU where there are any.
    """

    def __init__(self, resources: dict[str, Any]) -> None:
        try:
            import ray
        except ImportError as error:
            raise MissingExtraError("launcher=ray needs Ray", "ray") from error
        self.ray = ray
        try:
            task = ray.remote(max_retries=0)(carry_out).options(**resources)
        except (ValueError, TypeError) as error:
            raise UsageError(f"resources={resources}: {error}") from error
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to anyone
        ray.init(log_to_driver=False)
        has_gpus = ray.cluster_resources().get("GPU", 0) > 0
        self.task = task.options(num_gpus=1) if has_gpus and "num_gpus" not in resources else task
        self.environment = {"OMP_NUM_THREADS": str(max(1, int(resources.get("num_cpus", 1)))), **own_variables()}
        self.under_way: set[Any] = set()

    def run(self, work: Work) -> int:
        failures = self.ray.exceptions
        task = self.task.remote(work, self.environment)
        self.under_way.add(task)
        try:
            return int(self.ray.get(task))
        except failures.TaskCancelledError:
            return 130
        except (failures.WorkerCrashedError, failures.NodeDiedError, failures.OutOfMemoryError):
            return 137  # its computer is gone or had no room: it can go on
        finally:
            self.under_way.remove(task)

    def stop(self, number: int) -> None:
        for task in list(self.under_way):
            self.ray.cancel(task)


class Slurm:
    """Jobs of SLURM.

    Args:
        folder: of submitit's own files.
        resources: of one run, as submitit takes them: ``{timeout_min: 600, slurm_partition: gpu, gpus_per_node: 1}``;
            ``cluster: local`` tries it out without SLURM.
    """

    def __init__(self, folder: Path, resources: dict[str, Any]) -> None:
        try:
            import submitit
        except ImportError as error:
            raise MissingExtraError("launcher=slurm needs submitit", "slurm") from error
        self.failures = (submitit.core.utils.UncompletedJobError, submitit.core.utils.FailedJobError)
        rest = {key: value for key, value in resources.items() if key != "cluster"}
        try:
            self.executor = submitit.AutoExecutor(folder, cluster=resources.get("cluster", "slurm"))
            self.executor.update_parameters(**rest)
        except RuntimeError as error:
            raise ResourceError(
                f"launcher=slurm: {error}\nstart the sweep where srun is, or try it out here: +resources.cluster=local"
            ) from error
        except (NameError, ValueError, TypeError, AssertionError) as error:
            raise UsageError(f"resources={resources}: {error}") from error
        self.under_way: set[Any] = set()

    def run(self, work: Work) -> int:
        job = self.executor.submit(carry_out, work, own_variables())
        self.under_way.add(job)
        try:
            return int(job.result())
        except self.failures:
            return 143  # cancelled, out of its time, or its computer is gone: it can go on
        finally:
            self.under_way.remove(job)

    def stop(self, number: int) -> None:
        for job in list(self.under_way):
            job.cancel()


def carry_out(work: Work, environment: dict[str, str]) -> int:
    """What is sent to a cluster."""
    return work(environment)


def own_variables() -> dict[str, str]:
    """What this process was told by its environment, for processes on other computers."""
    return {name: value for name, value in os.environ.items() if name.startswith("GENLAB_") or name == "PYTHONPATH"}


def new_launcher(name: str, jobs: int, folder: Path, resources: dict[str, Any]) -> Launcher:
    """The launcher of that name.

    Raises:
        UsageError: it is not installed, or does not know such resources.
        ResourceError: there is no SLURM.
    """
    if name == "ray":
        return Ray(resources)
    if name == "slurm":
        return Slurm(folder, resources)
    return Local(jobs, resources)
