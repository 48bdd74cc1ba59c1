"""<debug>: records that the host reads after the run.

Covers: wse/csl/builtins/intrinsics.py, wse/sdk/debug.py
"""

import numpy as np
import pytest

from csl import running
from wse.csl.syntax.errors import CslError
from wse.sdk.debug import decode


def test_traces_for_the_host(tmp_path):
    pe = """
const trace = @import_module("<debug>", .{ .key = "mine", .buffer_size = 40 });
const small = @import_module("<debug>", .{ .key = "small", .buffer_size = 6 });
const time = @import_module("<time>");
fn main() void {
  time.enable_tsc();
  trace.trace_string("hello");
  trace.trace_u16(7);
  trace.trace_i16(-7);
  trace.trace_u32(70000);
  trace.trace_i32(-70000);
  trace.trace_f32(1.5);
  trace.trace_f16(-0.5);
  trace.trace_bool(true);
  trace.trace_u8(200);
  trace.trace_i8(-3);
  trace.trace_timestamp();
  small.trace_u32(1);
  small.trace_u32(2);
}
comptime { @export_symbol(main); }
"""
    got = running.run(tmp_path, pe)
    _, data = got.symbol(0, 0, "trace.mine")
    values = decode(np.frombuffer(data, np.uint16), got.artifact.strings)
    assert values[:6] == ["hello", 7, -7, 70000, -70000, 1.5]
    assert values[6:10] == [-0.5, True, 200, -3]
    assert 0 < values[10] < 1000
    _, data = got.symbol(0, 0, "trace.small")
    assert decode(np.frombuffer(data, np.uint16), got.artifact.strings) == [1]


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_the_generic_function_records_by_type(tmp_path, arch):
    pe = """
const d = @import_module("<debug>", .{ .key = "k", .buffer_size = 60 });
var n: u16 = 7;
fn main() void {
  d.trace(n == 7); d.trace(@as(u8, n)); d.trace(@as(i8, -3)); d.trace(n); d.trace(@as(i16, -7)); d.trace(@as(f16, 0.5));
  d.trace(@as(u32, n) << 16); d.trace(@as(i32, -70000)); d.trace(@as(f32, n)); d.trace("text");
}
comptime { @export_symbol(main); }
"""
    got = running.run(tmp_path, pe, arch=arch)
    records = decode(np.frombuffer(got.symbol(0, 0, "trace.k")[1], np.uint16), got.artifact.strings)
    assert records == [True, 7, -3, 7, -7, 0.5, 7 << 16, -70000, 7.0, "text"]


@pytest.mark.parametrize(
    "call, message",
    [
        ("d.trace(@as(u64, 1))", "debug.trace has no record for a value of type u64"),
        ("d.put_u16(1)", "they belong to the vendor's trace format"),
        ("d.put_u32(1)", "they belong to the vendor's trace format"),
        ("d.tagged_put_u8(1, 2)", "they belong to the vendor's trace format"),
    ],
)
def test_what_is_refused(tmp_path, call, message):
    pe = f'const d = @import_module("<debug>", .{{ .key = "k", .buffer_size = 40 }});\nfn main() void {{ {call}; }}\n'
    with pytest.raises(CslError) as caught:
        running.compiled(tmp_path, pe + "comptime { @export_symbol(main); }")
    first = caught.value.diagnostics[0]
    assert message in first.message and first.span.line == 2 and first.span.source.path.endswith("pe.csl")


@pytest.mark.parametrize("given, name", [('.key = "k"', "buffer_size"), (".buffer_size = 40", "key")])
def test_a_key_and_a_size_are_needed(tmp_path, given, name):
    pe = f'const d = @import_module("<debug>", .{{ {given} }});\nfn main() void {{ d.trace_u16(1); }}\n'
    with pytest.raises(CslError, match=f"param {name} has no value"):
        running.compiled(tmp_path, pe + "comptime { @export_symbol(main); }")
