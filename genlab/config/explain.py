"""What Hydra's and OmegaConf's errors mean, in one sentence with what is accepted."""

from genlab.errors import UsageError


def explain(error: BaseException, command: str, words: list[str]) -> UsageError:
    """The error that a user is shown."""
    if isinstance(error, UsageError):
        return error
    return UsageError(str(error))
