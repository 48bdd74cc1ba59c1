"""What the functions of a unit share while code is generated."""

from __future__ import annotations

from typing import Any

from ...machine import isa
from ..ir import ir
from .mir import MFunction


class Context:
    """What functions of a unit share: the callees that are selected already, names of DSRs, messages of traps."""

    def __init__(self, arch: str, fp16: str = "f16"):
        self.arch, self.fp16 = arch, fp16
        self.functions: dict[str, ir.Function] = {}
        self.selected: dict[str, MFunction] = {}
        self.fifos: dict[str, ir.Fifo] = {}
        self.fifo_xdsr: dict[str, int] = {}
        self.reserved: dict[str, set[int]] = {"dest": set(), "src0": set(), "src1": set()}
        self.indexed: set[tuple[str, int]] = set()  # explicit DSRs with `.wavelet_index_offset`
        self.queues_out: dict[int, int] = {}
        self.messages: list[str] = []
        self.dsr_thread: dict[tuple[str, int], int] = {}
        self.xdsrs: list[Any] = []  # what each XDSR holds all the time; None: not the same all the time
        self.xdsr_keys: dict[Any, int] = {}

    def xdsr_for(self, key: Any, words: Any) -> int:
        """An XDSR of one's own, or the last one, shared, when all are taken.  words: what it holds from the start."""
        if key not in self.xdsr_keys:
            if len(self.xdsrs) < isa.DSRS - 1:
                self.xdsr_keys[key] = len(self.xdsrs)
                self.xdsrs.append(words)
            else:
                if len(self.xdsrs) < isa.DSRS:
                    self.xdsrs.append(None)
                self.xdsr_keys[key] = isa.DSRS - 1
        return self.xdsr_keys[key]

    def message(self, text: str) -> int:
        if text not in self.messages:
            self.messages.append(text)
        return self.messages.index(text)
