"""Compile the C files of this folder into one shared library, unless it is there and up to date.

tools/install.sh and setup.py run this file, so it needs nothing but the standard library. The library holds the hash of
its sources, by which :mod:`asrdistill.core` tells whether it is of the sources beside it.
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
LONGEST = 2000  # characters of a compiler's complaint that are shown
# The same numbers on every machine: no fused multiplication and addition, no reordering
FLAGS = [
    "-std=c11",
    "-O3",
    "-ffp-contract=off",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fPIC",
    "-fvisibility=hidden",
]


def digest(folder: Path = FOLDER) -> str:
    """Hash of the sources, this file and the machine; empty where there are no sources."""
    files = sorted(path for path in folder.iterdir() if path.suffix in (".c", ".h"))
    content = [path.name.encode() + b"\0" + path.read_bytes() for path in [*files, folder / "build.py"] if files]
    return hashlib.sha256(b"\0".join([platform.machine().encode(), *content])).hexdigest() if files else ""


def compiler() -> list[str]:
    """The command of a C compiler: CC, the system's, or the ziglang package's; empty if there is none."""
    if named := os.environ.get("CC"):
        return shlex.split(named)
    if found := next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None):
        return [found]
    return [sys.executable, "-m", "ziglang", "cc"] if importlib.util.find_spec("ziglang") else []


def build(library: Path = LIBRARY, flags: Sequence[str] = ()) -> Path:
    """Make the library; raises OSError with one sentence if that fails."""
    wanted = digest()
    if library.exists() and wanted.encode() in library.read_bytes():
        return library
    if not (command := compiler()):
        raise OSError("there is no C compiler; install gcc or clang, or: pip install ziglang")
    with tempfile.TemporaryDirectory(dir=library.parent, prefix=".core") as folder:
        made = Path(folder) / library.name
        sources = sorted(map(str, FOLDER.glob("*.c")))
        whole = [*command, *FLAGS, f'-DCORE_SOURCES="{wanted}"', *flags, "-shared", "-o", str(made), *sources, "-lm"]
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
        build()
    except OSError as error:
        sys.exit(str(error))
