"""How many senones a frame a soft-target store must keep: a student for each k, dense targets (0) last.

Each student is the recipe's, by conf/student.yaml; its dev frame accuracy, the store's size and the
kept mass are printed. The k of conf/targets.yaml is the smallest within 0.1 points of dense.

Example:
  python tools/bench/keep.py recipes/amazon_queen/data/default recipes/amazon_queen/exp/default --keep 4 8 16 32
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from asrdistill.files import read_json

CONF = Path(__file__).resolve().parents[2] / "recipes/amazon_queen/conf"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the recipe's data folder")
    parser.add_argument("exp", type=Path, help="its experiment folder, with ensemble and ali")
    parser.add_argument("--keep", type=int, nargs="+", default=[4, 8, 16, 32])
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    figures = {}
    with tempfile.TemporaryDirectory() as scratch:
        for keep in [*args.keep, 0]:
            store, net = Path(scratch) / "store", Path(scratch) / f"student.{keep}"
            features = args.data / "fbank/train_copies"
            asrdistill("soft-targets", args.exp / "ensemble", features, store, "--keep", keep)
            held_out = ["--held-out", args.data / "fbank/dev", args.exp / "ali/sat/dev"]
            student = ["--config", CONF / "student.yaml", "--seed", args.seed, "--soft-targets", store, *held_out]
            asrdistill("train", features, args.exp / "ali/sat/train_copies", net, *student)
            accuracy = read_json(net / "meta.json")["history"][-1]["held_out_accuracy"]
            mass = read_json(store / "meta.json")["kept_mass"]
            size = sum(path.stat().st_size for path in store.iterdir()) / 1e6
            figures[keep] = {"dev_frame_accuracy": round(accuracy, 2), "kept_mass": mass, "mb": round(size)}
            print(f"k {keep or 'all'}: {figures[keep]}", flush=True)
            shutil.rmtree(store)
    near = [k for k in sorted(args.keep) if loss(figures, k) <= 0.1]
    print(json.dumps({"smallest_within_0.1": near[0] if near else None, "by_keep": figures}))


def loss(figures: dict[int, dict], keep: int) -> float:
    """Points of dev frame accuracy lost against dense targets."""
    return figures[0]["dev_frame_accuracy"] - figures[keep]["dev_frame_accuracy"]


def asrdistill(*arguments: object) -> None:
    subprocess.run([sys.executable, "-m", "asrdistill", *map(str, arguments)], check=True)


if __name__ == "__main__":
    main()
