"""Frame-synchronous Viterbi search by token passing (Young, Russell, Thornton 1989): interface of ``core/search.c``.

docs/internals.md describes the algorithm.
"""

import ctypes
import weakref
from typing import Any, NamedTuple

import numpy as np

from asrdistill.core import (
    DOUBLES_OUT,
    FLAG,
    FLOATS,
    HANDLE,
    INTS,
    INTS_OUT,
    REAL,
    SIZE,
    Kernel,
    copied,
    pack,
)
from asrdistill.decode.lm import Grammar
from asrdistill.decode.tree import LEAF, LINK, NODE, row

ROOM = 1 << 12  # tokens and records that a search has room for at first


class Scales(NamedTuple):
    """Beams are in the units of the acoustic score, natural logarithms."""

    beam: float
    word_end_beam: float
    max_active: int
    lm_weight: float
    insertion_penalty: float
    silence: float  # added where silence is taken
    no_silence: float  # added where it may stand and is not taken
    lattice_beam: float  # what is worse by more is not remembered where paths meet; below 0: nothing is


class NativeGrammar(ctypes.Structure):
    """core_grammar of ``core/core.h``."""

    ELEMENTS = {"arc_begin": np.int64, "arc_logprob": np.float32, "backoff_logprob": np.float32}  # noqa: RUF012
    _fields_ = (
        *((name, SIZE) for name in ("states", "start", "end")),
        *((name, HANDLE) for name in Grammar._fields if name not in ("start", "end")),
    )


class NativeLook(ctypes.Structure):
    """core_look."""

    ELEMENTS = {"begin": np.int64, "value": np.float32, "base": np.float32}  # noqa: RUF012
    _fields_ = (("classes", SIZE), *((name, HANDLE) for name in ("begin", "node", "value", "base")))


TREE = ("node", "child", "leaf", "entry_begin", "entry", "initial", "pause", "self_loop", "forward")
SUCCESSORS = ("begin", "target", "start", "end", "final", "once", "rest")


class NativeGraph(ctypes.Structure):
    """core_graph."""

    ELEMENTS = {  # noqa: RUF012
        **{"node": NODE, "child": LINK, "leaf": LEAF, "entry": LINK},
        **{"pause": np.bool_, "self_loop": np.float32, "forward": np.float32, "unknown": np.float32},
    }
    _fields_ = (
        *(("grammar", NativeGrammar), ("look", NativeLook), ("more", NativeLook)),
        *((name, SIZE) for name in ("nodes", "senones", "roots", "more_roots", "unknown_token")),
        ("unknown", HANDLE),
        *((name, HANDLE) for name in (*TREE, *SUCCESSORS)),
        *((name, SIZE) for name in ("initials", "starts", "ends", "finals", "onces")),
    )


class NativePhrases(ctypes.Structure):
    """core_phrases."""

    ELEMENTS = {"potential": np.float64, "earned": np.float64}  # noqa: RUF012
    _fields_ = (
        ("states", SIZE),
        *((name, HANDLE) for name in ("arc_begin", "arc_word", "arc_next", "fail", "potential", "earned")),
    )


class NativeScales(ctypes.Structure):
    """core_scales."""

    _fields_ = tuple((name, SIZE if name == "max_active" else REAL) for name in Scales._fields)


class View(ctypes.Structure):
    """core_view: what a search holds at present."""

    _fields_ = (
        *((name, SIZE) for name in ("tokens", "ends", "records", "bytes")),
        *((name, REAL) for name in ("cutoff", "best")),
        ("node", SIZE),
        *((name, HANDLE) for name in ("token", "end", "record")),
    )


class Arcs(ctypes.Structure):
    """core_arcs."""

    _fields_ = (
        *(("count", SIZE), ("room", SIZE)),
        *((name, HANDLE) for name in ("source", "target", "label", "value")),
    )

    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """(source, target, label, value) of each arc."""
        ints = (copied(address, self.count, np.int32) for address in (self.source, self.target, self.label))
        source, target, label = ints
        return source, target, label, copied(self.value, self.count, np.float64)


# What stands in the library's memory; core.h describes the fields
RECORD = row(score=np.float64, leaf=np.int32, end=np.int32, back=np.int32, state=np.int32)
WORD = row(score=np.float64, leaf=np.int32, begin=np.int32, end=np.int32)

_logprobs = Kernel("core_grammar_logprobs", None, HANDLE, SIZE, INTS, INTS, DOUBLES_OUT, INTS_OUT)
_new = Kernel("core_search_new", HANDLE, HANDLE, SIZE)
_free = Kernel("core_search_free", None, HANDLE)
_view = Kernel("core_search_view", None, HANDLE, HANDLE)
_favour = Kernel("core_search_favour", None, HANDLE, HANDLE)
_spoken = Kernel("core_search_logprobs", None, HANDLE, SIZE, INTS, INTS, INTS, DOUBLES_OUT)
_start = Kernel("core_search_start", FLAG, HANDLE, HANDLE)
_advance = Kernel("core_search_advance", SIZE, HANDLE, FLOATS, SIZE, SIZE, SIZE, FLAG, SIZE)
ALL = 1 << 62  # blocks
_finals = Kernel("core_search_finals", SIZE, HANDLE, HANDLE, HANDLE, HANDLE)
_best = Kernel("core_search_best", FLAG, HANDLE)
_trace = Kernel("core_search_trace", SIZE, HANDLE, FLAG, HANDLE)
_settle = Kernel("core_search_settle", SIZE, HANDLE, HANDLE)
_arcs = Kernel("core_search_arcs", ctypes.POINTER(Arcs), HANDLE, FLAG)


