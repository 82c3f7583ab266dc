"""A recogniser folder of a planted model in which a tone is a word."""

import io
import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch

import asrdistill
from asrdistill import stage
from asrdistill.cli import main
from asrdistill.cli.stream import Line
from asrdistill.data.directory import DataDirectory, Utterance
from asrdistill.decode.decoder import Search
from asrdistill.decode.options import DecodeOptions
from asrdistill.encoders.factory import open_encoder
from asrdistill.export import kaldi as export_kaldi
from asrdistill.export import onnx as export_onnx
from asrdistill.export.encoder import copy_encoder
from asrdistill.export.options import FORMS, INT8
from asrdistill.features.fbank import fbank
from asrdistill.features.options import FbankOptions
from asrdistill.files import write_json
from asrdistill.hmm.senones import Senones
from asrdistill.lang.lexicon import Lang
from asrdistill.lang.ngram import train, write_arpa
from asrdistill.models.dnn import Dnn
from asrdistill.models.io import save_model
from asrdistill.models.options import NetworkConfig
from asrdistill.reader import read_json
from asrdistill.runtime.recogniser import Recogniser
from tests.refusals import assert_names, assert_refused, only_line, refused

RATE, OPTIONS = 8000, FbankOptions(rate=8000, bins=20, low=60, high=3800)
TONES = {"low": 400.0, "high": 2500.0}
LANG = Lang.build({"low": [(1.0, ("L",))], "high": [(1.0, ("H",))]}, ["L", "H"])
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
    return plant(tmp_path, Senones.monophones(LANG))


def plant(tmp_path, senones: Senones):
    """A model whose logits are the distance to each sound's mean spectrum, and all that it needs to decode."""
    lang = LANG
    noise = 0.002 * np.random.default_rng(0).normal(size=4000).astype(np.float32)
    sounds = {"SIL": noise} | {
        word[0].upper(): noise + 0.3 * np.sin(2 * np.pi * hertz * np.arange(4000) / RATE).astype(np.float32)
        for word, hertz in TONES.items()
    }
    means = {phone: fbank([samples], OPTIONS)[0].mean(0) for phone, samples in sounds.items()}
    model = Dnn(NetworkConfig(layers=1, width=40, left=0, right=0), 20, senones.count)
    with torch.no_grad():  # hidden units hold +x and -x, so that the output is linear in x
        model.hidden[0].weight.copy_(torch.cat([torch.eye(20), -torch.eye(20)]))
        for phone, states in senones.states.items():
            mean = torch.from_numpy(means[phone])
            model.output.weight[states] = torch.cat([mean, -mean])
            model.output.bias[states] = -0.5 * (mean**2).sum()
    (tmp_path / "model").mkdir()
    priors = np.full(senones.count, -np.log(senones.count), dtype=np.float32)
    options = NetworkConfig(layers=1, width=40, left=0, right=0)
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
    assert main(["feats", "fbank", str(tmp_path / "data"), str(tmp_path / "fbank"), *options]) == 0
    return tmp_path


def run(world, command: str, *arguments: str) -> int:
    return main(
        [*command.split(), *(str(world / a) if not a.startswith("-") and not a.isdigit() else a for a in arguments)]
    )


@pytest.fixture
def tuned(world):
    (world / "tuned").mkdir()
    write_json(world / "tuned/tuned.json", {"lm_weight": 6.0, "insertion_penalty": 0.0, "wer": 0.0})


@pytest.fixture
def recogniser(tuned, world):
    assert run(world, "export", "model", "lang", "lm", "tuned", "recogniser") == 0
    return world / "recogniser"


@pytest.mark.slow
def test_decode_and_tune_find_the_planted_words(world):
    assert run(world, "decode tune", "model", "fbank", "lang", "lm", "data", "tuned", "--jobs", "1") == 0
    assert read_json(world / "tuned/tuned.json")["wer"] == 0
    assert run(world, "decode run", "model", "fbank", "lang", "lm", "out", "--tuned", "tuned", "--jobs", "2") == 0
    assert (world / "out/hyp.txt").read_text() == "".join(f"{u} {t}\n" for u, t in TEXTS.items())
    record = read_json(world / "out/decode.json")
    assert record["partial"] == []
    assert record["lm_weight"] == read_json(world / "tuned/tuned.json")["lm_weight"]


