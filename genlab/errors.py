"""Errors that a person can mend: one message, no traceback, one exit code a kind.

A message says what was given, what is accepted, where it was set and what to do next. ``cli.main`` prints it and exits
with the class's code; ``GENLAB_DEBUG=1`` adds the traceback. Any other exception is a defect of genlab and exits 1.
"""


class GenlabError(Exception):
    """Base of all errors with a message for the user."""

    exit_code = 1


class UsageError(GenlabError):
    """A wrong command, option, key, value, type or combination."""

    exit_code = 2


class MissingExtraError(UsageError):
    """A library is not installed; says how to install the extra that brings it.

    Args:
        need: as "a sweep needs Optuna".
    """

    def __init__(self, need: str, extra: str) -> None:
        super().__init__(f"{need}: {installation(extra)}")


def installation(extra: str) -> str:
    """The command that adds an extra from where genlab itself was installed, which PEP 610 records."""
    import json
    import shlex
    from importlib.metadata import PackageNotFoundError, distribution
    from urllib.parse import unquote, urlsplit

    try:
        record = distribution("genlab").read_text("direct_url.json")
    except PackageNotFoundError:  # the folder is on the path, but nothing is installed
        record = None
    origin = json.loads(record) if record else {}
    source = unquote(urlsplit(origin.get("url", "")).path) or "genlab"
    editable = ["-e"] if origin.get("dir_info", {}).get("editable") else []
    return shlex.join(["pip", "install", *editable, f"{source}[{extra}]"])


class DataError(GenlabError):
    """A data set that is missing, damaged or of another layout."""

    exit_code = 3


class RunError(GenlabError):
    """A run folder or checkpoint that is missing, locked, damaged or does not fit."""

    exit_code = 4


class NumericError(GenlabError):
    """A loss, gradient or weight that is not finite, or a training that diverged."""

    exit_code = 5


class CollapseError(NumericError):
    """Samples that are all alike or copies, or a game that one side has won."""


class ResourceError(GenlabError):
    """Not enough memory or disk, or a device that is not there."""

    exit_code = 6


class InterruptedRunError(GenlabError):
    """Stopped by a signal after a checkpoint was written: 130 for SIGINT, 143 for SIGTERM and SIGHUP."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code
