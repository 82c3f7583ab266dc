"""What can be chosen in dividing data directories."""

from dataclasses import dataclass

from asrdistill.config import option
from asrdistill.errors import UserError


@dataclass(frozen=True)
class SubsetOptions:
    """Which utterances a subset has: one of the numbers is above 0."""

    shortest: int = option(0, "so many of the shortest utterances")
    utterances: int = option(0, "so many utterances, evenly spaced in the order of their ids")
    speakers: int = option(0, "all utterances of so many speakers, evenly spaced in the order of their names")

    percent: float = option(0.0, "such a share of the utterances, at random; smaller shares lie in larger", later=True)
    seed: int = option(0, "which random share", later=True)

    def __post_init__(self) -> None:
        given = {name: value for name, value in vars(self).items() if value and name != "seed"}
        if len(given) != 1 or min(given.values()) < 0:
            raise UserError("give a number above 0 for one of --shortest, --utterances, --speakers and --percent")
        if self.percent > 100:
            raise UserError(f"a share of the utterances is at most 100 percent, not {self.percent:g}")
