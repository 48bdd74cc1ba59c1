"""Sum of one vector per PE into all PEs: a reduce into PE (0, 0), followed by a multicast of the sum.

`algorithm` selects the reduce.  Data layout and order of additions are those of the kernel reduce, but at the end
array `vector` of every PE holds the sum.  measured_cycles is the difference between the first timestamp of PE (0, 0)
and the latest timestamp of any PE; the emulator's timestamp counters all start at cycle 0.  For a ring all-reduce,
only a closed form exists (collectives.ring_allreduce), no program.
"""

from __future__ import annotations

from typing import Any

from . import Result, RunOptions, reduce

PARAMETERS = reduce.PARAMETERS
GRID = reduce.GRID
INPUTS = reduce.INPUTS
OUTPUTS = {"vectors": "[height, width, length] the sum, on each PE"}


def run(config: dict[str, Any], options: RunOptions) -> Result:
    """See wse.kernels."""
    reduction = reduce.build("allreduce", config, options.machine, options.grid or GRID, to_all=True)
    return reduce.execute(reduction, config, options)
