"""@get_dsd over memory, tensor accesses, and the builtins that change descriptors.

Covers: wse/csl/builtins/dsds.py, wse/csl/builtins/descriptors.py
"""

from __future__ import annotations

import numpy as np
import pytest

from csl.running import compiled, read, run
from wse.csl.codegen.link import link
from wse.csl.ir.ir import Unsupported
from wse.csl.syntax.errors import CslError

ARCHES = ("wse2", "wse3")


def program(decls: str, body: str) -> str:
    return (
        "export var a = [12]i16{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};\n"
        "export var out = @zeros([12]i16);\n"
        "const dst = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{12} -> out[i] });\n"
        "var n: u16 = 3;\nvar by: i8 = -2;\nvar from: i16 = 5;\n"
        f"{decls}\nfn main() void {{\n{body}\n}}\ncomptime {{ @export_symbol(main); }}\n"
    )


READS = {
    "tensor access": ("const d = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{4} -> a[2 * i + 1] });", [1, 3, 5, 7]),
    "base address": ("const d = @get_dsd(mem1d_dsd, .{ .base_address = &a, .extent = 3 });", [0, 1, 2]),
    "stride and offset": (
        "const d = @get_dsd(mem1d_dsd, .{ .base_address = &a, .extent = 3, .stride = -2, .offset = 6 });",
        [6, 4, 2],
    ),
    "access as a constant": (
        "const access = |i|{3} -> a[3 * i];\nconst d = @get_dsd(mem1d_dsd, .{ .tensor_access = access });",
        [0, 3, 6],
    ),
    "properties as a constant": (
        "const props = .{ .tensor_access = |i|{2} -> a[i + 9] };\nconst d = @get_dsd(mem1d_dsd, props);",
        [9, 10],
    ),
    "mem4d by an access": (
        "const d = @get_dsd(mem4d_dsd, .{ .tensor_access = |i, j|{2, 3} -> a[6 * i + j] });",
        [0, 1, 2, 6, 7, 8],
    ),
    "mem4d by tuples": (
        "const d = @get_dsd(mem4d_dsd, "
        ".{ .base_address = &a, .extent = .{ 2, 3 }, .stride = .{ 4, -7 }, .offset = 2 });",
        [2, 6, 10, 3, 7, 11],
    ),
    "mem4d without strides": (
        "const d = @get_dsd(mem4d_dsd, .{ .base_address = &a, .extent = .{ 2, 3 }, .offset = 1 });",
        [1, 2, 3, 4, 5, 6],
    ),
    "mem4d of four indices": (
        "const access = |i, j, k, l|{2, 2, 1, 2} -> a[6 * i + j + k + 2 * l];\n"
        "comptime { @comptime_assert(access.stride[0] == 2 and access.stride[1] == -1 and access.stride[2] == -1); }\n"
        "const d = @get_dsd(mem4d_dsd, .{ .base_address = access.base_address, .extent = access.extent, "
        ".stride = access.stride, .offset = access.offset });",
        [0, 2, 1, 3, 6, 8, 7, 9],
    ),
    "fields of an access": (
        "const access = |i|{3} -> a[2 * i + 4];\n"
        "const d = @get_dsd(mem1d_dsd, .{ .base_address = access.base_address, .offset = access.offset, "
        ".stride = access.stride, .extent = access.extent });",
        [4, 6, 8],
    ),
    "a struct as an access": (
        "const access = .{ .base_address = &a, .stride = 2, .extent = 5 };\n"
        "const d = @get_dsd(mem1d_dsd, .{ .tensor_access = access });",
        [0, 2, 4, 6, 8],
    ),
}


@pytest.mark.parametrize("name", READS)
@pytest.mark.parametrize("arch", ARCHES)
def test_descriptors_known_at_compile_time(name, arch, tmp_path):
    decls, want = READS[name]
    got = read(run(tmp_path, program(decls, "@mov16(dst, d);"), arch=arch), "out")
    assert got[: len(want)].tolist() == want
    assert not got[len(want) :].any()


RUN_TIME = {
    "extent": (".{ .base_address = &a, .extent = n }", [0, 1, 2]),
    "stride": (".{ .base_address = &a, .extent = 3, .stride = by, .offset = 8 }", [8, 6, 4]),
    "offset": (".{ .base_address = &a, .extent = 2, .offset = from }", [5, 6]),
    "all": (".{ .base_address = &a, .extent = n, .stride = by, .offset = from }", [5, 3, 1]),
    "extent of an access": (".{ .tensor_access = |i|{n} -> a[i + 1] }", [1, 2, 3]),
}


