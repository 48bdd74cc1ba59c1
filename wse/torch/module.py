"""A module whose forward and backward passes the emulated fabric executes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch

from ..errors import ConfigError
from ..machine.parameters import Machine
from .axes import FEATURES
from .capture import Captured, capture
from .execution import Exchange, Phase
from .host import Host

STEEP = 32.0  # the largest element of a gradient that enters, times a power of two; see Pieces.backward
LESS = 16.0  # by which that is divided if a gradient overflows
TRIES = 4


class Pieces:
    """The execution of a captured module, and which pass its stash belongs to."""

    def __init__(self, execution: Exchange) -> None:
        self.execution = execution
        self.passes = 0
        self.stash = 0  # the pass whose stash is on the fabric; 0: none
        self.last: dict[str, Phase] = {}

    def forward(self, rows: np.ndarray, weights: Mapping[str, np.ndarray]) -> tuple[np.ndarray, int]:
        """The output and the number of the pass."""
        y, self.last["forward"] = self.execution.forward(rows, weights)
        self.passes += 1
        self.stash = self.passes
        return y, self.passes

    def backward(
        self, number: int, rows: np.ndarray, weights: Mapping[str, np.ndarray], dy: np.ndarray
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Gradients of the input and the weights.  The forward pass runs again if another one came after it.

        The gradient enters multiplied by a power of two, so that its largest element is near STEEP and small ones are
        not lost in 16 bits; if one of the results is not finite then, again with a smaller one.
        """
        largest = float(np.abs(dy).max(initial=0.0))
        steep = STEEP
        for last in (*[False] * (TRIES - 1), True):
            if self.stash != number:
                self.execution.forward(rows, weights)
            self.stash = 0  # the backward pass overwrites it
            finite = math.isfinite(largest) and largest > 0
            scale = 2.0 ** math.floor(math.log2(steep / largest)) if finite else 1.0
            scale = min(max(scale, 2.0**-100), 2.0**100)
            dx, gradients, self.last["backward"] = self.execution.backward((dy * np.float32(scale)).astype(np.float32))
            found = [dx, *gradients.values()]
            if last or not finite or all(np.isfinite(g).all() for g in found):
                break
            steep /= LESS
        factor = np.float32(1 / scale)
        return dx * factor, {name: g * factor for name, g in gradients.items()}


class Execute(torch.autograd.Function):
    """One pass over the fabric: rows and weights to rows."""

    @staticmethod
    def forward(ctx: Any, pieces: Pieces, names: list[str], rows: torch.Tensor, *weights: torch.Tensor) -> torch.Tensor:
        """rows: [tokens, features]; weights in the order of names."""
        values = dict(zip(names, map(array, weights), strict=True))
        y, ctx.number = pieces.forward(array(rows), values)
        ctx.pieces, ctx.names = pieces, names
        ctx.save_for_backward(rows, *weights)
        return torch.from_numpy(y).to(rows.dtype)

    @staticmethod
    def backward(ctx: Any, dy: torch.Tensor) -> tuple[Any, ...]:
        """Gradients of rows and weights."""
        rows, *weights = ctx.saved_tensors
        values = dict(zip(ctx.names, map(array, weights), strict=True))
        dx, found = ctx.pieces.backward(ctx.number, array(rows), values, array(dy))
        gradients = [torch.from_numpy(found[n]).to(w.dtype) for n, w in zip(ctx.names, weights, strict=True)]
        return None, None, torch.from_numpy(dx).to(rows.dtype), *gradients


def array(tensor: torch.Tensor) -> np.ndarray:
    """As float32."""
    return np.ascontiguousarray(tensor.detach().to(torch.float32).numpy())


