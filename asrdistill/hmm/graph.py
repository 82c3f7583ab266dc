"""What an utterance's words allow: a left-to-right graph of HMM states.

Between words, before the first and after the last, silence may stand; a word may be said in each
of its pronunciations. The states are numbered so that every arc leads to a higher number, apart
from the self loop that each state has.

             ┌► pronunciation 1 ─┐  ┌►  SIL  ─┐  ┌► …
    ─► [SIL] ┤                   ├──┤         ├──┤
             └► pronunciation 2 ─┘  └─────────┘  └► …
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numba
import numpy as np

from asrdistill.errors import UserError, shorten
from asrdistill.hmm.senones import Senones

if TYPE_CHECKING:
    from asrdistill.lang.lexicon import Lang


class Graph(NamedTuple):
    """N states, A arcs into them (self loops not among these). Weights are natural logs.

    Transition probabilities of the senones are not in the weights: they change while training.
    """

    senone: np.ndarray  # (N,) int32
    unit: np.ndarray  # (N,) int32: which phone of the graph the state belongs to; rises along every path
    unit_phone: np.ndarray  # (units,) int32: index into the phones
    unit_word: np.ndarray  # (units,) int32: place of the word in the utterance, -1 for silence
    first: np.ndarray  # (N + 1,) int32: arcs into state n are first[n] … first[n + 1] - 1
    source: np.ndarray  # (A,) int32: the state that an arc comes from
    weight: np.ndarray  # (A,) float32
    entry: np.ndarray  # (N,) float32: weight of starting in the state, -inf where one cannot
    exit: np.ndarray  # (N,) float32: weight of ending after the state

    def senones(self) -> tuple[np.ndarray, np.ndarray]:
        """The senones that occur, sorted, and for each state the place of its own among them (N,)."""
        found, places = np.unique(self.senone, return_inverse=True)
        return found, places.astype(np.int32)


class Compiler:
    """Makes the graphs of utterances from lexicon and senones.

    compiler = Compiler(lang, senones)
    graph = compiler(["HELLO", "WORLD"])
    """

    def __init__(self, lang: Lang, senones: Senones):
        if missing := sorted(set(lang.phones) - senones.states.keys()):
            raise UserError(f"the model lacks phones of the lexicon: {shorten(missing)}; train it with this lexicon")
        self.lang, self.senones = lang, senones
        self.word_index = {word: index for index, word in enumerate(lang.pronunciations)}
        phone_index = {phone: index for index, phone in enumerate(lang.phones)}
        spoken = [lang.pronunciations[word] for word in self.word_index]
        flat = [pronunciation for alternatives in spoken for pronunciation in alternatives]
        self._arrays = (
            _starts(len(alternatives) for alternatives in spoken),
            np.log([probability for probability, _ in flat]),
            _starts(len(phones) for _, phones in flat),
            np.array([phone_index[phone] for _, phones in flat for phone in phones], dtype=np.int32),
            _starts(len(senones.states[phone]) for phone in lang.phones),
            np.array([senone for phone in lang.phones for senone in senones.states[phone]], dtype=np.int32),
            phone_index[lang.silence],
            np.log(lang.silence_probability),
            np.log1p(-lang.silence_probability),
        )

    def __call__(self, words: Sequence[str]) -> Graph:
        """The graph of these words, all of which the lexicon must have; no words at all are one silence."""
        return Graph(*_compile(np.array([self.word_index[word] for word in words], dtype=np.int64), *self._arrays))

    def flat_path(self, words: Sequence[str]) -> list[int]:
        """Senones of the first pronunciations between two silences: where a flat start begins."""
        phones = [phone for word in words for phone in self.lang.pronunciations[word][0][1]]
        phones = [self.lang.silence, *phones, self.lang.silence]
        return [senone for phone in phones for senone in self.senones.states[phone]]


def _starts(lengths) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(list(lengths))]).astype(np.int64)


@numba.njit(cache=True)
def _compile(
    words, word_first, pron_logprob, pron_first, pron_phones, phone_first, phone_senones, silence, log_sil, log_no_sil
):
    """The arrays of :class:`Graph` for the word indices (n,); :class:`Compiler` says what the others are."""
    senone, unit, unit_phone, unit_word = _integers(), _integers(), _integers(), _integers()
    first, source, weight, entry = [0], _integers(), [0.0][:0], [0.0][:0]
    parts = (senone, unit, unit_phone, unit_word, first, source, weight, entry)
    silence_phone = np.array([silence], dtype=pron_phones.dtype)

    before = _integers()  # last states of the word before
    _add_phones(parts, silence_phone, -1, before, 0.0, -1, 0.0, log_sil, phone_first, phone_senones)
    for place in range(len(words)):
        silence_end, ends = len(senone) - 1, _integers()
        for p in range(word_first[words[place]], word_first[words[place] + 1]):
            phones = pron_phones[pron_first[p] : pron_first[p + 1]]
            skip = log_no_sil + pron_logprob[p]  # no silence before the word
            start = skip if place == 0 else -np.inf
            _add_phones(
                parts, phones, place, before, skip, silence_end, pron_logprob[p], start, phone_first, phone_senones
            )
            ends.append(len(senone) - 1)
        _add_phones(parts, silence_phone, -1, ends, log_sil, -1, 0.0, -np.inf, phone_first, phone_senones)
        before = ends

    exit = np.full(len(senone), -np.inf, dtype=np.float32)
    exit[-1] = 0.0
    for end in before:
        exit[end] = log_no_sil
    return (
        np.array(senone, dtype=np.int32),
        np.array(unit, dtype=np.int32),
        np.array(unit_phone, dtype=np.int32),
        np.array(unit_word, dtype=np.int32),
        np.array(first, dtype=np.int32),
        np.array(source, dtype=np.int32),
        np.array(weight, dtype=np.float32),
        np.array(entry, dtype=np.float32),
        exit,
    )


@numba.njit(cache=True)
def _add_phones(
    parts, phones, place, words, word_weight, silence, silence_weight, start_weight, phone_first, phone_senones
):
    """Append a chain of phones.

    Its first state is entered from the last states of the `words` before, from the end of the
    `silence` between (-1: none), and at the start of the utterance, each with its weight.
    """
    senone, unit, unit_phone, unit_word, first, source, weight, entry = parts
    begin = len(senone)
    for phone in phones:
        for h in range(phone_first[phone], phone_first[phone + 1]):
            if len(senone) > begin:
                source.append(len(senone) - 1)
                weight.append(0.0)
                entry.append(-np.inf)
            else:
                for end in words:
                    source.append(end)
                    weight.append(word_weight)
                if silence >= 0:
                    source.append(silence)
                    weight.append(silence_weight)
                entry.append(start_weight)
            senone.append(phone_senones[h])
            unit.append(len(unit_phone))
            first.append(len(source))
        unit_phone.append(phone)
        unit_word.append(place)


@numba.njit(cache=True)
def _integers():
    return [0][:0]
