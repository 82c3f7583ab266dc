"""A recogniser folder made from a planted model: a tone is a word."""

import numpy as np
import pytest
import soundfile
import torch

from asrdistill.cli import main
from asrdistill.data.directory import DataDirectory, Utterance
from asrdistill.features.fbank import fbank
from asrdistill.features.options import FbankOptions
from asrdistill.files import read_json
from asrdistill.hmm.senones import Senones
from asrdistill.lang.lexicon import Lang
from asrdistill.lang.ngram import train, write_arpa
from asrdistill.models.dnn import Dnn
from asrdistill.models.folder import save_model
from asrdistill.models.options import DnnOptions

RATE, OPTIONS = 8000, FbankOptions(rate=8000, bins=20, low=60, high=3800)
TONES = {"low": 400.0, "high": 2500.0}
TEXTS = {"u1": "low high", "u2": "high high low", "u3": "low", "u4": "high low"}


def say(text: str) -> np.ndarray:
    """Each word 0.3 s of its tone with a little noise, 0.2 s of noise around it."""
    rng = np.random.default_rng(len(text))
    parts = [np.zeros(1600)]
    for word in text.split():
        parts += [0.3 * np.sin(2 * np.pi * TONES[word] * np.arange(2400) / RATE), np.zeros(1600)]
    samples = np.concatenate(parts)
    return (samples + 0.002 * rng.normal(size=len(samples))).astype(np.float32)


@pytest.fixture
def world(tmp_path):
    """A model whose logits are the distance to each sound's mean spectrum, and all that it needs to decode."""
    lang = Lang.build({"low": [(1.0, ("L",))], "high": [(1.0, ("H",))]}, ["L", "H"])
    senones = Senones.monophones(lang)
    noise = 0.002 * np.random.default_rng(0).normal(size=4000).astype(np.float32)
    sounds = {"SIL": noise} | {
        word[0].upper(): noise + 0.3 * np.sin(2 * np.pi * hertz * np.arange(4000) / RATE).astype(np.float32)
        for word, hertz in TONES.items()
    }
    means = {phone: fbank([samples], OPTIONS)[0].mean(0) for phone, samples in sounds.items()}
    model = Dnn(DnnOptions(layers=1, width=40, left=0, right=0), 20, senones.count)
    with torch.no_grad():  # hidden units hold +x and -x, so that the output is linear in x
        model.hidden[0].weight.copy_(torch.cat([torch.eye(20), -torch.eye(20)]))
        for phone, states in senones.states.items():
            mean = torch.from_numpy(means[phone])
            model.output.weight[states] = torch.cat([mean, -mean])
            model.output.bias[states] = -0.5 * (mean**2).sum()
    (tmp_path / "model").mkdir()
    priors = np.full(senones.count, -np.log(senones.count), dtype=np.float32)
    options = DnnOptions(layers=1, width=40, left=0, right=0)
    save_model(
        tmp_path / "model", model, options, senones, priors, features=OPTIONS.describe(), frame_shift=0.01, updates=0
    )
    for name in ("lang", "lm", "data"):
        (tmp_path / name).mkdir()
    lang.write(tmp_path / "lang")
    write_arpa(train(TEXTS.values(), lang.words, 2), tmp_path / "lm/lm.arpa")
    utterances = []
    for utterance, text in TEXTS.items():
        path = tmp_path / f"{utterance}.wav"
        soundfile.write(path, say(text), RATE)
        utterances.append(Utterance(utterance, str(path), "speaker", text))
    DataDirectory(utterances).write(tmp_path / "data")
    options = ["--bins", "20", "--low", "60", "--high", "3800", "--jobs", "1"]
    assert main(["features", str(tmp_path / "data"), str(tmp_path / "fbank"), *options]) == 0
    return tmp_path


def run(world, verb: str, *arguments: str) -> int:
    return main([verb, *(str(world / a) if not a.startswith("-") and not a.isdigit() else a for a in arguments)])


@pytest.fixture
def recogniser(world):
    assert run(world, "tune", "model", "fbank", "lang", "lm", "data", "tuned", "--jobs", "1") == 0
    assert run(world, "export", "model", "lang", "lm", "tuned", "recogniser") == 0
    return world / "recogniser"


def test_decode_finds_the_words_and_tune_knows(world):
    assert run(world, "tune", "model", "fbank", "lang", "lm", "data", "tuned", "--jobs", "1") == 0
    assert read_json(world / "tuned/tuned.json")["wer"] == 0
    assert run(world, "decode", "model", "fbank", "lang", "lm", "out", "--tuned", "tuned", "--jobs", "2") == 0
    assert (world / "out/hyp.txt").read_text() == "".join(f"{u} {t}\n" for u, t in TEXTS.items())
    record = read_json(world / "out/decode.json")
    assert record["partial"] == []
    assert record["lm_weight"] == read_json(world / "tuned/tuned.json")["lm_weight"]


def test_transcribe_writes_words_and_times(recogniser, world, capsys):
    capsys.readouterr()
    assert main(["transcribe", str(recogniser), str(world / "u2.wav")]) == 0
    assert capsys.readouterr().out == "high high low\n"
    assert main(["transcribe", str(recogniser), str(world / "u1.wav"), "--ctm"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [row[4] for row in rows] == ["low", "high"]
    assert [float(row[2]) for row in rows] == pytest.approx([0.2, 0.7], abs=0.03)
    assert [float(row[3]) for row in rows] == pytest.approx([0.3, 0.3], abs=0.03)


def test_transcribe_takes_other_rates_and_formats(recogniser, world, capsys):
    import librosa

    soundfile.write(world / "u1.flac", librosa.resample(say("low high"), orig_sr=RATE, target_sr=22050), 22050)
    capsys.readouterr()
    assert main(["transcribe", str(recogniser), str(world / "u1.flac"), str(world / "u1.wav")]) == 0
    assert [line.split("\t")[1] for line in capsys.readouterr().out.splitlines()] == ["low high", "low high"]


def test_mistakes_are_one_sentence(recogniser, world, capsys):
    (world / "notes.txt").write_text("not audio\n")
    soundfile.write(world / "short.wav", np.zeros(50), RATE)
    for arguments, message in [
        ([str(recogniser), str(world / "notes.txt")], "cannot be read as audio"),
        ([str(recogniser), str(world / "missing.wav")], "do not exist"),
        ([str(recogniser), str(world / "short.wav")], "short.wav"),
        ([str(world / "model"), str(world / "u1.wav")], "is not a recogniser folder"),
    ]:
        assert main(["transcribe", *arguments]) == 2
        error = capsys.readouterr().err.strip().splitlines()
        assert message in error[-1]
        assert "Traceback" not in "".join(error)


def test_decoding_other_features_is_refused(world, capsys):
    assert run(world, "features", "data", "other", "--bins", "24", "--jobs", "1") == 0
    assert run(world, "decode", "model", "other", "lang", "lm", "out") == 2
    assert "bins 24 instead of 20" in capsys.readouterr().err


def test_an_ensemble_is_not_exported(world, capsys):
    assert run(world, "tune", "model", "fbank", "lang", "lm", "data", "tuned", "--jobs", "1") == 0
    assert run(world, "ensemble", "model", "ensemble") == 0
    assert run(world, "export", "ensemble", "lang", "lm", "tuned", "recogniser") == 2
    assert "only a single network can be exported" in capsys.readouterr().err
