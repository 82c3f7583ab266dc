"""Keywords in the audio of a recogniser folder in which a tone is a word."""

import numpy as np
import pytest

import asrdistill
from asrdistill.cli import main
from asrdistill.decode.keywords import LEAST
from tests.export.test_recogniser import RATE, recogniser, run, say, tuned, world
from tests.refusals import assert_names, refused

__all__ = ["recogniser", "run", "tuned", "world"]


def test_keywords_are_found_in_a_stream(recogniser):
    stream = asrdistill.load(recogniser).spot({"low high": -0.5, "high": -0.5}, rate=RATE)
    samples = say("high low high")
    for begin in range(0, len(samples), 700):
        stream.accept(samples[begin : begin + 700])
    found = stream.finish().times
    assert [word.word for word in sorted(found, key=lambda word: word.end)].count("low high") == 1
    phrase = next(word for word in found if word.word == "low high")
    assert phrase.start == pytest.approx(70, abs=6)
    assert 118 < phrase.end < 156  # with any frame of its last phone
    assert sum(word.word == "high" for word in found) == 2


def test_thresholds_of_speech_without_a_keyword_let_nothing_through(recogniser, world):
    heard = asrdistill.load(recogniser)
    limits = heard.thresholds(["low low"], [world / "u1.wav", world / "u2.wav"], per_hour=0.0)
    assert limits["low low"] >= LEAST
    for name in ("u1", "u2"):
        assert not heard.with_keywords(limits).transcribe(world / f"{name}.wav").times


def test_command_prints_keywords_and_thresholds(recogniser, world, capsys):
    (world / "keywords.txt").write_text("low high\t-0.5\nlow low low\t0.9\n")
    told = [str(recogniser), str(world / "u1.wav"), "--spot", str(world / "keywords.txt")]
    capsys.readouterr()
    assert main(["transcribe", *told]) == 0
    [line] = capsys.readouterr().out.splitlines()
    assert line.split()[0] == str(world / "u1.wav")
    assert line.split()[4] == "low_high"
    assert main(["transcribe", *told, "--false-alarms", "1"]) == 0
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [row[0] for row in rows] == ["low high", "low low low"]
    assert all(np.isfinite(float(row[1])) for row in rows)
    assert main(["transcribe", *told[:2], "--false-alarms", "1"]) == 2
    assert_names(capsys.readouterr().err, "--false-alarms", "--spot")


@pytest.mark.parametrize(
    ("keywords", "names"), [([], ["keyword"]), ([""], ["keyword"]), ({"low": np.inf}, ["low"]), (["bell"], ["bell"])]
)
def test_impossible_keywords_are_refused(recogniser, keywords, names):
    with refused(*names):
        asrdistill.load(recogniser).spot(keywords)
