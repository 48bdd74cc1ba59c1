"""A layer's MLP as experts with resident weights: a router on the fabric, and the experts that a token's router takes.

The router's logits are a product with inputs along the columns and sums along the rows, each row has some experts'; a
sum over the columns brings all of them to all PEs, which choose alike: the greatest logits, of equal ones the first,
of all experts or of those of the greatest groups.  Experts that every token visits stand behind the chosen ones.
The parts of the chosen experts' results, weighted, are added up in each PE, and over the PEs of a column once.
"""

from __future__ import annotations

from collections.abc import Callable

from ..program.fragments import f32
from . import math_functions
from .code import Code, Vec
from .layer_shape import LayerShape
from .strip import Part

GAP = 200  # a power of two by which every difference of two f32 exceeds an index
LEAST = f32(float("-inf"))
PHASES = ("router", "experts", "sum of the experts")  # in place of those of a MLP


def arrays(part: Part, s: LayerShape) -> None:
    """Declare the arrays of the router and of the sum; decoder.py has those of the experts."""
    routed, active, kind = s.routed, s.kind.active, s.kind
    part.array("w_router", (s.kx, s.router), "f16", offset=8)
    part.array("b_router", s.router, "f32", offset=8)
    part.array("router_place", 1, "u32")  # bytes before the logits of the row
    part.array("own_logits", s.router, "f32")
    part.array("routed", routed, "f32")
    part.array("route_work", routed, "f32", offset=4)
    part.array("route_powers", routed, "f32", offset=12)
    part.array("route_exponents", routed, "u16")
    part.array("expert_numbers", routed, "f32", offset=8, init=[-float(i) for i in range(routed)])
    # Behind the experts that are chosen stand the shared ones.
    part.array("chosen", active + kind.shared, "u32", init=[0] * active + list(range(kind.experts, kind.mlps)))
    part.array("gates", active + kind.shared, "f32", init=[0.0] * active + [1.0] * kind.shared)
    part.array("gate_powers", active, "f32", offset=8)
    part.array("turn_of_expert", 1, "u32")
    part.array("mixed", s.kx, "f32", offset=8)
    if kind.scoring == "sigmoid":
        part.array("route_scores", routed, "f32")
        part.array("correction", routed, "f32", offset=8)
        part.array("route_guard", 1, "f32")
    if kind.groups > 1:
        part.array("group_scores", kind.groups, "f32")
        part.array("in_groups", routed, "f32", offset=8)


def route(part: Part, s: LayerShape, normed: Vec) -> None:
    """chosen [active] = the experts of the greatest logits, gates = their weights."""
    c, logits, work, powers = part.code, *(Vec(name, s.routed) for name in ("routed", "route_work", "route_powers"))
    own, kind = Vec("own_logits", s.router), s.kind
    part.product(normed, "w_router", own, "b_router")
    part.total("row", vec=own)
    c.op("fmovs", logits, 0.0)
    c("ld32 r16, [router_place]", "mov r4, routed", "iadd32 r16, r16, r4")
    c.forget()
    c.op("fmovs", Vec("r16", s.router), own)
    part.total("column", vec=logits)
    if kind.scoring == "sigmoid":
        _scores(part, s)
    elif not kind.gates_of_chosen:
        c(f"mov r9, {LEAST}")
        c(f"fmaxs r9, r9, {c.dsr('b', logits)}")
        c.op("fsubs", work, logits, "r9")
        math_functions.exp(c, work, powers, Vec("route_exponents", s.routed, 2))
        c("mov r11, 0")
        c(f"fadds r11, r11, {c.dsr('b', powers)}")
    if kind.groups > 1:
        _keep_groups(part, s)
    c("mov r10, 0")
    c.label("choose")
    _greatest(c, logits, kind.experts)
    if kind.scoring == "sigmoid":
        c("ishl32 r14, r1, 2", "mov r4, route_scores", "iadd32 r14, r14, r4", "ld32 r9, [r14]")
    c("mov r4, chosen", "iadd32 r4, r4, r10", "st32 r1, [r4]", "mov r4, gates", "iadd32 r4, r4, r10", "st32 r9, [r4]")
    c("ishl32 r1, r1, 2", "mov r4, routed", "iadd32 r1, r1, r4", f"mov r4, {LEAST}", "st32 r4, [r1]")
    c("iadd32 r10, r10, 4", f"isub32 r4, r10, {4 * kind.active}", "bnz r4, choose")
    c.forget()
    if kind.scoring == "sigmoid":
        _scale_scores(part, s)
    else:
        _shares(part, s)


