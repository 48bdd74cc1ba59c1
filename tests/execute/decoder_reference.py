"""A decoder's arithmetic in NumPy, PE by PE in the order of the program: the oracle of bit-exact tests.

Also small models with random weights, and the same in float64 without any of the machine's order or rounding.
"""

import numpy as np

from wse.execute import strip_weights
from wse.machine import numerics
from wse.models.config import Transformer
from wse.models.weights import Weights
from wse.operators import cached_attention, layer_shape, math_functions
from wse.operators.code import Vec
from wse.program.fragments import f32 as bits_of

F = np.float32


def small(seed=0, tied=True, layers=2, d=24, heads=6, kv=2, d_head=8, f=40, vocab=101, sequence=64, **more):
    """A model with random weights of sensible sizes."""
    config = Transformer(
        name="small", layers=layers, d_model=d, heads=heads, kv_heads=kv, d_ff=f, vocab=vocab, sequence=sequence,
        d_head=d_head, norm="rms", activation="silu", gated=True, positions="rotary", bias=False, tied=tied, **more,
    )  # fmt: skip
    rng = np.random.default_rng(seed)

    def matrix(*shape):
        return (rng.standard_normal(shape) / np.sqrt(shape[-1])).astype(F)

    def gains():
        return (1 + 0.1 * rng.standard_normal(d)).astype(F)

    shapes = {"q": (heads * d_head, d), "k": (kv * d_head, d), "v": (kv * d_head, d), "o": (d, heads * d_head)}
    dense = {"gate": (f, d), "up": (f, d), "down": (d, f)}
    wide = config.d_expert or f
    of_experts = {"gate": (wide, d), "up": (wide, d), "down": (d, wide)}

    def of_layer(i):
        own = shapes | dense
        if config.block(i).experts:
            own |= {name: (config.experts, *shape) for name, shape in of_experts.items()}
            own["router"] = (config.experts, d)
            if n := config.d_shared:
                own |= {"shared_gate": (n, d), "shared_up": (n, d), "shared_down": (d, n)}
        made = {name: matrix(*s) for name, s in own.items()} | {"gains1": gains(), "gains2": gains()}
        if dict(config.numerics).get("topk_method") == "noaux_tc" and "router" in made:
            made["correction"] = (0.3 * rng.standard_normal(config.experts)).astype(F)
        return made

    made = [of_layer(i) for i in range(layers)]
    return Weights(config, 4 * matrix(vocab, d), None if tied else matrix(vocab, d), gains(), tuple(made), {})


