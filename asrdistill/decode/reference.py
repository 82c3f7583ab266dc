"""The search as one would explain it: no tree, no look-ahead, no beam. Slow; tests compare with it.

Viterbi over (history, pronunciation, state of it), every word's own states, with the language
model asked word by word.
"""

from typing import Any

import numpy as np

from asrdistill.decode.decoder import DecodeOptions

Path = tuple[float, tuple[str, ...]]  # score, words
START = ("<s>",)


def search(lang: Any, lm: Any, senones: Any, options: DecodeOptions, loglikes: np.ndarray) -> Path | None:
    """(score, words) of the best path through loglikes (T, S), or None where T is too short for any.

    `lm` has ``order``, ``vocabulary`` and ``logprob(word, history)``; arguments as for
    :class:`asrdistill.decode.decoder.Decoder`, whose scores and words these are.
    """
    entries = [(lang.silence, 0.0, senones.states[lang.silence])]
    for word in lang.words:
        for probability, phones in lang.pronunciations[word]:
            entries.append((word, np.log(probability), [s for phone in phones for s in senones.states[phone]]))

    def token(word: str) -> str:
        return word if word in lm.vocabulary else "<unk>"

    inside: dict[tuple, Path] = {}  # (history, entry, position) -> path that is there at this frame
    between: dict[tuple, Path] = {(START, False): (0.0, ())}  # (history, after silence) -> path between words
    for observed in np.asarray(loglikes, np.float64):
        moved: dict[tuple, Path] = {}
        for (history, entry, position), (score, words) in inside.items():
            states = entries[entry][2]
            _keep(moved, (history, entry, position), score + senones.self_loop[states[position]], words)
            if position + 1 < len(states):
                _keep(moved, (history, entry, position + 1), score + senones.forward[states[position]], words)
        for (history, after_silence), (score, words) in between.items():
            for entry in range(1 if after_silence else 0, len(entries)):
                _keep(moved, (history, entry, 0), score + (options.insertion_penalty if entry else 0.0), words)
        inside = {key: (s + observed[entries[key[1]][2][key[2]]], words) for key, (s, words) in moved.items()}
        between = {}
        for (history, entry, position), (score, words) in inside.items():
            word, logprob, states = entries[entry]
            if position + 1 < len(states):
                continue
            score += senones.forward[states[-1]]
            if entry == 0:
                _keep(between, (history, True), score, words)
            else:
                score += options.lm_weight * (lm.logprob(token(word), history) + logprob)
                longer = (*history, token(word))
                _keep(between, (longer[len(longer) - max(lm.order - 1, 0) :], False), score, (*words, word))
    ends = [(s + options.lm_weight * lm.logprob("</s>", history), w) for (history, _), (s, w) in between.items()]
    return max(ends, default=None)


def _keep(paths: dict[tuple, Path], key: tuple, score: float, words: tuple[str, ...]) -> None:
    if key not in paths or score > paths[key][0]:
        paths[key] = (score, words)
