"""Size and speed of random networks on one core: float32 in torch and ONNX Runtime, int8 in ONNX Runtime.

The networks have the sizes of the configurations. Speed is measured for pieces of a stream and for whole utterances;
the forms take turns, and the shortest processor time of each counts. Word errors of a trained network in int8:
asrdistill export --to int8 --check DATA.

Example:
  python tools/bench/nets.py recipes/amazon_queen_paper/conf/students/*.yaml
"""

import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import torch
from common import arguments, fastest, finish

from asrdistill import parallel, stage
from asrdistill.config import build, read_yaml
from asrdistill.export.forms import open_form, write_form
from asrdistill.files import read_json, sha256, write_json
from asrdistill.hmm.senones import Senones
from asrdistill.models.io import load_model, save_model
from asrdistill.models.registry import build_network
from asrdistill.training.options import TrainOptions

PIECES = (16, 100, 300, 1000)  # frames: a stream's piece, and utterances of 1, 3 and 10 s
FORMS = {"float32": "safetensors", "onnx": "onnx", "int8": "int8"}
BINS = 40


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("configs", type=Path, nargs="+", help="YAML files as for asrdistill nnet train")
    parser.add_argument("--senones", type=int, default=1000)
    parser.add_argument("--trials", type=int, default=30)
    args = parser.parse_args()
    parallel.single_thread()
    torch.set_num_threads(1)
    figures: dict = {"cpu": stage.environment()["cpu"], "instructions": instructions()}
    for config in args.configs:
        with tempfile.TemporaryDirectory() as folder:
            figures[config.stem] = measure(config, args.senones, args.trials, Path(folder))
        print(config.stem, figures[config.stem], flush=True)
    finish(figures)


def instructions() -> list[str]:
    """Those of this processor that multiply small integers."""
    info = Path("/proc/cpuinfo")
    flags = info.read_text().split() if info.is_file() else []
    return [flag for flag in ("avx2", "avx512_vnni", "avx_vnni", "amx_int8") if flag in flags]


def measure(config: Path, senones: int, trials: int, folder: Path) -> dict[str, float]:
    """Parameters, megabytes and frames/s of each form, and how much faster int8 is than torch."""
    random_model(folder / "random", config, senones)
    rng = np.random.default_rng(0)
    calibration = [rng.normal(size=(500, BINS)).astype(np.float32) for _ in range(4)]
    network = load_model(folder / "random")
    possible = [name for name, form in FORMS.items() if form in network.module.exports]
    forms = {name: export(FORMS[name], folder / "random", calibration, folder / name) for name in possible}
    found: dict[str, float] = {"parameters": network.meta["parameters"]}
    for name in forms:
        size = sum(path.stat().st_size for path in (folder / name).glob("model.*"))
        found[f"{name}_mb"] = round(size / 1e6, 2)
    for frames in PIECES:
        features = rng.normal(size=(frames, BINS)).astype(np.float32)
        best = fastest({name: partial(form.log_posteriors, features) for name, form in forms.items()}, trials)
        found |= {f"{name}_frames_per_second_{frames}": round(frames / seconds) for name, seconds in best.items()}
        if "int8" in best:
            found[f"int8_speedup_{frames}"] = round(best["float32"] / best["int8"], 2)
    return found


def random_model(folder: Path, config: Path, senones: int) -> None:
    """Write a model folder of a random network."""
    folder.mkdir()
    torch.manual_seed(0)
    options = build(TrainOptions, read_yaml(config), str(config))
    module = build_network(options, BINS, senones)
    for value in module.parameters():
        torch.nn.init.normal_(value, std=0.05)
    states = {"SIL": list(range(5)), "A": [list_tree(range(5, senones - 2)), senones - 2, senones - 1]}
    inventory = Senones(["SIL", "A"], states, np.full(senones, -0.5))
    priors = np.full(senones, -np.log(senones), np.float32)
    save_model(folder, module, options, inventory, priors, features={"type": "fbank"}, frame_shift=0.01, updates=0)


def list_tree(leaves: range) -> dict | int:
    """A tree with these leaves."""
    middle = len(leaves) // 2
    if not middle:
        return leaves[0]
    return {"left": "A", "yes": list_tree(leaves[:middle]), "no": list_tree(leaves[middle:])}


def export(form: str, model: Path, calibration: list[np.ndarray], out: Path):
    """The network of a model folder in a form, opened, as asrdistill export writes it (without lexicon and LM)."""
    out.mkdir()
    network = load_model(model)
    names = write_form(form, model, network, calibration, out)
    hashes = {"format": 1, "sha256": {name: sha256(out / name) for name in names}}
    kind = "onnx" if "model.onnx" in names else read_json(model / "meta.json")["kind"]
    write_json(out / "meta.json", {**read_json(model / "meta.json"), "kind": kind, "export": hashes})
    network.senones.write(out)
    return open_form(form, out)


if __name__ == "__main__":
    main()
