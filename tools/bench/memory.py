"""Private memory of the verbs that see a whole train set: a corpus, and the same corpus listed several times.

Runs the verbs on DATA's train set and on a data directory that names each of its utterances TIMES times, and
samples the private memory (RssAnon) of each verb's processes. Flat memory means ratios of about 1; what an utterance
costs is printed too, since each process holds the index of the archives that it reads.

Example:
  python tools/bench/memory.py recipes/amazon_queen/data/default recipes/amazon_queen/exp/default
"""

import argparse
import dataclasses
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from asrdistill.data.archive import alias
from asrdistill.data.directory import DataDirectory
from asrdistill.hmm.senones import Senones


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the recipe's data folder")
    parser.add_argument("exp", type=Path, help="experiment folder with ali/sat/train, lda_mllt and teacher.0")
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--verbs", nargs="+", help="only these (default: all)")
    args = parser.parse_args()
    corpus, lang = args.data / "corpus/train", args.data / "lang"
    utterances = len(DataDirectory.read(corpus))
    config = Path(__file__).resolve().parents[2] / "recipes/amazon_queen/conf/fbank.yaml"
    figures: dict[str, dict[int, float]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for times in (1, args.times):
            folder = Path(scratch) / str(times)
            data, features, cepstra, alignment = (folder / name for name in ("data", "fbank", "cepstra", "ali"))
            repeat(corpus, data, times)
            repeat_archive(args.data / "cepstra/train", data, cepstra)
            repeat_archive(args.exp / "ali/sat/train", data, alignment)
            net = ["--width", 64, "--layers", 2, "--epochs", 1]
            commands = {
                "features": ["features", data, features, "--config", config],
                "train-mono": ["train-mono", cepstra, data, lang, folder / "mono", "--iterations", 2],
                "align": ["align", folder / "mono", cepstra, data, lang, folder / "aligned"],
                "lang-counts": ["lang-counts", lang, folder / "aligned", folder / "counted"],
                "train-tri": ["train-tri", cepstra, alignment, data, lang, folder / "tri", "--iterations", 2],
                "fmllr": ["fmllr", args.exp / "lda_mllt", cepstra, alignment, data, folder / "fmllr"],
                "train": ["train", features, alignment, folder / "net", *net],
                "soft-targets": ["soft-targets", args.exp / "teacher.0", features, folder / "targets"],
            }
            for verb, command in commands.items():
                if args.verbs and verb not in args.verbs:
                    continue
                peak = peak_private_mb([sys.executable, "-m", "asrdistill", *map(str, command)])
                figures.setdefault(verb, {})[times] = peak
                print(f"{verb}, corpus listed {times} x: {peak:.0f} MB private", flush=True)
    ratios = {f"{verb}_ratio": round(peaks[args.times] / peaks[1], 3) for verb, peaks in figures.items()}
    megabytes = {f"{verb}_mb_{times}x": round(mb) for verb, peaks in figures.items() for times, mb in peaks.items()}
    more = utterances * (args.times - 1)
    slopes = {f"{verb}_kb_an_utterance": round(1024 * (p[args.times] - p[1]) / more, 2) for verb, p in figures.items()}
    print(json.dumps({**ratios, **megabytes, **slopes}))


def repeat(data: Path, out: Path, times: int) -> None:
    """The data directory with each utterance under `times` names."""
    utterances = list(DataDirectory.read(data))
    out.mkdir(parents=True)
    copies = [
        dataclasses.replace(u, id=f"{u.id}-{n}", recording="", audio=str(Path(u.audio).resolve()))
        for u in utterances
        for n in range(times)
    ]
    DataDirectory(copies).write(out)


def repeat_archive(source: Path, data: Path, out: Path) -> None:
    """The archive with the names of the repeated data directory; an alignment with its senones."""
    out.mkdir()
    alias(source, out, {utterance.id: utterance.id.rsplit("-", 1)[0] for utterance in DataDirectory.read(data)})
    if (source / "senones.json").is_file():
        Senones.read(source).write(out)


def peak_private_mb(command: list[str]) -> float:
    """Largest sum of RssAnon over a command's processes, in MB."""
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    peak = 0
    while process.poll() is None:
        peak = max(peak, sum(map(private_kb, family(process.pid))))
        time.sleep(0.05)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed")
    return peak / 1024


def family(pid: int) -> list[int]:
    """A process and all that it started."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [pid, *(each for child in children for each in family(int(child)))]


def private_kb(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("RssAnon")), 0)


if __name__ == "__main__":
    main()
