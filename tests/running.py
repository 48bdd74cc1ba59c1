"""Runs a kernel with its defaults but for what is given."""

from wse import Machine
from wse.kernels import Progress, Result


def run(
    kernel, grid=None, arch="wse3", profile="simulator", seed=0, threads=1, max_cycles=None, trace=0, **config
) -> Result:
    return kernel.run(
        {name: parameter.default for name, parameter in kernel.PARAMETERS.items()} | config,
        machine=Machine(arch, profile),
        grid=grid,
        seed=seed,
        threads=threads,
        max_cycles=max_cycles,
        trace=trace,
        progress=Progress(),
    )


def is_exact(result: Result) -> bool:
    return result.run.ended == "done" and result.verified and result.max_error == 0
