"""What bit-exact resuming depends on besides the plan."""

import platform
from importlib.metadata import version

import torch

from charrnn import __version__


def versions() -> dict[str, str]:
    """What bit-exact resuming depends on besides the plan."""
    names = {"torch": torch.__version__, "numpy": version("numpy"), "charrnn": __version__}
    return names | {"python": platform.python_version(), "machine": platform.machine()}
