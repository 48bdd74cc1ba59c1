"""Interrupts at random moments: `python benchmarks/interrupts.py [--interrupts 50] [--kills 200] [--seed 0]`.

Sends SIGINT at random moments of `wse train`, `run`, `knee`, `sweep` and `infer`, from the first line of the command to
its end, and expects status 130, one line that begins with `error: interrupted`, no JSON document but a sweep's, and no
temporary files.  Then kills a training run that saves after each step, again and again, resuming what it left: each
checkpoint must equal that of an undisturbed run, to the bit.  It prints a line for each command.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TRAIN = ["train", "--model", "nano", "--batch", "2", "--dtype", "bf16"]
COMMANDS = {
    "train": [*TRAIN, "--steps", "3", "--json"],
    "run": ["run", "gemm", "--grid", "32x32", "-M", "256", "-K", "256", "-N", "256", "--json"],
    "knee": ["knee", "--channels", "1,8", "--batch", "2", "--json"],
    "sweep": ["sweep", "spec.toml", "--workers", "1", "--no-plot", "--json"],
    "infer": ["infer", "--json"],
}
SPEC = 'command = ["run", "gemv"]\noptions = { grid = "8x8" }\n[grid]\nM = [64, 128, 256]\nseed = [0, 1, 2]\n'


def start(words: list[str], folder: Path, temporary: Path) -> subprocess.Popen:
    environment = os.environ | {"TMPDIR": str(temporary)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}

    def default() -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)

    return subprocess.Popen(
        [sys.executable, "-m", "wse", *words], cwd=folder, env=environment, preexec_fn=default, **pipes
    )


def interrupts(name: str, words: list[str], count: int, rng: random.Random) -> None:
    with tempfile.TemporaryDirectory() as made:
        folder, temporary = Path(made) / "work", Path(made) / "tmp"
        folder.mkdir()
        temporary.mkdir()
        (folder / "spec.toml").write_text(SPEC)
        begun = time.monotonic()
        assert start(words, folder, temporary).wait() == 0
        whole = time.monotonic() - begun
        good = early = late = 0
        wrong = []
        for _ in range(count):
            process, delay = start(words, folder, temporary), rng.uniform(0.03, whole)
            begun = time.monotonic()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(delay)
                whole = time.monotonic() - begun  # it ended before: runs have become faster
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=120)
            if process.returncode == 130 and "Traceback" not in err and (not out or name == "sweep"):
                good += 1
            elif process.returncode == 0 and out:
                late += 1  # it had ended before
            elif process.returncode in (-2, 1) and "KeyboardInterrupt" in err and "Interrupted:" not in err:
                early += 1  # the interpreter's own handler was still in place
            else:
                wrong.append((round(delay, 3), process.returncode, out[-200:], err[-300:]))
            if name == "sweep":
                for path in (folder / "spec").glob("*"):
                    path.unlink()
        left = [path.name for path in temporary.iterdir() if path.name != "dask-scratch-space"]
        print(
            f"{name:6} {good} of {count} ended with 130 ({late} had ended before, {early} before its first line), "
            f"{len(wrong)} wrong, {len(left)} files left, {whole:.1f} s a run",
            flush=True,
        )
        for one in wrong:
            print("  ", one, flush=True)


def digest(checkpoint: Path) -> tuple[int, str]:
    """(steps, digest of weights, optimiser state, losses and settings) of a checkpoint.

    The cycles of steps are left out: the first step after a start runs on a fabric whose arbiters are in their initial
    state, and takes a few cycles more or less than the same step of a process that went on.
    """
    from wse.memoryx.store import Store

    saved = Store.open(checkpoint)
    for step in saved.meta["train"]["history"]:
        del step["cycles"]
    found = hashlib.sha256(json.dumps(saved.meta, sort_keys=True).encode())
    for kind in ("weight", *saved.slots):
        for tensor in saved.names:
            found.update(saved.slot(kind, tensor).tobytes())
    return len(saved.meta["train"]["history"]), found.hexdigest()


def kills(count: int, rng: random.Random, steps: int = 5) -> None:
    """Kills training runs that save after each step; each continues what the one before left."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        words = [*TRAIN, "--steps", str(steps), "--json"]
        known = {}
        begun = time.monotonic()
        for step in range(1, steps + 1):  # what an undisturbed run saves after each step
            more = ["--resume", f"at{step - 1}"] if step > 1 else []
            line = [*words, "--until", str(step), "--checkpoint", f"at{step}", *more]
            assert start(line, folder, folder).wait() == 0
            known[step] = digest(folder / f"at{step}")[1]
        whole = (time.monotonic() - begun) / steps * 1.5
        checkpoint, equal, fresh, wrong, seen = folder / "ck", 0, 0, 0, set()
        for _ in range(count):
            more = ["--resume", "ck"] if (checkpoint / "meta.json").exists() and digest_or_none(checkpoint) else []
            process = start([*words, "--every", "1", "--checkpoint", "ck", *more], folder, folder)
            time.sleep(rng.uniform(0.3, whole))
            process.kill()
            process.communicate()
            found = digest_or_none(checkpoint)
            if found is None and not more:
                fresh += 1  # killed before the first checkpoint was whole
            elif found is not None and known[found[0]] == found[1]:
                equal += 1
                seen.add(found[0])
            else:
                wrong += 1
            if found is not None and found[0] == steps:
                shutil.rmtree(checkpoint)
        print(
            f"kill -9: {equal} of {count} left a checkpoint equal to the bit (steps {sorted(seen)}), {fresh} none yet, "
            f"{wrong} wrong",
            flush=True,
        )


def digest_or_none(checkpoint: Path) -> tuple[int, str] | None:
    from wse.errors import ConfigError

    try:
        return digest(checkpoint)
    except ConfigError:
        return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--interrupts", type=int, default=50, help="of each command")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    rng = random.Random(given.seed)
    for name, words in COMMANDS.items():
        if given.interrupts:
            interrupts(name, words, given.interrupts, rng)
    if given.kills:
        kills(given.kills, rng)


if __name__ == "__main__":
    main()
