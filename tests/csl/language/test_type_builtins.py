"""Builtins over types and values: @as, @bitcast, @type_of, @get_int, facts of arrays, what can be exported."""

import numpy as np
import pytest
from csl import running

from wse.csl.syntax.errors import CslError

END = "\ncomptime { @export_symbol(main); }\n"


def errors(tmp_path, pe: str, layout: str | None = None, **options) -> str:
    with pytest.raises(CslError) as caught:
        running.compiled(tmp_path, pe + END, layout=layout, options=options)
    return str(caught.value)


def test_as_bool(tmp_path):
    pe = """
    export var out: [8]u16;
    var zero: i16 = 0;
    var minus: f32 = -0.0;
    var some: i32 = -5;
    var nan: f32 = @bitcast(f32, @as(u32, 0x7fc00000));
    comptime {
      const known = @bitcast(f32, @as(u32, 0x7fc00000));
      @comptime_assert(@as(bool, 0) == false and @as(bool, -0.0) == false and @as(bool, -5) and @as(bool, 0.5));
      @comptime_assert(@as(bool, known) and @as(i16, true) == 1 and @as(f32, true) == 1.0);
    }
    fn main() void {
      out[0] = @as(u16, @as(bool, zero));
      out[1] = @as(u16, @as(bool, minus));
      out[2] = @as(u16, @as(bool, some));
      out[3] = @as(u16, @as(bool, nan));
      const b = @as(bool, some);
      out[4] = @as(u16, @as(f32, b) * 3.0);
    }
    """
    loaded = running.run(tmp_path, pe + END)
    assert running.read(loaded, "out").tolist() == [0, 0, 1, 1, 3, 0, 0, 0]


PATTERNS = [
    ("u16", "i16", 0x8001), ("i16", "f16", 0x3E00), ("u32", "f32", 0xC0490FDB), ("f32", "i32", 0x12345678),
    ("u8", "i8", 0xFE), ("u5", "i5", 0x1D), ("u64", "i64", 0x8000000000000005), ("i13", "u13", 0x1A05),
]  # fmt: skip


@pytest.mark.parametrize("source, target, bits", PATTERNS)
def test_bitcast_keeps_bits(source, target, bits, tmp_path):
    """There and back, at compile time and at run time; the bits are as they were."""
    width = int(source[1:])
    pe = f"""
    const known = @bitcast({source}, @as(u{width}, {bits:#x}));
    var given: {source} = known;
    var out: [2]u64;
    var out_ptr: [*]u64 = &out;
    fn main() void {{
      out[0] = @as(u64, @bitcast(u{width}, @bitcast({target}, given)));
      out[1] = @as(u64, @bitcast(u{width}, @bitcast({target}, known)));
      @comptime_assert(@bitcast(u{width}, @bitcast({source}, @bitcast({target}, known))) == {bits:#x});
    }}
    comptime {{ @export_symbol(out_ptr, "out"); }}
    """
    loaded = running.run(tmp_path, pe + END)
    assert running.read(loaded, "out").tolist() == [bits, bits]


def test_type_of_has_no_effect(tmp_path):
    pe = """
    export var out: [2]i32;
    var calls: i32 = 0;
    fn count() i32 { calls += 1; return calls; }
    fn main() void {
      const T = @type_of(count() + 1);
      var x: T = 70000;
      x += @as(@type_of(count()), 1);
      out[0] = x;
      out[1] = calls;
    }
    """
    loaded = running.run(tmp_path, pe + END)
    assert running.read(loaded, "out").tolist() == [70001, 0]


