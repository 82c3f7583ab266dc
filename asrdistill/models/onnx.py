"""Networks run by ONNX Runtime, from an exported folder.

model.onnx  see :mod:`asrdistill.export.onnx`
priors.txt  the senones' priors, as Kaldi's text vector
"""

import os
from pathlib import Path
from typing import Any

import numpy as np

from asrdistill.config import build
from asrdistill.errors import UserError
from asrdistill.hmm.senones import Senones
from asrdistill.models.layout import pad
from asrdistill.models.options import NetworkConfig
from asrdistill.parallel import THREADS, default_jobs
from asrdistill.reader import read_text, reading


class OnnxModel:
    """A network run by ONNX Runtime, with the methods of :class:`asrdistill.models.acoustic.AcousticModel`.

    Raises UserError if ONNX Runtime is not installed, and for files that do not fit each other.
    """

    def __init__(self, folder: Path, senones: Senones, meta: dict[str, Any]):
        self.senones, self.meta = senones, meta
        options = build(NetworkConfig, meta["options"], str(folder / "meta.json"))
        self.context = (options.left, options.right)
        self._session = _open(folder / "model.onnx")
        shapes = {node.name: node.shape for node in self._session.get_inputs()}
        self.dimension, outputs = shapes["features"][-1], self._session.get_outputs()[0].shape[-1]
        self._memory: list[int] = shapes.get("memory", [])  # of a recurrent network: its shape
        self.priors = read_priors(folder / "priors.txt")
        if not senones.count == outputs == len(self.priors):
            raise UserError(f"{folder} has {senones.count} senones, but {outputs} outputs; export again")

    def log_posteriors(self, features: np.ndarray) -> np.ndarray:
        """(T, F) float32 -> (T, S) float32 natural-log posteriors."""
        return self.forward_chunk(pad(features, self.context))[0]

    def forward_chunk(self, features: np.ndarray, memory: Any = None) -> tuple[np.ndarray, Any]:
        """As :meth:`asrdistill.models.acoustic.AcousticModel.forward_chunk`."""
        if not self._memory:
            return self._session.run(None, {"features": np.ascontiguousarray(features)})[0], None
        if memory is None:
            memory = np.zeros(self._memory, np.float32)
            if before := sum(self.context):  # outputs are counted from the first frame after these
                _, memory = self._run(features[:before], memory)
        return self._run(features[sum(self.context) :], memory)

    def _run(self, features: np.ndarray, memory: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return tuple(self._session.run(None, {"features": np.ascontiguousarray(features), "memory": memory}))


def read_priors(path: Path) -> np.ndarray:
    """(S,) float32 from Kaldi's vector in text form; raises UserError for anything else."""
    with reading(path, "export again"):
        begin, *numbers, end = read_text(path).split()
        priors = np.array(numbers, np.float32)
        if (begin, end) != ("[", "]") or not (np.isfinite(priors) & (priors >= 0)).all():
            raise ValueError("it is not a vector '[ 0.1 0.2 … ]'")
        return priors


def write_priors(priors: np.ndarray, path: Path) -> None:
    """Write priors (S,) so that :func:`read_priors` gives the same numbers."""
    path.write_text(f"[ {' '.join(f'{prior:.9g}' for prior in priors.tolist())} ]\n")


def _open(path: Path) -> Any:
    try:
        import onnxruntime
    except ImportError:
        raise UserError(f"{path} needs ONNX Runtime; install it: pip install 'asrdistill[onnx]'") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(os.environ.get(THREADS[0]) or default_jobs())  # one in worker processes
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # between a stream's pieces
    try:
        return onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # of onnxruntime's own types, which it does not name publicly
        raise UserError(f"{path} cannot be run: {' '.join(str(error).split())[:200]}; export again") from None
