"""Common parts of the two products of a linear layer (partial.py forward, linear.py backward): shapes and inner loops.

A product adds x[k] W[n, k] to sums[n] for each weight that arrives in a column, by one vector operation over the t
tokens of a PE.  A column has chunks of kx inputs k and blocks of ny outputs n.

One subroutine serves all shapes.  Values that depend on the shape are in a table of words in memory, whose address is
an operand.  The subroutine first copies x to the layout that the multiply-adds need.  16-bit rows that are added to f32
sums are stored in pairs: row p in the lower and row p + half in the upper halves of 32-bit words.  The two sources of a
multiply-add then never have a bank conflict.

Terms.  A span is the second word of a descriptor: address | length << 16.  A table may hold a span without its address.
"""

from __future__ import annotations

from functools import cached_property, lru_cache

import numpy as np

from ..records import dataclass
from .policy import Policy
from .region import SEND, Region, Tile, memory
from .tiles import owned
from .transfers import END, ZERO, Order

# Byte offsets of the words of a shape's table (Product.table).
LOW, HIGH, LOW_SPAN, HIGH_SPAN, ROW, SUMS, CHUNK, CHUNK_BYTES, NY, MORE = (4 * i for i in range(10))


# Code that waits until the microthread has sent everything: it sends one more wavelet by the same microthread, which
# starts only after the previous operation has ended, and receives one from the western neighbor.
ALL_SENT = [
    "    dsr d8, ring_out_one",
    "    dsr d9, drop",
    "    dsr a9, ring_in_one",
    f"    mov32 d8, r0 {{async, ut={SEND}}}",
    "    mov32 d9, a9",
]


