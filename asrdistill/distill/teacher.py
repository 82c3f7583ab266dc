"""Who gives soft targets: a model of ours, or posteriors of another system, over our senones or its own units."""

from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from asrdistill.data.archive import FrameArchive, check_features, check_match
from asrdistill.errors import UserError
from asrdistill.files import read_json
from asrdistill.hmm.formats.posteriors import PRIORS
from asrdistill.hmm.senones import Senones
from asrdistill.models.folder import load_model

FLOOR = 1e-30  # of a posterior that is 0


class Mapping(NamedTuple):
    """P(our senone | the teacher's unit)."""

    matrix: np.ndarray  # (U, S), rows sum to one
    senones: Senones


class Teacher(Protocol):
    """Posteriors of utterances by name; `meta` is what its folder says of it."""

    senones: Senones
    meta: dict[str, Any]

    def log_posteriors(self, utterance: str) -> np.ndarray:
        """(T, S) float32 natural logs of an utterance's posteriors."""


class ModelTeacher:
    """A network or an ensemble that looks at the features."""

    def __init__(self, folder: Path, features: FrameArchive):
        self.model, self.features = load_model(folder), features
        self.senones, self.meta = self.model.senones, self.model.meta
        check_features(features, self.meta["features"], folder)

    def log_posteriors(self, utterance: str) -> np.ndarray:
        return self.model.log_posteriors(self.features[utterance])


class GivenTeacher:
    """What ``import-posteriors`` made of another system's posteriors; they must be of the features' frames."""

    def __init__(self, folder: Path, features: FrameArchive):
        self.archive, self.senones = FrameArchive(folder, "loglikes"), Senones.read(folder)
        self.meta = {"senones": self.senones.hash}
        if not (folder / PRIORS).is_file():
            raise UserError(
                f"{folder} holds log-likelihoods, which are no posteriors; import those with --form posteriors or "
                "log-posteriors"
            )
        self.log_priors = np.load(folder / PRIORS, allow_pickle=False)
        check_match(self.archive, features, features.utterances)

    def log_posteriors(self, utterance: str) -> np.ndarray:
        return np.maximum(self.archive[utterance] + self.log_priors, np.float32(np.log(FLOOR)))


class MappedTeacher:
    """A teacher of other units; see :mod:`asrdistill.distill.mapping`."""

    def __init__(self, teacher: Teacher, mapping: Mapping):
        self.teacher, self.matrix, self.senones = teacher, mapping.matrix.astype(np.float32), mapping.senones
        self.meta = {**teacher.meta, "senones": self.senones.hash}

    def log_posteriors(self, utterance: str) -> np.ndarray:
        return np.log(np.maximum(np.exp(self.teacher.log_posteriors(utterance)) @ self.matrix, FLOOR))


def open_teacher(folder: Path, features: FrameArchive, mapping: Mapping | None = None) -> Teacher:
    """The model or the archive of posteriors in a folder; raises UserError where it does not fit the features."""
    meta = Path(folder) / "meta.json"
    given = meta.is_file() and read_json(meta).get("kind") == "loglikes"
    teacher = GivenTeacher(Path(folder), features) if given else ModelTeacher(Path(folder), features)
    return MappedTeacher(teacher, mapping) if mapping else teacher
