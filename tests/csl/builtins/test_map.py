"""@map whose inputs are no descriptors: the destination's length is the number of calls.

Covers: wse/csl/codegen/select_map.py
"""

from __future__ import annotations

import pytest

from csl.running import compiled, launch, pair, read, run
from wse.csl.codegen.link import link
from wse.csl.ir.ir import Unsupported
from wse.csl.syntax.errors import CslError
from wse.sdk.device import Device

PE = """
export var out = @zeros([6]i16);
export var grid = @zeros([2, 3]f32);
export var after = @zeros([1]u16);
var n: i16 = 0;
var half: f32 = 0.5;
fn next() i16 {{ n += 2; return n; }}
fn add(x: f32) f32 {{ n += 1; return x + @as(f32, n); }}
fn nothing(x: f32) void {{ n += 1; }}
const middle = @get_dsd(mem1d_dsd, .{{ .tensor_access = |i|{{3}} -> out[i + 1] }});
const all = @get_dsd(mem4d_dsd, .{{ .tensor_access = |i, j|{{2, 3}} -> grid[i, j] }});
var chosen = @get_dsd(mem1d_dsd, .{{ .tensor_access = |i|{{6}} -> out[i] }});
fn main() void {{ {} after[0] = 77; }}
comptime {{ @export_symbol(main); }}
"""


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_a_destination_alone(arch, tmp_path):
    loaded = run(tmp_path, PE.format("@map(next, middle); @map(add, half, all);"), arch=arch)
    assert read(loaded, "out").tolist() == [0, 2, 4, 6, 0, 0]
    assert read(loaded, "grid").tolist() == [7.5, 8.5, 9.5, 10.5, 11.5, 12.5]
    assert read(loaded, "after")[0] == 77


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_a_destination_whose_length_is_set_at_run_time(arch, tmp_path):
    text = "chosen = @set_dsd_length(chosen, @as(u16, n + 2)); @map(next, chosen);"
    loaded = run(tmp_path, PE.format(text), arch=arch)
    assert read(loaded, "out").tolist() == [2, 4, 0, 0, 0, 0] and read(loaded, "after")[0] == 77


@pytest.mark.parametrize("text", ["@map(next, &n);", "@map(add, half, &half);", "@map(nothing, half);"])
def test_no_descriptor_at_all_is_refused(text, tmp_path):
    with pytest.raises(CslError, match="@map needs a descriptor among its operands"):
        compiled(tmp_path, PE.format(text))


def test_a_destination_without_a_length_is_refused(tmp_path):
    text = "@map(next, @get_dsd(fabout_dsd, .{ .fabric_color = @get_color(1), .output_queue = @get_output_queue(2) }));"
    with pytest.raises(CslError, match="takes its number of calls from the destination"):
        compiled(tmp_path, PE.format(text))


FORMS = {
    "two descriptors": ("fn f(x: u16, y: u16) u16 { return x * 10 + y; }", "@map(f, da, db, dout);", [15, 26, 37, 48]),
    "a scalar": ("fn f(x: u16, y: u16) u16 { return x + y; }", "@map(f, da, n, dout);", [101, 102, 103, 104]),
    "a constant": ("fn f(x: u16, y: u16) u16 { return x + y; }", "@map(f, da, 7, dout);", [8, 9, 10, 11]),
    "a pointer as input": (
        "fn f(x: u16, y: u16) u16 { return x + y; }",
        "@map(f, da, &n, dout);",
        [101, 102, 103, 104],
    ),
    "a pointer as destination": (
        "fn f(total: u16, y: u16) u16 { return total + y; }",
        "@map(f, &out[0], da, &out[0]);",
        [10, 0, 0, 0],
    ),
    "a function without a result": ("fn f(x: u16) void { out[x - 1] = 2 * x; }", "@map(f, da);", [2, 4, 6, 8]),
    "an input that is the destination": (
        "fn f(x: u16) u16 { return x + 1; }",
        "@mov16(dout, da); @map(f, dout, dout);",
        [2, 3, 4, 5],
    ),
    "another type": ("fn f(x: u16) u16 { return x / 2; }", "@map(f, db, dout);", [2, 3, 3, 4]),
}


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_forms_of_operands(name, arch, tmp_path):
    function, call, want = FORMS[name]
    text = f"""
var a = [4]u16{{1, 2, 3, 4}};
var b = [4]u16{{5, 6, 7, 8}};
export var out = @zeros([4]u16);
var n: u16 = 100;
const da = @get_dsd(mem1d_dsd, .{{ .tensor_access = |i|{{4}} -> a[i] }});
const db = @get_dsd(mem1d_dsd, .{{ .tensor_access = |i|{{4}} -> b[i] }});
const dout = @get_dsd(mem1d_dsd, .{{ .tensor_access = |i|{{4}} -> out[i] }});
{function}
fn main() void {{ {call} }}
comptime {{ @export_symbol(main); }}
"""
    assert read(run(tmp_path, text, arch=arch), "out").tolist() == want


