"""Perturbed copies of utterances.

warp    the frequency axis stretched. A factor below 1 makes a voice sound as from a shorter vocal tract, above 1 from
        a longer one: the mel filters lie between `factor` times the usual edges
speed   the samples played so many times as fast, pitch and all (Ko et al. 2015)
volume  the samples times a factor
snr     in noise, at a signal to noise ratio that is drawn from a range for each utterance

The copy of `utt` by 0.92 is called `warp0.92-utt`, as Kaldi names perturbed copies, one in noise `snr5to20-utt`; by 1
it is `utt` itself. Frames keep their places, so that a copy has the alignment of its original, but at another speed:
there each frame has the senone of the original's frame whose middle is nearest. An image that was moved is
`shift-1+2-utt`: one pixel up, two to the right.
"""

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from asrdistill.data.archive import FrameArchive, ShardWriter, alias
from asrdistill.data.directory import DataDirectory, Utterance
from asrdistill.data.subset import copy_beside
from asrdistill.errors import UserError
from asrdistill.features.noise import Noise
from asrdistill.features.options import FbankOptions, options_of

_NUMBER = r"[0-9.]+(?:e[+-][0-9]+)?"
_PREFIX = re.compile(rf"(?:(warp|speed|volume)({_NUMBER})|snr-?{_NUMBER}to-?{_NUMBER}|shift[+-][0-9]+[+-][0-9]+)-(?=.)")


@dataclass(frozen=True)
class Perturbation:
    """One copy of every utterance: what is changed, and by how much."""

    kind: str  # warp, speed, volume or snr
    value: float = 1.0
    snr: tuple[float, float] = (0.0, 0.0)  # decibels, from and to

    @property
    def warp(self) -> float:
        return self.value if self.kind == "warp" else 1.0

    def name(self, utterance: str) -> str:
        if self.kind == "snr":
            return f"snr{self.snr[0]:g}to{self.snr[1]:g}-{utterance}"
        return utterance if self.value == 1 else f"{self.kind}{self.value:g}-{utterance}"

    def samples(self, utterance: Utterance, samples: np.ndarray, rate: int, noise: Noise | None) -> np.ndarray:
        """What is heard of the utterance's samples (N,); warps happen later, in the filters."""
        if self.kind == "speed":
            import soxr

            return soxr.resample(samples, rate * self.value, rate, quality="soxr_hq")
        if self.kind == "volume":
            return samples * np.float32(self.value)
        if self.kind == "snr" and noise and np.any(samples):
            return noise.add(utterance, samples, rate, self.snr)
        return samples


@dataclass(frozen=True)
class Perturbations:
    """Which copies of every utterance there are: the sum of these, not their products."""

    warps: Sequence[float] = (1.0,)
    speeds: Sequence[float] = ()
    volumes: Sequence[float] = ()
    snr: tuple[float, float] | None = None
    noise: DataDirectory | None = None  # None: a babble of the utterances themselves
    seed: int = 0
    pipes: bool = False

    def each(self) -> list[Perturbation]:
        """Raises UserError for a copy that is asked for twice, and for factors that are not above 0."""
        copies = [Perturbation("warp", warp) for warp in self.warps]
        copies += [Perturbation("speed", speed) for speed in self.speeds]
        copies += [Perturbation("volume", volume) for volume in self.volumes]
        if self.snr:
            if self.snr[0] > self.snr[1]:
                raise UserError(f"a range of SNRs has its lowest first, not {self.snr[0]:g} {self.snr[1]:g}")
            copies.append(Perturbation("snr", snr=self.snr))
        elif self.noise:
            raise UserError("noise is added at a signal to noise ratio; give its range, --snr LOW HIGH")
        for copy in copies:
            if copy.value <= 0:
                raise UserError(f"a {copy.kind} factor must be above 0, not {copy.value:g}")
        names = [copy.name("") for copy in copies]
        if twice := [name for name in names if names.count(name) > 1]:
            raise UserError(f"the copy '{twice[0].rstrip('-') or 1}' is asked for twice")
        return copies

    def describe(self) -> dict[str, Any]:
        """For meta.json and the marker: what was asked for."""
        described: dict[str, Any] = {"warps": list(self.warps)}
        described |= {"speeds": list(self.speeds)} if self.speeds else {}
        described |= {"volumes": list(self.volumes)} if self.volumes else {}
        return described | ({"snr": list(self.snr), "noise_seed": self.seed} if self.snr else {})

    def source(self, utterances: Sequence[Utterance]) -> Noise | None:
        """Where the noise comes from; `utterances` are those that the copies are made of."""
        if not self.snr:
            return None
        sources = self.noise.utterances if self.noise else utterances
        return Noise(sources, self.noise is None, self.seed, self.pipes)


