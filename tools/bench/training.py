"""How much of the processor's product rate training reaches: frames/s and GFLOP/s of updates on one thread.

The updates are of random frames at the sizes of a configuration; the best rate is that of a product of one of its
layers in the cache. They take turns, and the shortest processor time of each counts. ATEN_CPU_CAPABILITY=avx2 and
ONEDNN_MAX_CPU_ISA=AVX2 hold a newer processor to AVX2. The last line is JSON.

Example:
  python tools/bench/training.py recipes/amazon_queen/conf/teacher.yaml
"""

from collections.abc import Callable
from pathlib import Path

import torch
from common import arguments, fastest, finish
from torch.utils.flop_counter import FlopCounterMode

from asrdistill import parallel
from asrdistill.config import build
from asrdistill.models.registry import build_network
from asrdistill.reader import read_yaml
from asrdistill.training import loop
from asrdistill.training.options import TrainOptions
from asrdistill.training.pool import Batch
from asrdistill.training.targets import HardTargets


def updates(
    options: TrainOptions, senones: int, device: torch.device, dtype: torch.dtype
) -> tuple[Callable[[], object], int, int]:
    """(an update of a network on a batch of random frames, frames that it learns from, floating-point operations)"""
    model = build_network(options, 40, senones).train().to(device)
    model.stride, chunks = options.stride, options.batch // options.chunk
    windows = torch.randn(chunks, sum(model.context) + (options.chunk - 1) * options.stride + 1, 40, device=device)
    labels = torch.randint(0, senones, (chunks * options.chunk,), device=device)
    inside = torch.ones(chunks, options.chunk, dtype=torch.bool, device=device) if options.chunk > 1 else None
    batch = Batch(windows, [labels], 0, chunks, False, False, inside, len(labels))
    optimiser = torch.optim.AdamW(model.parameters(), fused=True)

    def update() -> None:
        loop._update(model, optimiser, HardTargets(None), batch, 1e-3, dtype)  # type: ignore[arg-type]

    with FlopCounterMode(display=False) as counter:
        update()
    return update, len(labels), counter.get_total_flops()


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("config", type=Path, help="YAML file as for asrdistill nnet train")
    parser.add_argument("--senones", type=int, default=1000)
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--trials", type=int, default=30)
    args = parser.parse_args()
    parallel.single_thread()
    options = build(TrainOptions, read_yaml(args.config), str(args.config))
    dtype = getattr(torch, args.precision)
    update, frames, flops = updates(options, args.senones, torch.device("cpu"), dtype)
    a, b = torch.randn(frames, options.width, dtype=dtype), torch.randn(options.width, 512, dtype=dtype)
    seconds = fastest({"update": update, "product": lambda: a @ b}, args.trials)
    rate, best = flops / seconds["update"], 2 * a.numel() * b.shape[1] / seconds["product"]
    per_second = frames / seconds["update"]
    print(f"{per_second:,.0f} frames/s, {rate / 1e9:.0f} of {best / 1e9:.0f} GFLOP/s")
    finish(
        {"frames_per_second": round(per_second), "gflops": round(rate / 1e9, 1), "best_gflops": round(best / 1e9, 1)}
    )


if __name__ == "__main__":
    main()
