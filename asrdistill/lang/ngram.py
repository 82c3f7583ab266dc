"""N-gram language models: interpolated modified Kneser-Ney (Chen, Goodman 1999), reading and writing ARPA.

Unigrams are interpolated with a uniform distribution, so that every word has a probability after every history.
"""

from __future__ import annotations

import gzip
import logging
import math
from array import array
from bisect import bisect_left
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from asrdistill.errors import UserError, shorten
from asrdistill.files import atomic, write_json, write_text
from asrdistill.lang import entropy
from asrdistill.lang.lexicon import is_continuation, is_prefix
from asrdistill.reader import reading

log = logging.getLogger("asrdistill")

START, END, UNKNOWN = "<s>", "</s>", "<unk>"
NEVER = -99.0  # log10 probability of <s> in an ARPA file
LN10 = math.log(10)

Words = tuple[str, ...]
Entry = tuple[float, float]  # ln probability, ln back-off weight


class Level(Mapping[Words, Entry]):
    """The G n-grams of one order in arrays; also a mapping from their words.

    symbols   words in the order of the unigrams
    number    word -> its number
    shorter   the n-grams of the next lower order; None for unigrams
    key       (G,) int64, ascending: number of the n-gram without its last word · symbols + number of the last word
    logprob   (G,) float64, natural
    backoff   (G,) float64, natural
    """

    def __init__(self, shorter: Level | None, symbols: list[str], key: Any, logprob: Any, backoff: Any):
        self.shorter, self.symbols = shorter, symbols
        self.key, self.logprob, self.backoff = key, logprob, backoff
        self.number: dict[str, int] = {word: i for i, word in enumerate(symbols)} if shorter is None else shorter.number

    @property
    def history(self) -> np.ndarray:
        """(G,) int64: number of each n-gram's history."""
        return self.key // len(self.symbols)

    @property
    def last(self) -> np.ndarray:
        """(G,) int64: number of each n-gram's last word."""
        return self.key % len(self.symbols)

    def find(self, history: np.ndarray, last: np.ndarray) -> np.ndarray:
        """Numbers of the n-grams with these histories and last words, -1 if there is none."""
        key = history * len(self.symbols) + last
        place = np.minimum(np.searchsorted(self.key, key), len(self.key) - 1)
        there = (history >= 0) & (last >= 0)
        if len(self.key):
            there &= self.key[place] == key
        return np.where(there, place, -1)

    def place(self, words: Words) -> int:
        """Number of the n-gram of these words; raises KeyError if there is none."""
        history = self.shorter.place(words[:-1]) if self.shorter is not None else 0
        key = history * len(self.symbols) + self.number[words[-1]]
        place = bisect_left(self.key, key)
        if place == len(self.key) or self.key[place] != key:
            raise KeyError(words)
        return place

    def words(self, place: int) -> Words:
        """The words of an n-gram."""
        history, last = divmod(int(self.key[place]), len(self.symbols))
        return (*(self.shorter.words(history) if self.shorter is not None else ()), self.symbols[last])

    def __getitem__(self, words: Words) -> Entry:
        place = self.place(words)
        return float(self.logprob[place]), float(self.backoff[place])

    def __iter__(self) -> Iterator[Words]:
        histories = list(self.shorter) if self.shorter is not None else [()]
        for history, last in zip(self.history.tolist(), self.last.tolist(), strict=True):
            yield (*histories[history], self.symbols[last])

    def __len__(self) -> int:
        return len(self.key)


@dataclass(frozen=True)
class NGram:
    """A back-off model: ``levels[n - 1]`` has the n-grams of order n."""

    levels: list[Level]

    @property
    def order(self) -> int:
        return len(self.levels)

    @property
    def symbols(self) -> list[str]:
        """The words of all unigrams, in the order of their numbers."""
        return self.levels[0].symbols

    @property
    def vocabulary(self) -> list[str]:
        """Words that can be predicted: all unigrams but ``<s>``."""
        return [word for word in self.symbols if word != START]

    def logprob(self, word: str, history: Sequence[str]) -> float:
        """ln P(word | history), slow; unknown words count as <unk>, -inf without it."""
        known = self.levels[0].number
        word, *past = (w if w in known else UNKNOWN for w in (word, *history))
        if word not in known:
            return -math.inf
        context = tuple(past)[len(past) - min(len(past), self.order - 1) :]
        backoff = 0.0
        while (*context, word) not in self.levels[len(context)]:
            backoff += self.levels[len(context) - 1].get(context, (0.0, 0.0))[1]
            context = context[1:]
        return backoff + self.levels[len(context)][(*context, word)][0]


