"""A reader of Kaldi's compact lattices in text form."""

from collections.abc import Iterator
from pathlib import Path

from asrdistill.decode.lattice import Lattice
from asrdistill.decode.lattice_formats import EMPTY, Link, _assemble, _topological
from asrdistill.errors import UserError
from asrdistill.reader import read_lines


def read_kaldi(path: Path) -> Iterator[tuple[str, Lattice]]:
    """Yield (utterance, lattice) of a text archive of compact lattices, words as words or numbers.

    Costs are taken as negated natural logarithms; the graph cost goes to the language model.
    """
    utterance, finals = "", 0
    links: list[Link] = []
    frames: dict[tuple[str, str], int] = {}
    for number, line in enumerate(read_lines(path), 1):
        fields = line.split()
        try:
            if not utterance and fields:
                (utterance,) = fields
            elif not fields:
                if utterance:
                    yield utterance, _of_kaldi(path, utterance, links, frames, finals)
                utterance, links, frames, finals = "", [], {}, 0
            elif len(fields) <= 2:
                weight = fields[1] if len(fields) == 2 else "0,0,"
                links.append(_kaldi_link(fields[0], END, "", weight, frames))
                finals += 1
            else:
                word = "" if fields[2] in EMPTY or fields[2] == "0" else fields[2]
                links.append(_kaldi_link(fields[0], fields[1], word, fields[3] if len(fields) > 3 else "0,0,", frames))
        except ValueError:
            raise UserError(f"{path}, line {number}: '{line[:60]}' is not a line of a compact lattice") from None
    if utterance:
        raise UserError(f"{path}: the lattice of {utterance} has no empty line at its end; was the file cut short?")


END = str(2**31)  # a node after all others


def _kaldi_link(source: str, target: str, word: str, weight: str, frames: dict[tuple[str, str], int]) -> Link:
    graph, acoustic, ids = weight.split(",")
    frames[source, target] = len(ids.split("_")) if ids else 0
    return Link(source, target, word, -float(acoustic), -float(graph), 0.0)


def _of_kaldi(path: Path, utterance: str, links: list[Link], frames: dict, finals: int) -> Lattice:
    if not finals:
        raise UserError(f"{path}: the lattice of {utterance} has no final state; was the file cut short?")
    times = {links[0].source: 0}
    order = _topological(path, links)
    for link in sorted(links, key=lambda link: order[link.source]):
        times[link.target] = times.get(link.source, 0) + frames[link.source, link.target]
    return _assemble(path, links, times)
