"""Packages of the Debian or Ubuntu archive, fetched and unpacked without root: nothing is installed."""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from asrdistill.errors import UserError


def unpack(packages: Sequence[str], folder: Path, advice: str) -> Path:
    """Fetch the packages into the new folder `folder`; the folder in it with their contents.

    Package lists that are old or not there are replaced by own ones for once. Raises UserError, which ends with
    `advice`, without apt-get and dpkg-deb, without network, and for a package that cannot be unpacked.
    """
    names = " ".join(packages)
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise UserError(f"{names}: fetched with apt-get, which is not here; {advice}")
    folder.mkdir(exist_ok=True)
    if _apt(folder, "download", *packages):
        lists = folder / "apt"
        for name in ("state/lists/partial", "cache/archives/partial"):
            (lists / name).mkdir(parents=True, exist_ok=True)
        own = ("-o", f"Dir::State={lists.resolve()}/state", "-o", f"Dir::Cache={lists.resolve()}/cache")
        if reason := _apt(folder, *own, "update") or _apt(folder, *own, "download", *packages):
            raise UserError(f"{names}: cannot be fetched with apt-get ({reason}); check the network, or {advice}")
    content = folder / "content"
    for archive in folder.glob("*.deb"):
        unpacked = subprocess.run(["dpkg-deb", "-x", archive, content], capture_output=True, text=True)
        if unpacked.returncode:
            raise UserError(f"{archive.name} cannot be unpacked: {unpacked.stderr.strip()}; is the disk full?")
    return content


def fetch(packages: Sequence[str], files: Mapping[str, str], out: Path, advice: str) -> None:
    """Put files and folders of packages (name -> pattern of its path), and the copyright file, into the folder `out`.

    Raises UserError as above, and if one is not there.
    """
    content = unpack(packages, out / "package", advice)
    for name, pattern in {**files, "copyright": f"{packages[0]}/copyright"}.items():
        found = sorted(content.rglob(pattern))
        if not found:
            raise UserError(f"the package {packages[0]} has no {pattern} in it; {advice}")
        shutil.rmtree(out / name, ignore_errors=True)  # of a run that was interrupted
        os.replace(found[0], out / name)
    shutil.rmtree(out / "package")


def _apt(folder: Path, *arguments: str) -> str:
    """Run apt-get in `folder`; the last line of its errors, empty when it went well."""
    command = ["apt-get", "-q", "-o", "APT::Update::Error-Mode=any", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"})
    if done.returncode == 0:
        return ""
    errors = [line for line in done.stderr.splitlines() if line.startswith("E:")]
    return errors[-1].removeprefix("E:").strip().rstrip(".") if errors else f"exit status {done.returncode}"
