"""The decoder: compiles lexicon, senones and language model once, then finds the words of utterances."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from asrdistill.data.matrices import check_scores
from asrdistill.decode import search
from asrdistill.decode.confusion import confidences
from asrdistill.decode.graph import SearchGraph, compile_graph
from asrdistill.decode.lattice import Lattice, build
from asrdistill.decode.options import DecodeOptions
from asrdistill.decode.tree import SILENCE
from asrdistill.decode.words import Word, join
from asrdistill.errors import UserError
from asrdistill.lang.lexicon import is_prefix

BLOCK, BEYOND = 24, 8  # feature frames per search step, and of the look-ahead beyond it; see docs/internals.md
IMPOSSIBLE = 1e4  # score of an impossible senone below the best of its frame: beyond every beam
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
        self._take(compile_graph(lang, lm, senones), options or DecodeOptions(), [])

    def _take(self, graph: SearchGraph, options: DecodeOptions, spaces: list[search.SearchState]) -> "Decoder":
        self.graph, self.options, self._free_states = graph, options, spaces  # not in use by a search
        self.words, self.senones = graph.words, graph.senones
        self.tree, self.grammar, self.look, self.successors = graph.tree, graph.grammar, graph.look, graph.successors
        self.block = max(1, BLOCK // graph.subsampling)  # frames that are searched at a time
        self.window = self.block - -BEYOND // graph.subsampling  # and those of their look-ahead
        return self

    @classmethod
    def of(cls, graph: SearchGraph, options: DecodeOptions) -> "Decoder":
        """The decoder of a graph that is compiled already (:func:`asrdistill.decode.graph.keep_graph`)."""
        return cls.__new__(cls)._take(graph, options, [])

    def __reduce__(self) -> Any:
        return Decoder.of, (self.graph, self.options)

    def with_options(self, options: DecodeOptions) -> "Decoder":
        """The same decoder with other options; graph and search memory are shared."""
        return Decoder.__new__(Decoder)._take(self.graph, options, self._free_states)

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

    def _scales(self) -> search.Scales:
        options, weight = self.options, self.options.lm_weight
        beams = options.beam * weight, options.word_end_beam * weight, options.max_active
        pauses = self.graph.pause * weight, self.graph.no_pause * weight
        lattice_beam = options.lattice_beam * weight or -1.0
        return search.Scales(*beams, weight, options.insertion_penalty, *pauses, lattice_beam)


class Search:
    """Search of one utterance, whose scores may come in chunks of any sizes with the same result."""

    def __init__(self, decoder: Decoder):
        self.decoder = decoder
        self.final: list[Word] = []  # which :meth:`partial_traceback` found
        self._open: list[Word] = []  # pieces of a word whose end it did not find yet
        room = decoder.tree, decoder.grammar, decoder.senones
        self._state = decoder._free_states.pop() if decoder._free_states else search.allocate(*room)
        self._scales = decoder._scales()
        self._frame = 0  # that is searched next
        self._scores = np.empty((0, decoder.senones), np.float32)  # from there on
        self._lookahead = np.zeros((1, decoder.senones), np.float32)  # of the frame before
        search.start(decoder.grammar, decoder.look, self._state)

    def accept(self, loglikes: np.ndarray) -> None:
        """Search on with the next frames' loglikes (T, S), natural logarithms, unscaled.

        -inf marks an impossible senone. Raises UserError for another number of senones, NaN, +inf, and a frame without
        a possible senone.
        """
        frames = np.array(loglikes, np.float32, order="C")
        check_scores(frames, self.decoder.senones, self.frames)
        np.maximum(frames, frames.max(axis=1, keepdims=True) - IMPOSSIBLE, out=frames)
        self._scores = np.concatenate([self._scores, frames])
        while len(self._scores) >= self.decoder.window:
            self._advance(self._scores[: self.decoder.window], last=False)

    def _advance(self, window: np.ndarray, last: bool) -> None:
        """Search one block; the window also has the frames of its look-ahead."""
        decoder = self.decoder
        ahead, between = search.acoustic_lookahead(decoder.tree, decoder.successors, window, decoder.block, last)
        acoustic_lookahead, count, done = np.concatenate([self._lookahead, ahead]), len(ahead), 0
        last = last and count == len(window)
        graph = decoder.tree, decoder.grammar, decoder.look
        sound = window[:count], acoustic_lookahead, between, self._frame
        while (done := search.advance(*graph, self._state, self._scales, *sound, done, last)) < count:
            self._state = search.enlarge(self._state)
        self._frame, self._scores, self._lookahead = self._frame + count, self._scores[count:], acoustic_lookahead[-1:]

    def partial_traceback(self) -> None:
        """Move the words that all live paths share to `final` and free their memory; not with a lattice beam."""
        if self._scales.lattice_beam >= 0:
            return
        root, kept = search.common_record(self._state)
        units = self._open + self._trace(root)
        whole = max((k for k, unit in enumerate(units, 1) if not is_prefix(unit.word)), default=0)
        self.final += join(units[:whole])
        self._open = units[whole:]
        search.keep_records(self._state, kept)

    @property
    def frames(self) -> int:
        """How many were accepted."""
        return self._frame + len(self._scores)

    @property
    def partial(self) -> list[Word]:
        """The words after the final ones on the currently best path."""
        state, counts = self._state, self._state.counts
        best = state.tokens[counts[search.PARITY], counts[search.BEST]]
        return join(self._open + self._trace(best["back"] if counts[search.TOKENS] else 0))

    def finish(self) -> Hypothesis:
        """End the search: the result for all frames; raises UserError if there were none."""
        while len(self._scores):
            self._advance(self._scores[: self.decoder.window], last=True)
        if self.frames == 0:
            raise UserError("there are no frames to decode; give longer audio")
        decoder, state = self.decoder, self._state
        ends = search.final_paths(decoder.tree, decoder.grammar, state, self._scales, self._lookahead[0])
        origins, scores, whole = ends
        best = int(np.argmax(scores)) if len(scores) else None
        times = self._open + self._trace(0 if best is None else origins[best])
        decoder._free_states.append(state)
        del self._state
        lattice = None
        if self._scales.lattice_beam >= 0:
            lattice = build(decoder.tree, decoder.grammar, state, self._scales, decoder.words, ends)
            options = decoder.options
            sure = confidences(lattice, options.lm_weight, options.insertion_penalty, [word.word for word in times])
            times = [word._replace(confidence=c) for word, c in zip(times, sure.confidences, strict=True)]
        return Hypothesis(self.final + join(times), float(scores[best]), not whole, lattice)

    def _trace(self, record: int) -> list[Word]:
        """Words and pieces on the path to `record` (or a merge), in order of time."""
        records, words, leaf_word = self._state.records, [], self.decoder.tree.leaf["word"]
        record = search.best_record(self._state, record)
        while record > 0:
            _, leaf, end, back, _ = records[record]
            before = search.best_record(self._state, back)
            if (index := leaf_word[leaf]) != SILENCE:
                score = float(records["score"][record] - records["score"][before])
                words.append(Word(self.decoder.words[index], int(records["end"][before]), int(end), score))
            record = before
        return words[::-1]
