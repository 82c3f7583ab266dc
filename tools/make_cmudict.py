"""Make data/cmudict.txt.gz from a cmudict.dict: no stress, no comments, no double entries.

Each line is `word <tab> phones`; several lines for several pronunciations, in CMUdict's order. The
same cmudict.dict gives the same bytes.

Example: python tools/make_cmudict.py cmudict.dict data/cmudict.txt.gz
"""

import argparse
import gzip
import re
from pathlib import Path


def entries(lines: list[str]) -> list[tuple[str, str]]:
    """(word, phones) of the lines of a cmudict.dict; `word(2)` is another pronunciation of `word`."""
    found = {}
    for line in lines:
        word, *phones = line.split("#")[0].split()
        found[re.sub(r"\(\d+\)$", "", word), re.sub(r"\d", "", " ".join(phones))] = None
    return sorted(found, key=lambda entry: entry[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="cmudict.dict")
    parser.add_argument("out", type=Path, help="file to write")
    args = parser.parse_args()
    table = entries(args.source.read_text(encoding="utf-8").splitlines())
    text = "".join(f"{word}\t{phones}\n" for word, phones in table)
    args.out.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    print(f"{args.out}: {len(table)} pronunciations of {len({word for word, _ in table})} words")


if __name__ == "__main__":
    main()
