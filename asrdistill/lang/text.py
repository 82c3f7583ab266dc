"""Text for language models: a sentence a line."""

import re
from pathlib import Path

from asrdistill.errors import UserError
from asrdistill.reader import read_lines

AROUND = re.compile(r"^\s*<s>(?!\S)|(?<!\S)</s>\s*$", re.IGNORECASE)  # the marks of a sentence
WITHIN = re.compile(r"(?<!\S)</?s>(?!\S)", re.IGNORECASE)


def read_sentences(path: Path) -> list[str]:
    """The lines of a text file, plain, .gz or .xz, as :func:`strip_marks` leaves them; UserError if all are empty."""
    sentences = [strip_marks(line, f"{path}, line {number}") for number, line in enumerate(read_lines(path), 1)]
    if not any(sentences):
        raise UserError(f"{path} has no text: all of its lines are empty")
    return [sentence for sentence in sentences if sentence]


def strip_marks(sentence: str, where: str) -> str:
    """The sentence without <s> and </s> around it; raises UserError if one of them stands within."""
    bare = AROUND.sub("", sentence).strip()
    if mark := WITHIN.search(bare):
        raise UserError(f"{where}: {mark[0]} stands within the sentence; write one sentence a line")
    return bare
