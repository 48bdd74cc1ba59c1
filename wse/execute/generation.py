"""A decoder of the Llama family on the emulated wafer: weights resident in SRAM, one token after another.

The regions are stacked in a strip of columns, from north to south:

    tied head        vocabulary (embedding and head)    layer 0    layer 1    ...
    untied head      embedding                          layer 0    layer 1    ...    head

Everything between the ids of a step and its logits is executed on the fabric, in one program: the embedding of an id
leaves its region to the south, passes layer after layer, and after the last one the result travels to the head.  The
host writes the ids, starts a step and reads the greatest logit's entry (found by the fabric) or, to sample, the logits.
Tokens of a prompt follow each other through the layers, which then work at the same time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ..errors import ConfigError, MemoryOverflow
from ..fabric.fabric import Fabric
from ..machine import numerics
from ..machine.parameters import Machine
from ..models.config import Transformer
from ..models.weights import Weights
from ..operators import decoder, vocabulary
from ..operators.decoder import LayerShape
from ..operators.strip import STATE, Part
from ..operators.vocabulary import VocabularyShape
from ..program.program import Program
from ..records import dataclass

FORMATS = ("f16", "bf16")
WEIGHTS_PER_PE = 8192  # of a layer's region of the default size: 16 KiB
TABLE_PER_PE = 18_500  # entries of the vocabulary's table, of which a PE holds as many as its memory


@dataclass(frozen=True)
class Layout:
    """Where a model lies: columns, rows of a key-value head, rows of the vocabulary, positions of the cache."""

    layer: LayerShape
    table: VocabularyShape
    layers: int
    tied: bool

    @property
    def width(self) -> int:
        """Columns of the strip."""
        return self.layer.width

    @property
    def height(self) -> int:
        """Rows of the strip."""
        return self.layers * self.layer.height + self.table.rows * (1 if self.tied else 2)

    def top(self, layer: int) -> int:
        """First row of a layer."""
        return self.table.rows + layer * self.layer.height

    @property
    def head_top(self) -> int:
        """First row of the head."""
        return 0 if self.tied else self.top(self.layers)

    @property
    def pes(self) -> int:
        """PEs of the strip."""
        return self.width * self.height

    @property
    def cache_bytes(self) -> int:
        """Bytes of cached keys and values of one position, in all layers."""
        return self.layers * 2 * self.layer.kv_heads * self.layer.d_head * 2


def layout(config: Transformer, context: int, width: int = 0, group: int = 0, machine: Machine | None = None) -> Layout:
    """The layout of a model for so many tokens of context.

    width: columns; group: rows of a key-value head, a divisor of half a head's features; 0: chosen, so that a PE holds
    at most `WEIGHTS_PER_PE` weights of a layer.  ConfigError if the strip exceeds the wafer, or no layout is found.
    """
    machine = machine or Machine("wse3")
    if not 1 <= context <= config.sequence:
        raise ConfigError(f"{config.name} has a context of 1 to {config.sequence:,} tokens, not {context:,}")
    half = config.d_head // 2
    groups = [group] if group else [g for g in range(1, half + 1) if half % g == 0 and g * config.kv_heads > 1]
    found: list[tuple[float, LayerShape]] = []
    for rows in groups:
        for columns in [width] if width else range(2, min(config.d_model, machine.fabric_width) + 1):
            if not width and config.d_model % columns:
                continue
            shape = _layer(config, context, columns, rows)
            if (width and group) or shape.weights <= WEIGHTS_PER_PE:
                uneven = max(columns, shape.height) / min(columns, shape.height)
                found.append((columns * shape.height * max(1.0, uneven / 2), shape))
    if not found:
        raise ConfigError(
            f"no region of {width or 'any'} columns and {group or 'any'} rows of a key-value head holds a layer of "
            f"{config.name} with at most {WEIGHTS_PER_PE:,} weights a PE: give both --columns and --rows"
        )
    layer = min(found, key=lambda f: f[0])[1]
    rows = max(2, -(-config.vocab * layer.kx // TABLE_PER_PE))
    even = next((r for r in range(rows, rows + rows // 4 + 1) if config.vocab % (2 * r) == 0), rows)
    table = VocabularyShape(config.d_model, config.vocab, layer.width, even, config.norm_eps)
    made = Layout(layer, table, config.layers, config.tied)
    if made.width > machine.fabric_width or made.height > machine.fabric_height:
        raise ConfigError(
            f"{config.name} takes {made.width} x {made.height} PEs; the wafer has {machine.fabric_width} x "
            f"{machine.fabric_height}: use more columns and fewer rows a key-value head"
        )
    return made


def _layer(config: Transformer, context: int, width: int, group: int) -> LayerShape:
    return LayerShape(
        d_model=config.d_model,
        heads=config.heads,
        kv_heads=config.kv_heads,
        d_head=config.d_head,
        d_ff=config.d_ff,
        eps=config.norm_eps,
        theta=config.rope_theta,
        width=width,
        group=group,
        slots=-(-context // width),
    )


class Decoder:
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
        self.used = 0  # positions of the cache

    def step(self, ids: Sequence[int]) -> int:
        """Process tokens, one after the other, and return the cycles until the logits of the last are complete.

        ConfigError if the cache is full, for an unknown id, and for no id.
        """
        ids = list(ids)
        vocab, s = self.layout.table.vocab, self.layout.layer
        if not ids:
            raise ConfigError("a step takes at least one token")
        if wrong := [i for i in ids if not 0 <= i < vocab]:
            raise ConfigError(f"an id is 0 to {vocab - 1}, not {wrong[0]}")
        if self.used + len(ids) > s.context:
            raise ConfigError(
                f"{self.used} tokens are cached and {len(ids)} more come, but there is room for {s.context}: use a "
                "larger --context"
            )
        start = self.fabric.cycle
        for first in range(0, len(ids), vocabulary.IDS):
            part = ids[first : first + vocabulary.IDS]
            self._launch(part, last=first + vocabulary.IDS >= len(ids))
        cycles = self.fabric.last_activity - start
        self._check()
        return cycles

    def _check(self) -> None:
        """ConfigError if a query or key has exceeded the format: a softmax would hide it, as infinite scores."""
        top, rows = self.layout.top(0), self.layout.layers * self.layout.layer.height
        peaks = numerics.from_bits(self.fabric.read("peak", 0, top, 1, rows), self.storage)
        if not np.isfinite(peaks).all():
            layer = int(np.argmin(np.isfinite(peaks).reshape(self.layout.layers, -1).all(axis=1)))
            raise ConfigError(f"a query or key of layer {layer} exceeded the range of {self.storage}{self._advice}")

    @property
    def _advice(self) -> str:
        return "; use --dtype bf16" if self.storage == "f16" else ""

    def _launch(self, ids: list[int], last: bool) -> None:
        layout, s, fabric = self.layout, self.layout.layer, self.fabric
        slot, turn = divmod(self.used, s.width)
        state = dict.fromkeys(STATE, 0) | {"count": len(ids), "slot": slot, "turn": turn, "position": self.used}
        top, bottom = layout.top(0), layout.top(layout.layers - 1)
        fabric.fill("state", list(state.values()), 0, top, layout.width, bottom - top + s.height)
        state["silent"] = len(ids) - 1 if last else len(ids)
        fabric.fill("state", list(state.values()), 0, bottom, layout.width, s.height)
        rows = np.zeros((layout.table.rows, layout.width, len(STATE)), np.uint32)
        rows[:, :, STATE.index("row")] = np.arange(layout.table.rows)[:, None]
        rows[:, :, STATE.index("silent")] = last
        fabric.write("state", rows, 0, layout.head_top)
        rows[:, :, STATE.index("count")] = len(ids)
        fabric.write("state", rows, 0, 0)
        fabric.fill("ids", ids + [0] * (vocabulary.IDS - len(ids)), 0, 0, layout.width, layout.table.rows)
        fabric.launch("step", 0, 0, layout.width, layout.height)
        fabric.run()
        self.used += len(ids)

    @property
    def greatest(self) -> int:
        """The entry of the greatest logit after the last step, the first of equal ones, as the fabric found it.

        ConfigError if the logits are no finite numbers.
        """
        layout = self.layout
        best = self.fabric.read("best", layout.width - 1, layout.head_top + layout.table.rows - 1, 1, 1)[0, 0]
        value = best[:1].view(np.float32)[0]
        if not np.isfinite(value):
            raise ConfigError(
                f"the greatest logit is {value}: a value exceeded the range of {self.storage}{self._advice}"
            )
        return int(best[1])

    def logits(self) -> np.ndarray:
        """The logits of the last step's last token, read out of the last column: float32 [vocab]."""
        layout = self.layout
        rows = self.fabric.read("logits", layout.width - 1, layout.head_top, 1, layout.table.rows)
        return rows.reshape(-1)[: layout.table.vocab].copy()

    def reset(self) -> None:
        """Forget all tokens; cached keys and values are overwritten by those that follow."""
        self.used = 0
        layout = self.layout
        self.fabric.fill("peak", [0], 0, layout.top(0), layout.width, layout.layers * layout.layer.height)

    def phases(self) -> dict[str, int]:
        """Cycles of the last token by what the regions did, the sum over the layers, then the head.

        Taken from timestamps of the last PE of each region; waits for a region before are left out.
        """
        layout, s, x = self.layout, self.layout.layer, self.layout.width - 1
        read = self.fabric.read
        stamps = [read("stamps", x, layout.top(i) + s.height - 1, 1, 1)[0, 0] for i in range(layout.layers)]
        head = read("stamps", x, layout.head_top + layout.table.rows - 1, 1, 1)[0, 0]
        spent = np.diff(np.array(stamps, np.uint32), axis=1).astype(np.int64).sum(axis=0)
        result = dict(zip(decoder.PHASES, spent.tolist(), strict=True))
        result |= dict(zip(vocabulary.PHASES, np.diff(head).astype(np.int64).tolist(), strict=True))
        return {name: cycles for name, cycles in result.items() if not name.startswith("wait")}


