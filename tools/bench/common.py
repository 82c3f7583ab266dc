"""What the benchmarks share: arguments, a recipe's model, processor time, fresh processes, and the last line."""

import argparse
import json
import multiprocessing
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from asrdistill import parallel
from asrdistill.config import build
from asrdistill.data.archive import FrameArchive
from asrdistill.decode.options import DecodeOptions
from asrdistill.reader import read_yaml
from asrdistill.stage import peak_mb

ROOT = Path(__file__).resolve().parents[2]
CONF = ROOT / "recipes/amazon_queen/conf"

T = TypeVar("T")


RECIPE = {"data": "the recipe's data folder", "exp": "its experiment folder"}
RECOGNISER = {"recogniser": "folder from asrdistill export", "data": "data directory"}


def arguments(description: str | None, paths: dict[str, str] | None = None) -> argparse.ArgumentParser:
    """A parser whose help is the module's docstring; `paths`: its first arguments and their help."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, what in (paths or {}).items():
        parser.add_argument(name, type=Path, help=what)
    return parser


def finish(figures: dict[str, Any]) -> None:
    """Print the figures as one line of JSON."""
    print(json.dumps(figures), flush=True)


def timed(work: Callable[[], T], clock: Callable[[], float] = time.process_time) -> tuple[T, float]:
    """(result, seconds) of a call; processor time unless another clock is given."""
    start = clock()
    result = work()
    return result, clock() - start


def fastest(works: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """The shortest processor time of each call in seconds; the calls take turns."""
    best = dict.fromkeys(works, float("inf"))
    for _ in range(rounds):
        for name, work in works.items():
            best[name] = min(best[name], timed(work)[1])
    return best


def alone(work: Callable[..., T], *args: Any) -> tuple[T, int]:
    """What `work` returns in a process of its own with one thread, and that process's peak memory in MB."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), parallel.single_thread) as process:
        return process.submit(work, *args).result(), process.submit(peak_mb).result()


def memory_mb(field: str, process: int | str = "self") -> float:
    """VmRSS, RssAnon, … of a process in MB; 0 if it has ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(field)), 0)


def asrdistill(*words: object) -> list[str]:
    """The command line of an asrdistill command in this interpreter."""
    return [sys.executable, "-m", "asrdistill", *map(str, words)]


def decode_options(exp: Path, model: str, config: Path = CONF / "decode.yaml") -> DecodeOptions:
    """The beams of a configuration with the scales that were tuned for a model."""
    from asrdistill.decode.options import tuned

    return tuned(build(DecodeOptions, read_yaml(config), str(config)), exp / "tune" / model)


def loglikes(model: Path, features: Path, options: DecodeOptions, count: int | None = None) -> dict[str, np.ndarray]:
    """Utterance -> log-likelihoods (T, S) of the first `count` utterances of an archive (None: all)."""
    from asrdistill.decode.acoustic import load_scorer

    scorer, archive = load_scorer(model, options.prior_floor), FrameArchive(features)
    return {utterance: scorer.loglikes(archive[utterance]) for utterance in archive.utterances[:count]}


def seconds_of(features: Path, utterances: Iterable[str]) -> float:
    """How long the utterances of an archive are together."""
    archive = FrameArchive(features)
    return sum(map(archive.rows, utterances)) * archive.meta["frame_shift"]
