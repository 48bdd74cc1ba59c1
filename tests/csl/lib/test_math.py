"""<math>: against NumPy at many points, special values, and the documented signatures."""

import numpy as np
import pytest

from csl import running
from wse.csl.syntax.errors import CslError
from wse.machine.numerics import from_bits, round16

INF, NAN = np.inf, np.nan


def evaluate(tmp_path, body: str, xs, arch: str = "wse3", type: str = "f32", result: str = "") -> np.ndarray:
    """y[i] = body, an expression of v, for every value."""
    values = np.asarray(xs, running.TYPES[type])
    bits = values.itemsize * 8
    literals = ", ".join(str(int(v)) for v in values.view(f"u{values.itemsize}"))
    pe = f"""
const math = @import_module("<math>");
const n = {len(values)};
var x = [n]u{bits}{{ {literals} }};
export var y: [n]{result or type};
fn main() void {{
  for (@range(u16, n)) |i| {{
    const v: {type} = @bitcast({type}, x[i]);
    y[i] = {body};
  }}
}}
comptime {{ @export_symbol(main); }}
"""
    return running.read(running.run(tmp_path, pe, arch=arch), "y")


def error(tmp_path, pe: str, *words: str) -> None:
    with pytest.raises(CslError) as caught:
        running.compiled(tmp_path, pe)
    first = caught.value.diagnostics[0]
    assert all(word in first.message for word in words), first
    assert first.span.source.path.endswith("pe.csl")  # where the program calls the library


RNG = np.random.default_rng(1)
POSITIVE = np.exp(RNG.uniform(-87, 88, 300)).astype(np.float32)
SIGNED = np.concatenate([POSITIVE, -POSITIVE, RNG.uniform(-20, 20, 300), [0.0]]).astype(np.float32)
EXPONENTS = np.concatenate([RNG.uniform(-103, 88.7, 400), RNG.uniform(-1, 1, 200)]).astype(np.float32)
ANGLES = np.concatenate([RNG.uniform(-51400, 51400, 400), RNG.uniform(-7, 7, 200)]).astype(np.float32)


def wide(function):
    """The function in f64, rounded to f32."""
    return lambda v: function(v.astype(np.float64)).astype(np.float32)


@pytest.mark.parametrize(
    "call, model, values, units, least",
    [
        ("math.sqrt(v)", np.sqrt, POSITIVE, 0, 0), ("math.inv(v)", np.reciprocal, SIGNED[:-1], 0, 0),
        ("math.invsqrt(v)", lambda v: 1 / np.sqrt(v), POSITIVE, 0, 0), ("math.abs(v)", np.abs, SIGNED, 0, 0),
        ("math.floor(v)", np.floor, SIGNED, 0, 0), ("math.ceil(v)", np.ceil, SIGNED, 0, 0),
        ("math.trunc_f32(v)", np.trunc, SIGNED, 0, 0), ("math.sign(v)", np.sign, SIGNED, 0, 0),
        ("math.max(v, 1.0)", lambda v: np.maximum(v, 1), SIGNED, 0, 0), ("math.min(v, 1.0)", lambda v: np.minimum(v, 1), SIGNED, 0, 0),
        ("math.exp(v)", wide(np.exp), EXPONENTS, 2, 2e-45), ("math.log(v)", wide(np.log), POSITIVE, 2, 0),
        ("math.sin(v)", wide(np.sin), ANGLES, 2, 2e-7), ("math.cos(v)", wide(np.cos), ANGLES, 2, 2e-7),
        ("math.tanh(v)", wide(np.tanh), SIGNED, 4, 0), ("math.sig(v)", wide(lambda v: 1 / (1 + np.exp(-v))), EXPONENTS, 3, 3e-45),
        ("math.pow(v, 1.5)", wide(lambda v: v**1.5), POSITIVE[np.abs(np.log(POSITIVE)) < 50], 12, 0),
        ("math.pow(v, 2.0)", np.square, SIGNED[np.abs(SIGNED) < 1e19], 0, 0),
        ("math.pow(v, -3.0)", wide(lambda v: v**-3.0), SIGNED[(np.abs(SIGNED) < 1e12) & (np.abs(SIGNED) > 1e-12)], 4, 0),
    ],
)  # fmt: skip
@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_f32_against_numpy(tmp_path, call, model, values, units, least, arch):
    got = evaluate(tmp_path, call, values, arch)
    with np.errstate(over="ignore", divide="ignore", under="ignore"):
        want = np.asarray(model(values), np.float32)
    np.testing.assert_allclose(got, want, rtol=units * 2.0**-24, atol=least)


HALVES = np.concatenate(
    [np.arange(0, 0x7C00, 61, np.uint16), np.arange(0x8000, 0xFC00, 61, np.uint16)]).view(np.float16)  # fmt: skip