UNPERTURBED = Perturbations()


def warped_name(utterance: str, warp: float) -> str:
    return Perturbation("warp", warp).name(utterance)


def shift_name(image: str, down: int, right: int) -> str:
    return f"shift{down:+d}{right:+d}-{image}"


def original_id(name: str) -> str:
    """The utterance that a copy was made of; its own name where it is none."""
    found = _PREFIX.match(name)
    return name[found.end() :] if found else name


def by_speaker(utterances: Iterable[str], speakers: Mapping[str, str]) -> dict[str, list[str]]:
    """speaker -> the utterances that he says, of those that `speakers` has (utterance -> speaker), and of their copies.

    Copies sound as if another had said them: a speaker's copies of one kind and factor are another speaker's, who is
    called as they are, `warp0.92-SPEAKER`.
    """
    found: dict[str, list[str]] = {}
    for name in utterances:
        utterance = name if name in speakers else original_id(name)
        if utterance in speakers:
            found.setdefault(name.removesuffix(utterance) + speakers[utterance], []).append(name)
    return found


def speed_of(name: str) -> float:
    found = _PREFIX.match(name)
    return float(found[2]) if found and found[1] == "speed" else 1.0


def warped(options: FbankOptions, warp: float) -> FbankOptions:
    """The filters between stretched edges; raises UserError where they would leave the band."""
    if warp <= 0:
        raise UserError(f"a warp factor must be above 0, not {warp:g}")
    if warp == 1:
        return options
    if options.top * warp > options.rate / 2:
        limit = options.rate / 2 / options.top
        raise UserError(
            f"a warp of {warp:g} reaches above half the sample rate; use at most {limit:.3g} or a lower 'high'"
        )
    return dataclasses.replace(options, low=options.low * warp, high=options.top * warp)


def expand_to_copies(originals: Path, features: Path, out: Path) -> None:
    """Write into `out` the rows of all copies in `features` whose originals have some: an alignment, soft targets, …

    It is an index, but for copies at another speed, whose rows are written anew.
    """
    source, copies = FrameArchive(originals), FrameArchive(features, "features")
    names = {name: original_id(name) for name in copies if original_id(name) in source}
    sped = {name: speed for name in names if (speed := speed_of(name)) != 1}
    own = []
    if sped:
        options, parts = options_of(copies.meta["features"]), source.parts
        writer = ShardWriter(out, 0, parts)
        for name, speed in sped.items():
            rows = nearest(copies.rows(name), source.rows(names[name]), speed, options)
            writer.write(name, **{part: source.part(names[name], part)[rows] for part in parts})
        own = [writer.close()]
    fits = {"feature_hash": copies.frames_of} if "feature_hash" in source.meta else {}
    alias(originals, out, {name: utterance for name, utterance in names.items() if name not in sped}, own, **fits)
    copy_beside(source, out)


def nearest(count: int, there: int, speed: float, options: FbankOptions) -> np.ndarray:
    """(count,) for each frame of a copy that is `speed` times as fast: the original's frame whose middle is nearest.

    `there` is how many frames the original has.
    """
    middle = options.window / 2 if options.snip_edges else options.shift / 2  # of frame 0, in samples
    begin = (np.arange(count) * options.shift + middle) * speed - middle
    return np.round(begin / options.shift).astype(np.int64).clip(0, there - 1)
