"""A transformer layer with resident weights: attention over cached keys and values, and an MLP, token by token.

A region holds one layer.  Its input, the residual stream x (f32), lies along the columns.  Products alternate their
orientation, so that nothing is transposed:

    queries, keys, values    inputs along the columns, sums along the rows    outputs along the rows
    attention                queries, keys and values of a row stay in it; scores are summed over the rows of a group
    output of attention      inputs along the rows, sums along the columns    outputs along the columns
    gate, up                 as queries                                       outputs along the rows
    down                     as the output of attention                       outputs along the columns

A causal layer passes each token on before it takes the next.  Another one takes a sequence, caches its keys and values
and keeps x and the queries; then each token attends to all of them.  Weights and inputs of products have 16 bits; sums,
the residual stream and norms f32.
"""

from __future__ import annotations

from . import cached_attention, latent_attention, math_functions, routed_experts
from .activation import FUNCTIONS, Buffers, cut
from .cached_attention import spans
from .code import Code, Vec
from .layer_shape import RUN, Kind, LayerShape
from .strip import Part

PHASES = (  # between the stamps
    "wait for the input",
    "queries, keys, values",
    "RoPE, cache",
    "scores",
    "softmax",
    "values",
    "attention's output",
    "gate, up",
    "activation",
    "down",
)
KEPT = len(PHASES) + 1  # the stamp behind "RoPE, cache" in layers that are not causal


def phases(kind: Kind) -> tuple[str, ...]:
    """What lies between the stamps of a layer."""
    return PHASES if kind.experts == 1 else (*PHASES[: -len(routed_experts.PHASES)], *routed_experts.PHASES)


def build(part: Part, s: LayerShape, runs: int = 1) -> None:
    """Give the region its arrays and its step: for each token of each run, take x, compute the layer, give x on.

    runs: that a step has at most.
    """
    arrays(part, s, runs)
    c = part.code
    c("mov r1, runs", f"st32 r1, {part.state('next')}")
    c.label("run")
    c(f"ld32 r12, {part.state('next')}", f"iadd32 r13, r12, {4 * len(RUN)}", f"st32 r13, {part.state('next')}")
    c.forget()
    c.op("mov32", Vec("state", len(RUN)), Vec("r12", len(RUN)))
    c.label("token")
    part.stamp(0)
    part.take(Vec("x", s.kx))
    part.stamp(1)
    _projections(part, s)
    if s.kind.causal:
        spans(part)
        part.stamp(3)
        _attend(part, s)
        _end(part, s)
    else:
        _keep(part, s)
        _attend_all(part, s)
    c(f"ld32 r1, {part.state('runs')}", "isub32 r1, r1, 1", f"st32 r1, {part.state('runs')}", "bnz r1, run")
    c.forget()


def arrays(part: Part, s: LayerShape, runs: int) -> None:
    """Declare the arrays of a layer's PEs."""
    heads, kind = s.queries, s.kind
    each: tuple[int, ...] = (kind.mlps,) if kind.experts > 1 else ()
    part.array("runs", runs * len(RUN), "u32")
    part.array("x", s.kx, "f32")
    part.array("normed", s.kx, "f16")
    part.norm_arrays([str(i) for i in kind.norms], s.kx, kind.norm == "layer")
    wide = (2 * s.turned, s.kq, s.kv, s.rx) if kind.latent is not None else ()
    part.array("y", max(s.nq, s.kx, s.hidden, heads * (s.dr + 1), *wide), "f32")
    of_output = (heads * s.dr, s.kx) if kind.latent is None else (s.kv, s.rx)
    for name, of, inputs, outputs, bias in (
        ("qkv", (), s.kx, s.nq, kind.qkv_bias),
        ("o", (), *of_output, kind.output_bias),
        ("up", each, s.kx, s.hidden, kind.mlp_bias),
        ("down", each, s.ny, s.kx, kind.mlp_bias),
    ):
        part.array(f"w_{name}", (*of, inputs, outputs), "f16", offset=8)
        if bias:
            outputs = s.kx if name == "o" else outputs
            part.array(f"b_{name}", (*of, outputs), "f32", offset=8)
    if kind.experts > 1:
        routed_experts.arrays(part, s)
    if kind.latent is not None:
        latent_attention.arrays(part, s)
    if kind.clip:
        part.array("clipped", s.nq, "f32", offset=8)
    cached_attention.arrays(part, s)
    for name, offset in (("gate", 0), ("sigmoid", 8), ("mlp_work", 4)):
        part.array(name, s.ny, "f32", offset=offset)
    if not _swishes(s):
        part.array("mlp_more", s.ny, "f32", offset=12)
    part.array("hidden", s.ny, "f16")
    if not kind.causal:
        part.array("kept_x", (s.context, s.kx), "f32")
        part.array("kept_queries", (s.context, heads * s.dr), "f16")
    part.array("stamps", len(PHASES) + (1 if kind.causal else 2), "u32")


