"""Training from an archive larger than what may be cached: private memory over time, and how long it waits for data.

Writes a synthetic feature archive with its alignment and a soft-target store, --gb in all (100 h of speech with 96
targets a frame are 20), into SCRATCH, and trains a student on it for --seconds. The archive's pages are thrown out of
the cache at the beginning and every few seconds after, so that every pool comes from the disk. What is printed:
private memory (RssAnon) and all resident memory of the process, bytes that it read from the disk, the share of the time
that it waited for data, and the rate at which pools alone can be read, beside what a GPU would take.
The student is amazon_queen's, as small as they come: larger networks wait less.

Example:
  python tools/bench/cold.py /scratch --gb 20 --seconds 300
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from asrdistill.config import build, read_yaml
from asrdistill.data.archive import FrameArchive, ShardWriter, finish
from asrdistill.distill.store import SoftTargets
from asrdistill.errors import UserError
from asrdistill.files import write_json
from asrdistill.hmm.senones import Senones
from asrdistill.stage import MARKER
from asrdistill.training.options import TrainOptions
from asrdistill.training.pool import FramePool, read_ahead
from asrdistill.training.targets import HardTargets, WeightedTargets

CONF = Path(__file__).resolve().parents[2] / "recipes/amazon_queen/paper/networks/student.yaml"
FEATURES, SENONES, KEEP = 40, 3000, 96
ROW = 4 * FEATURES + 4 + 4 * KEEP + 8  # bytes a frame: features, senone, kept targets, rest at two temperatures
GPU_FRAMES = 1e6  # frames a second: a network of 25 M parameters at 150 TFLOP/s, say


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scratch", type=Path, help="folder on the disk to measure; what is written is deleted again")
    parser.add_argument("--gb", type=float, default=20.0)
    parser.add_argument("--seconds", type=float, default=300.0)
    args = parser.parse_args()
    free = shutil.disk_usage(args.scratch).free / 1e9
    if free < args.gb + 5:
        raise SystemExit(f"{args.scratch} has {free:.0f} GB free; {args.gb + 5:.0f} are needed")
    with tempfile.TemporaryDirectory(dir=args.scratch) as scratch:
        folder = Path(scratch)
        begin = time.monotonic()
        frames = write(folder, int(args.gb * 1e9 / ROW))
        size = sum(path.stat().st_size for path in folder.rglob("*.npy")) / 1e9
        print(
            f"{frames} frames ({frames / 360_000:.0f} h), {size:.1f} GB in {time.monotonic() - begin:.0f} s", flush=True
        )
        print(json.dumps({"gb": round(size, 1), **read_alone(folder, 20), **train(folder, args.seconds)}))


def write(folder: Path, frames: int) -> int:
    """Archives of about so many frames, in utterances of about 12 s; returns how many there are."""
    rng = np.random.default_rng(0)
    senones = Senones(["SIL"], {"SIL": list(range(SENONES))}, np.full(SENONES, np.log(0.5)))
    settings = {"type": "fbank", "rate": 16000, "bins": FEATURES}
    plenty = 60_000
    blocks = {
        "features": {"frames": rng.normal(15, 4, (plenty, FEATURES)).astype("<f4")},
        "ali": {"frames": rng.integers(0, SENONES, plenty).astype("<i4")},
        "targets": {
            "ids": ((rng.permutation(SENONES)[:KEEP] + rng.integers(0, SENONES, (plenty, 1))) % SENONES).astype("<u2"),
            "logp": -np.sort(rng.gamma(2, 2, (plenty, KEEP)), axis=1).astype("<f2"),
            "rest": rng.normal(-2, 0.1, (plenty, 2)).astype("<f4"),
        },
    }
    parts = {
        kind: {part: (rows.dtype.str, rows.shape[1:]) for part, rows in block.items()} for kind, block in blocks.items()
    }
    shards: dict[str, list[dict]] = {kind: [] for kind in blocks}
    written = number = 0
    for kind in blocks:
        (folder / kind).mkdir()
    while written < frames:
        writers = {kind: ShardWriter(folder / kind, number, parts[kind]) for kind in blocks}
        for utterance in range(500):
            length, first = rng.integers(400, 2000), rng.integers(0, plenty - 2000)
            for kind, block in blocks.items():
                cut = {part: rows[first : first + length] for part, rows in block.items()}
                writers[kind].write(f"{number:05d}-{utterance:03d}", **cut)
            written += int(length)
        for kind, writer in writers.items():
            shards[kind].append(writer.close())
        number += 1
    common = {"frame_shift": 0.01, "features": settings}
    finish(folder / "features", "features", parts["features"], shards["features"], **common)
    finish(folder / "ali", "alignment", parts["ali"], shards["ali"], senones=senones.hash, frame_shift=0.01)
    senones.write(folder / "ali")
    made_of = {"senones": senones.hash, "feature_hash": FrameArchive(folder / "features").hash}
    temperatures = {"temperatures": [1.0, 2.0], "combined_at": 1.0, "kept": KEEP, "teachers": [], "combine": "single"}
    finish(folder / "targets", "soft-targets", parts["targets"], shards["targets"], **common, **made_of, **temperatures)
    for kind in blocks:  # as a stage leaves it; training would hash all of a folder that has no marker
        write_json(folder / kind / MARKER, {"hash": kind})
    return written


def forget(folder: Path) -> None:
    """Throw the archives' pages out of the system's cache."""
    for path in folder.rglob("*.npy"):
        handle = os.open(path, os.O_RDONLY)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(handle)


def read_alone(folder: Path, seconds: float) -> dict[str, float]:
    """Frames a second that pools are read at when nothing is learnt from them."""
    options = build(TrainOptions, read_yaml(CONF), str(CONF))
    features, labels = FrameArchive(folder / "features"), FrameArchive(folder / "ali")
    soft = SoftTargets(FrameArchive(folder / "targets"), options.temperature)
    rates = {}
    for name, targets in (
        ("hard", HardTargets(labels)),
        ("soft", WeightedTargets([(1.0, soft), (1.0, HardTargets(labels))])),
    ):
        forget(folder)
        pool = FramePool(features, targets, labels.utterances, (20, 5), options.pool_frames, options.batch, 0)
        begin, frames = time.monotonic(), 0
        for each in read_ahead(pool.pools(0, 0, 1, torch.device("cpu"))):
            frames += len(each.frames)
            if time.monotonic() - begin > seconds:
                break
        rates[name] = frames / (time.monotonic() - begin)
        megabytes = rates[name] * (ROW if name == "soft" else 164) / 1e6
        print(f"{name} targets: {rates[name]:.0f} frames/s, {megabytes:.0f} MB/s from a cold disk", flush=True)
    return {f"read_frames_a_second_{name}": round(rate) for name, rate in rates.items()}


def train(folder: Path, seconds: float) -> dict[str, float]:
    """Train for so long; memory, and waits as the progress lines give them."""
    forget(folder)
    command = ["train", folder / "features", folder / "ali", folder / "net", "--soft-targets", folder / "targets"]
    log = folder / "log"
    with open(log, "w") as handle:
        process = subprocess.Popen(
            [sys.executable, "-m", "asrdistill", *map(str, command), "--config", str(CONF)], stderr=handle
        )
    samples: list[tuple[float, float, float]] = []  # seconds, private MB, resident MB
    read = 0
    while "updates" not in log.read_text():  # the network is about to see its first frames
        if process.poll():
            raise SystemExit(log.read_text())
        time.sleep(0.2)
    begin = time.monotonic()
    while process.poll() is None and time.monotonic() - begin < seconds:
        time.sleep(1)
        if len(samples) % 5 == 0:
            forget(folder)
        private, resident = memory_mb(process.pid)
        samples.append((time.monotonic() - begin, private, resident))
        read = int(re.findall(r"read_bytes: (\d+)", Path(f"/proc/{process.pid}/io").read_text())[0])
    if process.poll():
        raise SystemExit(log.read_text())
    process.kill()
    process.wait()
    progress = re.findall(r"(\d+)/\d+ ([\d.e+]+) frames/s epoch 1/\d+, ([\d.]+) % waiting", log.read_text())
    if not progress:
        raise UserError("no progress within the time; give more --seconds")
    for at, private, resident in samples[:: max(1, len(samples) // 12)]:
        print(f"{at:5.0f} s: {private:6.0f} MB private, {resident:6.0f} MB resident")
    halves = samples[len(samples) // 3 : 2 * len(samples) // 3], samples[2 * len(samples) // 3 :]
    middle, end = (max(private for _, private, _ in half) for half in halves)
    parameters = 26 * FEATURES * 384 + 3 * 384**2 + 384 * SENONES
    return {
        "trained_frames": int(progress[-1][0]),
        "frames_a_second": float(progress[-1][1]),
        "waits_for_data_percent": float(progress[-1][2]),
        "read_gb": round(read / 1e9, 2),
        "private_peak_mb": round(max(private for _, private, _ in samples)),
        "private_last_third_over_middle": round(end / middle, 3),
        "resident_peak_mb": round(max(resident for *_, resident in samples)),
        "model_mb": round(16 * parameters / 1e6),
    }


def memory_mb(pid: int) -> tuple[float, float]:
    """RssAnon and VmRSS of a process."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return tuple(int(status.get(key, "0 kB").split()[0]) / 1024 for key in ("RssAnon", "VmRSS"))  # type: ignore[return-value]


if __name__ == "__main__":
    main()
