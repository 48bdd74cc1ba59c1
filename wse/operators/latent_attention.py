"""Latent attention with resident weights: what stands around the scores, the softmax and the weighted values.

All heads read one cached vector of a token, its features that RoPE turns and its normed latent, as one key-value head
(cached_attention.py): queries are taken to that space, and the weighted latents of a head to its values.

    latent of queries, key    inputs along the columns    outputs along the rows; norms over the rows
    queries                   inputs along the rows       outputs along the columns, of all heads
    to the cached space       inputs along the columns    outputs along the rows: of a head, from that head's queries
    values                    inputs along the rows       outputs along the columns: of a head, from its latents
    result                    inputs along the columns    outputs along the rows, which are then turned to the columns

Vectors are turned from rows to columns without a product: the PE in which a row and a column share features copies
them, and the PEs of a column are summed.
"""

from __future__ import annotations

from ..machine import isa
from .code import Vec
from .layer_shape import LayerShape
from .strip import Part

EPS = 1e-6  # of the norms of latents, as their published definition has it, whatever other norms have
F32, F16 = f"{isa.DSD_MEM1D | isa.DSD_WIDE << 8:#x}", f"{isa.DSD_MEM1D:#x}"
ROWS = f"{isa.DSD_MEM1D | isa.DSD_SAVE_ADDRESS << 8:#x}"  # rows of 16-bit weights, one after the other


def arrays(part: Part, s: LayerShape) -> None:
    """Declare the arrays; decoder.py has those of the first and the last product, w_qkv and w_o."""
    latent = s.kind.latent
    assert latent is not None
    if latent.q_rank:
        part.array("w_q", (s.low, s.kq), "f16", offset=8)
        part.array("q_gains", s.low, "f32", offset=8)
        part.array("low", s.low, "f16")
    else:
        part.array("place_q", 3, "u32")
    part.array("w_absorb", (s.kq, s.dr), "f16", offset=8)
    part.array("absorb_to", s.kq, "u32")  # bytes before the head's features in y
    part.array("w_expand", s.kv * s.dr, "f16", offset=8)
    part.array("value_parts", (s.most_value_parts, 3), "u32")  # spans without symbols: y, weights; bytes: attended
    part.array("place_o", 3, "u32")  # spans without symbols: y, the row's features; and their number
    for name, offset in (("key", 0), ("key_work", 4), ("key_more", 12), ("key_gains", 8), ("key_turned", 8)):
        part.array(name, s.dr, "f32", offset=offset)
    part.array("key_latent", s.dr, "f32", offset=8)
    part.array("own_row", max(s.low, s.rx), "f32", offset=8)
    part.array("row_work", s.low, "f32", offset=4)
    part.array("wide", max(s.kq, s.kv), "f16")
    part.array("latent_sums", 2, "f32")


def projections(part: Part, s: LayerShape) -> None:
    """y = the row's features of all queries and of the key, as cached_attention.rotate takes them; takes y [nq]."""
    latent = s.kind.latent
    assert latent is not None
    c, half, n = part.code, s.dr // 2, s.turned
    low, key = Vec("y", s.low), Vec("y", s.dr, offset=4 * s.low)
    _norms(part, s, low, key)
    queries = Vec("y", s.kq)
    if latent.q_rank:
        part.product(Vec("low", s.low, 2), "w_q", queries)
        part.total("column", vec=queries)
    else:
        c.op("fmovs", Vec("own_row", s.low), low)
        c.op("fmovs", queries, 0.0)
        _turn(part, "place_q", queries)
    wide = Vec("wide", s.kq, 2)
    c.op("fs2h", wide, queries)
    every = Vec("y", 2 * n)
    c.op("fmovs", every, 0.0)
    c("mov r12, absorb_to", f"mov r14, y+{half << 16:#x}")
    rows, own = Vec("w_absorb", s.kq * s.dr, 2).rows(half), Vec("r14", half)
    with c.loop(s.kq, over=wide, d=own, a=own, b=rows) as (d, a, b):
        c(f"mov r28, {F32}", "mov r30, 4", "mov r31, 0", "ld32 r29, [r12]", "iadd32 r29, r29, r14")
        c("iadd32 r12, r12, 4", f"ldds {d}, r28", f"ldds {a}, r28", f"fmachs {d}, {a}, {b}, r1")
        c(f"iadd32 r29, r29, {4 * n:#x}", f"ldds {d}, r28", f"ldds {a}, r28", f"fmachs {d}, {a}, {b}, r1")
    c.forget()
    part.total("row", vec=every)
    for first, at in ((0, s.queries * half), (half, n + s.queries * half)):
        c.op("fmovs", Vec("y", half, offset=4 * at), Vec("key", half, offset=4 * first))