class Perplexity(NamedTuple):
    perplexity: float  # over words and sentence ends
    words: int
    oov: int


def perplexity(model: NGram, sentences: Iterable[str]) -> Perplexity:
    """Perplexity of sentences, without out-of-vocabulary words, which are counted."""
    nats, words, oov, tokens = 0.0, 0, 0, 0
    for sentence in sentences:
        history = [START]
        for word in [*sentence.split(), END]:
            logprob = model.logprob(word, history)
            history.append(word)
            words += word != END
            if math.isfinite(logprob) and (word,) in model.levels[0]:
                nats, tokens = nats - logprob, tokens + 1
            else:
                oov += 1
    return Perplexity(math.exp(nats / tokens) if tokens else math.inf, words, oov)


def make_lm(
    sentences: Iterable[str],
    vocabulary: Iterable[str],
    order: int,
    prune: Sequence[int],
    tests: Mapping[str, Iterable[str]],
    folder: Path,
    spellings: Iterable[str] = (),
    ngrams: int = 0,
    sources: Sequence[str] = (),
) -> None:
    """Write lm.arpa, origin.txt (size and `sources`) and perplexity.json: {set: {perplexity, words, oov}} of tests."""
    model = train(sentences, vocabulary, order, prune, spellings, ngrams)
    write_arpa(model, folder / "lm.arpa")
    counts = ", ".join(f"{len(level):,} {n}-grams" for n, level in enumerate(model.levels, 1))
    write_text(folder / "origin.txt", f"{counts}, trained by the recipe on {' and '.join(sources) or 'other text'}")
    log.info("%s", counts)
    found = {name: perplexity(model, text) for name, text in tests.items()}
    for name, (value, words, oov) in found.items():
        log.info("%s: perplexity %.1f, %d words, %d out of the vocabulary", name, value, words, oov)
    write_json(folder / "perplexity.json", {name: measured._asdict() for name, measured in found.items()})


def train(
    sentences: Iterable[str],
    vocabulary: Iterable[str],
    order: int,
    prune: Sequence[int] = (),
    spellings: Iterable[str] = (),
    ngrams: int = 0,
) -> NGram:
    """Interpolated modified Kneser-Ney over a vocabulary; other words become ``<unk>``.

    prune      n-grams of order n seen at most ``prune[n - 1]`` times are left out (the last value holds beyond)
    spellings  further words in subword pieces, which count within words only
    ngrams     keep at most so many above unigrams, by entropy pruning; 0: all

    With pieces, histories within a word are followed by continuations only, and other histories by none. Raises
    UserError without text.
    """
    if order < 1:
        raise UserError(f"the order of an n-gram model must be at least 1, not {order}")
    symbols = [START, END, *sorted(set(vocabulary) - {START, END, UNKNOWN})]
    number = {symbol: i for i, symbol in enumerate(symbols)}
    unknown = len(symbols)
    tokens, starts = array("i"), array("q")
    for sentence in sentences:
        starts.append(len(tokens))
        tokens.append(0)
        tokens.extend([number.setdefault(word, len(number)) for word in sentence.split()])
        tokens.append(1)
    if not tokens:
        raise UserError("there is no text to train on; give data directories with text, or files with --text")
    times = np.bincount(tokens, minlength=len(number))
    outside = shorten(list(number)[unknown + place] for place in np.argsort(-times[unknown:], kind="stable"))
    if not times[2:unknown].any() and times[unknown:].any():
        raise UserError(f"the vocabulary has no word of the text ({outside}); is it of another language?")
    log.info("text: %d words, %d outside the vocabulary: %s", times[2:].sum(), times[unknown:].sum(), outside or "none")
    for spelling in spellings if order > 1 else ():
        starts.append(len(tokens))
        tokens.extend(number[piece] for piece in spelling.split())
    stream = np.minimum(np.frombuffer(tokens, np.int32), unknown).astype(np.int64)
    if stream.max() == unknown:
        symbols.append(UNKNOWN)
    seams = Seams(np.array([is_continuation(symbol) for symbol in symbols]), np.array([is_prefix(s) for s in symbols]))
    counts = count_ngrams(stream, len(symbols), order, np.frombuffer(starts, np.int64), seams)
    least = [*prune, *[prune[-1]] * order][:order] if prune else [0] * order
    kept = [grams.times > most for grams, most in zip(counts, least, strict=True)]
    kept[0][:] = True
    probabilities, weights = estimate(counts, kept)
    if ngrams:
        weights, kept = entropy.prune(counts, probabilities, weights, kept, ngrams)
    return NGram(_levels(counts, probabilities, weights, kept, symbols))


