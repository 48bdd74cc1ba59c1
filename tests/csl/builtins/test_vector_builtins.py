"""Every builtin over descriptors, in every form of its operands, against the values of wse.machine.numerics.

Covers: wse/csl/builtins/vectors.py
"""

from __future__ import annotations

import numpy as np
import pytest

from csl.running import compiled, launch, pair, read, run
from wse.csl.builtins.vectors import OPERATIONS
from wse.csl.codegen.link import link
from wse.csl.syntax.errors import CslError
from wse.machine import isa, numerics
from wse.sdk.device import Device

N = 4
CARRY = {"addc16"}  # its elements are not independent of each other
VALUES = {
    "W": [3, 65535, 7, 0x1234],
    "D": [1, 0xFFFFFFFF, 70000, 5],
    "H": [1.5, -2.25, 3.0, 100.0],
    "S": [0.1, -2.0, 1e10, 3.75],
}
SECOND = {"W": [1, 2, 3, 4], "D": [9, 8, 7, 6], "H": [0.5, 2.0, -3.0, 0.125], "S": [0.25, 3.0, -1.5, 2.0]}
EXTRA = {"H": 2.5, "S": 1.1}
DTYPES = {"W": np.uint16, "D": np.uint32, "H": np.float16, "S": np.float32}
FLOATS = ("H", "S")


def bits(code: str, values) -> np.ndarray:
    return (
        np.array(values, DTYPES[code]).view(np.uint16 if DTYPES[code](0).nbytes == 2 else np.uint32).astype(np.uint32)
    )


def expected(name: str, a, b, x, codes) -> np.ndarray:
    dst, first, second, extra = codes
    found = numerics.element(
        name,
        "f16",
        bits(first, a),
        bits(second, b) if second else np.zeros(N, np.uint32),
        bits(extra, x) if extra else np.uint32(0),
    )
    return found.astype(np.uint32) & (0xFFFF if np.dtype(DTYPES[dst]).itemsize == 2 else 0xFFFFFFFF)


def literal(code: str, values) -> str:
    kind = isa.TYPES[code].csl
    return f"[{N}]{kind}{{{', '.join(repr(v) for v in values)}}}"


def program(name: str, codes, form: str) -> str:
    """form: how the sources are given, a letter each: d descriptor, s scalar, p pointer to a scalar."""
    dst, first, second, extra = codes
    decls, args = [f"export var out = @zeros([{N}]{isa.TYPES[dst].csl});\n"], ["to"]
    decls.append(f"const to = @get_dsd(mem1d_dsd, .{{ .tensor_access = |i|{{{N}}} -> out[i] }});\n")
    for index, (code, values, how) in enumerate(((first, VALUES, form[0]), (second, SECOND, form[1:] or "d"))):
        if not code:
            continue
        kind = isa.TYPES[code].csl
        decls.append(f"var v{index} = {literal(code, values[code])};\n")
        decls.append(f"const d{index} = @get_dsd(mem1d_dsd, .{{ .tensor_access = |i|{{{N}}} -> v{index}[i] }});\n")
        decls.append(f"var s{index}: {kind} = {values[code][0]!r};\n")
        args.append({"d": f"d{index}", "s": f"s{index}", "p": f"&s{index}"}[how[0]])
    if extra:
        decls.append(f"var x: {isa.TYPES[extra].csl} = {EXTRA[extra]!r};\n")
        args.append("x")
    return f"{''.join(decls)}fn main() void {{ @{name}({', '.join(args)}); }}\ncomptime {{ @export_symbol(main); }}\n"


def forms(codes) -> list[str]:
    return ["d", "s", "p"] if not codes[2] else ["dd", "sd", "ds", "pd", "dp"]


CASES = [(name, form) for name, codes in OPERATIONS.items() for form in forms(codes) if name not in CARRY]


@pytest.mark.parametrize("name, form", CASES, ids=lambda value: value)
def test_values(name, form, tmp_path):
    codes = OPERATIONS[name]
    _, first, second, extra = codes
    a = VALUES[first] if form[0] == "d" else [VALUES[first][0]] * N
    b = None if not second else SECOND[second] if form[1:] in ("", "d") else [SECOND[second][0]] * N
    want = expected(name, a, b, EXTRA.get(extra), codes)
    got = read(run(tmp_path, program(name, codes, form)), "out")
    assert got.view(np.uint16 if got.itemsize == 2 else np.uint32).astype(np.uint32).tolist() == want.tolist()


REDUCED = [name for name, codes in OPERATIONS.items() if codes[2] and codes[0] == codes[1] == codes[2] and not codes[3]]


@pytest.mark.parametrize("name", [name for name in REDUCED if name not in CARRY])
@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_a_pointer_as_destination_accumulates(name, arch, tmp_path):
    code = OPERATIONS[name][0]
    kind = isa.TYPES[code].csl
    text = f"""
export var total = [1]{kind}{{{VALUES[code][0]!r}}};
var v = {literal(code, SECOND[code])};
const d = @get_dsd(mem1d_dsd, .{{ .tensor_access = |i|{{{N}}} -> v[i] }});
fn main() void {{ const p = &total[0]; @{name}(p, p, d); }}
comptime {{ @export_symbol(main); }}
"""
    total = bits(code, [VALUES[code][0]])
    for value in SECOND[code]:
        total = numerics.element(name, "f16", total, bits(code, [value])).astype(np.uint32)
        total &= 0xFFFF if np.dtype(DTYPES[code]).itemsize == 2 else 0xFFFFFFFF
    got = read(run(tmp_path, text, arch=arch), "total")
    assert got.view(np.uint16 if got.itemsize == 2 else np.uint32).astype(np.uint32).tolist() == total.tolist()


