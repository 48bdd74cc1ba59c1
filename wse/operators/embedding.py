"""Token embeddings, position embeddings, token ids, and the gradients of both tables.

Token embeddings, or any activation that the host sends row by row.  The host looks up the rows of the table and
streams the embeddings of the tokens, so that the table itself need not fit on the fabric.  The stream of a column
holds one tile [fx][t] for each of the H rows of PEs, from north to south: t fx H elements, two 16-bit elements per
wavelet.  A counter filter in each router passes only the PE's own tile down the ramp.  In the backward pass each PE
sends its tile of dx north and forwards the tiles of the PEs south of it.  The host sums the rows of dx by id
(`Embedding.rows`).

Position embeddings.  The table [sequence, features] is the same for every sequence.  It is streamed as f32 or 16-bit
weights and added to each sequence of a row of PEs.  Its gradient is summed over the sequences of a row and, on the way
north, over rows.  Either a row of PEs holds whole sequences, or a sequence occupies whole rows; each of these rows then
uses its own part of the table.
"""

from __future__ import annotations

import numpy as np

from ..errors import ConfigError, ProgramError
from ..program.route import Filter
from .parameters import NORTH_VECTOR, next_outbox, sent_off
from .region import NORTH, Region, Tile, memory, memory_dsr
from .tiles import owned
from .transfers import ZERO, Column, GradientTransfer, Order, WeightTransfer, as_bits

FILTERS, COUNTED = 255, 1 << 16  # of a program; wavelets that a filter counts


