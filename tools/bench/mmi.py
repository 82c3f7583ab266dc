"""Cost of LF-MMI beside its network: seconds of forward and backward passes of one batch, on one thread.

The chunks' phones are those of an alignment, the outputs are random, the network is that of a configuration with
`loss: mmi`. ATEN_CPU_CAPABILITY=avx2, ONEDNN_MAX_CPU_ISA=AVX2 and NUMBA_CPU_NAME=haswell hold a newer processor to
AVX2. The last line is JSON.

Example:
  python tools/bench/mmi.py exp/ali_low/train conf/mmi.yaml
"""

from pathlib import Path

import numpy as np
import torch
from common import arguments, fastest, finish

from asrdistill import parallel
from asrdistill.config import build
from asrdistill.data.archive import FrameArchive
from asrdistill.hmm.senones import Senones
from asrdistill.models.registry import build_network
from asrdistill.reader import read_yaml
from asrdistill.training.mmi import MmiTargets
from asrdistill.training.options import TrainOptions


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("alignment", type=Path, help="alignment folder of the training set")
    parser.add_argument("config", type=Path, help="YAML file as for asrdistill nnet train")
    parser.add_argument("--trials", type=int, default=5)
    args = parser.parse_args()
    parallel.single_thread()
    options = build(TrainOptions, read_yaml(args.config), str(args.config))
    senones, labels = Senones.read(args.alignment), FrameArchive(args.alignment)
    targets = MmiTargets(labels, senones, options)
    model = build_network(options, 40, senones.count * (1 + (options.cross_entropy_weight > 0))).train()
    model.stride, span = options.stride, options.chunk * options.stride
    long = [name for name in targets.utterances if labels.rows(name) >= span][: options.batch // options.chunk]
    ends = np.cumsum([labels.rows(name) for name in long])
    places = (ends - span)[:, None] + np.arange(0, span, options.stride)
    rows = [row[places.ravel()] for row in targets.gather(long)]
    windows = torch.randn(len(long), sum(model.context) + span - options.stride + 1, 40)
    logits = torch.randn(*places.shape, 2 * senones.count, requires_grad=True)
    inside = torch.ones(places.shape, dtype=torch.bool)
    work = {
        "network": lambda: model(windows).square().mean().backward(),
        "objective": lambda: targets.chunk_loss(logits, rows, inside).backward(),
        "denominator": lambda: targets._denominator(logits[..., : senones.count], inside).sum().backward(),
    }
    seconds = {name: round(best, 4) for name, best in fastest(work, args.trials).items()}
    parameters = sum(parameter.numel() for parameter in model.parameters())
    print(f"{len(long)} chunks of {options.chunk} outputs, {senones.count} senones, {parameters:,} parameters")
    print(f"the objective takes {seconds['objective'] / seconds['network']:.2f} of the network's time")
    finish({**seconds, "parameters": parameters, "senones": senones.count, **targets.graph.summary})


if __name__ == "__main__":
    main()