def test_transcribe_writes_words_and_times(recogniser, world, capsys):
    capsys.readouterr()
    assert main(["transcribe", str(recogniser), str(world / "u2.wav")]) == 0
    assert capsys.readouterr().out == "high high low\n"
    assert main(["transcribe", str(recogniser), str(world / "u1.wav"), "--format=ctm"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [row[4] for row in rows] == ["low", "high"]
    assert [float(row[2]) for row in rows] == pytest.approx([0.2, 0.7], abs=0.03)
    assert [float(row[3]) for row in rows] == pytest.approx([0.3, 0.3], abs=0.03)


def test_transcribe_takes_other_rates_and_formats(recogniser, world, capsys):
    import soxr

    soundfile.write(world / "u1.flac", soxr.resample(say("low high"), RATE, 22050), 22050)
    capsys.readouterr()
    assert main(["transcribe", str(recogniser), str(world / "u1.flac"), str(world / "u1.wav")]) == 0
    assert [line.split("\t")[1] for line in capsys.readouterr().out.splitlines()] == ["low high", "low high"]


def test_bad_audio_and_folders_are_refused(recogniser, world):
    (world / "notes.txt").write_text("not audio\n")
    soundfile.write(world / "short.wav", np.zeros(50), RATE)
    for folder, name in ((recogniser, "notes.txt"), (recogniser, "missing.wav"), (recogniser, "short.wav")):
        assert_refused(["transcribe", folder, world / name], world / name)
    assert_refused(["transcribe", world / "model", world / "u1.wav"], world / "model", "lang")


@pytest.mark.slow
@pytest.mark.parametrize("form", ["safetensors", "int8"])
def test_encoder_is_exported_with_its_network(form, tuned, world, whispers):
    aligned(world)
    name = f"whisper:{whispers()}@1" + ("+0.5" if form == "int8" else "")
    assert main(["feats", "encode", name, *(str(world / a) for a in ("fbank", "data", "heard")), "--jobs", "1"]) == 0
    assert run(world, "nnet train", "heard", "ali", "head", "--epochs", "30", "--width", "16", "--batch", "64") == 0
    assert run(world, "decode run", "head", "heard", "lang", "lm", "decoded", "--tuned", "tuned", "--jobs", "1") == 0
    arguments = ["export", *(str(world / a) for a in ("head", "lang", "lm", "tuned", "out")), "--to", form]
    arguments += ["--check", str(world / "data"), "--jobs", "1"]
    assert_refused(arguments, world / "head", "--encoder")
    assert_refused([*arguments, "--encoder", f"whisper:{whispers()}@2"], world / "head", "layer 1")
    assert main([*arguments, "--encoder", name]) == 0
    meta = read_json(world / "out/meta.json")
    assert "encoder.safetensors" in meta["export"]["sha256"]
    encoder = open_encoder(name)
    assert meta["parameters"] == read_json(world / "head/meta.json")["parameters"] > encoder.settings["parameters"]
    assert "Whisper's encoder after layer 1" in (world / "out/README.md").read_text()
    for folder in ("head", "heard", "fbank"):
        shutil.rmtree(world / folder)
    recogniser, decoded = asrdistill.load(world / "out"), (world / "decoded/hyp.txt").read_text().splitlines()
    heard = [f"{u} {' '.join(recogniser.transcribe(world / f'{u}.wav').words)}" for u in TEXTS]
    if form == "safetensors":
        assert heard == [line.strip() for line in decoded]
    stream = recogniser.stream(RATE)
    for piece in np.split(say("high high low"), 16):
        stream.accept(piece)
    assert [word.word for word in stream.finish().times] == recogniser.transcribe(world / "u2.wav").words
    (world / "out/encoder.safetensors").write_bytes(b"changed")
    assert_refused(["transcribe", world / "out", world / "u1.wav"], world / "out/encoder.safetensors", "SHA-256")


def test_encoder_for_a_network_on_fbank_is_refused(tuned, world):
    folders = [str(world / name) for name in ("model", "lang", "lm", "tuned", "out")]
    assert_refused(["export", *folders, "--encoder", "whisper:tiny.en"], world / "model", "--encoder")
    with refused(world / "model", "torchaudio"):
        copy_encoder(None, {"type": "torchaudio"}, world / "model", world / "out")


def test_decoding_other_features_is_refused(world):
    assert run(world, "feats fbank", "data", "other", "--bins", "24", "--jobs", "1") == 0
    command = ["decode", "run", *(world / name for name in ("model", "other", "lang", "lm", "out"))]
    assert_refused(command, world / "other", world / "model", "bins 24", 20)


def test_exported_beams_are_used(tuned, world):
    folders = [str(world / name) for name in ("model", "lang", "lm", "tuned", "narrow")]
    assert main(["export", *folders, "--beam", "9", "--max-active", "50"]) == 0
    options = asrdistill.load(world / "narrow").decoder.options
    assert (options.beam, options.max_active, options.lm_weight) == (9, 50, 6)
    assert options.word_end_beam == DecodeOptions().word_end_beam
    (world / "tuned/tuned.json").unlink()
    assert_refused(["export", *folders[:-1], world / "other"], world / "tuned/tuned.json")


def test_export_of_an_ensemble_is_refused(tuned, world):
    assert run(world, "nnet ensemble", "model", "ensemble") == 0
    command = ["export", *(world / name for name in ("ensemble", "lang", "lm", "tuned", "recogniser"))]
    assert_refused(command, world / "ensemble", "'ensemble'")


def aligned(world) -> None:
    assert run(world, "ali make", "model", "fbank", "data", "lang", "ali", "--jobs", "1") == 0


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_checked_and_transcribes(form, tuned, world, capsys):
    aligned(world)
    arguments = ["--to", form, "--check", "data", "--alignment", "ali", "--jobs", "1"]
    arguments = [str(world / a) if a in ("data", "ali") else a for a in arguments]
    assert main(["export", *(str(world / a) for a in ("model", "lang", "lm", "tuned", "out")), *arguments]) == 0
    exported = read_json(world / "out/meta.json")["export"]
    found, frames = exported["check"], sum(len(fbank([say(text)], OPTIONS)[0]) for text in TEXTS.values())
    assert (exported["form"], found["frames"], found["aligned_frames"]) == (form, frames, frames)
    assert (found["utterances"], found["words"], found["wer"]) == (4, 8, {"original": 0, "exported": 0})
    assert found["frame_agreement"] > 95
    assert found["frame_accuracy"]["exported"] == pytest.approx(found["frame_accuracy"]["original"], abs=3)
    assert (found["largest_difference"] > 0.01) == (form in INT8)
    text = (world / "out/README.md").read_text()
    assert text.startswith("# out\n")
    for figure in (
        "| word error rate (8 words) | 0.00 % | 0.00 % |\n",
        f"{frames} frames of `data`",
        "2 words",
        "--to " + form,
    ):
        assert figure in text
    for folder in ("model", "lm", "lang", "data", "ali", "tuned"):
        shutil.rmtree(world / folder)  # the recogniser needs none of them
    capsys.readouterr()
    assert main(["transcribe", str(world / "out"), str(world / "u2.wav")]) == 0
    assert capsys.readouterr().out == "high high low\n"
    heard = asrdistill.load(world / "out")
    whole, stream = heard.transcribe(world / "u1.wav"), heard.stream()
    for piece in np.split(say("low high"), 64):
        stream.accept(piece)
    assert stream.finish() == whole
    assert whole.words == ["low", "high"]


def test_export_without_audio_is_checked_on_noise(recogniser):
    check = read_json(recogniser / "meta.json")["export"]["check"]
    assert check["largest_difference"] < 0.01  # logits are in the thousands
    assert (check["frames"], check["frame_agreement"]) == (1000, 100)
    assert "on random numbers for frames" in (recogniser / "README.md").read_text()


def test_model_card_names_the_training_data(tuned, world):
    done = {"inputs": ["a/b/fbank/train", "c/ali/train", str(world / "targets")], "environment": {"commit": "abc"}}
    done |= {"options": {"epochs": 2, "temperature": 2.0, "jobs": 3}}
    write_json(world / "model/.done", {"verb": "train", "hash": "1", **done})
    (world / "targets").mkdir()
    write_json(world / "targets/meta.json", {"teachers": ["../exp/teacher.0"], "combine": "arithmetic"})
    assert run(world, "export", "model", "lang", "lm", "tuned", "out") == 0
    text = (world / "out/README.md").read_text()
    assert "made from `fbank/train`, `ali/train`" in text
    assert "a student of `exp/teacher.0`, whose distributions were averaged (arithmetic mean)" in text
    assert "* epochs 2, temperature 2; 0 updates" in text
    assert "jobs" not in text
    assert str(world) not in text


def test_bad_checks_and_differing_forms_are_refused(tuned, world, monkeypatch):
    aligned(world)
    names = [str(world / name) for name in ("model", "lang", "lm", "tuned", "out")]
    lines = (world / "data/text").read_text()
    check = ["--check", str(world / "data"), "--jobs", "1"]
    assert (
        run(
            world,
            "feats fbank",
            "data",
            "short",
            "--bins",
            "20",
            "--low",
            "60",
            "--high",
            "3800",
            "--frame-shift",
            "11",
        )
        == 0
    )

    def fails(wanted: list, *options: str) -> None:
        assert_refused(["export", *names, *options], *wanted)
        assert not (world / "out").exists()

    fails(["int8", "--check"], "--to", "int8")
    fails(["--alignment", "--check"], "--alignment", str(world / "ali"))
    write = export_onnx._layers
    monkeypatch.setattr(export_onnx, "_layers", lambda m: [(w * 1.001, b) for w, b in write(m)])
    fails(["onnx", world / "model", "posteriors"], "--to", "onnx", *check)
    fails(["onnx", world / "model", "posteriors"], "--to", "onnx")
    monkeypatch.setattr(export_onnx, "_layers", lambda m: [(w * np.nan, b) for w, b in write(m)])
    fails(["onnx", world / "model", "nan"], "--to", "onnx")
    monkeypatch.setattr(export_onnx, "_layers", lambda m: [(w[::-1], b) for w, b in write(m)])
    fails(["onnx-int8", world / "model", "posteriors"], "--to", "onnx-int8", *check)
    (world / "data/text").unlink()
    fails(["4 utterances", "u1", "u2", "u3"], *check)
    (world / "data/text").write_text(lines)
    senones = (world / "ali/senones.json").read_text()
    (world / "ali/senones.json").write_text(senones.replace('"L"', '"R"'))
    fails([world / "ali", "senones", world / "model"], *check, "--alignment", str(world / "ali"))
    soundfile.write(world / "u3.wav", say("low")[:100], RATE)
    fails(["utterance u3"], *check)


def test_changed_and_newer_folders_are_refused(tuned, world):
    assert run(world, "export", "model", "lang", "lm", "tuned", "out", "--to=onnx") == 0
    meta = read_json(world / "out/meta.json")
    transcribe = ["transcribe", world / "out", world / "u1.wav"]
    write_json(world / "out/meta.json", {**meta, "frame_shift": 0.02})
    assert_refused(transcribe, world / "out/meta.json", "hash")
    write_json(world / "out/meta.json", meta)
    with open(world / "out/model.onnx", "ab") as file:
        file.write(b"\0")
    assert_refused(transcribe, world / "out/model.onnx", "SHA-256")
    write_json(world / "out/meta.json", {**meta, "export": {**meta["export"], "format": 2}})
    assert_refused(transcribe, world / "out", "format 2", 1)


def test_package_imports_without_heavy_libraries():
    code = "import sys, asrdistill; sys.exit(bool({'torch', 'numpy', 'numba'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def pcm(samples: np.ndarray) -> bytes:
    return np.round(samples * 32767).astype("<i2").tobytes()


def listen(monkeypatch, capsys, content: bytes, *arguments: str) -> tuple[int, str, str]:
    """Status, output and messages of transcribe --stream whose standard input is `content`."""
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content), isatty=lambda: False))
    capsys.readouterr()
    status = main(["transcribe", *arguments, "--stream"])
    return status, *capsys.readouterr()


