"""Acoustic models for the decoder: features to scaled log-likelihoods. An archive of log-likelihoods is one too."""

from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from asrdistill.data.archive import FrameArchive, check_features
from asrdistill.errors import UserError, shorten
from asrdistill.files import read_json
from asrdistill.hmm.senones import Senones


class Scorer(Protocol):
    """Interface of acoustic models."""

    senones: Senones
    meta: dict[str, Any]  # with its kind, and the `features` settings that it was trained on

    def loglikes(self, features: np.ndarray, senones: np.ndarray | None = None) -> np.ndarray:
        """(T, F) float32 -> (T, S) float32 natural-log likelihoods up to a constant a frame; or of some senones."""


class PosteriorScorer:
    """Scaled likelihoods of a classifier: log posterior − log prior (Bourlard and Morgan 1994).

    Priors below `floor` are raised to it, so that a senone does not win because it is rare.
    """

    def __init__(self, model: Any, floor: float):
        self.model, self.senones, self.meta = model, model.senones, model.meta
        self.log_priors = np.log(np.maximum(model.priors, floor)).astype(np.float32)

    def loglikes(self, features: np.ndarray, senones: np.ndarray | None = None) -> np.ndarray:
        scores = self.model.log_posteriors(features) - self.log_priors
        return scores if senones is None else scores[:, senones]


class ScoreStream:
    """Streaming scores of one utterance; `scorer` holds a single network."""

    def __init__(self, scorer: PosteriorScorer):
        self._scorer, self._context = scorer, scorer.model.context
        self._frames = np.empty((0, scorer.model.dimension), np.float32)  # with the context of the next
        self._memory: Any = None  # of a recurrent network

    def accept(self, features: np.ndarray) -> np.ndarray:
        """More features (T, F) float32 -> log-likelihoods (T', S) of the frames whose context is complete by now."""
        left, right = self._context
        if len(features) and not len(self._frames):
            features = np.pad(features, ((left, 0), (0, 0)), mode="edge")
        frames = np.concatenate([self._frames, features])
        if len(frames) <= left + right:
            self._frames = frames
            return np.empty((0, self._scorer.senones.count), np.float32)
        self._frames = frames[len(frames) - left - right :]
        scores, self._memory = self._scorer.model.forward_chunk(frames, self._memory)
        return scores - self._scorer.log_priors

    def finish(self) -> np.ndarray:
        """Log-likelihoods (T', S) of the frames that are left: the last feature frame is repeated."""
        return self.accept(np.repeat(self._frames[-1:], self._context[1], axis=0))


class GivenScores:
    """The scorer of an archive of log-likelihoods, and of others over the same senones: they are the scores."""

    def __init__(self, folder: Path):
        self.senones, self.meta = Senones.read(folder), FrameArchive(folder, "loglikes").meta

    def loglikes(self, features: np.ndarray, senones: np.ndarray | None = None) -> np.ndarray:
        return features if senones is None else features[:, senones]


class Described(NamedTuple):
    """A model without its weights."""

    senones: Senones
    meta: dict[str, Any]


def describe(folder: Path) -> Described:
    """What the model in a folder is, without its weights; raises UserError for a folder without a model."""
    meta = _meta(folder)
    if "features" not in meta and meta.get("kind") != "loglikes":
        raise UserError(f"{folder} is not a model folder (its meta.json names no features); give one that was trained")
    return Described(Senones.read(folder), meta)


def _meta(folder: Path) -> dict[str, Any]:
    path = Path(folder) / "meta.json"
    if not path.is_file():
        raise UserError(f"{folder} is not a model folder (no meta.json in it); run the stage that trains it")
    return read_json(path)


def load_scorer(folder: Path, prior_floor: float = 1e-5) -> Scorer:
    """The GMM, network, ensemble or log-likelihoods in a folder; raises UserError for anything else."""
    kind = _meta(folder).get("kind")
    if kind == "loglikes":
        return GivenScores(folder)
    if kind == "gmm":
        from asrdistill.hmm.gmm import load_gmm

        return load_gmm(folder)
    from asrdistill.models.io import load_model  # torch is slow to import, and a GMM needs none

    return PosteriorScorer(load_model(folder), prior_floor)


def open_frames(folder: Path, scorer: Scorer | Described, model: Path) -> FrameArchive:
    """The archive of frames for the model to score; raises UserError for those of another kind, and without frames."""
    if scorer.meta.get("kind") == "loglikes":
        archive = FrameArchive(folder, "loglikes")
        if archive.meta["senones"] != scorer.senones.hash:
            raise UserError(f"{folder} and {model} are of different senones; give the archive itself as the model")
    else:
        archive = FrameArchive(folder, "features")
        check_features(archive, scorer.meta["features"], model)
    if empty := [utterance for utterance in archive if archive.rows(utterance) == 0]:
        raise UserError(f"{folder} has {len(empty)} utterances without frames: {shorten(empty)}; leave them out")
    return archive
