"""asrdistill: distil a big acoustic model, or an ensemble of them, into a small one.

Symbols used in shapes throughout the package:

    B   batch
    T   frames (10 ms each unless a folder's meta.json says otherwise)
    F   feature dimension
    S   senones (tied HMM states, the classes that an acoustic model predicts)
    K   kept targets of a soft-target store
    U   utterances

    import asrdistill
    asrdistill.load("exp/student").transcribe("speech.wav").words

without a folder by the small English recogniser that comes with the package, ``STUDENT``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from os import PathLike

    from asrdistill.runtime.recogniser import Recogniser

__version__ = "0.2.0"


STUDENT = Path(__file__).parent / "tables/student"  # a recogniser of English; its README.md says how it was made


def load(folder: str | PathLike[str] = STUDENT) -> Recogniser:
    """The recogniser in a folder that ``asrdistill export`` made; raises UserError for any other, or a changed one."""
    from asrdistill.runtime.recogniser import Recogniser  # loads numpy and more, which not every command needs

    return Recogniser(Path(folder))
