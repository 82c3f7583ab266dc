"""What can be chosen when alignments and posteriors of other systems come in."""

from dataclasses import dataclass

from asrdistill.config import option
from asrdistill.errors import UserError

FORMATS = ("ctm", "textgrid", "phn", "kaldi")
FORMS = ("posteriors", "log-posteriors", "loglikes")


@dataclass(frozen=True)
class ImportOptions:
    strip_stress: bool = option(False, "take AH0, AH1 and AH2 for AH; true or false (not for kaldi)")
    rate: int = option(0, "samples per second of the times in PHN files; TIMIT's are 16000")
    max_left_out: float = option(5.0, "percent of the features' utterances that may have no alignment")


@dataclass(frozen=True)
class PosteriorOptions:
    form: str = option("posteriors", "what SOURCE holds; loglikes stay as they are", FORMS)
    blank: str = option("<blk>", "the unit of a CTC model that is its blank")
    prior_floor: float = option(1e-5, "senones that are less probable than this in the priors count as this probable")
    frame_shift: float = option(0.01, "seconds between frames")

    def __post_init__(self) -> None:
        if not 0 < self.prior_floor < 1:
            raise UserError(f"prior_floor is a probability between 0 and 1, not {self.prior_floor:g}")
        if not 0 < self.frame_shift < 1:
            raise UserError(f"the frame shift is in seconds, 0.01 for instance, not {self.frame_shift:g}")
