"""Recognising, scoring and showing without the packages of the extra [train]."""

import shutil
import subprocess
import sys

import numpy as np
import pytest

from asrdistill.errors import TRAINING
from asrdistill.files import write_json
from asrdistill.hmm.senones import Senones
from asrdistill.models.io import save_model
from asrdistill.models.options import NetworkConfig
from asrdistill.models.registry import build_network
from asrdistill.reader import read_json
from tests.export.test_recogniser import LANG, OPTIONS, plant, recogniser, run, tuned, world
from tests.refusals import assert_names

__all__ = ["recogniser", "tuned", "world"]

# a Python in which importing such a package fails as if it were not installed
LIGHT = f"""
import sys
class Refusing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {sorted({*TRAINING, "librosa", "onnx", "onnxruntime", "sklearn"})}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Refusing())
"""
CLI = "from asrdistill.cli import main; sys.exit(main(sys.argv[1:]))"


def light(code: str, *arguments: object) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", LIGHT + code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.parametrize("form", ["safetensors", "int8"])
def test_commands_of_a_recogniser_run(form, tuned, world):
    assert run(world, "export", "model", "lang", "lm", "tuned", "out", f"--to={form}", "--check", "data") == 0
    transcribed = light(CLI, "transcribe", world / "out", world / "u1.wav", world / "u2.wav")
    assert transcribed.returncode == 0, transcribed.stderr
    lines = [line.split("\t")[1] for line in transcribed.stdout.splitlines()]
    assert lines == ["low high", "high high low"]
    (world / "hyp.txt").write_text("u1 low high\nu2 high low\n")
    (world / "ref.txt").write_text("u1 low high\nu2 high high low\n")
    scored = light(CLI, "score", world / "ref.txt", world / "hyp.txt", "--json")
    assert '"del": 1' in scored.stdout, scored.stderr
    shown = light(CLI, "info", world / "out")
    assert "acoustic model" in shown.stdout, shown.stderr


def test_python_interface_recognises_a_stream(recogniser, world):
    code = (
        "import asrdistill, soundfile; heard = asrdistill.load(sys.argv[1]); stream = heard.stream(8000)\n"
        "samples, _ = soundfile.read(sys.argv[2], dtype='float32')\n"
        "for at in range(0, len(samples), 500): stream.accept(samples[at : at + 500])\n"
        "print(*stream.finish().words, *heard.transcribe(sys.argv[2]).words)"
    )
    assert light(code, recogniser, world / "u1.wav").stdout.split() == ["low", "high"] * 2


def test_graph_that_is_missing_is_compiled(recogniser, world):
    shutil.rmtree(recogniser / "graph")
    assert light(CLI, "transcribe", recogniser, world / "u2.wav").stdout == "high high low\n"
    assert (recogniser / "graph").is_dir()


def test_missing_package_is_named_in_one_sentence(tuned, world):
    """By networks that torch runs, and by a command that trains."""
    config = NetworkConfig(architecture="gru", layers=1, width=8, left=0, right=0)
    senones = Senones.read(world / "model")
    module, priors = build_network(config, 20, senones.count), np.zeros(senones.count, np.float32)
    features = {"features": OPTIONS.describe(), "frame_shift": 0.01, "updates": 0}
    (world / "gru").mkdir()
    save_model(world / "gru", module, config, senones, priors, **features)
    assert run(world, "export", "gru", "lang", "lm", "tuned", "out") == 0
    failed = light(CLI, "transcribe", world / "out", world / "u1.wav")
    assert (failed.returncode, failed.stderr.count("\n")) == (2, 1)
    assert_names(failed.stderr, world / "out", "torch", "asrdistill[train]")
    assert "asrdistill[train]" in (world / "out/README.md").read_text()
    failed = light(CLI, "nnet", "train", world / "fbank", world / "ali", world / "new")
    assert (failed.returncode, failed.stderr.count("\n")) == (2, 1)
    assert_names(failed.stderr, "torch", "asrdistill[train]")


def test_forms_of_onnx_runtime_name_their_extra(tuned, world):
    assert run(world, "export", "model", "lang", "lm", "tuned", "out", "--to=onnx") == 0
    failed = light(CLI, "transcribe", world / "out", world / "u1.wav")
    assert failed.returncode == 2
    assert_names(failed.stderr, "asrdistill[onnx]")


def test_folder_of_an_older_asrdistill_is_read(recogniser, world):
    """Its meta.json has hashes of all weight files, and no list of them."""
    meta = read_json(recogniser / "meta.json")
    meta["export"] = {"format": 1, "sha256": meta["export"]["sha256"], "form": "safetensors"}
    write_json(recogniser / "meta.json", meta)
    assert light(CLI, "transcribe", recogniser, world / "u2.wav").stdout == "high high low\n"


def test_low_frame_rate_is_recognised(tmp_path):
    states = {"SIL": [0], "L": [1], "H": [2]}
    planted = plant(tmp_path, Senones(LANG.phones, states, np.log(np.full(3, 0.5)), subsampling=3))
    (planted / "tuned").mkdir()
    write_json(planted / "tuned/tuned.json", {"lm_weight": 6.0, "insertion_penalty": 0.0, "wer": 0.0})
    assert run(planted, "export", "model", "lang", "lm", "tuned", "out") == 0
    assert light(CLI, "transcribe", planted / "out", planted / "u2.wav").stdout == "high high low\n"
