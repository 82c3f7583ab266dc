"""The paper's network: time and memory of a step on this machine, FLOPs, and hours for 700 million frames on GPUs.

Reads recipes/librispeech/conf/paper.yaml. With FEATURES and ALIGNMENT, the network is also trained for a few steps on
that archive, to see its loss fall; without, steps are timed on noise. What is said of GPUs is worked out on paper, from
the figures that --peak, --utilisation and --link name; no GPU is touched.

Example:
  python tools/bench/paper.py recipes/amazon_queen/{data/default/fbank,exp/default/ali/sat}/train
"""

import argparse
import dataclasses
import json
import math
import os
import tempfile
import time
from pathlib import Path

import torch

from asrdistill.config import build, read_yaml
from asrdistill.data.archive import FrameArchive, subset
from asrdistill.distill.teach import train_model
from asrdistill.files import read_json
from asrdistill.hmm.senones import Senones
from asrdistill.models.dnn import Dnn
from asrdistill.stage import peak_mb
from asrdistill.training.device import choose_device, choose_precision
from asrdistill.training.options import TrainOptions

CONF = Path(__file__).resolve().parents[2] / "recipes/librispeech/conf/paper.yaml"
FEATURES = 40
FRAMES = 700e6  # about 2,000 h, the paper's corpus


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("features", type=Path, nargs="?", help="archive for a few real steps")
    parser.add_argument("alignment", type=Path, nargs="?", help="its alignment")
    parser.add_argument("--senones", type=int, default=14_000)
    parser.add_argument("--batch", type=int, default=512, help="frames of the step that is timed here")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--updates", type=int, default=12, help="real steps, with FEATURES")
    parser.add_argument("--peak", type=float, default=989, help="TFLOP/s of a GPU: an H100 SXM's dense bfloat16")
    parser.add_argument("--utilisation", type=float, default=0.4, help="share of it that training reaches")
    parser.add_argument("--link", type=float, default=200, help="GB/s at which GPUs sum their gradients")
    args = parser.parse_args()
    options = build(TrainOptions, read_yaml(CONF), str(CONF))
    torch.set_num_threads(args.threads)
    parameters = count_parameters(options, args.senones)
    figures: dict[str, object] = {"parameters": parameters, "gflop_a_frame": round(flops(parameters) / 1e9, 3)}
    figures |= time_step(options, args.senones, args.batch)
    if args.features:
        figures["losses"] = train_a_little(options, args.features, args.alignment, args.updates, args.threads)
    figures["gpus"] = {n: on_gpus(parameters, options, n, args) for n in (1, 8)}
    print(json.dumps(figures))


def count_parameters(options: TrainOptions, senones: int) -> int:
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in Dnn(options, FEATURES, senones).parameters())


def flops(parameters: int) -> float:
    """Of one frame in training: a multiplication and an addition for each weight, forwards once and backwards twice."""
    return 6.0 * parameters


def time_step(options: TrainOptions, senones: int, batch: int, steps: int = 4) -> dict[str, object]:
    """Shortest of a few whole updates on noise: windows to weights."""
    device = choose_device("cpu")
    dtype = choose_precision("auto", device)
    model = Dnn(options, FEATURES, senones).train()
    optimiser = torch.optim.AdamW(model.parameters(), 1e-4, fused=True)
    windows, labels = (
        torch.randn(batch, options.left + 1 + options.right, FEATURES),
        torch.randint(0, senones, (batch,)),
    )
    best = math.inf
    for _ in range(steps):
        begin = time.perf_counter()
        with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
            logits = model(windows)[:, 0]
        loss = torch.nn.functional.cross_entropy(logits.float(), labels)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        best = min(best, time.perf_counter() - begin)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    rate = flops(parameters) * batch / best
    print(
        f"{parameters / 1e6:.1f} M parameters, {batch} frames a step: {best:.2f} s, {rate / 1e9:.0f} GFLOP/s, {dtype}"
    )
    print(f"weights, gradients and two moments {16 * parameters / 1e9:.2f} GB; peak of the process {peak_mb()} MB")
    return {
        "step_frames": batch,
        "step_seconds": round(best, 3),
        "step_peak_mb": peak_mb(),
        "gflop_s": round(rate / 1e9),
    }


def train_a_little(options: TrainOptions, features: Path, alignment: Path, updates: int, threads: int) -> list[float]:
    """Losses of so many updates of 256 frames, on a few utterances, by the way of `asrdistill train`."""
    with tempfile.TemporaryDirectory() as scratch:
        few, frames = [], 0
        archive = FrameArchive(alignment)
        for name in archive:
            if frames < 1024:
                few.append(name)
                frames += archive.rows(name)
        small = Path(scratch) / "ali"
        small.mkdir()
        subset(alignment, small, few)
        Senones.read(alignment).write(small)
        out = Path(scratch) / "net"
        out.mkdir()
        epochs = max(2, updates // math.ceil(frames / 256))
        tiny = dataclasses.replace(options, batch=256, epochs=epochs, threads=threads, precision="auto", warmup=0.1)
        train_model(features, small, None, None, tiny, out)
        losses = [round(epoch["loss"], 3) for epoch in read_json(out / "meta.json")["history"]]
    print(f"{len(few)} utterances, {frames} frames: loss by epoch {losses}")
    return losses


def on_gpus(parameters: int, options: TrainOptions, gpus: int, args: argparse.Namespace) -> dict[str, float]:
    """Hours on paper: products at the stated rate, then gradients summed in a ring, nothing at the same time."""
    compute = flops(parameters) * options.batch / gpus / (args.peak * 1e12 * args.utilisation)
    # Each GPU sends and receives 2 (n - 1) / n of its float32 gradients.
    talk = 4 * parameters * 2 * (gpus - 1) / gpus / (args.link * 1e9)
    optimiser = 28 * parameters / 3e12  # reads and writes weights, gradients and moments at 3 TB/s
    rate = options.batch / (compute + talk + optimiser)
    hours = FRAMES / rate / 3600
    print(
        f"{gpus} GPU at {args.utilisation:.0%} of {args.peak:.0f} TFLOP/s, batch {options.batch}: "
        f"{1e3 * compute:.1f} ms products + {1e3 * talk:.1f} ms gradients at {args.link:.0f} GB/s + "
        f"{1e3 * optimiser:.1f} ms optimiser = {rate / 1e6:.2f} M frames/s\n"
        f"  {hours:.2f} h for a pass over 700 M frames, {hours * options.epochs:.1f} h for {options.epochs}; "
        f"{rate * 164 / 1e6:.0f} MB/s of features and alignment are read"
    )
    return {"frames_a_second": round(rate), "hours_a_pass": round(hours, 3), "hours": round(hours * options.epochs, 2)}


if __name__ == "__main__":
    main()
