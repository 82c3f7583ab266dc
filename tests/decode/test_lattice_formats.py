"""Lattices in SLF and in Kaldi's text format."""

import gzip

import numpy as np
import pytest

from asrdistill.decode.lattice_formats import kaldi_text, read_slf, write_slf
from tests.decode.kaldi_lattices import read_kaldi
from tests.decode.test_lattice import lattice_of
from tests.refusals import refused

SCALES = (2.0, -0.7)


def same_n_best(a, b, scales=SCALES):
    first, second = a.n_best(*scales, 30), b.n_best(*scales, 30)
    np.testing.assert_allclose([s for s, _ in first], [s for s, _ in second], atol=0.01)
    assert {tuple(w) for _, w in first[:10]} <= {tuple(w) for _, w in second}


@pytest.mark.parametrize("seed", range(4))
def test_slf_is_read_again(seed, tmp_path):
    lattice = lattice_of(70 + seed, 3, contexts=False)[-1].lattice
    write_slf(tmp_path / "u.slf.gz", "u", lattice, 0.01, *SCALES)
    again = read_slf(tmp_path / "u.slf.gz", 0.01)
    same_n_best(lattice, again)
    same_n_best(lattice, again, (3.5, 1.0))  # the three scores are apart
    np.testing.assert_array_equal(again.time, lattice.time)
    assert [word[:3] for word in again.best(*SCALES)[1]] == [word[:3] for word in lattice.best(*SCALES)[1]]
    write_slf(tmp_path / "v.slf.gz", "u", again, 0.01, *SCALES)
    assert read_slf(tmp_path / "v.slf.gz", 0.01).time.tolist() == lattice.time.tolist()


def test_kaldi_text_is_read_again(tmp_path):
    lattices = {f"u{seed}": lattice_of(80 + seed, 2, contexts=True)[-1].lattice for seed in range(3)}
    (tmp_path / "lat").write_text("".join(kaldi_text(u, lattice) for u, lattice in lattices.items()))
    again = dict(read_kaldi(tmp_path / "lat"))
    assert list(again) == list(lattices)
    for utterance, lattice in lattices.items():
        same_n_best(lattice, again[utterance])
        np.testing.assert_array_equal(again[utterance].time, lattice.time)


def test_kaldi_lattice_with_several_ends_and_no_final_weight(tmp_path):
    (tmp_path / "lat").write_text("utt\n0 1 yes 1.5,20,1_1_1\n0 2 no 0.5,22,1_1\n2 3 never 1,1,1\n1 0.25,0,\n3\n\n")
    ((_, lattice),) = read_kaldi(tmp_path / "lat")
    found = lattice.n_best(10.0, 0.0, 5)
    assert [words for _, words in found] == [["yes"], ["no", "never"]]
    np.testing.assert_allclose([score for score, _ in found], [-20 - 17.5, -23 - 15])
    assert [arc[:3] for arc in lattice.best(10.0, 0.0)[1]] == [("yes", 0, 3)]


SLF = """VERSION=1.0
base=10
N=4 L=4
I=1 t=0.00
I=0 t=0.30 W=yes
I=2 t=0.20 W=!NULL
I=3 t=0.50 W=!SENT_END
J=0 S=1 E=0 a=-2 l=-1
J=1 S=1 E=2 W=\\'em a=-3 l=-1
J=2 S=0 E=3
J=3 S=2 E=3 W=ha a=-1 l=0
"""


def test_slf_of_others_has_words_on_nodes_and_other_logarithms(tmp_path):
    (tmp_path / "u.slf").write_text(SLF)
    lattice = read_slf(tmp_path / "u.slf", 0.01)
    (first, yes), (second, em) = lattice.n_best(2.0, 0.0, 5)
    assert (yes, em) == (["yes"], ["'em", "ha"])
    assert (first, second) == (pytest.approx(-4 * np.log(10)), pytest.approx(-6 * np.log(10)))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (SLF[: -len("J=3 S=2 E=3 W=ha a=-1 l=0\n")], ["4 links", 3]),
        (SLF[:-30], ["line 10", "'J=2 S=0 '"]),
        (SLF.replace("J=1 S=1 E=2", "J=1 S=x2"), ["line 9", "S=x2"]),
        (SLF.replace("a=-2", "a=loud"), ["line 8", "a=loud"]),
        (SLF.replace("J=3 S=2 E=3", "J=3 S=2 E=2"), ["lattice"]),
        (SLF.replace("J=2 S=0 E=3", "J=2 S=0 E=0"), ["lattice"]),
        ("hello\n", ["0 nodes"]),
    ],
)
def test_damaged_slf_is_refused(text, names, tmp_path):
    (tmp_path / "u.slf").write_text(text)
    with refused(tmp_path / "u.slf", *names):
        read_slf(tmp_path / "u.slf", 0.01)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("utt\n0 1 a 1,1,1\n1 0,0,\n", ["utt"]),
        ("utt\n0 1 a 1,1,1\n\n", ["utt", "final"]),
        ("utt\n0 1 a 1;1\n1\n\n", ["line 2", "1;1'"]),
        ("utt\n0 1 a 1,1,1\n1 0 b 1,1,1\n1\n\n", ["lattice"]),
    ],
)
def test_damaged_kaldi_lattices_are_refused(text, names, tmp_path):
    (tmp_path / "lat").write_text(text)
    with refused(tmp_path / "lat", *names):
        list(read_kaldi(tmp_path / "lat"))


def test_truncated_gzip_lattice_is_refused(tmp_path):
    packed = gzip.compress(SLF.encode() * 50)
    (tmp_path / "u.slf.gz").write_bytes(packed[:-40])
    with refused(tmp_path / "u.slf.gz"):
        read_slf(tmp_path / "u.slf.gz", 0.01)
