"""Grapheme to phoneme: a joint-sequence model (Bisani, Ney 2008).

A graphone is one or two letters with zero to two phones. EM under a unigram model segments the dictionary into
graphones; a modified Kneser-Ney n-gram model of these sequences is searched with a beam, letter by letter.
"""

from __future__ import annotations

import logging
import math
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import NamedTuple

import numba
import numpy as np
from kaldialign import edit_distance
from safetensors.numpy import save_file

from asrdistill.errors import UserError, shorten
from asrdistill.files import write_json, write_text
from asrdistill.lang.dictionary import Dictionary, phones_of
from asrdistill.lang.lexicon import Pronunciation
from asrdistill.lang.ngram import count_ngrams, estimate
from asrdistill.lang.options import G2POptions
from asrdistill.reader import read_json, read_lines, read_tensors, reading

log = logging.getLogger("asrdistill")

BEAM = 9.0  # nats
WIDTH = 48  # hypotheses per letter
SECOND = 0.5  # least probability of a second pronunciation, relative to the best
HELD_OUT = 50  # one of N words

LARGEST = 20_000  # letters times phones: EM takes the square of it, 3 GB
CHUNKS = ((1, 1), (1, 0), (2, 1), (1, 2))  # letters and phones of a graphone

Graphone = tuple[str, tuple[str, ...]]  # letters, phones
Entry = tuple[str, tuple[str, ...]]  # word, one of its pronunciations


class NgramTree(NamedTuple):
    """N-grams of all orders as a tree of N nodes, breadth first, from the unigrams <s>, </s>, graphones; root: -1."""

    token: np.ndarray  # (N,) last token of the n-gram
    logprob: np.ndarray  # (N,) ln P(token | the tokens before)
    backoff: np.ndarray  # (N,) ln of the back-off weight
    suffix: np.ndarray  # (N,) the n-gram without its first token
    children: np.ndarray  # (N + 1,) those of node n are children[n] up to children[n + 1], sorted by token


@dataclass(frozen=True)
class G2P:
    """Graphones (token - 2 is their number) and their n-gram model."""

    graphones: list[Graphone]
    tree: NgramTree

    def pronounce(self, word: str) -> list[Pronunciation]:
        """The best pronunciation, and the second if at least half as probable; probabilities sum to one.

        Raises UserError for an unknown letter, or if there is no pronunciation.
        """
        for letter in word:
            if letter not in self._letters:
                raise UserError(f"G2P cannot pronounce '{word}', as '{letter}' is unknown; add it to the dictionary")
        chunks = [word[i : i + n] if i + n <= len(word) else "" for i in range(len(word)) for n in (1, 2)]
        candidates = [self._tokens.get(chunk, _NONE) for chunk in chunks]
        starts, tokens = np.cumsum([0, *map(len, candidates)]), np.concatenate([_NONE, *candidates])
        scores, back, chosen, final = _search(starts, tokens, *self.tree, BEAM, WIDTH)
        found: dict[tuple[str, ...], float] = {}  # summed over segmentations
        for at in final:
            phones = self._trace(at, back, chosen)
            if phones:
                found[phones] = found.get(phones, 0.0) + math.exp(scores[at] - scores[final[0]])
        if not found:
            raise UserError(f"G2P has no pronunciation for '{word}'; add it to the dictionary")
        best = sorted(found.items(), key=lambda item: (-item[1], item[0]))[:2]
        best = [item for item in best if item[1] >= SECOND * best[0][1]]
        total = sum(probability for _, probability in best)
        return [(probability / total, phones) for phones, probability in best]

    def _trace(self, at: int, back: np.ndarray, chosen: np.ndarray) -> tuple[str, ...]:
        parts = []
        while at > 0:
            parts.append(self.graphones[chosen[at] - 2][1])
            at = back[at]
        return tuple(phone for part in reversed(parts) for phone in part)

    @cached_property
    def _letters(self) -> set[str]:
        return {letter for letters, _ in self.graphones for letter in letters}

    @cached_property
    def _tokens(self) -> dict[str, np.ndarray]:
        """letters -> the tokens that stand for them"""
        table: dict[str, list[int]] = {}
        for number, (letters, _) in enumerate(self.graphones):
            table.setdefault(letters, []).append(number + 2)
        return {letters: np.array(tokens) for letters, tokens in table.items()}

    def write(self, folder: Path, meta: dict[str, object]) -> None:
        """Write graphones.txt (letters <tab> phones), ngrams.safetensors and meta.json into the folder."""
        lines = (f"{letters}\t{' '.join(phones)}\n" for letters, phones in self.graphones)
        write_text(folder / "graphones.txt", "".join(lines))
        save_file(self.tree._asdict(), folder / "ngrams.safetensors")
        write_json(folder / "meta.json", {"kind": "g2p", **meta})

    @classmethod
    def read(cls, folder: Path) -> G2P:
        """Read a model; raises UserError if there is none, or it is damaged."""
        folder = Path(folder)
        if not folder.is_dir():
            raise UserError(f"G2P model {folder} does not exist; make it with asrdistill lang g2p")
        if read_json(folder / "meta.json").get("kind") != "g2p":
            raise UserError(f"{folder} is no G2P model; make one with asrdistill lang g2p")
        with reading(folder, "make the G2P model again with asrdistill lang g2p"):
            pairs = [line.split("\t") for line in read_lines(folder / "graphones.txt")]
            kinds = dict(zip(NgramTree._fields, ("i4/1", "f4/1", "f4/1", "i4/1", "i4/1"), strict=True))
            tree = NgramTree(
                **read_tensors(folder / "ngrams.safetensors", "make the G2P model again", kinds, ["logprob", "backoff"])
            )
            graphones = [(letters, tuple(phones.split())) for letters, phones in pairs]
            _check(tree, len(graphones) + 2)
        return cls(graphones, tree)


