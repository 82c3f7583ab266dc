"""Options of segmenting, splitting and subsets."""

from dataclasses import dataclass

from asrdistill.config import option
from asrdistill.errors import UserError


@dataclass(frozen=True)
class SubsetOptions:
    """Utterances of a subset; exactly one of the numbers is above 0."""

    shortest: int = option(0, "number of shortest utterances")
    utterances: int = option(0, "number of utterances, evenly spaced by id")
    speakers: int = option(0, "number of speakers, evenly spaced by name, with all their utterances")

    percent: float = option(
        0.0, "random percentage of the utterances; smaller ones are within larger ones", since_version="0.1"
    )
    seed: int = option(0, "seed of --percent", since_version="0.1")

    def __post_init__(self) -> None:
        given = {name: value for name, value in vars(self).items() if value and name != "seed"}
        if len(given) != 1 or min(given.values()) < 0:
            raise UserError("give a number above 0 for one of --shortest, --utterances, --speakers and --percent")
        if self.percent > 100:
            raise UserError(f"--percent must be at most 100, not {self.percent:g}")


@dataclass(frozen=True)
class SegmentOptions:
    pause: float = option(0.5, "seconds of silence that end a segment")
    longest: float = option(20.0, "longest segment in seconds; longer ones are cut where they are quietest")
    shortest: float = option(0.2, "least seconds of sound in a segment")
    margin: float = option(0.2, "seconds kept before and after the sound")
    max_left_out: float = option(5.0, "percent of the audio files that may be unreadable")

    def __post_init__(self) -> None:
        if self.pause <= 0 or self.shortest <= 0 or self.margin < 0:
            raise UserError("--pause and --shortest must be above 0, --margin not below")
        if self.longest < 1 + 2 * self.margin:
            raise UserError(f"--longest must be at least a second and both margins, not {self.longest:g}")


@dataclass(frozen=True)
class SplitOptions:
    percent: float = option(10.0, "percent of the audio for each of dev and test")

    def __post_init__(self) -> None:
        if not 0 < self.percent <= 25:
            raise UserError(f"--percent must lie between 0 and 25, not {self.percent:g}")
