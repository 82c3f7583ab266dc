"""Lattices in files: HTK's standard lattice format (SLF), and Kaldi's compact lattices as text.

SLF keeps times, acoustic (a=), language model (l=) and pronunciation (r=) log-probabilities of each link. Kaldi's form
has one graph cost for the last two, and transition ids, all written as 1, one per frame. `read_slf` accepts other
programs' files: nodes in any order, words on nodes.
"""

import gzip
import heapq
import math
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from asrdistill.decode.lattice import NOTHING, Lattice
from asrdistill.errors import UserError
from asrdistill.files import atomic

EMPTY = {"!NULL", "!SENT_START", "!SENT_END", "<eps>", "<s>", "</s>"}  # names for no word


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
    """Read an SLF file, plain or gzip; raises UserError for one that is cut short or is none."""
    sizes: dict[str, int] = {}
    times: dict[str, float] = {}
    on_node: dict[str, str] = {}
    links: list[Link] = []
    base = 1.0
    for number, line in enumerate(_lines(path), 1):
        fields = dict(part.split("=", 1) for part in line.split() if "=" in part and not line.startswith("#"))
        try:
            if "base" in fields:
                base = math.log(float(fields["base"]))
            if "I" in fields:
                times[fields["I"]] = float(fields.get("t", fields.get("time", "0")))
                on_node[fields["I"]] = fields.get("W", fields.get("WORD", "!NULL"))
            elif "J" in fields:
                source, target = fields.get("S", fields.get("START")), fields.get("E", fields.get("END"))
                if source is None or target is None:
                    raise ValueError
                word = fields.get("W", fields.get("WORD")) or on_node[target]
                scores = [base * float(fields.get(key, fields.get(name, "0"))) for key, name in SCORES]
                links.append(Link(source, target, "" if word in EMPTY else word.removeprefix("\\"), *scores))
            else:
                sizes |= {size: int(fields[name]) for name, size in SIZES.items() if name in fields}
        except (KeyError, ValueError):
            raise UserError(f"{path}, line {number}: '{line[:60]}' is not a line of an SLF lattice") from None
    if sizes.get("nodes") != len(times) or sizes.get("links") != len(links) or not links:
        promised = f"{sizes.get('nodes', 0)} nodes and {sizes.get('links', 0)} links"
        raise UserError(f"{path} promises {promised} but holds {len(times)} and {len(links)}; was it cut short?")
    return _assemble(path, links, {node: round(time / shift) for node, time in times.items()})


SCORES = (("a", "acoustic"), ("l", "language"), ("r", "r"))
SIZES = {"N": "nodes", "NODES": "nodes", "L": "links", "LINKS": "links"}


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
    source, target, word, acoustic, lm, pronunciation = zip(*rows, strict=True)
    time = np.zeros(len(order), np.int32)
    for node, place in order.items():
        time[place] = times.get(node, 0)
    arcs = {
        "source": np.array(source, np.int32),
        "target": np.array(target, np.int32),
        "word": np.array(word, np.int32),
        "acoustic": np.array(acoustic),
        "lm": np.array(lm),
        "pronunciation": np.array(pronunciation),
    }
    return Lattice(words=words, time=time, **arcs)


def _topological(path: Path, links: Sequence[Link]) -> dict[str, int]:
    """A number for each node, so that links lead upwards; one start and one end."""
    incoming: dict[str, int] = {}
    outgoing: dict[str, list[str]] = {}
    for link in links:
        outgoing.setdefault(link.source, []).append(link.target)
        outgoing.setdefault(link.target, [])
        incoming.setdefault(link.source, 0)
        incoming[link.target] = incoming.get(link.target, 0) + 1
    starts = [node for node, count in incoming.items() if count == 0]
    ends = [node for node, targets in outgoing.items() if not targets]
    if len(starts) != 1 or len(ends) != 1:
        raise UserError(f"{path}: a lattice must have one start and one end, not {len(starts)} and {len(ends)}")
    numbered = all(node.isdecimal() for node in outgoing)
    rank = {node: int(node) if numbered else place for place, node in enumerate(outgoing)}
    ready, order = [(rank[starts[0]], starts[0])], dict[str, int]()
    while ready:
        _, node = heapq.heappop(ready)
        order[node] = len(order)
        for target in outgoing[node]:
            incoming[target] -= 1
            if incoming[target] == 0:
                heapq.heappush(ready, (rank[target], target))
    if len(order) != len(outgoing):
        raise UserError(f"{path}: the lattice goes round in a circle")
    return order


def _lines(path: Path) -> Iterable[str]:
    try:
        data = Path(path).read_bytes()
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
        return data.decode().splitlines()
    except FileNotFoundError:
        raise UserError(f"{path} does not exist") from None
    except (EOFError, zlib.error, gzip.BadGzipFile, UnicodeDecodeError) as error:
        raise UserError(f"{path} is damaged or no lattice file ({error})") from None