_NONE = np.zeros(0, dtype=np.int64)


def _check(tree: NgramTree, symbols: int) -> None:
    """Raise ValueError unless all indices of the tree are valid."""
    nodes = len(tree.token)
    above = np.concatenate([np.full(symbols, -1), tree.suffix[symbols:]])
    if (
        {len(part) for part in tree[:4]} != {nodes}
        or len(tree.children) != nodes + 1
        or (tree.children[0], tree.children[-1]) != (symbols, nodes)
        or np.any(np.diff(tree.children) < 0)
        or np.any((above != tree.suffix) | (above < -1) | (above >= np.arange(nodes)))
    ):
        raise ValueError("graphones and n-grams do not fit together")


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
    prefixes = np.concatenate([level.prefix + at for level, at in zip(levels[1:], offsets, strict=False)] or [_NONE])
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


@numba.njit(cache=True)
def _step(node, symbol, token, logprob, backoff, suffix, children):  # type: ignore[no-untyped-def]
    """(ln P(symbol | n-gram of the node), node of the longest n-gram that is a history)."""
    score = 0.0
    while node >= 0:
        low, high = children[node], children[node + 1]
        found = low + np.searchsorted(token[low:high], symbol)
        if found < high and token[found] == symbol:
            break
        score += backoff[node]
        node = suffix[node]
    node = found if node >= 0 else symbol
    score += logprob[node]
    while node >= 0 and children[node] == children[node + 1]:
        node = suffix[node]
    return score, node


@numba.njit(cache=True)
def _search(starts, tokens, token, logprob, backoff, suffix, children, beam, width):  # type: ignore[no-untyped-def]
    """Beam search over letters; (score, predecessor, token of each hypothesis, the complete ones, best first).

    tokens[starts[2 i] : starts[2 i + 1]] are graphones of letter i, up to starts[2 i + 2] of letters i and i + 1.
    """
    letters = (len(starts) - 1) // 2
    size = 1 + width * (len(tokens) + 1)
    score, node = np.zeros(size), np.zeros(size, dtype=np.int64)  # node 0: <s>
    back, chosen = np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.int64)
    slices = np.zeros((letters + 3, 4), dtype=np.int64)  # hypotheses that end at a letter: by a pair, by a single
    slices[0, 1] = made = 1
    for i in range(letters + 1):
        a, b, c, d = slices[i]
        alive = np.concatenate((np.arange(a, b), np.arange(c, d)))
        if i == letters:
            for h in alive:
                score[h] += _step(node[h], 1, token, logprob, backoff, suffix, children)[0]
        if len(alive) == 0:
            continue
        alive = alive[np.argsort(-score[alive], kind="mergesort")][:width]
        alive = alive[score[alive] >= score[alive[0]] - beam]
        if i == letters:
            return score, back, chosen, alive
        for n in (1, 2):
            first = made
            floor = -np.inf
            for h in alive:
                for symbol in tokens[starts[2 * i + n - 1] : starts[2 * i + n]]:
                    gain, after = _step(node[h], symbol, token, logprob, backoff, suffix, children)
                    total = score[h] + gain
                    if total < floor:
                        continue
                    floor = max(floor, total - beam)
                    score[made], node[made], back[made], chosen[made] = total, after, h, symbol
                    made += 1
            slices[i + n, 4 - 2 * n : 6 - 2 * n] = first, made
    return score, back, chosen, np.zeros(0, dtype=np.int64)
