"""Host programs in Python without cs_python: the names, cslc, measurements, and what else is called cerebras."""

import subprocess
import sys

import numpy as np
import pytest
from documents import PACKAGES, ROOT
from says import says

import wse.sdk
from wse.csl.syntax.errors import CslError
from wse.errors import ConfigError
from wse.sdk import python

LAYOUT = ROOT / "docs/examples/heat/layout.csl"
PROGRAM = f"""
import numpy as np
from wse.sdk import MemcpyDataType, MemcpyOrder, SdkRuntime, cslc

out = cslc({str(LAYOUT)!r}, arch="wse3", params={{"P": 6, "N": 10}}, memcpy=True, output="heat")
runner = SdkRuntime(out)
print(runner)
u = runner.get_id("u")
runner.load()
runner.run()
how = dict(streaming=False, order=MemcpyOrder.ROW_MAJOR, data_type=MemcpyDataType.MEMCPY_32BIT, nonblock=False)
points = np.zeros((1, 6, 12), np.float32)
points[..., 1:-1] = 1
runner.memcpy_h2d(u, points.ravel(), 0, 0, 6, 1, 12, **how)
runner.launch("flow", np.uint16(1), nonblock=False)
flat = np.zeros(points.size, np.float32)
runner.memcpy_d2h(flat, u, 0, 0, 6, 1, 12, **how)
runner.stop()
print(flat.reshape(6, 12)[[0, 5], [1, 10]], runner.measure().ended, runner.measure().flops)
"""


def python_runs(code, folder, *more):
    command = [sys.executable, "-P", "-c", code]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment(*more), check=False)
    return done.returncode, done.stdout, done.stderr


def environment(*more):
    import os

    path = os.pathsep.join([str(folder) for folder in (PACKAGES, *more)])
    return {key: value for key, value in os.environ.items() if not key.startswith("WSE_")} | {"PYTHONPATH": path}


def test_a_host_program_without_cs_python(tmp_path):
    status, out, err = python_runs(PROGRAM, tmp_path)
    assert (status, err) == (0, "")
    assert out.splitlines() == [
        "SdkRuntime(heat: 6 x 1 PEs of wse3, made)",
        f"[0.75 0.75] done {6 * 10 * 4}",
    ]


def test_the_names_of_the_sdk_can_be_imported(tmp_path):
    code = """
import wse.sdk
wse.sdk.add_to_path()
wse.sdk.add_to_path()
from cerebras.sdk.runtime.sdkruntimepybind import SdkRuntime
from cerebras.sdk.sdk_utils import input_array_to_u32
print(SdkRuntime is wse.sdk.SdkRuntime)
"""
    assert python_runs(code, tmp_path) == (0, "True\n", "")


@pytest.mark.parametrize("first", ["", "import cerebras\n"])
def test_another_package_of_that_name_is_named(tmp_path, first):
    (tmp_path / "other/cerebras").mkdir(parents=True)
    (tmp_path / "other/cerebras/__init__.py").write_text("")
    code = first + "import wse.sdk\ntry:\n    wse.sdk.SdkRuntime\nexcept Exception as error:\n    print(error)"
    status, out, err = python_runs(code, tmp_path, tmp_path / "other")
    assert (status, err) == (0, "")
    assert out.startswith("another package cerebras is im" if first else "another package cerebras is installed, at")
    assert "other/cerebras" in out and "without it" in out


def test_cslc_compiles_and_says_what_is_wrong(tmp_path, capsys):
    out = python.cslc(LAYOUT, arch="wse3", params={"P": 2, "N": 3}, output=tmp_path / "out", verbose=True, memcpy=True)
    assert out == tmp_path / "out" and (out / "out.json").exists()
    assert "2 x 1 PEs for wse3" in capsys.readouterr().out
    with says(TypeError, "cslc() has no option 'arhc': did you mean arch?"):
        python.cslc(LAYOUT, arhc="wse3")
    with pytest.raises(CslError, match="param P has no value"):
        python.cslc(LAYOUT, output=tmp_path / "out")
    with pytest.warns(UserWarning, match="--memcpy, which is not given|imports <memcpy/memcpy>"):
        python.cslc(LAYOUT, arch="wse3", params={"P": 2, "N": 3}, output=tmp_path / "out", channels=1)
    with pytest.raises(ConfigError):
        python.cslc(LAYOUT, arch="wse4", output=tmp_path / "out")


def test_names(tmp_path):
    with says(AttributeError, "module 'wse.sdk' has no attribute 'SdkRutime'; did you mean SdkRuntime?"):
        _ = wse.sdk.SdkRutime
    with says(AttributeError, "module 'wse.sdk' has no attribute '__path_'"):
        _ = wse.sdk.__getattr__("__path_")
    assert wse.sdk.MemcpyOrder.ROW_MAJOR is not None and wse.sdk.cslc is python.cslc


def test_states_of_a_runtime(tmp_path):
    python.cslc(LAYOUT, arch="wse3", params={"P": 2, "N": 3}, output=tmp_path / "out", memcpy=True)
    runner = wse.sdk.SdkRuntime(tmp_path / "out")
    with pytest.raises(ConfigError, match="come before"):
        runner.measure()
    states = []
    for step in (runner.load, runner.run, runner.stop):
        step()
        states.append(repr(runner).partition(", ")[2])
    assert states[0].startswith("loaded at cycle 0") and states[1].startswith("running at cycle 0")
    assert states[2].startswith("stopped at cycle ")
    assert isinstance(np.asarray(runner.measure().busy), np.ndarray)


@pytest.mark.parametrize("module", sorted(path.stem for path in (ROOT / "wse/sdk").glob("[a-z]*.py")))
def test_every_module_can_be_the_first_that_is_imported(module, tmp_path):
    code, _, errors = python_runs(f"import wse.sdk.{module}", tmp_path)
    assert code == 0, errors
