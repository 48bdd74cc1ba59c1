"""The formats of 16-bit floats: `--fp16-format`, `@fp16()`, the types f16, bf16 and cb16."""

from __future__ import annotations

import numpy as np
import pytest
from csl import running

from wse.csl.syntax.errors import CslError
from wse.machine.numerics import FORMATS, from_bits, to_bits
from wse.sdk import debug, device, simlog

SIX = {"f16": 0b0100011000000000, "cb16": 0b0101100100000000, "bf16": 0b0100000011000000}  # from the types page


def words(loaded: running.Device, name: str) -> list[int]:
    return np.frombuffer(loaded.symbol(0, 0, name)[1], np.uint16).tolist()


def errors(tmp_path, pe: str, fmt: str, layout: str | None = None) -> str:
    with pytest.raises(CslError) as caught:
        running.compiled(tmp_path, pe, layout=layout, options={"fp16": fmt})
    return str(caught.value)


@pytest.mark.parametrize("fmt", FORMATS)
def test_all_formats_exist_at_compile_time(fmt, tmp_path):
    """The assertions of the documentation's example hold, whatever the format at run time is."""
    checks = "".join(f"const {k}_six: {k} = 6.0;\n" for k in SIX)
    asserts = "".join(f"  @comptime_assert(@bitcast(u16, {k}_six) == {bits:#x});\n" for k, bits in SIX.items())
    asserts += "".join(f"  @comptime_assert(@bitcast({k}, @as(u16, {bits:#x})) == 6.0);\n" for k, bits in SIX.items())
    asserts += f"  @comptime_assert(@is_same_type(@fp16(), {fmt}));\n"
    pe = f"{checks}comptime {{\n{asserts}  @export_symbol(main);\n}}\nfn main() void {{}}\n"
    running.compiled(tmp_path, pe, options={"fp16": fmt})


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_values_are_stored_and_computed_in_the_format(fmt, arch, tmp_path):
    pe = """
    const H = @fp16();
    var a: H = 6.0;
    export var square: H;
    export var third: H;
    export var folded: H = @as(H, 1.0) / 3.0;
    export var table = [3]H{ 0.1, -2.5, 1e-3 };
    export var sum: H = 0.0;
    export var wide: f32;
    export var whole: i16;
    fn main(x: H) void {
      square = a * a;
      third = 1.0 / (a / 2.0);
      for (table) |item| { sum += item; }
      wide = @as(f32, x) * 2.0;
      whole = @as(i16, a * a);
    }
    comptime { @export_symbol(main); }
    """
    loaded = running.device(tmp_path, pe, arch, options={"fp16": fmt})
    running.launch(loaded, "main", 0.7)
    assert words(loaded, "square") == [int(to_bits(36.0, fmt))]
    third = int(to_bits(1 / 3, fmt))
    assert words(loaded, "third") == words(loaded, "folded") == [third]
    table = [0.1, -2.5, 1e-3]
    assert words(loaded, "table") == to_bits(table, fmt).tolist()
    total = np.float32(0)
    for item in from_bits(to_bits(table, fmt), fmt):
        total = from_bits(to_bits(np.float64(total) + item, fmt), fmt)
    assert words(loaded, "sum") == [int(to_bits(total, fmt))]
    assert running.read(loaded, "wide")[0] == 2 * from_bits(to_bits(0.7, fmt), fmt)
    assert running.read(loaded, "whole")[0] == 36


@pytest.mark.parametrize("fmt", FORMATS)
def test_operations_over_descriptors_take_the_format(fmt, tmp_path):
    pe = """
    var a = @constants([4]@fp16(), 1.5);
    export var b = @zeros([4]@fp16());
    const a_dsd = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{4} -> a[i] });
    const b_dsd = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{4} -> b[i] });
    export var total: @fp16() = 0.0;
    fn main() void {
      @fmulh(b_dsd, a_dsd, 6.0);
      @faddh(&total, total, b_dsd);
    }
    comptime { @export_symbol(main); }
    """
    loaded = running.run(tmp_path, pe, options={"fp16": fmt})
    assert words(loaded, "b") == [int(to_bits(9.0, fmt))] * 4
    assert words(loaded, "total") == [int(to_bits(36.0, fmt))]


