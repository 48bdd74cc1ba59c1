"""<random>: ranges, distributions, seeds."""

import numpy as np
import pytest

from csl import running


def numbers(
    tmp_path, calls: dict[str, tuple[str, str]], n: int = 2000, arch: str = "wse3", first: str = ""
) -> dict[str, np.ndarray]:
    """n values of each call: name to (type, expression)."""
    arrays = "\n".join(f"export var {name} = @zeros([{n}]{kind});" for name, (kind, _) in calls.items())
    body = "\n".join(f"{name}[i] = {call};" for name, (_, call) in calls.items())
    pe = f"""
const random = @import_module("<random>");
{arrays}
fn main() void {{
  {first}
  for (@range(u16, {n})) |i| {{ {body} }}
}}
comptime {{ @export_symbol(main); }}
"""
    loaded = running.run(tmp_path, pe, arch=arch)
    return {name: running.read(loaded, name).astype(np.float64) for name in calls}


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_distributions(tmp_path, arch):
    got = numbers(tmp_path, {
        "x": ("f32", "random.random_f32(-2.0, 6.0)"), "h": ("f16", "random.random_f16(0.0, 1.0)"),
        "g": ("f32", "random.random_normal_f32()"),
    }, arch=arch)  # fmt: skip
    x, h, g = got["x"], got["h"], got["g"]
    assert (x >= -2).all() and (x < 6).all() and abs(x.mean() - 2) < 0.2 and abs(x.std() - 8 / 12**0.5) < 0.1
    assert len(np.unique(x)) > 1990
    assert (h >= 0).all() and (h < 1).all() and abs(h.mean() - 0.5) < 0.03
    assert abs(g.mean()) < 0.1 and abs(g.std() - 1) < 0.06
    inside = [np.mean(np.abs(g) < k) for k in (1, 2, 3)]
    np.testing.assert_allclose(inside, [0.683, 0.954, 0.997], atol=0.03)


def test_the_end_of_a_range_is_not_reached(tmp_path):
    """Where the range is a few units wide, values would be rounded up to its end."""
    got = numbers(
        tmp_path,
        {"h": ("f16", "random.random_f16(2047.0, 2050.0)"), "x": ("f32", "random.random_f32(16777215.0, 16777218.0)")},
    )
    assert set(got["h"]) == {2047.0, 2048.0} and set(got["x"]) == {16777215.0, 16777216.0}


@pytest.mark.parametrize("power", [0, 1, 5, 16, 31, 32, 40])
def test_powers_of_two(tmp_path, power):
    x = numbers(tmp_path, {"x": ("u32", f"random.random_pow_u32({power})")}, 500)["x"]
    size = 2.0 ** min(power, 32)
    assert (x < size).all() and abs(x.mean() - (size - 1) / 2) <= 0.1 * (size - 1)
    if power == 1:
        assert set(x) == {0, 1}


LFSR = """
export var x = @zeros([12]u16);
const random = @import_module("<random>");
fn main() void {
  x[0] = @random16(); x[1] = @random16();
  random.set_global_prng_seed(0xdeadbeef);
  x[2] = @random16(); x[3] = @random16();
  random.set_global_prng_seed(12345);
  x[4] = @random16();
  @set_active_prng(1);
  x[5] = @random16();
  random.set_global_prng_seed(12345);
  x[6] = @random16();
  @set_active_prng(4);
  x[7] = @random16();
  @set_active_prng(1);
  x[8] = @random16();
}
comptime { @export_symbol(main); }
"""


def words(seed: int, count: int) -> list[int]:
    """x^23 + x^18 + 1, 128 steps for each use."""
    state, made = seed & 0x7FFFFF, []
    for _ in range(count):
        for _ in range(128):
            state = (state << 1 | (state >> 22 ^ state >> 17) & 1) & 0x7FFFFF
        made.append(state & 0xFFFF)
    return made


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_seeds_and_generators(tmp_path, arch):
    x = running.read(running.run(tmp_path, LFSR, arch=arch), "x").tolist()
    start, other = words(0xDEADBEEF, 2), words(12345, 2)
    assert x[:4] == start + start
    assert x[4] == other[0] and x[5] == start[0] and x[6] == other[0]
    assert x[7:9] == [other[1], other[1]]  # 4 is generator 0 again
