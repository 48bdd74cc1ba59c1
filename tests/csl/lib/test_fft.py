"""<kernels/fft/fft3d_layout>: transforms of a cube against NumPy."""

import numpy as np
import pytest

from csl import running
from wse.csl.syntax.errors import CslError

LAYOUT = """
param width: i16;
param n: u16;
const memcpy = @import_module("<memcpy/get_params>", .{ .width = width, .height = width });
const fft = @import_module("<kernels/fft/fft3d_layout>", .{ .width = width, .memcpy = memcpy });
layout {
  @set_rectangle(width, width);
  fft.FFT_kernel(width, n, TYPE);
}
"""


def parts(cube: np.ndarray, width: int, kind: type) -> np.ndarray:
    """[row of PEs, column of PEs, bytes]: element (z, y, x) of a PE's part at z T^2 + y T + x, real and imaginary part."""
    n = len(cube)
    t = n // width
    pairs = np.stack([cube.real, cube.imag], -1).astype(kind)
    split = pairs.reshape(n, width, t, width, t, 2).transpose(1, 3, 0, 2, 4, 5)
    return np.ascontiguousarray(split).reshape(width, width, -1).view(np.uint8)


def cube_of(memory: np.ndarray, n: int, width: int, kind: type) -> np.ndarray:
    t = n // width
    split = memory.view(kind).reshape(width, width, n, t, t, 2).transpose(2, 0, 3, 1, 4, 5)
    pairs = split.reshape(n, n, n, 2).astype(np.float64)
    return pairs[..., 0] + 1j * pairs[..., 1]


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
@pytest.mark.parametrize("width, n, kind", [(2, 4, "f32"), (1, 4, "f32"), (2, 4, "f16")])
def test_a_transform_and_its_inverse(tmp_path, arch, width, n, kind):
    numbers = running.TYPES[kind]
    loaded = running.device(tmp_path, "", arch, LAYOUT.replace("TYPE", kind), {"width": width, "n": n})
    rng = np.random.default_rng(3)
    cube = (rng.standard_normal((n, n, n)) + 1j * rng.standard_normal((n, n, n))).astype(np.complex64)
    angle = np.pi * np.arange(n // 2) / (n // 2)
    twiddle = np.stack([np.cos(angle), np.sin(angle)], -1).astype(numbers).reshape(-1).view(np.uint8)
    everything = loaded.everything
    loaded.write("twiddle_array", everything, np.broadcast_to(twiddle, (width, width, twiddle.size)).copy())
    loaded.write("X", everything, parts(cube, width, numbers))
    size = parts(cube, width, numbers).shape[-1]
    tolerance = 1e-5 if kind == "f32" else 2e-2
    for arguments, want in (((0, 0), np.fft.fftn(cube)), ((0, 1), cube), ((1, 0), np.fft.fftn(cube, norm="ortho"))):
        running.launch(loaded, "csfftExecC2C", *arguments)
        got = cube_of(loaded.read("X", everything, size), n, width, numbers)
        np.testing.assert_allclose(got, want, atol=tolerance * np.abs(want).max())
    assert running.read(loaded, "fft_time")[0] > 0


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_the_form_of_the_page(tmp_path, arch):
    """With the place of the first PE before the other arguments."""
    plain = running.compiled(tmp_path / "a", "", arch, LAYOUT.replace("TYPE", "f32"), {"width": 2, "n": 4})
    text = LAYOUT.replace("width, n, TYPE", "0, 0, width, n, f32")
    made = running.compiled(tmp_path / "b", "", arch, text, {"width": 2, "n": 4})
    assert (made.width, made.height, len(made.units)) == (plain.width, plain.height, len(plain.units))
    assert [name for name, *_ in made.exports] == [name for name, *_ in plain.exports]


@pytest.mark.parametrize(
    "call, message",
    [("1, 0, width, n, f32", "from PE (0, 0) on only"), ("width, n", "FFT_kernel takes 3 arguments, not 2")],
)
def test_calls_that_are_refused(tmp_path, call, message):
    with pytest.raises(CslError) as caught:
        running.compiled(tmp_path, "", "wse3", LAYOUT.replace("width, n, TYPE", call), {"width": 1, "n": 2})
    first = caught.value.diagnostics[0]
    assert message in first.message and first.span.line == 8


@pytest.mark.parametrize("name", ["fft3d", "get_params"])
def test_parts_are_refused(tmp_path, name):
    layout = LAYOUT.replace("layout {", f'const part = @import_module("<kernels/fft/{name}>");\nlayout {{').replace(
        "TYPE", "f32"
    )
    layout = layout.replace("@set_rectangle", "part.run();\n  @set_rectangle")
    with pytest.raises(CslError) as caught:
        running.compiled(tmp_path, "", "wse3", layout, {"width": 1, "n": 2})
    assert f"<kernels/fft/{name}> is not supported" in caught.value.diagnostics[0].message