@pytest.mark.parametrize("name", RUN_TIME)
@pytest.mark.parametrize("arch", ARCHES)
def test_fields_known_at_run_time(name, arch, tmp_path):
    properties, want = RUN_TIME[name]
    body = f"@mov16(dst, @get_dsd(mem1d_dsd, {properties}));"
    got = read(run(tmp_path, program("", body), arch=arch), "out")
    assert got[: len(want)].tolist() == want
    assert not got[len(want) :].any()


XDSRS = """
export var a = @zeros([64]f32);
export var out = @zeros([32]f32);
const to = @get_dsd(mem1d_dsd, .{ .base_address = &out, .extent = 4 });
const first = @get_dsd(mem4d_dsd, .{ .tensor_access = |i, j|{2, 2} -> a[10 * i + j] });
fn at(comptime k: u16) mem4d_dsd {
  return @get_dsd(mem4d_dsd, .{ .tensor_access = |i, j|{2, 2} -> a[k + (1 + k) * i + j] });
}
fn place(comptime k: u16) mem4d_dsd {
  return @get_dsd(mem4d_dsd, .{ .tensor_access = |i, j|{2, 2} -> out[(1 + k % 7) * 4 + 2 * i + j] });
}
fn many(comptime count: u16) void {
  inline for (@range(u16, count)) |k| { @fadds(place(k), at(k), at(k + 1)); }
}
fn step(x: f32) f32 { many(20); return x + 1.0; }
fn main() void {
  for (@range(u16, 64)) |i| a[i] = @as(f32, i);
  BODY
}
comptime { @export_symbol(main); }
"""


def sums(count: int) -> list[float]:
    """What `many` leaves in the elements 4 to 31 of out."""
    out = [0.0] * 32
    for k in range(count):
        for i in range(2):
            for j in range(2):
                out[(1 + k % 7) * 4 + 2 * i + j] = (k + (1 + k) * i + j) + (k + 1 + (2 + k) * i + j)
    return out[4:]


@pytest.mark.parametrize(
    "body, wanted",
    [
        ("many(20);", None),
        ("@map(step, first, to);", [1, 2, 11, 12]),
        ("const d = @get_dsr(dsr_src0, 3); @load_to_dsr_xdsr_sr(d, @get_xdsr(1), .{}, first); "
         "many(20); @fmovs(to, d);", [0, 1, 10, 11]),
    ],
    ids=["operations", "@map", "a DSR"],
)  # fmt: skip
@pytest.mark.parametrize("arch", ARCHES)
def test_more_descriptors_of_two_dimensions_than_xdsrs(arch, body, wanted, tmp_path):
    """Those that are used by one operation share registers; others keep theirs."""
    got = read(run(tmp_path, XDSRS.replace("BODY", body), arch=arch), "out").tolist()
    assert got[4:] == sums(20)
    assert wanted is None or got[:4] == wanted


def test_descriptors_that_stay_in_use_have_an_xdsr_each(tmp_path):
    body = "inline for (@range(u16, 17)) |k| @map(step, at(k), to);"
    with pytest.raises(
        Unsupported, match="no XDSR is left: FIFOs and descriptors of several dimensions or over circul"
    ):
        link(compiled(tmp_path, XDSRS.replace("BODY", body)))


@pytest.mark.parametrize("change", ["", "d = @increment_dsd_offset(d, n, f32);"])
@pytest.mark.parametrize("arch", ARCHES)
def test_a_placeholder_of_two_dimensions_takes_an_array_of_another_type(change, arch, tmp_path):
    """Strides count elements of the array whose address it gets."""
    text = f"""
var x = [12]f32{{ 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 }};
var none: [1]f16 = undefined;
export var out = @zeros([4]f32);
var n: i16 = 1;
const to = @get_dsd(mem1d_dsd, .{{ .base_address = &out, .extent = 4 }});
const holder = @get_dsd(mem4d_dsd, .{{ .tensor_access = |i, j|{{2, 2}} -> none[5 * i + 2 * j] }});
fn main() void {{ var d = @set_dsd_base_addr(@increment_dsd_offset(holder, n, f16), &x); {change} @fmovs(to, d); }}
comptime {{ @export_symbol(main); }}
"""
    got = read(run(tmp_path, text, arch=arch), "out")
    assert got.tolist() == [value + (change != "") for value in (0, 2, 5, 7)]


