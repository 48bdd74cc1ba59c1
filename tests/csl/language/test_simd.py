"""SIMD modes of fabric descriptors and FIFOs: how many elements an operation takes at once.

Covers: wse/csl/builtins/fabric.py, csrc/pe/vector.c
"""

from __future__ import annotations

import pytest
from csl.running import compiled, device, launch, pair, read, run

from wse.csl.syntax.errors import CslError

ARCHES = ("wse2", "wse3")
MODES = ("simd_32", "simd_64", "simd_32_or_64")
# The western PE sends n elements, the eastern one takes them; `more` says whether further ones follow.
HEAD = """
param sends: bool;
const c = @get_color(1);
const oq = @get_output_queue(2);
const iq = @get_input_queue(2);
export var a = [12]u16{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
export var b = @zeros([12]u16);
export var end = @zeros([2]u16);
const from = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{12} -> a[i] });
const to = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{12} -> b[i] });
const finish = @get_local_task_id(9);
task last() void { end[0] += 1; }
comptime {
  @bind_local_task(last, finish);
  @export_symbol(main);
  @initialize_queue(iq, .{ .color = c });
  @initialize_queue(oq, if (@is_arch("wse3")) .{ .color = c } else .{});
}
"""
DSDS = """
const out = @get_dsd(fabout_dsd, .{{ .extent = {n}, .fabric_color = c, .output_queue = oq, .simd_mode = .{{ .{out} = true }} }});
const in = @get_dsd(fabin_dsd, .{{ .extent = {m}, .fabric_color = c, .input_queue = iq, .simd_mode = .{{ .{into} = true }}{more} }});
"""
LAYOUT = pair(1, 2)


def text(send: str, receive: str, n: int = 8, m: int = 8, out: str = "simd_32", into: str = "simd_32", more: str = ""):
    dsds = DSDS.format(n=n, m=m, out=out, into=into, more=more)
    return HEAD + dsds + f"fn main() void {{ if (sends) {{ {send} }} else {{ {receive} }} }}\n"


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8, 11])
@pytest.mark.parametrize("out", MODES)
@pytest.mark.parametrize("into", MODES)
@pytest.mark.parametrize("arch", ARCHES)
def test_all_modes_carry_all_elements(arch, into, out, n, tmp_path):
    """Two 16-bit elements to a wavelet; the last step takes what is left."""
    send = f"@mov16(out, @set_dsd_length(from, {n}));"
    loaded = run(tmp_path, text(send, "@mov16(to, in);", n, n, out, into), arch=arch, layout=LAYOUT)
    assert read(loaded, "b", 1).tolist() == [*range(1, n + 1), *[0] * (12 - n)]


@pytest.mark.parametrize("mode, came", [("simd_32", 6), ("simd_64", 4), ("simd_32_or_64", 6)])
@pytest.mark.parametrize("arch", ARCHES)
def test_simd_64_waits_for_two_wavelets(arch, mode, came, tmp_path):
    """Three of the six wavelets that the operation needs are sent."""
    receive = "@mov16(to, in, .{ .async = true, .activate = finish });"
    loaded = device(tmp_path, text("@mov16(out, @set_dsd_length(from, 6));", receive, 6, 12, into=mode), arch, LAYOUT)
    launch(loaded)
    assert read(loaded, "b", 1).tolist() == [*range(1, came + 1), *[0] * (12 - came)]
    assert read(loaded, "end", 1)[0] == 0


@pytest.mark.parametrize("arch", ARCHES)
def test_a_control_wavelet_ends_the_wait_for_a_second_one(arch, tmp_path):
    send = (
        "const command = @get_dsd(fabout_dsd, .{ .extent = 1, .fabric_color = c, .output_queue = oq, .control = true });"
        " @mov16(out, @set_dsd_length(from, 6)); @mov32(command, @as(u32, 0x90000));"
    )
    receive = "@mov16(to, in, .{ .async = true, .activate = finish });"
    more = ", .on_control = .{ .terminate = true }"
    program = text(send, receive, 6, 12, into="simd_64", more=more)
    loaded = run(tmp_path, program, arch=arch, layout=LAYOUT)
    assert read(loaded, "b", 1).tolist() == [1, 2, 3, 4, 5, 6, 0, 0, 0, 0, 0, 0]
    assert read(loaded, "end", 1)[0] == 1


