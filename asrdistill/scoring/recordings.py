"""Hypotheses of segments against references of whole recordings."""

from pathlib import Path

from asrdistill.data.directory import DataDirectory
from asrdistill.errors import UserError, shorten
from asrdistill.scoring.wer import Transcripts


def of_recordings(hypotheses: Transcripts, data: DataDirectory, name: str) -> Transcripts:
    """The words of each recording: those of its segments, in the order of their starts; none of one without hypothesis.

    Raises UserError for hypotheses that are of no segment of `data`; `name` says whose they are.
    """
    if unknown := sorted(hypotheses.keys() - {utterance.id for utterance in data}):
        raise UserError(f"{name} has {len(unknown)} utterances that DATA lacks: {shorten(unknown)}; give their DATA")
    joined: Transcripts = {}
    for utterance in sorted(data, key=lambda utterance: utterance.start):
        joined.setdefault(utterance.recording or utterance.id, []).extend(hypotheses.get(utterance.id, []))
    return joined


def known_recordings(references: Transcripts, data: DataDirectory, path: Path) -> Transcripts:
    """The references of the recordings of `data`; raises UserError where there is none, for the names must differ."""
    recordings = {utterance.recording or utterance.id for utterance in data}
    known = {name: words for name, words in references.items() if name in recordings}
    if not known:
        raise UserError(f"{path} has none of the recordings {shorten(sorted(recordings))}; give references of these")
    return known
