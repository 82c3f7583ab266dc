"""Errors on out-of-vocabulary words."""

from pathlib import Path
from typing import Any

from asrdistill.errors import UserError
from asrdistill.reader import read_lines
from asrdistill.scoring.edit_distance import align_words
from asrdistill.scoring.wer import Transcripts


def oov_errors(references: Transcripts, hypotheses: Transcripts, vocabulary: set[str]) -> dict[str, Any]:
    """``{"words", "wrong", "rate"}`` of the reference's words outside the vocabulary, by sclite's alignment.

    An utterance without a hypothesis is deleted. The rate is in percent, None where no word is outside.
    """
    words = wrong = 0
    for utterance, said in references.items():
        if vocabulary.issuperset(said):
            continue
        pairs = align_words(said, hypotheses.get(utterance, []))
        right = [word == heard for word, heard in pairs if word is not None and word not in vocabulary]
        words, wrong = words + len(right), wrong + right.count(False)
    return {"words": words, "wrong": wrong, "rate": 100 * wrong / words if words else None}


def read_vocabulary(path: Path) -> set[str]:
    """The first word of each line (of a words.txt or a lexicon); raises UserError if the file is missing or empty."""
    words = {fields[0] for line in read_lines(path) if (fields := line.split())}
    if not words:
        raise UserError(f"{path} is empty; name the file with the words")
    return words