def _norm(part: Part, s: LayerShape, number: int, x: Vec, out: Vec) -> None:
    part.norm(x, str(number), s.d_model, s.eps, out, s.kind.norm == "layer")


def _input(part: Part, s: LayerShape, number: int) -> None:
    """normed = the input of attention (1) or of the MLP (2): x, with a norm in front or not."""
    x, normed = Vec("x", s.kx), Vec("normed", s.kx, 2)
    if s.kind.norm_at in ("before", "both"):
        _norm(part, s, number, x, normed)
    else:
        part.code.op("fs2h", normed, x)


def _join(part: Part, s: LayerShape, number: int) -> None:
    """Add the result of attention (1) or of the MLP (2), in y, to x, with a norm behind either or not."""
    x, out, at = Vec("x", s.kx), Vec("y", s.kx), s.kind.norm_at
    if at in ("both", "output"):
        _norm(part, s, number + (2 if at == "both" else 0), out, out)
    part.code.op("fadds", x, x, out)
    if at == "after":
        _norm(part, s, number, x, x)


def _projections(part: Part, s: LayerShape) -> None:
    """Queries, keys and values of x; keys and values into the cache."""
    projected = Vec("y", s.nq)
    _input(part, s, 1)
    part.product(Vec("normed", s.kx, 2), "w_qkv", projected, "b_qkv" if s.kind.qkv_bias else "")
    part.total("row", vec=projected)
    part.stamp(2)
    if s.kind.clip:
        _clip(part.code, projected, Vec("clipped", s.nq), s.kind.clip)
    if s.kind.latent is not None:
        latent_attention.projections(part, s)
    if s.kind.qk_norm != "none":
        cached_attention.norm_heads(part, s)
    cached_attention.rotate(part, s)
    cached_attention.store(part, s)


def _attend(part: Part, s: LayerShape) -> None:
    """Attention of the queries in `rotated`, and the MLP: the layer's x."""
    out, normed, kind = Vec("y", s.kx), Vec("normed", s.kx, 2), s.kind
    cached_attention.scores(part, s)
    part.stamp(4)
    cached_attention.softmax(part, s)
    part.stamp(5)
    cached_attention.values(part, s)
    part.stamp(6)
    if kind.latent is not None:
        latent_attention.result(part, s, kind.output_bias)
    else:
        part.product(Vec("attended", s.queries * s.dr, 2), "w_o", out, "b_o" if kind.output_bias else "")
        part.total("column", vec=out)
    if kind.parallel:  # the MLP reads the x that attention has read
        _input(part, s, 2)
    _join(part, s, 1)
    part.stamp(7)
    if not kind.parallel:
        _input(part, s, 2)
    if kind.experts > 1:
        routed_experts.route(part, s, normed)
        part.stamp(8)
        routed_experts.mix(part, s, normed, lambda: _activate(part.code, s))
        part.stamp(9)
    else:
        both = Vec("y", s.hidden)
        part.product(normed, "w_up", both, "b_up" if kind.mlp_bias else "")
        part.total("row", vec=both)
        part.stamp(8)
        _activate(part.code, s)
        part.stamp(9)
        part.product(Vec("hidden", s.ny, 2), "w_down", out, "b_down" if kind.mlp_bias else "")
    part.partial("column", out)
    _join(part, s, 2)  # in the bottom row, which gives x on; other rows have parts of the sum
    part.stamp(10)


def _swishes(s: LayerShape) -> bool:
    return s.kind.gated and s.kind.activation == "silu"


def _activate(c: Code, s: LayerShape) -> None:
    """hidden = f(gate) up, y holding gate, then up; without a gate f(up)."""
    y, up, hidden = Vec("y", s.ny), Vec("y", s.ny, offset=4 * s.ny), Vec("hidden", s.ny, 2)
    gate, sigmoid, work = (Vec(name, s.ny) for name in ("gate", "sigmoid", "mlp_work"))
    if s.kind.clamp is not None:
        _clamped(c, s, s.kind.clamp)
        return
    if _swishes(s):
        c.op("fmovs", gate, y)
        math_functions.sigmoid(c, gate, sigmoid, work, Vec("exponents", s.ny, 2))
        c.op("fmuls", sigmoid, sigmoid, y)
        c.op("fmuls", sigmoid, sigmoid, up)
        c.op("fs2h", hidden, sigmoid)
        return
    buffers = Buffers(gate, sigmoid, work, Vec("mlp_more", s.ny), Vec("exponents", s.ny, 2))
    result = next(FUNCTIONS[s.kind.activation](c, y, buffers, True))
    if s.kind.gated:
        c.op("fmuls", result, result, up)
    c.op("fs2h", hidden, result)


