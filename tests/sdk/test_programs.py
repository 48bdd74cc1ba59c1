"""Host programs with compiled CSL programs: arguments of every type, copies and streams in every form, waiting."""

from pathlib import Path

import numpy as np
import pytest

import wse
from wse.sdk import compile
from wse.sdk.runtime import SdkRuntime
from wse.sdk.transfer import MemcpyDataType, MemcpyOrder
from wse.sdk.utils import input_array_to_u32, memcpy_view

archs = pytest.mark.parametrize("arch", ["wse2", "wse3"])
W, H, N = 3, 2, 5
B16, B32 = MemcpyDataType.MEMCPY_16BIT, MemcpyDataType.MEMCPY_32BIT

LAYOUT = """
const memcpy = @import_module("<memcpy/get_params>", .{
  .width = 3, .height = 2, .MEMCPYH2D_1 = 2, .MEMCPYD2H_1 = 3 });
layout {
  @set_rectangle(3, 2);
  for (@range(u16, 3)) |x| {
    for (@range(u16, 2)) |y| @set_tile_code(x, y, "pe.csl", .{ .memcpy_params = memcpy.get_params(x) });
  }
  NAMES
}
"""
SYS = """
param memcpy_params;
const sys = @import_module("<memcpy/memcpy>", memcpy_params);
"""


def program(arch: str, pe: str, names: str = "") -> SdkRuntime:
    Path("layout.csl").write_text(LAYOUT.replace("NAMES", names))
    Path("pe.csl").write_text(SYS + pe)
    options = {"fabric_dims": (10, 4), "fabric_offsets": (4, 1), "memcpy": True, "channels": 1}
    compile.run(compile.Request(Path("layout.csl"), arch=arch, **options))
    runner = SdkRuntime("out")
    runner.load()
    runner.run()
    return runner


ARGUMENTS = {
    "i16": (np.int16(-3), "i16"), "u16": (np.uint16(65535), "u16"), "i32": (np.int32(-70000), "i32"),
    "u32": (np.uint32(4_000_000_000), "u32"), "f16": (np.float16(0.5), "f16"), "f32": (np.float32(-1.25), "f32"),
    "bool": (True, "bool"), "i8": (np.int8(-7), "i8"), "u8": (np.uint8(200), "u8"),
}  # fmt: skip
DTYPES = {"f16": "f2", "f32": "f4", "bool": "u1"}


@archs
@pytest.mark.parametrize("kind", ARGUMENTS)
def test_an_argument_of_every_type(kind, arch):
    value, type = ARGUMENTS[kind]
    runner = program(
        arch,
        f"export var got: {type} = {'false' if kind == 'bool' else 0};\nexport var more: u16 = 0;\n"
        f"fn take(first: u16, x: {type}, last: u16) void {{ got = x; more = first + last; sys.unblock_cmd_stream(); }}\n"
        "comptime { @export_symbol(take); }",
        f'@export_name("take", fn(u16, {type}, u16)void);',
    )
    runner.launch("take", np.uint16(3), value, np.uint16(4), nonblock=False)
    runner.stop()
    dtype = DTYPES.get(type, f"{type[0]}{int(type[1:] or 8) // 8}" if type != "bool" else "u1")
    assert runner.read_symbol(6, 2, "got", dtype).tolist() == [value]
    assert runner.read_symbol(4, 1, "more", "u2").tolist() == [7]


ARRAYS = """
var small = @zeros([5]TYPE);
var small_ptr: [*]TYPE = &small;
fn flip() void { for (@range(i16, 2)) |i| { const t = small[i]; small[i] = small[4 - i]; small[4 - i] = t; } sys.unblock_cmd_stream(); }
comptime { @export_symbol(small_ptr, "small"); @export_symbol(flip); }
"""
NAMES = '@export_name("small", [*]TYPE, true); @export_name("flip", fn()void);'


@archs
@pytest.mark.parametrize("order", MemcpyOrder)
@pytest.mark.parametrize("dtype", ["f2", "i2", "u2"])
def test_sixteen_bit_arrays_there_and_back(dtype, order, arch):
    type = {"f2": "f16", "i2": "i16", "u2": "u16"}[dtype]
    runner = program(arch, ARRAYS.replace("TYPE", type), NAMES.replace("TYPE", type))
    symbol, letter = runner.get_symbol("small"), "C" if order is MemcpyOrder.ROW_MAJOR else "F"
    tensor = np.arange(H * W * N).astype(dtype).reshape(H, W, N)
    how = {"streaming": False, "data_type": B16, "order": order}
    container = np.zeros(tensor.size, np.uint32)
    memcpy_view(container, np.dtype(dtype))[:] = tensor.ravel(order=letter)
    assert np.array_equal(container, input_array_to_u32(tensor.ravel(order=letter), None, 1))
    runner.memcpy_h2d(symbol, container, 0, 0, W, H, N, nonblock=True, **how)
    runner.launch("flip", nonblock=True)
    got = np.zeros(tensor.size, np.uint32)
    task = runner.memcpy_d2h(got, symbol, 0, 0, W, H, N, nonblock=True, **how)
    runner.task_wait(task)
    assert runner.is_task_done(task)
    assert np.array_equal(memcpy_view(got, np.dtype(dtype)).reshape(tensor.shape, order=letter), tensor[:, :, ::-1])
    runner.stop()