HELD = {
    "variable": "var d = CHANGED;",
    "array": "const t = [2]mem1d_dsd{ other, CHANGED }; const d = t[n - 2];",
    "struct": "var s = S{ .d = CHANGED }; const d = s.d;",
    "changed in an array": "var t = [2]mem1d_dsd{ other, all }; t[n - 2] = @set_dsd_stride(t[n - 2], by); const d = t[1];",
    "changed in a struct": "var s = S{ .d = all }; s.d = @set_dsd_stride(s.d, by); const d = s.d;",
    "parameter": "const d = changed(all);",
}


@pytest.mark.parametrize("kind", ["i16", "f32"])
@pytest.mark.parametrize("how", HELD)
@pytest.mark.parametrize("arch", ARCHES)
def test_a_stride_of_run_time_is_kept_wherever_a_descriptor_is(how, kind, arch, tmp_path):
    text = f"""
var x = [8]{kind}{{ 0, 1, 2, 3, 4, 5, 6, 7 }};
export var out = @zeros([3]{kind});
export var n: u16 = 3;
export var by: i8 = -2;
const S = struct {{ d: mem1d_dsd }};
const all = @get_dsd(mem1d_dsd, .{{ .base_address = &x, .extent = 3, .offset = 6 }});
const other = @get_dsd(mem1d_dsd, .{{ .base_address = &x, .extent = 1 }});
const to = @get_dsd(mem1d_dsd, .{{ .base_address = &out, .extent = 3 }});
fn changed(d: mem1d_dsd) mem1d_dsd {{ return @set_dsd_stride(d, by); }}
fn main() void {{
  {HELD[how].replace("CHANGED", "@set_dsd_stride(all, by)")}
  @{"mov16" if kind == "i16" else "fmovs"}(to, d);
}}
comptime {{ @export_symbol(main); }}
"""
    assert read(run(tmp_path, text, arch=arch), "out").tolist() == [6, 4, 2]


CHANGES = {
    "length": ("@set_dsd_length(d, 2)", [0, 1]),
    "length at run time": ("@set_dsd_length(d, n)", [0, 1, 2]),
    "stride": ("@set_dsd_stride(d, 2)", [0, 2, 4, 6]),
    "stride at run time": ("@set_dsd_stride(@increment_dsd_offset(d, 8, i16), by)", [8, 6, 4, 2]),
    "offset": ("@increment_dsd_offset(d, 3, i16)", [3, 4, 5, 6]),
    "offset at run time": ("@increment_dsd_offset(d, from, i16)", [5, 6, 7, 8]),
    "base": ("@set_dsd_base_addr(d, b)", [20, 21, 22, 23]),
    "base by a pointer": ("@set_dsd_base_addr(d, &b)", [20, 21, 22, 23]),
}


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("arch", ARCHES)
def test_changes_give_a_new_descriptor(name, arch, tmp_path):
    change, want = CHANGES[name]
    decls = (
        "var b = [4]i16{20, 21, 22, 23};\n"
        "const d = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{4} -> a[i] });\n"
        "export var again = @zeros([4]i16);\n"
        "const rest = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{4} -> again[i] });"
    )
    done = run(tmp_path, program(decls, f"const e = {change};\n@mov16(dst, e);\n@mov16(rest, d);"), arch=arch)
    assert read(done, "out")[: len(want)].tolist() == want
    assert read(done, "again").tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("arch", ARCHES)
def test_extents_above_32767(arch, tmp_path):
    text = (
        "export var total: u16 = 0;\nvar one = [1]u16{1};\n"
        "const d = @get_dsd(mem1d_dsd, .{ .base_address = &one, .extent = 40000, .stride = 0 });\n"
        "fn main() void { @add16(&total, total, d); }\ncomptime { @export_symbol(main); }\n"
    )
    assert read(run(tmp_path, text, arch=arch), "total").tolist() == [40000]


@pytest.mark.parametrize("arch", ARCHES)
def test_a_circular_buffer_goes_on_at_its_start(arch, tmp_path):
    decls = (
        "const ring = @get_dsd(circbuf_dsd, .{ .base_address = &a, .extent = 4, .wraparound = 6 });\n"
        "const r = @get_dsr(dsr_src1, 3);\nconst x = @get_xdsr(2);"
    )
    body = (
        "@load_to_dsr_xdsr(r, x, ring, .{ .save_address = true });\n@mov16(dst, r);\n"
        "@mov16(@increment_dsd_offset(dst, 4, i16), r);"
    )
    got = read(run(tmp_path, program(decls, body), arch=arch), "out")
    assert got[:8].tolist() == [0, 1, 2, 3, 4, 5, 0, 1]


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_a_single_element_is_a_placeholder(tmp_path, arch):
    """The access reaches beyond it until a base address is set, as in the vendor's stencil library."""
    decls = "const dummy = @zeros([1]i16);\nvar later = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{4} -> dummy[i] });"
    body = "later = @set_dsd_base_addr(later, a);\n@mov16(dst, later);"
    got = read(run(tmp_path, program(decls, body), arch=arch), "out")
    assert got[:4].tolist() == [0, 1, 2, 3]


