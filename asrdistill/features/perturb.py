"""Perturbed copies of utterances.

warp    frequency axis stretched: the mel filters lie between `factor` times the usual edges (vocal tract length)
speed   samples resampled to play at `factor` times the speed, pitch included (Ko et al. 2015)
volume  samples times a factor
snr     noise added at a signal-to-noise ratio drawn from a range for each utterance

As in Kaldi, the copy of `utt` is called `warp0.92-utt`, in noise `snr5to20-utt`, of an image `shift-1+2-utt`. Copies
keep the frames, and so the alignment, of their original; at another speed each frame has the senone of the nearest one.
"""

import dataclasses
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from asrdistill.data.archive import FrameArchive, ShardWriter, alias
from asrdistill.data.directory import DataDirectory, Utterance
from asrdistill.data.subset import copy_beside
from asrdistill.errors import UserError
from asrdistill.features.options import FbankOptions, options_of

BABBLE = 5  # utterances in a babble
LONG = 60.0  # seconds
_TRIES = 20  # to find a piece that is not silent


class Noise:
    """Noise that depends on the utterance's id and the seed alone.

    Takes a random piece of a recording of noise; with `babble` the sum of pieces of utterances, preferably of other
    speakers. Shorter pieces are repeated.
    """

    def __init__(self, sources: Sequence[Utterance], babble: bool, seed: int, pipes: bool):
        self.sources, self.babble, self.seed, self.pipes = sources, babble, seed, pipes
        self._speaker, self._others = "", list(sources)

    def add(self, utterance: Utterance, samples: np.ndarray, rate: int, snr: tuple[float, float]) -> np.ndarray:
        """Samples (N,) with noise at an SNR (dB, of the mean powers) drawn uniformly from the range."""
        digest = hashlib.sha256(f"{self.seed} {utterance.id}".encode()).digest()
        rng = np.random.default_rng(int.from_bytes(digest[:8], "big"))
        decibels = rng.uniform(*snr)
        return mixed(samples, self._cut(utterance, len(samples), rate, rng), decibels)

    def _cut(self, utterance: Utterance, length: int, rate: int, rng: np.random.Generator) -> np.ndarray:
        if not self.babble:
            return self._piece(self.sources, length, rate, rng)
        if self._speaker != utterance.speaker:  # utterances come speaker by speaker
            self._speaker = utterance.speaker
            self._others = [u for u in self.sources if u.speaker != utterance.speaker]
        others = self._others or [u for u in self.sources if u.id != utterance.id]
        if not others:
            raise UserError(f"there is nothing but {utterance.id} to make a babble of; give recordings with --noise")
        voices = [self._piece(others, length, rate, rng) for _ in range(BABBLE)]
        return np.stack([voice / np.sqrt(np.mean(voice**2)) for voice in voices]).sum(axis=0)

    def _piece(self, sources: Sequence[Utterance], length: int, rate: int, rng: np.random.Generator) -> np.ndarray:
        """A piece (length,) of a random recording that is not silent."""
        for _ in range(_TRIES):
            source = sources[int(rng.integers(len(sources)))]
            if (rest := (source.seconds or 0.0) - length / rate) > LONG:  # not read as a whole
                begin = source.start + rng.uniform(0, rest)
                source = replace(source, start=begin, end=begin + length / rate, duration=None)
            samples = source.samples(rate, self.pipes)
            piece = np.resize(np.roll(samples, -rng.integers(len(samples))), length)
            if np.any(piece):
                return piece
        raise UserError(f"the noise in {source.audio} and in others like it is silence; give recordings of noise")


def mixed(samples: np.ndarray, noise: np.ndarray, decibels: float) -> np.ndarray:
    """Sum of speech and noise (N,) at an SNR of `decibels`."""
    power = np.mean(np.square(samples, dtype=np.float64)) / np.mean(np.square(noise, dtype=np.float64))
    return (samples + np.sqrt(power / 10 ** (decibels / 10)) * noise).astype(np.float32)