def exact(weights, ids, storage):
    """Logits after each token in float64, of weights rounded to the format: [tokens, vocab]."""
    c, n, half = weights.config, len(ids), weights.config.d_head // 2

    def rounded(values):
        return numerics.round16(values, storage).astype(np.float64)

    def norm(x, gains):
        return x / np.sqrt((x**2).mean(-1, keepdims=True) + c.norm_eps) * gains

    angle = np.arange(n)[:, None] * c.rope_theta ** (-2.0 * np.arange(half) / c.d_head)
    cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]

    def turned(v):
        low, high = v[..., :half], v[..., half:]
        return np.concatenate([low * cos - high * sin, high * cos + low * sin], -1)

    x = rounded(weights.embedding)[ids]
    for layer in weights.layers:
        q, k, v = (norm(x, layer["gains1"]) @ rounded(layer[name]).T for name in "qkv")
        q, k = turned(q.reshape(n, c.heads, -1)), turned(k.reshape(n, c.kv_heads, -1))
        k, v = (np.repeat(a, c.heads // c.kv_heads, 1) for a in (k, v.reshape(n, c.kv_heads, -1)))
        scores = np.einsum("ihd,jhd->hij", q, k) / np.sqrt(c.d_head)
        scores = np.where(np.tril(np.ones((n, n))) > 0, scores, -np.inf)
        p = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = np.einsum("hij,jhd->ihd", p / p.sum(-1, keepdims=True), v)
        x = x + mixed.reshape(n, -1) @ rounded(layer["o"]).T
        y = norm(x, layer["gains2"])
        gate = y @ rounded(layer["gate"]).T
        x = x + (gate / (1 + np.exp(-gate)) * (y @ rounded(layer["up"]).T)) @ rounded(layer["down"]).T
    return norm(x, weights.gains) @ rounded(weights.embedding if weights.head is None else weights.head).T


class Mirror:
    """Executes the operations that functions of `Code` emit, on arrays by name."""

    def __init__(self, storage, **arrays):
        self.storage = storage
        self.bits = {name: np.ascontiguousarray(a).view(np.uint8).reshape(-1) for name, a in arrays.items()}

    def value(self, bits):
        return bits

    def _of(self, vec):
        words = self.bits[vec.at][vec.offset :].view(np.uint32 if vec.size == 4 else np.uint16)
        return words[: vec.n * vec.stride : vec.stride]

    def op(self, name, dst, *sources):
        values = [
            self._of(s) if isinstance(s, Vec) else int(s if isinstance(s, str) else bits_of(s), 0) for s in sources
        ]
        self._of(dst)[:] = numerics.element(name, self.storage, *values)

    def __getitem__(self, name):
        return self.bits[name].view(F)


def exponential(x, scale, storage):
    n = len(x)
    m = Mirror(storage, x=x.astype(F).copy(), y=np.zeros(n, F), e=np.zeros(n, np.uint16))
    math_functions.exp(m, Vec("x", n), Vec("y", n), Vec("e", n, 2), scale=scale)
    return m["y"]


def sigmoid(x, storage):
    n = len(x)
    m = Mirror(storage, x=x.astype(F).copy(), y=np.zeros(n, F), w=np.zeros(n, F), e=np.zeros(n, np.uint16))
    math_functions.sigmoid(m, Vec("x", n), Vec("y", n), Vec("w", n), Vec("e", n, 2))
    return m["y"]


def one_by_one(parts):
    """The sum over the first axis in f32, in its order."""
    return np.add.accumulate(np.asarray(parts, F), axis=0, dtype=F)[-1]


class Machine:
    """The model as the program computes it, one token after the other."""

    def __init__(self, weights, layout, storage):
        self.layout, self.s, self.storage = layout, layout.layer, storage
        frequencies = strip_weights.frequencies(weights.config, self.s, 0)
        self.tables = layer_shape.angles(self.s, *frequencies)
        d_head = self.s.d_head
        self.layers = [
            dict(strip_weights.layer_tiles(layer, layout.shape(i), storage, "", d_head))
            for i, layer in enumerate(weights.layers)
        ]
        for layer in self.layers:
            for name, values in layer.items():
                layer[name] = numerics.from_bits(values, storage) if values.dtype == np.uint16 else values
        others = {
            (name, y): v for name, v, y in strip_weights.tiles(weights, layout, storage) if name in ("table", "gains")
        }
        self.embedding = numerics.from_bits(others["table", 0], storage)
        self.head = numerics.from_bits(others["table", layout.head_top], storage)
        self.gains = others["gains", layout.head_top][0]
        s = self.s
        self.keys = np.zeros((layout.layers, s.height, s.width, s.dr, s.slots), F)
        self.cached = np.zeros((layout.layers, s.height, s.width, s.slots, s.dr), F)
        self.position = 0

    def round(self, values):
        return numerics.round16(values, self.storage)

    def product(self, weights, x):
        """The sum of a PE: weights [inputs, outputs], x [inputs]."""
        return numerics.matmul(weights.T, x[:, None], "f32", fused=True)[:, 0]

    def norm(self, x, gains, eps):
        columns = [one_by_one([F(0), *(row * row)]) for row in x]
        mean = one_by_one(columns) * F(1 / self.s.d_model)
        inverse = F(1) / np.sqrt(mean + F(eps))
        return self.round(x * inverse * gains)

    def outward(self, weights, x):
        """[rows, outputs] of a product with inputs x [columns, kx]."""
        return [one_by_one([self.product(w[c], x[c]) for c in range(self.s.width)]) for w in weights]

    def inward(self, weights, y):
        """[columns, kx] of a product with inputs y [rows, n]."""
        return np.stack(
            [one_by_one([self.product(w[c], v) for w, v in zip(weights, y, strict=True)]) for c in range(self.s.width)]
        )

    def token(self, token):
        """Process a token; the logits, float32 [vocab]."""
        s, t = self.s, self.layout.table
        row, entry = divmod(token, t.entries)
        x = self.embedding[row, :, :, entry].astype(F)
        for i, layer in enumerate(self.layers):
            attended = self.attention(i, self.outward(layer["w_qkv"], self.norm(x, layer["gains1"][0], s.eps)))
            x = x + self.inward(layer["w_o"], attended)
            normed = self.norm(x, layer["gains2"][0], s.eps)
            if "w_router" in layer:
                x = x + self.experts(layer, normed)
            else:
                x = x + self.inward(layer["w_down"], self.hidden(layer["w_up"], normed))
        normed = self.norm(x, self.gains, t.eps)
        self.position += 1
        return np.concatenate([one_by_one([self.product(w[c], normed[c]) for c in range(s.width)]) for w in self.head])[
            : t.vocab
        ]

    def hidden(self, w_up, normed):
        made = []
        for row in self.outward(w_up, normed):
            gate, up = np.split(row, 2)
            made.append(self.round(sigmoid(gate, self.storage) * gate * up))
        return made

    def experts(self, layer, normed):
        """[columns, kx] of the experts that the router chooses; padding of the router is never chosen."""
        s, kind = self.s, self.s.kind
        logits = np.concatenate(self.outward(layer["w_router"], normed))
        logits[kind.experts :] = strip_weights.NEVER
        scores = sigmoid(logits, self.storage) if kind.scoring == "sigmoid" else logits
        wanted = scores + layer["correction"][0, 0] if kind.scoring == "sigmoid" else logits
        wanted = self.of_groups(wanted[: kind.experts])
        chosen = np.argsort(-wanted, kind="stable")[: kind.active]
        if kind.scoring == "sigmoid":
            gates = scores[chosen]
            whole = one_by_one([F(1e-20), *gates]) if kind.gates_of_chosen else F(1)
            gates = gates * (F(kind.factor) / whole)
        else:
            greatest = logits[chosen].max()
            powers = exponential(logits[chosen] - greatest, 1.0, self.storage)
            shares = powers if kind.gates_of_chosen else exponential(logits - logits.max(), 1.0, self.storage)
            gates = powers * (F(kind.factor) / one_by_one([F(0), *shares]))
        chosen = [*chosen, *range(kind.experts, kind.mlps)]
        gates = np.array([*gates, *[1.0] * kind.shared], F)
        mixed = np.zeros((s.height, s.width, s.kx), F)
        for expert, gate in zip(chosen, gates, strict=True):
            hidden = self.hidden(layer["w_up"][:, :, expert], normed)
            for row, column in np.ndindex(s.height, s.width):
                m = Mirror(
                    self.storage,
                    sum=mixed[row, column],
                    part=self.product(layer["w_down"][row, column, expert], hidden[row]),
                )
                m.op("fmacs", Vec("sum", s.kx), Vec("sum", s.kx), Vec("part", s.kx), str(int(gate.view(np.uint32))))
                mixed[row, column] = m["sum"]
        return np.stack([one_by_one(mixed[:, column]) for column in range(s.width)])

    def of_groups(self, wanted):
        """-inf for what is in no group that is chosen."""
        kind = self.s.kind
        if kind.groups == 1:
            return wanted
        groups = wanted.reshape(kind.groups, -1)
        best = -np.sort(-groups, axis=1)
        scores = best[:, 0] + best[:, 1] if kind.scoring == "sigmoid" else best[:, 0]
        made = np.full_like(groups, -np.inf)
        for group in np.argsort(-scores, kind="stable")[: kind.active_groups]:
            made[group] = groups[group]
        return made.reshape(-1)

    def attention(self, i, projected):
        s, slot, turn = self.s, *divmod(self.position, self.s.width)
        half, n, heads = s.dr // 2, slot + 1, s.queries
        coarse, fine = (
            table[:, at] for table, at in zip(self.tables, divmod(self.position, layer_shape.FINE), strict=True)
        )
        cos = coarse[:, 0] * fine[:, 0] - coarse[:, 1] * fine[:, 1]
        sin = coarse[:, 1] * fine[:, 0] + coarse[:, 0] * fine[:, 1]
        queries = []
        for row, y in enumerate(projected):
            co, si = (np.tile(v[row % s.group], heads + 1) for v in (cos, sin))
            low, high = y[: s.turned], y[s.turned : 2 * s.turned]
            low, high = self.round(low * co - high * si), self.round(high * co + low * si)
            low, high = (v.reshape(heads + 1, half) for v in (low, high))
            queries.append(np.concatenate([low[:heads], high[:heads]], axis=1))
            self.keys[i, row, turn, :, slot] = np.concatenate([low[heads], high[heads]])
            self.cached[i, row, turn, slot] = self.round(y[2 * s.turned :])
        attended = []
        for group in range(s.kv_heads):
            rows = range(group * s.group, (group + 1) * s.group)
            scores = np.zeros((s.width, heads, n), F)
            for c in range(s.width):
                parts = []
                for row in rows:
                    own = np.stack([self.product(self.keys[i, row, c, :, :n], q) for q in queries[row]])
                    if c > turn:
                        own[:, n - 1] = cached_attention.MASKED
                    parts.append(own)
                scores[c] = one_by_one(parts)
            scores = scores - scores.max(axis=(0, 2))[:, None]
            flat = [exponential(scores[c].ravel(), s.d_head**-0.5, self.storage) for c in range(s.width)]
            p = self.round(np.stack(flat)).reshape(scores.shape)
            sums = one_by_one([[one_by_one([F(0), *p[c, h]]) for h in range(heads)] for c in range(s.width)])
            for row in rows:
                mixed = one_by_one(
                    [[self.product(self.cached[i, row, c, :n], p[c, h]) for h in range(heads)] for c in range(s.width)]
                )
                attended.append(self.round(mixed * (F(1) / sums)[:, None]).ravel())
        return attended
