"""What a kernel of the vendor's compiler costs: calibrated on its published compile report, and said to be.

The report gives PEs and a common rate for the kernels of one model.  Six constants are made from eight classes: what
products with weights reach (attention's, the MLP's and the head's share it), what products of activations reach, and
cycles per element of activation functions, norms, additions and the loss.  Positions follow from memory alone.  So
fully connected layers, the head and positions are predictions to some degree; the element-wise classes are not.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ..machine.parameters import Machine
from ..models import graph, load
from ..plan.region import Region, regions

TABLE = Path(__file__).with_name("gpt2_small_wse2.csv")
MODEL = "gpt2"
SAMPLES_PER_SECOND = 860.3
USABLE_PES = 307_840
# How the usable PEs lie is not in the report; these sides give their number exactly.
GRID = (592, 520)
ELEMENTWISE = ("gelu", "norm", "add", "loss")
# What the size of a class follows from; "own" constants reproduce their class and predict nothing.
ORIGIN = {
    "attention": "flops: projections at the shared rate, scores at their own (calibrated)",
    "fc": "flops, at one rate with head (calibrated on both)",
    "head": "flops, at one rate with fc (calibrated on both)",
    "positions": "memory: 18 bytes a weight",
} | dict.fromkeys(ELEMENTWISE, "elements, at their own rate (calibrated)")


@cache
def published() -> dict[str, tuple[int, int]]:
    """kernel: (number of kernels, PEs of all) as published."""
    lines = [line for line in TABLE.read_text().splitlines() if not line.startswith("#")]
    return {row["kernel"]: (int(row["number"]), int(row["pes"])) for row in csv.DictReader(lines)}


@dataclass(frozen=True)
class Compiler:
    """Constants of the compiler's kernels.  matmul, scores: flops per PE and cycle.  element: PE-cycles per element and
    token, forward and backward, by kernel."""

    matmul: float
    scores: float
    element: dict[str, float]

    def pe_cycles(self, region: Region, sequence: int) -> float:
        """PE-cycles per token, forward and backward."""
        work = region.matmul_flops() / self.matmul + region.score_flops(sequence) / self.scores
        return work + self.element.get(region.kernel, 0.0) * region.elements()


@cache
def calibrated() -> Compiler:
    """The constants that the published table gives."""
    model = load(MODEL)
    per_token = Machine("wse2").clock_hz / (SAMPLES_PER_SECOND * model.sequence)  # cycles between tokens
    work = {kernel: pes * per_token for kernel, (_, pes) in published().items()}
    made = regions(graph(model))
    flops = {kernel: sum(r.matmul_flops() for r in made if r.kernel == kernel) for kernel in work}
    elements = {kernel: sum(r.elements() for r in made if r.kernel == kernel) for kernel in ELEMENTWISE}
    matmul = (flops["fc"] + flops["head"]) / (work["fc"] + work["head"])
    scores = sum(r.score_flops(model.sequence) for r in made) / (work["attention"] - flops["attention"] / matmul)
    return Compiler(matmul, scores, {kernel: work[kernel] / elements[kernel] for kernel in ELEMENTWISE})