@pytest.mark.parametrize(
    "call, model, values",
    [
        ("math.sqrt(v)", np.sqrt, HALVES[HALVES >= 0]), ("math.abs(v)", np.abs, HALVES), ("math.inv(v)", np.reciprocal, HALVES),
        ("math.floor(v)", np.floor, HALVES), ("math.ceil_f16(v)", np.ceil, HALVES), ("math.exp(v)", np.exp, HALVES),
        ("math.log(v)", np.log, HALVES[HALVES > 0]), ("math.sin_f16(v)", np.sin, HALVES), ("math.cos(v)", np.cos, HALVES),
        ("math.tanh(v)", np.tanh, HALVES), ("math.sig(v)", lambda v: 1 / (1 + np.exp(-v)), HALVES),
        ("math.pow(v, 0.75)", lambda v: v**0.75, HALVES[HALVES > 0]), ("math.sign_f16(v)", lambda v: np.where(v == 0, v, np.sign(v)), HALVES),
        ("math.max_f16(v, 2.5)", lambda v: np.maximum(v, 2.5), HALVES),
    ],
)  # fmt: skip
def test_f16_is_the_f64_value_rounded(tmp_path, call, model, values):
    got = evaluate(tmp_path, call, values, type="f16")
    with np.errstate(over="ignore", divide="ignore", under="ignore", invalid="ignore"):
        want = model(values.astype(np.float64)).astype(np.float16)
    # f32 on the way: at most one unit off where the exact value is close to a midpoint
    off = np.abs(got.view(np.int16).astype(int) - want.view(np.int16).astype(int))
    assert off.max() <= 1 and (off > 0).mean() < 0.01, (values[off > 0][:4], got[off > 0][:4], want[off > 0][:4])


SPECIAL = np.array([0.0, -0.0, INF, -INF, NAN, 1.0, -1.0], np.float32)


@pytest.mark.parametrize(
    "call, want",
    [
        ("math.sqrt(v)", [0.0, -0.0, INF, NAN, NAN, 1, NAN]), ("math.inv(v)", [INF, -INF, 0.0, -0.0, NAN, 1, -1]),
        ("math.exp(v)", [1, 1, INF, 0.0, NAN, 2.7182817, 0.36787945]), ("math.log(v)", [-INF, -INF, INF, NAN, NAN, 0.0, NAN]),
        ("math.sin(v)", [0.0, -0.0, NAN, NAN, NAN, 0.84147096, -0.84147096]), ("math.cos(v)", [1, 1, NAN, NAN, NAN, 0.5403023, 0.5403023]),
        ("math.tanh(v)", [0.0, -0.0, 1, -1, NAN, 0.7615942, -0.7615942]), ("math.sig(v)", [0.5, 0.5, 1, 0.0, NAN, 0.7310586, 0.26894143]),
        ("math.floor(v)", [0.0, -0.0, INF, -INF, NAN, 1, -1]), ("math.ceil(v * 0.5)", [0.0, -0.0, INF, -INF, NAN, 1, -0.0]),
        ("math.abs(v)", [0.0, 0.0, INF, INF, NAN, 1, 1]), ("math.sign(v)", [0.0, -0.0, 1, -1, NAN, 1, -1]),
        ("math.pow(v, 3.0)", [0.0, -0.0, INF, -INF, NAN, 1, -1]), ("math.pow(v, -3.0)", [INF, -INF, 0.0, -0.0, NAN, 1, -1]),
        ("math.pow(v, 0.5)", [0.0, 0.0, INF, INF, NAN, 1, NAN]), ("math.pow(v, 0.0)", [1, 1, 1, 1, 1, 1, 1]),
        ("math.pow(2.0, v)", [1, 1, INF, 0.0, NAN, 2, 0.5]), ("math.pow(0.5, v)", [1, 1, 0.0, INF, NAN, 0.5, 2]),
    ],
)  # fmt: skip
def test_special_values(tmp_path, call, want):
    got = evaluate(tmp_path, call.replace("(2.0, v)", "_f32(2.0, v)").replace("(0.5, v)", "_f32(0.5, v)"), SPECIAL)
    want = np.array(want, np.float32)
    np.testing.assert_allclose(got, want, rtol=3e-7)
    assert (np.signbit(got) == np.signbit(want))[~np.isnan(want)].all(), got


def test_whole_powers_are_exact(tmp_path):
    got = evaluate(tmp_path, "math.pow(v, 5.0)", [2, 3, 5, 7, -3])
    assert got.tolist() == [32, 243, 3125, 16807, -243]