CALLS = """
export var out = @zeros([4]u16);
var a = [4]u16{1, 2, 3, 4};
var b = [4]u16{10, 20, 30, 40};
var t = @zeros([40]u16);
const da = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{4} -> a[i] });
const db = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{4} -> b[i] });
const dout = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{4} -> out[i] });
const to = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{4} -> t[i] });
fn many(x: u16) u16 {
  inline for (@range(u16, 18)) |k| {
    const d = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{2} -> t[i + 2 * k + 4] });
    @add16(d, d, x);
    @add16(d, d, d);
  }
  return t[4];
}
fn outer(x: u16) u16 { return many(x) + many(1); }
fn step(x: u16, y: u16) u16 { t[39] = outer(x); return x + y; }
fn inner(x: u16) u16 { return x + many(0) * 0; }
fn again(x: u16, y: u16) u16 { @map(inner, da, to); t[38] = outer(y); return x + t[3]; }
fn main() void { CALL }
comptime { @export_symbol(main); }
"""


@pytest.mark.parametrize("call, want", [("@map(step, da, db, dout);", [11, 22, 33, 44]),
                                        ("@map(again, db, da, dout);", [14, 24, 34, 44])], ids=["one", "two"])  # fmt: skip
@pytest.mark.parametrize("level", [0, 2])
@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_functions_that_a_step_calls_leave_its_operands_alone(arch, level, call, want, tmp_path):
    """They load more descriptors than there are DSRs."""
    loaded = Device(link(compiled(tmp_path, CALLS.replace("CALL", call), arch), level=level))
    launch(loaded)
    assert read(loaded, "out").tolist() == want


SHORTER = """
export var out = @zeros([8]u32);
var a = [4]u32{1, 2, 3, 4};
var calls: u32 = 0;
var n: u16 = 2;
const da = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{4} -> a[i] });
const short = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{2} -> out[i] });
const rows = @get_dsd(mem4d_dsd, .{ .tensor_access = |i, j|{2, 1} -> out[i + j] });
const chosen = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{4} -> out[i] });
const to = @get_dsr(dsr_dest, 5);
fn twice(x: u32) u32 { calls += 1; return 2 * x; }
fn main() void { CALL out[7] = calls; }
comptime { @export_symbol(main); }
"""


@pytest.mark.parametrize(
    "call, want",
    [
        ("@map(twice, da, short);", [2, 4, 0, 0, 0, 0, 0, 3]),
        ("@map(twice, da, rows);", [2, 4, 0, 0, 0, 0, 0, 3]),
        ("@map(twice, da, @set_dsd_length(chosen, n));", [2, 4, 0, 0, 0, 0, 0, 3]),
        ("@map(twice, @set_dsd_length(da, n), chosen);", [2, 4, 0, 0, 0, 0, 0, 2]),
        ("@load_to_dsr(to, short, .{ .single_step = true }); @map(twice, da, to);", [2, 4, 0, 0, 0, 0, 0, 3]),
        ("@map(twice, da, chosen);", [2, 4, 6, 8, 0, 0, 0, 4]),
    ],
)
@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_the_shortest_descriptor_ends_it(arch, call, want, tmp_path):
    """The destination, too: what the function returns when it has no element left is dropped."""
    assert read(run(tmp_path, SHORTER.replace("CALL", call), arch=arch), "out").tolist() == want


