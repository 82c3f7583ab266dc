"""Teachers: a model, or posteriors of another system, over our senones or its own units."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from asrdistill.data.archive import FrameArchive, check_features, check_match
from asrdistill.errors import UserError, log
from asrdistill.hmm.align import open_aligned
from asrdistill.hmm.formats.posteriors import PRIORS
from asrdistill.hmm.senones import Senones
from asrdistill.models.ensemble import Ensemble
from asrdistill.models.folder import read_meta
from asrdistill.models.inference import PLAIN, Compute, posteriors
from asrdistill.models.io import load_model
from asrdistill.parallel import Chunk, chunks, map_utterances
from asrdistill.reader import read_array

FLOOR = 1e-30  # smallest posterior
NEVER = 0.5  # a unit with less mass than this, in frames of the alignment, counts as never occurring


class Mapping(NamedTuple):
    """P(our senone | the teacher's unit)."""

    matrix: np.ndarray  # (U, S), rows sum to one
    senones: Senones


class Teacher(Protocol):
    """Posteriors of utterances by name; `meta` is the content of its folder's meta.json."""

    senones: Senones
    meta: dict[str, Any]

    def readable(self, utterances: Sequence[str], faults: dict[str, str]) -> list[str]:
        """As :meth:`asrdistill.data.archive.FrameArchive.readable`, of what the teacher reads."""

    def log_posteriors(self, utterances: Sequence[str]) -> Iterator[np.ndarray]:
        """(T, S) float32 natural logs of the posteriors of each utterance."""


class ModelTeacher:
    """A network or an ensemble, run on the features."""

    def __init__(self, folder: Path, features: FrameArchive, compute: Compute = PLAIN):
        self.model, self.features, self.readable = load_model(folder, True, compute), features, features.readable
        self.senones, self.meta = self.model.senones, self.model.meta
        check_features(features, self.meta["features"], folder)

    def log_posteriors(self, utterances: Sequence[str]) -> Iterator[np.ndarray]:
        return posteriors(self.model, map(self.features.__getitem__, utterances))


class CrossFittedTeacher:
    """Ensemble whose members not trained on an utterance give its posteriors; all members, if all were.

    Cross-fitting: Chernozhukov et al. (2018); for distillation Dao et al. (2021). `train_alignments` are the members'
    training alignments, in order. Raises UserError for a teacher without members, or alignments that are not theirs.
    """

    def __init__(
        self, folder: Path, features: FrameArchive, train_alignments: Sequence[Path], compute: Compute = PLAIN
    ):
        whole = ModelTeacher(folder, features, compute)
        self.features, self.senones, self.meta, self.readable = features, whole.senones, whole.meta, features.readable
        if not isinstance(whole.model, Ensemble):
            raise UserError(f"{folder} is not an ensemble; --unseen needs several teachers")
        self.ensemble = whole.model
        if len(train_alignments) != len(self.ensemble.members):
            named = f"--unseen names {len(train_alignments)} alignments"
            raise UserError(f"{folder} has {len(self.ensemble.members)} members, but {named}; name each member's")
        self.train_alignments = [FrameArchive(path, "alignment") for path in train_alignments]
        for archive in self.train_alignments:
            if not any(utterance in archive for utterance in features):
                raise UserError(f"{archive.folder} has no utterance of {features.folder}; name training alignments")

    def unseen_by(self, utterance: str) -> list[int]:
        """The members that were not trained on an utterance."""
        return [k for k, archive in enumerate(self.train_alignments) if utterance not in archive]

    def log_posteriors(self, utterances: Sequence[str]) -> Iterator[np.ndarray]:
        for utterance in utterances:
            yield self.ensemble.log_posteriors(self.features[utterance], self.unseen_by(utterance) or None)


class PosteriorTeacher:
    """Imported posteriors of another system, for the same utterances and frames as the features."""

    def __init__(self, folder: Path, features: FrameArchive):
        self.archive, self.senones = FrameArchive(folder, "loglikes"), Senones.read(folder)
        self.meta, self.readable = {"senones": self.senones.hash}, self.archive.readable
        if not (folder / PRIORS).is_file():
            raise UserError(f"{folder} holds log-likelihoods; import posteriors: --form posteriors or log-posteriors")
        self.log_priors = read_array(folder / PRIORS, np.float32, (self.senones.count,))
        check_match(self.archive, features, features.utterances)

    def log_posteriors(self, utterances: Sequence[str]) -> Iterator[np.ndarray]:
        for utterance in utterances:
            yield np.maximum(self.archive[utterance] + self.log_priors, np.float32(np.log(FLOOR)))


class MappedTeacher:
    """A teacher over other units; see :func:`cooccurrence` and docs/internals.md."""

    def __init__(self, teacher: Teacher, mapping: Mapping):
        self.teacher, self.matrix, self.senones = teacher, mapping.matrix.astype(np.float32), mapping.senones
        self.meta, self.readable = {**teacher.meta, "senones": self.senones.hash}, teacher.readable

    def log_posteriors(self, utterances: Sequence[str]) -> Iterator[np.ndarray]:
        for logp in self.teacher.log_posteriors(utterances):
            yield np.log(np.maximum(np.exp(logp) @ self.matrix, FLOOR))


def open_teacher(
    folder: Path,
    features: FrameArchive,
    mapping: Mapping | None = None,
    train_alignments: Sequence[Path] = (),
    compute: Compute = PLAIN,
) -> Teacher:
    """The model or the archive of posteriors in a folder; raises UserError where it does not fit the features.

    train_alignments: see :class:`CrossFittedTeacher`
    """
    teacher: Teacher
    if train_alignments:
        teacher = CrossFittedTeacher(Path(folder), features, train_alignments, compute)
    elif read_meta(folder)["kind"] == "loglikes":
        teacher = PosteriorTeacher(Path(folder), features)
    else:
        teacher = ModelTeacher(Path(folder), features, compute)
    return MappedTeacher(teacher, mapping) if mapping else teacher


def cooccurrence(folder: Path, features: Path, alignment: Path, jobs: int, compute: Compute = PLAIN) -> Mapping:
    """P(our senone | the teacher's unit) over the frames of an alignment, all of whose utterances have features."""
    inputs, labels, senones = open_aligned(features, alignment)
    open_teacher(folder, inputs)  # raises UserError before the work begins
    count, load = partial(_count, senones.count), partial(_load, folder, features, alignment, compute)
    counts: Any = sum(map_utterances(count, chunks(labels.utterances, 100), jobs, "co-occurrence", load))
    ours, theirs = counts.sum(0), counts.sum(1, keepdims=True)
    if never := int((theirs < NEVER).sum()):
        log.info("%d of the teacher's %d units never occur; they get the senones' frequencies", never, len(theirs))
    matrix = np.where(theirs < NEVER, ours / ours.sum(), counts / np.maximum(theirs, NEVER))
    return Mapping(matrix, senones)


def _load(folder: Path, features: Path, alignment: Path, compute: Compute) -> tuple[Teacher, FrameArchive]:
    return open_teacher(folder, FrameArchive(features), compute=compute), FrameArchive(alignment)


def _count(senones: int, state: tuple[Teacher, FrameArchive], utterances: Chunk[str]) -> np.ndarray:
    """(U, S): sum of the teacher's posteriors over the frames of each of our senones."""
    teacher, labels = state
    counts = np.zeros((senones, teacher.senones.count))
    for utterance, logp in zip(utterances, teacher.log_posteriors(utterances.utterances), strict=True):
        np.add.at(counts, labels[utterance], np.exp(logp))
    return counts.T