def _norms(part: Part, s: LayerShape, low: Vec, key: Vec) -> None:
    """low (16 bits) = the norm of the queries' latent; key = the norm of the latent, and what is turned as it is."""
    latent = s.kind.latent
    assert latent is not None
    c, work, more, sums = part.code, Vec("key_work", s.dr), Vec("key_more", s.dr), Vec("latent_sums", 2)
    if latent.q_rank:
        c.square(Vec("row_work", s.low), low, Vec("own_row", s.low))
        c("mov r1, 0", f"fadds r1, r1, {c.dsr('b', Vec('row_work', s.low))}", "st32 r1, [latent_sums]")
    else:
        c("mov r1, 0", "st32 r1, [latent_sums]")
    c.op("fmuls", work, key, Vec("key_latent", s.dr))
    c.square(more, work, Vec("key", s.dr))
    c("mov r1, 0", f"fadds r1, r1, {c.dsr('b', more)}", "st32 r1, [latent_sums+4]")
    part.total("column", vec=sums)
    if latent.q_rank:
        c("ld32 r1, [latent_sums]")
        part.inverse_root(1 / latent.q_rank, EPS)
        c.op("fmuls", low, low, "r1")
        c.narrow(Vec("low", s.low, 2), "fmuls", Vec("row_work", s.low), low, Vec("q_gains", s.low))
    c("ld32 r1, [latent_sums+4]")
    part.inverse_root(1 / latent.kv_rank, EPS)
    c.op("fmuls", work, Vec("key_gains", s.dr), "r1")
    c.op("fadds", work, work, Vec("key_turned", s.dr))
    c.op("fmuls", Vec("key", s.dr), work, key)


def _turn(part: Part, place: str, to: Vec) -> None:
    """to += the features of own_row that belong to the PE's column, of all rows, in all PEs of the column."""
    c, none = part.code, part.code.new_label()
    c(f"ld32 r1, [{place}+8]", f"bz r1, {none}")
    c(f"ld32 r16, [{place}]", f"mov r4, {to.at}", "iadd32 r16, r16, r4")
    c(f"ld32 r17, [{place}+4]", "mov r4, own_row", "iadd32 r17, r17, r4")
    c.forget()
    c.op("fadds", Vec("r16", 0), Vec("r16", 0), Vec("r17", 0))
    c.label(none)
    part.total("column", vec=to)


def result(part: Part, s: LayerShape, biased: bool) -> None:
    """y [kx] = attention's result, along the columns, from `attended`.  biased: the result has a bias, b_o."""
    c, values, out = part.code, Vec("y", s.kv), Vec("y", s.rx)
    c.op("fmovs", values, 0.0)
    c("mov r12, value_parts", f"mov r10, {s.most_value_parts}")
    c.label("value_part")
    c(f"mov r28, {F32}", "mov r30, 4", "mov r31, 0", "ld32 r1, [r12]", "ishr32 r4, r1, 16", "bz r4, .none")
    c("mov r4, y", "iadd32 r29, r1, r4", "ldds d0, r28", "ldds a0, r28", f"mov r28, {ROWS}", "mov r30, 2")
    c("ld32 r1, [r12+4]", "mov r4, w_expand", "iadd32 r29, r1, r4", "ldds b0, r28", f"mov r28, {F16}")
    c("ld32 r1, [r12+8]", f"mov r4, attended+{s.dr << 16:#x}", "iadd32 r29, r1, r4", "ldds b5, r28")
    c.label(".input")
    c("mapstep r1, b5, .none", "fmachs d0, a0, b0, r1", "maploop .input")
    c.label(".none")
    c("iadd32 r12, r12, 12", "isub32 r10, r10, 1", "bnz r10, value_part")
    c.forget()
    part.total("column", vec=values)
    wide = Vec("wide", s.kv, 2)
    c.op("fs2h", wide, values)
    part.product(wide, "w_o", out)
    part.total("row", vec=out)
    c.op("fmovs", Vec("own_row", s.rx), out)
    to = Vec("y", s.kx)
    c.op("fmovs", to, Vec("b_o", s.kx) if biased else 0.0)
    _turn(part, "place_o", to)
