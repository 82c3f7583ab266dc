"""What can be chosen in making pronunciations and language models."""

from dataclasses import dataclass, field

from asrdistill.config import option
from asrdistill.errors import UserError


@dataclass(frozen=True)
class G2POptions:
    order: int = option(7, "length of the n-grams of graphones")
    iterations: int = option(8, "rounds of EM that find the graphones")

    def __post_init__(self) -> None:
        if self.order < 1 or self.iterations < 1:
            raise UserError("--order and --iterations must be at least 1")


@dataclass(frozen=True)
class LMOptions:
    order: int = option(3, "length of the n-grams")
    prune: list[int] = field(
        default_factory=lambda: [0],
        metadata={"help": "leave out n-grams seen so often or less: 0 1 2 is for lengths 1, 2, and 3 and more"},
    )

    def __post_init__(self) -> None:
        if self.order < 1:
            raise UserError(f"--order must be at least 1, not {self.order}")
        if self.prune[0] != 0 or self.prune != sorted(self.prune):
            raise UserError("--prune must begin with 0, for every word keeps its unigram, and not fall after that")


@dataclass(frozen=True)
class SubwordOptions:
    pieces: int = option(500, "pieces of the sentencepiece model")

    def __post_init__(self) -> None:
        if self.pieces < 1:
            raise UserError(f"--pieces must be at least 1, not {self.pieces}")
