"""Training of G2P: graphones by EM under a unigram model, then their n-gram model (:mod:`asrdistill.lang.g2p`)."""

import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path

import numba
import numpy as np
from kaldialign import edit_distance

from asrdistill.errors import UserError, log, shorten
from asrdistill.lang.dictionary import Dictionary, phones_of
from asrdistill.lang.g2p import G2P, NONE, Graphone, NgramTree
from asrdistill.lang.ngram import count_ngrams, estimate
from asrdistill.lang.options import G2POptions

HELD_OUT = 50  # one of N words
LARGEST = 20_000  # letters times phones: EM takes the square of it, 3 GB
CHUNKS = ((1, 1), (1, 0), (2, 1), (1, 2))  # letters and phones of a graphone

Entry = tuple[str, tuple[str, ...]]  # word, one of its pronunciations


def make_g2p(dictionary: Dictionary, folder: Path, options: G2POptions) -> None:
    """Train on the dictionary without held-out words, measure on those, write the model."""
    held_out = {word: variants for word, variants in dictionary.items() if is_held_out(word)}
    rest = {word: variants for word, variants in dictionary.items() if word not in held_out}
    model = train_g2p(rest, options)
    errors = measure(model, held_out)
    log.info(
        "phone error rate %.2f %%, word error rate %.2f %% on %d held-out words",
        *(errors[name] for name in ("phone_error_rate", "word_error_rate", "words")),
    )
    model.write(folder, {"order": options.order, "words": len(rest), "held_out": errors})


def is_held_out(word: str) -> bool:
    """Whether a word is held out: two in a hundred, by checksum."""
    return zlib.crc32(word.encode()) % HELD_OUT == 0


def measure(model: G2P, dictionary: Dictionary) -> dict[str, float]:
    """Error rates (percent) of the best pronunciation against the nearest reference; without one all is deleted."""
    phones = errors = wrong = 0
    for word, references in dictionary.items():
        try:
            hypothesis = model.pronounce(word)[0][1]
        except UserError:
            hypothesis = ()
        distance, length = min((edit_distance(sounds, hypothesis)["total"], len(sounds)) for sounds in references)
        errors, phones, wrong = errors + distance, phones + length, wrong + (distance > 0)
    return {
        "words": len(dictionary),
        "phones": phones,
        "phone_error_rate": round(100 * errors / max(phones, 1), 3),
        "word_error_rate": round(100 * wrong / max(len(dictionary), 1), 3),
    }


def train_g2p(dictionary: Dictionary, options: G2POptions) -> G2P:
    """Train graphones by EM, then their n-gram model. Entries without segmentation are logged."""
    stream, entries, decode = _cut_entries(dictionary, options.iterations)
    codes, tokens = np.unique(stream, return_inverse=True)  # tokens: <s> 0, </s> 1, then the graphones
    graphones = [decode(code) for code in codes[2:].tolist()]
    tree = _tree(tokens.reshape(-1), len(codes), options.order)
    log.info("%d entries in %d graphones and %d n-grams of them", len(entries), len(graphones), len(tree.token))
    return G2P(graphones, tree)


def align_letters(dictionary: Dictionary, iterations: int) -> Iterator[tuple[str, list[Graphone]]]:
    """Yield the dictionary's words with their graphones; entries without segmentation are logged."""
    stream, entries, decode = _cut_entries(dictionary, iterations)
    begin = 1
    for (word, _), end in zip(entries, np.flatnonzero(stream == -1).tolist(), strict=True):
        yield word, [decode(code) for code in stream[begin:end].tolist()]
        begin = end + 2


def _cut_entries(dictionary: Dictionary, iterations: int) -> tuple[np.ndarray, list[Entry], Callable[[int], Graphone]]:
    """(stream of :func:`_cut`, its entries, graphone of a number in it) after EM."""
    letters, phones = sorted(set("".join(dictionary))), phones_of(dictionary)
    entries = [(word, variant) for word, variants in dictionary.items() for variant in variants]
    inventory = len(letters), len(phones)
    corpus = (*_encode((word for word, _ in entries), letters), *_encode((p for _, p in entries), phones))
    if inventory[0] * inventory[1] > LARGEST:
        raise UserError(
            f"{inventory[0]} letters and {inventory[1]} phones are too many for G2P; spell words in letters"
        )
    probability = np.ones((inventory[0] + inventory[0] ** 2) * (1 + inventory[1] + inventory[1] ** 2))
    for iteration in range(iterations):
        counts = np.zeros_like(probability)
        loglike = _expect(*corpus, *inventory, probability, counts)
        if not counts.any():
            raise UserError("the dictionary has no entry that G2P can learn from; give another")
        log.debug("iteration %d: log-likelihood %.0f", iteration, loglike)
        probability = counts / counts.sum()
    stream, whole = _cut(*corpus, *inventory, probability)
    left_out = [entries[i][0] for i in np.flatnonzero(~whole)]
    if left_out:
        log.info("%d entries cannot be cut into graphones, such as %s", len(left_out), shorten(left_out))

    @cache
    def decode(code: int) -> Graphone:
        left, right = divmod(code, 1 + len(phones) + len(phones) ** 2)
        return "".join(_unpack(left + 1, letters)), tuple(_unpack(right, phones))

    return stream, [entries[i] for i in np.flatnonzero(whole)], decode


