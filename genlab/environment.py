"""What a run was made with."""

import os
import platform
import re
import subprocess
import sys
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

import torch

from genlab import __version__


def environment(config: dict[str, Any]) -> dict[str, Any]:
    """What a run was made with: command, git state, packages, hardware, threads and seed."""

    def git(*words: str) -> str | None:
        here = Path(__file__).parent
        try:
            done = subprocess.run(["git", *words], cwd=here, capture_output=True, text=True, timeout=10, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    return {
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "genlab": __version__,
        "git": {"commit": git("rev-parse", "HEAD"), "changed_files": git("status", "--porcelain")},
        "python": platform.python_version(),
        "packages": dict(map(name_and_version, distributions())),
        "platform": platform.platform(),
        "processor": torch.backends.cpu.get_cpu_capability(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpus": [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())],
        "seed": config["seed"],
    }


def name_and_version(package: Distribution) -> tuple[str, str]:
    """From the text: parsing all of it, as the library does, takes a quarter of a second for the packages of a run."""
    head = package.read_text("METADATA") or package.read_text("PKG-INFO") or ""
    found = dict(re.findall(r"^(Name|Version): *(.+)$", head, re.MULTILINE)[:2])
    return found.get("Name", "?"), found.get("Version", "?")
