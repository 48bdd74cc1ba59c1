"""The walk over an exported graph: which nodes the host evaluates, which are operators, and the graph that is made.

A node that depends on inputs alone, or on parameters alone, is the host's: what prepares an input (patches of an image,
rows of an embedding table), and expressions of weights.  A node that combines both is mapped by the function that
`handles` registered for its operation, in one of the other modules here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch.fx import Node

from ..errors import ConfigError
from ..models.graph import Operator, Parameter, Tensor
from .axes import FEATURES, Axes, Piece, Unmappable, merged
from .values import Expression, Lazy, Root, Value

aten = torch.ops.aten
HANDLERS: dict[Any, Callable[..., Any]] = {}  # by operation; called with the walk and the node's arguments


def handles(*targets: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Registers the function that maps these operations."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        HANDLERS.update(dict.fromkeys(targets, function))
        return function

    return register


def where(node: Node) -> str:
    """A node in the user's terms: the line of the module, else the path of the submodule."""
    trace = node.meta.get("stack_trace") or ""
    lines = [line.strip() for line in trace.splitlines() if line.strip().startswith("File ")]
    own = [i for i in lines if "/torch/" not in i.split(",")[0]]
    if own:
        file, line, *_ = own[-1].removeprefix("File ").split(", ")
        return f"{file.strip(chr(34))}:{line.removeprefix('line ')}"
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    return f"in {stack[-1][0] or 'the module'}" if stack else "in the module"


