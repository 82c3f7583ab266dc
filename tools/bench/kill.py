"""Kill recipes/librispeech at random moments, continue each time, and compare the result with an undisturbed run.

The recipe runs in its smallest form (tests/recipes/librispeech_site.py, --mini): once undisturbed in FOLDER/peace,
and in FOLDER/killed.0, … with SIGKILL to the whole process group at random moments, until there were --kills of them.
All fetch from a server on loopback that breaks connections. Figures: the stages hit, whether results agree (all but
times), how many files differ, and `twice_kb`: kB of archives sent twice.

Example:
  python tools/bench/kill.py /tmp/kill --kills 20
"""

import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

from common import ROOT, arguments, finish

sys.path[:0] = [str(ROOT), str(ROOT / "recipes/amazon_queen/local")]

from asrdistill.results.plan import read_results  # noqa: E402
from tests.recipes.flaky_server import FlakyServer  # noqa: E402
from tests.recipes.librispeech_site import RECIPE, make_site, queen_speech, small_conf, spoken_phones  # noqa: E402

RESULTS = (".txt", ".ctm", ".tsv", ".safetensors", ".npy")  # files that must be the same byte by byte


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("folder", type=Path, help="new folder to work in")
    parser.add_argument("--kills", type=int, default=20, help="(default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (default: %(default)s)")
    parser.add_argument("--queen", action="store_true", help="amazon_queen's speech instead of tones")
    parser.add_argument("--utterances", type=int, default=80, help="of the tones (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default: %(default)s)")
    args = parser.parse_args()
    args.folder.mkdir(parents=True)
    said = (queen_speech(args.folder) if args.queen else None) or spoken_phones(args.utterances)
    site, conf = args.folder / "site", small_conf(args.folder / "conf", "mini")
    make_site(site, said)
    luck = random.Random(args.seed)

    def run(name: str, server: FlakyServer) -> subprocess.Popen:
        options = {"--mirror": server.url, "--table": site / "librispeech.tsv", "--conf": conf, "--jobs": args.jobs}
        options |= {"--teachers": 2, "--data": args.folder / name / "data", "--exp": args.folder / name / "exp"}
        command = [str(RECIPE / "run.sh"), "--mini", *(str(part) for pair in options.items() for part in pair)]
        with open(args.folder / f"{name}.log", "a") as log:
            return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)

    with FlakyServer(site, cut=0.3, busy=0.2) as server:
        start = time.monotonic()
        if run("peace", server).wait():
            sys.exit(f"the run left in peace failed: see {args.folder / 'peace.log'}")
        seconds = time.monotonic() - start
    hit: list[int] = []
    rounds, same, different = 0, True, 0
    with FlakyServer(site, cut=0.3, busy=0.2, pace=0.05) as server:
        while len(hit) < args.kills:
            name, rounds = f"killed.{rounds}", rounds + 1
            while lived := lives(run(name, server), luck.uniform(0, 0.6 * seconds) if len(hit) < args.kills else None):
                hit.append(last_stage(args.folder / f"{name}.log"))
                print(f"kill {len(hit)} after {lived:.1f} s, in stage {hit[-1]}", flush=True)
            found = compare(args.folder / "peace", args.folder / name)
            same, different = same and found[0], different + found[1]
        sent = {path: server.bytes_of(path.relative_to(site).as_posix()) for path in site.rglob("*.gz")}
    twice = sum(count - rounds * path.stat().st_size for path, count in sent.items() if count)
    figures = {"kills": len(hit), "stages": hit, "runs": rounds, "same_results": same, "files_that_differ": different}
    finish({**figures, "twice_kb": round(twice / 1000), "seconds_in_peace": round(seconds)})


def lives(process: subprocess.Popen, seconds: float | None) -> float | None:
    """Kill a run and all that it started after `seconds`; None if it ended well by itself."""
    try:
        status = process.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return seconds
    if status:
        sys.exit(f"a run failed with status {status}; see the logs")
    return None


def last_stage(log: Path) -> int:
    return int((re.findall(r"== stage (\d+)/", log.read_text()) or ["0"])[-1])


def compare(peace: Path, killed: Path) -> tuple[bool, int]:
    """(whether results agree, number of files that differ)"""
    rows = [read_results(folder / "exp/results.json").table.rows for folder in (peace, killed)]
    results = [[row for row in found if row.measure not in ("rtf", "stage_seconds", "stage_peak_mb")] for found in rows]
    files = [path for path in sorted(peace.rglob("*")) if path.suffix in RESULTS and path.is_file()]
    pairs = [(path, killed / path.relative_to(peace)) for path in files]
    different = [a for a, b in pairs if not b.is_file() or a.read_bytes() != b.read_bytes()]
    for path in different:
        print(f"differs: {path.relative_to(peace)}")
    return results[0] == results[1], len(different)


if __name__ == "__main__":
    main()
