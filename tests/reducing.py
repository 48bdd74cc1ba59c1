"""Runs the kernels reduce and allreduce; options that are not given have their defaults."""

from wse import Machine
from wse.kernels import RunOptions, reduce


def run(
    algorithm, grid, length, group=0, dtype="f32", arch="wse2", kernel=reduce, threads=1, max_cycles=None, **machine
):
    return kernel.run(
        {"algorithm": algorithm, "group": group, "length": length, "dtype": dtype},
        RunOptions(machine=Machine(arch, **machine), grid=grid, seed=5, threads=threads, max_cycles=max_cycles),
    )