REFUSED = {
    "both forms": (
        "mem1d_dsd, .{ .tensor_access = |i|{4} -> a[i], .extent = 3 }",
        ".tensor_access says all of the access: .extent cannot be given beside it",
    ),
    "neither form": ("mem1d_dsd, .{ .extent = 3 }", "a mem1d_dsd needs .tensor_access, or .base_address and .extent"),
    "no extent": ("mem1d_dsd, .{ .base_address = &a }", ".base_address goes with .extent"),
    "beyond the array": (
        "mem1d_dsd, .{ .tensor_access = |i|{7} -> a[2 * i] }",
        "the access covers elements 0 to 12 of an array that has 0 to 11",
    ),
    "before the array": (
        "mem1d_dsd, .{ .tensor_access = |i|{4} -> a[2 - i] }",
        "the access covers elements -1 to 2 of an array that has 0 to 11",
    ),
    "no field of an access": (
        "mem1d_dsd, .{ .base_address = &a, .extent = (|i|{2} -> a[i]).length }",
        "a tensor access has no field length: known: base_address, extent, offset, stride",
    ),
    "no field of a struct": (
        "mem1d_dsd, .{ .tensor_access = .{ .base_address = &a, .length = 2 } }",
        ".tensor_access has no field length",
    ),
    "not affine": ("mem1d_dsd, .{ .tensor_access = |i|{3} -> a[i * i] }", "the index must be affine"),
    "two indices": ("mem1d_dsd, .{ .tensor_access = |i, j|{2, 3} -> a[i + j] }", "2 indices make a mem4d_dsd"),
    "five indices": (
        "mem4d_dsd, .{ .tensor_access = |i, j, k, l, m|{1, 1, 1, 1, 1} -> a[i] }",
        "a mem4d_dsd has at most 4 indices, not 5",
    ),
    "no access": ("mem1d_dsd, .{ .tensor_access = a }", ".tensor_access is of the form"),
    "stride of an i8": ("mem1d_dsd, .{ .base_address = &a, .extent = 2, .stride = 200 }", "a stride is an i8"),
    "tuples of mem1d": ("mem1d_dsd, .{ .base_address = &a, .extent = .{2, 3} }", "a mem4d_dsd has tuples"),
    "tuples that differ": (
        "mem4d_dsd, .{ .base_address = &a, .extent = .{2, 3}, .stride = .{1} }",
        "a mem4d_dsd has tuples .extent and .stride with a number for each index",
    ),
    "simd_mode": (
        "mem1d_dsd, .{ .tensor_access = |i|{4} -> a[i], .simd_mode = .{ .simd_32 = true } }",
        "a mem1d_dsd has no property simd_mode",
    ),
    "wraparound of mem1d": (
        "mem1d_dsd, .{ .base_address = &a, .extent = 2, .wraparound = 4 }",
        "a mem1d_dsd has no property wraparound",
    ),
    "wraparound beyond": (
        "circbuf_dsd, .{ .base_address = &a, .extent = 2, .wraparound = 13 }",
        ".wraparound is less than 12, the elements of the buffer, not 13: without it the buffer wraps around at its end",
    ),
    "wraparound of the whole buffer": (
        "circbuf_dsd, .{ .base_address = &a, .extent = 2, .wraparound = 12 }",
        ".wraparound is less than 12, the elements of the buffer, not 12",
    ),
    "stride of a circular buffer": (
        "circbuf_dsd, .{ .base_address = &a, .extent = 2, .stride = 2 }",
        "a circbuf_dsd has no property stride: known: base_address, extent, wraparound",
    ),
    "offset of a circular buffer": (
        "circbuf_dsd, .{ .base_address = &a, .extent = 2, .offset = 2 }",
        "a circbuf_dsd has no property offset",
    ),
    "access of a circular buffer": (
        "circbuf_dsd, .{ .tensor_access = |i|{2} -> a[i] }",
        "a circbuf_dsd has no property tensor_access",
    ),
    "a circular buffer beyond the memory": (
        "circbuf_dsd, .{ .base_address = @ptrcast([*]i16, &a), .extent = 2, .wraparound = 40000 }",
        "the buffer of a circbuf_dsd has 80,000 bytes: the memory of a PE has 49,152",
    ),
    "wraparound of nothing": (
        "circbuf_dsd, .{ .base_address = &a, .extent = 2, .wraparound = 0 }",
        ".wraparound is 1 or more, not 0",
    ),
    "bytes": ("mem1d_dsd, .{ .tensor_access = |i|{4} -> bytes[i] }", "descriptors are of elements of 2 or 4 bytes"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name, tmp_path):
    arguments, message = REFUSED[name]
    decls = f"var bytes = @zeros([4]u8);\nconst d =\n  @get_dsd({arguments});"
    with pytest.raises(CslError) as caught:
        compiled(tmp_path, program(decls, "_ = d;"))
    found = caught.value.diagnostics[0]
    assert message in found.message
    assert found.span is not None and found.span.line == 9


@pytest.mark.parametrize(
    "change", ["@set_dsd_stride(ring, 2)", "@increment_dsd_offset(ring, 1, i16)", "@set_dsd_base_addr(ring, &b)"]
)
def test_changes_that_a_circular_buffer_does_not_have(change, tmp_path):
    decls = "const ring = @get_dsd(circbuf_dsd, .{ .base_address = &a, .extent = 4 });\nvar b = @zeros([4]i16);"
    with pytest.raises(CslError, match=r"a descriptor of type mem1d_dsd.* was expected, not .*circbuf_dsd"):
        compiled(tmp_path, program(decls, f"_ = {change};"))


def test_a_circular_buffer_is_no_operand_itself(tmp_path):
    decls = "const ring = @get_dsd(circbuf_dsd, .{ .base_address = &a, .extent = 4 });"
    with pytest.raises(CslError, match="a circbuf_dsd is no operand itself: load it into a DSR with @load_to_dsr_xdsr"):
        compiled(tmp_path, program(decls, "@mov16(dst, ring);"))


@pytest.mark.parametrize("arch", ARCHES)
def test_an_index_moves_a_memory_descriptor_by_words(arch, tmp_path):
    decls = (
        "const d = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{2} -> a[i], .wavelet_index_offset = true });\n"
        "export var second = @zeros([2]i16);\n"
        "const to = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{2} -> second[i] });\n"
        "const r = @get_dsr(dsr_src1, 1);"
    )
    body = (
        "var e = @set_dsd_length(d, 2);\n@mov16(dst, e, .{ .index = n });\n"
        "@load_to_dsr(r, d);\n@mov16(to, r, .{ .index = 7 });"
    )
    done = run(tmp_path, program(decls, body), arch=arch)
    assert read(done, "out")[:2].tolist() == [3, 4]
    assert read(done, "second").tolist() == [7, 8]
    assert np.array_equal(read(done, "a"), np.arange(12))


def test_an_index_needs_an_operand_that_takes_it(tmp_path):
    with pytest.raises(CslError, match=r"\.index needs an operand with \.wavelet_index_offset = true"):
        compiled(tmp_path, program("", "@mov16(dst, 7, .{ .index = 1 });"))


@pytest.mark.parametrize(
    "access, stride", [("|i|{3} -> m[i, 0]", 200), ("|i|{3} -> m[2 - i, 0]", -200), ("|i|{1} -> m[i, 0]", 0),
                       ("|i|{3} -> m[0, 127 * i]", 0)]
)  # fmt: skip
def test_a_tensor_access_beyond_an_i8_is_noted_and_runs(access, stride, tmp_path):
    text = (
        ("var m = @zeros([3, 255]i16);\n" if "127" in access else "var m = @zeros([3, 200]i16);\n")
        + f"const d = @get_dsd(mem1d_dsd, .{{ .tensor_access = {access} }});\n"
        + (
            "export var sum: i16 = 0;\nfn add(x: i16) i16 { sum += x; return sum; }\n"
            "fn main() void { m[1, 0] = 7; @mov16(d, 2); sum = m[0, 0] + m[1, 0] + m[2, 0]; }\n"
            "comptime { @export_symbol(main); }\n"
        )
    )
    warnings: list = []
    compiled(tmp_path, text, "wse3", options={"warnings": warnings})
    words = f"this tensor access has a stride of {stride} elements, and the stride of a mem1d_dsd is an i8"
    assert [words in one.message for one in warnings] == [True] * bool(stride)
    if stride:
        assert read(run(tmp_path, text), "sum")[0] == 6
