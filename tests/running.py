"""Runs a kernel; options that are not given have their defaults."""

from wse import Machine
from wse.kernels import Result, RunOptions


def run(
    kernel, grid=None, arch="wse3", profile="simulator", seed=0, threads=1, max_cycles=None, trace=0, **config
) -> Result:
    return kernel.run(
        {name: parameter.default for name, parameter in kernel.PARAMETERS.items()} | config,
        RunOptions(
            machine=Machine(arch, profile), grid=grid, seed=seed, threads=threads, max_cycles=max_cycles, trace=trace
        ),
    )


def is_exact(result: Result) -> bool:
    return result.run.ended == "done" and result.verified and result.max_error == 0
