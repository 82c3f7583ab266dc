"""What can be chosen in making and dividing data directories."""

from dataclasses import dataclass

from asrdistill.config import option
from asrdistill.errors import UserError


@dataclass(frozen=True)
class SubsetOptions:
    """Which utterances a subset has: one of the numbers is above 0."""

    shortest: int = option(0, "so many of the shortest utterances")
    utterances: int = option(0, "so many utterances, evenly spaced in the order of their ids")
    speakers: int = option(0, "all utterances of so many speakers, evenly spaced in the order of their names")

    percent: float = option(
        0.0, "such a share of the utterances, at random; smaller shares lie in larger", since_version="0.1"
    )
    seed: int = option(0, "which random share", since_version="0.1")

    def __post_init__(self) -> None:
        given = {name: value for name, value in vars(self).items() if value and name != "seed"}
        if len(given) != 1 or min(given.values()) < 0:
            raise UserError("give a number above 0 for one of --shortest, --utterances, --speakers and --percent")
        if self.percent > 100:
            raise UserError(f"a share of the utterances is at most 100 percent, not {self.percent:g}")


@dataclass(frozen=True)
class SegmentOptions:
    pause: float = option(0.5, "seconds of quiet that end a piece")
    longest: float = option(20.0, "seconds of the longest piece; a longer one is cut where it is quietest")
    shortest: float = option(0.2, "seconds of sound that a piece has at least")
    margin: float = option(0.2, "seconds that are kept before and after what is heard, where there are so many")
    max_left_out: float = option(5.0, "percent of the audio files that may be left out because they cannot be read")

    def __post_init__(self) -> None:
        if self.pause <= 0 or self.shortest <= 0 or self.margin < 0:
            raise UserError("--pause and --shortest must be above 0, --margin not below")
        if self.longest < 1 + 2 * self.margin:
            raise UserError(f"--longest must be at least a second and both margins, not {self.longest:g}")


@dataclass(frozen=True)
class SplitOptions:
    percent: float = option(10.0, "share of the recordings that each of dev and test gets")

    def __post_init__(self) -> None:
        if not 0 < self.percent <= 25:
            raise UserError(f"--percent must lie between 0 and 25, not {self.percent:g}")
