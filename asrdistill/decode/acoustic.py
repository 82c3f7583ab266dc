"""Scorers: acoustic models that turn features into scaled log-likelihoods, and archives of log-likelihoods."""

from pathlib import Path
from typing import Any, Protocol

import numpy as np

from asrdistill.data.archive import FrameArchive, check_features
from asrdistill.errors import UserError, shorten, training_packages
from asrdistill.hmm.senones import Senones
from asrdistill.models.folder import checked_meta, read_meta, read_senones
from asrdistill.models.inference import PLAIN, Compute
from asrdistill.models.native import NETWORKS, NativeModel


class Scorer(Protocol):
    """Interface of acoustic models."""

    senones: Senones
    meta: dict[str, Any]  # with its kind, and the `features` settings that it was trained on

    def loglikes(self, features: np.ndarray, senones: np.ndarray | None = None) -> np.ndarray:
        """(T, F) float32 -> (T, S) float32 log-likelihoods, up to a constant per frame; optionally of some senones.

        At a low frame rate of every `senones.subsampling`-th frame.
        """


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
        """More features (T, F) float32 -> log-likelihoods (T', S) of the frames whose context is complete."""
        return self._accept(features, last=False)

    def _accept(self, features: np.ndarray, last: bool) -> np.ndarray:
        left, right = self._context
        if len(features) and not len(self._frames):
            features = np.pad(features, ((left, 0), (0, 0)), mode="edge")
        frames = np.concatenate([self._frames, features])
        count = len(frames) - left - right
        if not last:
            count -= count % self._scorer.senones.subsampling  # so that each chunk begins with a frame that is computed
        if count <= 0:
            self._frames = frames
            return np.empty((0, self._scorer.senones.count), np.float32)
        self._frames = frames[count:]
        scores, self._memory = self._scorer.model.forward_chunk(frames[: left + count + right], self._memory)
        return scores - self._scorer.log_priors

    def finish(self) -> np.ndarray:
        """Log-likelihoods (T', S) of the remaining frames; the last feature frame is repeated."""
        return self._accept(np.repeat(self._frames[-1:], self._context[1], axis=0), last=True)


class GivenScores:
    """Scorer of archives of log-likelihoods: returns them as they are."""

    def __init__(self, folder: Path):
        self.senones, self.meta = Senones.read(folder), FrameArchive(folder, "loglikes").meta

    def loglikes(self, features: np.ndarray, senones: np.ndarray | None = None) -> np.ndarray:
        features = features[:: self.senones.subsampling]
        return features if senones is None else features[:, senones]


def load_scorer(folder: Path, prior_floor: float = 1e-5, compute: Compute = PLAIN) -> Scorer:
    """The GMM, network, ensemble or log-likelihoods in a folder; raises UserError for anything else."""
    kind = read_meta(folder)["kind"]
    if kind == "loglikes":
        return GivenScores(folder)
    if kind == "gmm":
        from asrdistill.hmm.gmm import load_gmm

        return load_gmm(folder)
    return PosteriorScorer(open_network(folder, compute), prior_floor)


def open_network(folder: Path, compute: Compute = PLAIN) -> Any:
    """The model in a folder, run without torch where possible.

    Raises UserError as :func:`asrdistill.models.io.load_model` does, and where a package is missing that it needs.
    """
    meta = checked_meta(folder)
    architecture = meta.get("options", {}).get("architecture", "dnn")
    if meta["kind"] == "int8" or (meta["kind"] == "dnn" and architecture in NETWORKS and compute.is_plain()):
        return NativeModel(folder, read_senones(folder, meta), meta)
    if meta["kind"] == "onnx":
        from asrdistill.models.onnx import OnnxModel

        return OnnxModel(folder, read_senones(folder, meta), meta)
    with training_packages(str(folder)):
        from asrdistill.models.io import load_model

    return load_model(folder, compute=compute)


def open_frames(folder: Path, model: Path) -> FrameArchive:
    """The archive of frames for a model to score; raises UserError if it does not fit or has empty utterances."""
    meta = read_meta(model)
    if meta["kind"] == "loglikes":
        archive = FrameArchive(folder, "loglikes")
        if archive.meta["senones"] != Senones.read(model).hash:
            raise UserError(f"{folder} and {model} are of different senones; give the archive itself as the model")
    elif "features" not in meta:
        raise UserError(f"{model} is not a model folder (its meta.json names no features); give one that was trained")
    else:
        archive = FrameArchive(folder, "features")
        check_features(archive, meta["features"], model)
    if empty := [utterance for utterance in archive if archive.rows(utterance) == 0]:
        raise UserError(f"{folder} has {len(empty)} utterances without frames: {shorten(empty)}; leave them out")
    return archive
