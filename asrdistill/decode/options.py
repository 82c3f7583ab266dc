"""Options of the decoder, apart from it so that reading them compiles nothing."""

from dataclasses import dataclass, replace

from asrdistill.config import option
from asrdistill.errors import UserError


@dataclass(frozen=True)
class DecodeOptions:
    """A path's score is its acoustic log-likelihood + log transition probabilities
    + lm_weight · ln P(words and their pronunciations) + insertion_penalty · number of words.

    Beams are given in units of ln P(words), that is divided by lm_weight, so that one value suits
    acoustic models of any scale.
    """

    lm_weight: float = option(10.0, "weight of the language model's log-probability against the acoustic score")
    insertion_penalty: float = option(0.0, "added to the score for each word; negative values make fewer words")
    beam: float = option(15.0, "tokens this far below the best are dropped, in ln P(words)")
    word_end_beam: float = option(9.5, "words that end this far below the best token are dropped, in ln P(words)")
    max_active: int = option(30000, "most tokens that are kept in a frame")
    lattice_beam: float = option(0.0, "keep whatever is this far below the best path, in ln P(words); 0: no lattices")
    prior_floor: float = option(1e-5, "senones rarer than this in training count as this frequent (DNNs)")

    def __post_init__(self) -> None:
        if self.lm_weight <= 0 or self.beam <= 0 or self.word_end_beam <= 0 or self.max_active < 1:
            raise UserError("lm_weight, beam, word_end_beam and max_active must be positive")
        if self.lattice_beam < 0:
            raise UserError(f"lattice_beam must not be negative, but it is {self.lattice_beam:g}")
        if not 0 < self.prior_floor < 1:
            raise UserError(f"prior_floor is a probability between 0 and 1, not {self.prior_floor:g}")

    def wider(self, factor: float) -> "DecodeOptions":
        """The same with beams and tokens so many times as wide and as many."""
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
    risk: bool = option(False, "take the words with the fewest expected errors, not the best path's")
    n_best: int = option(0, "write so many different word sequences of each utterance to nbest.txt, with their scores")
    kaldi: bool = option(False, "write the lattices as lat.gz too, Kaldi's compact lattices as text")
