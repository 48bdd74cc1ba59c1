"""FIFOs: lengths, results, scalars, tasks, registers, SIMD modes.

Covers: wse/csl/builtins/dsrs.py, wse/csl/codegen/select_vector.py, csrc/pe/vector_step.c
"""

from __future__ import annotations

import pytest
from csl.running import compiled, read, run

from wse.csl.ir.ir import Unsupported
from wse.csl.syntax.errors import CslError

ARCHES = ("wse2", "wse3")
HEAD = """
export var a = [8]u16{1, 2, 3, 4, 5, 6, 7, 8};
export var b = @zeros([8]u16);
export var all = [8]u16{99, 99, 99, 99, 99, 99, 99, 99};
export var one: u16 = 50;
const from = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{8} -> a[i] });
const four = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{4} -> a[i] });
const to = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{8} -> b[i] });
const to2 = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{2} -> b[i + 6] });
var n: u16 = 3;
const c = @get_color(3);
const oq = @get_output_queue(4);
const iq = @get_input_queue(5);
const out = @get_dsd(fabout_dsd, .{ .fabric_color = c, .extent = 8, .output_queue = oq });
const in = @get_dsd(fabin_dsd, .{ .fabric_color = c, .extent = 8, .input_queue = iq });
comptime {
  @export_symbol(main);
  @initialize_queue(iq, .{ .color = c });
  @initialize_queue(oq, if (@is_arch("wse3")) .{ .color = c } else .{});
  @set_local_color_config(c, .{ .routes = .{ .rx = .{RAMP}, .tx = .{RAMP} } });
}
"""
FIFO = "var f = @zeros([%d]u16);\nconst fifo = @allocate_fifo(f, .{ %s });\n"
TASK = "const end = @get_local_task_id(12);\ntask last() void { LAST }\ncomptime { @bind_local_task(last, end); }\n"


def program(body: str, decls: str = FIFO % (4, "")) -> str:
    return f"{HEAD}{decls}\nfn main() void {{\n{body}\n}}\n"


def done(line: str, at: int) -> str:
    return f"all[{at}] = @as(u16, {line});\n"


# Bodies with what they leave in `one` and in `all`.
SCALARS = {
    "enough": (f"_ = @mov16(fifo, four);\n@set_fifo_read_length(fifo, 3);\n{done('@mov16(&one, fifo)', 0)}", 3, 1),
    "too few": (f"_ = @mov16(fifo, four);\n@set_fifo_read_length(fifo, 5);\n{done('@mov16(&one, fifo)', 0)}", 50, 0),
    "none": (done("@mov16(&one, fifo)", 0), 50, 0),
    "a sum": (
        f"_ = @mov16(fifo, four);\n@set_fifo_read_length(fifo, 4);\n{done('@add16(&one, &one, fifo)', 0)}",
        60,
        1,
    ),
    "a sum of too few": (
        f"_ = @mov16(fifo, four);\n@set_fifo_read_length(fifo, 6);\n{done('@add16(&one, &one, fifo)', 0)}",
        50,
        0,
    ),
    "of a DSR": (
        "_ = @mov16(fifo, four);\n@set_fifo_read_length(fifo, 5);\n"
        + done("@mov16(&one, @get_dsr(dsr_fifo_src1, 6))", 0),
        50,
        0,
    ),
}
REGISTERS = ".dest = @get_dsr(dsr_dest, 6), .src = @get_dsr(dsr_src1, 6), .xdsr = @get_xdsr(2)"


@pytest.mark.parametrize("name", SCALARS)
@pytest.mark.parametrize("arch", ARCHES)
def test_a_scalar_keeps_its_value_if_too_few_elements_come(name, arch, tmp_path):
    body, value, result = SCALARS[name]
    decls = FIFO % (4, REGISTERS if "dsr" in body else "")
    loaded = run(tmp_path, program(body, decls), arch=arch)
    assert read(loaded, "one").tolist() == [value]
    assert read(loaded, "all")[0] == result