STREAMS = """
const in_q = @get_input_queue(2);
const out_q = @get_output_queue(3);
const in = @get_dsd(fabin_dsd, .{ .fabric_color = @get_color(2), .extent = 5, .input_queue = in_q });
const out = sys.get_streaming_fabout_dsd(@get_color(3), 5, out_q);
const id = @get_local_task_id(9);
param runs: bool = true;
task again() void { @add16(out, in, 1, .{ .async = true, .activate = id }); }
fn nothing() void { sys.unblock_cmd_stream(); }
export var count: u16 = 0;
fn slow() void { while (count < 2000) count += 1; sys.unblock_cmd_stream(); }
comptime {
  @bind_local_task(again, id); @activate(id);
  @initialize_queue(in_q, .{ .color = @get_color(2) });
  @initialize_queue(out_q, if (@is_arch("wse3")) .{ .color = @get_color(3) } else .{});
  @export_symbol(nothing); @export_symbol(slow);
}
"""


@archs
def test_streams_by_rows_and_columns(arch):
    runner = program(arch, STREAMS, '@export_name("nothing", fn()void); @export_name("slow", fn()void);')
    common = {"streaming": True, "data_type": B16}
    for order in MemcpyOrder:
        letter = "C" if order is MemcpyOrder.ROW_MAJOR else "F"
        rows = np.arange(H * N, dtype=np.uint32).reshape(H, 1, N)
        columns = np.arange(100, 100 + W * N, dtype=np.uint32).reshape(1, W, N)
        for tensor, copy in ((rows, runner.memcpy_h2d_rowbcast), (columns, runner.memcpy_h2d_colbcast)):
            got = np.zeros(H * W * N, np.uint32)
            task = runner.memcpy_d2h(got, 3, 0, 0, W, H, N, order=order, nonblock=True, **common)
            copy(2, tensor.ravel(order=letter), 0, 0, W, H, N, order=order, nonblock=False, **common)
            runner.task_wait(task)
            assert np.array_equal(got.reshape((H, W, N), order=letter), np.broadcast_to(tensor + 1, (H, W, N)))
    runner.stop()


@archs
def test_streams_run_beside_launches_and_end_with_the_run(arch):
    runner = program(arch, STREAMS, '@export_name("nothing", fn()void); @export_name("slow", fn()void);')
    results = [np.zeros(W * H * N, np.uint32) for _ in range(4)]
    tasks = [
        runner.memcpy_d2h(
            got, 3, 0, 0, W, H, N, streaming=True, data_type=B32, order=MemcpyOrder.ROW_MAJOR, nonblock=True
        )
        for got in results
    ]
    for i in range(4):
        runner.launch("slow" if i == 1 else "nothing", nonblock=True)
        data = np.arange(i, i + W * H * N, dtype=np.uint32)
        runner.memcpy_h2d(
            2, data, 0, 0, W, H, N, streaming=True, data_type=B32, order=MemcpyOrder.ROW_MAJOR, nonblock=True
        )
    assert not runner.is_task_done(tasks[-1])
    runner.stop()
    assert all(runner.is_task_done(task) for task in tasks)
    for i, got in enumerate(results):
        assert np.array_equal(got, np.arange(i, i + W * H * N, dtype=np.uint32) + 1)
    assert runner.read_symbol(5, 1, "count", "u2").tolist() == [2000]
    with pytest.raises(wse.ConfigError, match=r"commands come between run\(\) and stop\(\)"):
        runner.launch("nothing")


@archs
def test_a_core_and_symbols_between_commands(arch):
    runner = program(arch, ARRAYS.replace("TYPE", "u16"), NAMES.replace("TYPE", "u16"))
    runner.memcpy_h2d(
        runner.get_id("small"), np.arange(1, 6, dtype=np.uint32), 2, 1, 1, 1, 5,
        streaming=False, data_type=B16, order=MemcpyOrder.ROW_MAJOR, nonblock=False,
    )  # fmt: skip
    assert runner.read_symbol(*runner.coord_logical_to_physical((2, 1)), "small", "u2").tolist() == [1, 2, 3, 4, 5]
    runner.dump_core("corefile.cs1")
    memory = np.load("corefile.cs1")["memory"]
    assert np.arange(1, 6, dtype="<u2").tobytes() in memory[1, 2].tobytes()
    assert np.arange(1, 6, dtype="<u2").tobytes() not in memory[0, 0].tobytes()
    runner.stop()
