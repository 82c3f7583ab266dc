#!/usr/bin/env python3
"""Time and memory of `asrdistill prepare librispeech` on as many entries as LibriSpeech's 960 hours have.

    .venv/bin/python tools/bench/prepare.py [--utterances 281241] [--jobs N]

Each entry is a FLAC file of its own, 1 to 35 s long, of silence: it has LibriSpeech's number of frames and its
header, but some hundred bytes in the place of 200 kB, so that reading its end from the disk costs less than there.
What that adds with a warm cache is measured on files of noise, and is `end_us` beside `silent_end_us`.
The last line is one JSON object: seconds and peak_mb of the command (largest process), with all its imports.
"""

import argparse
import io
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

from asrdistill.data.flac import flac_seconds

RATE = 16_000
READER, CHAPTER = 120, 50  # utterances of one


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--utterances", type=int, default=281_241, help="(default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default: %(default)s)")
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="prepare."))
    try:
        write_corpus(folder / "LibriSpeech", args.utterances)
        print(json.dumps({**run(folder, args.jobs), "utterances": args.utterances, "jobs": args.jobs, **ends(folder)}))
    finally:
        shutil.rmtree(folder)


def write_corpus(root: Path, utterances: int) -> None:
    random = np.random.default_rng(0)
    templates = [flac(np.zeros(int(seconds * RATE), np.int16)) for seconds in np.linspace(1, 35, 60)]
    words = np.array(["THE", "OF", "AND", "A", "WHITED", "SEPULCHRES", "O'CLOCK", "UNDERSTANDING", "HE", "IT"])
    readers = range(utterances // READER + 1)
    root.mkdir()
    (root / "SPEAKERS.TXT").write_text("".join(f"{100 + r} | {'FM'[r % 2]} | train | 25.0 | R {r}\n" for r in readers))
    for start in range(0, utterances, CHAPTER):
        reader, chapter = 100 + start // READER, 100_000 + start // CHAPTER
        place = root / "train-960" / str(reader) / str(chapter)
        place.mkdir(parents=True)
        lines = []
        for number in range(min(CHAPTER, utterances - start)):
            id, length = f"{reader}-{chapter}-{number:04d}", int(random.integers(len(templates)))
            (place / f"{id}.flac").write_bytes(templates[length])
            lines.append(f"{id} {' '.join(random.choice(words, 2 + length))}\n")
        (place / f"{reader}-{chapter}.trans.txt").write_text("".join(lines))


def run(folder: Path, jobs: int) -> dict[str, float]:
    start = time.perf_counter()
    command = ["prepare", "librispeech", folder, folder / "data", "--jobs", str(jobs)]
    subprocess.run([sys.executable, "-m", "asrdistill", *map(str, command)], check=True)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return {"seconds": round(seconds, 1), "peak_mb": round(peak)}


def ends(folder: Path) -> dict[str, float]:
    """Microseconds for the length of a file of 12 s, of noise and of silence."""
    noise = np.random.default_rng(0).normal(scale=3000, size=12 * RATE).astype(np.int16)
    times = {}
    for name, samples in (("end_us", noise), ("silent_end_us", np.zeros_like(noise))):
        path = folder / f"{name}.flac"
        path.write_bytes(flac(samples))
        flac_seconds(str(path))  # compiled, or loaded, once
        start = time.perf_counter()
        for _ in range(2000):
            flac_seconds(str(path))
        times[name] = round((time.perf_counter() - start) / 2000 * 1e6, 1)
    return times


def flac(samples: np.ndarray) -> bytes:
    packed = io.BytesIO()
    soundfile.write(packed, samples, RATE, format="FLAC", subtype="PCM_16")
    return packed.getvalue()


if __name__ == "__main__":
    main()