def test_stream_in_blocks_of_any_size_equals_the_file(recogniser, world):
    heard = Recogniser(recogniser)
    for utterance, text in TEXTS.items():
        whole = heard.transcribe(world / f"{utterance}.wav")
        assert " ".join(whole.words) == text
        samples, _ = soundfile.read(world / f"{utterance}.wav", dtype="float32")
        for size in (80, 333, 8000):
            stream = heard.stream()
            for begin in range(0, len(samples), size):
                stream.accept(samples[begin : begin + size])
                assert stream.final == whole.times[: len(stream.final)]
            assert stream.finish() == whole
            assert (stream.final, stream.partial) == (whole.times, [])


def test_partial_and_final_words_precede_the_end(recogniser):
    heard, shown = Recogniser(recogniser), []
    heard.decoder = heard.decoder.with_options(replace(heard.decoder.options, beam=150, word_end_beam=150))  # doubtful
    stream = heard.stream()
    for piece in np.split(say("low high low high low"), 27):
        stream.accept(piece)
        shown.append((" ".join(word.word for word in stream.final), " ".join(word.word for word in stream.partial)))
    assert shown.index(("low", "high")) < shown.index(("low high", ""))
    assert shown[-1][0].startswith("low high")
    assert all(after[0].startswith(before[0]) for before, after in itertools.pairwise(shown))


