"""The one compiled part of the package: csrc/*.c and the binding, as wse._engine.  All metadata is in pyproject.toml.

WSE_DEBUG=1     asserts and line numbers: -O1 -g -UNDEBUG
WSE_SANITIZE=1  AddressSanitizer and UndefinedBehaviorSanitizer as well
A change of either is not noticed by a finished build: add --force.
"""

import os
from glob import glob

from Cython.Build import cythonize
from setuptools import Extension, setup

# -ffp-contract=off: a fused a*b+c would give other bits than the machine's two roundings.
# -fno-trapping-math: nobody looks at exception flags, and loops over elements may then be made of vectors.
compile_flags = ["-std=gnu11", "-ffp-contract=off", "-fno-trapping-math", "-fvisibility=hidden", "-Wall", "-pthread"]
link_flags = ["-pthread"]

sanitize = os.environ.get("WSE_SANITIZE", "0") not in ("", "0")
debug = sanitize or os.environ.get("WSE_DEBUG", "0") not in ("", "0")
compile_flags += ["-O1", "-g", "-UNDEBUG"] if debug else ["-O3", "-g0"]
if sanitize:
    checks = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-fno-omit-frame-pointer"]
    compile_flags += checks
    link_flags += checks

engine = Extension(
    "wse._engine",
    sources=["wse/_engine.pyx", *sorted(glob("csrc/**/*.c", recursive=True))],
    depends=[
        "wse/_engine.pxd",
        *sorted(glob("csrc/**/*.h", recursive=True)),
        *sorted(glob("csrc/**/*.def", recursive=True)),
    ],
    include_dirs=["csrc"],
    libraries=["m"],
    extra_compile_args=compile_flags,
    extra_link_args=link_flags,
)

setup(
    ext_modules=cythonize(
        [engine],
        build_dir="build/cython",
        compiler_directives={"language_level": 3, "boundscheck": False, "wraparound": False, "embedsignature": False},
    )
)
