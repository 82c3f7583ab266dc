"""Teachers over another tree: their units become our senones by the frames at which both occur.

With a(t) our aligned senone of frame t and p(u | t) the teacher's posterior of its unit u,

    P(s | u) = sum of p(u | t) over the t with a(t) = s / sum of p(u | t) over all t

and the teacher's posterior of our senone s is the sum over u of P(s | u) p(u | t). A unit that never occurs says
nothing: it has our senones' relative frequencies.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from asrdistill import parallel
from asrdistill.data.archive import FrameArchive
from asrdistill.distill.teacher import Mapping, open_teacher
from asrdistill.hmm.aligned import open_aligned

log = logging.getLogger("asrdistill")

NEVER = 0.5  # frames: a unit with less mass than this in all of the alignment never occurs


def cooccurrence(folder: Path, features: Path, alignment: Path, jobs: int) -> Mapping:
    """P(our senone | the teacher's unit) over the frames of an alignment, all of whose utterances have features."""
    inputs, labels, senones = open_aligned(features, alignment)
    open_teacher(folder, inputs)  # says at once what does not fit
    chunks = [labels.utterances[i : i + 100] for i in range(0, len(labels), 100)]
    setup = (folder, features, alignment, senones.count)
    counts = sum(parallel.run(_count, chunks, jobs, "co-occurrence", "utterances", _setup, setup, len))
    assert isinstance(counts, np.ndarray)  # the alignment is not empty
    ours, theirs = counts.sum(0), counts.sum(1, keepdims=True)
    if never := int((theirs < NEVER).sum()):
        log.info("%d of the teacher's %d units never occur and say nothing", never, len(theirs))
    matrix = np.where(theirs < NEVER, ours / ours.sum(), counts / np.maximum(theirs, NEVER))
    return Mapping(matrix, senones)


_worker: dict[str, Any] = {}  # of one process: what _setup loaded


def _setup(folder: Path, features: Path, alignment: Path, senones: int) -> None:
    _worker.update(teacher=open_teacher(folder, FrameArchive(features)), labels=FrameArchive(alignment), ours=senones)


def _count(utterances: Sequence[str]) -> np.ndarray:
    """(U, S): sum of the teacher's posteriors over the frames of each of our senones."""
    counts = np.zeros((_worker["ours"], _worker["teacher"].senones.count))
    for utterance in utterances:
        np.add.at(counts, _worker["labels"][utterance], np.exp(_worker["teacher"].log_posteriors(utterance)))
    return counts.T
