"""Explicit DSRs and FIFOs.

Covers: wse/csl/builtins/dsrs.py
"""

from __future__ import annotations

import pytest

from csl.running import compiled, read, run
from wse import FabricFault
from wse.csl.codegen.link import link
from wse.csl.syntax.errors import CslError
from wse.program.assembler import disassemble_word

ARCHES = ("wse2", "wse3")
HEAD = """
export var a = [8]u16{1, 2, 3, 4, 5, 6, 7, 8};
export var b = @zeros([8]u16);
const from = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{8} -> a[i] });
const four = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{4} -> a[i] });
const to = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{8} -> b[i] });
const square = @get_dsd(mem4d_dsd, .{ .tensor_access = |i, j|{2, 4} -> a[i + 2 * j] });
const ring = @get_dsd(circbuf_dsd, .{ .base_address = &a, .extent = 3, .wraparound = 5 });
const in = @get_dsd(fabin_dsd, .{ .extent = 4, .input_queue = @get_input_queue(2) });
const out = @get_dsd(fabout_dsd, .{ .extent = 4, .output_queue = @get_output_queue(2), .fabric_color = @get_color(1) });
const dest = @get_dsr(dsr_dest, 3);
const src0 = @get_dsr(dsr_src0, 4);
const src1 = @get_dsr(dsr_src1, 5);
const x = @get_xdsr(1);
const s = @get_sr(2);
var n: u16 = 3;
const done = @get_local_task_id(9);
task finish() void {}
comptime { @export_symbol(main); @bind_local_task(finish, done); @initialize_queue(@get_input_queue(2), .{ .color = @get_color(0) }); }
"""


def program(body: str, decls: str = "") -> str:
    return f"{HEAD}{decls}\nfn main() void {{\n{body}\n}}\n"


LOADS = {
    "mem1d": ("@load_to_dsr(src1, from);\n@mov16(to, src1);", [1, 2, 3, 4, 5, 6, 7, 8]),
    "destination": ("@load_to_dsr(dest, to);\n@mov16(dest, from);", [1, 2, 3, 4, 5, 6, 7, 8]),
    "src0 is both": (
        "@load_to_dsr(src0, to);\n@mov16(src0, 2);\n@add16(src0, src0, from);",
        [3, 4, 5, 6, 7, 8, 9, 10],
    ),
    "save_address": (
        "@load_to_dsr(src1, four, .{ .save_address = true });\n@mov16(to, src1);\n"
        "@mov16(@increment_dsd_offset(to, 4, u16), src1);",
        [1, 2, 3, 4, 5, 6, 7, 8],
    ),
    "mem4d": ("@load_to_dsr_xdsr_sr(src1, x, .{s}, square);\n@mov16(to, src1);", [1, 3, 5, 7, 2, 4, 6, 8]),
    "circular": (
        "@load_to_dsr_xdsr(src1, x, ring, .{ .save_address = true });\n@mov16(to, src1);\n"
        "@mov16(@increment_dsd_offset(to, 3, u16), src1);",
        [1, 2, 3, 4, 5, 1, 0, 0],
    ),
    "a changed length": (
        "@load_to_dsr(src1, from);\n@set_dsr_length(src1, n);\n@mov16(to, src1);\n@set_dsr_length(src1, 1);\n"
        "@mov16(@increment_dsd_offset(to, 5, u16), src1);",
        [1, 2, 3, 0, 0, 1, 0, 0],
    ),
    "a changed address": (
        "@load_to_dsr(src1, four);\n@set_dsr_base_addr(src1, &a[3]);\n@mov16(to, src1);",
        [4, 5, 6, 7, 0, 0, 0, 0],
    ),
    "a changed descriptor": (
        "@load_to_dsr(src1, @increment_dsd_offset(four, 2, u16));\n@mov16(to, src1);",
        [3, 4, 5, 6, 0, 0, 0, 0],
    ),
}


@pytest.mark.parametrize("name", LOADS)
@pytest.mark.parametrize("arch", ARCHES)
def test_loads(name, arch, tmp_path):
    body, want = LOADS[name]
    assert read(run(tmp_path, program(body), arch=arch), "b").tolist() == want


