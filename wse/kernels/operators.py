"""Kernels that run one operator of a transformer by itself, forward and backward, on random values.

OPERATORS is the table: name, default grid, inputs and outputs, parameters, and a function that builds the operator,
runs it and compares it with float64.  The function's docstring is the kernel's page in docs/kernels.md and in
`wse run NAME --help`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ..errors import ConfigError
from ..models.rope import frequencies
from ..operators import activation, linear, rotary, softmax, tiles
from ..operators import loss as losses
from ..operators.attention import Attention
from ..operators.attention_over_rows import AttentionOverRows
from ..operators.attention_reference import reference, slopes
from ..operators.edge import Edge
from ..operators.norm import Norm
from ..operators.policy import LEVELS, Policy
from . import Input, Parameter, Result, by_name
from .data import DTYPE, check, check_positive, record
from .options import RunOptions
from .single import EPSILON, Outcome, Single, Tensor, error, rounded, untiled
from .single import tiles as tiled

FEATURES = Parameter("features", int, 32, "Features of the activation, over the row of PEs.")
TOKENS = Parameter("tokens", int, 32, "Tokens of a row of PEs.")
GATED = Parameter("gated", bool, False, "Times a second activation, as in SwiGLU.")
EPS = Parameter("eps", float, 1e-5, "Added to the variance.")
# Integers of at least 1, wherever a kernel has them.
POSITIVE = (
    *("features", "inputs", "outputs", "heads", "kv_heads", "d_head", "sequence", "sequences", "rows", "tokens"),
)

# Inputs and outputs of several kernels.
X = Input("x", ("height*tokens", "features"), "The activation.")
DY = Input("dy", ("height*tokens", "features"), "Gradient of y.")
UP = Input("up", ("height*tokens", "features"), "The second factor, of the gated form.")
GAIN = Input("gain", ("features",), "Gains.")
QUERIES = ("height*sequences/rows", "width*heads", "sequence", "d_head")
KEYS = ("height*sequences/rows", "width*kv_heads", "sequence", "d_head")
Y = {"y": "[tokens, features] the result", "dx": "[tokens, features] gradient of x"}
DGAIN = {"dgain": "[features] gradient of gain"}
DUP = {"dup": "[tokens, features] gradient of up, of the gated form"}


class Job(Single):
    """A run of one of the kernels: its checked configuration, random values, and the result."""

    def __init__(self, kernel: Operator, config: Mapping[str, Any], options: RunOptions) -> None:
        check(kernel.name, kernel.PARAMETERS, config)
        check_positive(kernel.name, config, *(name for name in POSITIVE if name in config))
        self.kernel, self.config = kernel, config
        policy = Policy(config["dtype"], config.get("policy", "POL0"))
        grid = kernel.GRID[0], max(kernel.GRID[1], config.get("rows", 1))
        if kernel.check is not None:
            kernel.check(config, (options.grid or grid)[1])
        super().__init__(options, grid, policy, kernel.tokens(config))
        self.width, self.height = self.grid
        self.features = config.get("features", 0)
        self.rows = self.region.features(self.features)
        self.random = np.random.default_rng(options.seed)

    def normal(self, shape: tuple[int, ...], deviation: float = 1, mean: float = 0) -> np.ndarray:
        """Normally distributed values of the storage type, float32."""
        return rounded(self.random.normal(mean, deviation, shape), self.policy)

    def given(self, name: str, random: Callable[[], np.ndarray]) -> np.ndarray:
        """An input, rounded to the storage type, float32, or what `random` makes."""
        array = self.options.inputs.get(name)
        return random() if array is None else rounded(array, self.policy)

    def activation(self, name: str, deviation: float = 1, mean: float = 0) -> np.ndarray:
        """An activation, an input [all tokens, features] or random values, as [features, all tokens]."""
        shape = (self.features, self.height * self.tokens)
        return self.given(name, lambda: self.normal(shape, deviation, mean).T).T

    def heads(self, name: str, heads: int, d_head: int, shape: tuple[int, ...]) -> np.ndarray:
        """An input [sequences, heads, tokens of a sequence, d_head] or random values, as [groups of rows, columns,
        features of a column, tokens of a group]: `shape`.  heads: of a column."""
        array = self.options.inputs.get(name)
        if array is None:
            return self.normal(shape)
        groups, columns, _, tokens = shape
        split = rounded(array, self.policy).reshape(groups, -1, columns, heads, array.shape[2], d_head)
        return split.transpose(0, 2, 3, 5, 1, 4).reshape(groups, columns, heads * d_head, tokens)

    def tile(self, values: np.ndarray | None = None) -> Tensor:
        """An activation as tiles; without values, room for one."""
        cut = None if values is None else tiled(values, self.rows, self.width, self.tokens)
        return Tensor((self.rows, self.tokens), cut)

    def joined(self, outcome: Outcome, wanted: Mapping[str, np.ndarray]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """(computed, wanted) by name, of activations."""
        return {name: (untiled(outcome.arrays[name], self.features), value) for name, value in wanted.items()}

    def result(self, outcome: Outcome, compared: Mapping[str, tuple[np.ndarray, np.ndarray]], units: float) -> Result:
        """The kernel's Result.

        compared: (computed, wanted) by name.  units: the relative error that is allowed, in half units of the last
        place of the storage type.
        """
        record(outcome.run, self.kernel.name, self.config)
        if outcome.run.ended != "done":
            return Result(self.kernel.name, dict(self.config), outcome.run, False)
        errors = {name: error(got, wanted) for name, (got, wanted) in compared.items()}
        worst = max(errors.values())
        verified = worst <= units * EPSILON[self.policy.storage]
        made = Result(self.kernel.name, dict(self.config), outcome.run, verified, worst)
        made.text = [f"{name}: {cycles:,} cycles" for name, cycles in outcome.cycles.items()]
        made.outputs = {name: got.T if got.ndim == 2 else got for name, (got, _) in compared.items()}
        made.extra = {"phase_cycles": outcome.cycles, "errors": errors}
        return made


def run_softmax(job: Job) -> Result:
    """Softmax over the features of random activations, forward and backward.

    Data layout.  Tiles as in layernorm.

    Program.  The maximum of each token's features and the sum of the exponentials are all-reduced over the row of PEs;
    in backward the sum of y dy is.  All arithmetic is f32.  The kernels attention and crossentropy have a softmax of
    their own.

    What bounds it.  exp: about 17 cycles for an element of the tile in f32, 12 in 16 bits.

    The result is verified against float64, to 12 half units of the last place.
    """
    x, dy = job.activation("x", 3), job.activation("dy")
    made = softmax.Softmax(job.features, job.rows, job.tokens, job.width, job.policy.size)
    routines = [made.forward("forward", job.allreduce), made.backward("backward", job.allreduce)]
    outcome = job.execute(routines, {"x": job.tile(x), "dy": job.tile(dy), "y": job.tile(), "dx": job.tile()})
    wanted = dict(zip(("y", "dx"), softmax.reference(x, dy), strict=True))
    return job.result(
        outcome, job.joined(outcome, wanted), 12
    )  # y and dx are rounded, e^x has the error of its exponent


def run_layernorm(job: Job) -> Result:
    """Layer norm of random activations, forward and backward.

    Data layout.  On a grid of w x h PEs, PE (x, y) holds a tile [features][tokens] of an activation, tokens contiguous:
    features x f .. x f + f - 1 with f = ceil(features / w), of tokens y t .. y t + t - 1.  Features beyond the last are
    zero.  Gains and biases are f32 [f] in every PE, and so are their gradients; a row of PEs has the sums over its own
    tokens.

    Program.  The mean, the variance (of differences to the mean) and, in backward, two means of the gradient are sums
    of vectors of t tokens: first over the PE's own rows, then over the row of PEs by a chain to the east and a
    multicast back.  Everything else is vector operations on the tile.  1 / sqrt is three steps of Newton's iteration
    from a first value that is made from the bits of the number.  All arithmetic is f32; 16-bit elements are rounded
    when they are stored.

    What bounds it.  f32 products, one a cycle: about 5 cycles an element forward and 13 backward, and for small tiles
    the all-reduces, about 300 cycles for 32 tokens on four PEs.

    The result is verified against float64: |difference| / |result| of y, dx and the gradients of gain and bias is at
    most 12 half units of the last place of the element type.
    """
    return norm(job, "layer")


def run_rmsnorm(job: Job) -> Result:
    """RMS norm of random activations, forward and backward.

    As layernorm, without mean and bias: one all-reduce forward, one backward, and fewer operations on the tile.
    """
    return norm(job, "rms")


def norm(job: Job, kind: str) -> Result:
    """A norm, "layer" or "rms", against its reference."""
    rows, t, features = job.rows, job.tokens, job.features
    made = Norm(kind, features, rows, t, job.width, job.policy.size, job.config["eps"], kind == "layer")
    x, dy = job.activation("x", mean=0.5), job.activation("dy")

    def parameters(name: str, mean: float) -> np.ndarray:
        drawn = job.options.input(name, lambda: job.random.normal(mean, 0.2, features))
        return np.asarray(drawn, np.float32)

    gain, bias = parameters("gain", 1), parameters("bias", 0)

    def vector(values: np.ndarray) -> Tensor:
        padded = np.zeros(rows * job.width, np.float32)
        padded[:features] = values
        return Tensor((rows,), padded.reshape(1, job.width, rows), "f32")

    tensors = {name: job.tile() for name in ("y", "xhat", "dx")}
    tensors |= {"x": job.tile(x), "dy": job.tile(dy), "gain": vector(gain)}
    tensors |= {"rstd": Tensor((t,), dtype="f32"), "dgain": Tensor((rows,), dtype="f32")}
    if made.bias:
        tensors |= {"bias": vector(bias), "dbias": Tensor((rows,), dtype="f32")}
    outcome = job.execute([made.forward("forward", job.allreduce), made.backward("backward", job.allreduce)], tensors)
    y, xhat, rstd = made.reference(x, gain, bias if made.bias else None)
    dx, dgain, dbias = made.reference_backward(dy, gain, xhat, rstd)
    compared = job.joined(outcome, {"y": y, "dx": dx})
    for name, wanted in (("dgain", dgain), ("dbias", dbias)):
        if name in outcome.arrays:
            compared[name] = (outcome.arrays[name].sum(axis=0, dtype=np.float64).ravel()[:features], wanted)
    return job.result(outcome, compared, 12)  # xhat and the results are rounded, f32 sums run over all features


def run_gelu(job: Job) -> Result:
    """GELU of random activations, exact or in the tanh form, plain or gated, forward and backward.

    Data layout.  Tiles as in layernorm; the PEs are independent.

    Program.  Forward overwrites its input with the derivative, so that backward is one product, of 16-bit elements 2 a
    cycle.  The tanh form is x sigmoid(2 u), u = sqrt(2 / pi) (x + 0.044715 x^3).  The exact form uses the tail of the
    normal distribution, e^(-x^2 / 2) times a polynomial of 1 / (1 + p |x|), which is accurate for x far below 0.  exp
    splits off n = x / ln 2 rounded, evaluates a polynomial and adds n to the exponents; 1 / x is Newton's iteration
    from a first value that is made from the bits of the number.  All of it is f32 and goes in chunks of 256 elements;
    for 16-bit elements polynomials and iterations are shorter.

    What bounds it.  f32 products, one a cycle: forward about 24 cycles an element in 16 bits, 32 in f32.

    The result is verified against float64, to 8 half units of the last place.
    """
    return elementwise(job, "gelu" if job.config["exact"] else "gelu_tanh")


def run_silu(job: Job) -> Result:
    """SiLU of random activations, plain or gated (SwiGLU), forward and backward.

    As gelu, with x sigmoid(x).
    """
    return elementwise(job, "silu")


def elementwise(job: Job, function: str) -> Result:
    """An activation function, plain or gated, against its reference."""
    n, size = job.rows * job.tokens, job.policy.size
    if "up" in job.options.inputs and not job.config["gated"]:
        raise ConfigError(f"up of {job.kernel.name} is an input of the gated form: gated must be true")
    x, up, dy = (job.activation(name, deviation) for name, deviation in (("x", 2), ("up", 1), ("dy", 1)))
    value, slope = activation.reference(function, x)
    if job.config["gated"]:
        tensors = {"gate": job.tile(x), "up": job.tile(up), "dy": job.tile(dy)}
        forward = activation.gate_forward(function, n, size, "forward")
        backward = activation.gate_backward(n, size, "backward")
        wanted = {"y": value * up, "dgate": dy * up * slope, "dup": dy * value}
    else:
        tensors = {"x": job.tile(x), "dy": job.tile(dy)}
        forward = activation.forward(function, n, size, "forward")
        backward = activation.backward(n, size, "backward")
        wanted = {"y": value, "dx": dy * slope}
    outcome = job.execute([forward, backward], tensors | {name: job.tile() for name in wanted})
    result = job.result(
        outcome, job.joined(outcome, wanted), 8
    )  # function and slope are rounded, then products of them
    if "dgate" in result.outputs:
        result.outputs["dx"] = result.outputs.pop("dgate")
    return result


def run_crossentropy(job: Job) -> Result:
    """Softmax cross-entropy of random logits and labels: the losses and their gradient.

    Data layout.  Logits are tiles as in layernorm, the vocabulary along a row of PEs; all PEs of a row have its labels.

    Program.  As softmax.  The PE that holds the column of a token's label adds the label's logit to what is all-reduced
    with the sums, and subtracts one from that element of the gradient.  log is an f32 polynomial of the mantissa.  Loss
    and gradient are made in one pass; the gradient is multiplied by the loss scale over the number of tokens.

    What bounds it.  exp, and about 40 cycles a token for its label.

    The result is verified against float64, to 12 half units of the last place.
    """
    t, height = job.tokens, job.height
    logits = job.activation("logits", 3)
    labels = job.options.input("labels", lambda: job.random.integers(0, job.features, height * t))
    if labels.min() < 0 or labels.max() >= job.features:
        raise ConfigError(
            f"labels of crossentropy are 0 to {job.features - 1}, indices of logits, "
            f"not {labels.min()} to {labels.max()}"
        )
    scale = 1 / (height * t)
    routine = losses.Loss(job.features, job.rows, t, job.width, job.policy.size).routine("loss", job.allreduce)
    tensors = {
        "logits": job.tile(logits),
        "labels": Tensor((t,), labels.reshape(height, 1, t), "u16"),
        "scale": Tensor((1,), np.full(1, scale, np.float32), "f32"),
        "dlogits": job.tile(),
        "loss": Tensor((1,), dtype="f32"),
    }
    outcome = job.execute([routine], tensors)
    by_token, gradient = losses.reference(logits, labels, scale)
    by_row = np.repeat(by_token.reshape(height, t).sum(axis=1)[:, None], job.width, axis=1)
    compared = job.joined(outcome, {"dlogits": gradient}) | {"loss": (outcome.arrays["loss"][..., 0], by_row)}
    made = job.result(outcome, compared, 12)  # the gradient is rounded, e^x has the error of its exponent
    if made.outputs:
        made.outputs["loss"] = made.outputs["loss"].T[:, 0].sum() / (height * t)
    return made


def run_rotary(job: Job) -> Result:
    """Rotary positions applied to random queries, and taken back from their gradient.

    Data layout.  A PE holds whole heads [heads d_head][tokens] and whole sequences; tables of cosines and sines, f32
    [turned / 2][tokens], are in its memory.

    Program.  The first `turned` features of each head are rotated as pairs (c, c + turned / 2), in place, by vector
    operations over all tokens and half of the head at once; backward rotates by the opposite angle.

    What bounds it.  f32 products, two an element.

    The result is verified against float64, to 4 half units of the last place.
    """
    heads, d_head, theta, t = (job.config[name] for name in ("heads", "d_head", "theta", "tokens"))
    rows, turned = heads * d_head, job.config["turned"] or d_head
    if turned % 2 or not 0 < turned <= d_head:
        raise ConfigError(
            f"turned of rotary must be an even number of features, at most d_head = {d_head} (0: all of them), "
            f"not {turned}: features are turned in pairs"
        )
    made = rotary.Rotary(heads, d_head, turned, t, job.policy.size)
    positions = np.arange(t)
    cos, sin = rotary.tables(frequencies(turned, theta)[0], positions)
    shape = (job.height, job.width, rows, t)
    x, dy = (job.heads(name, heads, d_head, shape) for name in ("x", "dy"))
    tensors = {"x": Tensor((rows, t), x), "dx": Tensor((rows, t), dy)}
    tensors |= {"cos": Tensor(cos.shape, cos, "f32"), "sin": Tensor(sin.shape, sin, "f32")}
    outcome = job.execute([made.forward("forward"), made.backward("backward")], tensors, {"backward.x": "dx"})
    compared = {}
    for name, values, sign in (("x", x, 1), ("dx", dy, -1)):
        wanted = [rotary.reference(tile, heads, turned, theta, positions, sign) for tile in values.reshape(-1, rows, t)]
        compared[name] = (outcome.arrays[name], np.reshape(wanted, values.shape))
    result = job.result(outcome, compared, 4)  # each value is rounded once
    renamed = {"x": "y", "dx": "dx"}
    result.outputs = {renamed[name]: by_heads(got, heads, t) for name, got in result.outputs.items()}
    return result


def by_heads(values: np.ndarray, heads: int, sequence: int) -> np.ndarray:
    """[groups of rows, columns, features, tokens...] as [sequences, heads, tokens, d_head], as inputs are."""
    groups, columns, features, tokens = values.reshape(*values.shape[:3], -1).shape
    split = values.reshape(groups, columns, heads, features // heads, tokens // sequence, sequence)
    return split.transpose(0, 4, 1, 2, 5, 3).reshape(-1, columns * heads, sequence, features // heads)


def run_attention(job: Job) -> Result:
    """Attention of random queries, keys and values, forward and backward.

    Data layout.  A PE holds whole heads of whole sequences: q, o [heads d_head][tokens] and k, v [kv_heads
    d_head][tokens], tokens contiguous; with fewer heads of keys and values than of queries, several share one.

    Program.  The scores of a head and a sequence are stored as S[j][i], key j and query i, so that the sums and maxima
    of softmax over keys are operations on rows, and each product is a multiply-add of a row by one number: S[j][:] +=
    k[c][j] q[c][:], o[c][:] += v[c][j] P[j][:].  Under a causal mask keys come in four blocks whose rows begin at the
    block's first key, which saves 6/16 of all work.  Forward keeps for each query the maximum score and 1 / the sum,
    from which backward computes P again.  Sums and softmax are f32; 16-bit factors are rounded.  With `half` scores and
    sums of products have 16 bits.

    With `alibi` scores fall with the distance of the tokens.  A sequence may be spread over several rows of PEs: then
    keys and values pass round its rows, one step for each row, and in backward their gradients pass with them until
    they are back at their own row.

    What bounds it.  Multiply-adds of 16-bit factors to f32 sums, 1.3 a cycle as two operands share memory banks (f32:
    1; 16-bit sums: 4), two products forward and five backward; then exp, 7 cycles a score.

    The result is verified against float64, to 24 half units of the last place; with `half` to 48.
    """
    config, policy, width, height, t = job.config, job.policy, job.width, job.height, job.tokens
    heads, kv_heads, d_head, sequence, sequences, rows = (
        config[name] for name in ("heads", "kv_heads", "d_head", "sequence", "sequences", "rows")
    )
    shape, more = (heads, kv_heads, d_head), (config["causal"], config["half"], config["alibi"])
    whole = Attention(*shape, sequence, sequence * sequences, policy.size, *more)
    made: Attention | AttentionOverRows = whole
    if rows > 1:
        made = AttentionOverRows(*shape, rows, t, policy.size, *more)
        made.declare(job.region)
    features = {"q": heads * d_head, "k": kv_heads * d_head, "v": kv_heads * d_head, "do": heads * d_head}
    groups = height // rows
    # [group of rows, column, features, tokens of all of its rows]
    values = {
        name: job.heads(name, count // d_head, d_head, (groups, width, count, rows * t))
        for name, count in features.items()
    }
    tensors = {}
    for name, value in values.items():
        by_row = value.reshape(groups, width, -1, rows, t).transpose(0, 3, 1, 2, 4)
        tensors[name] = Tensor((features[name], t), by_row.reshape(height, width, -1, t))
    tensors |= {name: Tensor((features[of], t)) for name, of in (("o", "q"), ("dq", "q"), ("dk", "k"), ("dv", "v"))}
    tensors["stash"] = Tensor((made.stash,), dtype="f32")
    steep = slopes(heads) if config["alibi"] else None
    if steep is not None:
        tensors["slopes"] = Tensor((heads,), steep, "f32")
    outcome = job.execute([made.forward("forward"), made.backward("backward")], tensors)
    found: dict[str, list[np.ndarray]] = {name: [] for name in ("o", "dq", "dk", "dv")}
    for y in range(groups):
        for x in range(width):
            q, k, v, do = (values[name][y, x] for name in ("q", "k", "v", "do"))
            for name, wanted in zip(found, reference(q, k, v, whole, do, steep), strict=True):
                found[name].append(wanted)
    compared = {}
    for name, parts in found.items():
        got = outcome.arrays[name].reshape(groups, rows, width, -1, t).transpose(0, 2, 3, 1, 4)
        compared[name] = (got, np.reshape(parts, got.shape))
    # Probabilities and dS are factors of 16 bits, differences of gradients cancel; with `half` every sum is rounded.
    result = job.result(outcome, compared, 48 if config["half"] else 24)
    count = {"o": heads, "dq": heads, "dk": kv_heads, "dv": kv_heads}
    result.outputs = {name: by_heads(got, count[name], sequence) for name, got in result.outputs.items()}
    return result


def check_attention(config: Mapping[str, Any], height: int) -> None:
    """Raise ConfigError for sizes that do not fit together.  height: of the grid."""
    rows, sequence = config["rows"], config["sequence"]
    if config["heads"] % config["kv_heads"]:
        raise ConfigError(f"kv_heads of attention must divide heads {config['heads']}, not be {config['kv_heads']}")
    if height % rows:
        raise ConfigError(f"rows of attention must divide the {height} rows of the grid, not be {rows}")
    if sequence % (2 * rows) or (rows > 1 and config["sequences"] > 1):
        raise ConfigError(
            f"attention needs an even number of tokens in a row of PEs, of one sequence where it is spread over "
            f"{rows} of them: sequence {sequence} and sequences {config['sequences']} do not give that"
        )


def run_linear(job: Job) -> Result:
    """A linear layer y = W x + b on random numbers, forward and backward: weights are streamed in, gradients out.

    Data layout.  On a grid of w x h PEs, PE (x, y) holds a tile [features][tokens] of an activation, tokens contiguous:
    features x f .. x f + f - 1 with f = ceil(features / w), of tokens y t .. y t + t - 1.  Features beyond the last are
    zero.  Weights and bias are outside: column x of the wafer's edge has those of the inputs of column x, in the order
    in which the column takes them, and takes the sums of their gradients.

    Program.  For each weight that arrives in a column, every PE of the column adds the weight times its t tokens of an
    input to those of an output; the weight is not kept.  Forward, partial sums of outputs pass round the row and end in
    the layout of the inputs.  Backward, gradients of outputs pass round the row, those of the inputs are summed in
    place, and the gradients of the weights, products over a PE's tokens, are summed up the columns on their way out.
    With `density` below 1, weights that are 0 are not sent, and each of the others carries the index of its input.
    With `chunkwise`, a PE keeps two tiles of the gradients of outputs at a time, not those of the whole row.

    What bounds it.  The multiply-adds: t / 2 + 1 cycles a weight for f32 sums of 16-bit elements (POL0), t / 4 + 1 for
    16-bit sums (POL1, POL2), t + 1 for f32; passing on partial sums, two slots for each sum and column; and the
    transpose of the gathered gradients.  `cycles_per_weight` gives the measured figure.

    The result is verified against float64.  |difference| / |result| of y and dx is at most 4 half units of the last
    place of the element type for f32 sums (8 of f32), and for 16-bit sums 4 times the square root of their number; the
    weights' and biases' gradients are f32 sums.
    """
    config, options, policy, region = job.config, job.options, job.policy, job.region
    inputs, outputs, sparse = config["inputs"], config["outputs"], config["density"] < 1
    x, dx = region.activation("x", inputs), region.activation("dx", inputs)
    y, dy = region.activation("y", outputs), region.activation("dy", outputs)
    with region.task("forward", 8):
        forward = linear.forward(region, x, y, bias=True, sparse=sparse)
    with region.task("backward", 9):
        backward, _ = linear.backward(region, x, dy, dx, bias=True, sparse=sparse, chunkwise=config["chunkwise"])
    region.finish()
    random, tokens = job.random, job.height * job.tokens
    values = {"x": random.normal(size=(tokens, inputs)), "dy": random.normal(size=(tokens, outputs))}
    values |= {"weight": random.normal(size=(outputs, inputs)) / inputs**0.5, "bias": random.normal(size=outputs)}
    values["weight"] *= random.random((outputs, inputs)) < config["density"]
    values = {name: rounded(value, policy) for name, value in (values | dict(options.inputs)).items()}
    fabric = options.fabric(region.program)
    edge = Edge(fabric, region)
    tiles.write(fabric, region, "x", values["x"])
    tiles.write(fabric, region, "dy", values["dy"])
    cycles, before, run = {}, 0, None
    for task, stream in (("forward", forward), ("backward", backward)):
        edge.feed(task, {stream: values})
        fabric.launch(task)
        run = options.run(fabric, more=task == "forward")
        cycles[task], before = run.cycles - before, run.cycles
        if run.ended != "done":
            break
    assert run is not None
    record(run, "linear", config)
    result = Result("linear", dict(config), run, verified=False, extra={"seed": options.seed, "phase_cycles": cycles})
    if run.ended == "done":
        ((_, gradients),) = edge.take("backward")
        got = gradients | {name: tiles.read(fabric, region, name, n) for name, n in (("y", outputs), ("dx", inputs))}
        result.outputs = {"y": got["y"], "dx": got["dx"], "dweight": got["weight"], "dbias": got["bias"]}
        compare_linear(result, policy, values, got)
        weights = np.count_nonzero(values["weight"]) / region.width
        each = {task: count / weights for task, count in cycles.items()}
        result.extra["cycles_per_weight"] = each
        result.text += [
            f"{task:12} {cycles[task]:,} cycles, {each[task]:.1f} for each weight of a column" for task in cycles
        ]
    return result


def compare_linear(
    result: Result, policy: Policy, values: Mapping[str, np.ndarray], got: Mapping[str, np.ndarray]
) -> None:
    """Enter the errors against float64 in the result, and whether they are within the bounds of the policy."""
    x, dy, weight, bias = (values[name].astype(np.float64) for name in ("x", "dy", "weight", "bias"))
    unit, f32 = EPSILON[policy.storage], 8 * EPSILON["f32"]

    def allowed(terms: int, sums: str) -> float:
        return {"f32": f32, "exact": 4 * unit}.get(sums, 4 * unit * terms**0.5)

    gradient = {"f32": f32, "exact": f32}.get(policy.gradients, 4 * unit * len(x) ** 0.5)
    wanted = {
        "y": (x @ weight.T + bias, allowed(x.shape[1] + 1, policy.products)),
        "dx": (dy @ weight, allowed(dy.shape[1], policy.products)),
        "weight": (dy.T @ x, gradient),
        "bias": (dy.sum(axis=0), f32),
    }
    errors = {name: error(got[name], value) for name, (value, _) in wanted.items()}
    result.verified = all(errors[name] <= bound for name, (_, bound) in wanted.items())
    result.max_error = max(errors.values())
    result.extra["errors"] = errors


def check_linear(config: Mapping[str, Any], height: int) -> None:
    """Raise ConfigError for a density that is none."""
    if not 0 < config["density"] <= 1:
        raise ConfigError(f"density of linear is above 0 and at most 1, not {config['density']}")


class Operator:
    """A kernel as wse.kernels describes it, made of a row of OPERATORS.

    inputs, outputs: its INPUTS and OUTPUTS.
    check: raises ConfigError for values that do not fit together, from the configuration and the height of the grid.
    tokens: of a PE's row, from the configuration.
    """

    def __init__(
        self,
        execute: Callable[[Job], Result],
        grid: tuple[int, int],
        *parameters: Parameter,
        inputs: dict[str, Input],
        outputs: dict[str, str],
        check: Callable[[Mapping[str, Any], int], None] | None = None,
        tokens: Callable[[Mapping[str, Any]], int] = lambda config: config["tokens"],
    ) -> None:
        self.name = execute.__name__.removeprefix("run_")
        self.execute, self.GRID, self.check, self.tokens = execute, grid, check, tokens
        self.INPUTS, self.OUTPUTS = inputs, outputs
        self.PARAMETERS = by_name(*parameters)
        self.__doc__ = inspect.getdoc(execute)

    def run(self, config: Mapping[str, Any], options: RunOptions) -> Result:
        """See wse.kernels."""
        return self.execute(Job(self, config, options))


OPERATORS = {
    operator.name: operator
    for operator in (
        Operator(
            run_linear,
            (4, 2),
            Parameter("inputs", int, 32, "Features of x, over the row of PEs."),
            Parameter("outputs", int, 128, "Features of y, over the row of PEs."),
            TOKENS,
            Parameter("density", float, 1.0, "Share of the weights that are not 0; below 1, only those are sent."),
            Parameter("chunkwise", bool, False, "Keep two tiles of a row's gradients at a time, not all."),
            DTYPE,
            Parameter("policy", str, "POL0", "How sums are made: in f32, mixed, or in 16 bits.", choices=LEVELS),
            inputs=by_name(
                Input("x", ("height*tokens", "inputs"), "The layer's input."),
                Input("weight", ("outputs", "inputs"), "W of y = x W^T + b."),
                Input("bias", ("outputs",), "b."),
                Input("dy", ("height*tokens", "outputs"), "Gradient of y."),
            ),
            outputs={
                "y": "[tokens, outputs] x W^T + b",
                "dx": "[tokens, inputs] gradient of x",
                "dweight": "[outputs, inputs] gradient of W",
                "dbias": "[outputs] gradient of b",
            },
            check=check_linear,
        ),
        Operator(
            run_attention,
            (2, 2),
            Parameter("heads", int, 1, "Heads of a PE."),
            Parameter("kv_heads", int, 1, "Heads of keys and values of a PE; divides heads."),
            Parameter("d_head", int, 8, "Features of a head."),
            Parameter("sequence", int, 32, "Tokens of a sequence."),
            Parameter("sequences", int, 1, "Sequences of a row of PEs."),
            Parameter("rows", int, 1, "Rows of PEs that a sequence is spread over."),
            Parameter("causal", bool, True, "A token sees none after it."),
            Parameter("alibi", bool, False, "Scores fall with distance, in each head by another slope."),
            Parameter("half", bool, False, "16-bit sums and scores, as in POL2."),
            DTYPE,
            inputs=by_name(
                Input("q", QUERIES, "Queries."),
                Input("k", KEYS, "Keys."),
                Input("v", KEYS, "Values."),
                Input("do", QUERIES, "Gradient of o."),
            ),
            outputs={
                "o": "[sequences, heads, tokens, d_head] the output",
                "dq": "[sequences, heads, tokens, d_head] gradient of q",
                "dk": "[sequences, kv_heads, tokens, d_head] gradient of k",
                "dv": "[sequences, kv_heads, tokens, d_head] gradient of v",
            },
            check=check_attention,
            tokens=lambda config: config["sequence"] * config["sequences"] // config["rows"],
        ),
        Operator(run_softmax, (4, 2), FEATURES, TOKENS, DTYPE, inputs=by_name(X, DY), outputs=Y),
        Operator(
            run_layernorm,
            (4, 2),
            *(FEATURES, TOKENS, EPS, DTYPE),
            inputs=by_name(X, DY, GAIN, Input("bias", ("features",), "Biases.")),
            outputs=Y | DGAIN | {"dbias": "[features] gradient of bias"},
        ),
        Operator(
            run_rmsnorm,
            (4, 2),
            *(FEATURES, TOKENS, EPS, DTYPE),
            inputs=by_name(X, DY, GAIN),
            outputs=Y | DGAIN,
        ),
        Operator(
            run_gelu,
            (2, 2),
            FEATURES,
            TOKENS,
            Parameter("exact", bool, False, "By the error function, not the tanh form."),
            GATED,
            DTYPE,
            inputs=by_name(X, DY, UP),
            outputs=Y | DUP,
        ),
        Operator(run_silu, (2, 2), FEATURES, TOKENS, GATED, DTYPE, inputs=by_name(X, DY, UP), outputs=Y | DUP),
        Operator(
            run_rotary,
            (2, 2),
            Parameter("heads", int, 2, "Heads of a PE."),
            Parameter("d_head", int, 8, "Features of a head."),
            Parameter("turned", int, 0, "Of these, how many are turned; 0: all."),
            TOKENS,
            Parameter("theta", float, 10_000.0, "Base of the angles."),
            DTYPE,
            inputs=by_name(
                Input("x", ("height", "width*heads", "tokens", "d_head"), "Queries or keys."),
                Input("dy", ("height", "width*heads", "tokens", "d_head"), "Gradient of y."),
            ),
            outputs={
                "y": "[sequences, heads, tokens, d_head] x turned by its positions",
                "dx": "[sequences, heads, tokens, d_head] gradient of x",
            },
        ),
        Operator(
            run_crossentropy,
            (4, 2),
            *(replace(FEATURES, default=90, help="Words of the vocabulary."), TOKENS, DTYPE),
            inputs=by_name(
                Input("logits", ("height*tokens", "features"), "Logits."),
                Input("labels", ("height*tokens",), "The right word of each token.", kind="int"),
            ),
            outputs={
                "loss": "mean cross-entropy of all tokens",
                "dlogits": "[tokens, features] its gradient",
            },
        ),
    )
}
