"""Files for sclite: its counts equal ours."""

import random
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from asrdistill.cli import main
from asrdistill.decode.words import Word
from asrdistill.scoring.transcripts import write_sclite
from asrdistill.scoring.wer import read_transcripts, score

SCLITE = ["sclite"] if shutil.which("sclite") else ["sctk", "sclite"]  # by itself, or through Debian's wrapper
needs_sclite = pytest.mark.skipif(shutil.which(SCLITE[0]) is None, reason="sclite (Debian's package sctk) is missing")


def test_files(tmp_path: Path) -> None:
    write_sclite({"u2": ["yes"], "u1": ["the", "cat"], "u3": []}, {"u1": ["the", "hat"]}, tmp_path / "out")
    assert (tmp_path / "out/ref.trn").read_text() == "the cat (u1)\nyes (u2)\n (u3)\n"
    assert (tmp_path / "out/hyp.trn").read_text() == "the hat (u1)\n (u2)\n (u3)\n"
    assert (tmp_path / "out/ref.stm").read_text().splitlines()[1] == "u2 1 u2 0 1000000 yes"
    assert read_transcripts(tmp_path / "out/hyp.trn") == {"u1": ["the", "hat"], "u2": [], "u3": []}


@pytest.fixture
def decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A decode folder with errors of every kind: unheard utterances, empty ones, other case, other scripts."""
    monkeypatch.chdir(tmp_path)
    rng = random.Random(3)
    words = ["the", "The", "cat's", "naïve", "мир", "sat", "on", "a-b"]
    references = {f"s{n % 7}-{n:03}": rng.choices(words, k=rng.randrange(12)) for n in range(300)}
    with open("text", "w") as text, open("hyp.txt", "w") as hyp, open("words.ctm", "w") as ctm:
        for name, said in sorted(references.items()):
            text.write(" ".join([name, *said]) + "\n")
            heard = [rng.choice(words) if rng.random() < 0.2 else word for word in said if rng.random() < 0.9]
            if rng.random() < 0.05:
                continue
            hyp.write(" ".join([name, *heard]) + "\n")
            timed = (Word(word, 10 * n, 10 * n + 8, 0.0, rng.random()) for n, word in enumerate(heard))
            ctm.writelines(word.ctm(name, 0.01) + "\n" for word in timed)
    assert main(["score", "text", "hyp.txt", "--sclite", "out"]) == 0
    return tmp_path


@needs_sclite
@pytest.mark.parametrize(
    "files",
    [
        ["-r", "out/ref.trn", "trn", "-h", "out/hyp.trn", "trn", "-i", "spu_id"],
        ["-r", "out/ref.stm", "stm", "-h", "words.ctm", "ctm"],
    ],
    ids=["trn", "ctm"],
)
def test_equals_sclite(decoded: Path, files: list[str]) -> None:
    command = [*SCLITE, *files, "-s", "-e", "utf-8", "-o", "pra", "stdout"]
    report = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.findall(r"Scores: \(#C #S #D #I\) (\d+) (\d+) (\d+) (\d+)", report)
    correct, subs, dels, ins = (sum(map(int, column)) for column in zip(*found, strict=True))
    ours = [
        score(read_transcripts(Path("text")), read_transcripts(Path(name))).total for name in ("hyp.txt", "words.ctm")
    ]
    assert ours[0] == ours[1]
    assert len(found) == 300
    assert (ours[0].ins, ours[0].dels, ours[0].subs) == (ins, dels, subs)
    assert ours[0].words == correct + subs + dels
    assert min(ins, dels, subs) > 0
