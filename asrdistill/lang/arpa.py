"""Import of ARPA language models."""

import gzip
from pathlib import Path

from asrdistill.errors import UserError
from asrdistill.files import atomic, write_text
from asrdistill.reader import reading

BLOCK = 1 << 22  # bytes in memory at a time


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