def test_facts_of_arrays(tmp_path):
    pe = """
    const A = [3, 5, 7]f16;
    comptime {
      @comptime_assert(@element_type(A) == f16 and @element_count(A) == 105 and @rank(A) == 3);
      @comptime_assert(@type_of(@element_count(A)) == u32 and @type_of(@rank(A)) == u16);
      const dims = @dimensions(A);
      @comptime_assert(@type_of(dims) == [3]u32 and dims[0] == 3 and dims[1] == 5 and dims[2] == 7);
    }
    fn main() void {}
    """
    running.compiled(tmp_path, pe + END)
    assert "@rank takes the type of an array, not i16" in errors(
        tmp_path, "const r = @rank(i16);\nfn main() void { _ = r; }"
    )


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_get_int(arch, tmp_path):
    pe = """
    const id = @get_local_task_id(20);
    const number: i8 = -10;
    const E = enum(u32) { FOO = 1, BAR = 2 };
    export var out: [2]u32;
    var e = E.BAR;
    comptime {
      @comptime_assert(@type_of(@get_int(id)) == u16 and @get_int(id) == 20);
      @comptime_assert(@type_of(@get_int(number)) == i8 and @get_int(number) == -10);
      @comptime_assert(@type_of(@get_int(E.FOO)) == u32 and @get_int(E.FOO) == 1);
      @comptime_assert(@type_of(@get_int(@get_color(3))) == u16 and @type_of(@get_int(@get_input_queue(2))) == u16);
      @comptime_assert(@get_int(@get_dsr(dsr_src1, 5)) == 5 and @get_int(@get_xdsr(3)) == 3 and @get_int(@get_sr(2)) == 2);
    }
    fn main() void { out[0] = @get_int(e); }
    """
    loaded = running.run(tmp_path, pe + END, arch=arch)
    assert running.read(loaded, "out").tolist() == [2, 0]


def test_arrays_of_one_value(tmp_path):
    pe = """
    const S = struct { a: u16, b: u16 };
    export var out: [4]u16;
    var structs = @constants([3]S, S{ .a = 1, .b = 2 });
    var zeros = @zeros([2, 2]u5);
    fn main() void {
      structs[1].a = 7;
      out[0] = structs[0].a + structs[1].a + structs[2].a;
      zeros[1, 1] += 31;
      out[1] = @as(u16, zeros[1, 1]);
      out[2] = @as(u16, zeros[0, 1]);
    }
    """
    loaded = running.run(tmp_path, pe + END)
    assert running.read(loaded, "out").tolist() == [9, 31, 0, 0]


REMOVED = {
    "comptime_struct": "param p: comptime_struct = .{ .a = 1 };\nexport var x: u16;\nfn main() void { x = p.a; }",
    "@concat_structs": "const c = @concat_structs(.{ .a = 1 }, .{ .b = 2 });\nexport var x: u16;\nfn main() void { x = c.b; }",
}


@pytest.mark.parametrize("name", REMOVED)
def test_what_release_2_10_has_removed(name, tmp_path):
    for release in (None, "1.4"):
        running.compiled(tmp_path, REMOVED[name] + END, options={"sdk_version": release})
    text = errors(tmp_path, REMOVED[name], sdk_version="2.10")
    assert f"pe.csl:1:1{'0' if name[0] == 'c' else '1'}: error: SDK 2.10 has no {name} any more" in text


@pytest.mark.parametrize(
    "arguments, message",
    [
        ("[4]f32, true", "x cannot be exported as [4]f32, an array"),
        ("E, true", "x cannot be exported as E: a number, a bool or a pointer was expected"),
        ("S, true", "x cannot be exported as S: a number, a bool or a pointer was expected"),
        ("comptime_int, true", "x cannot be exported as comptime_int, whose values exist at compile time only"),
        ("fn([2]f32)void", "x cannot be exported as [2]f32, an array"),
        ("f32", "the third argument was expected: true if the host may change x, else false"),
    ],
)
def test_types_that_cannot_be_exported(arguments, message, tmp_path):
    layout = "const E = enum(u16) { a };\nconst S = struct { a: u16 };\nlayout {\n  @set_rectangle(1, 1);\n"
    layout += f'  @set_tile_code(0, 0, "pe.csl");\n  @export_name("x", {arguments});\n}}\n'
    text = errors(tmp_path, "export var x: f32;\nfn main() void {}", layout)
    assert "layout.csl:6:" in text and message in text


def test_the_host_sees_packed_structs_as_integers(tmp_path):
    pe = "const P = packed struct { a: u4, b: u12 };\nvar p = P{ .a = 5, .b = 0x123 };\nconst ptr = &p;\n"
    pe += 'fn main() void { p.a += 1; }\ncomptime { @export_symbol(ptr, "p"); }'
    loaded = running.run(tmp_path, pe + END)
    assert running.read(loaded, "p").tolist() == [0x1236] and running.read(loaded, "p").dtype == np.uint16
