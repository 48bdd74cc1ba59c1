"""Selection of @map: a loop over the elements of descriptors, around the inlined function."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ...machine import isa
from ..ir import ir
from ..ir.calls import body_of
from ..ir.ir import BITS, Addr, Const, Deref, Dsd, DsdVar, Dsr, FifoRef, Reg, Value
from ..ir.registers import use_counts
from .keep import signed, words_of
from .mir import Label, V
from .select_vector import GROUP, VectorSelector


class MapSelector(VectorSelector):
    """The part of the Selector that deals with @map."""

    def do_map(self, instr: ir.Map) -> None:
        function = self.context.functions[instr.function]
        self.lasting = True
        changed = self.callee_dsrs(function.blocks)
        taken = set(changed)
        out = self.map_output(instr, taken)
        walks: list[tuple[int, Reg]] = []
        scalars: list[tuple[Deref, Reg]] = []
        args: list[Value] = []
        for operand, type in zip(instr.inputs, instr.types, strict=True):
            if isinstance(operand, Reg | Const | Addr):
                args.append(operand)
                continue
            element = Reg(type, "element")
            args.append(element)
            if isinstance(operand, Deref):
                scalars.append((operand, element))
            else:
                walks.append((self.map_input(operand, type, taken), element))
        limit = None
        if not walks and instr.out is not None:
            walks.append((self.map_count(instr, taken), Reg(instr.out_type or "u32", "element")))
        elif self.output_may_end(instr):
            limit = self.map_count(instr, taken)
        locked, self.locked = self.locked, self.locked | (taken - changed)
        outside = self.kept
        self.kept = outside | self.hoist_map(function)
        head, after, put = self.label(), self.label(), self.label()
        self.split(head)
        for byte, element in walks:
            self.map_step(byte, element, after)
        for deref, element in scalars:
            self.load_scalar(Deref(deref.addr, element.type), self.v(element))
        result = Reg(function.result, "result") if function.result is not None else None
        body, self.next_label = body_of(function, args, result, put, self.next_label, self.at)
        self.used |= use_counts(ir.Function("body", [], None, body))
        self.inline_blocks(body)
        self.begin(put)
        if limit is not None:  # the result of the step for which the destination has no element is dropped
            self.map_step(limit, Reg(instr.out_type or "u32", "element"), after)
        if out is not None and result is not None:
            self.map_put(instr, out, self.v(result))
        self.emit("maploop", imm=Label(head))
        self.blocks[-1].successors = [head]
        self.begin(after)
        self.locked, self.kept = locked, outside
        self.addresses.clear()
        self.forget_dsrs()

    def map_step(self, byte: int, element: Reg, after: int) -> None:
        """The next element of a DSR; to the block `after` if there is none."""
        following = self.label()
        self.emit("mapstep", self.v(element), byte, imm=Label(after))
        self.emit("jmp", imm=Label(following))
        self.blocks[-1].successors = [following, after]
        self.begin(following)

    def output_may_end(self, instr: ir.Map) -> bool:
        """Whether the destination may have fewer elements than every input."""
        out = instr.out
        if out is None or isinstance(out, Deref) or any(operand == out for operand in instr.inputs):
            return False
        known = [operand.length for operand in instr.inputs if isinstance(operand, Dsd)]
        return not (isinstance(out, Dsd) and (out.length >= min(known, default=ir.INFINITE)))

    def inline_blocks(self, body: list[ir.Block]) -> None:
        outside = self.terminator
        for i, block in enumerate(body):
            if i == 0:
                self.split(block.id)
            else:
                self.begin(block.id)
            self.block_body(block)
        self.terminator = outside

    def map_input(self, operand: Any, type: str, taken: set[tuple[str, int]]) -> int:
        if isinstance(operand, Dsr):
            return self.byte(operand.file, operand.number)
        return self.bring(operand, "src1", taken, wide=BITS[type] == 32, own=True)  # its length is used up

    def map_count(self, instr: ir.Map, taken: set[tuple[str, int]]) -> int:
        """The DSR of a walk that ends with the destination, where no input may: elements are read, and not used."""
        out, type = instr.out, instr.out_type or "u32"
        counter = Dsd("mem1d", Const("ptr", 0), 0, 0, BITS[type] // 8)
        if isinstance(out, Dsd) and out.kind == "fabout":
            out = replace(counter, length=out.length)
        if isinstance(out, Dsd) or (isinstance(out, DsdVar) and out.kind != "fabout"):
            return self.map_input(out, type, taken)
        number = self.free_dsr("src1", taken)
        taken.add(("src1", number))
        byte = self.byte("src1", number)
        if isinstance(out, Dsr):
            self.emit("stds", self.byte(out.file, out.number), GROUP[0], writes=GROUP[1:])
        else:
            assert isinstance(out, DsdVar)
            self.load_variable(out, "src1")
        if self.output_kind(out) == "fabout":
            for i, word in enumerate(words_of(counter)):
                if i != 1:
                    self.emit("mov", GROUP[i], None, imm=word)
            self.set_group(1, "iand", signed(0xFFFF0000))
        self.group_words = [None] * 4
        self.held.pop(("src1", number), None)
        self.load_dsr(byte)
        return byte

    def map_output(self, instr: ir.Map, taken: set[tuple[str, int]]):
        out = instr.out
        if isinstance(out, Dsr) and self.output_kind(out) == "fabout":  # a copy of length 1, for a wavelet at a time
            number = self.free_dsr("dest", taken)
            taken.add(("dest", number))
            self.emit("stds", self.byte(out.file, out.number), GROUP[0], writes=GROUP[1:])
            self.group_words = [None] * 4
            self.set_group(1, "iand", 0xFFFF)
            self.set_group(1, "ior", 1 << 16)
            self.held.pop(("dest", number), None)
            self.load_dsr(self.byte("dest", number))
            return self.byte("dest", number)
        if out is None or isinstance(out, Deref | Dsr):
            return out
        if isinstance(out, Dsd) and out.kind == "fabout":
            out = replace(out, length=1)
        elif isinstance(out, DsdVar) and out.kind == "fabout":
            number = self.free_dsr("dest", taken)
            taken.add(("dest", number))
            self.load_variable(out, "dest")
            self.set_group(1, "iand", 0xFFFF)
            self.set_group(1, "ior", 1 << 16)
            self.load_dsr(self.byte("dest", number))
            return self.byte("dest", number)
        assert isinstance(out, Dsd | DsdVar | FifoRef)
        wide = instr.out_type is not None and BITS[instr.out_type] == 32
        return self.bring(out, "dest", taken, wide, own=True)

    def output_kind(self, out: Any) -> str:
        """The kind of the descriptor that @map writes to; of an explicit DSR, that of what it is loaded with."""
        if isinstance(out, Dsd | DsdVar):
            return out.kind
        kinds = self.context.dsr_kinds.get((out.file, out.number), set()) if isinstance(out, Dsr) else set()
        if "fabout" in kinds and len(kinds) > 1:
            what = "over memory and of the fabric: @map needs a DSR for each"
            raise ir.Unsupported(f"dsr_dest {out.number} is loaded with descriptors {what}", self.at)
        return "fabout" if "fabout" in kinds else "mem1d"

    def map_put(self, instr: ir.Map, out: Any, value: V) -> None:
        if isinstance(out, Deref):
            self.store_scalar(out.addr, out.type, value)
            return
        byte = self.byte(out.file, out.number) if isinstance(out, Dsr) else out
        if self.output_kind(instr.out) == "fabout":
            wide = instr.out_type is None or BITS[instr.out_type] == 32
            self.emit("mov32" if wide else "mov16", byte, value, isa.NONE, isa.NONE)
        else:
            self.emit("mapput", byte, value)
