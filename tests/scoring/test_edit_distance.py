"""Word alignment, compared with sclite and kaldialign."""

import random
import re
import shutil
import subprocess
from pathlib import Path

import kaldialign
import numpy as np
import pytest

from asrdistill.scoring import edit_distance
from asrdistill.scoring.edit_distance import align_words, count_errors


def random_pairs(count: int, vocabulary: int, longest: int, seed: int) -> list[tuple[list[str], list[str]]]:
    """Unrelated word strings: many errors, so many ties between alignments of equal cost."""
    rng = random.Random(seed)
    words = [f"w{i}" for i in range(vocabulary)]
    lengths = [(rng.randrange(1, longest), rng.randrange(longest)) for _ in range(count)]
    return [(rng.choices(words, k=n), rng.choices(words, k=m)) for n, m in lengths]


def slow_counts(reference: list[str], hypothesis: list[str]) -> tuple[int, int, int]:
    """sclite's rule written down: (ins, del, sub) of the best alignment of all prefixes, traced from the end."""
    n, m = len(reference), len(hypothesis)
    cost = np.full((n + 1, m + 1), 10**9)
    cost[0, 0] = 0
    for i in range(n + 1):
        for j in range(m + 1):
            if i and j:
                cost[i, j] = cost[i - 1, j - 1] + 4 * (reference[i - 1] != hypothesis[j - 1])
            if j:
                cost[i, j] = min(cost[i, j], cost[i, j - 1] + 3)
            if i:
                cost[i, j] = min(cost[i, j], cost[i - 1, j] + 3)
    ins = dels = subs = 0
    while n or m:
        if n and m and cost[n, m] == cost[n - 1, m - 1] + 4 * (reference[n - 1] != hypothesis[m - 1]):
            subs += reference[n - 1] != hypothesis[m - 1]
            n, m = n - 1, m - 1
        elif m and cost[n, m] == cost[n, m - 1] + 3:
            ins, m = ins + 1, m - 1
        else:
            dels, n = dels + 1, n - 1
    return ins, dels, subs


@pytest.mark.parametrize(
    ("reference", "hypothesis", "errors"),
    [
        ("the cat sat", "the cat sat", (0, 0, 0)),
        ("the cat sat", "the cat sat down", (1, 0, 0)),
        ("the cat sat", "the sat", (0, 1, 0)),
        ("the cat sat", "the hat sat", (0, 0, 1)),
        ("the cat sat", "", (0, 3, 0)),
        ("", "the cat", (2, 0, 0)),
        ("", "", (0, 0, 0)),
        # ties of cost, as sclite 2.10 decides them
        ("a b a a b a b a a b b b", "b b a b b b a b a", (0, 3, 3)),
        ("d c b a", "b a c e f g f", (3, 0, 3)),
        ("a b c d e f g h i j", "a b c d e k i l m j", (0, 0, 4)),
    ],
)
def test_planted_errors(reference: str, hypothesis: str, errors: tuple[int, int, int]) -> None:
    assert count_errors(reference.split(), hypothesis.split()) == errors


def test_pairs_spell_both_sides() -> None:
    assert align_words(["the", "cat", "sat", "on", "the", "mat"], ["the", "hat", "sat", "on", "a", "the"]) == [
        ("the", "the"),
        ("cat", "hat"),
        ("sat", "sat"),
        ("on", "on"),
        (None, "a"),
        ("the", "the"),
        ("mat", None),
    ]
    for reference, hypothesis in random_pairs(100, 4, 12, seed=0):
        pairs = align_words(reference, hypothesis)
        assert [word for word, _ in pairs if word is not None] == reference
        assert [word for _, word in pairs if word is not None] == hypothesis


@pytest.mark.parametrize("vocabulary", [2, 5, 20])
def test_alignment_equals_the_reference_and_the_cost_of_kaldialign(vocabulary: int) -> None:
    for reference, hypothesis in random_pairs(200, vocabulary, 20, seed=vocabulary):
        ins, dels, subs = count_errors(reference, hypothesis)
        assert (ins, dels, subs) == slow_counts(reference, hypothesis)
        peer = kaldialign.edit_distance(reference, hypothesis, sclite_mode=True)
        assert 3 * (ins + dels) + 4 * subs == 3 * (peer["ins"] + peer["del"]) + 4 * peer["sub"]
        assert ins - dels == peer["ins"] - peer["del"]


@pytest.mark.parametrize("kept", [1, 30, 2000])
def test_alignment_in_parts_is_that_of_the_whole(monkeypatch: pytest.MonkeyPatch, kept: int) -> None:
    """Also where long runs are lost or added, so that the path leaves the diagonals that are tried first."""
    rng = random.Random(kept)
    pairs = [pair for vocabulary in (1, 2, 5) for pair in random_pairs(100, vocabulary, 60, vocabulary)]
    for vocabulary in (2, 500):
        words = rng.choices([f"w{i}" for i in range(vocabulary)], k=1000)
        run = rng.choices(words, k=150)
        pairs += [(words[:300] + words[450:], words), (words, words[:300] + run + words[310:]), (run + words, words)]
    whole = [align_words(*pair) for pair in pairs]
    monkeypatch.setattr(edit_distance, "CELLS", kept)
    assert [align_words(*pair) for pair in pairs] == whole


def sclite() -> list[str] | None:
    """The command, by itself or through Debian's wrapper."""
    return ["sclite"] if shutil.which("sclite") else ["sctk", "sclite"] if shutil.which("sctk") else None


@pytest.mark.skipif(sclite() is None, reason="sclite (Debian's package sctk) is not on PATH")
@pytest.mark.parametrize("vocabulary", [2, 5, 10, 40])
def test_equals_sclite(tmp_path: Path, vocabulary: int) -> None:
    pairs = random_pairs(2000, vocabulary, 25, seed=vocabulary)
    for name, side in (("ref", 0), ("hyp", 1)):
        lines = [f"{' '.join(pair[side])} (speaker-{i:05d})\n" for i, pair in enumerate(pairs)]
        (tmp_path / f"{name}.trn").write_text("".join(lines))
    command = sclite()
    assert command
    arguments = ["-r", "ref.trn", "trn", "-h", "hyp.trn", "trn", "-i", "rm", "-s", "-o", "pra", "stdout"]
    report = subprocess.run([*command, *arguments], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    scores = re.findall(r"id: \(speaker-(\d+)\)\nScores: \(#C #S #D #I\) \d+ (\d+) (\d+) (\d+)", report)
    assert len(scores) == len(pairs)
    for number, subs, dels, ins in scores:
        assert count_errors(*pairs[int(number)]) == (int(ins), int(dels), int(subs)), pairs[int(number)]
