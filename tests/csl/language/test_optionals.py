"""Optional values: ?T, null, .?, orelse, captures of if and while.

Covers: wse/csl/sema/optional.py
"""

import pytest
from csl import running

from wse import FabricFault
from wse.csl.syntax.errors import CslError

VALUES = """
export var out: [16]i16;
var o: ?i16 = null;
var q: ?i16 = 5;
const S = struct { a: i16, b: ?f32 };
const Pair = struct { x: i16, y: i16 };
var s = S{ .a = 1, .b = null };
var n: i16 = 40;
const pt: ?*i16 = &n;
fn half(x: i16) ?i16 { if (x % 2 != 0) return null; return x / 2; }
fn pair(x: i16) ?Pair { if (x == 0) return null; return Pair{ .x = x, .y = x + 1 }; }
fn get(x: ?i16) i16 { return x orelse -1; }
fn first(x: ?i16) i16 { const v = x orelse return 99; return v; }
fn main() void {
  if (o == null) out[0] = 1;
  if (q != null) out[1] = q.?;
  o = 7;
  out[2] = o.?;
  o = null;
  out[3] = get(o) + get(8);
  if (half(10)) |v| { out[4] = v; } else { out[4] = -5; }
  if (half(11)) |v| { out[5] = v; } else { out[5] = -5; }
  out[6] = if (half(n)) |v| v + 1 else 0;
  var count: i16 = 0;
  var x: ?i16 = n;
  while (x) |v| { count += 1; x = half(v); }
  out[7] = count;
  out[8] = first(null) + first(n);
  s.b = 2.5;
  out[9] = @as(i16, (s.b orelse 0.0) * 2.0);
  out[10] = pt.?.*;
  const k: ?i16 = n;
  out[11] = k.?;
  x = n;
  x.? += 2;
  out[12] = x.?;
  if (pair(n)) |p| out[13] = p.x + p.y;
  out[14] = if (pair(0)) |p| p.x else -7;
  var copy = x;
  x = null;
  out[15] = copy.?;
}
comptime {
  @export_symbol(main);
  const e: ?i16 = null;
  var f: ?i16 = 3;
  @comptime_assert(e == null and f != null and f.? == 3 and (f orelse 4) == 3 and (e orelse 4) == 4);
  f = null;
  @comptime_assert(f == null);
  @comptime_assert((if (e) |v| v else 9) == 9);
}
"""


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_values(arch, tmp_path):
    loaded = running.run(tmp_path, VALUES, arch=arch)
    expected = [1, 5, 7, 7, 5, -5, 21, 4, 139, 5, 40, 40, 42, 81, -7, 42]
    assert running.read(loaded, "out").tolist() == expected


def test_null_ends_the_run(tmp_path):
    pe = (
        "export var out: i16;\nvar o: ?i16 = null;\nfn main() void { out = o.?; }\ncomptime { @export_symbol(main); }\n"
    )
    with pytest.raises(FabricFault, match=r"an optional value is null .*pe\.csl:3:18 in main"):
        running.run(tmp_path, pe)


ERRORS = {
    "null known": (
        "const o: ?i16 = null;\nfn main() void { n = o.?; }",
        "pe.csl:3:22: error: the optional value is null",
    ),
    "capture": (
        "fn main() void { if (n) |v| { n = v; } }",
        "pe.csl:2:22: error: a condition with a capture needs an optional value, not a value of type i16",
    ),
    "orelse": ("fn main() void { n = n orelse 1; }", "pe.csl:2:22: error: orelse needs an optional value"),
    "null": ("fn main() void { n = null; }", "pe.csl:2:22: error: a value of type i16 was expected, not null"),
    "unwrap": (
        "fn main() void { n = n.?; }",
        "pe.csl:2:22: error: .? needs an optional value, not a value of type i16",
    ),
    "void": ("var o: ?void = null;\nfn main() void { o = null; }", "there are no optional values of type void"),
    "operator": (
        "var o: ?i16 = 1;\nfn main() void { n = o + 1; }",
        "pe.csl:3:22: error: both sides of + must have one type, not ?i16 and comptime_int",
    ),
}


@pytest.mark.parametrize("case", ERRORS)
def test_error(case, tmp_path):
    pe, message = ERRORS[case]
    with pytest.raises(CslError) as caught:
        running.compiled(tmp_path, f"var n: i16;\n{pe}\ncomptime {{ @export_symbol(main); }}\n")
    assert message in str(caught.value)