@pytest.mark.parametrize("length, value", [(4, 110), (6, 50)])
@pytest.mark.parametrize("arch", ARCHES)
def test_a_result_that_begins_with_another_scalar(arch, length, value, tmp_path):
    """It keeps what it was before the operation if the FIFO has too few elements."""
    body = (
        f"const other: u16 = from_host + 100;\n_ = @mov16(fifo, four);\n@set_fifo_read_length(fifo, {length});\n"
        + done("@add16(&one, other, fifo)", 0)
    )
    loaded = run(tmp_path, program(body, FIFO % (4, "") + "var from_host: u16 = 0;\n"), arch=arch)
    assert read(loaded, "one").tolist() == [value]
    assert read(loaded, "all")[0] == (length == 4)


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("arch", ARCHES)
def test_the_scalar_of_an_operation_that_terminates(arch, full, tmp_path):
    """The FIFO terminates its reader, which has other elements from the fabric: an asynchronous sum."""
    decls = FIFO % (8, ".empty_action = .{ .terminate = true }") + TASK.replace("LAST", "all[1] = one;")
    fill = "from" if full else "four"
    body = (
        f"_ = @mov16(fifo, {fill});\n"
        + "@mov16(out, from, .{ .async = true });\n@add16(&one, in, fifo, .{ .async = true, .activate = end });"
    )
    loaded = run(tmp_path, program(body, decls), arch=arch)
    assert read(loaded, "all")[1] == (16 if full else 50)
    assert read(loaded, "one").tolist() == [16 if full else 50]


@pytest.mark.parametrize("arch", ARCHES)
def test_what_a_synchronous_operation_leaves_is_the_length_of_the_next(arch, tmp_path):
    """Without any length being set: the reader wants eight elements, finds four, and the next read is of four."""
    body = (
        f"_ = @mov16(fifo, four);\n{done('@mov16(to, fifo)', 0)}_ = @mov16(fifo, four);\n"
        + done("@mov16(to2, fifo)", 1)  # four elements, of which two overwrite nothing of b
        + done("@mov16(fifo, from)", 2)  # four of eight fit
        + done("@mov16(fifo, 7)", 3)  # four more, none of which fits
    )
    loaded = run(tmp_path, program(body.replace("@mov16(to2", "@mov16(&one"), FIFO % (4, "")), arch=arch)
    assert read(loaded, "all")[:4].tolist() == [0, 1, 0, 0]
    assert read(loaded, "one").tolist() == [4]
    assert read(loaded, "b").tolist() == [1, 2, 3, 4, 0, 0, 0, 0]


@pytest.mark.parametrize("arch", ARCHES)
def test_an_operation_that_ends_leaves_no_length(arch, tmp_path):
    body = (
        "@set_fifo_write_length(fifo, 3);\n_ = @mov16(fifo, 7);\n_ = @mov16(fifo, 8);\n"  # three elements, then one
        "@set_fifo_read_length(fifo, 4);\n" + done("@mov16(to, fifo)", 0) + done("@mov16(&one, fifo)", 1)
    )
    loaded = run(tmp_path, program(body), arch=arch)
    assert read(loaded, "b").tolist() == [7, 7, 7, 8, 0, 0, 0, 0]
    assert read(loaded, "all")[:2].tolist() == [1, 0]
    assert read(loaded, "one").tolist() == [50]


@pytest.mark.parametrize("arch", ARCHES)
def test_an_asynchronous_operation_takes_the_length(arch, tmp_path):
    """Eight elements pass a FIFO of four places; the operations that follow have the lengths of their operands."""
    decls = FIFO % (4, "") + TASK.replace("LAST", done("@mov16(fifo, four)", 0) + done("@mov16(&one, fifo)", 1))
    body = (
        "@set_fifo_write_length(fifo, 8);\n@set_fifo_read_length(fifo, 8);\n"
        "@mov16(fifo, in, .{ .async = true });\n@mov16(out, from);\n"
        "const done_out = @get_dsd(fabout_dsd, .{ .fabric_color = d, .extent = 1, .output_queue = oq2 });\n"
        "@mov16(done_out, fifo, .{ .async = true });\n@mov16(to, back);\n@activate(end);"
    )
    decls += """
const d = @get_color(6);
const oq2 = @get_output_queue(3);
const iq2 = @get_input_queue(3);
const back = @get_dsd(fabin_dsd, .{ .fabric_color = d, .extent = 8, .input_queue = iq2 });
comptime {
  @initialize_queue(iq2, .{ .color = d });
  @initialize_queue(oq2, if (@is_arch("wse3")) .{ .color = d } else .{});
  @set_local_color_config(d, .{ .routes = .{ .rx = .{RAMP}, .tx = .{RAMP} } });
}
"""
    loaded = run(tmp_path, program(body, decls), arch=arch)
    assert read(loaded, "b").tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert read(loaded, "all")[:2].tolist() == [1, 1]
    assert read(loaded, "one").tolist() == [1]


