"""SdkLayout: a program put together from regions of PEs, their routes, ports and streams; made into an ordinary layout.

Colors are symbols: those of one name are one, those of region.color(name) belong to the region.  Ports that are
connected share one color of the machine.  What is between ports is found by routing (paths.py), and so is the way of a
stream from the edge of the fabric.  The result is CSL text, compiled like any other [docs/csl.md].
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..errors import ConfigError
from . import assembly
from .geometry import IntVector
from .region import FP16TYPE, CodeRegion, Color, Layout, PortHandle, StreamRequest

MAX_BUFFER = 1 << 20  # wavelets


class SdkCompileArtifacts:
    """What a layout was compiled to, for SdkRuntime: the directory."""

    def __init__(self, artifacts_path: str | Path):
        self.directory = Path(artifacts_path)

    def __fspath__(self) -> str:
        return str(self.directory)

    def __repr__(self) -> str:
        return f"SdkCompileArtifacts({str(self.directory)!r})"


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

    def hstack(self, children: Sequence[CodeRegion], origin: IntVector | None = None) -> int:
        """Places regions side by side, from the place of the first or from the origin on; returns their width."""
        return self._stack("hstack", children, origin, IntVector(1, 0))

    def vstack(self, children: Sequence[CodeRegion], origin: IntVector | None = None) -> int:
        """Places regions one below the other, from the place of the first or from the origin on; returns their
        height."""
        return self._stack("vstack", children, origin, IntVector(0, 1))

    def _stack(self, what: str, children: Sequence[CodeRegion], origin: IntVector | None, step: IntVector) -> int:
        regions = list(children)
        if not regions or not all(isinstance(region, CodeRegion) for region in regions):
            raise ConfigError(f"{what} takes a list of code regions, not {children!r}")
        if origin is not None and not isinstance(origin, IntVector):
            raise ConfigError(f"the origin of {what} is an IntVector, not {origin!r}")
        first = origin or regions[0].origin or IntVector(0, 0)
        at = 0
        for region in regions:
            region.place(first.x + at * step.x, first.y + at * step.y)
            at += region.width if step.x else region.height
        return at

    def create_input_stream(self, port: PortHandle, io_loc: IntVector | None = None, io_buffer_size: int = 1024) -> str:
        """From the host to an input port of one router; returns the stream's name, for SdkRuntime.send.

        io_loc: the PE, of no region, by which it comes.  io_buffer_size: wavelets that the host sends ahead.
        """
        return self._stream(port, False, io_loc, io_buffer_size)

    def create_output_stream(
        self, port: PortHandle, io_loc: IntVector | None = None, io_buffer_size: int = 1024
    ) -> str:
        """From an output port of one router to the host; returns the stream's name, for SdkRuntime.receive.

        io_loc: the PE, of no region, by which it goes.  io_buffer_size: wavelets that leave before they are asked for.
        """
        return self._stream(port, True, io_loc, io_buffer_size)

    def create_input_stream_from_loc(self, loc: IntVector, color: Color, prefix: str = "") -> str:
        """From the host to a PE of a region that takes the color; returns the stream's name."""
        return self._stream_at(loc, color, prefix, False)

    def create_output_stream_from_loc(self, loc: IntVector, color: Color, prefix: str = "") -> str:
        """From a PE of a region that sends the color to the host; returns the stream's name."""
        return self._stream_at(loc, color, prefix, True)

    def _stream(self, port: PortHandle, out: bool, via: IntVector | None, buffer: int) -> str:
        if not isinstance(port, PortHandle):
            raise ConfigError(f"a stream needs the port that create_{'output' if out else 'input'}_port returned")
        if port.out != out:
            raise ConfigError(f"an {'output' if out else 'input'} stream needs a port of that kind, not {port}")
        if len(port.pes) != 1:
            raise ConfigError(f"a stream goes through one router, but {port} has {len(port.pes)}: put a region between")
        if via is not None and (not isinstance(via, IntVector) or via.x < 0 or via.y < 0):
            raise ConfigError(f"io_loc of a stream is the IntVector of a PE, not {via!r}")
        if isinstance(buffer, bool) or not isinstance(buffer, int) or not 1 <= buffer <= MAX_BUFFER:
            raise ConfigError(f"io_buffer_size is an integer from 1 to {MAX_BUFFER}, not {buffer!r}")
        self._use(port)
        name = f"{port.region.name}_{port.name}"
        return self._add(StreamRequest(name, port.color, out, port=port, via=via, buffer=buffer))

    def _stream_at(self, loc: IntVector, color: Color, prefix: str, out: bool) -> str:
        if not isinstance(loc, IntVector) or not isinstance(color, Color):
            raise ConfigError(f"a stream from a place has an IntVector and a Color, not {loc!r} and {color!r}")
        return self._add(StreamRequest(f"{prefix}{color.get_global_name()}", color, out, loc=loc))

    def _add(self, stream: StreamRequest) -> str:
        if any(other.name == stream.name for other in self.streams):
            raise ConfigError(f"the layout has a stream {stream.name!r} already: give it another prefix")
        self.streams.append(stream)
        return stream.name

    @staticmethod
    def _use(*ports: PortHandle) -> None:
        for port in ports:
            if port.connected:
                raise ConfigError(f"{port} is connected already")
            port.connected = True

    def compile(
        self,
        out_prefix: str | Path = "out",
        libs: Sequence[str | Path] = (),
        cslc_prefix: str = "",
        save_port_map: bool = False,
        f16_type: FP16TYPE = FP16TYPE.F16,
    ) -> SdkCompileArtifacts:
        """Chooses colors and ways, and compiles to a directory of that name.

        libs: directories where imports are looked for.  cslc_prefix: another compiler, of which there is none.
        save_port_map: write port_map.json to the directory, the color and place of each stream.  f16_type: the format
        of 16-bit floats.
        """
        if cslc_prefix:
            raise ConfigError(
                f"cslc_prefix={cslc_prefix!r} names another compiler; the emulator has only its own: leave it empty"
            )
        if not isinstance(f16_type, FP16TYPE):
            raise ConfigError(f"f16_type is FP16TYPE.F16, BF16 or CB16, not {f16_type!r}")
        if isinstance(libs, str | Path):
            raise ConfigError(f"libs is a list of directories, not {libs!r}")
        self.fp16_type, self.libs = f16_type, tuple(str(folder) for folder in libs)
        directory = assembly.build(self, Path(out_prefix), bool(save_port_map))
        self.messages.info(f"{directory}: compiled {len(self.regions)} regions with {len(self.streams)} streams")
        return SdkCompileArtifacts(directory)
