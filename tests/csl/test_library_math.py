"""<math> and <random>, against NumPy."""

import numpy as np
import pytest

from . import running

F32 = """
const math = @import_module("<math>");
param function: comptime_string = "";
var x = @zeros([N]f32);
var y = @zeros([N]f32);
export var in: [*]f32 = &x;
"""


def evaluate(tmp_path, body: str, xs, arch: str = "wse3", type: str = "f32") -> np.ndarray:
    """y[i] = body, an expression of v, for every value."""
    values = np.asarray(xs, running.TYPES[type])
    literals = ", ".join(
        f"@bitcast({type}, @as(u{8 * values.itemsize}, {int(v)}))" for v in values.view(f"u{values.itemsize}")
    )
    pe = f"""
const math = @import_module("<math>");
const n = {len(values)};
var x = [n]{type}{{ {literals} }};
export var y = @zeros([n]{type});
fn main() void {{
  for (@range(u16, n)) |i| {{
    const v = x[i];
    y[i] = {body};
  }}
}}
comptime {{ @export_symbol(main); }}
"""
    return running.read(running.run(tmp_path, pe, arch=arch), "y")


WIDE = np.array([1e-30, 1e-3, 0.1, 0.5, 1.0, 1.5, 2.0, 3.7, 10.0, 88.0, 1e4, 3e8], np.float32)
SIGNED = np.concatenate([WIDE, -WIDE, [0.0]]).astype(np.float32)


@pytest.mark.parametrize(
    "call, model, values, rtol",
    [
        ("math.sqrt(v)", np.sqrt, WIDE, 0), ("math.sqrt_f32(v)", np.sqrt, WIDE, 0), ("math.inv(v)", np.reciprocal, SIGNED[:-1], 0),
        ("math.invsqrt_f32(v)", lambda v: 1 / np.sqrt(v), WIDE, 0), ("math.abs(v)", np.abs, SIGNED, 0),
        ("math.floor_f32(v)", np.floor, SIGNED, 0), ("math.ceil_f32(v)", np.ceil, SIGNED, 0),
        ("math.trunc_f32(v)", np.trunc, SIGNED, 0), ("math.sign(v)", np.sign, SIGNED, 0),
        ("math.max(v, 1.0)", lambda v: np.maximum(v, 1), SIGNED, 0), ("math.min(v, 1.0)", lambda v: np.minimum(v, 1), SIGNED, 0),
        ("math.exp(v)", np.exp, SIGNED[(SIGNED > -80) & (SIGNED < 88)], 1e-6), ("math.log(v)", np.log, WIDE, 1e-6),
        ("math.sin(v)", np.sin, SIGNED[np.abs(SIGNED) < 1e4], 2e-6), ("math.cos(v)", np.cos, SIGNED[np.abs(SIGNED) < 1e4], 2e-6),
        ("math.tanh(v)", np.tanh, SIGNED, 1e-6), ("math.pow(v, 1.5)", lambda v: v.astype(np.float64) ** 1.5, WIDE[1:11], 4e-6),
        ("math.sigmoid_f32(v)", lambda v: 1 / (1 + np.exp(-v.astype(np.float64))), SIGNED[np.abs(SIGNED) < 80], 1e-6),
    ],
)  # fmt: skip
@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_functions(tmp_path, call, model, values, rtol, arch):
    got = evaluate(tmp_path, call, values, arch)
    want = np.asarray(model(values), np.float32)
    np.testing.assert_allclose(got, want, rtol=rtol, atol=rtol)


def test_halves(tmp_path):
    values = np.array([0.25, 1.0, 2.0, 9.5, 100.0], np.float16)
    for call, model in (("math.sqrt(v)", np.sqrt), ("math.abs(v)", np.abs), ("math.inv(v)", np.reciprocal)):
        got = evaluate(tmp_path / call[5:8], call, values, type="f16")
        assert (got == model(values)).all()
    np.testing.assert_allclose(
        evaluate(tmp_path / "exp", "math.exp(v)", values[:4], type="f16"), np.exp(values[:4]), rtol=2e-3
    )


def test_integers_and_special_values(tmp_path):
    got = running.run(
        tmp_path,
        """
const math = @import_module("<math>");
export var a = @zeros([4]i16);
export var b = @zeros([6]u16);
export var root: f32 = math.sqrt(2.0);
fn main() void {
  a[0] = math.abs(a[1] - 5);
  a[2] = math.max(a[0], 3);
  a[3] = math.min_i16(a[0], 3);
  const big: f32 = 1.0 / @as(f32, b[0]);
  b[1] = @as(u16, math.isInf_f32(big));
  b[2] = @as(u16, math.isNaN(big - big));
  b[3] = @as(u16, math.isFinite_f32(root));
  b[4] = @as(u16, math.signbit_f32(-root));
  b[5] = @as(u16, math.log_f32(0.0) == math.NEGATIVE_INF_f32);
}
comptime { @export_symbol(main); }
""",
    )
    assert running.read(got, "a").tolist() == [5, 0, 5, 3]
    assert running.read(got, "b").tolist() == [0, 1, 1, 1, 1, 1]
    assert running.read(got, "root")[0] == np.sqrt(np.float32(2))


def test_random_numbers(tmp_path):
    got = running.run(
        tmp_path,
        """
const random = @import_module("<random>");
const n = 2000;
export var x = @zeros([n]f32);
export var h = @zeros([200]f16);
export var g = @zeros([200]f32);
fn main() void {
  for (@range(u16, n)) |i| { x[i] = random.random_f32(-2.0, 6.0); }
  for (@range(u16, 200)) |i| {
    h[i] = random.random_f16(0.0, 1.0);
    g[i] = random.random_normal_f32();
  }
}
comptime { @export_symbol(main); }
""",
    )
    x, h, g = (running.read(got, name).astype(np.float64) for name in "xhg")
    assert (x >= -2).all() and (x < 6).all() and abs(x.mean() - 2) < 0.2 and abs(x.std() - 8 / 12**0.5) < 0.1
    assert len(np.unique(x)) > 1990
    assert (h >= 0).all() and (h < 1).all() and abs(h.mean() - 0.5) < 0.08
    assert abs(g.mean()) < 0.3 and abs(g.std() - 1) < 0.2
