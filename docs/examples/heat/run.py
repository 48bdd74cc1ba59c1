"""Heat along a row of PEs, compared to the bit with the same steps in NumPy."""

import argparse
import json

import numpy as np
from cerebras.sdk.runtime.sdkruntimepybind import MemcpyDataType, MemcpyOrder, SdkRuntime

parser = argparse.ArgumentParser()
parser.add_argument("--name", required=True)
parser.add_argument("--steps", type=int, default=20)
parser.add_argument("--cmaddr")
args = parser.parse_args()
with open(f"{args.name}/out.json") as file:
    params = json.load(file)["params"]
P, N = int(params["P"]), int(params["N"])

start = np.random.default_rng(3).random((P, N), dtype=np.float32)
runner = SdkRuntime(args.name, cmaddr=args.cmaddr)
u = runner.get_id("u")
runner.load()
runner.run()
how = {"streaming": False, "order": MemcpyOrder.COL_MAJOR, "data_type": MemcpyDataType.MEMCPY_32BIT, "nonblock": False}
points = np.zeros((1, P, N + 2), np.float32)
points[0, :, 1:-1] = start
runner.memcpy_h2d(u, points.ravel(order="F"), 0, 0, P, 1, N + 2, **how)
runner.launch("flow", np.uint16(args.steps), nonblock=False)
flat = np.zeros(points.size, np.float32)
runner.memcpy_d2h(flat, u, 0, 0, P, 1, N + 2, **how)
runner.stop()

expected = start.ravel()
for _ in range(args.steps):
    wide = np.pad(expected, 1)
    expected = (wide[:-2] + wide[2:]) * np.float32(0.25) + expected * np.float32(0.5)
result = flat.reshape(points.shape, order="F")[0, :, 1:-1].ravel()
assert np.array_equal(result.view(np.uint32), expected.view(np.uint32))
print("SUCCESS!")
