"""What can be chosen when alignments of other systems come in."""

from dataclasses import dataclass

from asrdistill.config import option

FORMATS = ("ctm", "textgrid", "phn", "kaldi")


@dataclass(frozen=True)
class ImportOptions:
    strip_stress: bool = option(False, "take AH0, AH1 and AH2 for AH; true or false (not for kaldi)")
    rate: int = option(0, "samples per second of the times in PHN files; TIMIT's are 16000")
    max_left_out: float = option(5.0, "percent of the features' utterances that may have no alignment")
