"""Compare int8 with float32 for a random network on one core: speed in torch and ONNX Runtime, and size.

Speed is measured for pieces of a stream and for whole utterances; the forms take turns, and the shortest processor
time of each counts. Word errors of a trained network in int8: asrdistill export --to int8 --check DATA.

Example:
  python tools/bench/int8.py --layers 6 --width 1024
"""

import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import torch
from common import arguments, fastest, finish

from asrdistill import parallel, stage
from asrdistill.export.forms import open_form, write_form
from asrdistill.files import read_json, sha256, write_json
from asrdistill.hmm.senones import Senones
from asrdistill.models.acoustic import AcousticModel
from asrdistill.models.dnn import Dnn
from asrdistill.models.io import load_model, save_model
from asrdistill.models.options import NetworkConfig

PIECES = (16, 100, 300, 1000)  # frames: a stream's piece, and utterances of 1, 3 and 10 s
FORMS = {"torch_float32": "safetensors", "onnx_float32": "onnx", "onnx_int8": "int8"}


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--width", type=int, default=1024)
    parser.add_argument("--senones", type=int, default=2000)
    parser.add_argument("--trials", type=int, default=30)
    args = parser.parse_args()
    parallel.single_thread()
    torch.set_num_threads(1)
    figures: dict = {"cpu": stage.environment()["cpu"], "instructions": instructions()}
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        random_model(folder / "random", args.layers, args.width, args.senones)
        calibration = [rng.normal(size=(500, 40)).astype(np.float32) for _ in range(4)]
        forms = {name: export(form, folder / "random", calibration, folder / name) for name, form in FORMS.items()}
        for name in FORMS:
            figures[f"{name}_mb"] = round(sum(p.stat().st_size for p in (folder / name).glob("model.*")) / 1e6, 2)
        for frames in PIECES:
            features = rng.normal(size=(frames, 40)).astype(np.float32)
            works = {name: partial(form.log_posteriors, features) for name, form in forms.items()}
            best = fastest(works, args.trials)
            figures |= {f"{name}_ms_{frames}": round(1000 * seconds, 3) for name, seconds in best.items()}
            figures[f"int8_speedup_{frames}"] = round(best["torch_float32"] / best["onnx_int8"], 2)
    figures["int8_speedup_smallest"] = min(figures[f"int8_speedup_{frames}"] for frames in PIECES)
    finish(figures)


def instructions() -> list[str]:
    """Those of this processor that multiply small integers."""
    info = Path("/proc/cpuinfo")
    flags = info.read_text().split() if info.is_file() else []
    return [flag for flag in ("avx2", "avx512_vnni", "avx_vnni", "amx_int8") if flag in flags]


def random_model(folder: Path, layers: int, width: int, count: int) -> None:
    folder.mkdir()
    torch.manual_seed(0)
    options = NetworkConfig(layers=layers, width=width)
    module = Dnn(options, 40, count)
    torch.nn.init.normal_(module.output.weight, std=0.05)
    states = {"SIL": list(range(5)), "A": [list_tree(range(5, count - 2)), count - 2, count - 1]}
    senones = Senones(["SIL", "A"], states, np.full(count, -0.5))
    priors = np.full(count, -np.log(count), np.float32)
    save_model(folder, module, options, senones, priors, features={"type": "fbank"}, frame_shift=0.01, updates=0)


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
    assert isinstance(network, AcousticModel)
    names = write_form(form, model, network, calibration, out)
    hashes = {"format": 1, "sha256": {name: sha256(out / name) for name in names}}
    kind = "onnx" if "model.onnx" in names else "dnn"
    write_json(out / "meta.json", {**read_json(model / "meta.json"), "kind": kind, "export": hashes})
    network.senones.write(out)
    return open_form(form, out)


if __name__ == "__main__":
    main()
