"""Measure private memory, processor time and disk of the commands that see a whole train set, listed M and N times.

Each command runs on data directories with every utterance of the corpus under M and under N names, while the private
memory (RssAnon) of its processes is sampled. Flat memory and linear time mean ratios of about 1; `hour` stands for an
hour of speech. Kilobytes per utterance are printed too, since each process holds the index of the archives it reads.

Example:
  python tools/bench/memory.py recipes/amazon_queen/data/default recipes/amazon_queen/exp/default --times 1 5
"""

import dataclasses
import resource
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import CONF, RECIPE, arguments, asrdistill, finish, memory_mb

from asrdistill.data.archive import alias
from asrdistill.data.directory import DataDirectory
from asrdistill.hmm.senones import Senones


def main() -> None:
    parser = arguments(__doc__, RECIPE)  # exp needs ali/sat/train, lda_mllt and teacher.0
    parser.add_argument("--times", type=int, nargs=2, default=[1, 5], help="listings (default: %(default)s)")
    parser.add_argument("--set", default="train", help="name of the train set in DATA/corpus (default: %(default)s)")
    parser.add_argument("--conf", type=Path, default=CONF, help="folder with fbank.yaml (default: amazon_queen's)")
    parser.add_argument("--scratch", type=Path, help="folder for all that is made (default: the system's)")
    parser.add_argument("--commands", nargs="+", help="only these, for example 'feats fbank' (default: all)")
    args = parser.parse_args()
    corpus, lang = args.data / "corpus" / args.set, args.data / "lang"
    utterances = DataDirectory.read(corpus)
    hours = sum(utterance.seconds or 0 for utterance in utterances) / 3600
    figures: dict[str, list[tuple[float, float, float]]] = {}
    with tempfile.TemporaryDirectory(dir=args.scratch) as scratch:
        for times in args.times:
            folder = Path(scratch) / str(times)
            data, features, cepstra, alignment = (folder / name for name in ("data", "fbank", "cepstra", "ali"))
            repeat(corpus, data, times)
            repeat(corpus, folder / "more", 1, "other-")
            repeat_archive(args.data / "cepstra/train", data, cepstra)
            repeat_archive(args.exp / "ali/sat/train", data, alignment)
            commands = {
                "data subset": [data, folder / "subset", "--percent", 50],
                "data combine": [data, folder / "more", folder / "union"],
                "feats fbank": [data, features, "--config", args.conf / "fbank.yaml"],
                "feats cepstra": [features, data, folder / "own_cepstra"],
                "gmm mono": [cepstra, data, lang, folder / "mono", "--iterations", 2],
                "ali make": [folder / "mono", cepstra, data, lang, folder / "aligned"],
                "ali expand": [alignment, cepstra, folder / "low", "--frame-subsampling", 3, "--leaves", 2000],
                "lang pron-probs": [lang, folder / "aligned", folder / "probs"],
                "gmm tri": [cepstra, alignment, data, lang, folder / "tri", "--iterations", 2],
                "feats fmllr": [args.exp / "lda_mllt", cepstra, alignment, data, folder / "fmllr"],
                "nnet train": [features, alignment, folder / "net", "--width", 64, "--layers", 2, "--epochs", 1],
                "distill targets": [args.exp / "teacher.0", features, folder / "targets"],
            }
            for name, words in commands.items():
                if not args.commands or name in args.commands:
                    used = measure(asrdistill(*name.split(), *words), folder)
                    figures.setdefault(name.replace(" ", "_"), []).append(used)
                    each = (f"{amount / hours / times:.2f}" for amount in used[1:])
                    print(f"{name}, {hours * times:.1f} h: {used[0]:.0f} MB, s/h and MB/h:", *each, flush=True)
    finish({name: compare(used, hours, args.times, len(utterances)) for name, used in figures.items()})


def compare(used: list[tuple[float, float, float]], hours: float, times: list[int], utterances: int) -> dict[str, Any]:
    """Figures of a command from its memory, processor time and disk with fewer and with more listings."""
    few, many = (np.array(amounts) / (1, hours * n, hours * n) for amounts, n in zip(used, times, strict=True))
    return {
        "hours": [round(hours * n, 1) for n in times],
        **dict(zip(("memory_ratio", "time_ratio", "disk_ratio"), (many / np.maximum(few, 1e-9)).round(3), strict=True)),
        **dict(zip(("mb", "seconds_an_hour", "mb_an_hour"), many.round(3), strict=True)),
        "kb_an_utterance": round(1024 * (many[0] - few[0]) / utterances / (times[1] - times[0]), 2),
    }


def repeat(data: Path, out: Path, times: int, prefix: str = "") -> None:
    """The data directory with each utterance under `times` names."""
    out.mkdir(parents=True)
    DataDirectory(
        dataclasses.replace(u, id=f"{prefix}{u.id}-{n}", recording="", audio=str(Path(u.audio).resolve()))
        for u in DataDirectory.read(data)
        for n in range(times)
    ).write(out)


def repeat_archive(source: Path, data: Path, out: Path) -> None:
    """The archive with the names of the repeated data directory; an alignment with its senones."""
    out.mkdir()
    alias(source, out, {utterance.id: utterance.id.rsplit("-", 1)[0] for utterance in DataDirectory.read(data)})
    if (source / "senones.json").is_file():
        Senones.read(source).write(out)


def measure(command: list[str], folder: Path) -> tuple[float, float, float]:
    """A command's largest sum of RssAnon over its processes in MB, processor seconds, and MB written below a folder."""
    before, start = size_mb(folder), processor_seconds()
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    peak = 0.0
    while process.poll() is None:
        peak = max(peak, sum(memory_mb("RssAnon", pid) for pid in family(process.pid)))
        time.sleep(0.05)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed")
    return peak, processor_seconds() - start, size_mb(folder) - before


def size_mb(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def processor_seconds() -> float:
    """Of all processes that have ended and were started by this one or its descendants."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def family(pid: int) -> list[int]:
    """A process and all that it started."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [pid, *(each for child in children for each in family(int(child)))]


if __name__ == "__main__":
    main()