class Embedding:
    """The token embedding of a region.  `forward` and `gradient` may be called once each; both append to the sequence.

    features: length of a row of the table.  widest: the largest `features` of all that the region receives this way:
    filters count tiles of one size, so that a smaller one is followed by zeros, which its PE drops.

    A counter filter counts to 65,536, and a program has 255 of them.  Longer columns of tiles are sent in pieces, the
    first piece of each tile, then the second; where there are more rows of PEs, several share a filter, and a PE drops
    the tiles of the others.
    """

    def __init__(self, region: Region, features: int, widest: int = 0) -> None:
        self.region, self.features = region, features
        # Wavelets of a tile, and with the zeros behind it; t is even.
        self.words, self.sent = (
            region.features(n) * region.tokens * region.policy.size // 4 for n in (features, max(features, widest))
        )
        # Rows that share a filter, rows with a filter of their own, wavelets of a piece of a tile.
        self.sharing = -(-region.height // FILTERS)
        self.filters = -(-region.height // self.sharing)
        most = min(self.sent, COUNTED // self.filters)
        self.piece = next(n for n in range(most, 0, -1) if self.sent % n == 0)

    def forward(self, x: Tile) -> None:
        """Appends to the sequence: x = the embeddings, from the stream of the color `embedding` (Edge.embedding)."""
        region = self.region
        region.uses("embedding")
        self._filter()
        if self.sharing > 1 or self.piece < self.sent:
            region.work(4)
            name = f"embedding_{self.words}_of_{self.sent}"
            region.subroutine(name, self._in_pieces(name))
            region.code(f"    mov r8, {x.at}\n    call {name}")
            return
        rest, drop = self.sent - self.words, []
        name = f"embedding_{self.words}"
        if rest:
            region.work(4)
            drop = [*memory_dsr("d0", 4, f"work+{rest << 16:#x}", stride=0), "    mov32 d0, a0"]
        region.subroutine(
            name,
            "\n".join(
                [
                    f"{name}:",
                    *memory_dsr("d0", 4, f"r8, {self.words << 16:#x}"),
                    "    dsr a0, embedding_in",
                    "    mov32 d0, a0",
                    *drop,
                    "    ret\n",
                ]
            ),
        )
        region.code(f"    mov r8, {x.at}\n    call {name}")

    def _in_pieces(self, name: str) -> str:
        """Code: receives the pieces of the tile at r8 and, in between, drops those of rows that share its filter."""
        return "\n".join(
            [
                f"{name}:",
                f"    mov r9, {self.words}",  # wavelets of the tile that are to come
                f"    mov r3, {self.sent // self.piece}",
                ".piece:",
                "    ld16 r1, [row]",
                f"    mov r2, {self.sharing}",
                ".row:",
                f"    iltu32 r5, r1, {self.filters}",  # whether the next piece is of this row
                f"    mov r6, {self.piece}",
                "    iltu32 r7, r9, r6",
                "    sel r7, r7, r9, r6",
                "    sel r7, r5, r7, r0",  # wavelets of the piece that are kept
                "    bz r7, .drop",
                "    ishl32 r4, r7, 16",
                *memory_dsr("d0", 4, "r4, 0"),
                "    iadd32 r29, r29, r8",
                "    ldds d0, r28",
                "    dsr a0, embedding_in",
                "    mov32 d0, a0",
                "    ishl32 r4, r7, 2",
                "    iadd32 r8, r8, r4",
                "    isub32 r9, r9, r7",
                ".drop:",
                "    isub32 r6, r6, r7",
                "    bz r6, .next",
                "    ishl32 r4, r6, 16",
                *memory_dsr("d0", 4, "r4, work", stride=0),
                "    dsr a0, embedding_in",
                "    mov32 d0, a0",
                ".next:",
                f"    isub32 r1, r1, {self.filters}",
                "    isub32 r2, r2, 1",
                "    bnz r2, .row",
                "    isub32 r3, r3, 1",
                "    bnz r3, .piece",
                "    ret\n",
            ]
        )

    def _filter(self) -> None:
        """Routes and filters: each row of PEs receives one piece of every `filters` pieces."""
        region, n = self.region, self.piece
        color, bottom, period = region.program.colors["embedding"], region.height - 1, n * self.filters
        xs = slice(region.x, region.x + region.width)
        for dy in range(region.height):
            own = Filter(
                "counter", max_counter=n - 1, limit1=period - 1, init_counter=-(dy % self.filters) * n % period
            )
            region.program.route(color, "N", "R" if dy == bottom else "RS", x=xs, y=region.y + dy, filter=own)

    def pack(self, table: np.ndarray, ids: np.ndarray) -> list[Column]:
        """The stream of the color `embedding` for each column, from west to east.

        table: [vocabulary, features], f32 or uint16 bits of the storage type.  ids: integers [height * tokens].  Raises
        ConfigError for another number of ids, or an id outside the table.
        """
        region = self.region
        ids = np.asarray(ids).ravel()
        table = np.asarray(table)
        if ids.size != region.height * region.tokens:
            raise ConfigError(f"{region.name} takes {region.height * region.tokens} ids, not {ids.size}")
        if ids.min() < 0 or ids.max() >= len(table):
            raise ConfigError(f"ids are 0 to {len(table) - 1}, not {ids.min()} to {ids.max()}")
        own = owned(self.features, region.width)
        bits = as_bits(table[ids], region.policy.storage).reshape(ids.size, -1)
        bits = np.concatenate([bits, np.zeros((ids.size, 1), np.uint32)], axis=1)  # index -1: padding
        rows = bits.reshape(region.height, region.tokens, -1)
        columns = []
        for own_features in own:
            tile = np.ascontiguousarray(rows[:, :, own_features].transpose(0, 2, 1)).ravel()  # [h, fx, t]
            words = tile if region.policy.wide else tile[0::2] | tile[1::2] << 16
            rows_sent = self.sharing * self.filters
            padding = (0, rows_sent - region.height), (0, self.sent - self.words)
            pieces = np.pad(words.reshape(region.height, -1), padding).reshape(rows_sent, -1, self.piece)
            words = pieces.swapaxes(0, 1).ravel()
            columns.append(Column(words, np.zeros(words.size, bool)))
        return columns

    def sizes(self) -> np.ndarray:
        """int64 [width, 2]: the wavelets of each column that `pack` gives, and how many of them are control
        wavelets."""
        wavelets = self.sent * self.sharing * self.filters
        return np.tile(np.array([wavelets, 0], np.int64), (self.region.width, 1))

    def gradient(self, dx: Tile) -> GradientTransfer:
        """Appends to the sequence: dx is sent north.  Returns the transfer of "dx" [tokens, features], for `rows`."""
        region = self.region
        region.uses("north")
        region.outbox(self.words)
        region.subroutine(f"embedding_north_{self.words}", self._north())
        region.code(f"    mov r8, {dx.at}\n    call embedding_north_{self.words}")
        parts = (("dx", Order.of(self._order()), (region.height * region.tokens, self.features)),)
        return region.gives(GradientTransfer("gradient of the embedding", parts, region.policy.storage))

    def _order(self) -> np.ndarray:
        """int64 [width, h fx t]: flat index in [tokens, features] of each element of a column; -1: padding."""
        region = self.region
        own = owned(self.features, region.width)[:, None, :, None]
        token = np.arange(region.height * region.tokens).reshape(1, region.height, 1, region.tokens)
        return np.where(own < 0, -1, token * self.features + own).reshape(region.width, -1)

    def rows(self, dx: np.ndarray, ids: np.ndarray, vocabulary: int) -> np.ndarray:
        """float32 [vocabulary, features]: the gradient of the table: rows of dx [tokens, features] summed by id."""
        table = np.zeros((vocabulary, self.features), np.float32)
        np.add.at(table, np.asarray(ids).ravel(), dx)
        return table

    def _north(self) -> str:
        """Code: sends the tile at r8 north, then forwards the tiles of the PEs to the south, one at a time."""
        n = self.words
        return "\n".join(
            [
                f"embedding_north_{n}:",
                *next_outbox("begun"),
                *memory_dsr("a0", 4, f"r8, {n << 16:#x}"),
                f"    iadd32 r29, r7, {n << 16:#x}",
                "    ldds d0, r28",
                "    ldds a10, r28",
                "    mov32 d0, a0",
                "    dsr d10, north_out",
                f"    mov32 d10, a10 {{async, ut={NORTH}}}",
                *sent_off(),
                "    ld16 r1, [row]",
                f"    mov r2, {self.region.height - 1}",
                "    isub32 r1, r2, r1",  # rows to the south
                "    ld32 r28, [south_in]",
                f"    mov r29, {n << 16:#x}",
                "    ld32 r30, [south_in+8]",
                "    ld32 r31, [south_in+12]",
                "    ldds a10, r28",
                ".below:",
                "    bz r1, .end",
                f"    mov32 d10, a10 {{async, ut={NORTH}}}",
                "    isub32 r1, r1, 1",
                "    jmp .below",
                ".end:",
                "    ret\n",
            ]
        )


def receive_ids(region: Region, to: str) -> None:
    """Appends to the sequence: receives a u16 for each token of the row into u16 [t] at address `to`.

    The stream has the color `ids` and enters at the region's west edge; all PEs of a row receive the same values.
    """
    region.uses("ids")
    region.subroutine(
        "receive_ids",
        "\n".join(
            [
                "receive_ids:",
                *memory_dsr("d0", 2, f"r8, {region.tokens << 16:#x}"),
                "    dsr a0, ids_in",
                "    mov16 d0, a0",
                "    ret\n",
            ]
        ),
    )
    region.code(f"    mov r8, {to}\n    call receive_ids")


def positions(region: Region, x: Tile, sequence: int) -> WeightTransfer:
    """Appends to the sequence: adds the position embeddings to x.

    sequence: tokens of a sequence.  The transfer has one role, "weight" [sequence, features].  Raises ProgramError if
    neither a row of PEs holds whole sequences nor a sequence whole rows.
    """
    rows = _rows(region, sequence)
    region.uses("weights")
    fx, of = region.features(x.features), region.policy
    n = fx * sequence // rows
    region.work(n * of.size * (2 if rows > 1 else 1))
    name = f"positions_{n}_{rows}"
    region.subroutine(
        name, _positions(name, region, fx, sequence) if rows == 1 else _own_positions(name, region, n, rows)
    )
    region.code(f"    mov r8, {x.at}\n    call {name}")
    order = _position_order(region, x.features, sequence, ZERO)
    return region.takes(
        WeightTransfer(f"positions {sequence} x {x.features}", of.storage, (("weight", Order.of(order)),))
    )


def positions_gradient(region: Region, dx: Tile, sequence: int) -> GradientTransfer:
    """Appends to the sequence: sends the sum of dx over the sequences, for each position, north.

    The transfer has one role, "weight" [sequence, features].  Errors as `positions`.
    """
    rows = _rows(region, sequence)
    region.uses("north")
    fx = region.features(dx.features)
    n = fx * sequence // rows
    region.outbox(n)
    region.work(4 * n * (2 if rows > 1 else 1))
    name = f"positions_gradient_{n}_{rows}"
    region.subroutine("north_vector", NORTH_VECTOR)
    region.code(f"    mov r8, {dx.at}\n    call {name}")
    if rows == 1:
        region.subroutine(name, _positions_gradient(name, region, fx, sequence))
        region.code(f"    mov r16, {region.span('work', n)}\n    call north_vector")
    else:
        region.subroutine(name, _own_positions_gradient(name, region, n, rows))
    order = _position_order(region, dx.features, sequence, -1)
    parts = (("weight", Order.of(order), (sequence, dx.features)),)
    return region.gives(GradientTransfer(f"gradient of positions {sequence} x {dx.features}", parts))


def _rows(region: Region, sequence: int) -> int:
    """Number of rows of PEs that a sequence occupies; 1 if a row holds whole sequences."""
    if sequence >= 1 and region.tokens % sequence == 0:
        return 1
    if sequence < 1 or sequence % region.tokens or region.height % (sequence // region.tokens):
        raise ProgramError(
            f"{region.height} rows of {region.name} with {region.tokens} tokens each do not hold sequences of "
            f"{sequence} tokens: a row must hold whole sequences, or a sequence must occupy whole rows"
        )
    return sequence // region.tokens


def _position_order(region: Region, features: int, sequence: int, padding: int) -> np.ndarray:
    """int64 [width, fx * sequence]: flat index in [sequence, features] of each element of the stream, which holds the
    tiles of one sequence, one for each row of PEs that it occupies.  padding: index of padding elements."""
    part = sequence // _rows(region, sequence)
    own = owned(features, region.width)[:, None, :, None]
    place = np.arange(sequence).reshape(1, -1, 1, part) * features + own
    return np.where(own < 0, padding, place).reshape(region.width, -1)


def _own_row(rows: int) -> list[str]:
    """Code: r1 = index of the PE's row among the rows of its sequence."""
    return ["    ld16 r1, [row]", f"    iremu16 r1, r1, {rows}"]


def _own_positions(name: str, region: Region, n: int, rows: int) -> str:
    """Code: receives the n position embeddings of each row of a sequence, and adds those of the own row to x at r8."""
    of = region.policy
    return "\n".join(
        [
            f"{name}:",
            *_own_row(rows),
            "    ld32 r28, [weights_in]",
            f"    mov r29, {n << 16:#x}",
            "    ld32 r30, [weights_in+8]",
            "    mov r31, 0",
            "    ldds a0, r28",
            "    mov r2, 0",
            ".next:",
            "    ine32 r3, r2, r1",  # tiles of other rows share a second buffer and overwrite each other
            f"    imul32 r3, r3, {n * of.size}",
            *memory_dsr("d0", of.size, f"r3, work+{n << 16:#x}"),
            f"    {'mov32' if of.wide else 'mov16'} d0, a0",
            "    iadd32 r2, r2, 1",
            f"    ine32 r3, r2, {rows}",
            "    bnz r3, .next",
            *memory_dsr("b0", of.size, f"work+{n << 16:#x}"),
            f"    iadd32 r29, r8, {n << 16:#x}",
            "    ldds d0, r28",
            "    ldds a0, r28",
            f"    {'fadds' if of.wide else 'faddh'} d0, a0, b0",
            "    ret\n",
        ]
    )


def _own_positions_gradient(name: str, region: Region, n: int, rows: int) -> str:
    """Code: for each row of a sequence, sends n f32 north: dx at r8 for the own row, zeros for the others."""
    of = region.policy
    return "\n".join(
        [
            f"{name}:",
            "    mov r26, r27",
            *memory_dsr("a0", of.size, f"r8, {n << 16:#x}"),
            *memory_dsr("d0", 4, f"work+{n << 16:#x}"),
            f"    {'mov32' if of.wide else 'fh2s'} d0, a0",
            f"    mov r29, work+{(n << 16) + 4 * n:#x}",
            "    ldds d0, r28",
            "    mov32 d0, r0",
            *_own_row(rows),
            "    mov r8, r1",
            "    mov r9, 0",
            ".next:",
            "    ieq32 r1, r8, r9",
            f"    mov r2, {region.span('work', n)}",
            f"    mov r3, {region.span('work', n, 4 * n)}",
            "    sel r16, r1, r2, r3",
            "    call north_vector",
            "    iadd32 r9, r9, 1",
            f"    ine32 r1, r9, {rows}",
            "    bnz r1, .next",
            "    jr r26\n",
        ]
    )


def _positions(name: str, region: Region, fx: int, sequence: int) -> str:
    """Code: receives the stream into work space and adds it to each sequence of x at r8."""
    of, n = region.policy, fx * sequence
    add = "fadds" if of.wide else "faddh"
    lines = [
        f"{name}:",
        *memory_dsr("d0", of.size, f"work+{n << 16:#x}"),
        "    ld32 r28, [weights_in]",
        f"    mov r29, {n << 16:#x}",
        "    ld32 r30, [weights_in+8]",
        "    mov r31, 0",  # no control wavelet ends the stream
        "    ldds a0, r28",
        f"    {'mov32' if of.wide else 'mov16'} d0, a0",
    ]
    for first in range(0, region.tokens, sequence):
        lines += [
            *memory_dsr("b0", of.size, f"work+{sequence << 16:#x}", save=True),
            f"    mov r1, {fx}",
            f"    iadd32 r29, r8, {(sequence << 16) + first * of.size:#x}",
            f"    mov r28, {memory(of.size):#x}",
            f".row{first}:",
            "    ldds d0, r28",
            "    ldds a0, r28",
            f"    {add} d0, a0, b0",
            f"    iadd32 r29, r29, {region.tokens * of.size}",
            "    isub32 r1, r1, 1",
            f"    bnz r1, .row{first}",
        ]
    return "\n".join([*lines, "    ret\n"])


def _positions_gradient(name: str, region: Region, fx: int, sequence: int) -> str:
    """Code: sums dx at r8 over the sequences of the row into work space, f32 [fx][sequence]."""
    of = region.policy
    add, move = ("fadds", "mov32") if of.wide else ("faddhs", "fh2s")
    lines = [f"{name}:"]
    for first in range(0, region.tokens, sequence):
        lines += [
            *memory_dsr("d0", 4, f"work+{sequence << 16:#x}", save=True),
            "    ldds a0, r28",
            f"    mov r1, {fx}",
            f"    iadd32 r29, r8, {(sequence << 16) + first * of.size:#x}",
            f"    mov r28, {memory(of.size):#x}",
            f"    mov r30, {of.size}",
            f".row{first}:",
            "    ldds b0, r28",
            *(["    ldds a0, r28", f"    {move} d0, a0"] if first == 0 else [f"    {add} d0, a0, b0"]),
            f"    iadd32 r29, r29, {region.tokens * of.size}",
            "    isub32 r1, r1, 1",
            f"    bnz r1, .row{first}",
        ]
    return "\n".join([*lines, "    ret\n"])