def test_two_streams_at_a_time(recogniser):
    heard = Recogniser(recogniser)
    streams = {text: heard.stream() for text in ("low high low", "high high low")}
    for begin in range(0, 20000, 800):
        for text, stream in streams.items():
            stream.accept(say(text)[begin : begin + 800])
    for text, stream in streams.items():
        assert " ".join(stream.finish().words) == text


def test_a_stream_of_another_rate(recogniser):
    import soxr

    samples = soxr.resample(say("low high"), RATE, 22050)
    stream = Recogniser(recogniser).stream(22050)
    for begin in range(0, len(samples), 441):
        stream.accept(samples[begin : begin + 441])
    assert stream.finish().words == ["low", "high"]


def test_bad_samples_are_refused(recogniser):
    heard = Recogniser(recogniser)
    for samples, name in [(np.zeros((2, 100)), "(2, 100)"), (np.full(100, np.nan), "NaN")]:
        with refused(name):
            heard.stream().accept(samples)
    with refused("0 Hz"):
        heard.stream(0)
    with refused("300000 Hz"):
        heard.stream(300000)


def test_transcribe_reads_standard_input(recogniser, world, monkeypatch, capsys):
    status, out, _ = listen(monkeypatch, capsys, pcm(say("high high low")), str(recogniser))
    assert (status, out) == (0, "high high low\n")
    status, out, _ = listen(monkeypatch, capsys, (world / "u1.wav").read_bytes(), str(recogniser), "--format=ctm")
    assert main(["transcribe", str(recogniser), str(world / "u1.wav"), "--format=ctm"]) == 0
    assert out == capsys.readouterr().out.replace(str(world / "u1.wav"), "stdin")
    import soxr

    samples = soxr.resample(say("high low"), RATE, 16000)
    status, out, _ = listen(monkeypatch, capsys, pcm(samples), str(recogniser), "--rate", "16000")
    assert (status, out) == (0, "high low\n")


