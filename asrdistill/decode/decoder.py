"""The decoder: compiles lexicon, senones and language model once, then finds the words of utterances."""

import copy
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from asrdistill.decode import search
from asrdistill.decode.graph import Graph, compile_graph
from asrdistill.decode.options import DecodeOptions
from asrdistill.decode.tree import SILENCE
from asrdistill.errors import UserError


class Word(NamedTuple):
    """A recognised word from frame `start` up to but not including frame `end`, with its share of the score."""

    word: str
    start: int
    end: int
    score: float


@dataclass(frozen=True)
class Hypothesis:
    """What was recognised in an utterance.

    `partial` marks a path that stopped inside a word when the frames ended: the words before it.
    """

    times: list[Word]
    score: float
    partial: bool

    @property
    def words(self) -> list[str]:
        return [word.word for word in self.times]


class Decoder:
    """Viterbi search over the words of a lexicon and an n-gram model of them.

    decoder = Decoder(Lang.read("lang"), read_arpa("lm/lm.arpa"), scorer.senones, DecodeOptions())
    decoder.decode(scorer.loglikes(features)).words

    `lang` is an :class:`asrdistill.lang.lexicon.Lang`, `lm` an :class:`asrdistill.lang.ngram.NGram`,
    `senones` an :class:`asrdistill.hmm.senones.Senones`. Words of the lexicon that the language
    model lacks are recognised as its ``<unk>``; where it has none, and for words that only the
    language model has, a warning counts and names them. A decoder can be sent to worker processes.
    """

    def __init__(self, lang: Any, lm: Any, senones: Any, options: DecodeOptions | None = None):
        self._take(compile_graph(lang, lm, senones), options or DecodeOptions())

    @classmethod
    def of(cls, graph: Graph, options: DecodeOptions) -> "Decoder":
        """The decoder of a graph that is compiled already (:func:`asrdistill.decode.graph.keep_graph`)."""
        decoder = cls.__new__(cls)
        decoder._take(graph, options)
        return decoder

    def _take(self, graph: Graph, options: DecodeOptions) -> None:
        self.graph, self.options = graph, options
        self.words, self.senones, self.silence_probability = graph.words, graph.senones, graph.silence_probability
        self.tree, self.grammar, self.look, self.successors = graph.tree, graph.grammar, graph.look, graph.successors
        self._space: search.Space | None = None

    def __reduce__(self) -> Any:
        return Decoder.of, (self.graph, self.options)

    def with_scales(self, lm_weight: float, insertion_penalty: float) -> "Decoder":
        """The same decoder under other scales; nothing is compiled again."""
        other = copy.copy(self)
        other.options = replace(self.options, lm_weight=lm_weight, insertion_penalty=insertion_penalty)
        return other

    def with_options(self, options: DecodeOptions) -> "Decoder":
        """The same decoder under other options; nothing is compiled again."""
        other = copy.copy(self)
        other.options = options
        return other

    def decode(self, loglikes: np.ndarray) -> Hypothesis:
        """The best path's words through loglikes (T, S), natural logarithms, unscaled.

        Raises UserError for no frames, another number of senones, and values that are not finite.
        """
        frames = np.array(loglikes, np.float32, order="C")
        if frames.ndim != 2 or frames.shape[1] != self.senones:
            raise UserError(
                f"scores have shape {frames.shape}, but the decoder was built for frames of {self.senones} senones"
            )
        if len(frames) == 0:
            raise UserError("there are no frames to decode")
        if not np.isfinite(frames).all():
            bad = int(np.flatnonzero(~np.isfinite(frames).all(1))[0])
            raise UserError(
                f"scores of frame {bad} are not finite (NaN or infinity); the model or its input is damaged"
            )
        return self._search(frames)

    def _search(self, frames: np.ndarray) -> Hypothesis:
        space = self._space or search.allocate(self.tree, self.grammar, self.senones)
        scales = self._scales()
        search.start(self.grammar, self.look, space)
        ahead, between = search.outlook(self.successors, frames)
        graph, frame = (self.tree, self.grammar, self.look), 0
        while (frame := search.advance(*graph, space, scales, frames, ahead, between, frame)) < len(frames):
            space = search.enlarge(space)
        self._space = space
        record, score, whole = search.finish(self.tree, self.grammar, space, scales, ahead[-1])
        return Hypothesis(self._trace(space, record), float(score), not whole)

    def _scales(self) -> search.Scales:
        options = self.options
        return search.Scales(
            options.beam * options.lm_weight,
            options.word_end_beam * options.lm_weight,
            options.max_active,
            options.lm_weight,
            options.insertion_penalty,
            options.lm_weight * float(np.log(self.silence_probability)),
            options.lm_weight * float(np.log1p(-self.silence_probability)),
        )

    def _trace(self, space: search.Space, record: int) -> list[Word]:
        """The words of the path that ends with `record`, in order of time."""
        words = []
        while record >= 0:
            back = space.record_back[record]
            start, before = (space.record_end[back], space.record_score[back]) if back >= 0 else (0, 0.0)
            index = self.tree.leaf_word[space.record_leaf[record]]
            if index != SILENCE:
                score = float(space.record_score[record] - before)
                words.append(Word(self.words[index], int(start), int(space.record_end[record]), score))
            record = back
        return words[::-1]
