"""The search as one would explain it: no tree, no look-ahead, no beam. Slow; tests compare with it.

An utterance is a sequence of pronunciations, with silence before, between and after them where it
is taken. A phone's states depend on the phone before it and on the phone after it; before the first
and after the last stands silence. Viterbi over (history, pronunciation, the phone before it, the
phone after it, state): the phone after it is guessed where the pronunciation begins, so that its
states are known, and whatever comes next must begin with this phone. After a piece that leaves its word
open comes one that goes on it, and no silence. At a low frame rate, a phone's first state of two lasts
one frame, after which the phone goes on, by the self loop's probability, or ends.
"""

from typing import Any

import numpy as np

from asrdistill.decode.options import DecodeOptions
from asrdistill.lang.lexicon import is_continuation, is_prefix
from tests import trees

Path = tuple[float, tuple[str, ...]]  # score, words
START = ("<s>",)


def search(lang: Any, lm: Any, senones: Any, options: DecodeOptions, loglikes: np.ndarray) -> Path | None:
    """(score, words and pieces) of the best path through loglikes (T, S), or None where T is too short for any."""
    return max(paths(lang, lm, senones, options, loglikes), default=None)


def paths(lang: Any, lm: Any, senones: Any, options: DecodeOptions, loglikes: np.ndarray) -> list[Path]:
    """(score, words) of the best path that ends in each history; histories are as long as the order of `lm`.

    `lm` has ``order``, ``vocabulary`` and ``logprob(word, history)``; arguments as for
    :class:`asrdistill.decode.decoder.Decoder`, whose scores and words these are.
    """
    silence, taken = lang.silence, options.lm_weight * np.log(lang.silence_probability)
    not_taken = options.lm_weight * np.log(1 - lang.silence_probability)
    entries = [("", 0.0, (silence,))]
    for word in lang.words:
        entries += [(word, np.log(probability), phones) for probability, phones in lang.pronunciations[word]]
    following = sorted({phones[0] for _, _, phones in entries})
    spelled = {}

    def states(before: str, entry: int, after: str) -> list[int]:
        """The senones of a pronunciation between two phones."""
        key = before, entry, after
        if key not in spelled:
            phones = [before, *entries[entry][2], after]
            spelled[key] = [
                s
                for beside in zip(phones[:-2], phones[1:-1], phones[2:], strict=True)
                for s in trees.between(senones, *beside)
            ]
        return spelled[key]

    def token(word: str) -> str:
        return word if word in lm.vocabulary else "<unk>"

    inside: dict[tuple, Path] = {}  # (history, (phone before, entry, phone after), position) -> path that is there
    # (history, phone before, phone that must come next, the word just said, "" for silence) -> path between words
    between: dict[tuple, Path] = {(START, silence, after, START[0]): (0.0, ()) for after in following}
    for observed in np.asarray(loglikes, np.float64):
        moved: dict[tuple, Path] = {}
        for (history, said, position), (score, words) in inside.items():
            senone = states(*said)[position]
            once = senones.once[senone]
            _keep(moved, (history, said, position + once), score + senones.self_loop[senone], words)
            if position + 1 + once < len(states(*said)):
                _keep(moved, (history, said, position + 1 + once), score + senones.forward[senone], words)
        for (history, before, promised, last), (score, words) in between.items():
            for entry, (word, _, phones) in enumerate(entries):
                if phones[0] != promised or not (last or word) or is_prefix(last) != is_continuation(word):
                    continue
                free = not last or is_continuation(word)  # where no silence may stand, it costs nothing to take none
                cost = options.insertion_penalty + (0.0 if free else not_taken) if word else taken
                for after in following:
                    _keep(moved, (history, (before, entry, after), 0), score + cost, words)
        inside = {
            (history, said, position): (score + observed[states(*said)[position]], words)
            for (history, said, position), (score, words) in moved.items()
        }
        between = {}
        for (history, said, position), (score, words) in inside.items():
            if position + 1 + senones.once[states(*said)[position]] < len(states(*said)):
                continue
            word, logprob, phones = entries[said[1]]
            score += senones.forward[states(*said)[position]]
            if not word:
                _keep(between, (history, phones[-1], said[2], ""), score, words)
            else:
                score += options.lm_weight * (lm.logprob(token(word), history) + logprob)
                longer = (*history, token(word))
                history = longer[len(longer) - max(lm.order - 1, 0) :]
                _keep(between, (history, phones[-1], said[2], word), score, (*words, word))
    return [
        (score + options.lm_weight * lm.logprob("</s>", history) + (not_taken if last else 0.0), words)
        for (history, _, promised, last), (score, words) in between.items()
        if promised == silence and not is_prefix(last)
    ]


def _keep(paths: dict[tuple, Path], key: tuple, score: float, words: tuple[str, ...]) -> None:
    if key not in paths or score > paths[key][0]:
        paths[key] = (score, words)