def test_terminal_shows_partial_words(monkeypatch, capsys):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "20")
    line, shown, finals = Line(), "", [["oh"], [], ["lie", "down"], ["lovely"], ["x" * 25], []]
    likely = [["low", "lie"], ["lie", "lie"], ["lot"], [], ["a", "b"], ["abcdefghijklmnop" * 3]]
    screens = []
    capsys.readouterr()
    for new, guess in zip(finals, likely, strict=True):
        line.show(new, guess)
        shown += capsys.readouterr().out
        screens.append(screen(shown))
    assert screens == [
        ["oh low lie"],
        ["oh lie lie"],
        ["oh lie down", "lot"],
        ["oh lie down", "lovely"],
        ["oh lie down", "lovely " + "x" * 25, "a b"],
        ["oh lie down", "lovely " + "x" * 25, "abcdefghijklmnopabc"],
    ]


def screen(text: str) -> list[str]:
    """What a terminal shows after the text."""
    lines, line, column = [], "", 0
    for part in re.findall(r"\x1b\[\d*[A-Za-z]|.|\n", text):
        if part == "\n":
            lines, line, column = [*lines, line.rstrip()], "", 0
        elif part.endswith("K") and len(part) > 1:
            line = line[:column]
        elif part.endswith("D") and len(part) > 1:
            column -= int(part[2:-1])
        elif len(part) == 1:
            line, column = line[:column] + part + line[column + 1 :], column + 1
    return [*lines, line]


