"""N-gram language models: interpolated modified Kneser-Ney, ARPA in and out.

The estimate is Chen and Goodman's (1999): discounts D1, D2, D3+ for each order from the counts of
counts, continuation counts below the highest order, each order interpolated with the next lower
one and unigrams with a uniform distribution over the vocabulary, so that every word has a
probability after every history.
"""

from __future__ import annotations

import gzip
import logging
import math
import zlib
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from asrdistill.errors import UserError
from asrdistill.files import atomic, write_json
from asrdistill.lang.lexicon import is_continuation, is_prefix

log = logging.getLogger("asrdistill")

START, END, UNKNOWN = "<s>", "</s>", "<unk>"
NEVER = -99.0  # log10 in an ARPA of what cannot be predicted: <s>
LN10 = math.log(10)

Words = tuple[str, ...]
Entry = tuple[float, float]  # ln probability, ln back-off weight


class Level(Mapping[Words, Entry]):
    """The G n-grams of one length in arrays, which can also be read as a mapping from their words.

    An n-gram is numbered by its place among those of its length. They are sorted by `key`: the number
    of the n-gram without its last word, times the number of symbols, plus the number of the last word.

    symbols   the words, in the order of their numbers, which is that of the unigrams
    number    word -> its number
    shorter   the n-grams of the next shorter length; None for unigrams
    key       (G,) int64, rising
    logprob   (G,) float64, natural
    backoff   (G,) float64, natural: weight of the n-gram as a history
    """

    def __init__(self, shorter: Level | None, symbols: list[str], key: Any, logprob: Any, backoff: Any):
        self.shorter, self.symbols = shorter, symbols
        self.number: dict[str, int] = (
            shorter.number if shorter is not None else {word: i for i, word in enumerate(symbols)}
        )
        self.key, self.logprob, self.backoff = key, logprob, backoff

    @classmethod
    def of(cls, entries: Mapping[Words, Entry], shorter: Level | None) -> Level:
        """From a mapping; the last words of the n-grams and all histories must be there already."""
        symbols = shorter.symbols if shorter is not None else [words[0] for words in entries]
        number = shorter.number if shorter is not None else {word: i for i, word in enumerate(symbols)}
        histories = [shorter.place(words[:-1]) if shorter is not None else 0 for words in entries]
        last = [number[words[-1]] for words in entries]
        key = np.array(histories, np.int64) * len(symbols) + np.array(last, np.int64)
        order = np.argsort(key)
        values = np.array(list(entries.values()), np.float64).reshape(-1, 2)[order]
        return cls(shorter, symbols, key[order], values[:, 0], values[:, 1])

    @property
    def history(self) -> np.ndarray:
        """(G,) int64: number of each n-gram without its last word."""
        return self.key // len(self.symbols)

    @property
    def last(self) -> np.ndarray:
        """(G,) int64: number of each n-gram's last word."""
        return self.key % len(self.symbols)

    def find(self, history: np.ndarray, last: np.ndarray) -> np.ndarray:
        """Numbers of the n-grams with these histories and last words; -1 where they or these are not there."""
        key = history * len(self.symbols) + last
        place = np.minimum(np.searchsorted(self.key, key), len(self.key) - 1)
        there = (history >= 0) & (last >= 0)
        if len(self.key):
            there &= self.key[place] == key
        return np.where(there, place, -1)

    def place(self, words: Words) -> int:
        """Number of the n-gram of these words; raises KeyError where there is none."""
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


class NGram:
    """A back-off model: ``levels[n - 1]`` maps the n-grams of length n to (ln probability, ln back-off weight).

    Levels may be given as plain mappings.
    """

    def __init__(self, levels: Sequence[Mapping[Words, Entry]]):
        self.levels: list[Level] = []
        for level in levels:
            shorter = self.levels[-1] if self.levels else None
            self.levels.append(level if isinstance(level, Level) else Level.of(level, shorter))

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
        """ln P(word | history), plain and slow; an unknown word counts as <unk>, or is impossible without one."""
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
    perplexity: float  # over words and sentence ends, words out of the vocabulary left out
    words: int
    oov: int


