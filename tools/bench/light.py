"""Measure what `pip install` of this checkout brings and what recognising by it takes.

Installs the checkout without extras into an empty environment, and there measures: packages and megabytes; processor
time and memory of `asrdistill transcribe` of FOLDER and the first three seconds of AUDIO, from the start of the
process; the real-time factor of AUDIO repeated to three minutes; and the memory of three hours of it, as a file and as
a stream. The last line is JSON.

Example:
  python tools/bench/light.py recipes/amazon_queen/exp/default/student speech.wav
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
from common import ROOT, arguments, finish

ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("folder", type=Path, help="recogniser folder, whose search graph is made already")
    parser.add_argument("audio", type=Path, help="audio file")
    parser.add_argument("--hours", type=float, default=3.0, help="length of the long audio (default: %(default)s)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        python, site = installed(folder / "env"), folder / "env/lib"
        names = [path for path in site.rglob("*.dist-info") if not path.name.startswith(("pip-", "setuptools-"))]
        size = sum(path.stat().st_size for path in site.rglob("*") if path.is_file() and not path.is_symlink())
        print(f"{len(names)} packages, {size / 1e6:.0f} MB with pip", flush=True)
        transcribe = [python, "-m", "asrdistill", "transcribe", args.folder.resolve()]
        clips = {"clip": 3.0, "minutes": 180.0, "hours": 3600 * args.hours}
        for name, seconds in clips.items():
            repeated(args.audio, seconds, folder / f"{name}.wav")
        found = {name: measured([*transcribe, folder / f"{name}.wav"]) for name in clips}
        with open(folder / "hours.wav", "rb") as stream:
            found["stream"] = measured([*transcribe, "--stream"], stream)
    start = found["clip"][0]
    figures = {
        "packages": len(names),
        "installed_mb": round(size / 1e6),
        "clip_seconds": round(start, 3),
        "clip_mb": found["clip"][1],
        "rtf": round((found["minutes"][0] - start) / (clips["minutes"] - clips["clip"]), 5),
        **{f"{name}_mb": found[name][1] for name in ("minutes", "hours", "stream")},
    }
    finish(figures)


def installed(environment: Path) -> Path:
    """The interpreter of a new environment with this checkout in it, as a wheel."""
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    python = environment / "bin/python"
    source = environment.with_name("source")  # a build leaves files in its tree
    source.mkdir()
    for name in ("setup.py", "setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("asrdistill", "data"):
        shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", source], check=True)
    return python


def repeated(audio: Path, seconds: float, out: Path) -> None:
    """Write the audio again and again, as 16-bit mono WAV of this length."""
    samples, rate = soundfile.read(audio, dtype="int16", always_2d=True)
    piece, left = np.ascontiguousarray(samples[:, 0]), round(seconds * rate)
    with soundfile.SoundFile(out, "w", rate, 1, "PCM_16") as file:
        while left > 0:
            file.write(piece[:left])
            left -= len(piece)


def measured(command: Sequence[object], source: object = None) -> tuple[float, int]:
    """(processor seconds, peak memory in MB) of a command, the smallest of three runs where it is short."""
    best = (float("inf"), 0)
    for _ in range(1 if source or "hours" in str(command[-1]) else 3):
        process = subprocess.Popen(
            [str(word) for word in command],
            stdin=source,  # type: ignore[arg-type]
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **ONE_THREAD},
        )
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            raise SystemExit(f"{' '.join(map(str, command))} failed")
        best = min(best, (usage.ru_utime + usage.ru_stime, usage.ru_maxrss >> 10))
    print(f"{Path(str(command[-1])).name}: {best[0]:.2f} s, {best[1]} MB", flush=True)
    return best


if __name__ == "__main__":
    main()
