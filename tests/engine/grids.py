"""Programs that do a little of everything at once: what must come out the same however it is run.

In each column a vector goes from PE to PE to the south, each adds its own to it beside a main thread that computes; a color
goes along each row, and every PE has a data task for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import numpy as np

import wse

N = 24  # elements of the vector
TICKS = 5


@dataclass(frozen=True)
class Grid:
    """A program with this seed; `fabric` makes it, with its input and output streams."""

    width: int
    height: int
    machine: wse.Machine
    seed: int

    def fabric(self, **options) -> tuple[wse.Fabric, list[wse.fabric.StreamOut]]:
        rng = Random(self.seed)
        p = wse.Program(self.width, self.height, self.machine)
        down = [p.color("even"), p.color("odd")]
        tick = p.color("tick")
        p.shared_array("total", N, "f32")
        kinds = [[self._class(p, f"{name}{i}", rng, down[1 - i], down[i], tick) for name in "ab"] for i in range(2)]
        for y in range(self.height):
            for x in range(self.width):
                p.place(rng.choice(kinds[y % 2]), x, y)
            # what leaves row y comes into the next one on the same color
            rows = slice(y, y + 1)
            p.route(down[y % 2], "R", "S", y=rows)
            p.route(down[1 - y % 2], "N", "R", y=rows)
        p.route(tick, "W", "ER", x=slice(0, self.width - 1))
        p.route(tick, "W", "R", x=self.width - 1)
        f = wse.Fabric(p, **options)
        values = np.random.default_rng(self.seed).integers(-9, 9, (self.height, self.width, N)).astype(np.float32)
        f.write("total", values)
        for x in range(self.width):
            f.stream_in(x, 0, "N", down[1], np.arange(N, dtype=np.float32) + x, rate=rng.choice([1, 1 / 3]))
        for y in range(self.height):
            f.stream_in(0, y, "W", tick, np.arange(TICKS, dtype=np.uint32), rate=rng.choice([1, 1 / 7, 1 / 40]))
        last = down[(self.height - 1) % 2]
        outs = [f.stream_out(x, self.height - 1, "S", last, rate=rng.choice([1, 2 / 3])) for x in range(self.width)]
        return f, outs

    def expected(self) -> np.ndarray:
        """float32 [width, N]: what leaves each column."""
        values = np.random.default_rng(self.seed).integers(-9, 9, (self.height, self.width, N)).astype(np.float32)
        return values.sum(axis=0) + np.arange(N) + np.arange(self.width)[:, None]

    def _class(self, p: wse.Program, name: str, rng: Random, into, out, tick) -> wse.program.PEClass:
        pe = p.pe_class(name)
        pe.queue_in(2, into)
        pe.queue_in(3, tick)
        pe.queue_out(4, out)
        pe.dsd("mine", wse.mem1d(p.shared["total"]))
        pe.dsd("above", wse.fabin(2, N))
        pe.dsd("below", wse.fabout(4, out, N))
        a = pe.array("a", 64, "f16", init=np.arange(64))
        b = pe.array("b", 64, "f32", offset=4 * rng.randrange(4), init=np.arange(64))
        pe.dsd("halves", wse.mem1d(a))
        pe.dsd("odd_halves", wse.mem1d(a, length=20, stride=3))
        pe.dsd("floats", wse.mem1d(b))
        pe.dsd("floats_too", wse.mem1d(b, length=60, offset=4))
        pe.array("seen", 1, "u32")
        blocks = [
            f"mov r2, {rng.randrange(1, 9)}\n.l{{n}}: isub32 r2, r2, 1\nhadd r3, r3, r2\nbnz r2, .l{{n}}\n",
            "dsr d1, halves\ndsr a1, halves\nfmulh d1, a1, r4\n",
            "dsr d1, halves\ndsr a1, odd_halves\nfnegh d1, a1\nfabsh d1, d1\n",
            "dsr d1, floats\ndsr a1, floats\ndsr b1, floats_too\nfmacs d1, a1, b1, r5\n",
            "dsr b1, floats\nfadds r6, r6, b1\nfmaxs r7, r7, b1\n",
            "ssqrt r8, r8\nidivu32 r9, r8, 3\nsadd r8, r8, r6\nsadd r8, r8, r8\n",
            "tsc r10, 0\nrand r11\ncoord r12, 0\nst32 r11, [seen]\n",
            "nop\n" * rng.randrange(1, 30),
        ]
        text = [block.replace("{n}", str(i)) for i, block in enumerate(rng.choices(blocks, k=6))]
        start = "dsr d0, below\ndsr a0, mine\ndsr b0, above\nfadds d0, a0, b0 {async, ut=4, activate=fin}\n"
        text.insert(rng.randrange(4), start)
        pe.code("main:\n" + "".join(text) + "done\n")
        pe.code("fin: mark 5\n" + rng.choice(blocks).replace("{n}", "x") + "hostsig 7\ndone\n")
        pe.code("ticked: ld32 r20, [seen]\niadd32 r20, r20, r0\nst32 r20, [seen]\ndone\n")
        pe.local_task("main", 9, active=True)
        pe.local_task("fin", 10, priority=rng.choice(["low", "high"]))
        pe.data_task("ticked", 3)
        return pe
