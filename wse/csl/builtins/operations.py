"""What the operands and options of a vector operation must have in common.

What an explicit DSR holds is known when all code of the unit has been seen; operations on DSRs are checked then.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..ir import ir
from ..sema.frame import Frame
from ..syntax import ast
from ..syntax.errors import CslError, Span
from .options import Given

FABRIC = ("fabin", "fabout")
DSR_KINDS = {"fabin_dsd": "fabin", "fabout_dsd": "fabout", "fifo": "fifo", "mem1d_dsd": "mem1d"}


def kinds_of(frame: Frame, operand: Any) -> set[str]:
    """The kinds of descriptors that an operand may be; empty if it is a scalar."""
    if isinstance(operand, ir.Dsd | ir.DsdVar):
        return {operand.kind}
    if isinstance(operand, ir.FifoRef):
        return {"fifo"}
    return {DSR_KINDS.get(load.kind, "memory") for load in frame.unit.dsrs.of(operand)}


def check_operation(
    frame: Frame, given: Given, operands: list[Any], node: ast.BuiltinCall, sizes: tuple[int, ...] = ()
) -> list[Any]:
    """Refuses what the machine has no operation for; the operands, those that `.index` is for marked.  sizes: bytes of
    an element of each operand."""
    explicit = any(isinstance(operand, ir.Dsr) for operand in operands)

    def check() -> None:
        check_kinds(frame, given, operands, node.span)
        check_simd(frame, operands, sizes, node.span)

    if explicit:
        frame.unit.deferred_checks.append(check)
    else:
        check()
    if given.then.async_ and given.then.ut is None and not names_thread(frame, operands):
        frame.unit.deferred_checks.append(lambda: check_fifo_priority(frame, operands, node.span))
    if given.ut is not None and not any(isinstance(o, ir.Dsd | ir.DsdVar | ir.FifoRef) for o in operands):
        raise CslError.at(node.span, "the DSRs say the microthread: load one with this .ut_id")
    if given.task is not None and not any(isinstance(o, ir.Dsd | ir.DsdVar | ir.FifoRef) for o in operands):
        what = "activate" if "activate" in given.names else "unblock"
        raise CslError.at(node.span, f"the DSRs say which task: load one with this .{what}")
    if given.index is not None:
        operands = indexed(operands, node.span)
    if not given.then.async_ and not explicit:
        for name in ("priority", "ut_id"):
            if name in given.names:
                raise CslError.at(node.span, f".{name} belongs to asynchronous operations: .async = true is missing")
    return operands


def check_kinds(frame: Frame, given: Given, operands: list[Any], span: Span) -> None:
    kinds = [kinds_of(frame, operand) for operand in operands]
    arch = frame.unit.program.arch
    inputs = sum(found == {"fabin"} for found in kinds[1:])
    if inputs > 1 and arch == "wse3":
        raise CslError.at(span, "wse3 takes one fabric input an operation, not two: wse2 takes two")
    if operands[2] is not None and "fifo" in kinds[1]:
        raise CslError.at(span, "a FIFO is the second source of an operation with two sources, not the first")
    known = all(found or not isinstance(operand, ir.Dsr) for operand, found in zip(operands, kinds, strict=True))
    if given.then.async_ and known and not set().union(*kinds) & {*FABRIC, "fifo"}:
        raise CslError.at(span, "an operation over memory is not asynchronous: .async needs a fabric or FIFO operand")
    if given.on_control is not None and known and not any("fabin" in found for found in kinds):
        raise CslError.at(span, ".on_control needs a fabin_dsd among the sources")
    check_cleared(operands, kinds, span)
    for operand in operands:
        for load in frame.unit.dsrs.of(operand):
            if load.single_step:
                raise CslError.at(
                    span,
                    "a DSR that is loaded with .single_step is an operand of @map only",
                    (load.span, "loaded here"),
                )


def check_simd(frame: Frame, operands: list[Any], sizes: tuple[int, ...], span: Span) -> None:
    """The fabric operands of an operation take as many elements and wavelets at once."""
    modes: set[str | None] = set()
    bytes: set[int] = set()
    for operand, size in zip(operands, sizes, strict=False):
        if isinstance(operand, ir.Dsd) and operand.kind in FABRIC:
            found = {operand.simd}
        else:
            found = {load.simd for load in frame.unit.dsrs.of(operand) if DSR_KINDS.get(load.kind) in FABRIC}
        if found:
            modes |= found
            bytes.add(size)
    if len(modes) > 1 and (None in modes or {"simd_32", "simd_64"} <= modes):
        raise CslError.at(span, "the fabric operands of an operation have the same .simd_mode, or none has one")
    if modes != {None} and len(bytes) > 1:
        raise CslError.at(span, "fabric operands of 16 and of 32 bits in one operation have no .simd_mode")


def names_thread(frame: Frame, operands: list[Any]) -> bool:
    """Whether an operand says the microthread of an operation: one on the fabric, or a DSR."""
    return any(isinstance(operand, ir.Dsr) or kinds_of(frame, operand) & set(FABRIC) for operand in operands)


def check_fifo_priority(frame: Frame, operands: list[Any], span: Span) -> None:
    """The priority is that of a microthread, which must be known."""
    fifos = {operand.name for operand in operands if isinstance(operand, ir.FifoRef)}
    if any(fifo.name in fifos and fifo.priority is not None for fifo in frame.unit.out.fifos):
        raise CslError.at(span, "the .priority of a FIFO needs the microthread of the operation: give it a .ut_id")


def check_cleared(operands: list[Any], kinds: list[set[str]], span: Span) -> None:
    """.zero names a source in memory."""
    clears = operands[0].zero if isinstance(operands[0], ir.Dsd) else None
    if clears is None:
        return
    if clears == "first_source" and operands[2] is None:
        raise CslError.at(span, "the only source of an operation is cleared by .zero = .{ .second_source = true }")
    source = 1 if clears == "first_source" or operands[2] is None else 2
    if not isinstance(operands[source], ir.Dsr) and not kinds[source] & {"mem1d", "mem4d", "circular"}:
        raise CslError.at(span, f".zero clears the {clears.replace('_', ' ')}, which is no descriptor over memory")


def indexed(operands: list[Any], span: Span) -> list[Any]:
    """The operands, descriptors in memory marked to take the index if no constant one does."""
    if any(isinstance(operand, ir.Dsd) and operand.index for operand in operands):
        return operands
    marked = [replace(operand, index=True) if isinstance(operand, ir.DsdVar) else operand for operand in operands]
    if not any(isinstance(operand, ir.DsdVar | ir.Dsr) for operand in operands):
        raise CslError.at(span, ".index needs an operand with .wavelet_index_offset = true")
    return marked
