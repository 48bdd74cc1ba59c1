"""Where a model with resident weights lies: regions stacked in a strip of columns, north to south, and its program.

decoder, tied head       vocabulary (embedding and head)    layer 0    layer 1    ...
decoder, untied head     embedding                          layer 0    layer 1    ...    head
encoder                  embedding                          layer 0    layer 1    ...    pooling
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..errors import ConfigError, MemoryOverflow
from ..machine.parameters import Machine
from ..models.config import Transformer
from ..models.rope import TRAINED
from ..models.scales import scale_of_embedding, scale_of_scores, setting
from ..operators import decoder, pooling, vocabulary
from ..operators.layer_shape import Kind, Latent, LayerShape
from ..operators.pooling import PoolingShape
from ..operators.strip import Part
from ..operators.vocabulary import VocabularyShape
from ..program.program import Program
from ..records import dataclass

WEIGHTS_PER_PE = 8192  # of a layer's region of the default size: 16 KiB
BYTES_PER_PE = 40_000  # of a layer's weights, cache and work space, in a region of the default size
TABLE_BYTES = 37_000  # of the vocabulary's table, of which a PE holds as many entries as its memory
HEAD_BYTES = 41_000  # of the table and a logit of each of its entries
CAP_BYTES = 3_000  # less, if logits are capped: work space and code
SENTENCES = 32  # of a step of an encoder at most
TOKENS = 256  # of a step of an encoder, if no sentence is longer


@dataclass(frozen=True)
class Layout:
    """Where a model lies.

    layer, table: sizes of the regions.  layers: number.  tied: one region is embedding and head.  pooling: of encoders.
    dense: of the layers with the numbers `without`, which have no experts, if `layer` has.
    """

    layer: LayerShape
    table: VocabularyShape
    layers: int
    tied: bool
    pooling: PoolingShape | None = None
    dense: LayerShape | None = None
    without: tuple[int, ...] = ()

    def shape(self, layer: int) -> LayerShape:
        """Sizes of a layer's region; width and height are those of all layers."""
        return self.dense if self.dense is not None and layer in self.without else self.layer

    def kinds(self) -> list[tuple[LayerShape, list[int]]]:
        """Shapes of regions, each with the numbers of its layers."""
        found: dict[LayerShape, list[int]] = {}
        for layer in range(self.layers):
            found.setdefault(self.shape(layer), []).append(layer)
        return list(found.items())

    @property
    def width(self) -> int:
        """Columns of the strip."""
        return self.layer.width

    @property
    def height(self) -> int:
        """Rows of the strip."""
        return self.end_top + self.end_height

    @property
    def end_height(self) -> int:
        """Rows of the region behind the layers: pooling, or a head that is not tied."""
        return pooling.HEIGHT if self.pooling is not None else 0 if self.tied else self.table.rows

    def top(self, layer: int) -> int:
        """First row of a layer."""
        return self.table.rows + layer * self.layer.height

    @property
    def end_top(self) -> int:
        """First row behind the layers."""
        return self.top(self.layers)

    @property
    def head_top(self) -> int:
        """First row of the head, or of pooling."""
        return 0 if self.tied else self.end_top

    def regions(self) -> list[tuple[str, int, int]]:
        """(name, first row, rows) of all regions."""
        first = "embedding, head" if self.tied else "embedding"
        made = [(first, 0, self.table.rows)]
        made += [(f"layer {i}", self.top(i), self.layer.height) for i in range(self.layers)]
        if self.end_height:
            made.append(("head" if self.pooling is None else "pooling", self.end_top, self.end_height))
        return made

    @property
    def pes(self) -> int:
        """PEs of the strip."""
        return self.width * self.height

    @property
    def cache_bytes(self) -> int:
        """Bytes of cached keys and values of one position, in all layers."""
        return self.layers * self.layer.cached * 2


