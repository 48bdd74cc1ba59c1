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
        self.fifo_dsr: dict[str, int] = {}  # of FIFOs that keep their DSRs: the number in both files
        self.dsr_ut: set[tuple[str, int]] = set()  # explicit DSRs whose load says the microthread
        self.reserved: dict[str, set[int]] = {"dest": set(), "src0": set(), "src1": set()}
        self.indexed: set[tuple[str, int]] = set()  # explicit DSRs with `.wavelet_index_offset`
        self.queues_out: dict[int, int] = {}
        self.startup: list[ir.Instr] = []  # what runs before the first task, beside what the unit says
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

    def note_thread(self, load: ir.LoadDsr) -> None:
        """Notes the microthread of operations on an explicit DSR: the load says it, or the queue."""
        place, then = (load.dsr.file, load.dsr.number), load.then
        if self.arch != "wse2" and (then.ut is not None or load.ut is not None):
            self.dsr_ut.add(place)
            if then.ut is not None:
                self.dsr_thread[place] = then.ut
        elif isinstance(load.source, ir.Dsd) and load.source.kind in ("fabin", "fabout"):
            self.dsr_thread.setdefault(place, load.source.queue)

    def message(self, text: str) -> int:
        if text not in self.messages:
            self.messages.append(text)
        return self.messages.index(text)
