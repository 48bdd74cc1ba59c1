"""What operators on tiles [rows][tokens] share: sums over rows, over tokens, over the row of PEs; padding."""

from __future__ import annotations

from collections.abc import Callable

from ..program.fragments import f32
from .code import Code, Vec

# Text that adds up (or takes the greatest of) n f32 over the row in place; r16 holds address | n << 16 before.
AllReduce = Callable[[str], str]


def single_column(op: str) -> str:
    """The all-reduce of a row of one PE."""
    return ""


def reduce_row(c: Code, allreduce: AllReduce, op: str, vec: Vec) -> None:
    """All-reduces a vector over the row of PEs."""
    text = allreduce(op)
    if text:
        c.address("r16", vec.at, (vec.n << 16) + vec.offset)
        c.lines.append(text.rstrip("\n"))
        c.forget()


def fill_padding(c: Code, tile: Vec, rows: int, features: int, columns: int, value: float) -> None:
    """Sets the rows of a tile that are no features of the activation to a value: the last ones of the last columns.

    A PE's column in its region is the u16 at `column`.
    """
    if rows * columns == features:
        return
    t = tile.n // rows
    end = c.new_label()
    c.forget()
    c.clobber("r2", "r3", "r4")
    c("ld16 r2, [column]", "iadd32 r2, r2, 1", f"imul32 r2, r2, {rows}", f"isub32 r2, r2, {features}")
    c("ilts32 r3, r2, 1", f"bnz r3, {end}")  # r2: rows too many, at most all of them
    c(f"ilts32 r3, r2, {rows}", f"mov r4, {rows}", "sel r2, r3, r2, r4", f"imul32 r2, r2, {t}")
    dsr = c.dsr("d", tile)  # leaves its words in r28..r31: base and length are changed
    c(f"imul32 r3, r2, {-tile.size & 0xFFFFFFFF:#x}", f"iadd32 r29, r29, {tile.n * tile.size}", "iadd32 r29, r29, r3")
    c("iand r29, r29, 0xffff", "ishl32 r3, r2, 16", "ior r29, r29, r3", f"ldds {dsr}, r28")
    bits, move = (f32(value), "fmovs") if tile.size == 4 else (f"{value}h", "fmovh")
    c(f"mov r3, {bits}", f"{move} {dsr}, r3")
    c.label(end)


def by_rows(c: Code, operation: str, y: Vec, x: Vec, row: Vec) -> None:
    """y = x operation row, for each row of x; y may lie on x.  operation: of two f32 vectors."""
    n = row.n
    with c.loop(x.n // n, d=y.rows(n), a=x.rows(n), b=row) as (d, a, b):
        c(f"{operation} {d}, {a}, {b}")


def sum_rows(c: Code, matrix: Vec, total: Vec, rows: int) -> None:
    """total [tokens] = sum of the rows of the matrix, in their order."""
    t = total.n
    c.op("fmovs", total, matrix.part(0, t))
    if rows > 1:
        with c.loop(rows - 1, d=total, a=total, b=matrix.part(t, (rows - 1) * t).rows(t)) as (d, a, b):
            c(f"fadds {d}, {a}, {b}")


def sum_tokens(c: Code, matrix: Vec, sums: Vec, t: int) -> None:
    """sums [rows] = sum of each row of the matrix, one after the other."""
    with c.loop(sums.n, b=matrix.rows(t), d=sums) as (b, d):
        c("mov r2, 0", f"fadds r2, r2, {b}", f"mapput {d}, r2")
    c.clobber("r2")


def max_rows(c: Code, matrix: Vec, most: Vec, rows: int) -> None:
    """most [tokens] = the greatest of each column of the matrix."""
    t = most.n
    c.op("fmovs", most, matrix.part(0, t))
    if rows > 1:
        with c.loop(rows - 1, d=most, a=most, b=matrix.part(t, (rows - 1) * t).rows(t)) as (d, a, b):
            c(f"fmaxs {d}, {a}, {b}")
