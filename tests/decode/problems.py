"""Random small recognition problems: lexicon, senones, language model, scores."""

from dataclasses import dataclass

import numpy as np


@dataclass
class Lang:
    phones: list
    words: list
    pronunciations: dict
    silence: str = "SIL"


class Senones:
    def __init__(self, phones, rng):
        self.phones, self.states, count = phones, {}, 0
        for phone in phones:
            size = 5 if phone == "SIL" else 3
            self.states[phone] = list(range(count, count + size))
            count += size
        self.count = count
        self.self_loop = np.log(rng.uniform(0.2, 0.9, count))

    @property
    def forward(self):
        return np.log1p(-np.exp(self.self_loop))


class NGram:
    def __init__(self, levels):
        self.levels = levels
        self.order = len(levels)
        self.vocabulary = [w for (w,) in levels[0]]

    def logprob(self, word, history):
        history = tuple(history)[-(self.order - 1):] if self.order > 1 else ()
        full = (*history, word)
        if len(full) <= self.order and full in self.levels[len(full) - 1]:
            return self.levels[len(full) - 1][full][0]
        bow = self.levels[len(history) - 1].get(history, (0, 0.0))[1] if history else 0.0
        return bow + self.logprob(word, history[1:])


def random_lm(words, order, rng):
    vocabulary = ["<s>", "</s>", *words]
    levels = [{(w,): (np.log(p), float(rng.normal(0, .5))) for w, p in zip(vocabulary, rng.dirichlet(np.ones(len(vocabulary))))}]
    for n in range(2, order + 1):
        level = {}
        for head in levels[-1]:
            if head[-1] == "</s>":
                continue
            for w in vocabulary[1:]:
                if rng.random() < 0.4 and ((*head, w)[1:] in levels[-1]):
                    level[(*head, w)] = (float(np.log(rng.uniform(0.01, 0.9))), float(rng.normal(0, .5)) if n < order else 0.0)
        levels.append(level)
    return NGram(levels)


def random_problem(seed, order):
    rng = np.random.default_rng(seed)
    phones = ["SIL"] + [f"p{i}" for i in range(rng.integers(2, 5))]
    words, prons = [f"w{i}" for i in range(rng.integers(2, 7))], {}
    for w in words:
        prons[w] = []
        for _ in range(rng.integers(1, 3)):
            ph = tuple(rng.choice(phones[1:], size=rng.integers(1, 4)))
            if ph not in [x for _, x in prons[w]]:
                prons[w].append((float(rng.uniform(0.3, 1)), ph))
    lang = Lang(phones, words, prons)
    senones = Senones(phones, rng)
    lm = random_lm(words, order, rng)
    loglikes = rng.normal(0, 3, (rng.integers(3, 40), senones.count)).astype(np.float32)
    return lang, senones, lm, loglikes
