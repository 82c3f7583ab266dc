"""Building and loading the native library."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asrdistill import core
from asrdistill.core import Kernel, build, layers
from asrdistill.decode import confusion, lattice, lookahead, search, tree
from asrdistill.runtime import frontend
from tests.refusals import refused

HEADER = (build.FOLDER / "core.h").read_text()


@pytest.fixture
def fresh() -> Any:
    """No library is loaded yet, and none of the test's stays."""
    core.library.cache_clear()
    yield
    core.library.cache_clear()


def test_library_is_of_the_sources_beside_it() -> None:
    assert core.library().core_sources().decode() == build.digest()


def test_a_second_build_changes_nothing() -> None:
    before = build.LIBRARY.stat()
    assert build.build() == build.LIBRARY
    assert build.LIBRARY.stat().st_mtime_ns == before.st_mtime_ns


@pytest.mark.parametrize("content", [None, b"", b"\x7fELF of another machine"])
def test_missing_and_damaged_libraries_are_refused(
    fresh: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None
) -> None:
    monkeypatch.setattr(core, "LIBRARY", tmp_path / "libcore.so")
    if content is not None:
        core.LIBRARY.write_bytes(content)
    with refused(core.LIBRARY, "tools/install.sh"):
        core.library()


def test_library_of_other_sources_is_refused(fresh: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "digest", lambda: "another")
    with refused(core.LIBRARY, "tools/install.sh"):
        core.library()


def test_a_wheel_without_sources_takes_its_library(fresh: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "digest", lambda: "")
    assert core.library()


def test_system_without_a_compiler_is_told_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr(build.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(OSError, match="ziglang"):
        build.build(tmp_path / "libcore.so")
    monkeypatch.setattr(build.importlib.util, "find_spec", lambda name: name)
    assert build.compiler() == [sys.executable, "-m", "ziglang", "cc"]


def test_compiler_that_does_not_exist_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "no-such-compiler -m64")
    with pytest.raises(OSError, match="no-such-compiler"):
        build.build(tmp_path / "libcore.so")
    assert not list(tmp_path.iterdir())


def kinds(kernel: Kernel) -> list[Any]:
    """The result and the arguments of a kernel: SIZE, REAL, FLAG, TEXT, or HANDLE for any pointer."""
    result, arguments = kernel._types
    plain = (core.SIZE, core.REAL, core.FLAG, core.TEXT, None)
    return [kind if kind in plain else core.HANDLE for kind in (result, *arguments)]


def declared(name: str) -> list[Any]:
    """The same from the header."""
    found = re.search(rf"CORE ([^;]*?)\b{name}\(([^;]*)\);", HEADER)
    assert found, name
    types = [found[1], *(part for part in found[2].split(",") if part.strip() != "void")]
    plain = {"int64_t": core.SIZE, "double": core.REAL, "int32_t": core.FLAG, "void": None}
    return [core.HANDLE if "*" in kind else plain[kind.split()[0]] for kind in types]


def test_kernels_are_called_as_the_header_declares_them() -> None:
    modules = (confusion, frontend, lattice, lookahead, search)
    kernels = {value for module in modules for value in vars(module).values() if isinstance(value, Kernel)}
    assert len(kernels) > 15
    for kernel in kernels:
        assert kinds(kernel) == declared(kernel._name), kernel._name


def test_structs_are_laid_out_as_in_the_header(tmp_path: Path) -> None:
    """A C program prints the offsets of fields and the sizes of structs."""
    renamed = {"end": "last", "ends": "lasts"}  # in core_graph; fields elsewhere keep these names
    structs: dict[str, dict[str, int]] = {}
    rows = {"node": tree.NODE, "link": tree.LINK, "leaf": tree.LEAF, "record": search.RECORD, "word": search.WORD}
    for name, kind in rows.items():
        structs[f"core_{name}"] = {field: kind.fields[field][1] for field in kind.names} | {"": kind.itemsize}
    natives = {
        **{"grammar": search.NativeGrammar, "look": search.NativeLook, "graph": search.NativeGraph},
        **{"scales": search.NativeScales, "view": search.View, "arcs": search.Arcs, "entries": lookahead._Entries},
        **{"features": frontend.NativeFeatures, "layer": layers.NativeLayer, "rows": layers.NativeRows},
    }
    for name, native in natives.items():
        fields = {field: getattr(native, field).offset for field, _ in native._fields_}
        if name == "graph":
            fields = {renamed.get(field, field): place for field, place in fields.items()}
        structs[f"core_{name}"] = fields | {"": np.dtype(native).itemsize}
    asked = [
        f'printf("%zu\\n", offsetof({struct}, {field}));' if field else f'printf("%zu\\n", sizeof({struct}));'
        for struct, fields in structs.items()
        for field in fields
    ]
    source, program = tmp_path / "offsets.c", tmp_path / "offsets"
    head = '#include "core.h"\n#include <stddef.h>\n#include <stdio.h>\nint main(void) {\n'
    source.write_text(head + "\n".join(asked) + "\nreturn 0; }\n")
    subprocess.run([*build.compiler(), f"-I{build.FOLDER}", "-o", program, source], check=True)
    found = list(map(int, subprocess.run([program], capture_output=True, text=True, check=True).stdout.split()))
    assert found == [place for fields in structs.values() for place in fields.values()]
