"""Costs of kernels of the vendor's compiler, calibrated on its published compile report of GPT-2 small.

The report gives the PEs of each of eight classes of kernels, and their common rate.  Six constants follow from it: the
rate of products with weights (attention projections, MLP and head have the same), the rate of products of activations,
and the cycles per element of activation functions, norms, additions and the loss.  The PEs of position embeddings
follow from their memory.  Fully connected layers, the head and positions are therefore partly predictions.  The
element-wise classes are not: each has a constant of its own.
"""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path

from ..machine.parameters import Machine
from ..models import graph, load
from ..plan.region import Region, regions
from ..records import dataclass

TABLE = Path(__file__).with_name("gpt2_small_wse2.csv")
MODEL = "gpt2"
SAMPLES_PER_SECOND = 860.3
USABLE_PES = 307_840
# The report does not give the shape of the usable PEs.  These sides give their number exactly.
GRID = (592, 520)
_ELEMENTWISE = ("gelu", "norm", "add", "loss")
# The origin of the PEs of each class.  A class with a constant of its own is reproduced, not predicted.
ORIGIN = {
    "attention": "flops: projections at the shared rate, scores at their own (calibrated)",
    "fc": "flops, at one rate with head (calibrated on both)",
    "head": "flops, at one rate with fc (calibrated on both)",
    "positions": "memory: 18 bytes a weight",
} | dict.fromkeys(_ELEMENTWISE, "elements, at their own rate (calibrated)")


@cache
def published() -> dict[str, tuple[int, int]]:
    """The published report: (number of kernels, PEs of all of them) by class."""
    lines = [line for line in TABLE.read_text().splitlines() if not line.startswith("#")]
    return {row["kernel"]: (int(row["number"]), int(row["pes"])) for row in csv.DictReader(lines)}


@dataclass(frozen=True)
class Compiler:
    """Constants of the compiler's kernels.

    matmul, scores: flop/cycle of a PE in products with weights, and of activations.  element: PE-cycles per element and
    token by class, forward and backward pass added.
    """

    matmul: float
    scores: float
    element: dict[str, float]

    def pe_cycles(self, region: Region, sequence: int) -> float:
        """PE-cycles per token, forward and backward pass added.  sequence: tokens of a sequence."""
        work = region.matmul_flops() / self.matmul + region.score_flops(sequence) / self.scores
        return work + self.element.get(region.kernel, 0.0) * region.elements()


@cache
def calibrated() -> Compiler:
    """The constants that follow from the published report."""
    model = load(MODEL)
    per_token = Machine("wse2").clock_hz / (SAMPLES_PER_SECOND * model.sequence)  # cycles between tokens
    work = {kernel: pes * per_token for kernel, (_, pes) in published().items()}
    made = regions(graph(model))
    flops = {kernel: sum(r.matmul_flops() for r in made if r.kernel == kernel) for kernel in work}
    elements = {kernel: sum(r.elements() for r in made if r.kernel == kernel) for kernel in _ELEMENTWISE}
    matmul = (flops["fc"] + flops["head"]) / (work["fc"] + work["head"])
    scores = sum(r.score_flops(model.sequence) for r in made) / (work["attention"] - flops["attention"] / matmul)
    return Compiler(matmul, scores, {kernel: work[kernel] / elements[kernel] for kernel in _ELEMENTWISE})