@pytest.mark.parametrize(
    "y", [0.3333333, 2.7182818, -7.123456, 13.37, -41.7, 100.123, 1000.77, -1e8, 1e10, 1e30, -1e30]
)
def test_powers_of_any_size(tmp_path, y):
    """From subnormal results to infinity; exponents for which the base has to be near 1."""
    x = np.exp(RNG.uniform(-100 / max(abs(y), 1.2), 100 / max(abs(y), 1.2), 200)).astype(np.float32)
    x = np.concatenate([x, np.array([0.5, 0.9, 1.5, 2.0, 1e-30, 3e38, 1e-42], np.float32)])
    got = evaluate(tmp_path, f"math.pow(v, {y})", x)
    with np.errstate(over="ignore", under="ignore"):
        want = (x.astype(np.float64) ** np.float64(np.float32(y))).astype(np.float32)
    np.testing.assert_allclose(got, want, rtol=20 * 2.0**-24, atol=2e-45)


@pytest.mark.parametrize("n", [-400, -200, -150, -127, -126, -20, 0, 5, 100, 127, 128, 200, 400])
def test_fscale_rounds_once(tmp_path, n):
    values = np.array([1.0, -1.9999999, 1e-44, 3.3e38, 1.1754944e-38, 7e-20, 0.0], np.float32)
    with np.errstate(over="ignore"):
        want = np.array([np.float32(np.ldexp(np.float64(v), n)) for v in values])
    assert evaluate(tmp_path, f"math.fscale(v, {n})", values).tolist() == want.tolist()


def test_fscale_of_f16(tmp_path):
    values = np.array([1.5, -0.007, 65504, 6e-8], np.float16)
    for n in (-30, -3, 4, 40):
        with np.errstate(over="ignore"):
            want = np.ldexp(values.astype(np.float64), n).astype(np.float16)
        assert evaluate(tmp_path / str(n), f"math.fscale(v, {n})", values, type="f16").tolist() == want.tolist()


@pytest.mark.parametrize("kind, bits", [("f16", 16), ("f32", 32)])
def test_kinds_of_numbers(tmp_path, kind, bits):
    values = np.concatenate([SPECIAL.astype(running.TYPES[kind]), [-NAN]]).astype(running.TYPES[kind])
    ask = lambda name: evaluate(tmp_path / name, f"@as(u16, math.{name}(v))", values, type=kind, result="u16").tolist()  # noqa: E731
    assert ask("isNaN") == [0, 0, 0, 0, 1, 0, 0, 1]
    assert ask("isInf") == [0, 0, 1, 1, 0, 0, 0, 0]
    assert ask("isFinite") == [1, 1, 0, 0, 0, 1, 1, 0]
    assert ask("signbit") == np.signbit(values).astype(int).tolist()
    assert ask("isSignaling") == [0] * 8
    quiet = {16: 0x7E00, 32: 0x7FC00000}[bits]
    signaling = {16: [0x7C01, 0xFDFF, 0x7E01], 32: [0x7F800001, 0xFFBFFFFF, 0x7FC00001]}[bits]
    made = np.array([*signaling, quiet], f"u{bits // 8}").view(running.TYPES[kind])
    got = evaluate(tmp_path / "s", f"@as(u16, math.isSignaling_{kind}(v))", made, type=kind, result="u16")
    assert got.tolist() == [1, 1, 0, 0]


