"""Text for language models: sentences, as far as they are written otherwise than the vocabulary."""

from collections.abc import Callable, Collection
from pathlib import Path

from asrdistill.errors import UserError
from asrdistill.files import read_lines
from asrdistill.lang.ngram import END, START


def read_sentences(path: Path) -> list[str]:
    """The sentences of a text file, plain, .gz or .xz, one in each line that is not empty.

    Raises UserError if there are none, and as :func:`strip_marks` does.
    """
    lines = ((number, line) for number, line in enumerate(read_lines(path), 1) if line.strip())
    sentences = [strip_marks(line, f"{path}, line {number}") for number, line in lines]
    if not sentences:
        raise UserError(f"{path} has no text: all of its lines are empty")
    return sentences


def strip_marks(sentence: str, where: str) -> str:
    """The words between ``<s>`` and ``</s>``, which may be missing; raises UserError if one stands elsewhere."""
    words = sentence.split()
    begin, end = words[:1] in ([START], [START.upper()]), words[-1:] in ([END], [END.upper()])
    words = words[begin : len(words) - end]
    if marks := {START, END, START.upper(), END.upper()} & set(words):
        raise UserError(f"{where}: {min(marks)} stands within the sentence; write one sentence a line")
    return " ".join(words)


def case_of(vocabulary: Collection[str]) -> Callable[[str], str]:
    """str.lower or str.upper if all words are written like this, else a function that changes nothing."""
    return next((case for case in (str.lower, str.upper) if all(case(word) == word for word in vocabulary)), str)
