"""Keyword spotting: keywords against a loop of all phones, over a model's senones, frame by frame.

At each frame a keyword may begin. Its score is the log-likelihood ratio per frame of the best path through its states
to the best path through the loop (Rose, Paul 1990), where each phone has ln P = PHONE. There are no transition
probabilities, and log-likelihoods are divided by the language model's weight.
"""

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from asrdistill.decode.decoder import Hypothesis
from asrdistill.decode.words import Word
from asrdistill.errors import UserError

BLOCK = 8  # frames that are taken at a time
PHONE = -0.8  # ln P of each phone
MOST = 8  # pronunciations of a keyword
THRESHOLD = -0.1  # unless another is given
LEAST = -1.0  # threshold, below which a keyword is found everywhere


class States:
    """Chains of HMM states, one after the other; a state stands for several senones, of which the best counts."""

    def __init__(self) -> None:
        self.senones: list[np.ndarray] = []
        self.first: list[int] = []  # of each chain
        self.last: list[list[int]] = []  # states that a chain may end with
        self.begins: list[bool] = []  # begins a phone
        self.once: list[bool] = []  # lasts one frame
        self.skipped: list[bool] = []  # may be left out

    def add(self, senones: Any, phones: Sequence[int], left: int | None = None) -> None:
        """A chain of phones, the first after those of a context class (None: all), the last before any."""
        everything = np.arange(senones.table.shape[1])
        inside = [np.array([senones.contexts[phone]]) for phone in phones]
        around = [everything if left is None else np.array([left]), *inside, everything]
        self.first.append(len(self.senones))
        for place, phone in enumerate(phones):
            length = int(senones.lengths[phone])
            short = senones.subsampling > 1 and length == 2
            answers = senones.table[phone][np.ix_(around[place], around[place + 2])]
            for state in range(length):
                self.senones.append(np.unique(answers[:, :, state]))
                self.begins.append(state == 0)
                self.once.append(short and state == 0)
                self.skipped.append(short and state == 1)
        end = len(self.senones) - 1
        self.last.append([end, end - 1] if self.skipped[end] else [end])

    def close(self) -> None:
        self.members, sizes = np.concatenate(self.senones), [len(each) for each in self.senones]
        self.begin = np.cumsum([0, *sizes[:-1]])
        inside = np.ones(len(sizes), bool)
        inside[self.first] = False
        self.stay = np.where(self.once, -np.inf, 0.0)
        cost = PHONE * np.array(self.begins)
        self.step = np.where(inside, cost, -np.inf)
        second = np.append([False], self.skipped[:-1]) & inside
        self.skip = np.where(second & np.roll(inside, 1), cost, -np.inf)

    def scores(self, loglikes: np.ndarray) -> np.ndarray:
        """(T, S) -> (T, states)"""
        return np.maximum.reduceat(loglikes[:, self.members], self.begin, axis=1).astype(np.float64)

    def reach(self, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(score of each state before the next frame's, how many states before it the path was)."""
        best = score + self.stay
        steps = np.zeros(len(score), np.int64)
        for step, cost in ((1, self.step), (2, self.skip)):
            way = np.full(len(score), -np.inf)
            way[step:] = score[:-step]
            way += cost
            steps[way > best] = step
            np.maximum(best, way, out=best)
        return best, steps


class KeywordDecoder:
    """Finds keywords; its searches are those of a :class:`asrdistill.runtime.stream.Stream`.

    `keywords` maps each to the pronunciations of its words. Detections score at least the keyword's threshold.
    """

    def __init__(
        self,
        senones: Any,
        keywords: Mapping[str, Sequence[Any]],
        thresholds: Sequence[float],
        weight: float,
    ):
        self.senones, self.names, self.thresholds = senones.count, list(keywords), list(thresholds)
        self.block = self.window = BLOCK
        self.weight = weight
        number = {phone: index for index, phone in enumerate(senones.phones)}
        self.keywords, self.loop, self.owner = States(), States(), []
        for index, words in enumerate(keywords.values()):
            for chosen in list(itertools.product(*words))[:MOST]:
                for pause in ((), (senones.phones[0],))[: len(chosen)]:  # without pauses between words, and with
                    phones = [phone for word in chosen for phone in (*word, *pause)]
                    phones = phones[: len(phones) - len(pause)]
                    self.keywords.add(senones, [number[phone] for phone in phones])
                    self.owner.append(index)
        # the loop has each phone after each class of phones
        classes = senones.table.shape[1]
        order = np.argsort(senones.contexts, kind="stable")
        for phone in order.tolist():
            for left in range(classes):
                self.loop.add(senones, [phone], left)
        self.keywords.close()
        self.loop.close()
        self.ends = np.array([(lasts[0], lasts[-1]) for lasts in self.loop.last]).T
        self.entered = np.tile(np.arange(classes), len(order))  # class before each chain of the loop
        self.of_class = classes * np.searchsorted(senones.contexts[order], np.arange(classes))

    def start(self) -> "KeywordSearch":
        return KeywordSearch(self)


class KeywordSearch:
    """Search of one stream; `final` are its detections, whose score is the log-likelihood ratio per frame."""

    def __init__(self, decoder: KeywordDecoder):
        self.decoder, self.frames = decoder, 0
        self.final: list[Word] = []
        self.partial: list[Word] = []
        self._score = np.full(len(decoder.keywords.senones), -np.inf)  # against the loop
        self._start = np.zeros(len(self._score), np.int64)
        self._loop = np.full(len(decoder.loop.senones), -np.inf)
        self._open: dict[int, Word] = {}  # the best detection of a keyword, which may overlap with better ones

    def accept(self, loglikes: np.ndarray) -> None:
        """Search on with the next frames' loglikes (T, S), natural logarithms, unscaled."""
        decoder = self.decoder
        if not len(loglikes):
            return
        loglikes = loglikes / np.float32(decoder.weight)
        keywords, loop, fresh = decoder.keywords, decoder.loop, np.array(decoder.keywords.first)
        for own, background in zip(keywords.scores(loglikes), loop.scores(loglikes), strict=True):
            reached, _ = loop.reach(self._loop)
            ended = np.maximum.reduceat(self._loop[decoder.ends].max(0), decoder.of_class)
            entry = PHONE + (ended[decoder.entered] if self.frames else 0.0)
            reached[loop.first] = np.maximum(reached[loop.first], entry)
            self._loop = reached + background
            best = self._loop.max()
            self._loop -= best  # of which each frame's share is `best`
            reached, steps = keywords.reach(self._score)
            self._start = self._start[np.arange(len(steps)) - steps]
            better = fresh[reached[fresh] < PHONE]
            reached[better], self._start[better] = PHONE, self.frames
            self._score = reached + own - best
            self.frames += 1
            self._detect()

    add = accept

    def _detect(self) -> None:
        decoder = self.decoder
        for index, lasts in zip(decoder.owner, decoder.keywords.last, strict=True):
            for state in lasts:
                start = int(self._start[state])
                score = float(self._score[state]) / (self.frames - start)
                if not score >= decoder.thresholds[index]:
                    continue
                held = self._open.get(index)
                if held and start >= held.end:
                    self.final.append(self._open.pop(index))
                    held = None
                if held is None or score > held.score:
                    self._open[index] = Word(decoder.names[index], start, self.frames, score)

    def partial_traceback(self) -> None:
        """Move detections to `final` that no later frame can better."""
        begun = dict.fromkeys(self._open, self.frames)
        for index, first, lasts in zip(
            self.decoder.owner, self.decoder.keywords.first, self.decoder.keywords.last, strict=True
        ):
            if index in begun:
                states = slice(first, lasts[0] + 1)
                live = self._start[states][self._score[states] > -np.inf]
                begun[index] = min(begun[index], int(live.min(initial=self.frames)))
        for index, start in begun.items():
            if start >= self._open[index].end:
                self.final.append(self._open.pop(index))

    def finish(self) -> Hypothesis:
        """End the search; raises UserError if there were no frames."""
        if self.frames == 0:
            raise UserError("there are no frames to search; give longer audio")
        self.final += sorted(self._open.values(), key=lambda word: word.end)
        self._open = {}
        return Hypothesis(self.final, 0.0, False)


def threshold(scores: Iterable[float], hours: float, per_hour: float) -> float:
    """The lowest threshold that no more than so many of the scores reach (of false detections in so many hours)."""
    ranked, allowed = sorted(scores, reverse=True), int(per_hour * hours)
    return math.floor(1000 * ranked[allowed] + 1) / 1000 if allowed < len(ranked) else LEAST
