"""Phone boundaries, compared with figures worked out by hand."""

import json
import subprocess
import sys
from pathlib import Path

import boundaries
import numpy as np
import pytest

from asrdistill.data.ctm import Interval
from asrdistill.hmm.formats.times import write_textgrid
from tests.refusals import refused

TOOL = Path(boundaries.__file__)


def labels(text: str) -> list[tuple[float, str]]:
    """ "0 sil 10 ah" -> labels, times in hundredths of a second"""
    fields = text.split()
    return [(int(begin) / 100, phone) for begin, phone in zip(fields[::2], fields[1::2], strict=True)]


def pairs(hand: str, system: str) -> list[tuple[int, int]]:
    found = boundaries.pair_boundaries("u", labels(hand), labels(system))
    return [(round(100 * a), round(100 * b)) for a, b in found]


def test_plain():
    assert pairs("0 sil 10 ah 20 t 30 sil", "0 sil 11 ah 22 t 33 sil") == [(10, 11), (20, 22), (30, 33)]
    assert pairs("0 ah 20 t", "0 ah 22 t") == [(20, 22)]


def test_silence_of_one_side_goes_to_the_phone_before():
    assert pairs("0 ah 20 t", "0 ah 15 sil 22 t") == [(20, 22)]
    assert pairs("0 ah 10 sil 20 t", "0 ah 22 t") == [(20, 22)]
    assert pairs("0 ah 20 t 30 sil", "0 ah 22 t") == [(20, 22)]


def test_silence_at_the_beginning_of_one_side_is_no_boundary():
    assert pairs("0 ah 20 t", "0 sil 5 ah 22 t") == [(20, 22)]


def test_silences_in_succession_are_one():
    assert pairs("0 sil 5 sil 10 ah", "0 sil 11 ah") == [(10, 11)]


def test_equal_phones_have_a_boundary_only_with_silence_between():
    assert pairs("0 n 10 n 20 t", "0 n 12 n 22 t") == [(20, 22)]
    assert pairs("0 n 10 sil 15 n 20 t", "0 n 12 sil 16 n 22 t") == [(10, 12), (15, 16), (20, 22)]
    assert pairs("0 n 10 n 20 t", "0 n 12 sil 16 n 22 t") == [(20, 22)]


@pytest.mark.parametrize("other", ["0 ah 10 d", "0 ah", "0 ah 10 t 20 d"])
def test_other_phones_are_refused(other):
    with refused("utterance u", "number " + ("3" if other == "0 ah 10 t 20 d" else "2")):
        pairs("0 ah 10 t", other)


def test_best_offset_is_found():
    rng = np.random.default_rng(0)
    lag = np.concatenate([rng.normal(0.013, 0.008, 900), rng.normal(0.1, 0.05, 100)])
    offset = boundaries.best_offset(lag)
    shares = {o: boundaries.within(lag + o) for o in boundaries.OFFSETS}
    assert boundaries.within(lag + offset) == max(shares.values())
    assert offset == pytest.approx(-0.013, abs=0.005)
    assert boundaries.within(np.array([0.02, -0.02, 0.0201])) == pytest.approx(2 / 3)


def run(*arguments: Path) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, TOOL, *arguments], capture_output=True, text=True)


@pytest.mark.slow
def test_figures(tmp_path: Path):
    hand = tmp_path / "TIMIT/TRAIN/DR1/FAAA0"
    hand.mkdir(parents=True)
    phn = "0 1600 h#\n1600 3200 ax-h\n3200 4800 q\n4800 6400 tcl\n6400 8000 h#\n"
    for sentence in ("SX1", "SX2"):
        (hand / f"{sentence}.PHN").write_text(phn)
        for kind in ("WAV", "TXT"):
            (hand / f"{sentence}.{kind}").write_text("")
    ctm = tmp_path / "phones.ctm"
    lines = [(0.0, "SIL"), (0.13, "ax"), (0.33, "cl"), (0.5, "SIL")]  # 30, 30 and 100 ms late
    ctm.write_text("".join(f"FAAA0_SX1 1 {begin:.3f} 0.100 {phone}\n" for begin, phone in lines))
    done = run(ctm, tmp_path / "TIMIT")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "utterances": 1,
        "without": 1,
        "boundaries": 3,
        "within_20ms_unshifted": 0.0,
        "within_20ms": 66.67,
        "offset_ms": -30.0,
        "mean_absolute_error_ms": 23.333,
    }
    ctm.write_text("FBBB0_SX1 1 0.0 0.1 sil\n")
    assert "1 aligned utterances have no hand-made labels: FBBB0_SX1" in run(ctm, tmp_path / "TIMIT").stderr
    ctm.write_text("FAAA0_SX1 1 0.0 0.1 AA0\n")
    done = run(ctm, tmp_path / "TIMIT")
    assert done.returncode == 1
    assert "FAAA0_SX1" in done.stderr
    assert "'AA0'" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def words(text: str) -> list[Interval]:
    """ "0 5 the 5 9 war" -> words, times in tenths of a second"""
    fields = text.split()
    return [Interval(int(a) / 10, int(b) / 10, w) for a, b, w in zip(*(fields[n::3] for n in range(3)), strict=True)]


@pytest.mark.slow
def test_words_against_textgrids(tmp_path: Path):
    theirs = {"a": "1 5 the 5 9 war", "b": "0 4 message", "c": "0 3 other", "unaligned": "0 3 x"}
    for name, text in theirs.items():
        (tmp_path / "grids/1").mkdir(parents=True, exist_ok=True)
        spoken = words(text)
        write_textgrid(tmp_path / f"grids/1/{name}.TextGrid", 1.0, {"words": spoken, "phones": spoken})
    (tmp_path / "grids/1/._a.TextGrid").write_bytes(b"\0\5\x16\7")  # another operating system's
    ctm = tmp_path / "words.ctm"
    lines = ["a 1 0.110 0.420 THE", "a 1 0.460 0.440 war", "b 1 0.000 0.500 message", "c 1 0 0.3 words", "d 1 0 0.3 x"]
    ctm.write_text("\n".join(lines) + "\n")
    done = run(ctm, tmp_path / "grids")
    assert done.returncode == 0, done.stderr
    assert "c, d" in done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "utterances": 2,
        "left_out": 2,
        "words": 3,
        "starts": {  # 10, -40, 0 ms
            "within_20ms": 66.67,
            "within_50ms": 100.0,
            "mean_ms": -10.0,
            "sd_ms": 21.6,
            "mean_absolute_ms": 16.67,
            "median_absolute_ms": 10.0,
        },
        "ends": {  # 30, 0, 100 ms
            "within_20ms": 33.33,
            "within_50ms": 66.67,
            "mean_ms": 43.33,
            "sd_ms": 41.9,
            "mean_absolute_ms": 43.33,
            "median_absolute_ms": 30.0,
        },
        "both": {
            "within_20ms": 50.0,
            "within_50ms": 83.33,
            "mean_ms": 16.67,
            "sd_ms": 42.69,
            "mean_absolute_ms": 30.0,
            "median_absolute_ms": 20.0,
        },
    }
    ctm.write_text("c 1 0.0 0.3 words\n")
    done = run(ctm, tmp_path / "grids")
    assert done.returncode == 1
    assert "words.ctm" in done.stderr