@pytest.mark.parametrize("fmt", FORMATS)
def test_libraries_are_over_the_format(fmt, tmp_path):
    pe = """
    const math = @import_module("<math>");
    var x: @fp16() = 2.0;
    export var root: @fp16();
    export var infinite: @fp16() = math.POSITIVE_INF_f16;
    export var checks: [3]u16;
    fn main() void {
      root = math.sqrt_f16(x);
      checks[0] = @as(u16, math.isInf_f16(infinite));
      checks[1] = @as(u16, math.isFinite_f16(x));
      checks[2] = @as(u16, math.isFinite_f16(infinite));
    }
    comptime { @export_symbol(main); }
    """
    loaded = running.run(tmp_path, pe, options={"fp16": fmt})
    assert words(loaded, "root") == [int(to_bits(np.sqrt(2.0), fmt))]
    assert words(loaded, "infinite") == [FORMATS[fmt].inf]
    assert words(loaded, "checks") == [1, 1, 0]


@pytest.mark.parametrize("fmt", FORMATS)
def test_prints_and_traces_show_values_of_the_format(fmt, tmp_path):
    pe = """
    const prints = @import_module("<simprint>");
    const trace = @import_module("<debug>", .{ .key = "t", .buffer_size = 20 });
    var x: @fp16() = 2.5;
    fn main() void { prints.print_f16(x); prints.print_string("\\n"); trace.trace_f16(x); }
    comptime { @export_symbol(main); }
    """
    loaded = running.run(tmp_path, pe, options={"fp16": fmt})
    assert [line.split()[1] for line in simlog.lines(loaded)] == ["2.5"]
    _, data = loaded.symbol(0, 0, "trace.t")
    assert debug.decode(np.frombuffer(data, np.uint16), [], fmt) == [2.5]


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("kind", FORMATS)
def test_a_variable_of_another_format_is_an_error(fmt, kind, tmp_path):
    pe = f"var one: {kind} = 1.0;\nexport var out: f32;\nfn main() void {{ out = @as(f32, one); }}\n"
    pe += "comptime { @export_symbol(main); }\n"
    if kind == fmt:
        loaded = running.run(tmp_path, pe, options={"fp16": fmt})
        assert running.read(loaded, "out")[0] == 1.0
        return
    text = errors(tmp_path, pe, fmt)
    assert f"pe.csl:1:5: error: values of type {kind} exist at compile time only" in text.replace(str(tmp_path), "")
    assert f"--fp16-format={fmt}" in text and f"@fp16() is the type {fmt}" in text


WRONG = {
    "parameter": "fn f(x: f16) f32 { return @as(f32, x); }\nvar y: u16;\n"
    "fn main() void { _ = f(@bitcast(f16, y)); }\ncomptime { @export_symbol(main); }",
    "result": "fn f(x: u16) f16 { return 1.0; }\nvar y: u16;\n"
    "fn main() void { _ = f(y); }\ncomptime { @export_symbol(main); }",
    "local": "var y: u16;\nfn main() void { var x: f16 = 1.0; x += 1.0; y = @as(u16, x); }\n"
    "comptime { @export_symbol(main); }",
    "array": "var y = @zeros([4]f16);\nfn main() void { y[0] = 1.0; }\ncomptime { @export_symbol(main); }",
    "struct": "const S = struct { a: u16, b: f16 };\nvar y: S;\nfn main() void { y.a = 1; }\n"
    "comptime { @export_symbol(main); }",
    "union": "const U = extern union { a: u16, b: f16 };\nvar y: U;\nfn main() void { y.a = 1; }\n"
    "comptime { @export_symbol(main); }",
    "packed": "const S = packed struct { a: u16, b: f16 };\nvar y: S;\nfn main() void { y.a = 1; }\n"
    "comptime { @export_symbol(main); }",
    "conversion": "var y: u16;\nfn main() void { const x = @as(f16, y); y = @as(u16, x); }\n"
    "comptime { @export_symbol(main); }",
    "exported": "export var y: f16 = 1.0;\nfn main() void {}\ncomptime { @export_symbol(main); }",
    "published": "var y = @zeros([4]f16);\nvar p: [*]f16 = &y;\nfn main() void {}\n"
    'comptime { @export_symbol(main); @export_symbol(p, "y"); }',
    "pointer": "var y: u16;\nfn main() void { const p = @ptrcast(*f16, &y); p.* = 1.0; }\n"
    "comptime { @export_symbol(main); }",
}


