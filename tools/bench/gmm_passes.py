"""The statistics pass of GMM training: seconds per hour of speech on 1 and 2 processes, memory, what 1,000 h cost.

Trains triphones for a few rounds and for a few more, so that the difference is rounds alone, then
again on the corpus listed several times, sampling private memory (RssAnon). One pass over 1,000 h is
extrapolated from the rate; a training by the default options is 35 of them.

Example:
  python tools/bench/gmm_passes.py recipes/amazon_queen/data/default recipes/amazon_queen/exp/default
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from memory import peak_private_mb, repeat, repeat_archive  # beside this file

from asrdistill.data.archive import FrameArchive

ROUNDS = (2, 7)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the recipe's data folder")
    parser.add_argument("exp", type=Path, help="its experiment folder")
    parser.add_argument("--times", type=int, default=5, help="how often the corpus is listed (default: 5)")
    args = parser.parse_args()
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for times in (1, args.times):
            folder = Path(scratch) / str(times)
            repeat(args.data / "corpus/train", folder / "data", times)
            repeat_archive(args.data / "cepstra/train", folder / "data", folder / "cepstra")
            repeat_archive(args.exp / "ali/mono/train", folder / "data", folder / "ali")
            figures[f"private_mb_{times}x"] = round(peak_private_mb(training(args.data, folder, 1, ROUNDS[0])))
            print(f"corpus listed {times} x: {figures[f'private_mb_{times}x']} MB private", flush=True)
        folder = Path(scratch) / "1"
        archive = FrameArchive(folder / "cepstra")
        hours = archive.total_rows * archive.meta["frame_shift"] / 3600
        for jobs in (1, 2):
            few, many = (seconds(training(args.data, folder, jobs, rounds)) for rounds in ROUNDS)
            rate = (many - few) / (ROUNDS[1] - ROUNDS[0]) / hours
            figures[f"seconds_per_hour_{jobs}_jobs"] = round(rate, 2)
            print(
                f"{jobs} processes: {rate:.2f} s a pass and hour of speech; 1,000 h: {rate * 1000 / 60:.0f} min a pass"
            )
    figures["ratio_of_memory"] = round(figures[f"private_mb_{args.times}x"] / figures["private_mb_1x"], 3)
    figures["hours_for_35_passes_over_1000_h_on_2_processes"] = round(35 * figures["seconds_per_hour_2_jobs"] / 3.6, 1)
    print(json.dumps(figures))


def training(data: Path, folder: Path, jobs: int, rounds: int) -> list[str]:
    """The command that trains for so many rounds; all but the first take the stored alignment."""
    out = folder / f"tri.{jobs}.{rounds}"
    inputs = [folder / "cepstra", folder / "ali", folder / "data", data / "lang", out]
    options = ["--iterations", rounds, "--gaussians", 9000, "--jobs", jobs]
    return [sys.executable, "-m", "asrdistill", "train-tri", *map(str, inputs), *map(str, options)]


def seconds(command: list[str]) -> float:
    start = time.perf_counter()
    peak_private_mb(command)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