@pytest.mark.parametrize("arch", ARCHES)
def test_a_load_in_a_comptime_block_happens_before_the_first_task(arch, tmp_path):
    text = program("@mov16(to, src1);", "comptime { @load_to_dsr(src1, from); }")
    assert read(run(tmp_path, text, arch=arch), "b").tolist() == [1, 2, 3, 4, 5, 6, 7, 8]


@pytest.mark.parametrize(
    "load, want",
    [
        ("@load_to_dsr_xdsr(src1, x, ring)", [1, 2, 3, 0, 0, 0, 0, 0]),
        ("@load_to_dsr_xdsr_sr(src1, x, .{s}, square)", [1, 3, 5, 7, 2, 4, 6, 8]),
    ],
)
@pytest.mark.parametrize("arch", ARCHES)
def test_a_load_in_a_comptime_block_loads_the_xdsr(arch, load, want, tmp_path):
    """No other code names the descriptor."""
    text = program("@mov16(to, src1);", f"comptime {{ {load}; }}")
    assert read(run(tmp_path, text, arch=arch), "b").tolist() == want


@pytest.mark.parametrize("arch", ARCHES)
def test_single_step_registers_are_operands_of_map(arch, tmp_path):
    decls = "fn twice(v: u16) u16 { return 2 * v; }"
    body = "@load_to_dsr(src1, from, .{ .single_step = true });\n@map(twice, src1, to);"
    assert read(run(tmp_path, program(body, decls), arch=arch), "b").tolist() == [2, 4, 6, 8, 10, 12, 14, 16]


