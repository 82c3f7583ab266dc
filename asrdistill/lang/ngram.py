"""N-gram language models: interpolated modified Kneser-Ney, ARPA in and out.

The estimate is Chen and Goodman's (1999): discounts D1, D2, D3+ for each order from the counts of
counts, continuation counts below the highest order, each order interpolated with the next lower
one and unigrams with a uniform distribution over the vocabulary, so that every word has a
probability after every history.
"""

import gzip
import logging
import math
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from asrdistill.errors import UserError
from asrdistill.files import atomic, write_json

log = logging.getLogger("asrdistill")

START, END, UNKNOWN = "<s>", "</s>", "<unk>"
NEVER = -99.0  # log10 in an ARPA of what cannot be predicted: <s>
LN10 = math.log(10)

Level = dict[tuple[str, ...], tuple[float, float]]


@dataclass(frozen=True)
class NGram:
    """A back-off model: ``levels[n - 1]`` maps the n-grams of length n to (ln probability, ln back-off weight)."""

    levels: list[Level]

    @property
    def order(self) -> int:
        return len(self.levels)

    @property
    def vocabulary(self) -> list[str]:
        """Words that can be predicted: all unigrams but ``<s>``."""
        return [word for (word,) in self.levels[0] if word != START]

    def logprob(self, word: str, history: Sequence[str]) -> float:
        """ln P(word | history), plain and slow; an unknown word counts as <unk>, or is impossible without one."""
        known = self.levels[0]
        word, *past = (w if (w,) in known else UNKNOWN for w in (word, *history))
        if (word,) not in known:
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
    sentences: Iterable[str], vocabulary: Iterable[str], order: int, tests: Mapping[str, Iterable[str]], folder: Path
) -> None:
    """Train a model; write lm.arpa and perplexity.json: {set: {perplexity, words, oov}} of the test sets."""
    model = train(sentences, vocabulary, order)
    write_arpa(model, folder / "lm.arpa")
    log.info("n-grams: %s", ", ".join(f"{len(level)} of length {n}" for n, level in enumerate(model.levels, 1)))
    found = {name: perplexity(model, text) for name, text in tests.items()}
    for name, (value, words, oov) in found.items():
        log.info("%s: perplexity %.1f, %d words, %d out of the vocabulary", name, value, words, oov)
    write_json(folder / "perplexity.json", {name: measured._asdict() for name, measured in found.items()})


def train(sentences: Iterable[str], vocabulary: Iterable[str], order: int) -> NGram:
    """Interpolated modified Kneser-Ney over a vocabulary; words outside of it become ``<unk>``.

    ``<unk>`` is in the model only where the sentences have such words. Raises UserError without text.
    """
    if order < 1:
        raise UserError(f"the order of an n-gram model must be at least 1, not {order}")
    texts = [sentence.split() for sentence in sentences]
    words = sorted(set(vocabulary) - {START, END, UNKNOWN})
    known = set(words)
    if any(word not in known for text in texts for word in text):
        words.append(UNKNOWN)
    symbols = [START, END, *words]
    number = {symbol: i for i, symbol in enumerate(symbols)}
    unknown = number.get(UNKNOWN, -1)
    tokens = [t for text in texts for t in (0, *(number.get(word, unknown) for word in text), 1)]
    if not tokens:
        raise UserError("there is no text to train the language model on")
    counts = count_ngrams(np.array(tokens), len(symbols), order)
    return NGram(_levels(counts, *estimate(counts), symbols))


class Counts(NamedTuple):
    """The G distinct n-grams of one order, as arrays (G,)."""

    last: np.ndarray  # last word
    prefix: np.ndarray  # n-gram of the next lower order without the last word
    suffix: np.ndarray  # the same without the first word
    times: np.ndarray  # how often it was seen
    initial: np.ndarray  # whether it begins with <s>, and so has no continuation count


def count_ngrams(tokens: np.ndarray, symbols: int, order: int) -> list[Counts]:
    """Distinct n-grams of each order in a stream of sentences, each from <s> (0) to </s> (1).

    `symbols` is the number of different tokens. The n-grams of an order are sorted by prefix, then
    by last word; unigrams have all symbols, in the order of their numbers.
    """
    starts = np.flatnonzero(tokens == 0)
    place = np.arange(len(tokens)) - np.repeat(starts, np.diff([*starts, len(tokens)]))  # in its sentence
    none = np.zeros(symbols, dtype=np.int64)
    unigrams = np.bincount(tokens, minlength=symbols)
    levels = [Counts(np.arange(symbols), none, none, unigrams, np.arange(symbols) == 0)]
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


