"""What a policy of precision means for the speed of products: bounds by a PE's memory, executed rates, ratios.

A product reads its sums, reads an activation and writes its sums for each weight.  The rates are multiply-adds per PE
and cycle.  The backward pass makes two products: with weights, and of the weights' gradients.
"""

from __future__ import annotations

from functools import cache

from ..errors import ConfigError
from ..machine.parameters import Machine
from ..operators.policy import LEVELS, Policy
from ..plan.workload import Layer, Workload
from . import recorded, wafer
from .operators import linear_name

# The vendor's default.  Published runs are assumed to be of it.
DEFAULT = "POL1"
# The largest tile of a PE that is executed at every level: features in and out, tokens; on four columns.
FULL = {"w": 4, "inputs": 256, "outputs": 256, "tokens": 32}
_SUM_BYTES = {"exact": 4, "mixed": 2, "half": 2}


def check(level: str) -> str:
    """The level.  Raises ConfigError if it is not one of LEVELS."""
    if level not in LEVELS:
        raise ConfigError(f"the policy is {level!r}, known are {', '.join(LEVELS)}")
    return level


def bound(level: str, machine: str | Machine) -> tuple[float, float]:
    """(forward, backward) rates that the ports of a PE's memory allow: sums read and written once for each weight.

    Public instructions allow no other product; one with several weights for each pass over the sums is not in them.
    """
    policy, machine = Policy("f16", level), Machine.of(machine)
    bytes_a_cycle = min(machine.sram_read2_milli, machine.sram_write_milli) / 1000
    product, gradient = (bytes_a_cycle / _SUM_BYTES[sums] for sums in (policy.products, policy.gradients))
    return product, 2 / (1 / product + 1 / gradient)


@cache
def executed(level: str, arch: str) -> tuple[float, float]:
    """(forward, backward) executed rates at the tile FULL, on a "wse2" or a "wse3"."""
    found = []
    for phase, products in (("forward", 1), ("chunkwise backward", 2)):
        name = linear_name(phase, arch, level)
        (cycles,) = [run.cycles for run in recorded.executed() if run.kernel == name and run.shape == FULL]
        found.append(products * FULL["inputs"] // FULL["w"] * FULL["outputs"] * FULL["tokens"] / cycles)
    return found[0], found[1]


def whole(rates: tuple[float, float]) -> float:
    """The rate of a forward and a backward pass together, from those of each."""
    return 3 / (1 / rates[0] + 2 / rates[1])


def ratios(
    work: Workload, layer: Layer, tokens: float, machine: Machine, level: str
) -> tuple[tuple[float, float], tuple[float, float]]:
    """(forward, backward): the time of a layer at a level relative to DEFAULT, (all but attention, attention), by the
    models of executed kernels at the layer's tiles.

    With it that of experts, whose weights pass at the pace of the busiest row, relative to experts that no row waits
    for.
    """
    if level == DEFAULT and work.model.experts < 2:
        return (1.0, 1.0), (1.0, 1.0)
    own = wafer.terms(work, layer, tokens, machine, level)
    other = wafer.terms(work, layer, tokens, machine, DEFAULT, routed=False)
    forward, backward = (
        tuple(a / b if b else 1.0 for a, b in zip(mine[:2], theirs[:2], strict=True))
        for mine, theirs in zip(own, other, strict=True)
    )
    return (forward[0], forward[1]), (backward[0], backward[1])


def floor(work: Workload, tokens: float, machine: Machine, level: str) -> float:
    """Seconds that the products with weights of a pass take at least, at the rates of `bound`."""
    forward, backward = bound(level, machine)
    sparse = work.density, (1 + work.density) / 2
    a_weight = sparse[0] / forward + sparse[1] * 2 / backward  # cycles of a PE for a token
    return tokens * work.matmul * a_weight / (machine.usable_pes * machine.peak_clock_hz)