@pytest.mark.parametrize("arch", ARCHES)
def test_two_wavelets_at_once_take_one_slot(arch, tmp_path):
    """The receiver computes beside the operation, and gets more slots if that takes two wavelets at once."""
    cycles = {}
    decls = "var x = @zeros([1]u16);\nconst many = @get_dsd(mem1d_dsd, .{ .base_address = &a, .extent = 2048, .stride = 0 });\n"
    decls += "const sink = @get_dsd(mem1d_dsd, .{ .base_address = &b, .extent = 2048, .stride = 0 });\n"
    decls += "var s: u16 = 0;\n"
    for mode in ("simd_32", "simd_64"):
        receive = "@mov16(sink, in, .{ .async = true }); var i: u16 = 0; while (i < 1000) : (i += 1) { s += x[0]; } end[1] = s;"
        program = (
            text("@mov16(out, many);", receive, 2048, 2048, into=mode, more=", .priority = .{ .high = true }") + decls
        )
        loaded = device(tmp_path / mode, program, arch, LAYOUT)
        launch(loaded)
        cycles[mode] = loaded.cycle
    assert cycles["simd_64"] + 100 < cycles["simd_32"]


REFUSED = {
    "one mode": (
        "wse3",
        "const plain = @get_dsd(fabin_dsd, .{ .extent = 8, .input_queue = iq });",
        "@mov16(out, plain);",
        "the fabric operands of an operation have the same .simd_mode",
    ),
    "32 and 64": (
        "wse3",
        "const wide = @get_dsd(fabin_dsd, .{ .extent = 8, .input_queue = iq, .simd_mode = .{ .simd_64 = true } });",
        "@mov16(out, wide);",
        "the fabric operands of an operation have the same .simd_mode",
    ),
    "a DSR": (
        "wse3",
        "const plain = @get_dsd(fabin_dsd, .{ .extent = 8, .input_queue = iq });\nconst r = @get_dsr(dsr_src1, 3);",
        "@load_to_dsr(r, plain); @mov16(out, r);",
        "the fabric operands of an operation have the same .simd_mode",
    ),
    "simd_max": (
        "wse3",
        "const m = @get_dsd(fabout_dsd, .{ .extent = 8, .output_queue = oq, .simd_mode = .{ .simd_max = true } });",
        "@mov16(m, from);",
        ".simd_max is not supported",
    ),
    "simd_off on WSE-2": (
        "wse2",
        "const m = @get_dsd(fabout_dsd, .{ .extent = 8, .fabric_color = c, .simd_mode = .{ .simd_off = true } });",
        "@mov16(m, from);",
        ".simd_off is of wse3",
    ),
    "two sizes": ("wse3", "", "@fs2h(out, in);", "fabric operands of 16 and of 32 bits in one operation"),
    "map": (
        "wse3",
        "fn twice(v: u16) u16 { return 2 * v; }",
        "@map(twice, in, to);",
        "@map takes no descriptor with .simd_mode",
    ),
    "a FIFO on WSE-3": (
        "wse3",
        "var f = @zeros([8]u16);\nconst fifo = @allocate_fifo(f, .{ .simd_mode = .{ .simd_64 = true } });",
        "_ = @mov16(fifo, from);",
        "wse3 has no .simd_mode of FIFOs",
    ),
    "a mode of a FIFO": (
        "wse2",
        "var f = @zeros([8]u16);\nconst fifo = @allocate_fifo(f, .{ .simd_mode = .{ .simd_16 = true } });",
        "_ = @mov16(fifo, from);",
        ".simd_mode is .{ .simd_32 = true }",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name, tmp_path):
    arch, decls, body, message = REFUSED[name]
    with pytest.raises(CslError) as caught:
        compiled(tmp_path, text(body, "") + decls, arch, LAYOUT)
    assert message in caught.value.diagnostics[0].message


FIFO = "var f = @zeros([8]u16);\nconst fifo = @allocate_fifo(f, .{ .simd_mode = .{ .%s = true }%s });\n"


@pytest.mark.parametrize("mode, came", [("simd_32", 6), ("simd_64", 4), ("simd_32_or_64", 6)])
def test_a_fifo_with_a_mode_needs_as_many_elements(mode, came, tmp_path):
    """The FIFO holds seven elements, the reader wants twelve: the last of the seven is no pair."""
    body = "_ = @mov16(fifo, @set_dsd_length(from, 7)); end[1] = @as(u16, @mov16(to, fifo));"
    loaded = run(tmp_path, text(body, "") + FIFO % (mode, ""), arch="wse2", layout=LAYOUT)
    assert read(loaded, "b").tolist() == [*range(1, came + 1), *[0] * (12 - came)]
    assert read(loaded, "end")[1] == 0


@pytest.mark.parametrize("n", [1, 2, 3, 5, 7, 8])
@pytest.mark.parametrize("mode", MODES)
def test_the_last_elements_pass_a_fifo_with_a_mode(mode, n, tmp_path):
    body = f"_ = @mov16(fifo, @set_dsd_length(from, {n})); end[1] = @as(u16, @mov16(@set_dsd_length(to, {n}), fifo));"
    loaded = run(tmp_path, text(body, "") + FIFO % (mode, ""), arch="wse2", layout=LAYOUT)
    assert read(loaded, "b").tolist() == [*range(1, n + 1), *[0] * (12 - n)]
    assert read(loaded, "end")[1] == 1


@pytest.mark.parametrize("arch", ARCHES)
@pytest.mark.parametrize("room, calls", [(1, 0), (2, 1)])
def test_a_task_is_activated_when_the_writer_can_go_on(arch, room, calls, tmp_path):
    """The writer pushes pairs: of a wavelet that does not fit, two places are wanted, not one."""
    decls = "var g = @zeros([4]u16);\nconst fifo = @allocate_fifo(g, .{ .activate_pop = finish });\nvar one: u16 = 0;\n"
    receive = (
        "_ = @mov16(fifo, in);"  # two of four wavelets
        f"_ = @mov16(@set_dsd_length(to, {room}), fifo);"
    )
    loaded = run(tmp_path, text("@mov16(out, from);", receive) + decls, arch=arch, layout=LAYOUT)
    assert read(loaded, "end", 1)[0] == calls


@pytest.mark.parametrize("n, calls", [(3, 0), (4, 1), (6, 1)])
def test_a_task_is_activated_when_the_reader_can_go_on(n, calls, tmp_path):
    decls = FIFO % ("simd_64", ", .activate_push = finish")
    body = f"_ = @mov16(to, fifo); _ = @mov16(fifo, @set_dsd_length(from, {n}));"
    loaded = run(tmp_path, text(body, "") + decls, arch="wse2", layout=LAYOUT)
    assert read(loaded, "end")[0] == calls


def test_simd_off_is_an_element_a_wavelet(tmp_path):
    """As without a mode: a data task gets one element of each wavelet."""
    program = (
        HEAD.replace("end = @zeros([2]u16)", "end = @zeros([2]u16);\nvar n: u16 = 0")
        + """
const out = @get_dsd(fabout_dsd, .{ .extent = 5, .output_queue = oq, .simd_mode = .{ .simd_off = true } });
task take(v: u16, rest: u16) void { b[n] = v + rest; n += 1; }
comptime { @bind_data_task(take, @get_data_task_id(iq)); }
fn main() void { if (sends) @mov16(out, @set_dsd_length(from, 5)); }
"""
    )
    assert read(run(tmp_path, program, layout=LAYOUT), "b", 1).tolist() == [1, 2, 3, 4, 5, *[0] * 7]