STARTS = """
export var out = [8]f32{ 5, 5, 5, 5, 5, 5, 5, 5 };
var a = [4]f32{ 1, 2, 3, 4 };
var s: f32 = 100.0;
const all = @get_dsd(mem1d_dsd, .{ .base_address = &a, .extent = 4 });
fn main() void {
  @fadds(&out[0], s, all);
  const p = &s;
  @fadds(&out[1], p, all);
  @fadds(&out[2], all, s);
  @fsubs(&out[3], 20.0, all);
  @fmacs(&out[4], s, all, 2.0);
  const six = s - 94.0;
  @fmaxs(&out[5], six, all);
  @fmuls(&out[6], six, all);
  @fscales(&out[7], all, @as(i16, six));
}
comptime { @export_symbol(main); }
"""


@pytest.mark.parametrize("level", [0, 2])
@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_a_scalar_source_is_what_the_result_begins_with(arch, level, tmp_path):
    """Of another variable, which keeps its value, or used again later; not one of another type than the result."""
    loaded = Device(link(compiled(tmp_path, STARTS, arch), level=level))
    launch(loaded)
    assert read(loaded, "out").tolist() == [110, 110, 110, 10, 120, 6, 144, 4 * 64]


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_the_result_of_an_asynchronous_operation_begins_with_its_scalar(arch, tmp_path):
    text = """
param sends: bool;
export var total = [2]f32{ 5, 0 };
var a = [3]f32{ 1, 2, 3 };
var s: f32 = 100.0;
const color_of = @get_color(2);
const iq = @get_input_queue(2);
const oq = @get_output_queue(3);
const out = @get_dsd(fabout_dsd, .{ .fabric_color = color_of, .extent = 3, .output_queue = oq });
const in = @get_dsd(fabin_dsd, .{ .fabric_color = color_of, .extent = 3, .input_queue = iq });
const all = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{3} -> a[i] });
const end = @get_local_task_id(10);
task ended() void { total[1] = total[0] + s; }
fn main() void {
  if (sends) { @fmovs(out, all, .{ .async = true }); }
  else { @fadds(&total[0], s, in, .{ .async = true, .activate = end }); }
}
comptime {
  @bind_local_task(ended, end);
  if (@is_arch("wse3")) {
    @initialize_queue(oq, .{ .color = color_of });
    @initialize_queue(iq, .{ .color = color_of });
  }
  @export_symbol(main);
}
"""
    loaded = run(tmp_path, text, arch=arch, layout=pair(2, 3))
    assert read(loaded, "total", 1).tolist() == [106, 206]


def test_addc16_carries_to_the_next_element(tmp_path):
    """A sum of 64 bits."""
    a, b = 0x0001_FFFF_FFFF_8000, 0x0000_0000_0000_8001
    words = [[value >> 16 * i & 0xFFFF for i in range(4)] for value in (a, b)]
    text = f"""
export var out = @zeros([4]u16);
var x = {literal("W", words[0])};
var y = {literal("W", words[1])};
const to = @get_dsd(mem1d_dsd, .{{ .tensor_access = |i|{{4}} -> out[i] }});
const dx = @get_dsd(mem1d_dsd, .{{ .tensor_access = |i|{{4}} -> x[i] }});
const dy = @get_dsd(mem1d_dsd, .{{ .tensor_access = |i|{{4}} -> y[i] }});
fn main() void {{ @addc16(to, dx, dy); }}
comptime {{ @export_symbol(main); }}
"""
    got = read(run(tmp_path, text), "out").tolist()
    assert sum(word << 16 * i for i, word in enumerate(got)) == a + b


HEAD = """
var h = @zeros([4]f16);
var f = @zeros([4]f32);
const dh = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{4} -> h[i] });
const df = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{4} -> f[i] });
var word: u32 = 1;
const fixed: f32 = 1.0;
comptime { @export_symbol(main); }
"""
REFUSED = {
    "scalar of another size": ("@mov16(dh, word);", "u16"),
    "pointer to another size": ("@fmovs(df, &h[0]);", "a pointer to f32 was expected, not one to f16"),
    "constant destination": ("@fmovs(&fixed, df);", "the destination is constant"),
    "descriptor as multiplier": ("@fmacs(df, df, df, df);", "the last operand of @fmacs is a scalar"),
    "scalar as destination": ("@fmovs(1.0, df);", "a destination is a descriptor, a DSR or a pointer to a scalar"),
    "too few operands": ("@faddh(dh, dh);", "@faddh takes 3 to 4 arguments, not 2"),
    "options that are none": ("@faddh(dh, dh, dh, 3);", "a struct of options was expected"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name, tmp_path):
    body, message = REFUSED[name]
    with pytest.raises(CslError) as caught:
        compiled(tmp_path, f"{HEAD}fn main() void {{ {body} }}\n")
    assert message in caught.value.diagnostics[0].message
