"""The one compiled part of the package: csrc/ and the binding, as wse._engine.  All metadata is in pyproject.toml.

python setup.py build_ext --inplace     builds what has changed, into the checkout
WSE_DEBUG=1     with asserts and line numbers: -O1 -g -UNDEBUG
WSE_SANITIZE=1  with AddressSanitizer and UndefinedBehaviorSanitizer as well
"""

import os
import sys
import sysconfig
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

sys.path.insert(0, str(Path(__file__).resolve().parent / "csrc"))
import build_engine

# One module for this and all later versions of Python, but for builds without the GIL, which have no stable ABI.
HAS_STABLE_ABI = not sysconfig.get_config_var("Py_GIL_DISABLED")


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
        target = Path(self.get_ext_fullpath(ext.name)).resolve()
        build_engine.build(tools, target, jobs, self.announce, HAS_STABLE_ABI)
        remove_others(target)

    def copy_extensions_to_source(self) -> None:
        super().copy_extensions_to_source()
        for ext in self.extensions:
            remove_others(build_engine.ROOT / "wse" / Path(self.get_ext_filename(ext.name)).name)


def remove_others(target: Path) -> None:
    """Removes engines of earlier builds beside it, whose names Python would prefer."""
    for other in target.parent.glob("_engine.*.so"):
        if other.name != target.name:
            other.unlink()


setup(
    cmdclass={"build_ext": BuildEngine},
    ext_modules=[
        Extension(
            "wse._engine",
            sources=[str(path) for path in build_engine.sources()],
            py_limited_api=HAS_STABLE_ABI,
        )
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}} if HAS_STABLE_ABI else {},
)
