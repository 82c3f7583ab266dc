"""Students by size: parameters, megabytes, and frames/s of whole utterances on one core, float32 and int8.

The networks are random and have the sizes of the configurations. The forms take turns, and the shortest processor time
of each counts. The last line is JSON.

Example:
  python tools/bench/nets.py recipes/amazon_queen_paper/conf/students/*.yaml
"""

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
import torch
from int8 import export, list_tree

from asrdistill import parallel, stage
from asrdistill.config import build, read_yaml
from asrdistill.hmm.senones import Senones
from asrdistill.models.io import save_model
from asrdistill.models.registry import build_network
from asrdistill.results.speed import frames_per_second
from asrdistill.training.options import TrainOptions

FORMS = {"float32": "safetensors", "onnx": "onnx", "int8": "int8"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("configs", type=Path, nargs="+", help="YAML files as for asrdistill nnet train")
    parser.add_argument("--senones", type=int, default=1000)
    parser.add_argument("--frames", type=int, default=300, help="in an utterance")
    parser.add_argument("--trials", type=int, default=30)
    args = parser.parse_args()
    parallel.single_thread()
    torch.set_num_threads(1)
    figures: dict = {"cpu": stage.environment()["cpu"], "frames": args.frames}
    print(f"{'network':16} {'parameters':>10}" + "".join(f"{name + ' MB':>12}{'frames/s':>10}" for name in FORMS))
    for config in args.configs:
        with tempfile.TemporaryDirectory() as folder:
            figures[config.stem] = found = measure(config, args, Path(folder))
        forms = (f"{found[f'{name}_mb']:12.2f}{found[f'{name}_frames_per_second']:10,}" for name in FORMS)
        print(f"{config.stem:16} {found['parameters']:10,}" + "".join(forms), flush=True)
    print(json.dumps(figures))


def measure(config: Path, args: argparse.Namespace, folder: Path) -> dict:
    model = folder / "random"
    random_model(model, config, args.senones)
    rng = np.random.default_rng(0)
    calibration = [rng.normal(size=(500, 40)).astype(np.float32) for _ in range(4)]
    forms = {name: export(form, model, calibration, folder / name) for name, form in FORMS.items()}
    speeds = frames_per_second(list(forms.values()), args.frames, args.trials)
    found: dict = {"parameters": forms["float32"].parameters, "context": list(forms["float32"].context)}
    for name, speed in zip(forms, speeds, strict=True):
        size = sum(path.stat().st_size for path in (folder / name).glob("model.*"))
        found |= {f"{name}_mb": round(size / 1e6, 2), f"{name}_frames_per_second": round(speed)}
    return found


def random_model(folder: Path, config: Path, senones: int) -> None:
    folder.mkdir()
    torch.manual_seed(0)
    options = build(TrainOptions, read_yaml(config), str(config))
    module = build_network(options, 40, senones)
    for value in module.parameters():
        torch.nn.init.normal_(value, std=0.05)
    states = {"SIL": list(range(5)), "A": [list_tree(range(5, senones - 2)), senones - 2, senones - 1]}
    inventory = Senones(["SIL", "A"], states, np.full(senones, -0.5))
    priors = np.full(senones, -np.log(senones), np.float32)
    save_model(folder, module, options, inventory, priors, features={"type": "fbank"}, frame_shift=0.01, updates=0)


if __name__ == "__main__":
    main()
