"""The decoder: compiles lexicon, senones and language model once, then finds the words of utterances."""

import copy
import logging
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from asrdistill.data.matrices import check_scores
from asrdistill.decode import search
from asrdistill.decode.ctc import with_blanks
from asrdistill.decode.lm import compile_grammar, levels_of
from asrdistill.decode.lookahead import compile_look_ahead, compile_successors
from asrdistill.decode.options import DecodeOptions
from asrdistill.decode.tree import SILENCE, build_tree
from asrdistill.errors import UserError, shorten

log = logging.getLogger("asrdistill")

IMPOSSIBLE = 1e4  # how far below a frame's best an impossible senone counts: beyond every beam
WIDER, RETRIES = 2.0, 3  # a search that loses every way to the end is tried again with beams so much wider


class Word(NamedTuple):
    """A recognised word from frame `start` up to but not including frame `end`, with its share of the score."""

    word: str
    start: int
    end: int
    score: float


@dataclass(frozen=True)
class Hypothesis:
    """What was recognised in an utterance.

    `partial` marks a path that stopped inside a word when the frames ended, where no wider beam found
    one that did not: the words before it.
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
    language model has, a warning counts and names them. A decoder can be pickled to worker processes.
    """

    def __init__(self, lang: Any, lm: Any, senones: Any, options: DecodeOptions | None = None):
        self.options = options or DecodeOptions()
        self.words: list[str] = lang.words
        self.senones: int = senones.count
        silence = lang.silence_probability
        self.pauses = (0.0, 0.0) if senones.ctc else (float(np.log(silence)), float(np.log1p(-silence)))
        levels, tokens = levels_of(lm)
        self.grammar = compile_grammar(levels, tokens)
        tree = build_tree(lang, senones, _spoken(lang.words, tokens))
        self.tree = with_blanks(tree) if senones.ctc else tree
        self.look = compile_look_ahead(self.tree, self.grammar)
        self.successors = compile_successors(self.tree, self.senones)
        self._space: search.Space | None = None

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

        A senone with -inf is as good as impossible. Raises UserError for no frames, another number of
        senones, a NaN, +inf, and a frame without any senone that is possible.
        """
        frames = np.array(loglikes, np.float32, order="C")
        check_scores(frames, self.senones)
        np.maximum(frames, frames.max(axis=1, keepdims=True) - IMPOSSIBLE, out=frames)
        decoder, found = self, self._search(frames)
        for _ in range(RETRIES if found.partial else 0):
            decoder = decoder.with_options(decoder.options.wider(WIDER))
            if not (found := decoder._search(frames)).partial:
                break
        return found

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
            options.lm_weight * self.pauses[0],
            options.lm_weight * self.pauses[1],
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

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_space": None}


def _spoken(words: list[str], tokens: dict[str, int]) -> dict[str, int]:
    """Token of each word that can be recognised; warns about words that lexicon or language model lack."""
    known = set(words)
    if silent := sorted(tokens.keys() - known - {"<s>", "</s>", "<unk>"}):
        log.warning(
            "%d words of the language model have no pronunciation and cannot be recognised: %s",
            len(silent),
            shorten(silent),
        )
    if unseen := [word for word in words if word not in tokens]:
        if "<unk>" in tokens:
            log.warning("%d words of the lexicon are <unk> to the language model: %s", len(unseen), shorten(unseen))
        else:
            log.warning(
                "%d words of the lexicon are unknown to the language model and cannot be recognised: %s",
                len(unseen),
                shorten(unseen),
            )
    unknown = tokens.get("<unk>")
    named = {word: tokens.get(word, unknown) for word in words}
    spoken = {word: token for word, token in named.items() if token is not None}
    if not spoken:
        raise UserError("the lexicon and the language model have no word in common")
    return spoken
