"""Measure private memory of the commands that see a whole train set, on a corpus and on the same listed N times.

Each command runs on DATA's train set and on a data directory with every utterance under N names, while the private
memory (RssAnon) of its processes is sampled. Flat memory means ratios of about 1. Kilobytes per utterance are printed
too, since each process holds the index of the archives that it reads.

Example:
  python tools/bench/memory.py recipes/amazon_queen/data/default recipes/amazon_queen/exp/default
"""

import dataclasses
import subprocess
import tempfile
import time
from pathlib import Path

from common import CONF, RECIPE, arguments, asrdistill, finish, memory_mb

from asrdistill.data.archive import alias
from asrdistill.data.directory import DataDirectory
from asrdistill.hmm.senones import Senones


def main() -> None:
    parser = arguments(__doc__, RECIPE)  # exp needs ali/sat/train, lda_mllt and teacher.0
    parser.add_argument("--times", type=int, default=5, help="how often the corpus is listed (default: %(default)s)")
    parser.add_argument("--commands", nargs="+", help="only these, for example 'feats fbank' (default: all)")
    args = parser.parse_args()
    corpus, lang = args.data / "corpus/train", args.data / "lang"
    utterances = len(DataDirectory.read(corpus))
    figures: dict[str, dict[int, float]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for times in (1, args.times):
            folder = Path(scratch) / str(times)
            data, features, cepstra, alignment = (folder / name for name in ("data", "fbank", "cepstra", "ali"))
            repeat(corpus, data, times)
            repeat_archive(args.data / "cepstra/train", data, cepstra)
            repeat_archive(args.exp / "ali/sat/train", data, alignment)
            commands = {
                "feats fbank": [data, features, "--config", CONF / "fbank.yaml"],
                "gmm mono": [cepstra, data, lang, folder / "mono", "--iterations", 2],
                "ali make": [folder / "mono", cepstra, data, lang, folder / "aligned"],
                "lang pron-probs": [lang, folder / "aligned", folder / "probs"],
                "gmm tri": [cepstra, alignment, data, lang, folder / "tri", "--iterations", 2],
                "feats fmllr": [args.exp / "lda_mllt", cepstra, alignment, data, folder / "fmllr"],
                "nnet train": [features, alignment, folder / "net", "--width", 64, "--layers", 2, "--epochs", 1],
                "distill targets": [args.exp / "teacher.0", features, folder / "targets"],
            }
            for name, words in commands.items():
                if not args.commands or name in args.commands:
                    peak = peak_private_mb(asrdistill(*name.split(), *words))
                    figures.setdefault(name.replace(" ", "_"), {})[times] = peak
                    print(f"{name}, corpus listed {times} x: {peak:.0f} MB private", flush=True)
    result: dict[str, float] = {}
    for name, peaks in figures.items():
        result[f"{name}_ratio"] = round(peaks[args.times] / peaks[1], 3)
        result |= {f"{name}_mb_{times}x": round(mb) for times, mb in peaks.items()}
        more = utterances * (args.times - 1)
        result[f"{name}_kb_an_utterance"] = round(1024 * (peaks[args.times] - peaks[1]) / more, 2)
    finish(result)


def repeat(data: Path, out: Path, times: int) -> None:
    """The data directory with each utterance under `times` names."""
    out.mkdir(parents=True)
    DataDirectory(
        dataclasses.replace(u, id=f"{u.id}-{n}", recording="", audio=str(Path(u.audio).resolve()))
        for u in DataDirectory.read(data)
        for n in range(times)
    ).write(out)


def repeat_archive(source: Path, data: Path, out: Path) -> None:
    """The archive with the names of the repeated data directory; an alignment with its senones."""
    out.mkdir()
    alias(source, out, {utterance.id: utterance.id.rsplit("-", 1)[0] for utterance in DataDirectory.read(data)})
    if (source / "senones.json").is_file():
        Senones.read(source).write(out)


def peak_private_mb(command: list[str]) -> float:
    """Largest sum of RssAnon over a command's processes, in MB."""
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    peak = 0.0
    while process.poll() is None:
        peak = max(peak, sum(memory_mb("RssAnon", pid) for pid in family(process.pid)))
        time.sleep(0.05)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed")
    return peak


def family(pid: int) -> list[int]:
    """A process and all that it started."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [pid, *(each for child in children for each in family(int(child)))]


if __name__ == "__main__":
    main()
