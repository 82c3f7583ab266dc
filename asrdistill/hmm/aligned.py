"""Features together with their alignment."""

from pathlib import Path

from asrdistill.data.archive import FrameArchive, check_match
from asrdistill.errors import UserError, log
from asrdistill.hmm.senones import Senones


def open_aligned(
    features: Path, alignment: Path, unlabelled: bool = False
) -> tuple[FrameArchive, FrameArchive, Senones]:
    """Features with their alignment and its senones; raises UserError unless they fit frame by frame.

    Aligned utterances without features are left out, up to 5 percent. unlabelled: those without alignment are of use.
    """
    inputs, labels = FrameArchive(features, "features"), FrameArchive(alignment, "alignment")
    senones = Senones.read(alignment)
    if labels.meta["senones"] != senones.hash:
        raise UserError(f"{alignment}/senones.json is not the inventory that the alignment is over; align again")
    if len(labels) == 0:
        raise UserError(f"{alignment} holds no utterance; align again")
    labels.restrict(inputs)
    check_match(inputs, labels, labels.utterances)
    if len(labels) < len(inputs) and not unlabelled:
        log.info("%d utterances of %s have no alignment and are left out", len(inputs) - len(labels), features)
    return inputs, labels, senones