def program(layout: Layout, storage: str, machine: Machine) -> Program:
    """The program of a layout: classes of PEs, code and routes of all regions."""
    p = Program(layout.width, layout.height, machine, fp16=storage)
    s, t, n = layout.layer, layout.table, layout.layers
    ways = [(f"x{i % 2}", f"x{(i + 1) % 2}") for i in range(n)]
    if layout.tied:
        ways[-1] = (ways[-1][0], "result")
    between = Part(p, "layer", s.height, [layout.top(i) for i in range(n)], s.group, ways)
    decoder.build(between, s)
    between.finish()
    if layout.tied:
        both = Part(p, "vocabulary", t.rows, [0], t.rows, [("result", "x0")])
        vocabulary.build(both, t, embeds=True, head=True)
        both.finish()
    else:
        for name, top, way in (("embedding", 0, ("", "x0")), ("head", layout.head_top, (ways[-1][1], ""))):
            one = Part(p, name, t.rows, [top], t.rows, [way])
            vocabulary.build(one, t, embeds=name == "embedding", head=name == "head")
            one.finish()
    _routes(p, layout, ways)
    return p


def _routes(p: Program, layout: Layout, ways: list[tuple[str, str]]) -> None:
    """The ways of the vectors between regions."""
    s = layout.layer
    receivers = [(layout.top(i), s.height, ways[i][0]) for i in range(layout.layers)]
    if not layout.tied:
        receivers.append((layout.head_top, layout.table.rows, ways[-1][1]))
    for top, height, name in receivers:
        p.route(name, "R", "S", y=top - 1)
        p.route(name, "N", "RS", y=slice(top, top + height - 1))
        p.route(name, "N", "R", y=top + height - 1)
    if layout.tied:
        last = layout.height - 1
        p.route("result", "R", "N", y=last)
        p.route("result", "S", "N", y=slice(layout.table.rows, last))
        p.route("result", "S", "NR", y=slice(1, layout.table.rows))
        p.route("result", "S", "R", y=0)


