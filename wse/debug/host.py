"""Host programs under the debugger: fabrics that report changes by the host to it, and leave running to it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from ..fabric.fabric import Fabric
from ..sdk.device import Device
from ..sdk.recorder import Recorded, Recorder
from .debugger import Debugger, Status


class DebuggedFabric(Fabric):
    """A fabric that the debugger runs.  changed: whether the host has changed it since the last `advance`."""

    def __init__(self, debugger: Debugger, *args: Any, **options: Any):
        self.changed = True
        self.debugger = debugger
        super().__init__(*args, **options)

    def advance(self, cycles: int, progress: Callable[[int], Any] | None = None) -> Status:
        changed, self.changed = self.changed, False
        return self.debugger.advance(self, cycles, changed)

    def _change(self, method: Callable[..., Any], *args: Any, **options: Any) -> Any:
        result = method(*args, **options)  # an error has changed nothing
        self.changed = True
        return result

    def write_bytes(self, *args: Any, **options: Any) -> None:
        self._change(super().write_bytes, *args, **options)

    def host_put(self, *args: Any, **options: Any) -> None:
        self._change(super().host_put, *args, **options)

    def host_ask(self, *args: Any, **options: Any) -> None:
        self._change(super().host_ask, *args, **options)

    def host_take(self, *args: Any, **options: Any) -> Any:
        return self._change(super().host_take, *args, **options)

    def launch(self, *args: Any, **options: Any) -> None:
        self._change(super().launch, *args, **options)

    def rest(self, *args: Any, **options: Any) -> None:
        self._change(super().rest, *args, **options)


class Attached(Recorder):
    """A Recorder whose fabrics run under a debugger."""

    def __init__(self, debugger: Debugger, threads: int | None = None, max_cycles: int | None = None):
        super().__init__(threads, max_cycles)
        self.debugger = debugger
        self.fabric = partial(DebuggedFabric, debugger)

    def begin(self, directory: Path, device: Device) -> Recorded | None:
        self.debugger.begin(device.fabric, device.artifact, directory)
        return super().begin(directory, device)