def test_constants_and_integers(tmp_path):
    got = running.run(
        tmp_path,
        """
const math = @import_module("<math>");
export var s = @zeros([6]f32);
export var h = @zeros([5]f16);
export var a = @zeros([8]i16);
export var u = @zeros([4]u16);
export var w = @zeros([2]i32);
export var floors = [2]f32{ math.floor(2.5), math.tanh(0.0) };
fn main() void {
  s[0] = math.POSITIVE_INF(f32); s[1] = math.NEGATIVE_INF(f32); s[2] = math.NaN(f32);
  s[3] = math.NaN_f32; s[4] = math.PI; s[5] = math.E;
  h[0] = math.POSITIVE_INF(f16); h[1] = math.NEGATIVE_INF_f16; h[2] = math.NaN(f16);
  h[3] = math.PI; h[4] = math.E;
  a[0] = math.abs(a[7] - 5); a[1] = math.sign(a[7] - 5); a[2] = math.max(a[7], -3); a[3] = math.min(a[7], -3);
  a[4] = math.sign(a[7]); a[5] = math.sign(a[7] + 9);
  u[0] = math.abs(u[3] + 7); u[1] = math.sign(u[3] + 7); u[2] = math.max(u[3], 65535);
  w[0] = math.abs(w[1] - 100000); w[1] = math.min_i32(w[1], -70000);
}
comptime { @export_symbol(main); }
""",
    )
    s, h = running.read(got, "s"), running.read(got, "h")
    assert s[:2].tolist() == [INF, -INF] and np.isnan(s[2:4]).all()
    assert s[4:].tolist() == [np.float32(np.pi), np.float32(np.e)]
    assert h[:2].tolist() == [INF, -INF] and np.isnan(h[2])
    assert h[3:].tolist() == [np.float16(np.pi), np.float16(np.e)]
    assert running.read(got, "a").tolist() == [5, -1, 0, -3, 0, 1, 0, 0]
    assert running.read(got, "u").tolist() == [7, 1, 65535, 0]
    assert running.read(got, "w").tolist() == [100000, -70000]
    assert running.read(got, "floors").tolist() == [2.0, 0.0]


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_the_documented_form_of_a_program(tmp_path, arch):
    """Functions of one another in f16, generic and with suffixes: sin^2 + cos^2 = 1."""
    pe = """
const math = @import_module("<math>");
export var x = [4]f16{ 0.5, -3.0, 20.0, 0.0 };
export var ones = @zeros([4]f16);
fn main() void {
  x[3] = math.POSITIVE_INF(f16);
  for (@range(u16, 4)) |i| {
    if (!math.isFinite(x[i])) x[i] = 0.0;
    const one = math.pow(math.sin(x[i]), 2.0) + math.pow_f16(math.cos_f16(x[i]), 2.0);
    ones[i] = one;
    if (math.abs(math.log(one)) > 0.01) x[i] = math.NaN(f16);
  }
}
comptime { @export_symbol(main); }
"""
    got = running.run(tmp_path, pe, arch=arch)
    assert running.read(got, "x").tolist() == [0.5, -3.0, 20.0, 0.0]
    assert np.abs(running.read(got, "ones") - 1).max() < 2e-3


@pytest.mark.parametrize("name", ["sqrt", "inv", "invsqrt", "exp", "log", "sin", "cos"])
def test_functions_of_the_run_only(tmp_path, name):
    pe = f'const math = @import_module("<math>");\nexport var y: f32 = math.{name}(@as(f32, 2.0));\n'
    error(tmp_path, pe, "evaluated at run time only")


@pytest.mark.parametrize("use", ["if (math.isNaN(y)) y = 0;", "const z = math.sin(y);"])
def test_no_function_of_integers(tmp_path, use):
    pe = f"""
const math = @import_module("<math>");
export var y: i16 = 3;
fn main() void {{ {use} }}
comptime {{ @export_symbol(main); }}
"""
    error(tmp_path, pe, "take f16, bf16, cb16 or f32, not type i16")


def test_saturating_difference_is_refused(tmp_path):
    pe = """
const math = @import_module("<math>");
export var y: f32 = 3;
fn main() void { y = math.subsat(y, 4.0); }
comptime { @export_symbol(main); }
"""
    error(tmp_path, pe, "math.subsat is not supported")


@pytest.mark.parametrize("fmt", ["bf16", "cb16"])
def test_the_program_s_16_bit_format(tmp_path, fmt):
    pe = """
const math = @import_module("<math>");
const H = @fp16();
export var x = [5]H{ 2.0, -3.0, 0.25, 0.0, 10.0 };
export var y = @zeros([8, 5]H);
export var kinds = @zeros([5]u16);
fn main() void {
  x[3] = math.NaN(H);
  for (@range(u16, 5)) |i| {
    y[0, i] = math.exp(x[i]); y[1, i] = math.abs(x[i]); y[2, i] = math.floor(x[i]); y[3, i] = math.sign_f16(x[i]);
    y[4, i] = math.tanh(x[i]); y[5, i] = math.fscale(x[i], -3); y[6, i] = math.cos_f16(x[i]); y[7, i] = math.sqrt(math.abs(x[i]));
    kinds[i] = @as(u16, math.isNaN(x[i])) + 2 * @as(u16, math.signbit_f16(x[i])) + 4 * @as(u16, math.isFinite(1.0 / (x[i] - 2.0)));
  }
}
comptime { @export_symbol(main); }
"""
    loaded = running.run(tmp_path, pe, options={"fp16": fmt})
    got = from_bits(np.frombuffer(loaded.symbol(0, 0, "y")[1], np.uint16).reshape(8, 5), fmt)
    x = np.array([2.0, -3.0, 0.25, NAN, 10.0])
    want = [np.exp(x), np.abs(x), np.floor(x), np.sign(x), np.tanh(x), x / 8, np.cos(x), np.sqrt(np.abs(x))]
    assert np.array_equal(got, round16(np.array(want), fmt), equal_nan=True)
    assert running.read(loaded, "kinds").tolist() == [0, 6, 4, 1, 4]
