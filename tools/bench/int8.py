"""int8 against float32, of one network on one core: speed in torch and ONNX Runtime, size, and word errors.

The network is random and has the size of the options, in the time for pieces of a stream and for whole utterances; the
forms take turns, and the shortest processor time of each counts. With --student, a trained one is exported in int8 and
decoded on every set of a recipe's outputs, beside the original.

Example:
  python tools/bench/int8.py
  python tools/bench/int8.py --student recipes/amazon_queen/exp/default/student.0 \\
      --tuned recipes/amazon_queen/exp/default/tune/student.0 --data recipes/amazon_queen/data/default
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from asrdistill import parallel, stage
from asrdistill.data.archive import FrameArchive
from asrdistill.decode.corpus import decode_archive, load, recognisers
from asrdistill.decode.options import DecodeOptions
from asrdistill.decode.tuning import tuned
from asrdistill.export.forms import open_form, write_form
from asrdistill.files import read_json, sha256, write_json
from asrdistill.hmm.senones import Senones
from asrdistill.models.acoustic import AcousticModel
from asrdistill.models.dnn import Dnn
from asrdistill.models.io import load_model, save_model
from asrdistill.models.options import DnnOptions
from asrdistill.scoring.wer import read_transcripts, score

PIECES = (16, 100, 300, 1000)  # frames: a stream's piece, and utterances of 1, 3 and 10 s
FORMS = {"torch_float32": "safetensors", "onnx_float32": "onnx", "onnx_int8": "int8"}
SETS = ("dev", "test", "test_unseen")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--width", type=int, default=1024)
    parser.add_argument("--senones", type=int, default=2000)
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--student", type=Path, help="model folder of a trained network")
    parser.add_argument("--tuned", type=Path, help="its folder that asrdistill tune made")
    parser.add_argument("--data", type=Path, help="folder with corpus, fbank, lang_counts and lm, as recipes leave it")
    parser.add_argument("--jobs", type=int, default=parallel.default_jobs(), help="processes that decode")
    args = parser.parse_args()
    parallel.single_thread()
    torch.set_num_threads(1)
    figures: dict = {"cpu": stage.environment()["cpu"], "instructions": instructions()}
    with tempfile.TemporaryDirectory() as folder:
        figures |= speed(args, Path(folder))
        print(json.dumps(figures), flush=True)
        if args.student:
            figures |= word_errors(args, Path(folder))
    print(json.dumps(figures))


def instructions() -> list[str]:
    """Those of this processor's that multiply small integers."""
    info = Path("/proc/cpuinfo")
    flags = info.read_text().split() if info.is_file() else []
    return [flag for flag in ("avx2", "avx512_vnni", "avx_vnni", "amx_int8") if flag in flags]


def speed(args: argparse.Namespace, folder: Path) -> dict:
    """Milliseconds of each form for each number of frames, and how many times as fast as torch they are."""
    model = folder / "random"
    random_model(model, args)
    rng = np.random.default_rng(0)
    calibration = [rng.normal(size=(500, 40)).astype(np.float32) for _ in range(4)]
    forms: dict = {}
    figures: dict = {}
    for name, form in FORMS.items():
        out = folder / name
        forms[name] = export(form, model, calibration, out)
        figures[f"{name}_mb"] = round(sum(path.stat().st_size for path in out.glob("model.*")) / 1e6, 2)
    for frames in PIECES:
        features = rng.normal(size=(frames, 40)).astype(np.float32)
        best = dict.fromkeys(forms, float("inf"))
        for _ in range(args.trials):
            for name, form in forms.items():
                start = time.process_time()
                form.log_posteriors(features)
                best[name] = min(best[name], time.process_time() - start)
        figures |= {f"{name}_ms_{frames}": round(1000 * seconds, 3) for name, seconds in best.items()}
        figures[f"int8_speedup_{frames}"] = round(best["torch_float32"] / best["onnx_int8"], 2)
    figures["int8_speedup_smallest"] = min(figures[f"int8_speedup_{frames}"] for frames in PIECES)
    return figures


def random_model(folder: Path, args: argparse.Namespace) -> None:
    folder.mkdir()
    torch.manual_seed(0)
    options = DnnOptions(layers=args.layers, width=args.width)
    module = Dnn(options, 40, args.senones)
    torch.nn.init.normal_(module.output.weight, std=0.05)
    states = {"SIL": list(range(5)), "A": [list_tree(range(5, args.senones - 2)), args.senones - 2, args.senones - 1]}
    senones = Senones(["SIL", "A"], states, np.full(args.senones, -0.5))
    priors = np.full(args.senones, -np.log(args.senones), np.float32)
    save_model(folder, module, options, senones, priors, features={"type": "fbank"}, frame_shift=0.01, updates=0)


def list_tree(leaves: range) -> dict | int:
    """A tree with these leaves."""
    middle = len(leaves) // 2
    if not middle:
        return leaves[0]
    return {"left": "A", "yes": list_tree(leaves[:middle]), "no": list_tree(leaves[middle:])}


def export(form: str, model: Path, calibration: list[np.ndarray], out: Path):
    """The network of a model folder in a form, opened, as asrdistill export leaves it but for lexicon and LM."""
    out.mkdir()
    network = load_model(model)
    assert isinstance(network, AcousticModel)
    names = write_form(form, model, network, calibration, out)
    hashes = {"format": 1, "sha256": {name: sha256(out / name) for name in names}}
    kind = "onnx" if "model.onnx" in names else "dnn"
    write_json(out / "meta.json", {**read_json(model / "meta.json"), "kind": kind, "export": hashes})
    network.senones.write(out)
    return open_form(form, out)


def word_errors(args: argparse.Namespace, folder: Path) -> dict:
    """WER of the student and of its int8 form on each set and on all, percent, and the sizes in MB."""
    data, int8 = args.data, folder / "int8"
    dev = FrameArchive(data / "fbank/dev")
    chosen = np.random.default_rng(0).permutation(len(dev))[:100]
    export("int8", args.student, [np.array(dev[dev.utterances[i]]) for i in chosen], int8)
    figures: dict = {"student_mb": size(args.student / "model.safetensors")}
    figures["student_int8_mb"] = size(int8 / "model.onnx")
    sums = {name: np.zeros(2) for name in ("float32", "int8")}
    for number, name in enumerate(SETS):
        texts = read_transcripts(data / f"corpus/{name}/text")
        for form, model in (("float32", args.student), ("int8", int8)):
            options = tuned(DecodeOptions(), args.tuned)
            inputs = (data / "lang_counts", data / "lm")
            (archive,), decoder = load(model, [data / f"fbank/{name}"], *inputs, options, folder / "graph")
            out = folder / f"{form}.{number}"
            out.mkdir()
            with recognisers(model, decoder, args.jobs) as pool:
                record = decode_archive(archive, decoder, out, args.jobs, pool)
            total = score(texts, read_transcripts(out / "hyp.txt")).total
            sums[form] += (total.errors, total.words)
            figures[f"wer_{name}_{form}"] = round(total.percent, 2)
            figures[f"rtf_{name}_{form}"] = record["rtf_with_model"]
            print(json.dumps(figures), flush=True)
    figures |= {f"wer_all_{form}": round(100 * e / n, 3) for form, (e, n) in sums.items()}
    figures["wer_difference"] = round(figures["wer_all_int8"] - figures["wer_all_float32"], 3)
    return figures


def size(path: Path) -> float:
    return round(path.stat().st_size / 1e6, 2)


if __name__ == "__main__":
    main()