_NUMBER = r"[0-9.]+(?:e[+-][0-9]+)?"
_PREFIX = re.compile(rf"(?:(warp|speed|volume)({_NUMBER})|snr-?{_NUMBER}to-?{_NUMBER}|shift[+-][0-9]+[+-][0-9]+)-(?=.)")


@dataclass(frozen=True)
class Perturbation:
    """One perturbed copy of every utterance."""

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
        """Perturb an utterance's samples (N,); warps happen later, in the filters."""
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
    """The copies of every utterance: one per value, without combinations."""

    warps: Sequence[float] = (1.0,)
    speeds: Sequence[float] = ()
    volumes: Sequence[float] = ()
    snr: Sequence[float] | None = None
    noise: DataDirectory | None = None  # None: a babble of the utterances themselves
    seed: int = 0
    pipes: bool = False

    def each(self) -> list[Perturbation]:
        """All copies; raises UserError for one that is given twice and factors that are not positive."""
        copies = [Perturbation("warp", warp) for warp in self.warps]
        copies += [Perturbation("speed", speed) for speed in self.speeds]
        copies += [Perturbation("volume", volume) for volume in self.volumes]
        if self.snr:
            low, high = self.snr
            if low > high:
                raise UserError(f"--snr takes the lowest value first, not {low:g} {high:g}")
            copies.append(Perturbation("snr", snr=(low, high)))
        elif self.noise:
            raise UserError("--noise needs --snr LOW HIGH")
        for copy in copies:
            if copy.value <= 0:
                raise UserError(f"a {copy.kind} factor must be above 0, not {copy.value:g}")
        names = [copy.name("") for copy in copies]
        if twice := [name for name in names if names.count(name) > 1]:
            raise UserError(f"the copy '{twice[0].rstrip('-') or 1}' is given twice; give it once")
        return copies

    def describe(self) -> dict[str, Any]:
        """For meta.json and the marker."""
        described: dict[str, Any] = {"warps": list(self.warps)}
        described |= {"speeds": list(self.speeds)} if self.speeds else {}
        described |= {"volumes": list(self.volumes)} if self.volumes else {}
        return described | ({"snr": list(self.snr), "noise_seed": self.seed} if self.snr else {})

    def source(self, utterances: Sequence[Utterance]) -> Noise | None:
        """Source of the noise for copies of `utterances`."""
        if not self.snr:
            return None
        sources = self.noise.utterances if self.noise else utterances
        return Noise(sources, self.noise is None, self.seed, self.pipes)


UNPERTURBED = Perturbations()


def shift_name(image: str, down: int, right: int) -> str:
    return f"shift{down:+d}{right:+d}-{image}"


def original_id(name: str) -> str:
    """Id of the utterance that a copy was made of; originals keep their name."""
    found = _PREFIX.match(name)
    return name[found.end() :] if found else name


def by_speaker(utterances: Iterable[str], speakers: Mapping[str, str]) -> dict[str, list[str]]:
    """speaker -> utterances, of those in `speakers` (utterance -> speaker) and of their copies.

    Copies of one kind and factor are those of another speaker, `warp0.92-SPEAKER`.
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
    """Options with stretched filter edges; raises UserError if they exceed half the sample rate."""
    if warp == 1:
        return options
    if options.top * warp > options.rate / 2:
        limit = options.rate / 2 / options.top
        raise UserError(
            f"a warp of {warp:g} reaches above half the sample rate; use at most {limit:.3g} or a lower 'high'"
        )
    return dataclasses.replace(options, low=options.low * warp, high=options.top * warp)


def expand_to_copies(originals: Path, features: Path, out: Path) -> None:
    """Write into `out` the rows (alignment, soft targets, …) of all copies in `features` of utterances in `originals`.

    Only copies at another speed get rows of their own; the rest is an index.
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
    """(count,) nearest frame of the original, of `there` frames, for each frame of a copy at `speed`."""
    middle = options.window / 2 if options.snip_edges else options.shift / 2  # of frame 0, in samples
    begin = (np.arange(count) * options.shift + middle) * speed - middle
    return np.round(begin / options.shift).astype(np.int64).clip(0, there - 1)
