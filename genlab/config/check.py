"""Whether a configuration can work, before anything is built."""

from genlab.config.compose import Composed


def check(composed: Composed) -> None:
    """Checks targets, keys, values, the fit of model and data set, and the devices.

    Raises:
        UsageError: says which key, its value, what is accepted and where it was set.
        ResourceError: a device is not there.
    """
