"""Cycles of a token in layers of all kinds that `wse generate` executes, by what its regions do.

As decoding.py, which has the layers of Llama: a cost is a sum of terms, each of an operation of the program with its
elements or of the PEs that a sum passes.  Terms have names; layers of different kinds share those of the operations
that both have.  The coefficients are fitted, without any below 0, to executed tokens of small models of the kinds in
KINDS with random sizes, in layer_kinds.csv.  `measure` executes a row again.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ..execute.generation import Decoder
from ..execute.strip_layout import Layout, layout
from ..machine.parameters import Machine
from ..models.bodies import graph
from ..models.config import Transformer
from ..models.weights import LAYER, WHOLE, Weights
from ..operators import vocabulary
from ..operators.cached_attention import UNROLLED
from ..operators.layer_shape import LayerShape
from .fit import non_negative

TABLE = Path(__file__).with_name("layer_kinds.csv")
REST = "embedding, ways between regions"
HELD_OUT = 3  # rows of each kind, its last ones, that nothing is fitted to
PLACE = ("width", "group", "slots", "position")

_RMS: dict[str, Any] = {"norm": "rms", "activation": "silu", "gated": True, "positions": "rotary", "bias": False}
_LAYER: dict[str, Any] = {"norm": "layer", "activation": "gelu", "positions": "rotary"}
_LATENT = {"topk_method": "noaux_tc", "scoring_func": "sigmoid", "norm_topk_prob": True, "n_group": 2, "topk_group": 1}
_CAPS = {"attn_logit_softcapping": 5.0, "final_logit_softcapping": 5.0, "embedding times": 2.0}
# Fields of the models of each kind, beside their sizes.
KINDS: dict[str, dict[str, Any]] = {
    "qwen3": _RMS | {"qk_norm": "head"},
    "olmo2": _RMS | {"qk_norm": "all", "norm_at": "output", "tied": False},
    "gpt2": _LAYER | {"positions": "learned"},
    "opt": _LAYER | {"positions": "learned", "activation": "relu", "tied": False},
    "gpt_neox": _LAYER | {"exact": True, "parallel": True, "parallel_norms": 2, "tied": False},
    "falcon": _LAYER | {"exact": True, "bias": False, "norm_bias": True, "parallel": True, "kv_heads": 1},
    "phi": _LAYER | {"parallel": True, "tied": False, "head_bias": True},
    "bloom": _LAYER | {"positions": "alibi", "embedding_norm": True},
    "mpt": _LAYER | {"positions": "alibi", "exact": True, "numerics": {"attn_config.clip_qkv": 4.0}},
    "jais": _LAYER | {"positions": "alibi", "activation": "silu", "gated": True},
    "gemma2": _RMS | {"activation": "gelu", "norm_at": "both", "windows": (7, 0), "numerics": _CAPS},
    "gemma3": _RMS | {"activation": "gelu", "norm_at": "both", "qk_norm": "head", "windows": (7, 0)},
    "mixtral": _RMS | {"numerics": {"norm_topk_prob": True}},
    "qwen3_moe": _RMS | {"qk_norm": "head"},
    "gpt_oss": _RMS
    | {"sinks": True, "windows": (7, 0), "expert_bias": True, "router_bias": True}
    | {"numerics": {"norm_topk_prob": True, "swiglu_limit": 7.0, "swiglu_alpha": 1.7}},
    "deepseek_v2": _RMS | {"expert_layers": (False, True), "tied": False},
    "deepseek_v3": _RMS | {"expert_layers": (False, True), "tied": False, "numerics": _LATENT},
}
Terms = dict[str, float]


# --- terms ------------------------------------------------------------------------------------------------------------


def _norm(kind: str, w: int, kx: int, times: int = 1) -> Terms:
    return {f"norm {kind}": times, f"norm {kind} w": times * w, f"norm {kind} kx": times * kx} if times else {}


def _product(name: str, inputs: int, outputs: int, times: int = 1) -> Terms:
    return {f"{name} in": times * inputs, f"{name} out": times * outputs, f"{name} in out": times * inputs * outputs}


def layer_terms(s: LayerShape, n: int) -> dict[str, Terms]:
    """The terms of a layer's phases for a token that sees n slots in a column."""
    w, h, kx, ny, q, dr, k = s.width, s.height, s.kx, s.ny, s.queries, s.dr, s.kind
    before = int(k.norm_at in ("before", "both"))
    behind = int(k.norm_at != "before")
    # Queries, keys and values; RoPE.
    made = {"queries, keys, values": {"one": 1.0, "w": w} | _norm(k.norm, w, kx, before) | _product("", kx, s.nq)}
    turn: Terms = {"one": 1, "dr": dr}
    turn |= {"clip": 1, "clip out": s.nq} if k.clip else {}
    turn |= {"turn": s.turned, "turn q": q} if k.turns else {"convert": 2 * s.turned}
    if k.qk_norm != "none":
        heads = q + 1 if k.qk_norm == "head" else 2
        turn |= {"heads": heads, "heads turned": s.turned, f"norm of {k.qk_norm}": 1}
        turn[f"norm of {k.qk_norm} rows"] = s.group if k.qk_norm == "head" else h
    if (latent := k.latent) is not None:
        turn |= {"latent": 1, "latent h": h, "latent w": w, "kq": s.kq, "kq dr": s.kq * dr, "q dr": q * dr}
        turn |= _product("latent", s.low, s.kq) if latent.q_rank else {"turned h": h, "low": s.low}
    made["RoPE, cache"] = turn
    # Attention.
    made["scores"] = {"one": 1.0, "q": q, "q dr": q * dr, "q n": q * n, "q dr n": q * dr * n}
    more: Terms = {"group": s.group, "group q n": q * n} if s.group > 1 else {}
    more |= {"alibi q": q, "alibi q n": q * n} if k.alibi else {}
    more |= {"cap": 1, "cap q n": q * n} if k.softcap else {}
    made["scores"] |= more | ({"window": 1, "window q": q, "window q n": q * n} if k.windows else {})
    made["softmax"] = {"one": 1, "w": w, "q": q, "q n": q * n}
    made["softmax"] |= {"sinks": 1, "sinks q": q} if k.sinks else {}
    made["values"] = {"one": 1, "w": w, "q": q, "q n": q * n, "q dr": q * dr, "q n dr": q * n * dr}
    if q > UNROLLED:  # heads share code
        for phase in ("scores", "softmax", "values"):
            made[phase] |= {"shared": 1, "shared q": q}
    if k.latent is not None:
        made["values"]["latent q n"] = q * n
        out: Terms = {"latent": 1, "latent h": h, "latent w": w, "kv": s.kv, "kv dr": s.kv * dr, "rx": s.rx, "kx": kx}
        out |= {"parts": s.most_value_parts, "parts dr": s.most_value_parts * dr} | _product("latent", s.kv, s.rx)
    else:
        out = {"one": 1, "h": h} | _product("", q * dr, kx)
    made["attention's output"] = out | _norm(k.norm, w, kx, behind + (before if k.parallel else 0))
    # The MLP.
    first = _norm(k.norm, w, kx, 0 if k.parallel else before)
    activation = "clamp" if k.clamp else k.activation + " gated" * k.gated
    if k.experts == 1:
        made["gate, up"] = {"one": 1, "w": w} | first | _product("", kx, s.hidden)
        made["activation"] = {f"{activation}": 1, f"{activation} ny": ny}
        made["down"] = {"one": 1, "h": h} | _product("", ny, kx) | _norm(k.norm, w, kx, behind)
        return made
    route = {"one": 1.0, "w": w, "h": h, "routed": s.routed} | first | _product("", kx, s.router)
    route |= {"active": k.active, "active routed": k.active * s.routed, k.scoring: 1, f"{k.scoring} routed": s.routed}
    if k.scoring == "softmax" and not k.gates_of_chosen:
        route |= {"all": 1, "all routed": s.routed}
    if k.groups > 1:
        route |= {f"{k.scoring} groups": k.groups, f"{k.scoring} of groups": k.experts}
        route |= {"active groups": k.active_groups, "groups routed": s.routed}
        route["of active groups"] = k.active_groups * (k.groups + k.experts // k.groups)
    m = k.active + k.shared
    made["router"] = route
    made["experts"] = {"m": m, "m w": m * w, f"{activation}": m, f"{activation} ny": m * ny}
    made["experts"] |= _product("up", kx, s.hidden, m) | _product("down", ny, kx, m)
    made["sum of the experts"] = {"one": 1, "h": h, "kx": kx} | _norm(k.norm, w, kx, behind)
    return made


def _ends(made: Layout) -> dict[str, Terms]:
    """The terms of the head and of what lies between regions."""
    t, s = made.table, made.layer
    kind, chunks = "layer" if t.layer else "rms", -(-t.entries // vocabulary.CHUNK)
    rest = {"one": 1.0, "rows": t.rows, "kx": t.kx, "layers": made.layers, "layers h": made.layers * s.height}
    rest |= {"distance": made.height} if made.tied else {"untied rows": t.rows}
    rest |= {"positions": 1, "positions kx": t.kx} if t.positions else {}
    rest |= {"scale": 1} if t.scale != 1 else {}
    cap: Terms = {"cap": chunks, "cap entries": t.entries} if t.softcap else {}
    return {
        "logits": {"one": 1} | _norm(kind, s.width, t.kx) | _product("", t.kx, t.entries),
        "sums of logits": {"one": 1.0, "w": s.width, "entries": t.entries},
        "greatest logit": {"one": 1, "chunks": chunks, "entries": t.entries, "rows": t.rows} | cap,
        REST: rest | _norm(kind, s.width, t.kx, int(t.normed)),
    }


def _sum(parts: list[tuple[int, Terms]]) -> Terms:
    made: Terms = {}
    for times, of in parts:
        for name, value in of.items():
            made[name] = made.get(name, 0.0) + times * value
    return made


def terms(made: Layout, position: int) -> dict[str, Terms]:
    """The terms of each phase, of all layers, for the token at a position of a sequence."""
    kinds = [(len(numbers), layer_terms(s, position // s.width + 1)) for s, numbers in made.kinds()]
    phases = list(dict.fromkeys(name for _, of in kinds for name in of))
    return {p: _sum([(times, of[p]) for times, of in kinds if p in of]) for p in phases} | _ends(made)


# --- the fit ----------------------------------------------------------------------------------------------------------


@cache
def coefficients() -> dict[str, Terms]:
    """Cycles of each term of each phase, fitted to the table, relative errors weighted alike."""
    made = [(terms(place, position), spent) for kind in KINDS for place, position, spent in rows(kind)[:-HELD_OUT]]
    result = {}
    for phase in dict.fromkeys(name for _, spent in made for name in spent):
        own = [(of[phase], spent[phase]) for of, spent in made if phase in spent]
        names = list(dict.fromkeys(name for of, _ in own for name in of))
        matrix = np.array([[of.get(name, 0.0) for name in names] for of, _ in own])
        cycles = np.array([spent for _, spent in own])
        found = non_negative(matrix / cycles[:, None], np.ones(len(cycles)))
        result[phase] = dict(zip(names, found.tolist(), strict=True))
    return result


def lacks(made: Layout, position: int = 0) -> list[str]:
    """Operations of a layout's program that no row of the table has."""
    known = coefficients()
    return [
        f"{phase}: {name}" for phase, of in terms(made, position).items() for name in of if name not in known[phase]
    ]


def predict(made: Layout, position: int) -> dict[str, float]:
    """Cycles of the token at a position, by phase; their sum is the time from its id to its greatest logit."""
    known = coefficients()
    return {phase: _cycles(known[phase], of) for phase, of in terms(made, position).items()}


def predict_layers(made: Layout, position: int) -> list[float]:
    """Cycles of the token in a layer of each kind."""
    known = coefficients()
    return [
        sum(_cycles(known[phase], of) for phase, of in layer_terms(s, position // s.width + 1).items())
        for s, _ in made.kinds()
    ]


def _cycles(known: Terms, of: Terms) -> float:
    return sum(known[name] * value for name, value in of.items())


@cache
def held_out() -> dict[str, float]:
    """Of each kind the largest error on its rows that nothing was fitted to, in percent of the executed cycles."""
    return {
        kind: max(
            100 * abs(sum(predict(made, position).values()) / sum(spent.values()) - 1)
            for made, position, spent in rows(kind)[-HELD_OUT:]
        )
        for kind in KINDS
    }


# --- the table --------------------------------------------------------------------------------------------------------


@cache
def _table() -> dict[str, list[tuple[Layout, int, dict[str, int]]]]:
    made: dict[str, list[tuple[Layout, int, dict[str, int]]]] = {kind: [] for kind in KINDS}
    with TABLE.open(newline="") as file:
        for row in csv.DictReader(file):
            kind, sizes = row.pop("kind"), json.loads(row.pop("sizes"))
            values = {key: int(value) for key, value in row.items() if value}
            where = {key: values.pop(key) for key in PLACE}
            made[kind].append((place(kind, sizes, where), where["position"], values))
    return made


def rows(kind: str) -> list[tuple[Layout, int, dict[str, int]]]:
    """The executed tokens of a kind: layout, position, cycles by phase."""
    return _table()[kind]


def config(kind: str, sizes: Mapping[str, Any], context: int) -> Transformer:
    """A model of a kind.  sizes: its other fields; context: tokens."""
    fields = KINDS[kind] | dict(sizes)
    numerics = tuple(fields.pop("numerics", {}).items())
    return Transformer(name=kind, sequence=context, numerics=numerics, **fields)


def place(kind: str, sizes: Mapping[str, Any], where: Mapping[str, int]) -> Layout:
    """The layout of a row.  where: values for `PLACE`."""
    context = where["slots"] * where["width"]
    return layout(config(kind, sizes, context), context, where["width"], where["group"])


def blank(model: Transformer) -> Weights:
    """A model with weights of 0."""
    whole: dict[str, np.ndarray] = {}
    layers: list[dict[str, np.ndarray]] = [{} for _ in range(model.layers)]
    for name, parameter in graph(model).parameters.items():
        values = np.zeros(parameter.shape, np.float32)
        if name.startswith("layers."):
            _, number, plain = name.split(".", 2)
            layers[int(number)][LAYER[plain]] = values
        else:
            whole[WHOLE[name]] = values
    for i, layer in enumerate(layers):
        if model.parallel and model.parallel_norms == 1:
            layer |= {f"{name}2": layer[f"{name}1"] for name in ("gains", "shift") if f"{name}1" in layer}
        if model.block(i).experts and dict(model.numerics).get("topk_method") == "noaux_tc":
            layer["correction"] = np.zeros(model.experts, np.float32)
    embedding, head, gains = whole.pop("embedding"), whole.pop("head", None), whole.pop("gains")
    return Weights(model, embedding, head, gains, tuple(layers), {}, whole)


def measure(kind: str, sizes: Mapping[str, Any], where: Mapping[str, int]) -> dict[str, int]:
    """Execute a token of a model with weights of 0: its cycles by phase."""
    made = place(kind, sizes, where)
    model = config(kind, sizes, where["slots"] * where["width"])
    decoder = Decoder(blank(model), made, "f16", Machine("wse3"))
    decoder.used[0] = where["position"]
    cycles = decoder.step([0])
    spent = decoder.phases()
    return {**spent, REST: cycles - sum(spent.values())}