@pytest.mark.parametrize("out", ["sends_two", "@set_dsd_length(sends_two, n)", "to"])
@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_a_shorter_fabric_output_ends_it(arch, out, tmp_path):
    """Also if an explicit DSR is loaded with it."""
    text = f"""
param sends: bool;
const c = @get_color(1);
const oq = @get_output_queue(2);
const iq = @get_input_queue(3);
const id = @get_data_task_id(if (@is_arch("wse3")) iq else c);
export var out = @zeros([8]u32);
var a = [4]u32{{1, 2, 3, 4}};
var n: u16 = 2;
const da = @get_dsd(mem1d_dsd, .{{ .tensor_access = |i|{{4}} -> a[i] }});
const sends_two = @get_dsd(fabout_dsd, .{{ .fabric_color = c, .extent = 2, .output_queue = oq }});
fn twice(x: u32) u32 {{ return 2 * x; }}
const to = @get_dsr(dsr_dest, 5);
const from = @get_dsr(dsr_src1, 5);
fn main() void {{
  @load_to_dsr(to, sends_two, .{{ .single_step = true }});
  @load_to_dsr(from, da, .{{ .single_step = true }});
  if (sends) @map(twice, from, {out});
}}
task data(x: u32) void {{ out[7] += 1; out[@as(u16, out[7])] = x; }}
comptime {{
  @export_symbol(main);
  @bind_data_task(data, id);
  @initialize_queue(iq, .{{ .color = c }});
  @initialize_queue(oq, if (@is_arch("wse3")) .{{ .color = c }} else .{{}});
}}
"""
    assert read(run(tmp_path, text, arch=arch, layout=pair(1, 2)), "out", 1).tolist() == [0, 2, 4, 0, 0, 0, 0, 2]


@pytest.mark.parametrize(
    "function, call, message",
    [
        ("fn f(x: u8) u16 { return x; }", "@map(f, da, dout);", "elements of 16 or 32 bits, and the parameter"),
        ("fn f(x: u64) u16 { return @as(u16, x); }", "@map(f, da, dout);", "its function is of type u64"),
        ("fn f(x: bool) u16 { return 1; }", "@map(f, da, dout);", "the parameter of its function is of type bool"),
        ("fn f(x: u16) bool { return x > 1; }", "@map(f, da, dout);", "and the result of its function is of type bool"),
        ("fn f(x: u16) u16 { return x; }", "@load_to_dsr(first, da); @map(f, first, dout);", "not a dsr_src0"),
    ],
)
def test_operands_that_are_refused(function, call, message, tmp_path):
    text = f"""
var a = [4]u16{{1, 2, 3, 4}};
const da = @get_dsd(mem1d_dsd, .{{ .tensor_access = |i|{{4}} -> a[i] }});
const dout = @get_dsd(mem1d_dsd, .{{ .tensor_access = |i|{{4}} -> a[i] }});
const first = @get_dsr(dsr_src0, 2);
{function}
fn main() void {{ {call} }}
comptime {{ @export_symbol(main); }}
"""
    with pytest.raises(CslError, match=message):
        compiled(tmp_path, text)


def test_one_register_for_memory_and_the_fabric_is_refused(tmp_path):
    text = SHORTER.replace("CALL", "@load_to_dsr(to, short); @load_to_dsr(to, out_dsd); @map(twice, da, to);")
    text += "const out_dsd = @get_dsd(fabout_dsd, .{ .fabric_color = @get_color(1), .output_queue = @get_output_queue(2) });\n"
    text += "comptime { @initialize_queue(@get_output_queue(2), .{ .color = @get_color(1) }); }\n"
    with pytest.raises(Unsupported, match="dsr_dest 5 is loaded with descriptors over memory and of the fabric"):
        link(compiled(tmp_path, text))
