"""How much of the processor's product rate training reaches: frames/s and GFLOP/s of updates on one thread.

The updates are of random frames at the sizes of a configuration; the best rate is that of a product of one of its
layers in the cache. They take turns, and the shortest processor time of each counts. ATEN_CPU_CAPABILITY=avx2 and
ONEDNN_MAX_CPU_ISA=AVX2 hold a newer processor to AVX2. The last line is JSON.

Example:
  python tools/bench/training.py recipes/amazon_queen/conf/teacher.yaml
"""

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
    model = build_network(options, 40, args.senones).train()
    model.stride = options.stride
    chunks = options.batch // options.chunk
    windows = torch.randn(chunks, sum(model.context) + (options.chunk - 1) * options.stride + 1, 40)
    labels = torch.randint(0, args.senones, (chunks * options.chunk,))
    inside = torch.ones(chunks, options.chunk, dtype=torch.bool)
    batch = Batch(windows, [labels], 0, chunks, False, False, inside, len(labels))
    optimiser = torch.optim.AdamW(model.parameters(), fused=True)
    a, b = torch.randn(len(labels), options.width, dtype=dtype), torch.randn(options.width, 512, dtype=dtype)

    def update() -> None:
        loop._update(model, optimiser, HardTargets(None), batch, 1e-3, dtype)  # type: ignore[arg-type]

    with FlopCounterMode(display=False) as counter:
        update()
    seconds = fastest({"update": update, "product": lambda: a @ b}, args.trials)
    rate, best = counter.get_total_flops() / seconds["update"], 2 * a.numel() * b.shape[1] / seconds["product"]
    frames = len(labels) / seconds["update"]
    print(f"{frames:,.0f} frames/s, {rate / 1e9:.0f} of {best / 1e9:.0f} GFLOP/s")
    finish({"frames_per_second": round(frames), "gflops": round(rate / 1e9, 1), "best_gflops": round(best / 1e9, 1)})


if __name__ == "__main__":
    main()
