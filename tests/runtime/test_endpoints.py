"""Utterances of a stream: where they end, words at their ends, and forms of output."""

import itertools
import json
import re

import numpy as np
import pytest
import soundfile

import asrdistill
from asrdistill.cli import main
from asrdistill.decode.decoder import Ending
from asrdistill.decode.words import Word
from asrdistill.runtime.formats import cues
from asrdistill.runtime.options import EndpointOptions
from tests.export.test_recogniser import RATE, listen, pcm, plant, recogniser, say, tuned, world
from tests.refusals import assert_refused, refused

__all__ = ["plant", "recogniser", "tuned", "world"]


def spoken(*texts: str, pause: float = 1.5) -> np.ndarray:
    """Sentences with pauses of low noise."""
    noise = 0.002 * np.random.default_rng(0).normal(size=round(pause * RATE))
    return np.concatenate([part for text in texts for part in (say(text), noise)]).astype(np.float32)


def utterances(stream, samples: np.ndarray, size: int) -> list:
    """The words of each utterance, and the frame where it ended."""
    found = []
    for begin in range(0, len(samples), size):
        found += [(one.times, stream.offset) for one in stream.accept(samples[begin : begin + size])]
    return [*found, (stream.finish().times, None)]


@pytest.mark.parametrize("confidences", [False, True])
def test_utterances_end_in_pauses_wherever_pieces_end(recogniser, confidences):
    heard, texts = asrdistill.load(recogniser), ["low high", "high", "high high low", "low"]
    samples = spoken(*texts)
    found = [utterances(heard.stream(None, EndpointOptions(), confidences), samples, size) for size in (80, 999, 99999)]
    assert found[0] == found[1]
    assert [times for times, _ in found[0]] == [times for times, _ in found[2]]
    assert [" ".join(word.word for word in times) for times, _ in found[0]] == [*texts, ""]
    begin = 0.0
    for text, (times, end) in zip(texts, found[0], strict=False):
        assert times[0].start * 0.01 == pytest.approx(begin + 0.2, abs=0.05)
        assert times[-1].end * 0.01 < end * 0.01 < times[-1].end * 0.01 + 1.0  # after 0.8 s of silence
        assert all((word.confidence is not None) == confidences for word in times)
        begin += len(say(text)) / RATE + 1.5


def test_utterance_without_pauses_ends_between_words_and_loses_none(recogniser):
    heard = asrdistill.load(recogniser)
    tones = [say(word)[1600:4000] for word in ["low", "high"] * 12]  # without pauses: 7.2 s
    samples = np.concatenate([say("low")[:1600], *tones, say("low")[:1600]])
    rules = EndpointOptions(longest=1.0)
    found = utterances(heard.stream(None, rules), samples, 800)
    assert [word.word for times, _ in found for word in times] == ["low", "high"] * 12
    assert len(found) > 3
    apart = [(times[0].start, times[-1].end) for times, _ in found if times]
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(apart))


def test_silence_alone_is_no_utterance_and_stays_small(recogniser):
    stream = asrdistill.load(recogniser).stream(None, EndpointOptions())
    for _ in range(12):
        assert stream.accept((0.002 * np.random.default_rng(1).normal(size=RATE)).astype(np.float32)) == []
    assert stream.offset >= 2 * 500
    assert stream.finish().words == []


def test_rules_ask_for_silence_cost_and_length():
    rules = EndpointOptions()
    for silence, words, cost, seconds, wanted in [
        (79, True, 0.0, 5, 0),
        (80, True, 8.0, 5, 80),
        (119, True, 9.0, 5, 0),
        (125, True, 9.0, 5, 120),
        (199, True, np.inf, 5, 0),
        (201, True, np.inf, 5, 200),
        (9, True, 9.0, 30, 0),
        (10, True, 9.0, 30, 10),
        (499, False, 0.0, 5, 0),
        (500, False, np.inf, 5, 500),
    ]:
        assert rules.enough(Ending(silence, words, cost), 100 * seconds, 0.01) == wanted
    with refused("silence"):
        EndpointOptions(silence=0.0)


def test_forms_of_output(recogniser, world, monkeypatch, capsys):
    path = world / "talk.wav"
    soundfile.write(path, spoken("low high", "high low"), RATE)

    def written(*options: str) -> str:
        capsys.readouterr()
        assert main(["transcribe", str(recogniser), str(path), *options]) == 0
        return capsys.readouterr().out

    assert written() == "low high high low\n"
    found = [json.loads(line) for line in written("--format", "json", "--nbest", "2").splitlines()]
    assert [one["text"] for one in found] == ["low high", "high low"]
    word = found[1]["words"][0]
    assert (word["word"], word["start"]) == ("high", pytest.approx(2.9, abs=0.05))
    assert 0 < word["conf"] <= 1
    assert found[0]["alternatives"][0]["text"] == "low high"
    assert len({one["text"] for one in found[0]["alternatives"]}) == len(found[0]["alternatives"])
    srt, vtt = written("--format", "srt"), written("--format=vtt")
    cue = r"00:00:0\d[,.]\d{3} --> 00:00:0\d[,.]\d{3}\n(low high|high low)"
    assert re.fullmatch(rf"1\n{cue}\n\n2\n{cue}\n\n", srt)
    assert re.fullmatch(rf"WEBVTT\n\n{cue}\n\n{cue}\n", vtt)
    status, out, _ = listen(monkeypatch, capsys, pcm(spoken("low high", "high low")), str(recogniser))
    assert (status, out) == (0, "low high\nhigh low\n")
    for words, name in [(["--nbest", "2"], "json"), (["--channel", "2"], "not 2"), (["--format=srt"], "2")]:
        assert_refused(["transcribe", *words, recogniser, path, *[path] * (name == "2")], name)


def test_channel_is_chosen(recogniser, world, capsys):
    one, other = say("low high"), say("high low")
    soundfile.write(world / "two.wav", np.stack([one, other], 1), RATE)
    for channel, text in [("1", "low high"), ("2", "high low")]:
        capsys.readouterr()
        assert main(["transcribe", str(recogniser), str(world / "two.wav"), "--channel", channel]) == 0
        assert capsys.readouterr().out == text + "\n"


def test_long_utterances_make_several_subtitles():
    words = [Word(f"word{k}", 100 * k, 100 * k + 90, 0.0) for k in range(20)]
    made = list(cues(words, 0.01))
    assert " ".join(text for *_, text in made) == " ".join(word.word for word in words)
    assert all(end - start <= 6 and len(text) <= 80 for start, end, text in made)
    assert list(cues([Word("w" * 200, 0, 900, 0.0)], 0.01)) == [(0.0, 9.0, "w" * 200)]