def _greatest(c: Code, x: Vec, count: int) -> None:
    """r9 = the greatest element of x, r1 = the index of the first one, below `count`."""
    work = Vec("route_work", x.n)
    c(f"mov r9, {LEAST}")
    c(f"fmaxs r9, r9, {c.dsr('b', x)}")
    c.op("fsubs", work, x, "r9")
    c.op("fscales", work, work, c.value(str(GAP)))
    c.op("fadds", work, work, Vec("expert_numbers", x.n))
    c(f"mov r1, {LEAST}")
    c(f"fmaxs r1, r1, {c.dsr('b', work)}", "mov r4, 0", "ssub r1, r4, r1", "s2i r1, r1")
    # Of elements that are no numbers any is taken: the weight is none either.
    known = c.new_label()
    c(f"mov r4, {count}", "iltu32 r4, r1, r4", f"bnz r4, {known}", "mov r1, 0")
    c.label(known)


def _shares(part: Part, s: LayerShape) -> None:
    """gates = shares of the chosen logits, which they hold, in the softmax; r11: the sum of all its powers."""
    c, gates, of_chosen = part.code, Vec("gates", s.kind.active), Vec("gate_powers", s.kind.active)
    c("ld32 r9, [gates]")
    c.op("fsubs", gates, gates, "r9")
    math_functions.exp(c, gates, of_chosen, Vec("route_exponents", s.kind.active, 2))
    if s.kind.gates_of_chosen:
        c("mov r11, 0")
        c(f"fadds r11, r11, {c.dsr('b', of_chosen)}")
    # 0 times the greatest logit is no number if that is none, which an exponential would hide.
    c(f"mov r4, {f32(s.kind.factor)}", "sdiv r11, r4, r11", "mov r4, 0", "smul r4, r4, r9", "sadd r11, r11, r4")
    c.clobber("r4")
    c.op("fmuls", gates, of_chosen, "r11")


def _scores(part: Part, s: LayerShape) -> None:
    """route_scores = sigmoid(logits); routed = their sums with the correction; route_guard: 0, or no number."""
    c, logits, work, scores, powers = (
        part.code,
        *(Vec(name, s.routed) for name in ("routed", "route_work", "route_scores", "route_powers")),
    )
    c(f"mov r9, {LEAST}")
    c(f"fmaxs r9, r9, {c.dsr('b', logits)}", "mov r4, 0", "smul r4, r4, r9", "st32 r4, [route_guard]")
    c.clobber("r4")
    c.op("fmovs", work, logits)
    math_functions.sigmoid(c, work, scores, powers, Vec("route_exponents", s.routed, 2))
    c.op("fadds", logits, scores, Vec("correction", s.routed))


def _scale_scores(part: Part, s: LayerShape) -> None:
    """gates = the chosen scores, which they hold, times the factor, over their sum or not."""
    c, gates = part.code, Vec("gates", s.kind.active)
    c(f"mov r11, {f32(s.kind.factor)}")
    if s.kind.gates_of_chosen:
        c(f"mov r9, {f32(1e-20)}")
        c(f"fadds r9, r9, {c.dsr('b', gates)}", "sdiv r11, r11, r9")
    c("ld32 r9, [route_guard]", "sadd r11, r11, r9")
    c.op("fmuls", gates, gates, "r11")