def perplexity(model: NGram, sentences: Iterable[str]) -> Perplexity:
    """Perplexity of sentences; words that the model cannot predict are counted apart."""
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
) -> None:
    """Train a model; write lm.arpa and perplexity.json: {set: {perplexity, words, oov}} of the test sets."""
    model = train(sentences, vocabulary, order, prune, spellings)
    write_arpa(model, folder / "lm.arpa")
    log.info("n-grams: %s", ", ".join(f"{len(level)} of length {n}" for n, level in enumerate(model.levels, 1)))
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
) -> NGram:
    """Interpolated modified Kneser-Ney over a vocabulary; words outside of it become ``<unk>``.

    ``<unk>`` is in the model only where the sentences have such words. N-grams of length n that were seen
    at most ``prune[n - 1]`` times are left out (for lengths beyond those given, the last value holds); their
    probability goes to the back-off. Raises UserError without text.

    In a vocabulary with pieces of words a history says whether a word is open: what may follow an open one has all
    probability after it (n-grams of the rest are never asked for), and what may follow others likewise. `spellings`
    are further words in pieces; they teach how words go on, but not where they stand.
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
        tokens.extend(number.get(word, unknown) for word in sentence.split())
        tokens.append(1)
    if not tokens:
        raise UserError("there is no text to train the language model on")
    for spelling in spellings if order > 1 else ():
        starts.append(len(tokens))
        tokens.extend(number[piece] for piece in spelling.split())
    stream = np.frombuffer(tokens, np.int32).astype(np.int64)
    if stream.max() == unknown:
        symbols.append(UNKNOWN)
    seams = Seams(np.array([is_continuation(symbol) for symbol in symbols]), np.array([is_prefix(s) for s in symbols]))
    counts = count_ngrams(stream, len(symbols), order, np.frombuffer(starts, np.int64), seams)
    least = [*prune, *[prune[-1]] * order][:order] if prune else [0] * order
    kept = [grams.times > most for grams, most in zip(counts, least, strict=True)]
    kept[0][:] = True
    return NGram(_levels(counts, *estimate(counts, kept), kept, symbols))


class Seams(NamedTuple):
    """What each symbol says of the words around it, (symbols,) bool: all False where there are no pieces of words."""

    is_continuation: np.ndarray  # whether it is a piece that goes on the word before
    is_prefix: np.ndarray  # whether a piece must follow that goes on its word


class Counts(NamedTuple):
    """The G distinct n-grams of one order, as arrays (G,)."""

    last: np.ndarray  # last word
    prefix: np.ndarray  # n-gram of the next lower order without the last word; of unigrams whether they go on a word
    suffix: np.ndarray  # the same without the first word
    times: np.ndarray  # how often it was seen
    initial: np.ndarray  # whether it begins with <s>, or a word, and so has no continuation count


def count_ngrams(
    tokens: np.ndarray, symbols: int, order: int, starts: np.ndarray | None = None, seams: Seams | None = None
) -> list[Counts]:
    """Distinct n-grams of each order in a stream of sentences, each from <s> (0) to </s> (1).

    `symbols` is the number of different tokens. The n-grams of an order are sorted by prefix, then
    by last word; unigrams have all symbols, in the order of their numbers. `starts` say where sentences begin, if
    some of them do so without <s>. An n-gram that begins with the first piece of a word counts as often as it was seen,
    as one that begins with <s> does: how a word goes on has little to do with what stands before it.
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

    An n-gram that is not in ``kept[n - 1]`` (G,) gives away all that it was seen, so that backing off gives its
    probability. There are two empty histories, one within words: the unigrams of each sum to one.
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
    """The n-grams that are kept, numbered among themselves."""
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
    """D of each count (G,), by the counts of the `chosen` n-grams; fixed where there are too few of them to tell."""
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
    """Read an ARPA file, gzipped (NAME.gz) or not, with either kind of line end; text before ``\\data\\`` is skipped.

    Raises UserError naming the line for wrong counts, numbers that are none, n-grams whose history
    the model lacks, and files that are cut short.
    """
    path = Path(path)
    try:
        with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as file:
            return _Arpa(path, file).read()
    except FileNotFoundError:
        raise UserError(f"language model {path} does not exist; make it with asrdistill lang lm") from None
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise UserError(f"language model {path} cannot be read ({error})") from None


Row = list[bytes]  # the fields of a line