class Wafer(torch.nn.Module):
    """A module that the emulated fabric executes; see wafer().

    It has the parameters, the state dict and the mode of the module.  `run` says what the last passes took.
    """

    def __init__(self, module: torch.nn.Module, captured: Captured, execution: Exchange, batch: int) -> None:
        super().__init__()
        self._of = (module,)  # in a tuple it is no submodule: names of parameters stay those of the module
        self.captured = captured
        self._pieces, self._batch = Pieces(execution), batch
        self._names = list(captured.parameters)

    @property
    def module(self) -> torch.nn.Module:
        """The module."""
        return self._of[0]

    @property
    def graph(self) -> Any:
        """The operators that the fabric executes: a wse.models.graph.Graph."""
        return self.captured.graph

    @property
    def run(self) -> dict[str, Phase]:
        """What the last forward and the last backward pass took, by "forward", "backward"."""
        return dict(self._pieces.last)

    @property
    def seconds(self) -> float:
        """Of the last forward and backward pass on the device, at the machine's clock."""
        return sum(phase.cycles for phase in self._pieces.last.values()) / self._pieces.execution.clock_hz

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        """As the module's.  Batches of another size than the example's are cut and padded.

        Raises ConfigError for inputs of other shapes than the examples', but in the first dimension."""
        if not inputs:
            raise ConfigError("the module takes an input")
        n, size = len(inputs[0]), self._batch
        if n == size:
            return self._pass(inputs)
        if "t0" in self.captured.sequence:
            raise ConfigError(
                f"the first dimension is that of a sequence: it must be {size} as in the example, not {n}"
            )
        if any(len(x) != n for x in inputs):
            raise ConfigError("inputs have different numbers of samples")
        parts = []
        for first in range(0, n, size):
            chunk = [x[first : first + size] for x in inputs]
            have = len(chunk[0])
            full = [torch.cat([x, x.new_zeros(size - have, *x.shape[1:])]) if have < size else x for x in chunk]
            parts.append(self._pass(full)[:have])
        return torch.cat(parts) if parts else self._pass([x.new_zeros(size, *x.shape[1:]) for x in inputs])[:0]

    def _pass(self, inputs: Any) -> torch.Tensor:
        made = self.captured
        for x, node in zip(inputs, made.inputs, strict=True):
            wanted = tuple(node.meta["val"].shape)
            if tuple(x.shape) != wanted:
                raise ConfigError(f"an input of shape {list(x.shape)}: the example's has {list(wanted)}")
        env = Host(made.program, self.module, inputs)
        entry = made.entry(env)
        rows = entry.permute(*made.order, entry.dim() - 1).reshape(-1, made.features[0])
        weights = [made.parameters[name](env) for name in self._names]
        return arranged(Execute.apply(self._pieces, self._names, rows, *weights), made)

    # --- the module's own ---------------------------------------------------------------------------------------------

    def named_parameters(self, *args: Any, **kwargs: Any) -> Iterator[tuple[str, torch.nn.Parameter]]:
        """Those of the module."""
        return self.module.named_parameters(*args, **kwargs)

    def named_buffers(self, *args: Any, **kwargs: Any) -> Iterator[tuple[str, torch.Tensor]]:
        """Those of the module."""
        return self.module.named_buffers(*args, **kwargs)

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """That of the module."""
        return self.module.state_dict(*args, **kwargs)

    def load_state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """Into the module."""
        return self.module.load_state_dict(*args, **kwargs)

    def train(self, mode: bool = True) -> Wafer:
        """Sets the mode of the module.  What is executed was fixed by wafer(): see there."""
        self.module.train(mode)
        return super().train(mode)


def arranged(y: torch.Tensor, made: Captured) -> torch.Tensor:
    """The rows of the output in the dimensions of the module's."""
    roots = [list(made.tokens)[i] for i in made.order]
    y = y.reshape(*(made.tokens[root] for root in roots), made.features[1])
    picked = dict(made.result.picked)
    for root in [root for root in roots if root in picked]:
        y = y.select(roots.index(root), picked[root])
        roots.remove(root)
    pieces = [piece for dim in made.result.dims for piece in dim]
    place = {root: i for i, root in enumerate([*roots, FEATURES])}
    fine = sorted(pieces, key=lambda piece: (place[piece.root], -piece.stride))
    y = y.reshape([piece.size for piece in fine]) if fine else y.reshape([])
    return y.permute([fine.index(piece) for piece in pieces]).reshape(made.result.shape)


def wafer(
    module: torch.nn.Module,
    example_inputs: tuple[torch.Tensor, ...] | torch.Tensor,
    grid: tuple[int, int] | None = None,
    *,
    dtype: str = "f16",
    policy: str = "POL0",
    machine: Machine | str = "wse3",
    threads: int = 1,
) -> Wafer:
    """A module that computes what `module` does, forward and backward, on the emulated fabric.

    The parameters are those of `module`, so that a training loop and its optimizer run unchanged with the result.

    module: exported by torch.export in its present mode, training or evaluation; its weights may change afterwards, its
        structure may not.
    example_inputs: as for a call of it, of the batch that a pass has.  The first dimension counts samples.
    grid: columns and rows of PEs; the default has a column for each head, and as many rows as the batch allows, at
        most 64.
    dtype: of what PEs store: "f16", "bf16", "cb16" or "f32".  policy: of their sums, as in `wse train`.
    machine: a Machine, or its name.  threads: of the emulation.

    Raises ConfigError for an operation that the fabric does not execute, with its line, and for a module that does not
    fit into the PEs of the grid.
    """
    examples = (example_inputs,) if isinstance(example_inputs, torch.Tensor) else tuple(example_inputs)
    if not examples or not all(isinstance(x, torch.Tensor) and x.dim() for x in examples):
        raise ConfigError(
            "example_inputs are the tensors of a call of the module, whose first dimension counts samples"
        )
    if len(examples[0]) % 2:  # rows of PEs have even numbers of tokens
        examples = tuple(torch.cat([x, x[-1:]]) for x in examples)
    captured = capture(module, examples)
    made = machine if isinstance(machine, Machine) else Machine(machine)
    execution = Exchange(captured.graph, captured.batch, made, dtype, policy, grid, threads)
    return Wafer(module, captured, execution, len(examples[0]))
