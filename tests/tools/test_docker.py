"""The images' Dockerfiles, without docker: instructions, sources, users, and that the lock pins what they install."""

import re
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "tools/docker").glob("*.Dockerfile"))
INSTRUCTIONS = {"FROM", "WORKDIR", "COPY", "RUN", "ENV", "USER", "EXPOSE", "ENTRYPOINT"}
LOCKED = {
    canonicalize_name(re.split(r"[=; ]", line)[0])
    for line in (ROOT / "tools/requirements.lock").read_text().splitlines()
    if not line.startswith("#")
}


def instructions(file: Path) -> list[tuple[str, str]]:
    lines = file.read_text().replace("\\\n", " ").splitlines()
    return [tuple(line.split(maxsplit=1)) for line in lines if line and not line.startswith("#")]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_instructions_are_known_and_sources_are_there(file) -> None:
    names = [name for name, _ in instructions(file)]
    assert set(names) <= INSTRUCTIONS
    assert names[0] == "FROM"
    stages = set()
    for name, rest in instructions(file):
        words = rest.split()
        if name == "FROM":
            assert re.search(r":\d", words[0]), f"{words[0]} has no version"
            stages |= set(words[2:])
        elif name == "COPY" and words[0].startswith("--from="):
            assert words[0].removeprefix("--from=") in stages
        elif name == "COPY":
            assert all((ROOT / source).exists() for source in words[:-1])
    assert names.index("USER") > max(n for n, name in enumerate(names) if name == "RUN"), "the last user is root"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_pip_installs_what_the_lock_pins(file) -> None:
    runs = [rest for name, rest in instructions(file) if name == "RUN"]
    assert any("requirements.lock" in run or "tools/install.sh" in run for run in runs)
    for run in runs:
        if "pip install" in run:
            assert "--constraint" in run
            assert "requirements.lock" in run
        assert "apt-get" not in run
        assert "curl" not in run


def needed(extra: str) -> set[str]:
    """Names of all packages that asrdistill[extra] brings here, directly or not."""
    found, queue = set(), [("asrdistill", extra)]
    while queue:
        name, extra = queue.pop()
        try:
            requirements = setup_requirements(extra) if name == "asrdistill" else requires(name) or []
        except PackageNotFoundError:
            continue
        for requirement in map(Requirement, requirements):
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                pairs = [(requirement.name, each) for each in (requirement.extras or {""})]
                queue += [pair for pair in pairs if pair not in found]
                found |= set(pairs)
    return {canonicalize_name(name) for name, _ in found} - {"asrdistill"}


def setup_requirements(extra: str) -> list[str]:
    from configparser import ConfigParser

    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    lines = setup["options"]["install_requires"] + setup["options.extras_require"][extra]
    return [line for line in lines.splitlines() if line]


def test_the_lock_pins_all_that_the_server_needs() -> None:
    assert {"numpy", "aiohttp", "yarl"} <= needed("serve") <= LOCKED