def _encode(rows: Iterable[Iterable[str]], symbols: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """(numbers of the symbols of all rows, offsets of the rows)."""
    number = {symbol: i for i, symbol in enumerate(symbols)}
    coded = [[number[symbol] for symbol in row] for row in rows]
    starts = np.cumsum([0, *map(len, coded)])
    return np.array([i for row in coded for i in row], dtype=np.int64), starts


def _unpack(code: int, symbols: list[str]) -> list[str]:
    if code == 0:
        return []
    first, second = divmod(code - 1, len(symbols))
    return [symbols[second]] if first == 0 else [symbols[first - 1], symbols[second]]


def _tree(tokens: np.ndarray, symbols: int, order: int) -> NgramTree:
    """N-gram model of a stream of sentences from <s> (0) to </s> (1)."""
    levels = count_ngrams(tokens, symbols, order)
    probabilities, weights = estimate(levels)
    offsets = np.cumsum([-1, *(len(level.last) for level in levels)]) + 1  # of the nodes of each level
    suffixes = [np.full(symbols, -1), *(level.suffix + at for level, at in zip(levels[1:], offsets, strict=False))]
    prefixes = np.concatenate([level.prefix + at for level, at in zip(levels[1:], offsets, strict=False)] or [NONE])
    children = symbols + np.searchsorted(prefixes, np.arange(offsets[-1] + 1))
    return NgramTree(
        token=np.concatenate([level.last for level in levels]).astype(np.int32),
        logprob=np.log(np.concatenate(probabilities)).astype(np.float32),
        backoff=np.log(np.concatenate(weights)).astype(np.float32),
        suffix=np.concatenate(suffixes).astype(np.int32),
        children=children.astype(np.int32),
    )


@numba.njit(cache=True)
def _code(letters, i, m, phones, j, n, kinds, sounds):  # type: ignore[no-untyped-def]
    """Number of the graphone of m letters from i and n phones from j."""
    left = letters[i] if m == 1 else kinds * (1 + letters[i]) + letters[i + 1]
    right = 0
    if n == 1:
        right = 1 + phones[j]
    elif n == 2:
        right = 1 + sounds * (1 + phones[j]) + phones[j + 1]
    return left * (1 + sounds + sounds * sounds) + right


@numba.njit(cache=True)
def _forward(letters, phones, kinds, sounds, probability, alpha, best):  # type: ignore[no-untyped-def]
    """Fill alpha[i, j]: probability of the first i letters with the first j phones, summed or of the best path."""
    alpha[: len(letters) + 1, : len(phones) + 1] = 0.0
    alpha[0, 0] = 1.0
    for i in range(len(letters)):
        for j in range(len(phones) + 1):
            if alpha[i, j] == 0.0:
                continue
            for m, n in CHUNKS:
                if i + m <= len(letters) and j + n <= len(phones):
                    p = alpha[i, j] * probability[_code(letters, i, m, phones, j, n, kinds, sounds)]
                    old = alpha[i + m, j + n]
                    alpha[i + m, j + n] = max(old, p) if best else old + p


@numba.njit(cache=True)
def _expect(letters, starts, phones, phone_starts, kinds, sounds, probability, counts):  # type: ignore[no-untyped-def]
    """Add the expected counts of graphones to `counts`; returns the log-likelihood."""
    rows, columns = np.max(np.diff(starts)) + 1, np.max(np.diff(phone_starts)) + 1
    alpha, beta = np.zeros((rows, columns)), np.zeros((rows, columns))
    loglike = 0.0
    for entry in range(len(starts) - 1):
        word = letters[starts[entry] : starts[entry + 1]]
        sound = phones[phone_starts[entry] : phone_starts[entry + 1]]
        _forward(word, sound, kinds, sounds, probability, alpha, False)
        total = alpha[len(word), len(sound)]
        if total == 0.0:
            continue
        loglike += np.log(total)
        beta[: len(word) + 1, : len(sound) + 1] = 0.0
        beta[len(word), len(sound)] = 1.0
        for i in range(len(word) - 1, -1, -1):
            for j in range(len(sound), -1, -1):
                if alpha[i, j] == 0.0:
                    continue
                for m, n in CHUNKS:
                    if i + m <= len(word) and j + n <= len(sound) and beta[i + m, j + n] > 0.0:
                        code = _code(word, i, m, sound, j, n, kinds, sounds)
                        p = probability[code] * beta[i + m, j + n]
                        beta[i, j] += p
                        counts[code] += alpha[i, j] * p / total
    return loglike


@numba.njit(cache=True)
def _cut(letters, starts, phones, phone_starts, kinds, sounds, probability):  # type: ignore[no-untyped-def]
    """(stream of -2, best graphones, -1 of every entry; which entries have a segmentation)."""
    rows, columns = np.max(np.diff(starts)) + 1, np.max(np.diff(phone_starts)) + 1
    alpha = np.zeros((rows, columns))
    stream = np.empty(len(letters) + 2 * len(starts), dtype=np.int64)
    whole = np.zeros(len(starts) - 1, dtype=np.bool_)
    reverse = np.empty(rows, dtype=np.int64)
    size = 0
    for entry in range(len(starts) - 1):
        word = letters[starts[entry] : starts[entry + 1]]
        sound = phones[phone_starts[entry] : phone_starts[entry + 1]]
        _forward(word, sound, kinds, sounds, probability, alpha, True)
        i, j, length = len(word), len(sound), 0
        whole[entry] = alpha[i, j] > 0.0
        if not whole[entry]:
            continue
        while i > 0:
            for m, n in CHUNKS:
                if i >= m and j >= n:
                    code = _code(word, i - m, m, sound, j - n, n, kinds, sounds)
                    if alpha[i - m, j - n] * probability[code] == alpha[i, j]:
                        reverse[length] = code
                        length, i, j = length + 1, i - m, j - n
                        break
        stream[size] = -2
        stream[size + 1 : size + 1 + length] = reverse[:length][::-1]
        stream[size + 1 + length] = -1
        size += length + 2
    return stream[:size], whole
