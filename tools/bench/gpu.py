"""Check and measure what runs on a GPU; without one, the same in small form on the processor. Takes under 8 minutes.

For the paper's network, a time-delay and a factored time-delay network: training as a share of the measured product
rate in the device's fastest precision; posteriors in frames/s beside one processor core's; their largest difference
from the processor's in float32. Then a training that is killed and resumed, and one under torchrun (NCCL on a GPU).
The last line is JSON.

Example:
  python tools/bench/gpu.py --device cuda
"""

import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import arguments, asrdistill, finish
from safetensors.numpy import load_file
from training import updates

from asrdistill.data.archive import ShardWriter
from asrdistill.data.archive import finish as finish_archive
from asrdistill.hmm.senones import Senones
from asrdistill.models.acoustic import AcousticModel
from asrdistill.models.device import choose_device, choose_precision
from asrdistill.models.inference import Compute, posteriors
from asrdistill.models.options import NetworkConfig
from asrdistill.models.registry import build_network
from asrdistill.training.options import TrainOptions

BINS, SPEECH = 40, (200, 1500)  # filterbanks; frames of the shortest and of the longest utterance
SIZES = {  # of networks, senones, frames of a batch, side of the matrices, utterances; on a GPU and on the processor
    "cuda": ({"layers": 8, "width": 2560}, 1024, 8000, 4096, 8192, 400),
    "cpu": ({"layers": 3, "width": 256}, 128, 500, 256, 512, 4),
}


def networks(kind: str) -> dict[str, TrainOptions]:
    deep, width, _, batch = SIZES[kind][:4]
    timed = {"width": width, "batch": batch, "chunk": 50}
    return {
        "paper": TrainOptions(**deep, batch=batch),  # type: ignore[arg-type]
        "tdnn": TrainOptions(architecture="tdnn", left=30, right=15, dilations=[1, 2, 3, 3, 6], **timed),
        "tdnnf": TrainOptions(architecture="tdnnf", left=38, right=20, dilations=[1, 1, *[3] * 7], **timed),
    }


def seconds(work: Callable[[], object], device: torch.device, trials: int = 5) -> float:
    """The shortest wall time of a call, after one that does not count."""
    best = float("inf")
    for trial in range(trials + 1):
        start = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        best = min(best, time.perf_counter() - start if trial else best)
    return best


def product_rate(side: int, device: torch.device, dtype: torch.dtype) -> float:
    """FLOP/s of a product of two square matrices."""
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    return 2 * side**3 / seconds(lambda: a @ b, device)


def inference(config: NetworkConfig, senones: int, utterances: int, compute: Compute, device: torch.device) -> Any:
    """Frames/s of posteriors in a precision, one core's, and the largest difference in float32."""
    rng = np.random.default_rng(0)
    speech = [rng.normal(size=(n, BINS)).astype(np.float32) for n in rng.integers(*SPEECH, utterances)]
    inventory = Senones(["SIL"], {"SIL": list(range(senones))}, np.full(senones, np.log(0.5)))
    torch.manual_seed(0)
    module, priors = build_network(config, BINS, senones), np.full(senones, 1 / senones)
    torch.nn.init.normal_(module.output.weight, std=0.05)
    few = speech[:4]

    def model(compute: Compute) -> AcousticModel:
        return AcousticModel(module, inventory, priors, {"features": {}}, compute)

    plain = model(Compute())
    wanted = list(posteriors(plain, few))
    core = sum(map(len, few)) / seconds(lambda: list(posteriors(plain, few)), torch.device("cpu"), 1)
    same = model(compute._replace(precision="float32"))
    differences = [np.abs(x - y).max() for x, y in zip(wanted, posteriors(same, few), strict=True)]
    fast = model(compute)
    rate = sum(map(len, speech)) / seconds(lambda: sum(len(p) for p in posteriors(fast, speech)), device, 2)
    return {"frames_per_second": round(rate), "one_core": round(core), "difference": float(max(differences))}


