"""What can be chosen in training and aligning HMMs."""

from dataclasses import dataclass

from asrdistill.config import option

_LEFT_OUT = "percent of the utterances that may be left out as not alignable"


@dataclass(frozen=True)
class MonoOptions:
    gaussians: int = option(1000, "Gaussians of all senones together at the end")
    iterations: int = option(40, "rounds of training")
    seed: int = option(0, "seed of the directions in which Gaussians are split")
    max_left_out: float = option(5.0, _LEFT_OUT)


@dataclass(frozen=True)
class TriphoneOptions:
    leaves: int = option(1500, "senones that the trees end in")
    gaussians: int = option(10000, "Gaussians of all senones together at the end")
    iterations: int = option(35, "rounds of training")
    seed: int = option(0, "seed of the directions in which Gaussians are split")
    lda: bool = option(False, "project spliced cepstra by LDA and MLLT instead of adding deltas")
    splice: int = option(3, "with --lda: frames spliced to each side before the projection")
    dimension: int = option(40, "with --lda: dimensions of the projection")
    max_left_out: float = option(5.0, _LEFT_OUT)


@dataclass(frozen=True)
class FmllrOptions:
    min_frames: int = option(500, "a speaker with fewer frames keeps the features as they are")


@dataclass(frozen=True)
class AlignOptions:
    max_left_out: float = option(5.0, _LEFT_OUT)
