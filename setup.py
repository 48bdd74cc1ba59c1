"""The one compiled part of the package: csrc/ and the binding, as wse._engine.  All metadata is in pyproject.toml.

python setup.py build_ext --inplace     builds what has changed, into the checkout
WSE_DEBUG=1     with asserts and line numbers: -O1 -g -UNDEBUG
WSE_SANITIZE=1  with AddressSanitizer and UndefinedBehaviorSanitizer as well
"""

import os
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

sys.path.insert(0, str(Path(__file__).resolve().parent / "csrc"))
import build_engine


class BuildEngine(build_ext):
    """Compiles file by file with csrc/build_engine.py, with the compiler and the flags that setuptools found."""

    def finalize_options(self) -> None:
        super().finalize_options()
        self.force = True  # copy the module into the checkout, whatever the age of the one that lies there

    def build_extension(self, ext: Extension) -> None:
        compiler = self.compiler

        def link(objects: list[str], target: str, flags: list[str]) -> None:
            compiler.link_shared_object(
                objects, target, library_dirs=self.library_dirs, extra_postargs=flags, target_lang="c"
            )

        tools = build_engine.Toolchain(
            compile=list(compiler.compiler_so), link=link, include=[f"-I{path}" for path in self.include_dirs]
        )
        jobs = self.parallel if type(self.parallel) is int else len(os.sched_getaffinity(0))
        build_engine.build(tools, Path(self.get_ext_fullpath(ext.name)).resolve(), jobs, self.announce)


setup(
    cmdclass={"build_ext": BuildEngine},
    ext_modules=[Extension("wse._engine", sources=[str(path) for path in build_engine.sources()])],
)
