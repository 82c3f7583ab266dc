"""What an encoder's frames cost: speed on one core, disk, private memory, and what 1,000 hours would take.

Runs `asrdistill encode` with one process on some utterances of DATA, and on a data directory that names each of these
TIMES times. Speed is that of the further audio of the second run, in processor time, so that neither starting nor
other jobs on the machine count. Flat memory means a ratio of about 1. The last line is JSON.

Example:
  python tools/bench/encode.py whisper:tiny.en data/fbank/dev data/corpus/dev --utterances 60
"""

import argparse
import json
import resource
import sys
import tempfile
from pathlib import Path

from memory import peak_private_mb, repeat, repeat_archive

from asrdistill.data.archive import FrameArchive
from asrdistill.data.directory import DataDirectory


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("encoder", help="as asrdistill encode takes it")
    parser.add_argument("features", type=Path, help="filterbanks of DATA")
    parser.add_argument("data", type=Path, help="data directory")
    parser.add_argument("--utterances", type=int, default=60, help="so many of DATA, evenly spaced")
    parser.add_argument("--times", type=int, default=4)
    args = parser.parse_args()
    data = DataDirectory.read(args.data)
    step = max(1, len(data) // args.utterances)
    few = DataDirectory(data.utterances[::step][: args.utterances])
    measured = {}
    with tempfile.TemporaryDirectory() as scratch:
        few_folder = Path(scratch) / "few"
        few_folder.mkdir()
        few.write(few_folder)
        for times in (1, args.times):
            measured[times] = encode(args.encoder, args.features, few_folder, Path(scratch) / str(times), times)
            hours, seconds, peak, size = measured[times]
            print(
                f"{60 * hours:.1f} min of speech: {seconds:.1f} s, {peak:.0f} MB private, {size / 1e6:.1f} MB",
                flush=True,
            )
    print(json.dumps(figures(args.encoder, *measured.values())))


def encode(encoder: str, features: Path, data: Path, folder: Path, times: int) -> tuple[float, float, float, float]:
    """Hours of speech, seconds of processor time, peak of private memory in MB, bytes on disk."""
    folder.mkdir()
    repeat(data, folder / "data", times)
    repeat_archive(features, folder / "data", folder / "fbank")
    words = [
        encoder,
        str(folder / "fbank"),
        str(folder / "data"),
        str(folder / "out"),
        "--jobs",
        "1",
        "--device",
        "cpu",
    ]
    before = processor_seconds()
    peak = peak_private_mb([sys.executable, "-m", "asrdistill", "encode", *words])
    archive = FrameArchive(folder / "out")
    hours = archive.total_rows * archive.meta["frame_shift"] / 3600
    return hours, processor_seconds() - before, peak, sum(p.stat().st_size for p in (folder / "out").iterdir())


def processor_seconds() -> float:
    """Of the children that ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def figures(encoder: str, once: tuple[float, ...], often: tuple[float, ...]) -> dict[str, float | str]:
    hours, seconds, _, size = (b - a for a, b in zip(once, often, strict=True))
    return {
        "encoder": encoder,
        "x_real_time": round(3600 * hours / seconds, 1),
        "seconds_an_hour": round(seconds / hours, 1),
        "mb_an_hour": round(size / hours / 1e6, 1),
        "private_mb": round(often[2]),
        "private_ratio": round(often[2] / once[2], 3),
        "core_hours_for_1000_h": round(1000 * seconds / hours / 3600, 1),
        "gb_for_1000_h": round(1000 * size / hours / 1e9, 1),
    }


if __name__ == "__main__":
    main()