class _Arpa:
    """Reads an ARPA file block by block; between blocks only arrays are kept."""

    BLOCK = 1 << 14  # lines

    def __init__(self, path: Path, file: Iterable[bytes]):
        self.path, self.lines = path, enumerate(file, 1)
        self.number: dict[bytes, int] = {}  # of each word
        self.levels: list[Level] = []

    def read(self) -> NGram:
        for _, line in self.lines:
            if line.strip() == b"\\data\\":
                break
        else:
            raise UserError(f"{self.path} has no \\data\\ line; is it an ARPA file?")
        sizes, number, title = self._header()
        while title != "\\end\\":
            n = len(self.levels) + 1
            if title != f"\\{n}-grams:" or n > len(sizes):
                raise self._error(number, f"'{title[:60]}' is not the next section of the ARPA file")
            level, number, title = self._section(n)
            if sizes[n - 1] != len(level):
                raise UserError(f"{self.path} promises {sizes[n - 1]} {n}-grams but holds {len(level)}")
            self.levels.append(level)
        if len(self.levels) != len(sizes) or not sizes:
            raise UserError(
                f"{self.path} promises n-grams up to length {len(sizes)} but holds them up to {len(self.levels)}"
            )
        return NGram(self.levels)

    def _error(self, number: int, what: str) -> UserError:
        return UserError(f"{self.path}, line {number}: {what}")

    def _header(self) -> tuple[list[int], int, str]:
        """How many n-grams of each length there should be; the line after these, with its number."""
        sizes: list[int] = []
        while True:
            numbers, rows, (number, title) = self._rows()
            for place, row in zip(numbers, rows, strict=True):
                line = _shown(row)
                if row[0] != b"ngram":
                    raise self._error(place, f"'{line}' stands before any n-grams; is it an ARPA file?")
                try:
                    sizes.append(int(line.split("=")[1]))
                except (IndexError, ValueError):
                    raise self._error(place, f"'{line}' should be 'ngram N=COUNT'") from None
            if title:
                return sizes, number, title

    def _rows(self) -> tuple[list[int], list[Row], tuple[int, str]]:
        """Numbers and fields of the next lines, and number and title of the section that follows, "" if none yet."""
        numbers: list[int] = []
        rows: list[Row] = []
        for number, line in self.lines:
            if fields := line.split():
                if fields[0].startswith(b"\\"):
                    return numbers, rows, (number, _shown(fields))
                numbers.append(number)
                rows.append(fields)
                if len(rows) == self.BLOCK:
                    return numbers, rows, (number, "")
        raise UserError(f"{self.path} is not a whole ARPA file: it has no \\end\\ line")

    def _section(self, n: int) -> tuple[Level, int, str]:
        """The n-grams of length n, and number and title of what follows them."""
        blocks, title = [], ""
        while not title:
            numbers, rows, (number, title) = self._rows()
            blocks.append((np.array(numbers), *self._values(n, numbers, rows), self._keys(n, numbers, rows)))
        lines, logprob, backoff, key = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
        order = np.argsort(key, kind="stable")
        shorter = self.levels[-1] if self.levels else None
        symbols = shorter.symbols if shorter is not None else [word.decode() for word in self.number]
        level = Level(shorter, symbols, key[order], logprob[order] * LN10, backoff[order] * LN10)
        if len(again := np.flatnonzero(level.key[1:] == level.key[:-1])):
            words = " ".join(level.words(int(again[0])))
            raise self._error(lines[order[again[0] + 1]], f"'{words}' stands there twice")
        return level, number, title

    def _values(self, n: int, numbers: list[int], rows: list[Row]) -> tuple[np.ndarray, np.ndarray]:
        """(log-probabilities, back-off weights) of a block, log10."""
        try:
            logprob = np.array([float(row[0]) for row in rows])
            backoff = np.array([float(row[n + 1]) if len(row) > n + 1 else 0.0 for row in rows])
            fields = np.array([len(row) for row in rows])
            bad = (fields < n + 1) | (fields > n + 2) | ~(logprob <= 0) | ~np.isfinite(backoff)
        except ValueError:
            bad = np.array([not all(map(_is_number, [row[0], *row[n + 1 :]])) for row in rows])
        if bad.any():
            place = int(np.flatnonzero(bad)[0])
            line = _shown(rows[place])
            raise self._error(numbers[place], f"'{line}' is not 'log-probability {n} word(s) [back-off]'")
        return logprob, backoff

    def _keys(self, n: int, numbers: list[int], rows: list[Row]) -> np.ndarray:
        """The keys of a block, see :class:`Level`; unigrams give the words their numbers."""
        if n == 1:
            begin = len(self.number)
            for number, row in zip(numbers, rows, strict=True):
                if row[1] in self.number:
                    raise self._error(number, f"'{row[1].decode()}' stands there twice")
                self.number[row[1]] = len(self.number)
            return np.arange(begin, len(self.number))
        find = self.number.get
        words = np.array([find(word, -1) for row in rows for word in row[1 : n + 1]], np.int64).reshape(-1, n)
        place = words[:, 0]
        for level, last in zip(self.levels[1:], words.T[1:-1], strict=True):
            place = level.find(place, last)
        for bad, first, last, what in (
            (place < 0, 1, n, "the history '{}' has no entry of its own"),
            (words[:, -1] < 0, n, n + 1, "the word '{}' has no entry of its own among the 1-grams"),
        ):
            if bad.any():
                at = int(np.flatnonzero(bad)[0])
                raise self._error(numbers[at], what.format(_shown(rows[at][first:last])))
        return place * len(self.number) + words[:, -1]


def _is_number(field: bytes) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _shown(fields: Row) -> str:
    """The fields as text for a message."""
    return b" ".join(fields).decode(errors="replace")[:60]
