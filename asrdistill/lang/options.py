"""Options of G2P, n-gram and subword training."""

from dataclasses import dataclass

from asrdistill.config import option
from asrdistill.errors import UserError


@dataclass(frozen=True)
class G2POptions:
    order: int = option(7, "n-gram order of the graphone model")
    iterations: int = option(8, "iterations of EM")

    def __post_init__(self) -> None:
        if self.order < 1 or self.iterations < 1:
            raise UserError("--order and --iterations must be at least 1")


@dataclass(frozen=True)
class LMOptions:
    order: int = option(3, "n-gram order")
    prune: list[int] = option([0], "leave out n-grams seen at most N times: 0 1 2 is for orders 1, 2, and 3 and more")
    ngrams: int = option(0, "most n-grams above unigrams, by entropy pruning (0: all)", since_version="0.2.0")

    def __post_init__(self) -> None:
        if self.order < 1 or self.ngrams < 0:
            raise UserError(f"--order must be at least 1 and --ngrams at least 0, not {self.order} and {self.ngrams}")
        if self.prune[0] != 0 or self.prune != sorted(self.prune):
            raise UserError("--prune must begin with 0 and not fall")


@dataclass(frozen=True)
class SubwordOptions:
    pieces: int = option(500, "size of the sentencepiece model")

    def __post_init__(self) -> None:
        if self.pieces < 1:
            raise UserError(f"--pieces must be at least 1, not {self.pieces}")
