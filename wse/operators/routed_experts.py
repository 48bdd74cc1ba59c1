"""A layer's MLP as experts with resident weights: a router on the fabric, and the experts that a token's router takes.

The router's logits are a product with inputs along the columns and sums along the rows, each row has some experts'; a
sum over the columns brings all of them to all PEs, which choose alike: the greatest logits, of equal ones the first.
The parts of the chosen experts' results, weighted, are added up in each PE, and over the PEs of a column once.
"""

from __future__ import annotations

from collections.abc import Callable

from ..program.fragments import f32
from . import math_functions
from .code import Vec
from .layer_shape import LayerShape
from .strip import Part

GAP = 200  # a power of two by which every difference of two f32 exceeds an index
LEAST = f32(float("-inf"))
PHASES = ("router", "experts", "sum of the experts")  # in place of those of a MLP


def arrays(part: Part, s: LayerShape) -> None:
    """Declare the arrays of the router and of the sum; decoder.py has those of the experts."""
    routed, active = s.routed, s.kind.active
    part.array("w_router", (s.kx, s.router), "f16", offset=8)
    part.array("b_router", s.router, "f32", offset=8)
    part.array("router_place", 1, "u32")  # bytes before the logits of the row
    part.array("own_logits", s.router, "f32")
    part.array("routed", routed, "f32")
    part.array("route_work", routed, "f32", offset=4)
    part.array("route_powers", routed, "f32", offset=12)
    part.array("route_exponents", routed, "u16")
    part.array("expert_numbers", routed, "f32", offset=8, init=[-float(i) for i in range(routed)])
    part.array("chosen", active, "u32")
    part.array("gates", active, "f32")
    part.array("gate_powers", active, "f32", offset=8)
    part.array("turn_of_expert", 1, "u32")
    part.array("mixed", s.kx, "f32", offset=8)


def route(part: Part, s: LayerShape, normed: Vec) -> None:
    """chosen [active] = the experts of the greatest logits, gates = their weights."""
    c, logits, work, powers = part.code, *(Vec(name, s.routed) for name in ("routed", "route_work", "route_powers"))
    own = Vec("own_logits", s.router)
    part.product(normed, "w_router", own, "b_router")
    part.total("row", vec=own)
    c.op("fmovs", logits, 0.0)
    c("ld32 r16, [router_place]", "mov r4, routed", "iadd32 r16, r16, r4")
    c.forget()
    c.op("fmovs", Vec("r16", s.router), own)
    part.total("column", vec=logits)
    if not s.kind.gates_of_chosen:
        c(f"mov r9, {LEAST}")
        c(f"fmaxs r9, r9, {c.dsr('b', logits)}")
        c.op("fsubs", work, logits, "r9")
        math_functions.exp(c, work, powers, Vec("route_exponents", s.routed, 2))
        c("mov r11, 0")
        c(f"fadds r11, r11, {c.dsr('b', powers)}")
    c("mov r10, 0")
    c.label("choose")
    c(f"mov r9, {LEAST}")
    c(f"fmaxs r9, r9, {c.dsr('b', logits)}")
    c.op("fsubs", work, logits, "r9")
    c.op("fscales", work, work, c.value(str(GAP)))
    c.op("fadds", work, work, Vec("expert_numbers", s.routed))
    c(f"mov r1, {LEAST}")
    c(f"fmaxs r1, r1, {c.dsr('b', work)}", "mov r4, 0", "ssub r1, r4, r1", "s2i r1, r1")
    # Of logits that are no numbers any expert is taken: its gate is none either.
    c(f"mov r4, {s.kind.experts}", "iltu32 r4, r1, r4", "bnz r4, .known", "mov r1, 0")
    c.label(".known")
    c("mov r4, chosen", "iadd32 r4, r4, r10", "st32 r1, [r4]", "mov r4, gates", "iadd32 r4, r4, r10", "st32 r9, [r4]")
    c("ishl32 r1, r1, 2", "mov r4, routed", "iadd32 r1, r1, r4", f"mov r4, {LEAST}", "st32 r4, [r1]")
    c("iadd32 r10, r10, 4", f"isub32 r4, r10, {4 * s.kind.active}", "bnz r4, choose")
    c.forget()
    gates, of_chosen = Vec("gates", s.kind.active), Vec("gate_powers", s.kind.active)
    c("ld32 r9, [gates]")
    c.op("fsubs", gates, gates, "r9")
    math_functions.exp(c, gates, of_chosen, Vec("route_exponents", s.kind.active, 2))
    if s.kind.gates_of_chosen:
        c("mov r11, 0")
        c(f"fadds r11, r11, {c.dsr('b', of_chosen)}")
    # 0 times the greatest logit is no number if that is none, which an exponential would hide.
    c("mov r4, 0x3f800000", "sdiv r11, r4, r11", "mov r4, 0", "smul r4, r4, r9", "sadd r11, r11, r4")
    c.clobber("r4")
    c.op("fmuls", gates, of_chosen, "r11")


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
    c(f"isub32 r4, r1, {4 * s.kind.active}", "bnz r4, expert")
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