def estimate(counts: list[Counts]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """(probabilities, back-off weights) of the n-grams of each order; the highest has weights of 1."""
    lower = np.full(1, 1 / (len(counts[0].last) - 1))  # uniform over all but <s>
    probabilities, weights = [], []
    for n, grams in enumerate(counts, 1):
        adjusted = grams.times.copy()
        if n < len(counts):  # how many different words precede it
            continuations = np.bincount(counts[n].suffix, minlength=len(adjusted))
            adjusted = np.where(grams.initial, adjusted, continuations)
        if n == 1:
            adjusted[0] = 0  # <s> is never predicted
        discount = _discounts(adjusted)[np.minimum(adjusted, 3)]
        contexts = len(counts[n - 2].last) if n > 1 else 1
        total = np.bincount(grams.prefix, adjusted, contexts)
        left = np.bincount(grams.prefix, discount, contexts) / np.maximum(total, 1)
        own = (adjusted - discount) / np.maximum(total, 1)[grams.prefix]
        lower = own + left[grams.prefix] * lower[grams.suffix]
        probabilities.append(lower)
        weights.append(np.where(total > 0, left, 1.0))  # of order n - 1; where nothing follows, 1
    return probabilities, [*weights[1:], np.ones(len(lower))]


def _levels(
    counts: list[Counts], probabilities: list[np.ndarray], weights: list[np.ndarray], symbols: list[str]
) -> list[Level]:
    levels: list[Level] = []
    names: list[tuple[str, ...]] = [()]
    for n, grams in enumerate(counts, 1):
        names = [(*names[p], symbols[w]) for p, w in zip(grams.prefix.tolist(), grams.last.tolist(), strict=True)]
        with np.errstate(divide="ignore"):
            logs = np.log(probabilities[n - 1])
            backoffs = np.log(weights[n - 1])
        if n == 1:
            logs[0] = NEVER * LN10
        levels.append(dict(zip(names, zip(logs.tolist(), backoffs.tolist(), strict=True), strict=True)))
    return levels


def _discounts(adjusted: np.ndarray) -> np.ndarray:
    """D for counts 0, 1, 2 and 3 or more; fixed ones where the text is too small to tell."""
    n1, n2, n3, n4 = (int(np.sum(adjusted == k)) for k in (1, 2, 3, 4))
    if min(n1, n2, n3, n4) > 0:
        y = n1 / (n1 + 2 * n2)
        found = np.array([0, 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3])
        if np.all(found[1:] > 0) and np.all(found <= np.arange(4)):
            return found
    return np.array([0, 0.5, 1.0, 1.5])


def write_arpa(model: NGram, path: Path) -> None:
    """Write the model in ARPA format, log10."""
    with atomic(Path(path)) as file:
        file.write("\\data\\\n")
        for n, level in enumerate(model.levels, 1):
            file.write(f"ngram {n}={len(level)}\n")
        for n, level in enumerate(model.levels, 1):
            file.write(f"\n\\{n}-grams:\n")
            for words, (logprob, backoff) in level.items():
                tail = f"\t{backoff / LN10:.7f}" if n < model.order and backoff else ""
                file.write(f"{logprob / LN10:.7f}\t{' '.join(words)}{tail}\n")
        file.write("\n\\end\\\n")


def read_arpa(path: Path) -> NGram:
    """Read an ARPA file, gzipped or not, with either kind of line end.

    Raises UserError naming the line for wrong counts, numbers that are none, n-grams whose history
    the model lacks, and files that are cut short.
    """
    path = Path(path)
    try:
        text = gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text("utf-8")
    except FileNotFoundError:
        raise UserError(f"language model {path} does not exist; make it with asrdistill lm") from None
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise UserError(f"language model {path} cannot be read ({error})") from None
    lines = ((number, line.strip()) for number, line in enumerate(text.splitlines(), 1))
    sizes: list[int] = []
    levels: list[Level] = []
    for number, line in lines:
        if line.startswith("ngram "):
            sizes.append(_size(path, number, line))
        elif line == "\\end\\":
            break
        elif line.startswith("\\") and line.endswith("-grams:"):
            if line != f"\\{len(levels) + 1}-grams:" or len(levels) == len(sizes):
                raise UserError(f"{path}, line {number}: '{line}' is not the next section of the ARPA file")
            levels.append({})
        elif line and line != "\\data\\":
            if not levels:
                raise UserError(f"{path}, line {number}: '{line[:40]}' stands before any n-grams; is it an ARPA file?")
            _read_entry(path, number, line, levels)
    else:
        raise UserError(f"{path} is not a whole ARPA file: it has no \\end\\ line")
    for n, (size, level) in enumerate(zip(sizes, levels, strict=False), 1):
        if size != len(level):
            raise UserError(f"{path} promises {size} {n}-grams but holds {len(level)}")
    if len(levels) != len(sizes) or not levels:
        raise UserError(f"{path} promises n-grams up to length {len(sizes)} but holds them up to {len(levels)}")
    return NGram(levels)


def _size(path: Path, number: int, line: str) -> int:
    try:
        return int(line.split("=")[1])
    except (IndexError, ValueError):
        raise UserError(f"{path}, line {number}: '{line}' should be 'ngram N=COUNT'") from None


def _read_entry(path: Path, number: int, line: str, levels: list[Level]) -> None:
    fields, n = line.split(), len(levels)
    words = tuple(fields[1 : n + 1])
    try:
        logprob, backoff = float(fields[0]), float(fields[n + 1]) if len(fields) > n + 1 else 0.0
    except ValueError:
        logprob = math.nan
    if len(words) < n or len(fields) > n + 2 or not logprob <= 0 or not math.isfinite(backoff):
        raise UserError(f"{path}, line {number}: '{line[:60]}' is not 'log-probability {n} word(s) [back-off]'")
    if n > 1 and words[:-1] not in levels[-2]:
        raise UserError(f"{path}, line {number}: the history '{' '.join(words[:-1])}' has no entry of its own")
    if words in levels[-1]:
        raise UserError(f"{path}, line {number}: '{' '.join(words)}' stands there twice")
    levels[-1][words] = (logprob * LN10, backoff * LN10)
