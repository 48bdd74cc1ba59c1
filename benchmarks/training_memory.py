"""The memory of training: `python benchmarks/training_memory.py [--layers 8] [--steps 1] [--whole]`.

It trains a decoder with AdamW in weight streaming, a few tokens a step, and compares the peak of the process's resident
memory with the size of its store: weights, gradients and both moments in float32.  --whole loads all weights into
memory first, as a process that does not stream them would.
"""

from __future__ import annotations

import argparse
import hashlib
import resource
import time

from wse import Machine
from wse.execute.streaming import Streaming
from wse.memoryx import MemoryX
from wse.models import graph, load
from wse.train import checkpoint, data
from wse.train.loop import Settings, Trainer

MB = 1 << 20


def peak() -> float:
    """MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MB


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--width", type=int, default=2048, help="d_model and d_ff")
    parser.add_argument("--heads", type=int, default=64, help="heads, and columns of PEs")
    parser.add_argument("--vocab", type=int, default=2048)
    parser.add_argument("--steps", type=int, default=1)
    parser.add_argument("--whole", action="store_true", help="load all weights into memory")
    options = parser.parse_args()
    heads, width = options.heads, options.width
    sizes = {"d_model": width, "d_ff": width, "heads": heads, "kv_heads": heads, "d_head": width // heads}
    made = graph(load("nano").but(**sizes, layers=options.layers, vocab=options.vocab, sequence=2))
    settings = Settings(steps=options.steps, warmup=0)
    text = data.encode("".join(chr(256 + i % options.vocab) for i in range(40 * options.vocab)), options.vocab)
    started = time.perf_counter()
    execution = Streaming(made, 1, Machine("wse3"), MemoryX())
    store = checkpoint.begin(None, made, settings)
    trainer = Trainer.start(execution, store, data.Batches(text, 1, 2, 0), settings)
    if options.whole:
        execution.load({name: store.weight(name).copy() for name in store.names})
    now = time.perf_counter()
    print(f"{store.parameters:,} weights, store {store.nbytes / MB:,.0f} MB, {execution.grid[0]} PEs", flush=True)
    print(f"{now - started:8.1f} s  to build; {peak():,.0f} MB", flush=True)
    for _ in range(options.steps):
        step = trainer.advance()
        took, now = time.perf_counter() - now, time.perf_counter()
        print(f"{took:8.1f} s  {step.cycles:,} cycles; {peak():,.0f} MB", flush=True)
        print(f"            loss {step.loss!r}, norm {step.norm!r}")
    digest = hashlib.sha256()
    for weight in store.weights.values():
        digest.update(weight.data)
    times = store.nbytes / MB / peak()
    print(f"weights {digest.hexdigest()[:16]}; peak {peak():,.0f} MB, the store is {times:.1f} times as large")


if __name__ == "__main__":
    main()
