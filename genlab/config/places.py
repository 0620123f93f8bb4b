"""Where the YAML files are: genlab's own and the user's."""

import os
from pathlib import Path

from genlab.errors import UsageError

GROUPS = ("model", "experiment", "dataset", "optimizer", "schedule", "accelerator", "callbacks")


def config_dir() -> Path:
    """genlab's own YAML files: inside the package when it is installed, beside it in a checkout."""
    package = Path(__file__).parents[1]
    installed = package / "conf"
    return installed if installed.is_dir() else package.parent / "conf"


def user_dir() -> Path | None:
    """The folder given by ``--config-dir``; processes that genlab starts inherit it."""
    name = os.environ.get("GENLAB_CONFIG_DIR")
    if not name:
        return None
    folder = Path(name).absolute()
    if not folder.is_dir():
        raise UsageError(f"--config-dir={name}: there is no such folder")
    return folder


def folders() -> list[Path]:
    """All folders of YAML files; the first that has a file wins."""
    own = user_dir()
    return [config_dir()] if own is None else [config_dir(), own]


def commands() -> list[str]:
    """Every command has a YAML file at the top."""
    return sorted(path.stem for path in config_dir().glob("*.yaml"))


def options(group: str) -> list[str]:
    """What can be chosen from a group."""
    return sorted({path.stem for folder in folders() for path in (folder / group).glob("*.yaml")})


def find(group: str, option: str) -> Path | None:
    """The YAML file of an option; ``group`` is empty for a command."""
    return next((path for folder in folders() if (path := folder / group / f"{option}.yaml").is_file()), None)


def allowed_packages() -> tuple[str, ...]:
    """The user's packages that YAML files may name classes of, given by ``--allow``."""
    return tuple(name for name in os.environ.get("GENLAB_ALLOW", "").split(",") if name)