def _clamped(c: Code, s: LayerShape, clamp: tuple[float, float]) -> None:
    """hidden = (up + 1) gate sigmoid(alpha gate), gate cut at the limit above, up above and below."""
    alpha, limit = clamp
    gate, up, hidden = Vec("y", s.ny), Vec("y", s.ny, offset=4 * s.ny), Vec("hidden", s.ny, 2)
    a, b, work = (Vec(name, s.ny) for name in ("gate", "sigmoid", "mlp_work"))
    cut(c, a, gate, limit)
    c.op("fmovs", gate, a)
    c.op("fmuls", a, gate, alpha)
    math_functions.sigmoid(c, a, b, work, Vec("exponents", s.ny, 2))
    c.op("fmuls", b, b, gate)
    cut(c, a, up, limit)
    c.op("fmaxs", a, a, -limit)
    c.op("fmacs", a, a, up, 0.0)
    c.op("fadds", a, a, 1.0)
    c.op("fmuls", b, b, a)
    c.op("fs2h", hidden, b)


def _clip(c: Code, x: Vec, work: Vec, limit: float) -> None:
    """x is cut at the limit above and below."""
    cut(c, work, x, limit)
    c.op("fmaxs", work, work, -limit)
    c.op("fmacs", x, work, x, 0.0)


def _end(part: Part, s: LayerShape) -> None:
    """Give x on, unless this token's is not wanted, and go to the next position and token."""
    c = part.code
    c(f"ld32 r1, {part.state('silent')}", "bz r1, .gives")
    c("isub32 r1, r1, 1", f"st32 r1, {part.state('silent')}", "jmp .given")
    c.label(".gives")
    part.give(Vec("x", s.kx))
    c.label(".given")
    _next(part, s, "token")


def _next(part: Part, s: LayerShape, label: str) -> None:
    """Go to the next position, and to `label` unless it was the last one."""
    c = part.code
    c(f"ld32 r1, {part.state('position')}", "iadd32 r1, r1, 1", f"st32 r1, {part.state('position')}")
    c(f"ld32 r1, {part.state('turn')}", "iadd32 r1, r1, 1", f"isub32 r4, r1, {s.width}", "bnz r4, .same")
    c(f"ld32 r4, {part.state('slot')}", "iadd32 r4, r4, 1", f"st32 r4, {part.state('slot')}", "mov r1, 0")
    c.label(".same")
    c(f"st32 r1, {part.state('turn')}")
    c(f"ld32 r1, {part.state('count')}", "isub32 r1, r1, 1", f"st32 r1, {part.state('count')}", f"bnz r1, {label}")
    c.forget()


# --- layers that are not causal ---------------------------------------------------------------------------------------


def _kept(part: Part, s: LayerShape) -> list[tuple[Vec, Vec]]:
    """(what is kept of a token, where it is used): x, and the first and the second halves of the queries."""
    c, half = part.code, s.queries * s.dr // 2
    c(f"ld32 r16, {part.state('position')}", f"imul32 r17, r16, {4 * half}", "mov r4, kept_queries")
    c("iadd32 r17, r17, r4", f"imul32 r16, r16, {4 * s.kx}", "mov r4, kept_x", "iadd32 r16, r16, r4")
    c.forget()
    pairs = [(Vec("r16", s.kx), Vec("x", s.kx))]
    for at, own in ((0, 0), (s.turned, half)):
        pairs.append((Vec("r17", half, 2, 2 * own), Vec("rotated", half, 2, 2 * at)))
    return pairs


def _keep(part: Part, s: LayerShape) -> None:
    for kept, used in _kept(part, s):
        part.code.op("mov32" if used.size == 4 else "mov16", kept, used)
    part.stamp(KEPT)
    _next(part, s, "token")


def _attend_all(part: Part, s: LayerShape) -> None:
    """Attention of all tokens of the sequence to all, and the MLP; positions are 0 to count - 1."""
    c = part.code
    c(f"ld32 r1, {part.state('position')}", f"st32 r1, {part.state('count')}")
    for name in ("slot", "turn"):
        c(f"ld32 r1, {part.state(f'last_{name}')}", f"st32 r1, {part.state(name)}")
    c("mov r1, 0", f"st32 r1, {part.state('position')}")
    c.label("attend")
    part.stamp(3)
    for kept, used in _kept(part, s):
        c.op("mov32" if used.size == 4 else "mov16", used, kept)
    spans(part)
    _attend(part, s)
    part.give(Vec("x", s.kx))
    c(f"ld32 r1, {part.state('position')}", "iadd32 r1, r1, 1", f"st32 r1, {part.state('position')}")
    c(f"ld32 r4, {part.state('count')}", "isub32 r4, r1, r4", "bnz r4, attend")
    c.forget()
