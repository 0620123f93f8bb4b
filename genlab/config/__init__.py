"""Configurations: composing them from words, checking them, saving, comparing and building what they describe.

Nothing here imports torch before ``check`` or ``build`` is called.
"""

from genlab.config.check import check
from genlab.config.compose import Composed, compose
from genlab.config.devices import check_devices
from genlab.config.places import config_dir, options
from genlab.config.saved import difference, digest, load, save
from genlab.config.targets import build

__all__ = [
    "Composed",
    "build",
    "check",
    "check_devices",
    "compose",
    "config_dir",
    "difference",
    "digest",
    "load",
    "options",
    "save",
]
