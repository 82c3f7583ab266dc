"""Map teachers over another tree to our senones by co-occurrence on aligned frames; see docs/internals.md."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from asrdistill.data.archive import FrameArchive
from asrdistill.distill.teacher import Mapping, Teacher, open_teacher
from asrdistill.errors import log
from asrdistill.hmm.aligned import open_aligned
from asrdistill.models.inference import PLAIN, Compute
from asrdistill.parallel import Chunk, chunks, map_utterances

NEVER = 0.5  # a unit with less mass than this, in frames of the alignment, counts as never occurring


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
