"""SdkLayout: a program put together from regions of PEs, their routes, ports and streams; made into an ordinary layout.

Colors are symbols: those of one name are one, those of region.color(name) belong to the region.  Ports that are
connected share one color of the machine.  What is between ports is found by routing (paths.py), and so is the way of a
stream from the edge of the fabric.  The result is CSL text, compiled like any other [docs/csl.md].
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..errors import ConfigError
from . import assembly
from .region import CodeRegion, Layout, PortHandle, StreamHandle


@dataclass(frozen=True)
class SdkCompileArtifacts:
    """What a layout was compiled to, for SdkRuntime; streams: of the layout, as send and receive take them."""

    directory: Path
    streams: tuple[StreamHandle, ...] = ()


class SdkLayout(Layout):
    """Regions and how they are connected."""

    def create_code_region(self, path: str, name: str, width: int, height: int) -> CodeRegion:
        """width x height PEs that run the file."""
        if any(region.name == name for region in self.regions):
            raise ConfigError(f"there is a region {name!r} already")
        if width < 1 or height < 1:
            raise ConfigError(f"region {name!r} has at least one PE, not {width} x {height}")
        if not Path(path).is_file():
            raise ConfigError(f"region {name!r}: there is no file {path}")
        region = CodeRegion(path, name, int(width), int(height))
        self.regions.append(region)
        return region

    def connect(self, first: PortHandle, second: PortHandle) -> None:
        """Brings what leaves by an output port to an input port."""
        source, target = (first, second) if first.out else (second, first)
        if not source.out or target.out:
            raise ConfigError(f"{first} and {second} are both {'output' if first.out else 'input'} ports")
        if source.size != target.size or len(source.pes) != len(target.pes):
            raise ConfigError(
                f"{source} has {len(source.pes)} routers and size {source.size}, "
                f"{target} {len(target.pes)} and {target.size}: both must agree"
            )
        self._use(source, target)
        self.connections.append((source, target))

    def create_input_stream(self, port: PortHandle) -> StreamHandle:
        """From the host to an input port of one router."""
        return self._stream(port, out=False)

    def create_output_stream(self, port: PortHandle) -> StreamHandle:
        """From an output port of one router to the host."""
        return self._stream(port, out=True)

    def _stream(self, port: PortHandle, out: bool) -> StreamHandle:
        if port.out != out:
            raise ConfigError(f"an {'output' if out else 'input'} stream needs a port of that kind, not {port}")
        if len(port.pes) != 1:
            raise ConfigError(f"a stream goes through one router, but {port} has {len(port.pes)}: put a region between")
        self._use(port)
        handle = StreamHandle(port, f"stream of {port}")
        self.streams.append(handle)
        return handle

    @staticmethod
    def _use(*ports: PortHandle) -> None:
        for port in ports:
            if port.connected:
                raise ConfigError(f"{port} is connected already")
            port.connected = True

    def compile(self, out_prefix: str = "out") -> SdkCompileArtifacts:
        """Chooses colors and ways, and compiles to a directory of that name."""
        return SdkCompileArtifacts(assembly.build(self, Path(out_prefix)), tuple(self.streams))