# --- weights ----------------------------------------------------------------------------------------------------------


def bits(values: np.ndarray, storage: str, what: str) -> np.ndarray:
    """Patterns of the nearest 16-bit floats: uint16 of the shape of float32 `values`.

    ConfigError if a value exceeds the format's range.
    """
    if storage == "f16":
        with np.errstate(over="ignore"):
            made = values.astype(np.float16)
        if not np.isfinite(made).all():
            raise ConfigError(f"{what} has a weight of {np.abs(values).max():.4g}, beyond the range of f16: use bf16")
        return made.view(np.uint16)
    words = np.ascontiguousarray(values, np.float32).view(np.uint32)
    return ((words + (0x7FFF + (words >> 16 & 1))) >> 16).astype(np.uint16)


def rounded(values: np.ndarray, storage: str) -> np.ndarray:
    """Values rounded to the format, as float32."""
    return numerics.from_bits(bits(values, storage, "a weight"), storage)


def tiles(weights: Weights, layout: Layout, storage: str) -> Iterator[tuple[str, np.ndarray, int]]:
    """Arrays of the PEs: (name, values [rows, columns, *shape], first row)."""
    s, w = layout.layer, layout.width
    coarse, fine = decoder.angles(s)
    for i, layer in enumerate(weights.layers):
        top = layout.top(i)
        for name, values in layer_tiles(layer, s, storage, f"layer {i}"):
            yield name, values, top
        for name, table in (("coarse", coarse), ("fine", fine)):
            rows = np.tile(table, (s.kv_heads, 1, 1, 1))
            yield name, np.repeat(rows[:, None], w, axis=1), top
    head = weights.embedding if weights.head is None else weights.head
    for top, table in {0: weights.embedding, layout.head_top: head}.items():
        yield "table", _table(table, layout.table, storage), top
    gains = _columns(weights.gains[None], w, s.kx)[0]
    yield "gains", np.repeat(gains[None], layout.table.rows, axis=0), layout.head_top