@pytest.mark.parametrize("arch", ARCHES)
def test_an_infinite_length_ends_with_the_fifo(arch, tmp_path):
    body = "_ = @mov16(fifo, four);\n@set_fifo_read_length(fifo, 0x7fff);\n" + done("@add16(&one, &one, fifo)", 0)
    body += done("@mov16(fifo, four)", 1)  # all places are free again
    loaded = run(tmp_path, program(body), arch=arch)
    assert read(loaded, "one").tolist() == [50]
    assert read(loaded, "all")[:2].tolist() == [0, 1]


@pytest.mark.parametrize("arch", ARCHES)
def test_the_registers_of_a_fifo_are_its_own(arch, tmp_path):
    """Lengths set by the FIFO's builtins count for operations on its DSRs, and the other way round."""
    decls = FIFO % (4, REGISTERS) + "const w = @get_dsr(dsr_fifo_dest, 6);\nconst r = @get_dsr(dsr_fifo_src1, 6);\n"
    body = (
        "@set_fifo_write_length(fifo, n);\n_ = @mov16(w, 7);\n@set_dsr_length(w, 1);\n_ = @mov16(fifo, 9);\n"
        "@set_fifo_read_length(fifo, 5);\n"
        + done("@mov16(to, r)", 0)
        + "_ = @mov16(w, from);\n"
        + done("@mov16(to2, fifo)", 1)
    )
    loaded = run(tmp_path, program(body, decls), arch=arch)
    assert read(loaded, "b").tolist() == [7, 7, 7, 9, 0, 0, 1, 0]  # the second read has one element left to do
    assert read(loaded, "all")[:2].tolist() == [0, 1]


TWO = "var g = @zeros([8]u16);\nconst other = @allocate_fifo(g);\n"


@pytest.mark.parametrize("action, want", [("terminate", 1), ("test_or_suspend", 0)])
@pytest.mark.parametrize("arch", ARCHES)
def test_of_two_fifos_the_one_that_ends_the_operation_says_the_result(arch, action, want, tmp_path):
    """From a FIFO of four elements, whose end is reached, into one with room for eight."""
    decls = FIFO % (4, f".empty_action = .{{ .{action} = true }}") + TWO
    body = "_ = @mov16(fifo, four);\n@set_fifo_read_length(fifo, 6);\n" + done("@mov16(other, fifo)", 0)
    body += done("@mov16(to, other)", 1)
    loaded = run(tmp_path, program(body, decls), arch=arch)
    assert read(loaded, "all")[0] == want
    assert read(loaded, "b").tolist() == [1, 2, 3, 4, 0, 0, 0, 0]


@pytest.mark.parametrize("arch", ARCHES)
def test_a_dsr_of_a_fifo_that_terminates_returns_true(arch, tmp_path):
    decls = FIFO % (4, f"{REGISTERS}, .empty_action = .{{ .terminate = true }}")
    body = "_ = @mov16(fifo, four);\n" + done("@mov16(to, @get_dsr(dsr_fifo_src1, 6))", 0)
    loaded = run(tmp_path, program(body, decls), arch=arch)
    assert read(loaded, "all")[0] == 1
    assert read(loaded, "b").tolist() == [1, 2, 3, 4, 0, 0, 0, 0]


def test_a_microthread_known_at_run_time_is_that_of_one_operation(tmp_path):
    """The FIFO keeps a DSR: the operation that follows is synchronous again."""
    body = (
        "@mov16(out, from);\n@mov16(fifo, in, .{ .async = true, .ut_id = @get_ut_id(n) });\n"
        + "@set_fifo_read_length(fifo, 0);\n"
        + "while (!@mov16(&one, fifo)) {}\n"
        + done("@mov16(fifo, 5)", 0)
    )
    decls = FIFO % (16, "") + "var m: u16 = 0;\n"
    loaded = run(tmp_path, program(body, decls))
    assert read(loaded, "one").tolist() == [1]
    assert read(loaded, "all")[0] == 1


@pytest.mark.parametrize("buffer", ["&f", "p"])
@pytest.mark.parametrize("arch", ARCHES)
def test_a_pointer_to_the_buffer(arch, buffer, tmp_path):
    decls = f"var f = @zeros([2, 2]u16);\nconst p = &f;\nconst fifo = @allocate_fifo({buffer});\n"
    body = done("@mov16(fifo, four)", 0) + done("@mov16(fifo, 5)", 1) + "_ = @mov16(to, fifo);"
    loaded = run(tmp_path, program(body, decls), arch=arch)
    assert read(loaded, "all")[:2].tolist() == [1, 0]
    assert read(loaded, "b").tolist() == [1, 2, 3, 4, 0, 0, 0, 0]


