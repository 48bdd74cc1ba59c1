"""A checkpoint whose writer is killed at each of its system calls: the old one or the new one is there, whole."""

import os
import subprocess
import sys

import pytest
from documents import PACKAGES

# Functions of the C library through which Python changes files: the n-th call is not made, and ends the process.
SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/types.h>
#include <unistd.h>

static long left = -1, calls;
void kill_at(long n) { left = n; calls = 0; }
long counted(void) { return calls; }

static void step(void) {
  calls++;
  if (left >= 0 && left-- == 0)
    _exit(99);
}
#define REAL(name) __typeof__(name) *real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)
ssize_t write(int fd, const void *buffer, size_t n) {
  REAL(write);
  if (left == 0)
    real(fd, buffer, n / 2); /* killed half-way */
  step();
  return real(fd, buffer, n);
}
int fsync(int fd) { REAL(fsync); step(); return real(fd); }
int close(int fd) { REAL(close); step(); return real(fd); }
int mkdir(const char *path, mode_t mode) { REAL(mkdir); step(); return real(path, mode); }
int unlink(const char *path) { REAL(unlink); step(); return real(path); }
int rename(const char *from, const char *to) { REAL(rename); step(); return real(from, to); }
int open64(const char *path, int flags, ...) {
  REAL(open64);
  va_list rest;
  va_start(rest, flags);
  mode_t mode = va_arg(rest, mode_t);
  va_end(rest);
  step();
  return real(path, flags, mode);
}
"""
CODE = """
import ctypes, os, sys
import numpy as np
from wse.memoryx.store import Store
shim = ctypes.CDLL(sys.argv[1])
path = sys.argv[2]

def contents(store):
    return {(kind, name): store.slot(kind, name).tobytes() for kind in ("weight", *store.slots) for name in store.names}

def killed(number, store):
    child = os.fork()
    if child == 0:
        shim.kill_at(number)
        store.save(path)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

for first in (True, False):
    number = 0
    if not first:
        old = Store.create(None, {"a": np.arange(9.0), "b": np.ones((2, 3))}, ("m", "v"), {"step": 1})
        old.save(path)
    while True:
        new = Store.create(None, {"a": np.arange(9.0) + number, "b": np.ones((2, 3))}, ("m", "v"), {"step": 2})
        before = None if first else contents(Store.open(path))
        status = killed(number, new)
        assert status in (0, 99), status
        try:
            found = contents(Store.open(path))
        except Exception as error:
            assert first and status == 99 and ("holds no" in str(error)), (number, error)
            found = None
        assert found in (before, contents(new)), number
        if status == 0:
            assert found == contents(new)
            break
        if first:
            import shutil
            new.save(path)  # what was left is no obstacle
            assert contents(Store.open(path)) == contents(new)
            shutil.rmtree(path)
        number += 1
    print(number)
new.save(path)
print(sorted(os.listdir(path)))
"""


def test_killed_at_each_system_call(tmp_path):
    source, shim = tmp_path / "shim.c", tmp_path / "shim.so"
    source.write_text(SHIM)
    made = subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", shim, source, "-ldl"], capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"no C compiler for a shared library: {made.stderr}")
    environment = os.environ | {"PYTHONPATH": str(PACKAGES), "LD_PRELOAD": str(shim)}
    command = [sys.executable, "-P", "-c", CODE, shim, tmp_path / "checkpoint"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    first, later, files = done.stdout.splitlines()
    assert int(first) > 20 and int(later) > 20  # so many places to be killed at
    assert files.count(".safetensors") == 3 and "part" not in files
