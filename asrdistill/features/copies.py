"""Copies of utterances as other speakers might have said them: the frequency axis stretched.

A factor below 1 makes a voice sound as from a shorter vocal tract, above 1 from a longer one: the
mel filters lie between `factor` times the usual edges. Frames keep their places, so a copy has the
alignment of its original. The copy of `utt` by 0.92 is called `warp0.92-utt`, as Kaldi names
perturbed copies; by 1 it is `utt` itself. An image that was moved is `shift-1+2-utt`: one pixel up, two to the right.
"""

import dataclasses
import re
from pathlib import Path

from asrdistill.data.archive import FrameArchive, alias
from asrdistill.errors import UserError
from asrdistill.features.options import FbankOptions
from asrdistill.hmm.senones import Senones

_PREFIX = re.compile(r"(warp[0-9.]+(e[+-][0-9]+)?|shift[+-][0-9]+[+-][0-9]+)-(?=.)")


def copy_name(utterance: str, warp: float) -> str:
    return utterance if warp == 1 else f"warp{warp:g}-{utterance}"


def shift_name(image: str, down: int, right: int) -> str:
    return f"shift{down:+d}{right:+d}-{image}"


def original(name: str) -> str:
    """The utterance that a copy was made of; its own name where it is none."""
    found = _PREFIX.match(name)
    return name[found.end() :] if found else name


def warped(options: FbankOptions, warp: float) -> FbankOptions:
    """The filters between stretched edges; raises UserError where they would leave the band."""
    if warp <= 0:
        raise UserError(f"a warp factor must be above 0, not {warp:g}")
    if warp == 1:
        return options
    if options.top * warp > options.rate / 2:
        limit = options.rate / 2 / options.top
        raise UserError(
            f"a warp of {warp:g} reaches above half the sample rate; use at most {limit:.3g} or a lower 'high'"
        )
    return dataclasses.replace(options, low=options.low * warp, high=options.top * warp)


def copy_alignment(alignment: Path, features: Path, out: Path) -> None:
    """Write into `out` the alignment of all copies in `features` whose originals are aligned: an index, no data."""
    aligned = FrameArchive(alignment, "alignment")
    names = {name: original(name) for name in FrameArchive(features, "features")}
    alias(alignment, out, {name: utterance for name, utterance in names.items() if utterance in aligned})
    Senones.read(alignment).write(out)
