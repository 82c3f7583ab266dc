"""Options of the decoder, apart from it so that reading them compiles nothing."""

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import get_type_hints

from asrdistill.config import option
from asrdistill.errors import UserError
from asrdistill.reader import conform, read_json

LARGEST = 1e6  # weight and penalty


def check_scales(lm_weight: float, insertion_penalty: float) -> None:
    """Raise UserError for scales with which scores are of no use or not finite."""
    if not (0 < lm_weight <= LARGEST and abs(insertion_penalty) <= LARGEST):
        wanted = f"lm_weight must be above 0 and at most {LARGEST:g}, insertion_penalty within ±{LARGEST:g}"
        raise UserError(f"{wanted}, not {lm_weight:g} and {insertion_penalty:g}; correct them")


@dataclass(frozen=True)
class DecodeOptions:
    """A path's score is its acoustic log-likelihood + log transition probabilities
    + lm_weight · ln P(words and their pronunciations) + insertion_penalty · number of words.

    Beams are given in units of ln P(words), that is divided by lm_weight, so that one value suits
    acoustic models of any scale.
    """

    lm_weight: float = option(10.0, "weight of the language model's log-probability against the acoustic score")
    insertion_penalty: float = option(0.0, "score added per word; negative values give fewer words")
    beam: float = option(15.0, "beam of tokens, in ln P(words)")
    word_end_beam: float = option(9.5, "beam of word ends, in ln P(words)")
    max_active: int = option(30000, "most tokens per frame")
    lattice_beam: float = option(0.0, "beam of lattices, in ln P(words); 0: no lattices")
    prior_floor: float = option(1e-5, "lower bound of priors (networks)")

    def __post_init__(self) -> None:
        check_scales(self.lm_weight, self.insertion_penalty)
        if not (self.beam > 0 and self.word_end_beam > 0 and self.max_active >= 1):
            raise UserError("beam, word_end_beam and max_active must be positive numbers")
        if not self.lattice_beam >= 0:
            raise UserError(f"lattice_beam must not be negative, but it is {self.lattice_beam:g}")
        if not 0 < self.prior_floor < 1:
            raise UserError(f"prior_floor is a probability between 0 and 1, not {self.prior_floor:g}")

    def wider(self, factor: float) -> "DecodeOptions":
        """The same with beams and token limit multiplied."""
        return replace(
            self,
            beam=factor * self.beam,
            word_end_beam=factor * self.word_end_beam,
            max_active=round(factor * self.max_active),
        )


@dataclass(frozen=True)
class RescoreOptions:
    """How words are chosen from lattices."""

    lm_weight: float = option(0.0, "weight of the language model; 0: that of the search")
    insertion_penalty: float = option(float("nan"), "added to the score for each word; nan: that of the search")
    risk: bool = option(False, "minimum Bayes risk: words with the fewest expected errors")
    n_best: int = option(0, "word sequences per utterance in nbest.txt, with scores")
    kaldi: bool = option(False, "write the lattices as lat.gz too, Kaldi's compact lattices as text")


def tuned(options: DecodeOptions, folder: Path) -> DecodeOptions:
    """The options with the scales of a ``tuned.json``, or all decoding options of a recogniser's.

    Raises UserError for a file without scales.
    """
    record = read_json(path := Path(folder) / "tuned.json")
    known = {field.name for field in fields(options)} & record.keys() | {"lm_weight", "insertion_penalty"}
    kinds = get_type_hints(DecodeOptions)
    return replace(options, **{name: conform(record[name], kinds[name], str(path), name) for name in sorted(known)})
