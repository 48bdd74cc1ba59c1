"""The end of an encoder: the mean of a sentence's tokens, or the first one, and its length brought to 1."""

from __future__ import annotations

from ..program.fragments import f32
from ..records import dataclass
from .code import Vec
from .strip import Part

POOLS = ("mean", "first")
LEAST = 1e-12  # that a length is divided by
HEIGHT = 2  # rows of the region


@dataclass(frozen=True)
class PoolingShape:
    """d_model: of the model.  width: columns.  sentences: of a step at most.  pool: of POOLS.  unit: to length 1."""

    d_model: int
    width: int
    sentences: int
    pool: str
    unit: bool

    @property
    def kx(self) -> int:
        """Features of a column."""
        return -(-self.d_model // self.width)


def build(part: Part, s: PoolingShape) -> None:
    """Give the region its arrays and its step: for each of `runs` sentences, take its tokens, store its vector.

    Array `lengths` u32 [sentences] has their tokens, `vectors` f32 [sentences][kx] gets the results, `finished` u32
    [sentences] the low halves of the cycles in which they were complete.
    """
    c, kx = part.code, s.kx
    for name in ("x", "sum", "work"):
        part.array(name, kx, "f32", offset={"x": 0, "sum": 8, "work": 4}[name])
    part.array("one", 1, "f32")
    part.array("lengths", s.sentences, "u32")
    part.array("finished", s.sentences, "u32")
    part.array("vectors", (s.sentences, kx), "f32")
    x, total, one = Vec("x", kx), Vec("sum", kx), Vec("one", 1)
    c("mov r12, lengths", "mov r13, vectors", "mov r15, finished")
    c.label("sentence")
    c("ld32 r14, [r12]")
    c.op("fmovs", total, 0.0)
    c.label("token")
    part.take(x)
    if s.pool == "mean":
        c.op("fadds", total, total, x)
    else:
        c("ld32 r1, [r12]", "isub32 r1, r1, r14", "bnz r1, .later")
        c.op("fmovs", total, x)
        c.label(".later")
    c("isub32 r14, r14, 1", "bnz r14, token")
    if s.pool == "mean":
        c("ld32 r1, [r12]", "i2s r1, r1", "mov r4, 0x3f800000", "sdiv r1, r4, r1")
        c.clobber("r4")
        c.op("fmuls", total, total, "r1")
    if s.unit:
        c.square(Vec("work", kx), total, Vec("work", kx))
        c("mov r1, 0")
        c(f"fadds r1, r1, {c.dsr('b', Vec('work', kx))}", "st32 r1, [one]")
        part.total("row", vec=one)
        c("ld32 r1, [one]", "ssqrt r1, r1", f"mov r4, {f32(LEAST)}", "slt r5, r1, r4", "sel r1, r5, r4, r1")
        c("mov r4, 0x3f800000", "sdiv r1, r4, r1")
        c.forget()
        c.op("fmuls", total, total, "r1")
    c.op("mov32", Vec("r13", kx), total)
    c("tsc r1, 0", "st16 r1, [r15]", "tsc r1, 1", "st16 r1, [r15+2]")
    c(f"iadd32 r13, r13, {4 * kx}", "iadd32 r12, r12, 4", "iadd32 r15, r15, 4")
    c(f"ld32 r1, {part.state('runs')}", "isub32 r1, r1, 1", f"st32 r1, {part.state('runs')}", "bnz r1, sentence")
    c.forget()