class Seams(NamedTuple):
    """Which symbols are pieces of words, (symbols,) bool."""

    is_continuation: np.ndarray  # continues the word before
    is_prefix: np.ndarray  # is continued by the next piece


class Counts(NamedTuple):
    """The G distinct n-grams of one order, as arrays (G,)."""

    last: np.ndarray  # last word
    prefix: np.ndarray  # n-gram without the last word; of unigrams whether they are continuations
    suffix: np.ndarray  # n-gram without the first word
    times: np.ndarray  # how often it was seen
    initial: np.ndarray  # whether it begins with <s> or a first piece, and has no continuation count


def count_ngrams(
    tokens: np.ndarray, symbols: int, order: int, starts: np.ndarray | None = None, seams: Seams | None = None
) -> list[Counts]:
    """Distinct n-grams of each order, by prefix and last word, in a stream of sentences from <s> (0) to </s> (1).

    symbols  number of different tokens; the unigrams have them all
    starts   where sentences begin, if some lack <s>

    N-grams that begin with the first piece of a word keep their counts, like those that begin with <s>.
    """
    starts = np.flatnonzero(tokens == 0) if starts is None else starts
    place = np.arange(len(tokens)) - np.repeat(starts, np.diff([*starts, len(tokens)]))  # in its sentence
    within = seams.is_continuation.astype(np.int64) if seams else np.zeros(symbols, np.int64)
    unigrams = np.bincount(tokens, minlength=symbols)
    heads = np.arange(symbols) == 0
    if seams:
        heads |= seams.is_prefix & ~seams.is_continuation
    levels = [Counts(np.arange(symbols), within, within, unigrams, heads)]
    gram = tokens  # at each position the n-gram that ends there
    for n in range(2, order + 1):
        ends = np.flatnonzero(place >= n - 1)
        key = gram[ends - 1] * symbols + tokens[ends]
        _, first, inverse, count = np.unique(key, return_index=True, return_inverse=True, return_counts=True)
        at = ends[first]
        levels.append(Counts(tokens[at], gram[at - 1], gram[at], count, levels[-1].initial[gram[at - 1]]))
        gram = np.zeros(len(tokens), dtype=np.int64)
        gram[ends] = inverse.reshape(-1)
    return levels


def estimate(counts: list[Counts], kept: list[np.ndarray] | None = None) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """(probabilities, back-off weights) of the n-grams of each order; the highest has weights of 1.

    N-grams outside of ``kept[n - 1]`` (G,) give all their count to the back-off. There are two empty histories, one
    within words; the unigrams of each sum to one.
    """
    within = counts[0].prefix
    lower = 1 / np.maximum(np.bincount(within, minlength=2) - [1, 0], 1)  # uniform over all but <s>
    probabilities, weights = [], []
    for n, grams in enumerate(counts, 1):
        adjusted = grams.times.copy()
        if n < len(counts):  # how many different words precede it
            continuations = np.bincount(counts[n].suffix, minlength=len(adjusted))
            adjusted = np.where(grams.initial & (n > 1), adjusted, continuations)
        if n == 1:
            adjusted[0] = 0  # <s> is never predicted
        inside = within[grams.last] > 0
        discount = np.where(inside, _discounts(adjusted, inside), _discounts(adjusted, ~inside))
        if kept:
            discount = np.where(kept[n - 1], discount, adjusted)
        contexts = len(counts[n - 2].last) if n > 1 else 2
        total = np.bincount(grams.prefix, adjusted, contexts)
        left = np.bincount(grams.prefix, discount, contexts) / np.maximum(total, 1)
        own = (adjusted - discount) / np.maximum(total, 1)[grams.prefix]
        lower = own + left[grams.prefix] * lower[grams.suffix]
        probabilities.append(lower)
        weights.append(np.where(total > 0, left, 1.0))  # of order n - 1; where nothing follows, 1
    return probabilities, [*weights[1:], np.ones(len(lower))]


