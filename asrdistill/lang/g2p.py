"""Grapheme to phoneme: a joint-sequence model (Bisani, Ney 2008).

A graphone is one or two letters with zero to two phones. EM under a unigram model segments the dictionary into
graphones; a modified Kneser-Ney n-gram model of these sequences is searched with a beam, letter by letter.
"""

import ctypes
import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from safetensors.numpy import save_file

from asrdistill.core import DOUBLES_OUT, HANDLE, INTS, INTS_OUT, LONGS, REAL, SIZE, Kernel, pack
from asrdistill.errors import UserError
from asrdistill.files import write_json, write_text
from asrdistill.lang.lexicon import Pronunciation
from asrdistill.reader import read_json, read_lines, read_tensors, reading

BEAM = 9.0  # nats
WIDTH = 48  # hypotheses per letter
SECOND = 0.5  # least probability of a second pronunciation, relative to the best

FILES = ("graphones.txt", "ngrams.safetensors", "meta.json")  # of a model

Graphone = tuple[str, tuple[str, ...]]  # letters, phones

_pronounce = Kernel("core_pronounce", SIZE, HANDLE, SIZE, LONGS, INTS, REAL, SIZE, DOUBLES_OUT, INTS_OUT)


class NgramTree(NamedTuple):
    """N-grams of all orders as a tree of N nodes, breadth first, from the unigrams <s>, </s>, graphones; root: -1."""

    token: np.ndarray  # (N,) last token of the n-gram
    logprob: np.ndarray  # (N,) ln P(token | the tokens before)
    backoff: np.ndarray  # (N,) ln of the back-off weight
    suffix: np.ndarray  # (N,) the n-gram without its first token
    children: np.ndarray  # (N + 1,) those of node n are children[n] up to children[n + 1], sorted by token


class NativeNgrams(ctypes.Structure):
    """core_ngrams of ``core/core.h``."""

    ELEMENTS = {"logprob": np.float32, "backoff": np.float32}  # noqa: RUF012
    _fields_ = tuple((name, HANDLE) for name in NgramTree._fields)


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
                raise UserError(f"G2P cannot pronounce '{word}', as '{letter}' is unknown; give its pronunciation")
        chunks = [word[i : i + n] if i + n <= len(word) else "" for i in range(len(word)) for n in (1, 2)]
        candidates = [self._tokens.get(chunk, NONE) for chunk in chunks]
        starts, tokens = np.cumsum([0, *map(len, candidates)]), np.concatenate([NONE, *candidates])
        scores, spelled = np.empty(WIDTH), np.empty((WIDTH, len(word)), np.int32)
        count = _pronounce(
            ctypes.byref(self._native), len(word), starts, tokens, BEAM, WIDTH, scores, spelled.reshape(-1)
        )
        if count < 0:
            raise MemoryError(f"'{word[:20]}' needs more memory than there is")
        found: dict[tuple[str, ...], float] = {}  # summed over segmentations
        for score, chosen in zip(scores[:count].tolist(), spelled[:count].tolist(), strict=True):
            phones = tuple(phone for token in chosen if token >= 0 for phone in self.graphones[token - 2][1])
            if phones:
                found[phones] = found.get(phones, 0.0) + math.exp(score - scores[0])
        if not found:
            raise UserError(f"G2P has no pronunciation for '{word}'; give one")
        best = sorted(found.items(), key=lambda item: (-item[1], item[0]))[:2]
        best = [item for item in best if item[1] >= SECOND * best[0][1]]
        total = sum(probability for _, probability in best)
        return [(probability / total, phones) for phones, probability in best]

    @cached_property
    def _native(self) -> Any:
        return pack(NativeNgrams, **self.tree._asdict())

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
    def read(cls, folder: Path) -> "G2P":
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


NONE = np.zeros(0, dtype=np.int64)


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
