"""Compile the C files of this folder into one shared library, unless it is there and up to date.

With --wasm: into a WebAssembly module with SIMD, for the page of `asrdistill export --to web`. tools/install.sh and
setup.py run this file, so it needs nothing but the standard library. The library holds the hash of its sources, by
which :mod:`asrdistill.core` tells whether it is of the sources beside it.
"""

import hashlib
import importlib.util
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
LIBRARY = FOLDER / "libcore.so"
MODULE = FOLDER / "core.wasm"
LONGEST = 2000  # characters of a compiler's complaint that are shown
# The same numbers on every machine: no fused multiplication and addition, no reordering
FLAGS = [
    "-std=c11",
    "-O3",
    "-ffp-contract=off",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fvisibility=hidden",
]
SHARED = ["-fPIC", "-shared"]
ZIG = [sys.executable, "-m", "ziglang", "cc"]
WASM = ["-target", "wasm32-wasi", "-mexec-model=reactor", "-msimd128", "-Wl,-z,stack-size=1048576", "-s"]
WASM += [f"-Wl,--export{name}" for name in ("=malloc", "=free", "-dynamic")]


def digest(folder: Path = FOLDER, machine: str = platform.machine()) -> str:
    """Hash of the sources, this file and the machine; empty where there are no sources."""
    files = sorted(path for path in folder.iterdir() if path.suffix in (".c", ".h"))
    content = [path.name.encode() + b"\0" + path.read_bytes() for path in [*files, folder / "build.py"] if files]
    return hashlib.sha256(b"\0".join([machine.encode(), *content])).hexdigest() if files else ""


def compiler() -> list[str]:
    """The command of a C compiler: CC, the system's, or the ziglang package's; empty if there is none."""
    if named := os.environ.get("CC"):
        return shlex.split(named)
    if found := next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None):
        return [found]
    return ZIG if importlib.util.find_spec("ziglang") else []


def build(library: Path = LIBRARY, flags: Sequence[str] = ()) -> Path:
    """Make the library; raises OSError with one sentence if that fails."""
    if not is_current(library, digest()) and not compiler():
        raise OSError("there is no C compiler; install gcc or clang, or: pip install ziglang")
    return _compile(library, digest(), [*compiler(), *SHARED, *flags])


def build_wasm(module: Path = MODULE) -> Path:
    """Make the WebAssembly module, unless the package came with one and without sources; raises OSError likewise."""
    wanted = digest(machine="wasm32")
    if not is_current(module, wanted) and not importlib.util.find_spec("ziglang"):
        raise OSError("there is no compiler for WebAssembly; pip install ziglang")
    return _compile(module, wanted, [*ZIG, *WASM])


def is_current(library: Path, wanted: str) -> bool:
    """Whether a library is there and of the sources with this hash."""
    return library.exists() and wanted.encode() in library.read_bytes()


def _compile(library: Path, wanted: str, command: list[str]) -> Path:
    if is_current(library, wanted):
        return library
    with tempfile.TemporaryDirectory(dir=library.parent, prefix=".core") as folder:
        made = Path(folder) / library.name
        sources = sorted(map(str, FOLDER.glob("*.c")))
        whole = [*command, *FLAGS, f'-DCORE_SOURCES="{wanted}"', "-o", str(made), *sources, "-lm"]
        try:
            run = subprocess.run(whole, capture_output=True, text=True)
        except OSError as error:
            raise OSError(f"the C compiler {command[0]} does not start ({error.strerror}); see CC") from None
        if run.returncode:
            raise OSError(f"{shlex.join(command)} cannot compile {FOLDER}:\n{run.stderr[:LONGEST].strip()}")
        os.replace(made, library)
    return library


if __name__ == "__main__":
    if sys.argv[1:] == ["--has-compiler"]:
        sys.exit(not compiler())
    try:
        build_wasm() if sys.argv[1:] == ["--wasm"] else build()
    except OSError as error:
        sys.exit(str(error))
