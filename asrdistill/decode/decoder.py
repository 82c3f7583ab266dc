"""The decoder: compiles lexicon, senones and language model once, then finds the words of utterances."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from asrdistill.data.matrices import check_scores
from asrdistill.decode import search
from asrdistill.decode.confusion import confidences
from asrdistill.decode.graph import SearchGraph, compile_graph
from asrdistill.decode.lattice import Lattice, build
from asrdistill.decode.options import DecodeOptions
from asrdistill.decode.phrases import Phrases, favoured
from asrdistill.decode.tree import SILENCE
from asrdistill.decode.words import UNKNOWN, Word, join
from asrdistill.errors import UserError
from asrdistill.lang.lexicon import is_prefix

BLOCK, BEYOND = 24, 8  # feature frames per search step, and of the look-ahead beyond it; see docs/internals.md
IMPOSSIBLE = 1e4  # score of an impossible senone below the best of its frame: beyond every beam
SPARE = 4  # states of searches that are kept for the next ones
WIDER, RETRIES = 2.0, 3  # beams grow by this factor when no path reaches the end, at most so often


@dataclass(frozen=True)
class Hypothesis:
    """Result of decoding an utterance.

    partial: even with wider beams the path ended inside a word, which is left out; lattice: only with a lattice beam
    """

    times: list[Word]
    score: float
    partial: bool
    lattice: Lattice | None = None

    @property
    def words(self) -> list[str]:
        return [word.word for word in self.times]


class Decoder:
    """Viterbi search over the words of a lexicon and an n-gram model of them.

    decoder = Decoder(Lang.read("lang"), read_arpa("lm/lm.arpa"), scorer.senones, DecodeOptions())
    decoder.decode(scorer.loglikes(features)).words

    `lang` is an :class:`asrdistill.lang.lexicon.Lang`, `lm` an :class:`asrdistill.lang.ngram.NGram`, `senones` an
    :class:`asrdistill.hmm.senones.Senones`. Words that the language model lacks are recognised as its ``<unk>``, if it
    has one. A decoder can be sent to worker processes. For streaming use :meth:`start`.
    """

    def __init__(self, lang: Any, lm: Any, senones: Any, options: DecodeOptions | None = None):
        self._take(compile_graph(lang, lm, senones), options or DecodeOptions())

    def _take(
        self,
        graph: SearchGraph,
        options: DecodeOptions,
        phrases: Phrases | None = None,
        shared: tuple[Any, list[search.SearchState]] | None = None,
    ) -> "Decoder":
        self.graph, self.options, self.phrases = graph, options, phrases
        if shared is None:
            native = search.native_graph(favoured(graph, phrases) if phrases else graph, graph.senones)
            shared = (native, phrases.native() if phrases else None), []
        self._native: Any
        self._native, self._free_states = shared  # not in use by a search
        self.words, self.senones = graph.words, graph.senones
        self.tree, self.grammar = graph.tree, graph.grammar
        self.block = max(1, BLOCK // graph.subsampling)  # frames that are searched at a time
        self.silence = self.tree.silence_nodes()
        self.beyond = -(-BEYOND // graph.subsampling)  # and those of their look-ahead
        self.window = self.block + self.beyond
        return self

    @classmethod
    def of(cls, graph: SearchGraph, options: DecodeOptions, phrases: Phrases | None = None) -> "Decoder":
        """The decoder of a graph that is compiled already (:func:`asrdistill.decode.graph.keep_graph`)."""
        return cls.__new__(cls)._take(graph, options, phrases)

    def __reduce__(self) -> Any:
        return Decoder.of, (self.graph, self.options, self.phrases)

    def with_options(self, options: DecodeOptions) -> "Decoder":
        """The same decoder with other options; graph and search memory are shared."""
        return Decoder.__new__(Decoder)._take(self.graph, options, self.phrases, (self._native, self._free_states))

    def decode(self, loglikes: np.ndarray) -> Hypothesis:
        """The best path's words through loglikes (T, S), natural logarithms, unscaled.

        If no path within the beams ends with the last frame, the search is repeated with wider ones. Raises UserError
        as :meth:`Search.accept` does, and for no frames.
        """
        decoder = self
        for _ in range(1 + RETRIES):
            going = decoder.start()
            going.accept(loglikes)
            if not (found := going.finish()).partial:
                break
            decoder = decoder.with_options(decoder.options.wider(WIDER))
        return found

    def start(self) -> "Search":
        """Start a search; several can run at a time."""
        return Search(self)

    def scales(self) -> search.Scales:
        """The options in the units of the acoustic score."""
        options, weight = self.options, self.options.lm_weight
        beams = options.beam * weight, options.word_end_beam * weight, options.max_active
        pauses = self.graph.pause * weight, self.graph.no_pause * weight
        lattice_beam = options.lattice_beam * weight or -1.0
        return search.Scales(*beams, weight, options.insertion_penalty, *pauses, lattice_beam)


class Ending(NamedTuple):
    """What speaks for the end of an utterance at the frame that was searched last.

    silence: frames of silence at the end of the best path; words: whether there are any before; cost: by which the best
    path that may end there is worse, with </s>, in ln P(words)
    """

    silence: int
    words: bool
    cost: float


class Search:
    """Search of one utterance, whose scores may come in chunks of any sizes with the same result."""

    def __init__(self, decoder: Decoder):
        self.decoder = decoder
        self.final: list[Word] = []  # which :meth:`partial_traceback` found
        self._open: list[Word] = []  # pieces of a word whose end it did not find yet
        try:
            self._state = decoder._free_states.pop()  # another thread may have taken the last one
        except IndexError:
            self._state = search.SearchState(*decoder._native)
        self._scales = decoder.scales()
        self.frame = 0  # that is searched next
        self.scores = np.empty((0, decoder.senones), np.float32)  # from there on
        self._state.start(self._scales)

    def accept(self, loglikes: np.ndarray) -> None:
        """Search on with the next frames' loglikes, as :meth:`add` takes them, as far as the look-ahead reaches."""
        self.add(loglikes)
        self._advance(last=False)
        self.scores = self.scores.copy()  # of the few that are left: the others are the caller's

    def add(self, loglikes: np.ndarray) -> None:
        """Keep for searching the next frames' loglikes (T, S), natural logarithms, unscaled.

        -inf marks an impossible senone. Raises UserError for another number of senones, NaN, +inf, and a frame without
        a possible senone.
        """
        frames = np.ascontiguousarray(loglikes, np.float32)
        least = check_scores(frames, self.decoder.senones, self.frames) - IMPOSSIBLE
        if len(frames) and frames.min() < least.max():
            frames = np.maximum(frames, least[:, None])
        self.scores = np.concatenate([self.scores, frames]) if len(self.scores) else frames

    def step(self) -> np.ndarray:
        """Search one block on, if there are frames for its look-ahead; returns the scores of the frames searched."""
        return self._advance(last=False, most=1)

    def _advance(self, last: bool, most: int = search.ALL) -> np.ndarray:
        """Search as far as there are frames for the look-ahead."""
        count = self._state.advance(self.scores, self.decoder.block, self.decoder.beyond, last, most)
        searched, self.scores = self.scores[:count], self.scores[count:]
        self.frame += count
        return searched

    def ending(self) -> Ending:
        """What speaks for the end of the utterance at this frame."""
        _, scores, whole = self._state.finals()
        cost = (self._state.view().best - scores.max()) / self._scales.lm_weight if whole else np.inf
        silence = self.frame - self.settled if self._state.view().node in self.decoder.silence else 0
        return Ending(silence, bool(self.partial or self.final), float(cost))

    def partial_traceback(self) -> None:
        """Move the words that all live paths share to `final` and free their memory; not with a lattice beam."""
        if self._scales.lattice_beam >= 0:
            return
        units = self._open + self._words(self._state.settle())
        if units and units[-1].word == UNKNOWN:  # which may go on
            units = join(units)
        ends = (k for k, unit in enumerate(units, 1) if not is_prefix(unit.word) and unit.word != UNKNOWN)
        whole = max(ends, default=0)
        self.final += join(units[:whole])
        self._open = units[whole:]

    @property
    def settled(self) -> int:
        """The frame before which the last word or silence of the best path ended."""
        found = self._state.trace(self._state.best())
        return int((found if len(found) else self._state.records()[:1])["end"][-1])

    @property
    def frames(self) -> int:
        """How many were accepted."""
        return self.frame + len(self.scores)

    @property
    def partial(self) -> list[Word]:
        """The words after the final ones on the currently best path."""
        return join(self._open + self._words(self._state.trace(self._state.best())))

    def finish(self) -> Hypothesis:
        """End the search: the result for all frames; raises UserError if there were none."""
        self._advance(last=True)
        if self.frames == 0:
            raise UserError("there are no frames to decode; give longer audio")
        return self.close()

    def close(self, whole: bool = True) -> Hypothesis:
        """End the search: the result for the frames that were searched.

        whole: on a path that may end there, if there is one; else on the best one, whose last word is left out
        """
        decoder, state = self.decoder, self._state
        origins, scores, whole = state.finals(whole)
        if not len(scores):
            raise UserError("no path leads through the search graph; delete its folder, and it is made again")
        best = int(np.argmax(scores))
        times, lattice = self._open + self._words(state.trace(origins[best])), None
        if self._scales.lattice_beam >= 0:
            lattice = build(decoder.tree, decoder.grammar, state, self._scales, decoder.words, whole)
            options = decoder.options
            sure = confidences(lattice, options.lm_weight, options.insertion_penalty, [word.word for word in times])
            times = [word._replace(confidence=c) for word, c in zip(times, sure.confidences, strict=True)]
        if len(decoder._free_states) < SPARE:
            decoder._free_states.append(state)
        del self._state
        return Hypothesis(self.final + join(times), float(scores[best]), not whole, lattice)

    def _words(self, found: np.ndarray) -> list[Word]:
        """The words and pieces among words and silences (N,) WORD."""
        named = zip(self.decoder.tree.leaf["word"][found["leaf"]].tolist(), found.tolist(), strict=True)
        words = self.decoder.words
        return [Word(words[word], begin, end, score) for word, (score, _, begin, end) in named if word != SILENCE]
