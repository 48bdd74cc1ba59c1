"""Libraries of a few functions: <complex>, <data_utils>, <directions>, <empty>, <string>, <time>, <types>."""

import pytest

from csl import running
from wse.csl.syntax.errors import CslError


def results(tmp_path, imports: str, body: str, count: int, kind: str = "u16", arch: str = "wse3") -> list:
    """Elements of the array r that a program leaves."""
    pe = f"{imports}\nexport var r: [{count}]{kind};\n"
    pe += f"fn main() void {{\n{body}\n}}\ncomptime {{ @export_symbol(main); }}\n"
    return running.read(running.run(tmp_path, pe, arch=arch), "r").tolist()


def error(tmp_path, pe: str) -> str:
    """The first message; its place is in the program."""
    with pytest.raises(CslError) as caught:
        running.compiled(tmp_path, pe + "\ncomptime { @export_symbol(main); }\n")
    first = caught.value.diagnostics[0]
    assert first.span.source.path.endswith("pe.csl")
    return first.message


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_directions(tmp_path, arch):
    names = ("NORTH", "EAST", "SOUTH", "WEST", "RAMP")
    turned = {
        "rotate_clockwise": "EAST SOUTH WEST NORTH RAMP", "rotate_counterclockwise": "WEST NORTH EAST SOUTH RAMP",
        "flip": "SOUTH WEST NORTH EAST RAMP", "flip_vertical": "SOUTH EAST NORTH WEST RAMP",
        "flip_horizontal": "NORTH WEST SOUTH EAST RAMP",
    }  # fmt: skip
    lines = [
        f"if (d.{name}({given}) == {wanted}) r[0] += 1;"
        for name, row in turned.items()
        for given, wanted in zip(names, row.split(), strict=True)
    ]
    lines.append("r[1] = d.dirToTxBits(NORTH) | d.dirToRxBits(WEST); r[2] = d.RX_RAMP | d.TX_EAST;")
    lines.append("r[3] = d.dirToTxBits(RAMP); r[4] = d.RX_NORTH | d.RX_SOUTH | d.RX_EAST | d.RX_WEST;")
    lines.append("r[5] = d.TX_WEST | d.TX_SOUTH | d.TX_NORTH | d.TX_RAMP;")
    got = results(tmp_path, 'const d = @import_module("<directions>");', "\n".join(lines), 6, arch=arch)
    assert got == [25, 0x28, 0x202, 0x10, 0x1E0, 0x1D]


def test_halves_of_words(tmp_path):
    body = """
  const a: u32 = 0xdeadbeef; var b: u64 = 0x0123456789abcdef; b += 1;
  r[0] = d.lo16(a); r[1] = d.hi16(a); r[2] = d.lo16(d.lo32(b)); r[3] = d.hi16(d.lo32(b));
  r[4] = d.lo16(d.hi32(b)); r[5] = d.hi16(d.hi32(b));"""
    got = results(tmp_path, 'const d = @import_module("<data_utils>");', body, 6)
    assert got == [0xBEEF, 0xDEAD, 0xCDF0, 0x89AB, 0x4567, 0x0123]


def test_empty_by_condition(tmp_path):
    imports = """
const last = true;
const nothing = @import_module(if (last) "<empty>" else "other.csl");
const free = @import_module(if (!last) "other.csl" else "<empty_unbounded>");"""
    assert results(tmp_path, imports, "r[0] = 3;", 1) == [3]


QUESTIONS = {
    "is_unsigned_int": ("u16", "u64"), "is_signed_int": ("i8", "i32"), "is_float16": ("f16",), "is_float": ("f16", "f32"),
    "is_enabled_float": ("f16", "f32"), "is_signed": ("i8", "i32", "f16", "f32"),
    "is_numeric": ("u16", "u64", "i8", "i32", "f16", "f32"), "is_dsd": ("mem1d_dsd", "fabout_dsd"), "is_dsr": ("dsr_dest", "dsr_src1"),
}  # fmt: skip


@pytest.mark.parametrize("name", QUESTIONS)
def test_predicates_of_types(tmp_path, name):
    kinds = (
        "u16",
        "u64",
        "i8",
        "i32",
        "f16",
        "f32",
        "bool",
        "color",
        "*f32",
        "mem1d_dsd",
        "fabout_dsd",
        "dsr_dest",
        "dsr_src1",
    )
    body = "\n".join(f"if (t.{name}({kind})) r[{i}] = 1;" for i, kind in enumerate(kinds))
    got = results(tmp_path, 'const t = @import_module("<types>");', body, len(kinds))
    assert [kind for kind, answer in zip(kinds, got, strict=True) if answer] == list(QUESTIONS[name])


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_a_predicate_chooses_code(tmp_path, arch):
    """The branch of the other types is not analysed."""
    imports = """
const t = @import_module("<types>");
fn negated(x: anytype) @type_of(x) {
  @comptime_assert(t.is_numeric(@type_of(x)));
  if (t.is_unsigned_int(@type_of(x))) return ~x + 1;
  if (t.is_float(@type_of(x))) return x * -1.0;
  return -x;
}
var xs = @zeros([4]u16);
var d = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{4} -> xs[i] });"""
    body = """
  r[0] = negated(r[5] + 7); r[1] = @bitcast(u16, negated(@as(i16, r[5]) + 3)); r[2] = @as(u16, negated(@as(f32, r[5]) - 9.0));
  if (t.has_dsd_type(d)) r[3] = 1;
  if (t.has_dsd_type(r[5])) r[4] = 1;
  if (t.has_dsr_type(@get_dsr(dsr_dest, 1))) r[4] += 2;"""
    assert results(tmp_path, imports, body, 6, arch=arch) == [0xFFF9, 0xFFFD, 9, 1, 2, 0]


