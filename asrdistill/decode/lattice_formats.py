"""Lattices in files: HTK's standard lattice format (SLF), and Kaldi's compact lattices as text.

SLF keeps times, acoustic (a=), language model (l=) and pronunciation (r=) log-probabilities of each link. Kaldi's form
has one graph cost for the last two, and transition ids, all written as 1, one per frame. `read_slf` accepts other
programs' files: nodes in any order, words on nodes.
"""

import gzip
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import numpy as np

from asrdistill.decode.lattice import NOTHING, Lattice
from asrdistill.errors import UserError
from asrdistill.files import atomic
from asrdistill.reader import read_lines

EMPTY = {"!NULL", "!SENT_START", "!SENT_END", "<eps>", "<s>", "</s>"}  # names for no word
# long names of SLF fields
LONG = {"START": "S", "END": "E", "WORD": "W", "NODES": "N", "LINKS": "L"}
LONG |= {"time": "t", "acoustic": "a", "language": "l"}


class Link(NamedTuple):
    """An arc as it is read; nodes have any names. Scores are natural logarithms."""

    source: str
    target: str
    word: str
    acoustic: float
    lm: float
    pronunciation: float


def lattice_path(folder: Path, utterance: str) -> Path:
    """Where an utterance's lattice stands in a folder of them; raises UserError for an id that names another folder."""
    if "/" in utterance or utterance.startswith("."):
        raise UserError(f"the lattice of {utterance} cannot be written: an utterance id must be a file's name")
    return Path(folder) / f"{utterance}.slf.gz"


def write_slf(path: Path, utterance: str, lattice: Lattice, shift: float, lm_weight: float, penalty: float) -> None:
    """Write UTT.slf.gz; `shift` is a frame's seconds, the scales are those that the lattice was made with."""
    head = [
        "VERSION=1.0",
        f"UTTERANCE={utterance}",
        f"lmscale={lm_weight:g}",
        f"wdpenalty={penalty:g}",
        f"N={len(lattice.time)}\tL={len(lattice.source)}",
    ]
    nodes = [f"I={node}\tt={time * shift:.3f}" for node, time in enumerate(lattice.time)]
    columns = (lattice.source, lattice.target, lattice.word, lattice.acoustic, lattice.lm, lattice.pronunciation)
    links = [
        f"J={arc}\tS={source}\tE={target}\tW={_escape(lattice.spelled(word))}\ta={a:.4f}\tl={lm:.4f}\tr={r:.4f}"
        for arc, (source, target, word, a, lm, r) in enumerate(zip(*columns, strict=True))
    ]
    text = "\n".join([*head, *nodes, *links]) + "\n"
    with packed(path) as file:
        file.write(text.encode())


@contextmanager
def packed(path: Path) -> Iterator[gzip.GzipFile]:
    """Open a gzip file that holds the same bytes whenever the same is written, and appears once it is whole."""
    with atomic(path, "wb") as file, gzip.GzipFile(fileobj=file, mode="wb", filename="", mtime=0) as inside:
        yield inside


def _escape(word: str) -> str:
    if not word:
        return "!NULL"
    return "\\" + word if word[0] in "'\"" else word


def read_slf(path: Path, shift: float) -> Lattice:
    """Read an SLF file, gzipped if it is called NAME.gz; raises UserError if it is damaged or cut short."""
    sizes = {"N": 0, "L": 0}
    times: dict[str, int] = {}
    on_node: dict[str, str] = {}
    links: list[Link] = []
    base = 1.0
    for number, line in enumerate(read_lines(path), 1):
        parts = (part.split("=", 1) for part in line.split() if "=" in part and not line.startswith("#"))
        fields = {LONG.get(name, name): value for name, value in parts}
        try:
            if "base" in fields:
                base = math.log(float(fields["base"]))
            if "I" in fields:
                times[fields["I"]] = round(float(fields.get("t", "0")) / shift)
                on_node[fields["I"]] = fields.get("W", "!NULL")
            elif "J" in fields:
                word = fields.get("W") or on_node[fields["E"]]
                scores = [base * float(fields.get(name, "0")) for name in "alr"]
                links.append(Link(fields["S"], fields["E"], "" if word in EMPTY else word.removeprefix("\\"), *scores))
            else:
                sizes |= {name: int(fields[name]) for name in sizes.keys() & fields.keys()}
        except (KeyError, ValueError):
            raise UserError(f"{path}, line {number}: '{line[:60]}' is no line of SLF; make it again") from None
    if sizes != {"N": len(times), "L": len(links)} or not links:
        promised = f"{sizes['N']} nodes and {sizes['L']} links"
        raise UserError(f"{path} promises {promised} but holds {len(times)} and {len(links)}; was it cut short?")
    return _assemble(path, links, times)


def kaldi_text(utterance: str, lattice: Lattice) -> str:
    """An utterance of a compact lattice archive in text form, with words for word ids."""
    out, finals, last = [utterance], [], len(lattice.time) - 1
    lm = -(lattice.lm + lattice.pronunciation)
    for arc in range(len(lattice.source)):
        source, target = lattice.source[arc], lattice.target[arc]
        ids = "_".join(["1"] * int(lattice.time[target] - lattice.time[source]))
        word, weight = lattice.spelled(lattice.word[arc]), f"{lm[arc]:.4f},{-lattice.acoustic[arc]:.4f},{ids}"
        if target == last and not word:
            finals.append(f"{source}\t{weight}")
        else:
            out.append(f"{source}\t{target}\t{word or '<eps>'}\t{weight}")
    if (lattice.word[lattice.target == last] >= 0).any():
        finals.append(f"{last}\t0,0,")
    return "\n".join([*out, *finals]) + "\n\n"


def _assemble(path: Path, links: Sequence[Link], times: dict[str, int]) -> Lattice:
    """The lattice of links between nodes of any names."""
    order = _topological(path, links)
    words = sorted({link.word for link in links} - {""})
    number = {word: index for index, word in enumerate(words)} | {"": NOTHING}
    rows = sorted((order[link.source], order[link.target], number[link.word], *link[3:]) for link in links)
    kinds = [np.int32] * 3 + [np.float64] * 3
    columns = (np.array(column, kind) for column, kind in zip(zip(*rows, strict=True), kinds, strict=True))
    return Lattice(words, np.array([times.get(node, 0) for node in order], np.int32), *columns)


def _topological(path: Path, links: Sequence[Link]) -> dict[str, int]:
    """A number for each node, rising along all links; that of its name if the names are such numbers."""
    before: dict[str, list[str]] = {link.source: [] for link in links}
    for link in links:
        before.setdefault(link.target, []).append(link.source)
    starts = [node for node, sources in before.items() if not sources]
    ends = before.keys() - {link.source for link in links}
    if len(starts) != 1 or len(ends) != 1:
        raise UserError(f"{path}: a lattice must have one start and one end, not {len(starts)} and {len(ends)}")
    try:
        order = list(TopologicalSorter(before).static_order())
    except CycleError:
        raise UserError(f"{path}: the lattice has a cycle; make it again") from None
    if all(node.isdecimal() for node in order) and all(int(link.source) < int(link.target) for link in links):
        order.sort(key=int)
    return {node: place for place, node in enumerate(order)}
