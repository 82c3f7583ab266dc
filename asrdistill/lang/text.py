"""Text for language models, a sentence a line; import of ARPA models."""

import gzip
import re
from pathlib import Path

from asrdistill.errors import UserError
from asrdistill.files import atomic, write_text
from asrdistill.reader import read_lines, reading

BLOCK = 1 << 22  # bytes in memory at a time
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


def import_lm(arpa: Path, lower: bool, folder: Path) -> None:
    """Copy an ARPA file, gzipped (NAME.gz) or not, into the existing folder as lm.arpa.

    lower  write ASCII letters in lower case, ``<UNK>`` included

    Raises UserError if it is no ARPA file, or truncated; its n-grams are checked when it is compiled.
    """
    begun, last = False, b""
    with reading(arpa, "fetch it again"):
        source = gzip.open(arpa) if arpa.suffix == ".gz" else open(arpa, "rb")  # noqa: SIM115
        with source, atomic(folder / "lm.arpa", "wb") as out:
            while block := source.read(BLOCK):
                out.write(block.lower() if lower else block)
                last += block
                begun, last = begun or b"\\data\\" in last, last[-100:]
    if not begun:
        raise UserError(f"{arpa} has no \\data\\ line; is it an ARPA file?")
    if b"\\end\\" not in last:
        raise UserError(f"{arpa} is not a whole ARPA file: it has no \\end\\ line; fetch it again")
    write_text(folder / "origin.txt", f"imported from {arpa.name}")
