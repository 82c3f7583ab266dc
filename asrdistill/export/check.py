"""Check an export: compare both networks' posteriors, frame accuracy and words."""

from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from asrdistill.data.archive import FrameArchive
from asrdistill.data.directory import DataDirectory, Utterance
from asrdistill.decode.acoustic import PosteriorScorer
from asrdistill.decode.corpus import warm_up
from asrdistill.decode.decoder import Decoder
from asrdistill.errors import UserError, shorten
from asrdistill.export.forms import open_form
from asrdistill.export.options import INT8
from asrdistill.hmm.senones import Senones
from asrdistill.models.io import load_model
from asrdistill.parallel import map_utterances
from asrdistill.reader import read_json
from asrdistill.runtime.frontend import Frontend, frontend_of
from asrdistill.scoring.edit_distance import count_errors

# How far an export may be from the original before it is called broken. Float forms only sum in another order. int8
# rounds: amazon_queen's student chooses another senone in 5 of 100 frames, at the same frame accuracy and WER.
LARGEST_DIFFERENCE = 0.01  # of log posteriors, float forms
AGREEMENT = 80.0  # percent of frames, int8
SYNTHETIC = 1000  # frames that stand in where there is no audio

Figures = dict[str, Any]


def check(
    form: str, model: Path, out: Path, decoder: Decoder, data: DataDirectory | None, alignment: Path | None, jobs: int
) -> Figures:
    """Compare the network in the folder `model` with its export in `out`; returns the figures of the model card.

    Without audio the frames are random numbers, and nothing is decoded. Raises UserError where the two differ beyond
    what the form explains, for utterances without words, and for an alignment over other senones.
    """
    largest, counts = 0.0, Counter[str]()
    if data is None:
        original, exported = load_model(model), open_form(form, out)
        mean, std = (part.numpy() for part in (original.module.mean, original.module.std))  # type: ignore[union-attr]
        noise = np.random.default_rng(0).normal(size=(SYNTHETIC, len(mean)))
        features = (mean + std * noise).astype(np.float32)
        largest, counts = _compare(original.log_posteriors(features), exported.log_posteriors(features))
    else:
        _check_inputs(model, data, alignment)
        load = partial(_load, form, model, out, decoder, alignment)
        for difference, found in map_utterances(_compare_utterance, data.utterances, jobs, "check", load):
            largest = float(np.maximum(largest, difference))  # NaN stays
            counts.update(found)
        if alignment and not counts["aligned"]:
            raise UserError(f"{alignment} holds none of the utterances to check on; give the alignment of theirs")
    agreement = 100 * counts["agreeing"] / counts["frames"]
    if not (agreement >= AGREEMENT if form in INT8 else largest <= LARGEST_DIFFERENCE):  # NaN is broken too
        raise UserError(
            f"{form} of {model}: posteriors differ by {largest:.3g}, best senone same in {agreement:.1f} %; change --to"
        )
    return _figures(largest, counts)


def features_of(data: DataDirectory, front: Frontend, frames: int) -> Iterator[np.ndarray]:
    """Features (T, F) of utterances from all over a data directory until there are `frames` frames."""
    for number in np.random.default_rng(0).permutation(len(data)):
        features = front.frames(data.utterances[number].samples(front.rate))
        if len(features):
            yield features
        if (frames := frames - len(features)) <= 0:
            return


def _check_inputs(model: Path, data: DataDirectory, alignment: Path | None) -> None:
    if not len(data):
        raise UserError("the data directory to check on has no utterances; give another")
    if silent := [utterance.id for utterance in data if not utterance.text]:
        raise UserError(f"{len(silent)} utterances to check on have no words in text: {shorten(silent)}; add them")
    if alignment and Senones.read(alignment).hash != Senones.read(model).hash:
        raise UserError(f"{alignment} is an alignment over other senones than those of {model}; give its own")


def _compare(original: np.ndarray, exported: np.ndarray) -> tuple[float, Counter[str]]:
    """The largest difference of log posteriors (T, S), and frames, of which `agreeing`."""
    agreeing = int((original.argmax(1) == exported.argmax(1)).sum())
    return float(np.abs(original - exported).max()), Counter(frames=len(original), agreeing=agreeing)


def _load(form: str, model: Path, out: Path, decoder: Decoder, alignment: Path | None) -> tuple[Any, ...]:
    warm_up(decoder)
    front = frontend_of(read_json(out / "meta.json"), out)
    labels: Any = FrameArchive(alignment, "alignment") if alignment else {}
    scorer = PosteriorScorer(load_model(model), decoder.options.prior_floor)
    return scorer, open_form(form, out), front, decoder, labels


def _compare_utterance(state: tuple[Any, ...], utterance: Utterance) -> tuple[float, Counter[str]]:
    """The largest difference in an utterance, and its counts."""
    scorer, exported, front, decoder, labels = state
    features = front.frames(utterance.samples(front.rate))
    if not len(features):
        raise UserError(f"utterance {utterance.id} is too short for one frame; remove it from the data directory")
    networks = {"original": scorer.model, "exported": exported}
    scores = {name: network.log_posteriors(features) for name, network in networks.items()}
    largest, counts = _compare(*scores.values())
    if utterance.id in labels:
        truth = labels[utterance.id]
        if abs(len(truth) - len(features)) > front.tolerance:
            raise UserError(f"{utterance.id} has {len(features)} frames, {len(truth)} in {labels.folder}; align again")
        truth = truth[:: scorer.senones.subsampling]
        both = counts["aligned"] = min(len(truth), len(scores["original"]))
        for name, logp in scores.items():
            counts[f"{name} correct"] = int((logp.argmax(1)[:both] == truth[:both]).sum())
    words = (utterance.text or "").split()
    counts["utterances"], counts["words"] = 1, len(words)
    for name, logp in scores.items():
        if name == "original" or largest:
            errors = sum(count_errors(words, decoder.decode(logp - scorer.log_priors).words))
        counts[f"{name} errors"] = errors
    return largest, counts


def _figures(largest: float, counts: Counter[str]) -> Figures:
    def both(what: str, total: str) -> dict[str, float]:
        return {name: round(100 * counts[f"{name} {what}"] / counts[total], 2) for name in ("original", "exported")}

    figures: Figures = {
        "frames": counts["frames"],
        "largest_difference": float(f"{largest:.2g}"),
        "frame_agreement": round(100 * counts["agreeing"] / counts["frames"], 2),
    }
    if counts["aligned"]:
        figures |= {"aligned_frames": counts["aligned"], "frame_accuracy": both("correct", "aligned")}
    if counts["words"]:
        figures |= {"utterances": counts["utterances"], "words": counts["words"], "wer": both("errors", "words")}
    return figures
