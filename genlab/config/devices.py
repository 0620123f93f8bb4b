"""Whether the devices that a configuration asks for are there."""

from typing import Any


def check_devices(accelerator: dict[str, Any], precision: str) -> None:
    """Refuses a device that this computer does not have.

    Raises:
        ResourceError: it is not there; says what is.
        UsageError: the number makes no sense.
    """
