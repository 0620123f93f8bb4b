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