REFUSED = {
    "kind of DSR": ("_ = @get_dsr(xdsr, 1);", "xdsr is no kind of DSRs"),
    "number": ("_ = @get_dsr(dsr_dest, 16);", "there is no dsr_dest 16: there are 0 to 15"),
    "xdsr": ("_ = @get_xdsr(16);", "there is no xdsr 16: there are 0 to 15"),
    "no DSR": ("@load_to_dsr(from, to);", "a DSR was expected"),
    "no descriptor": ("@load_to_dsr(src1, a);", "a descriptor was expected"),
    "mem4d": (
        "@load_to_dsr(src1, square);",
        "a mem4d_dsd needs an XDSR and stride registers: @load_to_dsr_xdsr_sr loads it",
    ),
    "mem4d with an XDSR": ("@load_to_dsr_xdsr(src1, x, square);", "a mem4d_dsd needs an XDSR and stride registers"),
    "no XDSR": ("@load_to_dsr_xdsr(src1, s, ring);", "a value of type xdsr was expected"),
    "fabin as destination": ("@load_to_dsr(dest, in);", "a fabin_dsd is a source: a dsr_dest takes destinations"),
    "fabout as source": ("@load_to_dsr(src1, out);", "a fabout_dsd is a destination: a dsr_src1 takes sources"),
    "fabout as src0": ("@load_to_dsr(src0, out);", "a fabout_dsd is a destination: a dsr_src0 takes sources"),
    "a FIFO's DSR": ("@load_to_dsr(@get_dsr(dsr_fifo_src1, src1), from);", "@allocate_fifo loads the DSRs of a FIFO"),
    "a FIFO's DSR from another": ("_ = @get_dsr(dsr_fifo_src1, dest);", "a dsr_fifo_src1 is made from a dsr_src1, not"),
    "circular": ("@load_to_dsr(src1, ring);", "a circbuf_dsd needs an XDSR: @load_to_dsr_xdsr loads it"),
    "mem1d with an XDSR": ("@load_to_dsr_xdsr(src1, x, from);", "a circbuf_dsd was expected, not a mem1d_dsd"),
    "too many registers": (
        "@load_to_dsr_xdsr_sr(src1, x, .{s, s, s}, square);",
        "this descriptor needs 1 stride register, not 3",
    ),
    "registers of a variable": (
        "var v = square; @load_to_dsr_xdsr_sr(src1, x, .{s}, v);",
        "this descriptor needs 3 stride registers, not 1",
    ),
    "no tuple": ("@load_to_dsr_xdsr_sr(src1, x, s, square);", "a tuple of stride registers was expected"),
    "on_control of an output": (
        "@load_to_dsr(dest, out, .{ .async = true, .on_control = .{ .terminate = true } });",
        ".on_control is of a fabin_dsd, not of a fabout_dsd",
    ),
    "activate without async": (
        "@load_to_dsr(src1, in, .{ .activate = done });",
        ".activate belongs to asynchronous operations: .async = true is missing",
    ),
    "priority without async": (
        "@load_to_dsr(src1, in, .{ .priority = .{ .high = true } });",
        ".priority belongs to asynchronous operations",
    ),
    "option of an operation": ("@load_to_dsr(src1, in, .{ .index = 1 });", "@load_to_dsr has no option index"),
    "async of memory": (
        "@load_to_dsr(src1, from, .{ .async = true });",
        ".async is of fabric descriptors, not of a mem1d_dsd",
    ),
    "async of a circular buffer": (
        "@load_to_dsr_xdsr(src1, x, ring, .{ .async = true });",
        ".async is of fabric descriptors, not of a circbuf_dsd",
    ),
    "save_address of fabin": (
        "@load_to_dsr(src1, in, .{ .save_address = true });",
        ".save_address is of descriptors over memory, not of a fabin_dsd",
    ),
    "a DSR as the wrong operand": ("@mov16(to, dest);", "a dsr_dest is no source: dsr_src0 and dsr_src1 are"),
    "a DSR as destination": ("@mov16(src1, from);", "a dsr_src1 is no destination: dsr_dest and dsr_src0 are"),
    "length of no DSR": ("@set_dsr_length(from, 3);", "a DSR was expected"),
    "length": ("@set_dsr_length(src1, -1);", "an extent is 0 to 65535, not -1"),
    "address of a fabric descriptor": (
        "@load_to_dsr(src1, in);\n@set_dsr_base_addr(src1, &a);",
        "the DSR is loaded with a fabin_dsd, which has no address",
    ),
    "single step": (
        "@load_to_dsr(src1, from, .{ .single_step = true });\n@mov16(to, src1);",
        "a DSR that is loaded with .single_step is an operand of @map only",
    ),
    "bytes of a FIFO": ("_ = @allocate_fifo(bytes);", "@allocate_fifo is evaluated at compile time"),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("arch", ARCHES)
def test_what_is_refused(name, arch, tmp_path):
    body, message = REFUSED[name]
    with pytest.raises(CslError) as caught:
        compiled(tmp_path, program(body), arch)
    assert message in caught.value.diagnostics[0].message


FIFOS = {
    "bytes": ("var f = @zeros([4]u8);", "f", "the elements of a FIFO are numbers of 16 or 32 bits, not u8"),
    "wide": ("var f = @zeros([4]u64);", "f", "the elements of a FIFO are numbers of 16 or 32 bits, not u64"),
    "pointers": ("var f: [4]*u16;", "f", r"the elements of a FIFO are numbers of 16 or 32 bits, not \*u16"),
    "too large": (
        "var f = @zeros([70000]u32);",
        "f",
        "the buffer of a FIFO has 280,000 bytes: the memory of a PE has 49,152",
    ),
    "nothing": ("var f = @zeros([0]u16);", "f", "the buffer of a FIFO has one element or more"),
    "constant": (
        "const f = @zeros([4]u16);",
        "f",
        "a global `var` that is an array, or a pointer to one, was expected",
    ),
    "element": (
        "var f = @zeros([4]u16);",
        "&f[1]",
        "a global `var` that is an array, or a pointer to one, was expected",
    ),
    "alignment": (
        "var f: [4]u32 align(2) = @zeros([4]u32);",
        "f",
        "the buffer of a FIFO of u32 is aligned to 4 bytes or more, not to 2",
    ),
    "option": ("var f = @zeros([4]u16);", "f, .{ .activate = done }", "a FIFO has no option activate"),
}


@pytest.mark.parametrize("name", FIFOS)
def test_buffers_of_fifos_that_are_refused(name, tmp_path):
    decl, arguments, message = FIFOS[name]
    with pytest.raises(CslError, match=message):
        compiled(tmp_path, program("_ = fifo;", f"{decl}\nconst fifo = @allocate_fifo({arguments});"))


@pytest.mark.parametrize("arch", ARCHES)
def test_a_synchronous_operation_says_whether_a_fifo_took_all(arch, tmp_path):
    decls = "var f = @zeros([5]u16);\nconst fifo = @allocate_fifo(f);\nexport var all = @zeros([4]u16);"
    body = (
        "all[0] = @as(u16, @mov16(fifo, four));\nall[1] = @as(u16, @mov16(fifo, from));\n"
        "all[2] = @as(u16, @mov16(to, fifo));\nall[3] = @as(u16, @mov16(@set_dsd_length(to, 2), fifo));"
    )
    done = run(tmp_path, program(body, decls), arch=arch)
    assert read(done, "all").tolist() == [1, 0, 0, 0]
    assert read(done, "b").tolist() == [1, 2, 3, 4, 1, 0, 0, 0]


@pytest.mark.parametrize("arch", ARCHES)
def test_tasks_of_a_fifo(arch, tmp_path):
    """A push after a reader found nothing, and a pop after a writer found no room, activate their tasks."""
    decls = (
        "var f = @zeros([4]u16);\nexport var calls = @zeros([2]u16);\n"
        "const pushed = @get_local_task_id(10);\nconst popped = @get_local_task_id(11);\n"
        "task push() void { calls[0] += 1; }\ntask pop() void { calls[1] += 1; }\n"
        "comptime { @bind_local_task(push, pushed); @bind_local_task(pop, popped); }\n"
        "const fifo = @allocate_fifo(f, .{ .activate_push = pushed, .activate_pop = popped });"
    )
    body = "_ = @mov16(to, fifo);\n_ = @mov16(fifo, from);\n_ = @mov16(to, fifo);"
    done = run(tmp_path, program(body, decls), arch=arch)
    assert read(done, "calls").tolist() == [1, 1]
    assert read(done, "b").tolist() == [1, 2, 3, 4, 0, 0, 0, 0]


FIFO = "var f = @zeros([4]u16);\nexport var all = @zeros([4]u16);\nconst fifo = @allocate_fifo(f%s);"


@pytest.mark.parametrize("arch", ARCHES)
def test_lengths_of_a_fifo(arch, tmp_path):
    """A length that is set decides before those of the other operands, and counts down to none."""
    body = (
        "@set_fifo_write_length(fifo, n);\n_ = @mov16(fifo, 7);\n"  # three elements of a scalar
        "@set_fifo_read_length(fifo, 2);\n_ = @mov16(to, fifo);\n"
        "all[0] = @as(u16, @mov16(@increment_dsd_offset(@set_dsd_length(to, 1), 4, u16), fifo));"
    )
    done = run(tmp_path, program(body, FIFO % ""), arch=arch)
    assert read(done, "b").tolist() == [7, 7, 0, 0, 7, 0, 0, 0]
    assert read(done, "all").tolist() == [1, 0, 0, 0]


@pytest.mark.parametrize("arch", ARCHES)
def test_what_is_left_of_a_length_is_done_by_the_next_operation(arch, tmp_path):
    body = (
        "@set_fifo_write_length(fifo, 6);\nall[0] = @as(u16, @mov16(fifo, 7));\n"  # four fit
        "_ = @mov16(@set_dsd_length(to, 3), fifo);\nall[1] = @as(u16, @mov16(fifo, 8));\n"
        "_ = @mov16(@increment_dsd_offset(@set_dsd_length(to, 3), 3, u16), fifo);"
    )
    done = run(tmp_path, program(body, FIFO % ""), arch=arch)
    assert read(done, "all").tolist() == [0, 1, 0, 0]
    assert read(done, "b").tolist() == [7, 7, 7, 7, 8, 8, 0, 0]


ACTIONS = """
const c = @get_color(3);
const oq = @get_output_queue(4);
const iq = @get_input_queue(5);
const loop_out = @get_dsd(fabout_dsd, .{ .fabric_color = c, .extent = 6, .output_queue = oq });
const loop_in = @get_dsd(fabin_dsd, .{ .fabric_color = c, .extent = 6, .input_queue = iq });
comptime {
  @initialize_queue(iq, .{ .color = c });
  @initialize_queue(oq, if (@is_arch("wse3")) .{ .color = c } else .{});
  @set_local_color_config(c, .{ .routes = .{ .rx = .{RAMP}, .tx = .{RAMP} } });
}
"""


@pytest.mark.parametrize("arch", ARCHES)
def test_a_reader_that_terminates_ends_an_asynchronous_operation(arch, tmp_path):
    """The FIFO holds four elements: the operation sends these and activates its task."""
    decls = ACTIONS + FIFO % ", .{ .empty_action = .{ .terminate = true } }" + "\ntask last() void { all[3] = 1; }\n"
    decls += "const end = @get_local_task_id(12);\ncomptime { @bind_local_task(last, end); }"
    body = "_ = @mov16(fifo, four);\n@mov16(loop_out, fifo, .{ .async = true, .activate = last });\n@mov16(to, @set_dsd_length(loop_in, 4));"
    done = run(tmp_path, program(body, decls), arch=arch)
    assert read(done, "all")[3] == 1
    assert read(done, "b").tolist() == [1, 2, 3, 4, 0, 0, 0, 0]


@pytest.mark.parametrize("action, want", [("terminate", 1), ("test_or_suspend", 0)])
@pytest.mark.parametrize("arch", ARCHES)
def test_a_synchronous_reader_that_terminates_returns_true(arch, action, want, tmp_path):
    decls = ACTIONS + FIFO % f", .{{ .empty_action = .{{ .{action} = true }} }}"
    body = "_ = @mov16(fifo, four);\nall[0] = @as(u16, @mov16(to, fifo));"
    done = run(tmp_path, program(body, decls), arch=arch)
    assert read(done, "all")[0] == want
    assert read(done, "b").tolist() == [1, 2, 3, 4, 0, 0, 0, 0]


@pytest.mark.parametrize(
    "options",
    [
        ".full_action = .{ .terminate = true }",
        ".empty_action = .{ .suspend = true }",
        ".empty_action = .{ .fault = true }",
        ".priority = .{ .low = true }",
    ],
)
def test_actions_that_wse2_does_not_have(options, tmp_path):
    with pytest.raises(CslError, match="wse2 has no "):
        compiled(tmp_path, program("_ = fifo;", FIFO % f", .{{ {options} }}"), "wse2")


def test_a_writer_that_suspends_waits_for_room(tmp_path):
    """A synchronous operation waits while another microthread empties the FIFO."""
    decls = ACTIONS + FIFO % ", .{ .full_action = .{ .suspend = true } }"
    body = (
        "@mov16(loop_out, fifo, .{ .async = true });\nall[0] = @as(u16, @mov16(fifo, @set_dsd_length(from, 6)));\n"
        "@mov16(@set_dsd_length(to, 6), loop_in);"
    )
    done = run(tmp_path, program(body, decls), arch="wse3")
    assert read(done, "all")[0] == 1
    assert read(done, "b").tolist() == [1, 2, 3, 4, 5, 6, 0, 0]


@pytest.mark.parametrize(
    "options, message",
    [
        (".full_action = 3", ".full_action is .{ .test_or_suspend = true }"),
        (".priority = .{ .top = true }", "a priority is .{ .high = true }"),
    ],
)
def test_options_of_a_fifo_that_are_refused(options, message, tmp_path):
    with pytest.raises(CslError) as caught:
        compiled(tmp_path, program("_ = fifo;", FIFO % f", .{{ {options} }}"))
    assert message in caught.value.diagnostics[0].message


@pytest.mark.parametrize(
    "action, body", [("full", "_ = @mov16(fifo, from);"), ("empty", "_ = @mov16(fifo, four);\n_ = @mov16(to, fifo);")]
)
def test_an_action_may_be_a_fault(action, body, tmp_path):
    decls = ACTIONS + FIFO % f", .{{ .{action}_action = .{{ .fault = true }} }}"
    with pytest.raises(
        FabricFault, match=r"a FIFO empty or full .* at .*pe.csl:.* give @allocate_fifo another"
    ) as caught:
        run(tmp_path, program(body, decls))
    assert caught.value.kind == "FIFO"


PRIORITY = ACTIONS + FIFO % ", .{ .priority = .{ .high = true } }"


def test_the_priority_of_a_fifo_is_that_of_its_microthread(tmp_path):
    body = "@mov16(loop_out, fifo, .{ .async = true });\n_ = @mov16(fifo, four, .{ .async = true, .ut_id = @get_ut_id(6) });"
    linked = link(compiled(tmp_path, program(body, PRIORITY)))
    code = [disassemble_word(int(word)) for word in linked.classes[0].code]
    assert [line.split() for line in code if "utprio" in line] == [["utprio", "4,", "2"], ["utprio", "6,", "2"]]


def test_the_priority_of_a_fifo_needs_a_microthread(tmp_path):
    with pytest.raises(
        CslError, match=r"the .priority of a FIFO needs the microthread of the operation: give it a .ut_id"
    ):
        compiled(tmp_path, program("_ = @mov16(fifo, four, .{ .async = true });", PRIORITY))


REGISTERS = ".dest = @get_dsr(dsr_dest, 4), .src = @get_dsr(dsr_src1, 4), .xdsr = @get_xdsr(2)"


@pytest.mark.parametrize("arch", ARCHES)
def test_a_fifo_in_registers_of_the_program(arch, tmp_path):
    """The FIFO holds four elements; operations on its registers return as those on the FIFO."""
    decls = ACTIONS + FIFO % f", .{{ {REGISTERS} }}"
    decls += "const w = @get_dsr(dsr_fifo_dest, @get_dsr(dsr_dest, 4));\nconst r = @get_dsr(dsr_fifo_src1, 4);\n"
    body = (
        "all[0] = @as(u16, @mov16(w, four));\nall[1] = @as(u16, @mov16(w, four));\n"
        "all[2] = @as(u16, @mov16(to, r));\nall[3] = @as(u16, @mov16(fifo, four));"
    )
    done = run(tmp_path, program(body, decls), arch=arch)
    assert read(done, "all")[:4].tolist() == [1, 0, 0, 1]
    assert read(done, "b").tolist() == [1, 2, 3, 4, 0, 0, 0, 0]


@pytest.mark.parametrize(
    "options, message",
    [
        (".dest = @get_dsr(dsr_dest, 4)", ".dest, .src and .xdsr of a FIFO are given together"),
        (REGISTERS.replace("dsr_src1, 4", "dsr_src1, 5"), ".dest and .src of a FIFO have the same number, not 4 and 5"),
        (REGISTERS.replace("dsr_src1", "dsr_src0"), ".src of a FIFO is a value of type dsr_src1"),
    ],
)
def test_registers_of_a_fifo_that_are_refused(options, message, tmp_path):
    with pytest.raises(CslError) as caught:
        compiled(tmp_path, program("_ = fifo;", FIFO % f", .{{ {options} }}"))
    assert message in caught.value.diagnostics[0].message


@pytest.mark.parametrize("arch", ARCHES)
def test_a_load_may_say_what_control_wavelets_do(arch, tmp_path):
    """The input ends at the control wavelet, and its task is activated."""
    decls = ACTIONS + FIFO % ""
    decls += (
        "task last() void { all[3] = 1; }\nconst end = @get_local_task_id(12);\n"
        "const command = @get_dsd(fabout_dsd, .{ .fabric_color = c, .extent = 1, .output_queue = oq, .control = true });\n"
        "comptime { @bind_local_task(last, end); }"
    )
    body = (
        "@load_to_dsr(src1, loop_in, .{ .async = true, .on_control = .{ .activate = end } });\n"
        "@mov16(to, src1, .{ .async = true });\n"
        "@mov16(@set_dsd_length(loop_out, 2), @set_dsd_length(from, 2));\n@mov32(command, @as(u32, 0x90000));"
    )
    done = run(tmp_path, program(body, decls), arch=arch)
    assert read(done, "b").tolist() == [1, 2, 0, 0, 0, 0, 0, 0]
    assert read(done, "all")[3] == 1
