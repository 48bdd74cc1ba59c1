"""What the operands and the options of an operation must have in common.

Covers: wse/csl/builtins/operations.py, wse/csl/builtins/vectors.py
"""

from __future__ import annotations

import pytest

from csl.running import compiled
from wse.csl.syntax.errors import CslError

HEAD = """
var a = @zeros([8]u16);
var f = @zeros([8]u16);
const fifo = @allocate_fifo(f);
const m = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{8} -> a[i] });
const q2 = @get_input_queue(2);
const q3 = @get_input_queue(3);
const in = @get_dsd(fabin_dsd, .{ .extent = 8, .input_queue = q2, .fabric_color = @get_color(0) });
const in2 = @get_dsd(fabin_dsd, .{ .extent = 8, .input_queue = q3, .fabric_color = @get_color(1) });
const out = @get_dsd(fabout_dsd, .{ .extent = 8, .output_queue = @get_output_queue(2), .fabric_color = @get_color(2) });
const dest = @get_dsr(dsr_dest, 1);
const src0 = @get_dsr(dsr_src0, 1);
const src1 = @get_dsr(dsr_src1, 1);
const done = @get_local_task_id(9);
task finish() void {}
comptime { @export_symbol(main); @bind_local_task(finish, done); }
"""


def messages(tmp_path, body: str, arch: str = "wse3") -> list[str]:
    try:
        compiled(tmp_path, f"{HEAD}fn main() void {{\n{body}\n}}\n", arch)
    except CslError as error:
        assert all(found.span is not None for found in error.diagnostics)
        return [found.message for found in error.diagnostics]
    return []


MEMORY = "an operation over memory is not asynchronous: .async needs a fabric or FIFO operand"
TWO = "wse3 takes one fabric input an operation, not two: wse2 takes two"
FIRST = "a FIFO is the second source of an operation with two sources, not the first"
REFUSED = {
    "async over memory": ("@mov16(m, m, .{ .async = true });", MEMORY),
    "async over DSRs of memory": (
        "@load_to_dsr(dest, m); @load_to_dsr(src1, m); @mov16(dest, src1, .{ .async = true });",
        MEMORY,
    ),
    "two fabric inputs": ("@add16(m, in, in2);", TWO),
    "two fabric inputs in DSRs": ("@load_to_dsr(src0, in); @load_to_dsr(src1, in2); @add16(m, src0, src1);", TWO),
    "a FIFO first": ("@add16(m, fifo, m);", FIRST),
    "a FIFO in a DSR first": ("@load_to_dsr(src0, fifo); @add16(m, src0, m);", FIRST),
    "priority of a synchronous operation": (
        "@mov16(out, m, .{ .priority = .{ .high = true } });",
        ".priority belongs to asynchronous operations: .async = true is missing",
    ),
    "microthread of a synchronous operation": (
        "@mov16(out, m, .{ .ut_id = @get_ut_id(3) });",
        ".ut_id belongs to asynchronous operations: .async = true is missing",
    ),
    "activate and unblock": (
        "@mov16(out, m, .{ .async = true, .activate = done, .unblock = done });",
        "an operation has .activate or .unblock, not both",
    ),
    "option of a load": ("@mov16(out, m, .{ .save_address = true });", "an operation has no option save_address"),
    "simd_mode": ("@mov16(out, m, .{ .simd_mode = .{ .simd_32 = true } });", "an operation has no option simd_mode"),
    "on_control without input": (
        "@mov16(out, m, .{ .on_control = .{ .terminate = true } });",
        ".on_control needs a fabin_dsd among the sources",
    ),
    "on_control at run time": (
        "@mov16(m, in, .{ .on_control = .{ .activate = a[0] } });",
        ".activate takes a value of type local_task_id, or a task by name, not one of type u16",
    ),
    "fabout as source": ("@mov16(m, out);", "a fabout_dsd is no source"),
    "fabin as destination": ("@mov16(in, m);", "a fabin_dsd is no destination"),
    "a scalar as destination": ("@mov16(3, m);", "a destination is a descriptor, a DSR or a pointer to a scalar"),
    "a FIFO of @map": ("@map(helper, fifo, m);", "a FIFO is no operand of @map"),
    "@dfilt of memory": ("@dfilt(m, .{ .async = true });", "@dfilt takes a fabin_dsd, or a DSR that holds one"),
    "@dfilt without options": ("@dfilt(m);", "@dfilt takes 2 arguments, not 1"),
    "@dfilt that is not asynchronous": (
        "@dfilt(m, .{});",
        "@dfilt is an asynchronous operation: .async = true is missing",
    ),
    "@dfilt with .index": ("@dfilt(m, .{ .async = true, .index = 1 });", "@dfilt has no option index"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name, tmp_path):
    body, message = REFUSED[name]
    head = "fn helper(x: u16) u16 { return x; }\n"
    try:
        compiled(tmp_path, f"{HEAD}{head}fn main() void {{\n{body}\n}}\n", "wse3")
    except CslError as error:
        found = error.diagnostics[0]
        assert message in found.message
        assert found.span is not None and found.span.line == HEAD.count("\n") + 3
    else:
        pytest.fail("it compiles")


ALLOWED = {
    "async with FIFO": "@mov16(fifo, m, .{ .async = true });",
    "async in": "@mov16(m, in, .{ .async = true, .activate = done });",
    "activate after a synchronous one": "@mov16(out, m, .{ .activate = done });",
    "both fabric": "@mov16(out, in, .{ .async = true, .unblock = done });",
    "FIFO second": "@add16(m, m, fifo);",
    "FIFO alone": "@mov16(m, fifo);",
}


@pytest.mark.parametrize("name", ALLOWED)
@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_what_is_allowed(name, arch, tmp_path):
    assert messages(tmp_path, ALLOWED[name], arch) == []


def test_wse2_takes_two_fabric_inputs(tmp_path):
    assert messages(tmp_path, "@add16(m, in, in2);", "wse2") == []