SIZES = {  # elements pushed and popped, by operations of 16 and of 32 bits
    "16 to 32": (
        "@zeros([4]u32)",
        "_ = @mov16(fifo, from);",
        "@mov32(words, fifo)",
        [0x20001, 0x40003, 0x60005, 0x80007],
    ),
    "32 to 16": ("@zeros([5]u16)", "_ = @mov32(fifo, words); x[0] = 7;", "@mov16(to, fifo)", [1, 2, 3, 4]),
    "by turns": (
        "@zeros([5]u16)",
        "_ = @mov16(fifo, 9); _ = @mov32(fifo, words); _ = @mov16(&one, fifo); _ = @mov16(fifo, 5);",
        "@mov16(to, fifo)",
        [1, 2, 3, 4, 5],
    ),
}


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("arch", ARCHES)
def test_operations_of_both_sizes_on_one_fifo(arch, name, tmp_path):
    """An element of 32 bits takes two words of the buffer, wherever it wraps around."""
    buffer, push, pop, want = SIZES[name]
    decls = f"var f = {buffer};\nconst fifo = @allocate_fifo(f);\nexport var x = [4]u32{{0x20001, 0x40003, 0, 0}};\n"
    decls += "const words = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{LENGTH} -> x[i] });\n"
    decls = decls.replace("LENGTH", "4" if name == "16 to 32" else "2")
    loaded = run(tmp_path, program(f"{push} _ = {pop};", decls), arch=arch)
    got = read(loaded, "x" if name == "16 to 32" else "b").tolist()
    assert got[: len(want)] == want


REFUSED = {
    "a FIFO as the output of @map": ("@map(twice, from, fifo);", "", "a FIFO is no operand of @map"),
    "a FIFO's DSR as an input of @map": (
        "@map(twice, @get_dsr(dsr_fifo_src1, 3), to);",
        "",
        "a FIFO is no operand of @map",
    ),
    "registers that are loaded": (
        "@load_to_dsr(@get_dsr(dsr_src1, 6), from); @mov16(to, @get_dsr(dsr_src1, 6));",
        REGISTERS,
        "dsr_src1 6 of the FIFO is loaded elsewhere",
    ),
    "an XDSR that is loaded": (
        "@load_to_dsr_xdsr(@get_dsr(dsr_src1, 3), @get_xdsr(2), ring);",
        REGISTERS,
        "XDSR 2 of the FIFO is loaded elsewhere",
    ),
}
DECLS = (
    "fn twice(v: u16) u16 { return 2 * v; }\n"
    "const ring = @get_dsd(circbuf_dsd, .{ .base_address = &a, .extent = 3, .wraparound = 5 });\n"
)


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("arch", ARCHES)
def test_what_is_refused(name, arch, tmp_path):
    body, options, message = REFUSED[name]
    with pytest.raises(CslError) as caught:
        compiled(tmp_path, program(body, FIFO % (4, options) + DECLS), arch)
    assert message in caught.value.diagnostics[0].message


@pytest.mark.parametrize("other", ["@get_dsr(dsr_dest, 6), .src = @get_dsr(dsr_src1, 6), .xdsr = @get_xdsr(3)", "X"])
def test_two_fifos_have_registers_of_their_own(other, tmp_path):
    second = f".dest = {other}" if other != "X" else REGISTERS.replace(", 6", ", 7")
    decls = FIFO % (4, REGISTERS) + f"var g = @zeros([4]u16);\nconst other = @allocate_fifo(g, .{{ {second} }});\n"
    with pytest.raises(CslError, match=r"of the FIFO is loaded elsewhere"):
        compiled(tmp_path, program("_ = fifo; _ = other;", decls))


def test_there_are_xdsrs_for_sixteen_fifos_at_most(tmp_path):
    many = "".join(f"var f{i} = @zeros([4]u16);\nconst fifo{i} = @allocate_fifo(f{i});\n" for i in range(17))
    body = "".join(f"_ = @mov16(fifo{i}, four);\n" for i in range(17))
    with pytest.raises(Unsupported, match=r"no XDSR is left: FIFOs and descriptors of several dimensions .* all 16"):
        run(tmp_path, program(body, many))
