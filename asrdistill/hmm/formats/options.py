"""Options of importing alignments and posteriors."""

from dataclasses import dataclass

from asrdistill.config import option
from asrdistill.errors import UserError

FORMATS = ("ctm", "textgrid", "phn", "kaldi")
FORMS = ("posteriors", "log-posteriors", "loglikes")


@dataclass(frozen=True)
class ImportOptions:
    strip_stress: bool = option(False, "read AH0, AH1 and AH2 as AH (not for kaldi)")
    rate: int = option(0, "samples per second of the times in PHN files; TIMIT's are 16000")
    max_left_out: float = option(5.0, "percent of the utterances that may have no alignment")


@dataclass(frozen=True)
class PosteriorOptions:
    form: str = option("posteriors", "contents of SOURCE", FORMS)
    blank: str = option("<blk>", "blank unit of a CTC model")
    prior_floor: float = option(1e-5, "least prior probability of a senone")
    frame_shift: float = option(0.01, "seconds between frames")

    def __post_init__(self) -> None:
        if not 0 < self.prior_floor < 1:
            raise UserError(f"--prior-floor must lie between 0 and 1, not {self.prior_floor:g}")
        if not 0 < self.frame_shift < 1:
            raise UserError(f"--frame-shift must lie between 0 and 1 s, not {self.frame_shift:g}")