def test_bad_streams_are_refused(recogniser, world, monkeypatch, capsys, caplog):
    status, out, _ = listen(monkeypatch, capsys, pcm(say("low high"))[:-1], str(recogniser))
    assert (status, out) == (0, "low high\n")  # what was heard is written
    assert_names(caplog.text, "sample")
    for content, arguments, name in [
        (b"", [], "empty"),
        (bytes(300), [], "25 ms"),
        (bytes(3000), ["--rate", "0"], "--rate"),
        (bytes(3000), [str(world / "u1.wav")], "--stream"),
    ]:
        status, out, error = listen(monkeypatch, capsys, content, str(recogniser), *arguments)
        assert (status, out) == (2, "")
        assert_names(only_line(error), name)
    assert_refused(["transcribe", recogniser], "--stream")
    assert_refused(["transcribe", recogniser, world / "u1.wav", "--rate", "8000"], "--rate", "--stream")
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: True))
    assert_refused(["transcribe", recogniser, "--stream"], "terminal")


@pytest.mark.slow
def test_words_are_written_while_the_pipe_is_open(recogniser):
    command = [sys.executable, "-m", "asrdistill", "transcribe", str(recogniser), "--stream"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdin.write(pcm(say("low high low high low high")))
        process.stdin.flush()
        early = os.read(process.stdout.fileno(), 100).decode()  # waits until there is something
        process.send_signal(signal.SIGINT)
        late, error = process.stdout.read().decode(), process.stderr.read().decode()
        assert process.wait() == 0, error
    assert early.startswith("low")
    assert early + late == "low high low high low high\n"


def test_stereo_raw_and_killed_recordings(recogniser, world, capsys, caplog):
    soundfile.write(world / "stereo.wav", np.stack([say("low high")] * 2, axis=1), RATE)
    content = bytearray((world / "u1.wav").read_bytes())
    content[40:44] = bytes(4)
    (world / "killed.wav").write_bytes(content)
    (world / "none.raw").write_bytes(content[44:])
    capsys.readouterr()
    files = [world / name for name in ("stereo.wav", "none.raw", "killed.wav")]
    assert main(["transcribe", str(recogniser), *map(str, files)]) == 2
    found = capsys.readouterr()
    assert found.out == f"{files[0]}\tlow high\n{files[2]}\tlow high\n"
    assert_names(caplog.text, files[1])
    assert_names(found.err, "1 of 3", files[1])


def test_integers_are_scaled_and_other_samples_refused(recogniser):
    heard, samples = asrdistill.load(recogniser), say("low high")
    for form in (np.float64, np.int16, np.int32, np.uint8):
        whole = np.iinfo(form).max if form not in (np.float64, np.uint8) else 127
        pieces = samples if form == np.float64 else samples * whole + (128 if form == np.uint8 else 0)
        stream = heard.stream()
        stream.accept(pieces.astype(form))
        assert [word.word for word in stream.finish().times] == ["low", "high"]
    for bad in (np.zeros(9, np.int64), samples * 30000, np.array(["a"]), np.array([0.0, np.nan])):
        with refused("samples"):
            heard.stream().accept(bad)


def test_graph_of_a_folder_that_cannot_be_written_is_compiled_in_memory(recogniser, world, monkeypatch, caplog):
    record = read_json(recogniser / "graph/.done")
    write_json(recogniser / "graph/.done", {**record, "hash": "of other code"})
    before = {path: path.read_bytes() for path in recogniser.rglob("*") if path.is_file()}

    def deny(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("asrdistill.stage.make_folder", deny)
    assert asrdistill.load(recogniser).transcribe(world / "u1.wav").words == ["low", "high"]
    assert str(recogniser / "graph") in caplog.text
    assert before == {path: path.read_bytes() for path in recogniser.rglob("*") if path.is_file()}


def test_names_with_blanks_make_a_ctm_of_six_columns(recogniser, world, capsys):
    shutil.copy(world / "u1.wav", world / "my own\nspeech.wav")
    capsys.readouterr()
    assert main(["transcribe", str(recogniser), str(world / "my own\nspeech.wav"), "--format=ctm"]) == 0
    assert [len(line.split()) for line in capsys.readouterr().out.splitlines()] == [6, 6]


def test_card_names_what_other_programs_must_know_of_the_features(recogniser):
    assert_names((recogniser / "README.md").read_text(), "60", "3800 Hz", "16-bit", "dither", "0.97", 32768)


def test_chosen_floor_of_priors_reaches_recogniser_and_kaldi(tuned, world, monkeypatch):
    floor = 0.3  # above the priors, which are all alike
    write_json(world / "tuned/tuned.json", {"lm_weight": 6.0, "insertion_penalty": 0.0, "prior_floor": floor})
    asked = []
    write = export_kaldi.write_kaldi
    monkeypatch.setattr(export_kaldi, "write_kaldi", lambda *given: asked.append(given[3]) or write(*given))
    assert run(world, "export", "model", "lang", "lm", "tuned", "out", "--to=kaldi") == 0
    assert asked == [floor]
    assert np.exp(asrdistill.load(world / "out").scorer.log_priors).min() == pytest.approx(floor)


def test_export_that_was_killed_at_its_end_makes_the_same_bytes(recogniser, world, monkeypatch):
    def content() -> dict[str, bytes]:
        return {
            path.name: path.read_bytes() for path in recogniser.rglob("*") if path.is_file() and path.name[0] != "."
        }

    def killed(partial, out, *more):
        if out == recogniser:
            raise KeyboardInterrupt
        complete(partial, out, *more)

    wanted, complete = content(), stage._complete
    monkeypatch.setattr(stage, "_complete", killed)
    shutil.rmtree(recogniser)
    command = ["export", "model", "lang", "lm", "tuned", "recogniser"]
    assert run(world, *command) == 130
    monkeypatch.undo()
    assert run(world, *command) == 0
    assert content() == wanted


def test_exchanged_language_model_is_named(recogniser, world, caplog):
    text = (recogniser / "lm.arpa").read_text()
    (recogniser / "lm.arpa").write_text(text.replace("\\end\\", "\n\\end\\"))
    asrdistill.load(recogniser)
    assert_names(caplog.text, recogniser / "lm.arpa")
    (recogniser / "lang/lexicon.txt").unlink()
    assert_refused(["transcribe", recogniser, world / "u1.wav"], recogniser / "lang/lexicon.txt")


def test_beams_are_widened_until_a_path_reaches_the_end(recogniser, world, monkeypatch, caplog):
    heard, beams = asrdistill.load(recogniser), []
    finish = Search.finish

    def narrow(search):
        """Paths end inside a word unless the beam is at least `enough`."""
        beams.append(search.decoder.options.beam)
        return replace(finish(search), partial=beams[-1] < enough)

    monkeypatch.setattr(Search, "finish", narrow)
    first = heard.decoder.options.beam
    enough = 3 * first
    whole = heard.transcribe(world / "u1.wav")
    assert whole.words == ["low", "high"]
    assert beams == [first, 2 * first, 4 * first]
    assert "inside a word" not in caplog.text
    enough = np.inf
    assert heard.transcribe(world / "u1.wav").partial
    assert_names(caplog.text, world / "u1.wav")