def layout(
    config: Transformer,
    context: int,
    width: int = 0,
    group: int = 0,
    machine: Machine | None = None,
    sequences: int = 1,
    pool: str = "mean",
    unit: bool = True,
    keeps: bool = True,
) -> Layout:
    """The layout of a model for so many tokens of context.

    width: columns; group: rows of a key-value head, a divisor of half a head's features; 0: chosen, so that a PE holds
    at most `WEIGHTS_PER_PE` weights of a layer, or what its memory takes if no such layout fits.  sequences: that a
    decoder caches.  pool, unit: of an encoder.
    keeps: the logits of all sequences can be read, not only the greatest ones.
    ConfigError if the strip exceeds the wafer, or no layout is found.
    """
    machine = machine or Machine("wse3")
    if not 1 <= context <= config.sequence:
        raise ConfigError(f"{config.name} has a context of 1 to {config.sequence:,} tokens, not {context:,}")
    scaling = dict(config.rope_scaling)
    name, trained = scaling.get("rope_type", scaling.get("type")), scaling.get("original_max_position_embeddings")
    trained = int(trained or scaling.get(TRAINED, 0))
    if name in ("dynamic", "longrope", "su") and context > trained:
        raise ConfigError(
            f"{config.name} has RoPE scaled by {name}, which turns cached keys again in a longer sequence than in its "
            f"training: such a model is executed up to {trained:,} tokens, not {context:,}; use a smaller --context"
        )
    made: list[Layout] = []
    for even in (True, False):
        regions = _regions(config, context, width, group, machine, sequences, even)
        made += [
            replace(_made(config, layer, pool, unit, keeps), dense=dense, without=without_of(config))
            for layer, dense in regions
        ]
        for one in made:
            if one.width <= machine.fabric_width and one.height <= machine.fabric_height:
                return one
        if width and group:
            break
    raise ConfigError(_why_none(config, context, width, group, machine, sequences, made))


def without_of(config: Transformer) -> tuple[int, ...]:
    """Numbers of the layers without experts, of a model whose other layers have some."""
    several = config.experts > 1
    return tuple(i for i in range(config.layers) if not config.block(i).experts) if several else ()


