"""cslc's work: a layout and its options to a directory with the compiled program."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import field, replace
from pathlib import Path

import numpy as np

from .. import files
from ..csl import emit
from ..csl.artifact import Artifact
from ..csl.codegen.link import link
from ..csl.compile import compile_program
from ..csl.ir import ir
from ..csl.llvm.optimize import LEVEL
from ..csl.syntax.errors import CslError, Diagnostic
from ..errors import ConfigError
from ..machine.parameters import Machine
from ..records import dataclass

IMPORT_PATH = "CSL_IMPORT_PATH"  # environment: directories of modules, after those of --import-path

# What the SDK's memcpy takes of the fabric: columns west and east of the program, rows above and below.
_WEST, _EAST, _ABOVE, _BELOW = 4, 3, 1, 1


@dataclass
class Request:
    """The options of cslc."""

    layout: Path
    params: dict[str, int] = field(default_factory=dict)
    colors: dict[str, int] = field(default_factory=dict)
    arch: str = "wse2"  # as the SDK's compiler
    output: str | Path = "out"
    fabric_dims: tuple[int, int] | None = None
    fabric_offsets: tuple[int, int] = (0, 0)
    memcpy: bool = False
    channels: int | None = None
    width_west_buf: int = 0
    width_east_buf: int = 0
    import_path: Sequence[str] = ()
    emit: Sequence[str] = ()
    verbose: bool = False
    fp16_format: str | None = None
    max_inlined_iterations: int | None = None
    comptime_func_depth_limit: int | None = None
    max_parallelism: int | None = None  # one process compiles, which is within any limit
    no_debug: bool = False
    optimization: int = LEVEL
    warnings_as_errors: bool = False
    output_json: str | None = None
    out_routes: bool = False
    sdk_version: str | None = None
    link_section_start_address_bytes: dict[str, int] = field(default_factory=dict)
    whole: bool = True  # whether all PEs of the rectangle need code


def compile_layout(request: Request) -> Artifact:
    """Compiles; CslError with all findings if the program is wrong."""
    return _compile(request, [])[1]


def _compile(
    request: Request, warnings: list[Diagnostic], report: Callable[[str], object] | None = None
) -> tuple[ir.Layout, Artifact]:
    machine = Machine(request.arch)
    made = compile_program(
        str(request.layout),
        arch=request.arch,
        params=request.params,
        colors=request.colors,
        fabric=request.fabric_dims or (machine.fabric_width, machine.fabric_height),
        offsets=request.fabric_offsets,
        import_paths=[*request.import_path, *filter(None, os.environ.get(IMPORT_PATH, "").split(os.pathsep))],
        fp16=request.fp16_format or "f16",
        warnings=warnings,
        sdk_version=request.sdk_version,
        max_inlined=request.max_inlined_iterations,
        max_calls=request.comptime_func_depth_limit,
        report=report,
        sections=request.link_section_start_address_bytes,
        whole=request.whole,
    )
    if request.channels is not None and not request.memcpy:
        warnings.append(Diagnostic("--channels belongs to --memcpy, which is not given", severity="warning"))
    if made.memcpy and not request.memcpy and request.whole:
        words = "the program imports <memcpy/memcpy>, but --memcpy is not given: the host's copies and launches need it"
        warnings.append(Diagnostic(words, severity="warning"))
    artifact = link(made, request.optimization)
    check_place(request, artifact.width, artifact.height, machine)
    if request.memcpy:
        artifact.memcpy = {name: getattr(request, name) for name in ("channels", "width_west_buf", "width_east_buf")}
    if request.no_debug:
        for image in artifact.classes:
            image.lines = np.full_like(image.lines, -1)
    return made, artifact


def check_place(request: Request, width: int, height: int, machine: Machine) -> None:
    """ConfigError if the program does not fit where the options put it, or beside memcpy on the wafer."""
    if request.memcpy and (width > machine.user_width or height > machine.user_height):
        raise ConfigError(
            f"a program with memcpy is at most {machine.user_width} x {machine.user_height} PEs on {machine.name}, "
            f"not {width} x {height}"
        )
    if request.fabric_dims is None:
        return
    (wide, high), (x, y) = request.fabric_dims, request.fabric_offsets
    west, east, above, below = 0, 0, 0, 0
    if request.memcpy:
        west, east = _WEST + request.width_west_buf, _EAST + request.width_east_buf
        above, below = _ABOVE, _BELOW
    if x < west or y < above:
        raise ConfigError(
            f"--fabric-offsets={x},{y} leaves no room for memcpy, which needs {west} columns west of the program "
            f"and {above} row above it"
        )
    if wide < x + width + east or high < y + height + below:
        needs = f"{x + width + east},{y + height + below}"
        with_memcpy = " with memcpy's columns and rows" if request.memcpy else ""
        raise ConfigError(
            f"--fabric-dims={wide},{high} is too small for {width} x {height} PEs at {x},{y}{with_memcpy}: "
            f"it must be at least {needs}"
        )


def run(
    request: Request, warnings: list[Diagnostic] | None = None, report: Callable[[str], object] | None = None
) -> list[str]:
    """Compiles and saves; returns the lines to print.  warnings: a list to add them to.  report: is called with what is
    being done, if that takes long."""
    found: list[Diagnostic] = [] if warnings is None else warnings
    layout, artifact = _compile(request, found, report)
    wrong = [replace(one, severity="error") for one in found if one.severity == "warning"]
    if request.warnings_as_errors and wrong:
        raise CslError(wrong)
    artifact.save(request.output)
    if request.output_json is not None:
        files.write_text(Path(request.output_json), json.dumps(artifact.resolved(), indent=1) + "\n")
    lines = [emit.routes(artifact)] if request.out_routes else []
    lines += [emit.emit(form, layout, artifact) for form in request.emit]
    if request.verbose:
        lines.append(
            f"{request.output}: {artifact.width} x {artifact.height} PEs for {artifact.arch} in "
            f"{len(artifact.classes)} classes"
        )
        lines += [
            f"  {image.name}: {len(image.code)} instructions, {sum(r.bytes for r in image.memory)} bytes of memory"
            for image in artifact.classes
        ]
    return lines