def corpus(folder: Path, senones: int = 20, utterances: int = 200) -> list[Path]:
    """Features and an alignment that can be learnt from them."""
    rng, count = np.random.default_rng(0), 0
    inventory = Senones(["SIL"], {"SIL": list(range(senones))}, np.full(senones, np.log(0.5)))
    means, made = rng.normal(size=(senones, BINS)), [folder / "features", folder / "ali"]
    kinds = [("features", "<f4", (BINS,)), ("alignment", "<i4", ())]
    metas: list[dict[str, Any]] = [{"features": {"type": "fbank", "bins": BINS}}, {"senones": inventory.hash}]
    rows = {f"utt{i:04d}": rng.integers(0, senones, rng.integers(*SPEECH)) for i in range(utterances)}
    for out, (kind, dtype, shape), meta in zip(made, kinds, metas, strict=True):
        out.mkdir()
        writer = ShardWriter(out, 0, {"frames": (dtype, shape)})
        for utterance, labels in rows.items():
            noisy = means[labels] + rng.normal(size=(len(labels), BINS)) if kind == "features" else labels
            writer.write(utterance, frames=noisy.astype(dtype))
            count += len(labels)
        finish_archive(out, kind, {"frames": (dtype, shape)}, [writer.close()], frame_shift=0.01, **meta)
    inventory.write(made[1])
    return made


def resumed(device: str, folder: Path) -> dict[str, Any]:
    """Largest difference of the weights of a training that was killed and resumed; and under torchrun."""
    made = corpus(folder)
    options = ["--width", 256, "--layers", 2, "--epochs", 3, "--pool-frames", 20_000, "--device", device]
    command = ["nnet", "train", *made]
    subprocess.run(asrdistill(*command, folder / "whole", *options), check=True, stderr=subprocess.DEVNULL)
    process = subprocess.Popen(asrdistill(*command, folder / "killed", *options), stderr=subprocess.DEVNULL)
    while process.poll() is None and not list(folder.glob(".killed*/checkpoint.safetensors")):
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    was_killed = process.wait() != 0
    subprocess.run(asrdistill(*command, folder / "killed", *options), check=True, stderr=subprocess.DEVNULL)
    words = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "1"]
    alone = asrdistill(*command, folder / "torchrun", *options)[1:]
    subprocess.run([*words, *alone], check=True, stderr=subprocess.DEVNULL)
    whole, *others = (load_file(folder / name / "model.safetensors") for name in ("whole", "killed", "torchrun"))
    far = [max(float(np.abs(whole[name] - other[name]).max()) for name in whole) for other in others]
    return {"killed": was_killed, "resumed_difference": far[0], "torchrun_difference": far[1]}


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (default: %(default)s)")
    args = parser.parse_args()
    torch.set_num_threads(1)
    device = choose_device(args.device)
    dtype = choose_precision("auto", device)
    _, _, senones, _, side, utterances = SIZES[device.type]
    best, precision = product_rate(side, device, dtype), str(dtype).removeprefix("torch.")
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "processor, one core"
    figures: dict[str, Any] = {"device": name, "precision": precision, "product_tflops": round(best / 1e12, 3)}
    for network, config in networks(device.type).items():
        update, frames, flops = updates(config, senones, device, dtype)
        took = seconds(update, device)
        run = inference(config, senones, utterances, Compute(args.device, precision), device)
        figures[network] = {
            "trained_per_second": round(frames / took),
            "share_of_products": round(flops / took / best, 3),
            **run,
        }
        print(f"{network}: {figures[network]}", flush=True)
    if device.type == "cuda":
        figures["peak_mb"] = round(torch.cuda.max_memory_allocated(device) / 2**20)
    with tempfile.TemporaryDirectory() as scratch:
        figures |= resumed(args.device, Path(scratch))
    finish(figures)


if __name__ == "__main__":
    main()