def test_sizes_of_types(tmp_path):
    body = """
  const S = struct { a: u8, b: f32 };
  r[0] = t.bit_size_of(f32); r[1] = t.byte_size_of([3]i16); r[2] = t.word_size_of(u64); r[3] = t.word_size_of(u8);
  r[4] = t.byte_size_of(S); r[5] = t.min_byte_align_of(f32); r[6] = t.min_word_align_of(u16); r[7] = t.min_byte_align_of(S);
  r[8] = @as(t.bits_type_of(f16), 65535); const w: t.bits_type_of(f32) = 70000; r[9] = @as(u16, w >> 16);"""
    got = results(tmp_path, 'const t = @import_module("<types>");', body, 10)
    assert got == [32, 6, 4, 1, 8, 4, 1, 4, 65535, 1]


def test_types_without_a_size(tmp_path):
    head = 'const t = @import_module("<types>");\nexport var r: u16 = 0;\n'
    assert "has no size" in error(tmp_path, head + "fn main() void { r = t.bit_size_of(comptime_string); }")
    text = error(tmp_path / "b", head + "fn main() void { const x: t.bits_type_of([3]u8) = 0; r = 1; }")
    assert "a type of 8, 16, 32 or 64 bits" in text


def test_text_at_compile_time(tmp_path):
    body = """
  @comptime_assert(@strlen(s.comptime_int_to_string(-120)) == 4);
  const a = @get_array(s.fmt("x{d}{{{X}{b}{s}", .{ 7, 255, 2, "!" }));
  for (@range(u16, 8)) |i| { r[i] = @as(u16, a[i]); }"""
    got = results(tmp_path, 'const s = @import_module("<string>");', body, 8)
    assert bytes(got).decode() == "x7{FF10!"


def test_names_made_of_numbers(tmp_path):
    pe = """
const s = @import_module("<string>");
var a = [2]u16{ 5, 6 };
var p: [*]u16 = &a;
fn main() void { a[1] = 9; }
comptime { @export_symbol(main); @export_symbol(p, s.fmt("part_{d}", .{3})); }
"""
    assert running.read(running.run(tmp_path, pe), "part_3").tolist() == [5, 9]


def test_text_that_cannot_be_made(tmp_path):
    head = 'const s = @import_module("<string>");\nexport var r: u16 = 0;\n'
    assert "has no text for" in error(tmp_path, head + 'fn main() void { r = @strlen(s.fmt("{d}", .{ "a" })); }')


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_timestamps(tmp_path, arch):
    body = """
  time.get_timestamp(&a);
  time.enable_tsc(); time.get_timestamp(&a); time.get_timestamp(&b);
  r[0] = b[0] - a[0];
  time.disable_tsc(); time.get_timestamp(&a); time.get_timestamp(&b);
  r[1] = b[0] - a[0];
  time.reset_tsc_counter(); time.get_timestamp(&a);
  r[2] = a[0]; r[3] = time.tsc_size_words;"""
    imports = 'const time = @import_module("<time>");\nvar a = @zeros([3]u16);\nvar b = @zeros([3]u16);'
    got = results(tmp_path, imports, body, 4, arch=arch)
    assert 0 < got[0] < 20 and got[1:] == [0, 0, 3]


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_a_counter_that_is_enabled_again_goes_on(tmp_path, arch):
    body = """
  time.enable_tsc(); r[4] += 1; time.get_timestamp(&a);
  time.disable_tsc(); r[4] += 1; time.get_timestamp(&a);
  time.enable_tsc(); time.get_timestamp(&b);
  r[0] = a[0]; r[1] = b[0] - a[0];
  time.reset_tsc_counter(); time.get_timestamp(&b);
  r[2] = b[0];"""
    imports = 'const time = @import_module("<time>");\nvar a = @zeros([3]u16);\nvar b = @zeros([3]u16);'
    before, gone, after = results(tmp_path, imports, body, 5, arch=arch)[:3]
    assert before > 5 and 0 < gone < 20 and after < before


def test_performance_counters_are_refused(tmp_path):
    pe = 'const t = @import_module("<time>");\nvar a = @zeros([3]u16);\nfn main() void { t.get_perf_cntr(&a, 0); }'
    assert "time.get_perf_cntr is not supported" in error(tmp_path, pe)


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_message_passing_is_refused(tmp_path, arch):
    pe = 'const mp = @import_module("<message_passing>", .{ .input_queue_id = 2, .output_queue_id = 3 });\nfn main() void { mp.init(); }'
    assert "<message_passing> is not supported" in error(tmp_path, pe)
