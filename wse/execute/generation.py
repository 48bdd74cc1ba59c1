"""Models on the emulated wafer with weights resident in SRAM: decoders, one token after another.

Everything between the ids of a step and its logits is executed on the fabric, in one program (strip_layout.py): the
embedding of an id leaves its region to the south, passes layer after layer, and after the last one the result travels
to the head.  The host writes the ids, starts a step and reads the greatest logit's entry (found by the fabric) or, to
sample, the logits.  Tokens of a prompt, and of several sequences, follow each other through the layers, which then work
at the same time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np

from ..errors import ConfigError, MemoryOverflow
from ..fabric.fabric import Fabric
from ..machine import numerics
from ..machine.parameters import Machine
from ..models.weights import Weights
from ..operators import decoder, vocabulary
from ..operators.layer_shape import RUN
from ..operators.strip import STATE
from .strip_layout import Layout, program
from .strip_weights import tiles

FORMATS = ("f16", "bf16")


class Run(NamedTuple):
    """Tokens of one sequence in a step.  position: of the first.  silent: tokens whose results go nowhere."""

    sequence: int
    ids: list[int]
    position: int
    silent: int


class Strip:
    """A model that is loaded into a fabric.

    storage: "f16" or "bf16", of weights and of what enters a product.  threads: of the host.
    ConfigError if the model does not fit, or a weight exceeds the range of the format.
    """

    def __init__(
        self, weights: Weights, layout: Layout, storage: str = "f16", machine: Machine | None = None, threads: int = 1
    ) -> None:
        if storage not in FORMATS:
            raise ConfigError(f"weights are stored as {' or '.join(FORMATS)}, not {storage!r}")
        self.layout, self.storage = layout, storage
        self.program = program(layout, storage, machine or Machine("wse3"))
        try:
            self.fabric = Fabric(self.program, threads=threads)
        except MemoryOverflow as error:
            raise ConfigError(
                f"{weights.config.name} with {layout.layer.context:,} tokens of context does not fit into its PEs: "
                f"use a smaller --context or more PEs (--columns, --rows).  {error}"
            ) from None
        for name, values, y in tiles(weights, layout, storage):
            self.fabric.write(name, values, x=0, y=y)

    def _check_ids(self, ids: Iterable[int]) -> None:
        vocab = self.layout.table.vocab
        if wrong := [i for i in ids if not 0 <= i < vocab]:
            raise ConfigError(f"an id is 0 to {vocab - 1}, not {wrong[0]}")

    def _fill(self, name: str, values: list[int], top: int, rows: int) -> None:
        self.fabric.fill(name, values, 0, top, self.layout.width, rows)

    def _fill_layers(self, name: str, values: list[int], layers: range) -> None:
        """Fill an array of consecutive layers, whose kinds have it at addresses of their own."""
        layout = self.layout
        for _, same in groupby(layers, layout.shape):
            own = list(same)
            self._fill(name, values, layout.top(own[0]), len(own) * layout.layer.height)

    def _start(self, runs: Sequence[Run], answered: int = 0) -> None:
        """Execute runs, all tokens of which fit into a step.  answered: vectors that the head has taken before."""
        layout, fabric, final = self.layout, self.fabric, self.layout.layers - 1
        most = layout.pooling.sentences if layout.pooling is not None else layout.layer.sequences
        records = [self._record(run) for run in runs]
        padding = [0] * (len(RUN) * (most - len(runs)))
        state = dict.fromkeys(STATE, 0) | {"runs": len(runs)}
        self._fill_layers("state", list(state.values()), range(layout.layers))
        if layout.pooling is not None:
            self._fill("state", list(state.values()), layout.end_top, layout.end_height)
        last = [value for record in records for value in record.values()] + padding
        others = [value for record in records for value in (record | {"silent": 0}).values()] + padding
        self._fill_layers("runs", others, range(final))
        self._fill_layers("runs", last, range(final, final + 1))
        ids = [i for run in runs for i in run.ids]
        wanted = {"silent": sum(len(run.ids) - run.silent for run in runs), "position": answered}
        if layout.pooling is None and not layout.tied:
            self._tell(layout.head_top, wanted)
        self._tell(0, {"count": len(ids)} | (wanted if layout.tied else {}))
        unused = [0] * (layout.table.ids - len(ids))
        self._fill("ids", ids + unused, 0, layout.table.rows)
        if layout.table.positions:
            places = [run.position + k for run in runs for k in range(len(run.ids))]
            self._fill("ids_of_positions", places + unused, 0, layout.table.rows)
        fabric.launch("step", 0, 0, layout.width, layout.height)
        fabric.run()

    def _tell(self, top: int, state: Mapping[str, int]) -> None:
        """Write the state of a region of the vocabulary."""
        t = self.layout.table
        rows = np.zeros((t.rows, t.width, len(STATE)), np.uint32)
        rows[:, :, STATE.index("row")] = np.arange(t.rows)[:, None]
        for name, value in state.items():
            rows[:, :, STATE.index(name)] = value
        self.fabric.write("state", rows, 0, top)

    def _record(self, run: Run) -> dict[str, int]:
        s = self.layout.layer
        slot, turn = divmod(run.position, s.width)
        last_slot, last_turn = divmod(run.position + len(run.ids) - 1, s.width)
        base = run.sequence * s.dr * s.slots * 2
        made = (len(run.ids), run.silent, slot, turn, run.position, base, last_slot, last_turn)
        return dict(zip(RUN, made, strict=True))

    def _check(self) -> None:
        """ConfigError if a query or key has exceeded the format: a softmax would hide it, as infinite scores."""
        layout = self.layout
        finite: list[bool] = []
        for _, same in groupby(range(layout.layers), layout.shape):
            own = list(same)
            peaks = self.fabric.read("peak", 0, layout.top(own[0]), 1, len(own) * layout.layer.height)
            finite += [
                bool(np.isfinite(part).all()) for part in np.split(numerics.from_bits(peaks, self.storage), len(own))
            ]
        if not all(finite):
            layer = finite.index(False)
            raise ConfigError(f"a query or key of layer {layer} exceeded the range of {self.storage}{self._advice}")

    def forget(self) -> None:
        """Forget the greatest size of queries and keys."""
        self._fill_layers("peak", [0], range(self.layout.layers))

    @property
    def _advice(self) -> str:
        return "; use --dtype bf16" if self.storage == "f16" else ""

    def _stamps(self) -> np.ndarray:
        """The timestamps of the last PE of each layer: uint32 [layers, stamps]."""
        layout, x = self.layout, self.layout.width - 1
        height = layout.layer.height
        return np.array(
            [self.fabric.read("stamps", x, layout.top(i) + height - 1, 1, 1)[0, 0] for i in range(layout.layers)],
            np.uint32,
        )


class Decoder(Strip):
    """A decoder that is loaded into a fabric.  Arguments as of Strip."""

    def __init__(
        self, weights: Weights, layout: Layout, storage: str = "f16", machine: Machine | None = None, threads: int = 1
    ) -> None:
        super().__init__(weights, layout, storage, machine, threads)
        self.used = [0] * layout.layer.sequences  # positions of the cache
        self._answers: list[int] = []  # the sequences of the last step, in the order of the head's results

    def step(self, ids: Sequence[int] | Mapping[int, Sequence[int]]) -> int:
        """Process tokens, one after the other, and return the cycles until the logits of the last are complete.

        ids: of sequence 0, or by the number of the sequence; tokens of several sequences are in flight together.
        ConfigError if the cache is full, for an unknown id, and for no id.
        """
        wanted = {k: list(v) for k, v in (ids if isinstance(ids, Mapping) else {0: ids}).items()}
        s = self.layout.layer
        if not wanted or not all(wanted.values()):
            raise ConfigError("a step takes at least one token")
        for sequence, of in wanted.items():
            if not 0 <= sequence < s.sequences:
                raise ConfigError(f"a sequence is 0 to {s.sequences - 1}, not {sequence}")
            self._check_ids(of)
            if self.used[sequence] + len(of) > s.context:
                raise ConfigError(
                    f"{self.used[sequence]} tokens are cached and {len(of)} more come, but there is room for "
                    f"{s.context}: use a larger --context"
                )
        start, self._answers = self.fabric.cycle, []
        part: list[Run] = []
        for sequence, of in wanted.items():
            first = 0
            while first < len(of):
                free = self.layout.table.ids - sum(len(run.ids) for run in part)
                taken = of[first : first + free]
                first += len(taken)
                silent = len(taken) - (1 if first == len(of) else 0)
                part.append(Run(sequence, taken, self.used[sequence], silent))
                self.used[sequence] += len(taken)
                if len(taken) == free:
                    self._launch(part)
                    part = []
        if part:
            self._launch(part)
        cycles = self.fabric.last_activity - start
        self._check()
        return cycles

    def _launch(self, runs: list[Run]) -> None:
        self._start(runs, len(self._answers))
        self._answers += [run.sequence for run in runs if run.silent < len(run.ids)]

    @property
    def greatest(self) -> int:
        """The entry of the greatest logit of sequence 0: see `best`."""
        return self.best(0)

    def best(self, sequence: int) -> int:
        """The entry of a sequence's greatest logit after the last step, the first of equal ones, found by the fabric.

        ConfigError if the logits are no finite numbers.
        """
        layout = self.layout
        place = (layout.width - 1, layout.head_top + layout.table.rows - 1, 1, 1)
        if layout.table.answers > 1:
            best = self.fabric.read("all_best", *place)[0, 0][self._answers.index(sequence)]
        else:
            best = self.fabric.read("best", *place)[0, 0]
        value = best[:1].view(np.float32)[0]
        if not np.isfinite(value):
            raise ConfigError(
                f"the greatest logit is {value}: a value exceeded the range of {self.storage}{self._advice}"
            )
        return int(best[1])

    def logits(self, sequence: int = 0) -> np.ndarray:
        """The logits of a sequence's last token in the last step, read out of the last column: float32 [vocab]."""
        layout = self.layout
        place = (layout.width - 1, layout.head_top, 1, layout.table.rows)
        if layout.table.answers > 1:
            if not layout.table.keeps:
                raise ConfigError("the layout keeps the greatest logits of several sequences only: make it with keeps")
            rows = self.fabric.read("all_logits", *place)[:, 0, self._answers.index(sequence)]
        else:
            rows = self.fabric.read("logits", *place)
        return rows.reshape(-1)[: layout.table.vocab].copy()

    def reset(self) -> None:
        """Forget all tokens; cached keys and values are overwritten by those that follow."""
        self.used = [0] * len(self.used)
        self.forget()

    def phases(self) -> dict[str, int]:
        """Cycles of the last token by what the regions did, the sum over the layers, then the head.

        Taken from timestamps of the last PE of each region; waits for a region before are left out.
        """
        layout, x = self.layout, self.layout.width - 1
        head = self.fabric.read("stamps", x, layout.head_top + layout.table.rows - 1, 1, 1)[0, 0]
        stamps = self._stamps()
        result: dict[str, int] = {}
        for shape, numbers in layout.kinds():
            spent = np.diff(stamps[numbers], axis=1).astype(np.int64).sum(axis=0)
            for name, cycles in zip(decoder.phases(shape.kind), spent.tolist(), strict=True):
                result[name] = result.get(name, 0) + cycles
        result |= dict(zip(vocabulary.PHASES, np.diff(head).astype(np.int64).tolist(), strict=True))
        return {name: cycles for name, cycles in result.items() if not name.startswith("wait")}