@dataclass(frozen=True)
class Product:
    """One shape of a product on a region, from `inputs` to `outputs` features.

    width: columns of the region.  tokens: tokens per PE.  kx, ny: inputs and outputs per PE.  sparse: the stream holds
    nonzero weights only, each with the position of its input.
    """

    policy: Policy
    width: int
    tokens: int
    inputs: int
    outputs: int
    sparse: bool = False

    @property
    def kx(self) -> int:
        """Inputs per PE, including padding."""
        return -(-self.inputs // self.width)

    @property
    def ny(self) -> int:
        """Outputs per PE, including padding."""
        return -(-self.outputs // self.width)

    @property
    def paired(self) -> bool:
        """Whether rows p and p + half of a chunk share 32-bit words."""
        return self.policy.products == "exact"

    @property
    def half(self) -> int:
        """Rows in the lower halves of a paired chunk; all rows of a chunk that is not paired."""
        return -(-self.kx // 2) if self.paired else self.kx

    @property
    def rows(self) -> int:
        """Rows that fit in a chunk, including padding."""
        return 2 * self.half if self.paired else self.kx

    @property
    def row_bytes(self) -> int:
        """Bytes from one row of a chunk to the next."""
        return self.tokens * (4 if self.paired or self.policy.wide else 2)

    @property
    def chunk_bytes(self) -> int:
        """Bytes of a chunk."""
        return self.half * self.row_bytes

    @property
    def sum_size(self) -> int:
        """Bytes of the accumulator of a product."""
        return 4 if self.policy.products in ("f32", "exact") else 2

    @property
    def multiply_add(self) -> str:
        """Name of the multiply-add instruction."""
        return {"f32": "fmacs", "exact": "fmachs"}.get(self.policy.products, "fmach")

    @property
    def gathered(self) -> int:
        """Offset of the copied x in the work space, in bytes; four banks away from the sums."""
        raise NotImplementedError

    def places(self, blocks: int) -> np.ndarray:
        """The index of each wavelet of a sparse stream: uint16 [width, n], the position of x[k] in its chunk.

        blocks: the number of chunks or blocks in the stream.  Positions are in 16-bit words.
        """
        k = np.arange(self.kx)
        at = k % self.half * self.row_bytes // 2 + (k // self.half if self.paired else 0)
        row = np.append(at, 0).astype(np.uint16)  # 0 for the control wavelet
        return np.broadcast_to(np.tile(row, blocks * self.ny), (self.width, blocks * self.ny * row.size))

    def column(self, x: int) -> np.ndarray:
        """The weight that each wavelet of column x's stream carries: int64 [n]."""
        raise NotImplementedError

    def rows_of(self, index: np.ndarray) -> np.ndarray:
        """The order of a column, int64 [n], from that of its weights, int64 [width, kx, ny]: in a sparse stream each
        output has its inputs, followed by a control wavelet."""
        if not self.sparse:
            return index.reshape(-1)
        end = np.full((self.width, self.ny, 1), END, np.int64)
        return np.concatenate([index.swapaxes(1, 2), end], axis=2).reshape(-1)

    @cached_property
    def table(self) -> list[int]:
        """The words of the table, in the order of the offsets above.  Subclasses append their own words at MORE."""
        low, high = self.half, self.kx - self.half
        t = self.tokens << 16
        chunk = (self.chunk_bytes // 4 << 16) + self.gathered
        return [low, high, low * t, high * t, self.ny << 16, self.ny * t, chunk, self.chunk_bytes, self.ny]

    # --- the code, the same for all shapes ----------------------------------------------------------------------------
    #
    # r8, r9, r10: byte addresses of x, y and the table.  r1: address of the chunk.  r12..r15: descriptor of a row of
    # sums; r16..r19: of a row of x; r22..r25: of a row of weights.

    def rows_begin(self) -> list[str]:
        """Initializes the registers of the row loops."""
        weights = ["    dsr a6, weights_in"]
        if not self.sparse:
            weights = [f"    ld32 r{22 + i}, [weights_in+{4 * i}]" for i in (0, 2, 3)] + [f"    ld32 r23, [r10+{ROW}]"]
        return [
            *weights,
            f"    mov r12, {memory(self.sum_size, save=not self.sparse):#x}",
            f"    mov r14, {self.sum_size}",
            "    mov r15, 0",
            f"    mov r16, {memory(self.policy.size):#x}",
            f"    mov r18, {self.row_bytes // self.tokens}",
            "    mov r19, 0",
        ]

    def own_chunk(self) -> list[str]:
        """Copies x to the chunk at r1.  Sets r20 to the chunk's span in 32-bit words and r6 to its bytes."""
        size = self.policy.size
        lines = [
            f"    ld32 r20, [r10+{CHUNK}]",
            "    mov r2, work",
            "    iadd32 r20, r20, r2",
            "    iand r1, r20, 0xffff",
            f"    ld32 r6, [r10+{CHUNK_BYTES}]",
            f"    ld32 r3, [r10+{LOW_SPAN}]",
            f"    mov r28, {memory(size):#x}",
            "    iadd32 r29, r8, r3",
            f"    mov r30, {size}",
            "    mov r31, 0",
            "    ldds a0, r28",
            "    iadd32 r29, r1, r3",
            f"    mov r30, {4 if self.paired else size}",
            "    ldds d0, r28",
            f"    {'mov32' if size == 4 else 'mov16'} d0, a0",
        ]
        if not self.paired:
            return lines
        return [
            *lines,
            "    ishr32 r2, r3, 15",  # bytes of the rows in the lower halves
            f"    ld32 r3, [r10+{HIGH_SPAN}]",
            "    bz r3, .copied",
            "    iadd32 r29, r8, r3",
            "    iadd32 r29, r29, r2",
            "    mov r30, 2",
            "    ldds a0, r28",
            "    iadd32 r29, r1, r3",
            "    iadd32 r29, r29, 2",
            "    mov r30, 4",
            "    ldds d0, r28",
            "    mov16 d0, a0",
            ".copied:",
        ]

    def all_rows(self) -> list[str]:
        """Processes all rows of weights of the chunk at r1.  r13: span of the first row of sums."""
        first = f"    iadd32 r17, r1, {self.tokens << 16:#x}"
        if self.sparse:
            return [first, *self._sparse_rows()]
        lines = [first, f"    ld32 r5, [r10+{LOW}]", *self._dense_rows("low")]
        if self.paired:
            lines += [
                f"    ld32 r5, [r10+{HIGH}]",
                "    bz r5, .rows_end",
                f"    iadd32 r17, r1, {(self.tokens << 16) + 2:#x}",
                *self._dense_rows("high"),
                ".rows_end:",
            ]
        return lines

    def _dense_rows(self, label: str) -> list[str]:
        """Processes r5 rows of x, from r17 on.  The latency of the backward branch hides the DSR loads before it."""
        loads = ["    ldds d0, r12", "    ldds a0, r12", "    ldds b0, r16", "    ldds a6, r22"]
        return [
            *loads,
            f".{label}:",
            f"    mapstep r4, a6, .{label}_end",
            f"    {self.multiply_add} d0, a0, b0, r4",
            f"    maploop .{label}",
            f".{label}_end:",
            f"    iadd32 r17, r17, {self.row_bytes}",
            *loads,
            "    isub32 r5, r5, 1",
            f"    bnz r5, .{label}",
        ]

    def _sparse_rows(self) -> list[str]:
        """Processes one row of weights per output; a control wavelet ends a row."""
        if self.policy.wide:
            weight = ["    mapstep r22, a6, .row_end", "    mapstep r4, a6, .row_end"]
        else:
            weight = ["    mapstep r4, a6, .row_end", "    ishr32 r22, r4, 16"]
        return [
            f"    ld32 r5, [r10+{NY}]",
            "    ldds d0, r12",
            "    ldds a0, r12",
            "    ldds b0, r16",
            ".row:",
            *weight,
            "    dsindex b0, r22",
            f"    {self.multiply_add} d0, a0, b0, r4",
            "    maploop .row",
            ".row_end:",
            f"    iadd32 r13, r13, {self.tokens * self.sum_size}",
            "    ldds d0, r12",
            "    ldds a0, r12",
            "    isub32 r5, r5, 1",
            "    bnz r5, .row",
        ]


@lru_cache(maxsize=256)
def order(made: Product) -> Order:
    """The order of a product's stream; layers of one shape share it."""
    n = made.width * made.ny * (made.kx + made.sparse)
    return Order(made.width, n, made.column)


@dataclass(frozen=True)
class Gathered(Product):
    """A product with inputs gathered around the ring: every PE receives all inputs and computes its own outputs.

    wide: the outputs are the sums themselves, in f32 unless the policy has 16-bit sums, and are not rounded.
    """

    # Work space, in order: 16-bit sums of a chunk (policy mixed), f32 sums (unless in the outputs), the gathered
    # inputs.
    wide: bool = False

    @property
    def in_place(self) -> bool:
        """Whether products are added directly to the outputs."""
        return self.policy.products in ("f32", "half") or (self.wide and not self.mixed)

    @property
    def mixed(self) -> bool:
        """Whether products are summed in 16 bits and chunks in f32."""
        return self.policy.products == "mixed"

    @property
    def gathered(self) -> int:
        """Offset of the gathered chunks in work space, in bytes."""
        sums = 0 if self.in_place or self.wide else 4
        bytes = self.ny * self.tokens * (sums + 2 * self.mixed)
        return -(-bytes // 16) * 16 + 8

    @property
    def chunks_held(self) -> int:
        """Chunks of inputs that a PE has at a time."""
        return self.width

    @property
    def work(self) -> int:
        """Bytes of work space."""
        return self.gathered + self.chunks_held * self.chunk_bytes

    def column(self, x: int) -> np.ndarray:
        """The weight that each wavelet of column x's stream carries: int64 [n], indices into the transposed weights,
        [inputs, outputs].

        ZERO stands for padding, END for a control wavelet.
        """
        own = owned(self.outputs, self.width)[x][None, None, :]
        k = self.chunks()[x][:, :, None]
        return self.rows_of(np.where((own >= 0) & (k >= 0), k * self.outputs + own, ZERO))  # step, k of the chunk, n

    def chunks(self) -> np.ndarray:
        """The inputs of the chunk that a column has at a step: int64 [width, width, kx]; -1 for padding."""
        columns, steps = np.arange(self.width)[:, None], np.arange(self.width)[None, :]
        return owned(self.inputs, self.width)[(columns - steps) % self.width]

    def text(self, name: str) -> str:
        """The assembler text of the subroutine.

        Operands: r8, r9, r10: addresses of inputs, outputs and table.  r11: 1 to add to the outputs, 0 to replace them.
        """
        first = "r9" if self.in_place else "work"
        row = self.tokens << 16
        return "\n".join(
            [
                f"{name}:",
                *self.own_chunk(),
                f"    ld32 r7, [r10+{SUMS}]",
                *self._begin(),
                *self.rows_begin(),
                f"    mov r21, {self.width - 1}",
                ".chunk:",
                *self._pass_on(),
                f"    iadd32 r13, r9, {row:#x}" if first == "r9" else f"    mov r13, work+{row:#x}",
                "    iand r1, r20, 0xffff",
                *(["    mov r2, work", *load_dsr("d0", 2, "r7", "r2"), "    mov16 d0, r0"] if self.mixed else []),
                *self.all_rows(),
                *self._widen(),
                *self._next(),
                *self._finish(),
                "    ret\n",
            ]
        )

    def _begin(self) -> list[str]:
        """Initializes the sums with 0 or, to add, with the outputs.

        r7: length of the outputs in the upper half.  Sets r3 to the span of the f32 sums.  For policy mixed, r2 is the
        address of the 16-bit sums, and the f32 sums follow them in memory.
        """
        size = 2 if self.policy.products == "half" else 4
        move = "mov32" if size == 4 else "mov16"
        if self.in_place:
            return ["    bnz r11, .begun", *load_dsr("d0", size, "r9", "r7"), f"    {move} d0, r0", ".begun:"]
        return [
            "    mov r2, work",
            f"    iadd32 r3, r7, {'r9' if self.wide else 'r2'}",
            *(["    ishr32 r1, r7, 15", "    iadd32 r3, r3, r1"] if self.mixed and not self.wide else []),
            *load_dsr("d0", 4, "r3", ""),
            *(["    bnz r11, .begun"] if self.wide else ["    bnz r11, .add"]),
            "    mov32 d0, r0",
            *([] if self.wide else ["    jmp .begun", ".add:", *load_dsr("a0", 2, "r9", "r7"), "    fh2s d0, a0"]),
            ".begun:",
        ]

    def _pass_on(self) -> list[str]:
        """Sends this chunk east and receives the next one from the west."""
        if self.width == 1:
            return []
        return [
            "    bz r21, .here",
            "    dsr d8, ring_out",
            "    dsr a9, ring_in",
            *load_dsr("a8", 4, "r20", ""),
            "    iadd32 r29, r29, r6",
            "    ldds d9, r28",
            f"    mov32 d8, a8 {{async, ut={SEND}}}",
            "    mov32 d9, a9",
            ".here:",
        ]

    def _widen(self) -> list[str]:
        """For policy mixed: adds the 16-bit sums of the chunk to the f32 sums at r3."""
        if not self.mixed:
            return []
        return [
            *load_dsr("d0", 4, "r3", ""),
            "    ldds a0, r28",
            "    mov r2, work",
            *load_dsr("b0", 2, "r7", "r2"),
            "    faddhs d0, a0, b0",
        ]

    def _next(self) -> list[str]:
        if self.width == 1:
            return []
        return [
            "    bz r21, .end",
            "    isub32 r21, r21, 1",
            "    iadd32 r20, r20, r6",
            *self._turn(),
            "    jmp .chunk",
            ".end:",
            *ALL_SENT,
        ]

    def _turn(self) -> list[str]:
        """What else there is to do before the next chunk."""
        return []

    def _finish(self) -> list[str]:
        """Rounds the f32 sums to the outputs."""
        if self.in_place or self.wide:
            return []
        return [*load_dsr("a0", 4, "r3", ""), *load_dsr("d0", 2, "r9", "r7"), "    fs2h d0, a0"]


# The 32-bit words that a Chunkwise keeps while a chunk's gradient is computed: r9, r10, addresses of x and of the
# gradient's table, r3, r20, r21, r6.
STATE = "chunk_state"
STATE_WORDS = 8


@dataclass(frozen=True)
class Chunkwise(Gathered):
    """A Gathered that uses each chunk for the product and for the weight gradient when it arrives, and keeps two at a
    time: memory does not grow with the width of the row."""

    @property
    def chunks_held(self) -> int:
        """Chunks of inputs that a PE has at a time."""
        return min(2, self.width)

    def text(self, name: str) -> str:
        """The assembler text of the subroutine.

        Operands: r8 to r11 as in Gathered; r12, r13: addresses of x and of the gradient's table.  It calls the
        subroutine `gradient_chunk` for each chunk: r2 is the chunk's address, r8 and r10 those of x and of the table.
        """
        first = "r9" if self.in_place else "work"
        row = self.tokens << 16
        kept = ((9, 0), (10, 4), (3, 16), (20, 20), (21, 24), (6, 28))
        return "\n".join(
            [
                f"{name}:",
                "    mov r26, r27",
                f"    st32 r9, [{STATE}]",
                f"    st32 r10, [{STATE}+4]",
                f"    st32 r12, [{STATE}+8]",
                f"    st32 r13, [{STATE}+12]",
                *self.own_chunk(),
                f"    ld32 r7, [r10+{SUMS}]",
                *self._begin(),
                f"    st32 r3, [{STATE}+16]",
                f"    mov r21, {self.width - 1}",
                ".chunk:",
                f"    ld32 r7, [r10+{SUMS}]",
                *self.rows_begin(),
                *self._pass_on(),
                f"    iadd32 r13, r9, {row:#x}" if first == "r9" else f"    mov r13, work+{row:#x}",
                "    iand r1, r20, 0xffff",
                *(["    mov r2, work", *load_dsr("d0", 2, "r7", "r2"), "    mov16 d0, r0"] if self.mixed else []),
                *self.all_rows(),
                *([f"    ld32 r3, [{STATE}+16]"] if self.mixed else []),
                *self._widen(),
                *(f"    st32 r{register}, [{STATE}+{at}]" for register, at in kept[3:]),
                "    iand r2, r20, 0xffff",
                f"    ld32 r8, [{STATE}+8]",
                f"    ld32 r10, [{STATE}+12]",
                "    call gradient_chunk",
                *(f"    ld32 r{register}, [{STATE}+{at}]" for register, at in kept),
                *self._next(),
                f"    ld32 r7, [r10+{SUMS}]",
                *self._finish(),
                "    jr r26\n",
            ]
        )

    def _turn(self) -> list[str]:
        """The other of two buffers comes next."""
        return ["    isub32 r6, r0, r6"]


def load_dsr(dsr: str, size: int, base: str, span: str, save: bool = False, stride: int | None = None) -> list[str]:
    """Code that loads a DSR with a memory descriptor; it overwrites r28 to r31.

    size: bytes of an element.  base, span: registers whose sum is the descriptor's span; with span "", `base` alone.
    save: the DSR keeps the address where an operation ends.  stride: bytes between elements, by default `size`.
    """
    return [
        f"    mov r28, {memory(size, save):#x}",
        f"    iadd32 r29, {base}, {span}" if span else f"    mov r29, {base}",
        f"    mov r30, {size if stride is None else stride}",
        "    mov r31, 0",
        f"    ldds {dsr}, r28",
    ]


def call(region: Region, name: str, text: str, shape: str, words: list[int], x: Tile, y: Tile | None = None) -> None:
    """Appends a call of a subroutine to the region's code.

    The subroutine `name` with its `text` and the table `shape` with its `words` are each declared once per region.
    r8, r9 and r10 receive the addresses of x, y (if any) and the table.
    """
    region.subroutine(name, text)
    table = region.constants(shape, words)
    operands = [f"    mov r8, {x.at}", *([f"    mov r9, {y.at}"] if y else []), f"    mov r10, {table}"]
    region.code("\n".join([*operands, f"    call {name}"]))
