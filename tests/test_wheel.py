"""The wheel holds what the package reads at run time."""

import importlib.util
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, since a build leaves files in its tree."""
    source, out = (tmp_path_factory.mktemp(name) for name in ("source", "wheel"))
    for name in ("setup.py", "setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("asrdistill", "data"):
        made = shutil.ignore_patterns("__pycache__", "*.so", "*.wasm", "graph")
        shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=made)
    build = [sys.executable, "-m", "pip", "wheel", "--no-build-isolation", "--no-deps", "--no-index", "-w", out, source]
    made = subprocess.run(build, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    return next(out.glob("asrdistill-*.whl"))


def test_tables_and_modules_are_in_it(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for table in (ROOT / "data").rglob("*"):
            if table.is_file() and "graph" not in table.parts:
                name = table.relative_to(ROOT / "data").as_posix()
                assert archive.read(f"asrdistill/tables/{name}") == table.read_bytes()
        held = set(archive.namelist())
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "asrdistill").rglob("*.py")}
    assert modules <= held
    assert "asrdistill/core/libcore.so" in held
    assert {f"asrdistill/export/page/{path.name}" for path in (ROOT / "asrdistill/export/page").iterdir()} <= held
    assert ("asrdistill/core/core.wasm" in held) == bool(importlib.util.find_spec("ziglang"))
    assert wheel.name.split("-")[2:4] == ["py3", "none"]
    assert not any(name.startswith(("tests/", "tools/", "recipes/", "data/")) for name in held)


def test_its_tables_are_read(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    code = (
        "import asrdistill; from asrdistill.corpora import librispeech, timit; from asrdistill.lang import dictionary;"
        "read = dictionary.read_dictionary(dictionary.dictionary_path('cmudict'));"
        "from asrdistill import core; core.library();"
        "print(asrdistill.__file__, len(librispeech.read_parts()), len(timit.read_fold()), len(read))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert found[0].startswith(str(tmp_path))
    assert (int(found[1]) > 10, found[2], found[3]) == (True, "61", "126052")
