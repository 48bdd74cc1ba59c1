"""Host programs of the Cerebras SDK, unmodified: what their `import cerebras...` finds.

A host program is run by `cs_python`, which puts `names/`, and with it a package `cerebras`, on the path of the
interpreter it starts; nothing of that name is installed.  In Python and notebooks without cs_python, the names of the
run time are names of this module: `from wse.sdk import SdkRuntime, cslc`.  The modules there only name what is written
here:

    device      a compiled program on an emulated fabric: memory, launches, streams
    runtime     SdkRuntime: the commands of a host program, in order
    transfer    the order of elements in a host array
    region      parts of a layout: platforms, colors, routes, ports, regions of PEs
    layout      SdkLayout: regions, ports, streams; paths through the fabric are found by routing
    debug       debug_util
    utils       sdk_utils
    promotion   the types of NumPy 1
    rewriting   host programs with these types
    script      runs a host program
    python      cslc and the names for Python and notebooks
    windows     the time of launches and copies
    appliance   the client of a cluster, on this computer
    arguments   what host programs pass, checked
    messages    what msg_level chooses
    recorder    what is recorded of the runs of a host program
    conform     runs a checkout of examples by their own scripts
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

# The environment of SdkRuntime: figures of the machine that are changed, NAME=VALUE,NAME=VALUE; a TOML file of them;
# the profile, simulator or silicon.
SETTINGS, MACHINE_FILE, TIMING = "WSE_SET", "WSE_MACHINE", "WSE_TIMING"

PROGRESS: Any = None  # what shows how far runs are (recorder.Progress), if it is set before the first one


def __getattr__(name: str) -> Any:
    """A name of the run time, or of `python`, when it is used."""
    if name.startswith("__") or find_spec(f"{__name__}.{name}"):  # `from . import module` asks for the attribute first
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    own = import_module(f"{__name__}.python")
    if name in ("add_to_path", "cslc"):
        return getattr(own, name)
    return own.name(name)
