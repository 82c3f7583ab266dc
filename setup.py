"""Compiles the native library into the package, also as WebAssembly; everything else about it is in setup.cfg."""

import logging
import runpy
from pathlib import Path

from setuptools import Distribution, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py

CORE = runpy.run_path(str(Path(__file__).parent / "asrdistill/core/build.py"))


class BuildPy(build_py):
    def run(self) -> None:
        CORE["build"]()
        try:
            CORE["build_wasm"]()
        except OSError as error:
            logging.warning("without core.wasm: %s", error)
        super().run()


class Wheel(bdist_wheel):
    def get_tag(self) -> tuple[str, str, str]:
        return "py3", "none", super().get_tag()[2]  # the library is of one machine, but of any Python


class OfOneMachine(Distribution):
    def has_ext_modules(self) -> bool:
        return True


setup(
    cmdclass={"build_py": BuildPy, "bdist_wheel": Wheel},
    distclass=OfOneMachine,
    setup_requires=["ziglang"],  # core.wasm
)
