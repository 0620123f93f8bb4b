"""Hydra's name for genlab's way of running many jobs; `genlab.sweep` does the work."""

from collections.abc import Sequence
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class GenlabLauncher(Launcher):
    """Runs each job in a fresh process of its own, some at a time."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.config = config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        from genlab.sweep import launch

        return launch(self.config, job_overrides, initial_job_idx)


TARGET: dict[str, Any] = {"_target_": "hydra_plugins.genlab_launcher.launcher.GenlabLauncher"}
ConfigStore.instance().store(group="hydra/launcher", name="genlab", node=TARGET, provider="genlab")