def _table(table: np.ndarray, t: VocabularyShape, storage: str) -> np.ndarray:
    """[rows, columns, kx, entries]; entries beyond the vocabulary repeat the first."""
    beyond = t.rows * t.entries - t.vocab
    full = np.concatenate([table, np.repeat(table[:1], beyond, axis=0)])
    made = _columns(bits(full, storage, "the embedding"), t.width, t.kx)  # [all entries, columns, kx]
    return np.ascontiguousarray(made.reshape(t.rows, t.entries, t.width, t.kx).transpose(0, 2, 3, 1))


def _columns(values: np.ndarray, width: int, kx: int) -> np.ndarray:
    """[n, width, kx] of [n, features], padded with zeros."""
    padded = np.zeros((len(values), width * kx), values.dtype)
    padded[:, : values.shape[1]] = values
    return padded.reshape(len(values), width, kx)


def layer_tiles(layer, s: LayerShape, storage: str, what: str) -> Iterator[tuple[str, np.ndarray]]:
    """A layer's arrays: (name, values [rows, columns, *shape])."""
    made = {name: bits(values, storage, f"{what}: {name}") for name, values in layer.items() if values.ndim == 2}
    stacked = np.concatenate([made["q"], made["k"], made["v"]])
    order = np.stack([decoder.qkv_order(s, row) for row in range(s.height)])
    yield "w_qkv", _outward(stacked[order], s)
    attended = np.stack([decoder.row_features(s, row)[0].ravel() for row in range(s.height)])
    yield "w_o", _inward(made["o"], attended, s)
    rows = np.arange(s.height * s.ny).reshape(s.height, s.ny)
    beyond = s.height * s.ny - s.d_ff
    gate, up = (np.pad(made[name], ((0, beyond), (0, 0))) for name in ("gate", "up"))
    yield "w_up", _outward(np.concatenate([gate[rows], up[rows]], axis=1), s)
    yield "w_down", _inward(np.pad(made["down"], ((0, 0), (0, beyond))), rows, s)
    for gains in ("gains1", "gains2"):
        values = _columns(layer[gains][None], s.width, s.kx)[0]
        yield gains, np.repeat(values[None], s.height, axis=0)


def _outward(matrix: np.ndarray, s: LayerShape) -> np.ndarray:
    """[rows, columns, kx, outputs] of [rows, outputs, d_model]: inputs along the columns."""
    outputs = matrix.shape[1]
    split = _columns(matrix.reshape(-1, matrix.shape[2]), s.width, s.kx)
    return np.ascontiguousarray(split.reshape(s.height, outputs, s.width, s.kx).transpose(0, 2, 3, 1))


def _inward(matrix: np.ndarray, inputs: np.ndarray, s: LayerShape) -> np.ndarray:
    """[rows, columns, inputs, kx] of [d_model, features], features of a row: inputs [rows, n]."""
    split = _columns(matrix.T, s.width, s.kx)  # [features, columns, kx]
    return np.ascontiguousarray(split[inputs].transpose(0, 2, 1, 3))
