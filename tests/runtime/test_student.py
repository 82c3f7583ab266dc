"""The recogniser that comes with the package: whole, found without being named, and right on real books."""

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

import asrdistill
from asrdistill.cli import main
from asrdistill.scoring.edit_distance import count_errors
from tests.refusals import assert_refused

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = Path(os.environ.get("LIBRISPEECH_SAMPLE", ROOT.parent / "shared/data/librispeech"))


@pytest.fixture
def books():
    """Twenty utterances of as many speakers of test-clean: paths and words."""
    found = []
    for path in sorted((SAMPLE / "sample/LibriSpeech/test-clean").glob("*/*/*-0000.flac"))[:20]:
        lines = path.with_name(f"{path.parent.parent.name}-{path.parent.name}.trans.txt").read_text().splitlines()
        found.append((path, dict(line.split(" ", 1) for line in lines)[path.stem].lower().split()))
    return found or pytest.skip("there is no sample of LibriSpeech beside the project")


def test_the_folder_is_as_it_was_exported():
    assert main(["info", str(asrdistill.STUDENT), "--verify"]) == 0


def test_a_file_alone_is_transcribed_by_it(tmp_path, capsys):
    noise = np.random.default_rng(0).normal(0, 0.01, 8000)
    soundfile.write(tmp_path / "a.wav", noise, 8000)
    assert main(["transcribe", str(tmp_path / "a.wav")]) == 0
    alone = capsys.readouterr().out
    assert main(["transcribe", str(asrdistill.STUDENT), str(tmp_path / "a.wav")]) == 0
    assert capsys.readouterr().out == alone
    assert_refused(["transcribe", str(tmp_path / "missing.wav")], tmp_path / "missing.wav")
    assert_refused(["transcribe", str(tmp_path / "none"), str(tmp_path / "a.wav")], tmp_path / "none")


def test_books_are_mostly_right(books):
    recogniser = asrdistill.load()
    errors = [count_errors(words, recogniser.transcribe(path).words) for path, words in books]
    assert sum(map(sum, errors)) < 0.3 * sum(len(words) for _, words in books)
