"""C = A B in f32: tiles go to the PEs, are multiplied and come back; compared to the bit with sums in that order."""

import argparse
import json

import numpy as np
from cerebras.sdk.runtime.sdkruntimepybind import MemcpyDataType, MemcpyOrder, SdkRuntime
from cerebras.sdk.sdk_utils import make_u48

parser = argparse.ArgumentParser()
parser.add_argument("--name", required=True)
parser.add_argument("--cmaddr")
args = parser.parse_args()
with open(f"{args.name}/out.json") as file:
    params = {name: int(value) for name, value in json.load(file)["params"].items()}
P, m, k, n = (params[name] for name in "Pmkn")

rng = np.random.default_rng(1)
a = rng.standard_normal((P * m, P * k), dtype=np.float32)
b = rng.standard_normal((P * k, P * n), dtype=np.float32)

runner = SdkRuntime(args.name, cmaddr=args.cmaddr)
A, B, C, time = (runner.get_id(name) for name in ("A", "B", "C", "time"))
runner.load()
runner.run()
how = {"streaming": False, "order": MemcpyOrder.ROW_MAJOR, "data_type": MemcpyDataType.MEMCPY_32BIT, "nonblock": False}
tiles_of_a = a.reshape(P, m, P, k).transpose(0, 2, 3, 1)  # a tile column by column
tiles_of_b = b.reshape(P, k, P, n).transpose(0, 2, 1, 3)
runner.memcpy_h2d(A, tiles_of_a.ravel(), 0, 0, P, P, k * m, **how)
runner.memcpy_h2d(B, tiles_of_b.ravel(), 0, 0, P, P, k * n, **how)
runner.launch("multiply", nonblock=False)
c = np.zeros(P * P * n * m, np.float32)
runner.memcpy_d2h(c, C, 0, 0, P, P, n * m, **how)
words = np.zeros(P * P * 6, np.uint32)
runner.memcpy_d2h(words, time, 0, 0, P, P, 6, **how | {"data_type": MemcpyDataType.MEMCPY_16BIT})
runner.stop()

product = c.reshape(P, P, n, m).transpose(0, 3, 1, 2).reshape(P * m, P * n)
expected = np.zeros_like(product)
for i in range(P * k):  # the machine rounds the product, then the sum
    expected += a[:, i : i + 1] * b[i : i + 1]
assert np.array_equal(product.view(np.uint32), expected.view(np.uint32))
cycles = max(make_u48(t[3:]) - make_u48(t[:3]) for t in words.reshape(-1, 6))
print(f"{P * m} x {P * k} x {P * n} on {P} x {P} PEs: {cycles} cycles")
print("SUCCESS!")
