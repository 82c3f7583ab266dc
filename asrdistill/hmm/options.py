"""Options of GMM training, fMLLR and alignment."""

from dataclasses import dataclass

from asrdistill.config import hash_fields, option
from asrdistill.errors import UserError

_LEFT_OUT = "percent of the utterances that may fail to align"


@dataclass(frozen=True)
class MonoOptions:
    gaussians: int = option(1000, "Gaussians of all senones together")
    iterations: int = option(40, "training iterations")
    seed: int = option(0, "seed for splitting Gaussians")
    max_left_out: float = option(5.0, _LEFT_OUT)

    def __post_init__(self) -> None:
        if self.iterations < 1:
            raise UserError(f"--iterations must be at least 1, not {self.iterations}")


@dataclass(frozen=True)
class TriphoneOptions(MonoOptions):
    leaves: int = option(1500, "leaves of the decision trees: senones")
    gaussians: int = option(10000, "Gaussians of all senones together")
    iterations: int = option(35, "training iterations")
    lda: bool = option(False, "project spliced cepstra by LDA and MLLT instead of adding deltas")
    splice: int = option(3, "with --lda: frames spliced to each side before the projection")
    dimension: int = option(40, "with --lda: dimensions of the projection")


@dataclass(frozen=True)
class FmllrOptions:
    min_frames: int = option(500, "speakers with fewer aligned frames are not adapted")
    rounds: int = option(
        1, "estimates of each transform, each from frames that the one before has transformed", since_version="0.2"
    )
    silence: bool = option(True, "silence counts as speech does", since_version="0.2")

    def __post_init__(self) -> None:
        if self.rounds < 1:
            raise UserError(f"--rounds must be at least 1, not {self.rounds}")


@dataclass(frozen=True)
class AlignOptions:
    max_left_out: float = option(5.0, _LEFT_OUT)


@dataclass(frozen=True)
class SubsamplingOptions:
    frame_subsampling: int = option(
        1, "make an alignment, with trees of its own, for networks with an output every Nth frame", since_version="0.2"
    )
    states: int = option(2, "HMM states per phone; 2: its first output has one of its own", (1, 2), since_version="0.2")
    leaves: int = option(2000, "leaves of the decision trees: senones", since_version="0.2")
    right_context: bool = option(False, "the trees ask about the right phone as well", since_version="0.2")
    max_left_out: float = option(
        5.0, "percent of the utterances that may have fewer than N frames per phone", since_version="0.2"
    )

    def __post_init__(self) -> None:
        if self.frame_subsampling < 1 or self.leaves < 1:
            raise UserError("--frame-subsampling and --leaves must be at least 1")
        if self.frame_subsampling == 1 and (given := sorted(hash_fields(self).keys() - {"max_left_out"})):
            raise UserError(f"--{given[0].replace('_', '-')} is for --frame-subsampling; give both")
