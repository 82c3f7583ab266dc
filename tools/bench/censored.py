"""How wrong the gradient is that a student gets from k soft targets a frame, against its bound, over k.

On frames of the transfer set the ensemble's whole distribution p is computed, and a student's q. Of each k and each
treatment of the rest (states, even, one, drop) the L1 error of the gradient of T² · CE is the mean over the frames, in
percent of the true gradient's L1, as is the bound of asrdistill.distill.losses.rest_error_bound; beside them the mean
gradient's error, where errors of single frames cancel. Sizes: bytes a frame against dense float16, measured on the
recipe's senones and reckoned for 8,000 whose distributions are drawn (softmax of normal logits of the deviation that
gives the entropy of the ensemble's). The last line is JSON.

Example:
  python tools/bench/censored.py recipes/amazon_queen/data/default recipes/amazon_queen/exp/default --frames 20000
"""

import argparse
import json
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from asrdistill.data.archive import FrameArchive
from asrdistill.distill.losses import completed, rest_error_bound
from asrdistill.models.io import load_model
from asrdistill.training.options import RESTS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the recipe's data folder")
    parser.add_argument("exp", type=Path, help="its experiment folder, with ensemble, targets and student.0")
    parser.add_argument("--frames", type=int, default=20_000)
    parser.add_argument("--keep", type=int, nargs="+", default=[1, 2, 4, 8, 16, 32, 64, 96, 192, 384])
    parser.add_argument("--temperature", type=float, default=2.0)
    parser.add_argument("--student", default="student.0", help="whose q it is; a teacher has not learnt from the store")
    parser.add_argument("--large", type=int, default=8000, help="senones of the synthetic distributions")
    args = parser.parse_args()
    torch.manual_seed(0)
    p, q, tails = frames(args.data, args.exp, args.student, args.frames, args.temperature)
    rows = [measure(p, q, tails, keep, args.temperature) for keep in args.keep if keep < p.shape[1]]
    for row in rows:
        print(show(row), flush=True)
    large = drawn(args.large, entropy(p))
    sizes = [size(large, keep, args.large) for keep in args.keep]
    for row in sizes:
        print(f"{args.large} senones, k {row['keep']:4}: {row['percent_of_dense']:6.2f} % of dense, mass {row['mass']}")
    print(json.dumps({"frames": len(p), "senones": p.shape[1], "by_keep": rows, "synthetic": sizes}))


def frames(data: Path, exp: Path, name: str, count: int, temperature: float) -> tuple[Tensor, Tensor, Tensor]:
    """(n, S) each: the ensemble's p and a student's q at T, the mean tails of the frames' states."""
    ensemble, student = load_model(exp / "ensemble"), load_model(exp / name)
    archive = FrameArchive(data / "fbank/train")
    names = archive.utterances
    chosen: list[str] = []
    for utterance in names[:: max(1, archive.total_rows // count)]:
        chosen.append(utterance)
        if sum(map(archive.rows, chosen)) >= count:
            break
    logp, logq = (
        torch.cat([torch.from_numpy(model.log_posteriors(archive[utterance])) for utterance in chosen])[:count]
        for model in (ensemble, student)
    )
    record, meta = load_file(exp / "targets/tails.safetensors"), FrameArchive(exp / "targets").meta
    tails = record["tails"][meta["temperatures"].index(temperature)]
    return (logp / temperature).softmax(-1), (logq / temperature).softmax(-1), tails[record["owner"][logp.argmax(-1)]]


def measure(p: Tensor, q: Tensor, tails: Tensor, keep: int, temperature: float) -> dict[str, object]:
    """Errors and bounds of every treatment, percent of the true gradient's L1; the gradient is T (q - p)."""
    top = p.topk(keep)
    mass, others = 1 - top.values.sum(-1), p.shape[1] - keep
    mass = mass.clamp_min(1e-12)
    true = (q - p).abs().sum(-1).mean()
    found: dict[str, object] = {"keep": keep, "bytes": 4 * keep + 8, "mass": round(1 - mass.mean().item(), 4)}
    found["percent_of_dense"] = round(100 * (4 * keep + 8) / (2 * p.shape[1]), 2)
    for rest in RESTS:
        shares = {"states": tails, "one": q}.get(rest, torch.ones_like(p))
        logp, log_rest = top.values.log(), mass.log()
        if rest == "drop":
            logp, log_rest = logp - logp.logsumexp(-1, keepdim=True), torch.full_like(log_rest, -torch.inf)
        wrong = completed(top.indices, logp, log_rest, shares) - p
        bound = rest_error_bound(rest, mass, top.values[:, -1], others, temperature) / temperature
        found[rest] = {
            "error": percent(wrong.abs().sum(-1).mean(), true),
            "bound": percent(bound.mean(), true),
            "broken": int((wrong.abs().sum(-1) > bound + 1e-4).sum()),
            "mean_gradient": percent(wrong.mean(0).abs().sum(), (q - p).mean(0).abs().sum()),
        }
    return found


def percent(part: Tensor, whole: Tensor) -> float:
    return round(100 * (part / whole).item(), 2)


def show(row: dict) -> str:
    parts = [f"{rest} {row[rest]['error']:.1f} <= {row[rest]['bound']:.1f}" for rest in RESTS]
    size = f"k {row['keep']:4}, {row['bytes']:5} bytes ({row['percent_of_dense']} %), mass {row['mass']}"
    return f"{size}: {', '.join(parts)}"


def entropy(p: Tensor) -> float:
    return -(p * p.clamp_min(1e-30).log()).sum(-1).mean().item()


def drawn(senones: int, wanted: float, count: int = 500) -> Tensor:
    """(n, S) distributions of softmax(deviation · normal), with the mean entropy that is wanted."""
    noise = torch.randn(count, senones)
    low, high = 0.0, 50.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if entropy((middle * noise).softmax(-1)) > wanted else (low, middle)
    return (low * noise).softmax(-1)


def size(p: Tensor, keep: int, senones: int) -> dict[str, float]:
    mass = p.topk(keep).values.sum(-1).mean().item()
    return {"keep": keep, "percent_of_dense": round(100 * (4 * keep + 8) / (2 * senones), 3), "mass": round(mass, 4)}


if __name__ == "__main__":
    main()