def _levels(
    counts: list[Counts],
    probabilities: list[np.ndarray],
    weights: list[np.ndarray],
    kept: list[np.ndarray],
    symbols: list[str],
) -> list[Level]:
    """Levels of the n-grams that are kept."""
    levels: list[Level] = []
    place = np.zeros(2, np.int64)  # of the empty histories
    for grams, probability, weight, keep in zip(counts, probabilities, weights, kept, strict=True):
        key = place[grams.prefix[keep]] * len(symbols) + grams.last[keep]
        with np.errstate(divide="ignore"):
            logs, backoffs = np.log(probability[keep]), np.log(weight[keep])
        if not levels:
            logs[0] = NEVER * LN10
        levels.append(Level(levels[-1] if levels else None, symbols, key, logs, backoffs))
        place = np.cumsum(keep) - 1
    return levels


def _discounts(adjusted: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Discount of each count (G,), estimated from the `chosen` n-grams; fixed values if they are too few."""
    n1, n2, n3, n4 = (int(np.sum(adjusted[chosen] == k)) for k in (1, 2, 3, 4))
    found = np.array([0, 0.5, 1.0, 1.5])
    if min(n1, n2, n3, n4) > 0:
        y = n1 / (n1 + 2 * n2)
        told = np.array([0, 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3])
        if np.all(told[1:] > 0) and np.all(told <= np.arange(4)):
            found = told
    return found[np.minimum(adjusted, 3)]


def write_arpa(model: NGram, path: Path) -> None:
    """Write the model in ARPA format, log10."""
    with atomic(Path(path)) as file:
        file.write("\\data\\\n")
        for n, level in enumerate(model.levels, 1):
            file.write(f"ngram {n}={len(level)}\n")
        for n, level in enumerate(model.levels, 1):
            file.write(f"\n\\{n}-grams:\n")
            for words, logprob, backoff in zip(level, level.logprob.tolist(), level.backoff.tolist(), strict=True):
                tail = f"\t{backoff / LN10:.7f}" if n < model.order and backoff else ""
                file.write(f"{logprob / LN10:.7f}\t{' '.join(words)}{tail}\n")
        file.write("\n\\end\\\n")


def read_arpa(path: Path) -> NGram:
    """Read an ARPA file, gzipped (NAME.gz) or not.

    Raises UserError naming the line for wrong counts, bad numbers, n-grams without their history, truncated files.
    """
    path = Path(path)
    with (
        reading(path, "make it with asrdistill lang lm"),
        (gzip.open if path.suffix == ".gz" else open)(path, "rb") as f,
    ):
        model = _Arpa(path, f).read()
        while f.read(1 << 20):  # up to the checksum of a gzip file
            pass
        return model


Row = list[bytes]  # the fields of a line


class _Arpa:
    """Reads an ARPA file line by line; only numbers are kept of the n-grams."""

    def __init__(self, path: Path, file: Iterable[bytes]):
        self.path = path
        self.lines = ((number, fields) for number, line in enumerate(file, 1) if (fields := line.split()))
        self.title = 0, ""  # number and text of the line that begins the next section
        self.number: dict[bytes, int] = {}  # of each word
        self.levels: list[Level] = []

    def read(self) -> NGram:
        if not any(fields in ([b"\\data\\"], [BOM_UTF8 + b"\\data\\"]) for _, fields in self.lines):
            raise UserError(f"{self.path} has no \\data\\ line; is it an ARPA file?")
        sizes = [self._size(number, fields) for number, fields in self._rows()]
        while self.title[1] != "\\end\\":
            n = len(self.levels) + 1
            if self.title[1] != f"\\{n}-grams:" or n > len(sizes):
                raise self._error(self.title[0], f"'{self.title[1]}' is not the next section of the ARPA file")
            self.levels.append(self._section(n))
            if sizes[n - 1] != len(self.levels[-1]):
                raise UserError(f"{self.path} holds {len(self.levels[-1])} of {sizes[n - 1]} {n}-grams; make it again")
        if len(self.levels) != len(sizes) or not sizes:
            raise UserError(
                f"{self.path} promises n-grams up to length {len(sizes)} but holds them up to {len(self.levels)}"
            )
        return NGram(self.levels)

    def _error(self, number: int, what: str) -> UserError:
        return UserError(f"{self.path}, line {number}: {what}")

    def _rows(self) -> Iterator[tuple[int, Row]]:
        """Yield the lines before the next section; keep its title."""
        for number, fields in self.lines:
            if fields[0].startswith(b"\\"):
                self.title = number, _shown(fields)
                return
            yield number, fields
        raise UserError(f"{self.path} is not a whole ARPA file: it has no \\end\\ line; make it again")

    def _size(self, number: int, fields: Row) -> int:
        """The count of a line of the header."""
        line = _shown(fields)
        if fields[0] != b"ngram":
            raise self._error(number, f"'{line}' stands before any n-grams; is it an ARPA file?")
        try:
            return int(line.split("=")[1])
        except (IndexError, ValueError):
            raise self._error(number, f"'{line}' should be 'ngram N=COUNT'") from None

    def _section(self, n: int) -> Level:
        """The n-grams of length n."""
        lines, values, tokens, known = array("q"), array("d"), array("i"), self.number
        for number, fields in self._rows():
            try:
                logprob, backoff = float(fields[0]), float(fields[n + 1]) if len(fields) > n + 1 else 0.0
                if not (n + 1 <= len(fields) <= n + 2 and logprob <= 0 and math.isfinite(backoff)):
                    raise ValueError
            except ValueError:
                raise self._error(
                    number, f"'{_shown(fields)}' is not 'log-probability {n} word(s) [back-off]'"
                ) from None
            if n == 1 and known.setdefault(fields[1], len(lines)) < len(lines):
                raise self._error(number, f"'{fields[1].decode()}' is there twice")
            try:
                tokens.extend([known[word] for word in fields[1 : n + 1]])
            except KeyError as error:
                word = _shown(list(error.args))
                raise self._error(number, f"the word '{word}' has no entry of its own among the 1-grams") from None
            lines.append(number)
            values.extend((logprob, backoff))
        shorter = self.levels[-1] if self.levels else None
        symbols = [word.decode() for word in self.number] if shorter is None else shorter.symbols
        key = self._keys(np.array(tokens, np.int64).reshape(-1, n), lines)
        order = np.argsort(key, kind="stable")
        logprob, backoff = np.array(values).reshape(-1, 2)[order].T * LN10
        level = Level(shorter, symbols, key[order], logprob, backoff)
        if len(again := np.flatnonzero(level.key[1:] == level.key[:-1])):
            words = " ".join(level.words(int(again[0])))
            raise self._error(lines[order[again[0] + 1]], f"'{words}' is there twice")
        return level

    def _keys(self, tokens: np.ndarray, lines: Sequence[int]) -> np.ndarray:
        """Keys of n-grams, see :class:`Level`, from the numbers of their words (G, n)."""
        place = tokens[:, 0]
        if tokens.shape[1] == 1:
            return place
        for level, last in zip(self.levels[1:], tokens.T[1:-1], strict=True):
            place = level.find(place, last)
        if len(bad := np.flatnonzero(place < 0)):
            history = " ".join(self.levels[0].symbols[token] for token in tokens[bad[0], :-1])
            raise self._error(lines[bad[0]], f"the history '{history}' has no entry of its own")
        return place * len(self.number) + tokens[:, -1]


def _shown(fields: Row) -> str:
    """The fields as text for a message."""
    return b" ".join(fields).decode(errors="replace")[:60]