def _regions(
    config: Transformer,
    context: int,
    width: int,
    group: int,
    machine: Machine,
    sequences: int,
    even: bool,
) -> list[tuple[LayerShape, LayerShape | None]]:
    """Regions that hold a layer, the smallest first, with that of layers without experts.

    even: only columns that divide d_model, and PEs with few weights; otherwise all that their memory takes.
    """
    kind, without = kind_of(config), without_of(config)
    kv_heads, d_head = _cached(config)
    half, d = d_head // 2, config.d_model
    groups = [group] if group else [g for g in range(1, half + 1) if half % g == 0 and g * kv_heads > 1]
    most = min(d, machine.fabric_width)
    all_columns = [c for c in range(2, most + 1) if d % c == 0 or (not even and c == -(-d // -(-d // c)))]
    found: list[tuple[float, LayerShape, LayerShape | None]] = []
    for rows in groups:
        smallest = 0  # columns that a layer fits into: so it does into more
        for columns in [width] if width else all_columns:
            shape = _layer(config, kind, context, columns, rows, sequences)
            dense = (
                _layer(config, without_experts(kind, config), context, columns, rows, sequences) if without else None
            )
            both = [shape, *([] if dense is None else [dense])]
            most_weights = WEIGHTS_PER_PE if even else BYTES_PER_PE // 2
            held = all(s.weights <= most_weights and _bytes(s) <= BYTES_PER_PE for s in both)
            if held and not even and not smallest:
                held = not any(_overflow(s, machine) for s in both)
                smallest = columns if held else 0
            if (width and group) or held:
                uneven = max(columns, shape.height) / min(columns, shape.height)
                found.append((columns * shape.height * max(1.0, uneven / 2), shape, dense))
    return [(layer, dense) for _, layer, dense in sorted(found, key=lambda f: f[0])]


def _overflow(s: LayerShape, machine: Machine) -> str:
    """By how much program and arrays of a layer exceed a PE, in words; "" if they fit.

    They are built for a few PEs, which are like the others.
    """
    p = Program(2, 2, machine)
    part = Part(p, "layer", 2, [0], min(2, s.group), [("", "")])
    decoder.build(part, s, s.sequences if s.kind.causal else SENTENCES)
    part.finish()
    try:
        p.image()
    except MemoryOverflow as error:
        return str(error).partition(":")[0].partition("needs ")[2]
    return ""


def wafers(made: Layout, machine: Machine) -> int | None:
    """Wafers that hold the regions of a layout, stacked in strips beside each other; None if one exceeds a wafer."""
    strips, free = 0, 0
    for _, _, rows in made.regions():
        if rows > machine.fabric_height or made.width > machine.fabric_width:
            return None
        if rows > free:
            strips, free = strips + 1, machine.fabric_height
        free -= rows
    return -(-strips // (machine.fabric_width // made.width))


def _why_none(
    config: Transformer, context: int, width: int, group: int, machine: Machine, sequences: int, made: list[Layout]
) -> str:
    """Why there is no layout.  made: layouts that exceed the wafer."""
    wafer = f"the wafer has {machine.fabric_width} x {machine.fabric_height}"
    if width and group:
        (one,) = made
        return (
            f"{config.name} takes {one.width} x {one.height} PEs; {wafer}: use more columns and fewer rows a key-value "
            "head"
        )
    numbers = {i: n for i, one in enumerate(made) if (n := wafers(one, machine)) is not None}
    if numbers:
        least = min(numbers, key=lambda i: numbers[i])
        one, n = made[least], numbers[least]
        takes = f"{n:,} wafers" if n > 1 else "one wafer, but in several strips beside each other"
        return (
            f"{config.name} takes {takes}: its {one.layers} layers take {one.width} x {one.layer.height} PEs each, and "
            f"{wafer}; one strip of regions below each other, on one wafer, is executed"
        )
    kv_heads, d_head = _cached(config)
    rows = (group or d_head // 2) * kv_heads
    layer = _layer(config, kind_of(config), context, width or machine.fabric_width, rows // kv_heads, sequences)
    by_memory = -(2 * layer.weights * layer.width * layer.height * config.layers) // (
        machine.fabric_width * machine.fabric_height * BYTES_PER_PE
    )
    return (
        f"no region holds a layer of {config.name}: in the largest, {layer.width} x {rows} PEs, a PE needs "
        f"{_overflow(layer, machine)}; by their weights the layers fill {-by_memory:,} "
        f"wafer{'s' * (by_memory < -1)}.  Use a smaller "
        "--context or fewer sequences, or give both --columns and --rows"
    )


def _made(config: Transformer, layer: LayerShape, pool: str, unit: bool, keeps: bool) -> Layout:
    causal = layer.kind.causal
    end = None if causal else PoolingShape(config.d_model, layer.width, SENTENCES, pool, unit)
    table = _table(config, layer, layer.sequences if causal else 0, keeps)
    return Layout(layer, table, config.layers, config.tied and causal, end)


def kind_of(config: Transformer) -> Kind:
    """What the layers of a model consist of."""
    activation, limit = config.activation, setting(config, "swiglu_limit", 0)
    grouped = choice(config) in ("group_limited_greedy", "noaux_tc") and setting(config, "n_group", 1) > 1
    if activation == "gelu" and not config.exact:
        activation = "gelu_tanh"
    return Kind(
        norm=config.norm,
        norm_at=config.norm_at,
        activation=activation,
        gated=config.gated,
        qkv_bias=bool(config.attention_bias),
        output_bias=bool(config.output_bias),
        mlp_bias=config.expert_bias if config.experts > 1 else config.bias,
        turns=config.positions == "rotary",
        qk_norm=config.qk_norm,
        windows=any(0 < window < config.sequence for window in config.windows),
        alibi=config.positions == "alibi",
        parallel=config.parallel,
        causal=config.causal,
        softcap=setting(config, "attn_logit_softcapping", 0),
        clip=setting(config, "attn_config.clip_qkv", 0),
        sinks=config.sinks,
        experts=config.experts,
        active=config.active_experts,
        shared=-(-config.d_shared // (config.d_expert or config.d_ff)) if config.experts > 1 else 0,
        scoring="sigmoid" if choice(config) == "noaux_tc" else "softmax",
        groups=int(setting(config, "n_group", 1)) if grouped else 1,
        active_groups=int(setting(config, "topk_group", 1)) if grouped else 1,
        factor=setting(config, "routed_scaling_factor", 1),
        gates_of_chosen=bool(setting(config, "norm_topk_prob", 0)),
        clamp=(setting(config, "swiglu_alpha", 1), limit) if limit else None,
        latent=Latent(config.q_rank, config.kv_rank, config.d_rope, config.d_head, config.d_value)
        if config.kv_rank
        else None,
    )


def choice(config: Transformer) -> str:
    """How a router chooses experts: "greedy", or as a setting of DeepSeek's models names it."""
    return str(dict(config.numerics).get("topk_method", "greedy"))


def without_experts(kind: Kind, config: Transformer) -> Kind:
    """The kind of the layers with a MLP in place of experts."""
    plain = {name: getattr(Kind(), name) for name in ROUTING}
    return replace(kind, mlp_bias=config.bias, **plain)


ROUTING = ("experts", "active", "shared", "scoring", "groups", "active_groups", "factor", "gates_of_chosen", "clamp")


def _cached(config: Transformer) -> tuple[int, int]:
    """Key-value heads that are cached, and features of each: of latent attention one of all that is cached."""
    return (1, config.kv_rank + config.d_rope) if config.kv_rank else (config.kv_heads, config.d_head)


def _layer(config: Transformer, kind: Kind, context: int, width: int, group: int, sequences: int) -> LayerShape:
    kv_heads, d_head = _cached(config)
    return LayerShape(
        d_model=config.d_model,
        heads=config.heads,
        kv_heads=kv_heads,
        d_head=d_head,
        d_ff=(config.d_expert or config.d_ff) if kind.experts > 1 else config.d_ff,
        eps=config.norm_eps,
        width=width,
        group=group,
        slots=-(-context // width),
        sequences=sequences,
        scale=scale_of_scores(config),
        kind=kind,
    )


def _bytes(s: LayerShape) -> int:
    """Bytes of what grows with the model and the context in a PE's memory."""
    cache = s.sequences * (2 if s.kind.latent is None else 1) * s.dr * s.slots * 2
    kept = 0 if s.kind.causal else s.context * (4 * s.kx + 2 * s.queries * s.dr)
    angles = 4 * s.coarse * s.dr if s.kind.turns else 0
    experts = s.kind.mlps if s.kind.experts > 1 else 0
    biases = 4 * experts * (s.hidden + s.kx) if s.kind.mlp_bias else 0
    routing = (18 + 12 * (s.kind.scoring == "sigmoid" or s.kind.groups > 1)) * s.routed if experts else 0
    queries = 20 * s.queries * s.dr + 12 * s.kq + 10 * s.kv if s.kind.latent is not None else 0
    return 2 * s.weights + cache + kept + angles + 12 * s.queries * s.slots + biases + routing + queries


def _table(config: Transformer, layer: LayerShape, answers: int, keeps: bool) -> VocabularyShape:
    positions = config.sequence if config.positions == "learned" else 0
    each = 2 * layer.kx + (4 if config.head_bias else 0) + (4 * answers if answers > 1 and keeps else 0)
    softcap = setting(config, "final_logit_softcapping", 0)
    table, cap = config.vocab * each + positions * 2 * layer.kx, CAP_BYTES if softcap else 0
    logits = 4 * config.vocab if answers else 0
    rows = max(2, -(-table // (TABLE_BYTES - cap)), -(-(table + logits) // (HEAD_BYTES - cap)))
    even = next((r for r in range(rows, rows + rows // 4 + 1) if config.vocab % (2 * r) == 0), rows)
    return VocabularyShape(
        config.d_model,
        config.vocab,
        layer.width,
        even,
        config.norm_eps,
        layer=config.norm == "layer",
        positions=positions,
        normed=config.embedding_norm,
        ids=64 if answers else max(TOKENS, layer.context),
        answers=max(1, answers),
        keeps=keeps,
        scale=scale_of_embedding(config),
        bias=config.head_bias,
        softcap=softcap,
    )


# --- the program ------------------------------------------------------------------------------------------------------


def program(layout: Layout, storage: str, machine: Machine) -> Program:
    """The program of a layout: classes of PEs, code and routes of all regions."""
    p = Program(layout.width, layout.height, machine, fp16=storage)
    t, n = layout.table, layout.layers
    ways = [(f"x{i % 2}", f"x{(i + 1) % 2}") for i in range(n)]
    if layout.tied:
        ways[-1] = (ways[-1][0], "result")
    for s, numbers in layout.kinds():
        name = "layer" if s is layout.layer else "dense"
        tops = [layout.top(i) for i in numbers]
        between = Part(p, name, s.height, tops, s.group, [ways[i] for i in numbers])
        decoder.build(between, s, layout.pooling.sentences if layout.pooling is not None else s.sequences)
        between.finish()
    first = Part(p, "vocabulary" if layout.tied else "embedding", t.rows, [0], t.rows,
                 [("result" if layout.tied else "", "x0")])  # fmt: skip
    vocabulary.build(first, t, embeds=True, head=layout.tied)
    first.finish()
    if layout.pooling is not None:
        last = Part(p, "pooling", pooling.HEIGHT, [layout.end_top], pooling.HEIGHT, [(ways[-1][1], "")])
        pooling.build(last, layout.pooling)
        last.finish()
    elif not layout.tied:
        last = Part(p, "head", t.rows, [layout.head_top], t.rows, [(ways[-1][1], "")])
        vocabulary.build(last, t, embeds=False, head=True)
        last.finish()
    _routes(p, layout, ways)
    return p


def _routes(p: Program, layout: Layout, ways: Sequence[tuple[str, str]]) -> None:
    """The ways of the vectors between regions."""
    s = layout.layer
    receivers = [(layout.top(i), s.height, ways[i][0]) for i in range(layout.layers)]
    if layout.end_height:
        receivers.append((layout.end_top, layout.end_height, ways[-1][1]))
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