def native_grammar(grammar: Grammar) -> NativeGrammar:
    """The n-gram model as the library reads it; its arrays are shared."""
    return pack(NativeGrammar, states=len(grammar.backoff_state), **grammar._asdict())


def native_graph(graph: Any, senones: int) -> NativeGraph:
    """A :class:`asrdistill.decode.graph.SearchGraph` as the library reads it; its arrays are shared."""
    tree, look, successors = graph.tree, graph.look, graph.successors
    sizes = {f"{name}s": len(getattr(successors, name)) for name in ("start", "end", "final", "once")}
    parts = (
        native_grammar(graph.grammar),
        *(pack(NativeLook, classes=len(one.base), **one._asdict()) for one in (look, graph.added.look)),
    )
    made = pack(
        NativeGraph,
        **{name: getattr(tree, name) for name in (*TREE, "roots")},
        **successors._asdict(),
        **sizes,
        **{"nodes": len(tree.node) - 1, "senones": senones, "initials": len(tree.initial)},
        more_roots=graph.added.roots,
        unknown_token=graph.added.token,
        unknown=graph.added.unknown,
    )
    made.grammar, made.look, made.more = parts
    made.parts = parts
    return made


def logprobs(grammar: Grammar, states: np.ndarray, tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(ln P(token | state) for each pair, the state after it); (0, the same state) where there is no token (-1)."""
    found, after = np.empty(len(states)), np.empty(len(states), np.int32)
    _logprobs(ctypes.byref(native_grammar(grammar)), len(states), states, tokens, found, after)
    return found, after


class SearchState:
    """Memory of a search in a graph, which lies in the library; one utterance after the other may use it."""

    def __init__(self, graph: NativeGraph, phrases: NativePhrases | None = None):
        self._graph, self._phrases = graph, phrases  # whose arrays it reads
        self._handle = _new(ctypes.byref(graph), ROOM)
        if not self._handle:
            raise MemoryError("the search needs more memory than there is")
        _favour(self._handle, ctypes.byref(phrases) if phrases else None)
        weakref.finalize(self, _free, self._handle)

    def _enough(self, result: int) -> int:
        if result < 0:
            raise MemoryError("the search needs more memory than there is; give narrower beams or shorter audio")
        return result

    def start(self, scales: Scales) -> None:
        """Begin an utterance."""
        self._enough(_start(self._handle, ctypes.byref(NativeScales(*scales))))

    def advance(self, loglikes: np.ndarray, block: int, beyond: int, last: bool, most: int = ALL) -> int:
        """Search on with loglikes (T, S) in blocks, which need `beyond` more frames each for their acoustic look-ahead.

        With all of them if the utterance ends there (last). Ends after `most` blocks. Returns how many frames were
        searched.
        """
        if loglikes.shape[1:] != (self._graph.senones,):
            raise ValueError(f"{loglikes.shape} is no block of scores")
        return self._enough(_advance(self._handle, loglikes, len(loglikes), block, beyond, last, most))

    def finals(self, whole: bool = True) -> tuple[np.ndarray, np.ndarray, bool]:
        """(record or merge, score with </s>) of paths on which a word or silence ended with the last frame, and True.

        Where none did, or if not asked for whole ones, the best token's and False.
        """
        origin, score, found = HANDLE(), HANDLE(), FLAG(whole)
        count = self._enough(_finals(self._handle, *map(ctypes.byref, (origin, score, found))))
        return copied(origin.value, count, np.int32), copied(score.value, count, np.float64), bool(found.value)

    def best(self) -> int:
        """Record or merge of the best token; 0 if there is none."""
        return _best(self._handle)

    def trace(self, origin: int) -> np.ndarray:
        """(N,) WORD: words and silences on the best path to a record or merge, in order of time."""
        word = HANDLE()
        count = self._enough(_trace(self._handle, origin, ctypes.byref(word)))
        return copied(word.value, count, WORD)

    def settle(self) -> np.ndarray:
        """(N,) WORD: those that all live paths share, whose memory is freed; not with a lattice beam."""
        word = HANDLE()
        count = self._enough(_settle(self._handle, ctypes.byref(word)))
        return copied(word.value, count, WORD)

    def arcs(self, end: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """(source, target, leaf, score) of arcs between records on paths within the lattice beam; after `finals`.

        The node after the last record is the end; arcs into it have the leaf `end`.
        """
        if not (found := _arcs(self._handle, end)):
            raise MemoryError("the lattice needs more memory than there is; give a narrower lattice beam")
        return found.contents.arrays()

    def logprobs(self, states: np.ndarray, tokens: np.ndarray, words: np.ndarray) -> np.ndarray:
        """ln P(token | state of a record) with what the word earns in phrases; word -1: </s>; token -1: 0."""
        found = np.empty(len(states))
        _spoken(self._handle, len(states), states, tokens, words, found)
        return found

    def view(self) -> View:
        """What the search holds at present, valid until it goes on."""
        view = View()
        _view(self._handle, ctypes.byref(view))
        return view

    def records(self) -> np.ndarray:
        """(R,) RECORD."""
        view = self.view()
        return copied(view.record, view.records, RECORD)