def _keep_groups(part: Part, s: LayerShape) -> None:
    """routed = -inf but for the experts of the chosen groups."""
    c, kind = part.code, s.kind
    size, numbers = kind.experts // kind.groups, Vec("group_scores", kind.groups)
    logits, kept, group = Vec("routed", s.routed), Vec("in_groups", s.routed), Vec("r12", size)
    c.op("fmovs", kept, float("-inf"))
    c("mov r12, routed", "mov r13, group_scores")
    c.label("group")
    if kind.scoring == "sigmoid":
        _greatest(c, group, size)
        c("ishl32 r14, r1, 2", "iadd32 r14, r14, r12", f"mov r4, {LEAST}", "st32 r4, [r14]", f"mov r15, {LEAST}")
        c.clobber("r4")
        c(f"fmaxs r15, r15, {c.dsr('b', group)}", "st32 r9, [r14]", "sadd r9, r9, r15")
    else:
        c(f"mov r9, {LEAST}")
        c(f"fmaxs r9, r9, {c.dsr('b', group)}")
    c("st32 r9, [r13]", f"iadd32 r12, r12, {4 * size}", "iadd32 r13, r13, 4", "mov r4, group_scores")
    c(f"iadd32 r4, r4, {4 * kind.groups}", "isub32 r4, r4, r13", "bnz r4, group", f"mov r10, {kind.active_groups}")
    c.label("choose_group")
    _greatest(c, numbers, kind.groups)
    c("ishl32 r14, r1, 2", "mov r4, group_scores", "iadd32 r14, r14, r4", f"mov r4, {LEAST}", "st32 r4, [r14]")
    c(f"mov r4, {4 * size}", "imul32 r14, r1, r4", "mov r12, routed", "iadd32 r12, r12, r14", "mov r13, in_groups")
    c("iadd32 r13, r13, r14")
    c.forget()
    c.op("fmovs", Vec("r13", size), group)
    c("isub32 r10, r10, 1", "bnz r10, choose_group")
    c.forget()
    c.op("fmovs", logits, kept)


def mix(part: Part, s: LayerShape, normed: Vec, activate: Callable[[], None]) -> None:
    """y [kx] = the PE's part of the chosen experts' sum.  activate: hidden from the y of gate and up."""
    c, mixed, both, out = part.code, Vec("mixed", s.kx), Vec("y", s.hidden), Vec("y", s.kx)
    biased = s.kind.mlp_bias
    c.op("fmovs", mixed, 0.0)
    c("mov r1, 0", "st32 r1, [turn_of_expert]")
    c.label("expert")
    _weights_of(part, "up", s.kx * s.hidden, s.hidden, biased)
    part.product(normed, "r21", both, "r22" if biased else "")
    part.total("row", vec=both)
    activate()
    _weights_of(part, "down", s.ny * s.kx, s.kx, biased)
    part.product(Vec("hidden", s.ny, 2), "r21", out, "r22" if biased else "")
    c("ld32 r1, [turn_of_expert]", "mov r4, gates", "iadd32 r4, r4, r1", "ld32 r9, [r4]")
    c.clobber("r4")
    c.op("fmacs", mixed, mixed, out, "r9")
    c("ld32 r1, [turn_of_expert]", "iadd32 r1, r1, 4", "st32 r1, [turn_of_expert]")
    c(f"isub32 r4, r1, {4 * (s.kind.active + s.kind.shared)}", "bnz r4, expert")
    c.forget()
    c.op("fmovs", out, mixed)


def _weights_of(part: Part, name: str, weights: int, outputs: int, biased: bool) -> None:
    """r21, r22 = the addresses of the weights (16 bits) and biases (f32) of the expert whose turn it is."""
    c = part.code
    c("ld32 r1, [turn_of_expert]", "mov r4, chosen", "iadd32 r4, r4, r1", "ld32 r20, [r4]")
    c(f"mov r4, {2 * weights}", "imul32 r21, r20, r4", f"mov r4, w_{name}", "iadd32 r21, r21, r4")
    if biased:
        c(f"mov r4, {4 * outputs}", "imul32 r22, r20, r4", f"mov r4, b_{name}", "iadd32 r22, r22, r4")
    c.forget()