class Walk:
    """A walk over an exported graph, in its order.

    values: of the nodes that the fabric computes.  kind: of the host's nodes, what they depend on: "input", "weight" or
    "constant".  entry: the input, as the host prepares it.  tokens: sizes of its dimensions but the last, by root.
    sequence: the roots that are the tokens of a sequence, once an operation says so.  tables: rows that are added to
    the tokens of sequences, and their number, by the tensor with them.
    """

    def __init__(self, exported: Any, name: str) -> None:
        self.exported, self.name = exported, name
        self.operators: list[Operator] = []
        self.tensors: dict[str, Tensor] = {}
        self.parameters: dict[str, Expression] = {}
        self.values: dict[Node, Any] = {}
        self.tables: dict[str, tuple[Expression, int]] = {}
        self.kind: dict[Node, str] = {}
        self.entry: Expression | None = None
        self.entered: dict[Node, Value] = {}
        self.tokens: dict[str, int] = {}
        self.sequence: tuple[str, ...] | None = None
        self.node: Node = next(iter(exported.graph.nodes))
        signature = exported.graph_signature
        self.trained, self.users = set(signature.inputs_to_parameters), set(signature.user_inputs)

    def visit(self, node: Node) -> None:
        """Maps one node."""
        self.node = node
        if node.op == "placeholder":
            n = node.name
            self.kind[node] = "weight" if n in self.trained else "input" if n in self.users else "constant"
        elif node.op == "get_attr":
            self.kind[node] = "constant"
        elif node.op == "call_function":
            self._call()

    # --- errors and names ---------------------------------------------------------------------------------------------

    def refuse(self, why: str = "") -> ConfigError:
        """The error for the current node."""
        target = getattr(self.node.target, "_schema", None)
        name = target.name.split("::")[-1] if target is not None else str(self.node.target)
        return ConfigError(f"{where(self.node)}: {name} is not executed on the fabric{': ' if why else ''}{why}")

    def emit(
        self, kind: str, inputs: Sequence[str], features: int, weights: dict[str, tuple] | None = None, **attributes
    ):
        """Adds an operator.  weights: role -> (shape, expression).  Returns the tensor that it writes."""
        name = f"{self.node.name}.{len(self.operators)}"
        made = {}
        for role, (shape, expression) in (weights or {}).items():
            made[role] = Parameter(f"{name}.{role}", shape)
            self.parameters[made[role].name] = expression
        into = sum(self.tensors[i].features for i in inputs)
        outputs = () if kind == "output" else (name,)
        if outputs:
            self.tensors[name] = Tensor(name, features)
        both = (into, features)
        self.operators.append(Operator(name, kind, "mlp", None, tuple(inputs), outputs, both, made, attributes))
        return name

    def _call(self) -> None:
        node = self.node
        sources = list(node.all_input_nodes)
        if not any(source in self.values for source in sources):
            kinds = {self.kind[source] for source in sources} - {"constant"}
            lookup = node.target is aten.embedding.default  # rows of a table: the host looks them up
            if len(kinds) < 2 or lookup:
                self.kind[node] = "input" if "input" in kinds else kinds.pop() if kinds else "constant"
                return
        method = HANDLERS.get(node.target)
        if method is None:
            raise self.refuse()
        try:
            self.values[node] = method(self, *node.args, **node.kwargs)
        except Unmappable as error:
            raise self.refuse(str(error)) from None
        except TypeError as error:
            raise self.refuse(f"its arguments are not known here ({error})") from None

    def is_weight(self, node: Any) -> bool:
        """Whether the host evaluates the node, and it depends on no input."""
        return isinstance(node, Node) and node not in self.values and self.kind[node] != "input"

    def expression(self, node: Any) -> Expression:
        """Of a node of the host that is no activation."""
        if not isinstance(node, Node) or node in self.values:
            raise self.refuse("a weight was expected where the module computes an activation")
        if self.kind[node] == "input":
            raise self.refuse("it takes a weight from an input")
        return lambda env: env[node]

    def shape(self, node: Node) -> tuple[int, ...]:
        """Of the value of any node."""
        return tuple(int(n) for n in node.meta["val"].shape)

    def value(self, node: Any) -> Value:
        """The activation of a node; one of the host's enters here."""
        if isinstance(node, Node) and node in self.values:
            found = self.values[node]
            if isinstance(found, Root):
                raise self.refuse(
                    "x rsqrt(mean(x^2) + eps) over the features is executed, and no other use of its parts"
                )
            if not isinstance(found, Value):
                raise self.refuse("it takes attention apart in another way than scores, softmax, product")
            return found
        if not isinstance(node, Node) or self.kind[node] != "input":
            raise self.refuse("an activation was expected where the module has a weight or a number")
        if node not in self.entered:
            self._enter(node)
        return self.entered[node]

    def _enter(self, node: Node) -> None:
        """The first activation of the host, and those that are permutations of it."""
        origin, steps = node, []
        moves = {aten.transpose.int, aten.permute.default, aten.contiguous.default, aten.clone.default}
        while origin.op == "call_function" and origin.target in moves and isinstance(origin.args[0], Node):
            steps.append(origin)
            origin = origin.args[0]
        if origin not in self.entered:
            *tokens, features = self.shape(origin)
            self.entered[origin] = self.begin(lambda env: env[origin], tokens, features)
        for step in reversed(steps):
            current, self.node = self.node, step
            self.entered[step] = HANDLERS[step.target](self, *step.args, **step.kwargs)
            self.node = current

    def begin(self, entry: Expression, tokens: Sequence[int], features: int) -> Value:
        """The input, which the host prepares with `entry`: sizes of its dimensions of tokens, and its features."""
        if self.entry is not None:
            raise self.refuse("a second activation enters from the host: one is supported")
        self.entry = entry
        self.tokens = {f"t{i}": n for i, n in enumerate(tokens)}
        dims = [merged([Piece(root, 1, n)]) for root, n in self.tokens.items()]
        return Value(self.emit("input", (), features), features, Axes((*dims, merged([Piece(FEATURES, 1, features)]))))

    def tensor(self, value: Value) -> Value:
        """The value as a tensor of the graph that has the features of the value and no others."""
        indices = value.axes.indices()
        whole = len(indices) == value.features and value.axes.offset == 0
        if isinstance(value.tensor, str):
            if not whole:
                raise self.refuse("it takes a part of the features of what no linear layer computes")
            return value
        lazy = value.tensor
        key = indices.tobytes()
        if key not in lazy.made:
            if lazy.kind == "rmsnorm" and whole:
                assert lazy.weight is not None
                gain = {"gain": ((lazy.features,), lazy.weight)}
                lazy.made[key] = self.emit(lazy.kind, (lazy.source,), lazy.features, gain, **lazy.attributes)
            elif lazy.kind != "linear":
                if not whole:
                    raise self.refuse("it takes a part of the features of an activation")
                lazy.made[key] = self.emit(lazy.kind, (lazy.source,), lazy.features, **lazy.attributes)
            else:
                assert lazy.weight is not None
                rows = None if whole else torch.from_numpy(indices)
                weights: dict[str, tuple[tuple[int, ...], Expression]]
                weights = {"weight": ((len(indices), self.tensors[lazy.source].features), part(lazy.weight, rows))}
                if lazy.bias is not None:
                    weights["bias"] = ((len(indices),), part(lazy.bias, rows))
                lazy.made[key] = self.emit("linear", (lazy.source,), len(indices), weights)
        return Value(lazy.made[key], len(indices), value.axes.compacted())

    def vectors(self, node: Any) -> Value:
        """A tensor whose last dimension is all its features."""
        value = self.tensor(self.value(node))
        if not value.axes.vectors(value.features):
            raise self.refuse("the last dimension must hold the features of one token, all of them")
        return value

    def like(self, value: Value, tensor: str | Lazy, features: int) -> Value:
        """A value with the tokens of another and other features, in the last dimension."""
        dims = (*value.axes.rows, merged([Piece(FEATURES, 1, features)]))
        return Value(tensor, features, replace(value.axes, dims=dims, offset=0))

    def is_sequence(self, roots: tuple[str, ...]) -> None:
        """Notes that these roots are the tokens of a sequence."""
        if self.sequence is not None and self.sequence != roots:
            raise self.refuse("another operation takes other dimensions as the tokens of a sequence")
        self.sequence = roots

    def roots(self, dimension: Sequence[Piece]) -> tuple[str, ...]:
        """The roots of tokens that a dimension holds as a whole."""
        if any(
            piece.root == FEATURES or piece.stride != 1 or piece.size != self.tokens[piece.root] for piece in dimension
        ):
            raise self.refuse("a dimension of whole tokens was expected")
        return tuple(piece.root for piece in dimension)

    def is_activation(self, node: Any) -> bool:
        """Whether the fabric computes the node, or could take it as an input."""
        return node in self.values or self.kind[node] == "input"

    def times(self, value: Value, factor: float) -> Value:
        lazy = value.tensor
        if not isinstance(lazy, Lazy) or lazy.kind != "linear" or lazy.made:
            raise self.refuse("a product with a number is executed in the linear layer before it; here is none")
        weight, bias = lazy.weight, lazy.bias
        assert weight is not None
        scaled = replace(lazy, weight=lambda env: factor * weight(env), made={})
        scaled.bias = None if bias is None else lambda env: factor * bias(env)
        return replace(value, tensor=scaled)


def part(expression: Expression, rows: torch.Tensor | None) -> Expression:
    """Rows of a weight."""
    return expression if rows is None else lambda env: expression(env)[rows]