@pytest.mark.parametrize("case", WRONG)
@pytest.mark.parametrize("fmt", ["bf16", "cb16"])
def test_f16_at_run_time_is_an_error_under_other_formats(case, fmt, tmp_path):
    running.compiled(tmp_path / "f16", WRONG[case])
    text = errors(tmp_path, WRONG[case], fmt)
    assert "exist at compile time only" in text and f"--fp16-format={fmt}" in text


@pytest.mark.parametrize("kind", ["[*]f16", "f16", "fn(f16)void"])
def test_an_exported_name_of_another_format_is_an_error(kind, tmp_path):
    layout = 'layout { @set_rectangle(1, 1); @set_tile_code(0, 0, "pe.csl"); @export_name("y", KIND); }'
    text = errors(
        tmp_path, "fn main() void {}\ncomptime { @export_symbol(main); }", "cb16", layout.replace("KIND", kind)
    )
    assert "layout.csl:1" in text and "values of type f16 exist at compile time only" in text


@pytest.mark.parametrize("fmt", FORMATS)
def test_compile_time_arithmetic_rounds_to_the_format(fmt, tmp_path):
    cases = {"1.0 / 3.0": 1 / 3, "0.1 + 0.2": None, "1000.0 * 70.0": None, "1e-8 / 2.0": None, "-0.0 - 0.0": -0.0}
    body = "".join(f"export var r{i}: {fmt} = @as({fmt}, {e.split()[0]}) {' '.join(e.split()[1:])};\n"
                   for i, e in enumerate(cases))  # fmt: skip
    names = "".join(f"_ = r{i}; " for i in range(len(cases)))
    pe = f"{body}fn main() void {{ {names} }}\ncomptime {{ @export_symbol(main); }}\n"
    loaded = running.device(tmp_path, pe, options={"fp16": fmt})
    for i, expression in enumerate(cases):
        left, op, right = expression.split()
        x, y = (np.float64(from_bits(to_bits(float(v), fmt), fmt)) for v in (left, right))
        value = {"/": lambda a, b: a / b, "*": lambda a, b: a * b, "+": lambda a, b: a + b, "-": lambda a, b: a - b}[op]
        assert words(loaded, f"r{i}") == [int(to_bits(value(x, y), fmt))], expression


def test_launch_arguments_of_the_further_formats():
    assert device.argument(6.0, "f16", "x", "bf16") == SIX["bf16"].to_bytes(2, "little")
    assert device.argument(np.float32(6), "f16", "x", "cb16") == SIX["cb16"].to_bytes(2, "little")
    assert device.argument(np.uint16(0x1234), "f16", "x", "cb16") == b"\x34\x12"
    with pytest.raises(
        Exception, match=r"^x is of type bf16, not float16: give a number, or its 16 bits as np.uint16$"
    ):
        device.argument(np.float16(6), "f16", "x", "bf16")
    with pytest.raises(Exception, match=r"^x is of type cb16, in which 4000000.0 does not fit$"):
        device.argument(4e6, "f16", "x", "cb16")
