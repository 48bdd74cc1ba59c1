"""Sum of a vector per PE into all PEs: a reduce into PE (0, 0), then a multicast from there.

`algorithm` selects the reduce; data layout and order of additions are those of the kernel reduce, but in the end array
`vector` of every PE holds the sum.  measured_cycles is from the first timestamp of PE (0, 0) to the last of any PE: the
emulator's timestamp counters all start at cycle 0.  An all-reduce in a ring has a closed form
(collectives.ring_allreduce), but no program here.
"""

from __future__ import annotations

from typing import Any

from . import Result, RunOptions, reduce

PARAMETERS = reduce.PARAMETERS
GRID = reduce.GRID


def run(config: dict[str, Any], options: RunOptions) -> Result:
    """See wse.kernels."""
    reduction = reduce.build("allreduce", config, options.machine, options.grid or GRID, to_all=True)
    return reduce.execute(reduction, config, options)
