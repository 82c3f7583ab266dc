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
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from os import PathLike

    from asrdistill.runtime.recogniser import Recogniser

__version__ = "0.2.0"


def load(folder: str | PathLike[str]) -> Recogniser:
    """The recogniser in a folder that ``asrdistill export`` made; raises UserError for any other, or a changed one."""
    from pathlib import Path

    from asrdistill.runtime.recogniser import Recogniser  # loads numpy and more, which not every command needs

    return Recogniser(Path(folder))
