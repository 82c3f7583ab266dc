"""A recogniser of a low frame rate, from alignment to stream: a tone is a word, and an output stands for 30 ms."""

import numpy as np
import pytest
import torch

import asrdistill
from asrdistill.cli import main
from asrdistill.data.archive import FrameArchive
from asrdistill.decode.acoustic import PosteriorScorer, ScoreStream
from asrdistill.files import write_json
from asrdistill.hmm.senones import Senones
from asrdistill.models.io import load_model, save_model
from asrdistill.models.options import NetworkConfig
from asrdistill.models.registry import build_network
from asrdistill.reader import read_json
from tests.export.exported import exported
from tests.export.test_recogniser import LANG, TEXTS, plant, run, say
from tests.refusals import refused

STATES = {
    1: {"SIL": [0], "L": [1], "H": [2]},
    2: {"SIL": [0, 1], "L": [2, 3], "H": [4, 5]},
}


def low_frame_rate(states: dict[str, list[int]]) -> Senones:
    return Senones(LANG.phones, states, np.log(np.full(sum(map(len, states.values())), 0.8)), subsampling=3)


@pytest.fixture(params=[1, 2])
def world(request, tmp_path):
    world = plant(tmp_path, low_frame_rate(STATES[request.param]))
    (world / "tuned").mkdir()
    write_json(world / "tuned/tuned.json", {"lm_weight": 6.0, "insertion_penalty": 0.0, "wer": 0.0})
    return world


def test_words_are_found_with_times_in_seconds(world):
    decode = ("decode run", "model", "fbank", "lang", "lm", "out", "--tuned", "tuned", "--jobs", "1")
    assert run(world, *decode, "--lattice-beam", "6") == 0
    assert (world / "out/hyp.txt").read_text() == "".join(f"{u} {t}\n" for u, t in TEXTS.items())
    rows = [line.split() for line in (world / "out/words.ctm").read_text().splitlines()]
    first = [row for row in rows if row[0] == "u1"]
    assert [float(row[2]) for row in first] == pytest.approx([0.2, 0.7], abs=0.04)
    assert [float(row[3]) for row in first] == pytest.approx([0.3, 0.3], abs=0.04)
    record = read_json(world / "out/decode.json")
    assert record["frame_shift"] == pytest.approx(0.03)
    assert record["seconds_of_speech"] == pytest.approx(0.01 * FrameArchive(world / "fbank").total_rows, abs=0.01)
    assert run(world, "decode rescore", "out", "again", "--jobs", "1") == 0
    assert (world / "again/hyp.txt").read_text() == (world / "out/hyp.txt").read_text()
    again = [line.split()[:5] for line in (world / "again/words.ctm").read_text().splitlines()]
    assert again == [row[:5] for row in rows]


def test_scales_are_tuned(world):
    assert run(world, "decode tune", "model", "fbank", "lang", "lm", "data", "scales", "--jobs", "1") == 0
    assert read_json(world / "scales/tuned.json")["wer"] == 0


def test_network_aligns_every_frame(world):
    assert run(world, "ali make", "model", "fbank", "data", "lang", "ali", "--jobs", "1") == 0
    labels, features = FrameArchive(world / "ali", "alignment"), FrameArchive(world / "fbank")
    assert all(labels.rows(utterance) == features.rows(utterance) for utterance in TEXTS)
    senones = Senones.read(world / "ali")
    phones = senones.phone[labels["u1"]]
    spoken = phones[np.flatnonzero(np.append(True, np.diff(phones) != 0))]
    assert [list(senones.states)[p] for p in spoken] == ["SIL", "L", "SIL", "H", "SIL"]
    ends = [line.split() for line in (world / "ali/words.ctm").read_text().splitlines()]
    assert float(ends[0][2]) == pytest.approx(0.2, abs=0.04)
    first = np.bincount(phones[senones.once[labels["u1"]]], minlength=3)
    assert first.tolist() == ([9, 3, 3] if senones.count == 6 else [0, 0, 0])


@pytest.mark.parametrize("form", ["safetensors", "onnx", "int8", "torchscript", "kaldi"])
def test_forms_are_checked_and_streams_give_the_words_of_files(world, form):
    assert run(world, "ali make", "model", "fbank", "data", "lang", "ali", "--jobs", "1") == 0
    check = ["--to", form, "--check", str(world / "data"), "--alignment", str(world / "ali"), "--jobs", "1"]
    assert main(["export", *(str(world / a) for a in ("model", "lang", "lm", "tuned", "out")), *check]) == 0
    found = read_json(world / "out/meta.json")["export"]["check"]
    outputs = sum(-(-FrameArchive(world / "fbank").rows(utterance) // 3) for utterance in TEXTS)
    assert (found["frames"], found["aligned_frames"]) == (outputs, outputs)
    assert found["wer"] == {"original": 0, "exported": 0}
    assert "30 ms" in (world / "out/README.md").read_text()
    recogniser = asrdistill.load(world / "out")
    assert recogniser.frame_shift == pytest.approx(0.03)
    for utterance, text in TEXTS.items():
        whole, stream = recogniser.transcribe(world / f"{utterance}.wav"), recogniser.stream()
        for piece in np.split(say(text), 25):
            stream.accept(piece)
        assert stream.finish() == whole
        assert " ".join(word.word for word in whole.times) == text


CONFIGS = [
    NetworkConfig(layers=2, width=24, left=4, right=3),
    NetworkConfig(architecture="tdnn", width=24, left=24, right=6, dilations=[1, 2, 3, 6]),
    NetworkConfig(architecture="tdnn", width=24, left=24, right=12, dilations=[3, 3, 6]),
    NetworkConfig(architecture="gru", layers=2, width=24, left=5, right=3),
    NetworkConfig(architecture="gru", layers=1, width=24, left=0, right=0),
]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: f"{config.architecture}-{config.left}-{config.right}")
def test_forms_of_all_networks_give_the_original_scores(config, tmp_path):
    senones = low_frame_rate(STATES[2])
    torch.manual_seed(0)
    module = build_network(config, 6, senones.count)
    for name, value in module.named_parameters():
        torch.nn.init.normal_(value, std=0.1 if "project" in name else 0.3)
    (tmp_path / "model").mkdir()
    save_model(tmp_path / "model", module, config, senones, np.full(6, -2, np.float32), features={"type": "fbank"})
    features = np.random.default_rng(0).normal(size=(80, 6)).astype(np.float32)
    original = load_model(tmp_path / "model")
    for form in ("onnx", "torchscript"):
        other = exported(form, tmp_path / "model", tmp_path / form)
        for count in (1, 3, 5, 80):
            found, wanted = (model.log_posteriors(features[:count]) for model in (other, original))
            np.testing.assert_allclose(found, wanted, atol=2e-4)
    scorer = PosteriorScorer(load_model(tmp_path / "onnx"), 1e-5)
    stream = ScoreStream(scorer)
    scores = [stream.accept(features[t : t + 7]) for t in range(0, 80, 7)]
    np.testing.assert_allclose(np.concatenate([*scores, stream.finish()]), scorer.loglikes(features), atol=2e-4)
    if "int8" in module.exports:
        rough = exported("int8", tmp_path / "model", tmp_path / "int8", [features]).log_posteriors(features)
        assert np.abs(rough - original.log_posteriors(features)).mean() < 0.2
    with refused(tmp_path / "onnx", "soft targets"):
        load_model(tmp_path / "onnx", every_frame=True)
