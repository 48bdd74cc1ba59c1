#!/usr/bin/env cs_python
"""Runs the multiply-adds, checks y, prints the cycles between the timestamps."""

import argparse
import json

import numpy as np
from cerebras.sdk.runtime.sdkruntimepybind import MemcpyDataType, MemcpyOrder, SdkRuntime

parser = argparse.ArgumentParser()
parser.add_argument("--name", required=True)
name = parser.parse_args().name
with open(f"{name}/out.json", encoding="utf-8") as file:
    form = int(json.load(file)["params"]["form"])

ALL, BLOCK = 4096, 16
U16 = {
    "streaming": False,
    "data_type": MemcpyDataType.MEMCPY_16BIT,
    "order": MemcpyOrder.ROW_MAJOR,
    "nonblock": False,
}
runner = SdkRuntime(name)
runner.load()
runner.run()
x = np.full(ALL + 4, 0.25, np.float16)
runner.memcpy_h2d(runner.get_id("x"), x.view(np.uint16).astype(np.uint32), 0, 0, 1, 1, ALL + 4, **U16)
runner.launch("compute", nonblock=False)
y, stamps = np.zeros(ALL, np.uint32), np.zeros(6, np.uint32)
runner.memcpy_d2h(y, runner.get_id("y"), 0, 0, 1, 1, ALL, **U16)
runner.memcpy_d2h(stamps, runner.get_id("stamps"), 0, 0, 1, 1, 6, **U16)
runner.stop()

expected = np.full(ALL, 0.25) if form == 0 else np.where(np.arange(ALL) < BLOCK, 0.25 * (ALL // BLOCK), 0)
np.testing.assert_array_equal(y.astype(np.uint16).view(np.float16), expected)
start, stop = (sum(int(word) << 16 * i for i, word in enumerate(part)) for part in (stamps[:3], stamps[3:]))
print(f"cycles = {stop - start}")
