"""Float matrices per utterance, from Kaldi archives and NumPy files."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from asrdistill.data.archive import ShardWriter, finish
from asrdistill.errors import UserError
from asrdistill.reader import reading


def read_matrices(source: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (utterance, float matrix (T, D)) of an ark, ark.gz, scp, npz, or a npy named after its utterance.

    Raises UserError naming file and utterance if one is not a float matrix, or has another D.
    """
    from asrdistill.data import kaldi  # kaldiio is not among what recognising needs

    dimension = None
    for utterance, array in _numpy(source) if source.suffix in (".npy", ".npz") else kaldi.read(source):
        if array.ndim != 2 or array.dtype.kind != "f":
            shape = f"a {array.dtype} array of shape {array.shape}"
            raise UserError(f"{source}: utterance {utterance} is {shape}; give a matrix of floats")
        dimension = array.shape[1] if dimension is None else dimension
        if array.shape[1] != dimension:
            raise UserError(
                f"{source}: utterance {utterance} has {array.shape[1]} numbers a frame, those before it {dimension}"
            )
        yield utterance, array
    if dimension is None:
        raise UserError(f"{source} holds no utterance; make it again")


def _numpy(source: Path) -> Iterator[tuple[str, np.ndarray]]:
    if not source.is_file():
        raise UserError(f"{source} does not exist; check the path")
    with reading(source):
        found = np.load(source, allow_pickle=False)  # a pickle can run code
        if isinstance(found, np.ndarray):
            yield source.stem, found
            return
        for utterance in found.files:
            yield utterance, found[utterance]


def import_features(source: Path, out: Path, name: str, frame_shift: float) -> None:
    """Write the matrices of `source` into the existing folder `out`, an archive of kind "features".

    name  identifies the features: models refuse those of another name or dimension

    Raises UserError as :func:`read_matrices` does, and for values that are not finite.
    """
    writer = None
    for utterance, array in read_matrices(source):
        if not np.isfinite(array).all():
            raise UserError(f"{source}: utterance {utterance} holds features that are not finite; make it again")
        parts = {"frames": ("float32", (array.shape[1],))}
        writer = writer or ShardWriter(out, 0, parts)
        writer.write(utterance, frames=array)
    assert writer  # there is an utterance
    settings = {"type": "kaldi", "name": name, "dimension": array.shape[1]}
    finish(out, "features", parts, [writer.close()], frame_shift=frame_shift, features=settings)


def check_scores(scores: np.ndarray, senones: int, first: int = 0) -> np.ndarray:
    """(T,) the best of each frame of log-likelihoods (T, senones); UserError for NaN, +inf or frames that are all -inf.

    first  number of the first frame, for messages
    """
    if scores.ndim != 2 or scores.shape[1] != senones:
        raise UserError(f"scores have shape {scores.shape}, not {senones} senones a frame; give those of this model")
    best = scores.max(axis=1)  # NaN where there is one
    if not np.isfinite(best).all():
        bad = int(np.flatnonzero(~np.isfinite(best))[0])
        what = "-inf for every senone" if best[bad] == -np.inf else "NaN or infinity"
        raise UserError(f"scores of frame {first + bad} are not finite ({what}); the model or its input is damaged")
    return best
