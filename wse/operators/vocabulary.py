"""The embedding and the head of a decoder, with the vocabulary split over rows and features over columns of PEs.

A PE's table [kx][entries] has the features of its column for the entries of its row.  It serves both as embedding and,
if the model's weights are tied, as head.  Entries beyond the vocabulary repeat entry 0, which wins a tie with them.
"""

from __future__ import annotations

from ..machine import isa
from ..program.fragments import f32
from ..records import dataclass
from . import math_functions
from .code import Vec
from .strip import Part

CHUNK = 128  # logits compared at a time
PHASES = ("wait for the last layer", "logits", "sums of logits", "greatest logit")  # between the stamps
GAP = 200  # a power of two by which every difference of two f32 exceeds an index


@dataclass(frozen=True)
class VocabularyShape:
    """Sizes of an embedding and a head.

    d_model, vocab: of the model.  width: columns.  rows: that the vocabulary is split over.  eps: of the norms.
    layer: norms are LayerNorms.  positions: trained ones, 0: none.  normed: a norm follows the embedding.  ids: that a
    step takes at most.  answers: vectors that a step takes to make logits of at most.  keeps: the logits of all of
    these are kept; otherwise, of several answers, the greatest ones only.  scale: factor of the embedding.  bias: of
    the logits.  softcap: logits become softcap tanh(logits / softcap); 0: they stay.
    """

    d_model: int
    vocab: int
    width: int
    rows: int
    eps: float
    layer: bool = False
    positions: int = 0
    normed: bool = False
    ids: int = 64
    answers: int = 1
    keeps: bool = True
    scale: float = 1.0
    bias: bool = False
    softcap: float = 0.0

    @property
    def kx(self) -> int:
        """Features of a column."""
        return -(-self.d_model // self.width)

    @property
    def entries(self) -> int:
        """Entries of a row, even."""
        return 2 * -(-self.vocab // (2 * self.rows))

    @property
    def places(self) -> int:
        """Positions of a row."""
        return -(-self.positions // self.rows)


def build(part: Part, s: VocabularyShape, embeds: bool, head: bool) -> None:
    """Give the region its arrays and its step.

    embeds: it gives the embeddings of `count` ids.  head: it takes `silent` vectors, computes logits and the greatest.
    """
    part.array("table", (s.kx, s.entries), "f16", offset=8)
    part.array("stamps", len(PHASES) + 1, "u32")
    names = [*(["_embedding"] if embeds and s.normed else []), *([""] if head else [])]
    if names:
        part.norm_arrays(names, s.kx, s.layer)
    if embeds:
        part.array("ids", s.ids, "u32")
        part.array("embedding", s.kx, "f32")
        _embed(part, s)
    if head:
        _head(part, s)


def _embed(part: Part, s: VocabularyShape) -> None:
    c, e = part.code, Vec("embedding", s.kx)
    c("mov r12, ids", f"ld32 r13, {part.state('count')}", f"ld32 r14, {part.state('row')}")
    if s.positions:
        part.array("positions", (s.kx, s.places), "f16", offset=8)
        part.array("row", s.kx, "f32", offset=8)
        part.array("ids_of_positions", s.ids, "u32")
        c(f"imul32 r15, r14, {s.places}", "mov r11, ids_of_positions")
    c(f"imul32 r14, r14, {s.entries}")
    c.label("token")
    c("ld32 r9, [r12]", "isub32 r9, r9, r14", f"mov r4, {s.entries}", "iltu32 r4, r9, r4", "bz r4, .elsewhere")
    c("ishl32 r9, r9, 1", "mov r4, table", "iadd32 r9, r9, r4")
    c.forget()
    c.op("fh2s", e, Vec("r9", s.kx, 2, stride=s.entries))
    if s.scale != 1:
        c.op("fmuls", e, e, s.scale)
    c("jmp .found")
    c.label(".elsewhere")
    c.op("fmovs", e, 0.0)
    c.label(".found")
    if s.positions:
        c("ld32 r9, [r11]", "isub32 r9, r9, r15", f"mov r4, {s.places}", "iltu32 r4, r9, r4", "bz r4, .placed")
        c("ishl32 r9, r9, 1", "mov r4, positions", "iadd32 r9, r9, r4")
        c.forget()
        c.op("fh2s", Vec("row", s.kx), Vec("r9", s.kx, 2, stride=s.places))
        c.op("fadds", e, e, Vec("row", s.kx))
        c.label(".placed")
        c("iadd32 r11, r11, 4")
    part.partial("column", e)
    if s.normed:  # in the bottom row, which gives it on
        part.norm(e, "_embedding", s.d_model, s.eps, e, s.layer)
    part.give(e)
    c("iadd32 r12, r12, 4", "isub32 r13, r13, 1", "bnz r13, token")
    c.forget()


def _head(part: Part, s: VocabularyShape) -> None:
    c, kx = part.code, s.kx
    x, normed = part.array("x", kx, "f32"), part.array("normed", kx, "f16")
    chunk = min(CHUNK, s.entries)
    logits, differences = part.array("logits", s.entries, "f32"), part.array("differences", chunk, "f32")
    part.array("indices", chunk, "f32", 8, init=[-float(i) for i in range(chunk)])
    if s.bias:
        part.array("b_head", s.entries, "f32", offset=8)
    if s.softcap:
        for name, kind, offset in (("cap1", "f32", 4), ("cap2", "f32", 12), ("exponents", "u16", 0)):
            part.array(name, chunk, kind, offset)
    part.array("best", 2, "u32")  # the greatest logit (f32) and its entry
    if s.answers > 1:
        part.array("all_best", (s.answers, 2), "u32")
        if s.keeps:
            part.array("all_logits", (s.answers, s.entries), "f32")
    part.array("theirs", 2, "u32", init=[0xFF800000, 0])
    c(f"ld32 r1, {part.state('silent')}", "bz r1, finished")
    c.label("logit")
    part.stamp(0)
    part.take(x)
    part.stamp(1)
    part.norm(x, "", s.d_model, s.eps, normed, s.layer)
    part.product(normed, "table", logits, "b_head" if s.bias else "")
    part.stamp(2)
    part.partial("row", logits)
    part.stamp(3)
    c(f"ld32 r1, {part.state('column')}", f"isub32 r1, r1, {s.width - 1}", "bnz r1, .compared")
    c.forget()
    if s.softcap:
        _cap(part, s, chunk)
    c(f"mov r10, {f32(float('-inf'))}")
    c(f"fmaxs r10, r10, {c.dsr('b', logits)}", f"mov r11, {f32(float('-inf'))}")
    for first in range(0, s.entries, chunk):
        n = min(chunk, s.entries - first)
        d = differences.part(0, n)
        c.op("fsubs", d, logits.part(first, n), "r10")
        c.op("fscales", d, d, c.value(str(GAP)))
        c.op("fadds", d, d, Vec("indices", n))
        c(f"mov r1, {f32(float('-inf'))}", f"fmaxs r1, r1, {c.dsr('b', d)}")
        c(f"mov r4, {f32(float(first))}", "ssub r1, r1, r4", "slt r4, r11, r1", "sel r11, r4, r1, r11")
        c.clobber("r4")
    c("mov r1, 0", "ssub r11, r1, r11", "s2i r11, r11")
    c(f"ld32 r1, {part.state('row')}", f"imul32 r1, r1, {s.entries}", "iadd32 r11, r11, r1")
    c(f"ld32 r1, {part.state('row')}", "bz r1, .northern")
    c("mov r16, theirs+0x20000", f"mov r28, {isa.DSD_MEM1D | isa.DSD_WIDE << 8:#x}", "mov r29, r16")
    c("mov r30, 4", "mov r31, 0", "ldds d7, r28", "dsr a7, column_in_least", "mov32 d7, a7")
    c.label(".northern")
    c("ld32 r1, [theirs]", "ld32 r5, [theirs+4]", "sle r4, r10, r1", "sel r10, r4, r1, r10", "sel r11, r4, r5, r11")
    c("st32 r10, [best]", "st32 r11, [best+4]", "mov r16, best+0x20000")
    c(f"mov r28, {isa.DSD_MEM1D | isa.DSD_WIDE << 8:#x}", "mov r29, r16", "mov r30, 4", "mov r31, 0", "ldds a7, r28")
    c("ld32 r28, [column_on]", "mov r29, r16", "ld32 r30, [column_on+8]", "ld32 r31, [column_on+12]", "ldds d7, r28")
    c("mov32 d7, a7")
    if s.answers > 1:
        c(f"ld32 r1, {part.state('position')}", "ishl32 r5, r1, 3", "mov r4, all_best", "iadd32 r5, r5, r4")
        c("st32 r10, [r5]", "st32 r11, [r5+4]")
        if s.keeps:
            c(f"imul32 r16, r1, {4 * s.entries}", "mov r4, all_logits", "iadd32 r16, r16, r4")
            c.forget()
            c.op("mov32", Vec("r16", s.entries), logits)
    c.label(".compared")
    if s.answers > 1:
        c(f"ld32 r1, {part.state('position')}", "iadd32 r1, r1, 1", f"st32 r1, {part.state('position')}")
    part.stamp(4)
    c(f"ld32 r1, {part.state('silent')}", "isub32 r1, r1, 1", f"st32 r1, {part.state('silent')}", "bnz r1, logit")
    c.label("finished")


def _cap(part: Part, s: VocabularyShape, chunk: int) -> None:
    """Cap the logits, a chunk at a time."""
    c, (whole, rest) = part.code, divmod(s.entries, chunk)

    def cap(logits: Vec) -> None:
        n = logits.n
        work = math_functions.Cap(Vec("differences", n), Vec("cap1", n), Vec("cap2", n), Vec("exponents", n, 2))
        math_functions.softcap(c, logits, work, s.softcap)

    top = c.new_label()
    c("mov r10, logits", f"mov r11, {whole}")
    c.label(top)
    cap(Vec("r10", chunk))
    c(f"iadd32 r10, r10, {4 * chunk}", "isub32 r11, r11, 1", f"bnz r11, {top}")
    c.forget()
    if rest:
        cap(Vec("logits", rest, offset=4 * whole * chunk))
