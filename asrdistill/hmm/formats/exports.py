"""Export of alignments to CTM, TextGrid, PHN and Kaldi."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from asrdistill.data import kaldi
from asrdistill.data.archive import FrameArchive
from asrdistill.data.ctm import Interval
from asrdistill.errors import UserError
from asrdistill.files import write_text
from asrdistill.hmm.align import CTMS
from asrdistill.hmm.formats.times import Transcription, ctm_transcriptions, write_phn, write_textgrid
from asrdistill.hmm.senones import Senones


def export_alignment(form: str, alignment: Path, out: Path, rate: int, final: Path) -> None:
    """Write an alignment into the existing folder `out`, which will stand at `final`, in one of the FORMATS.

    ctm       phones.ctm, words.ctm
    textgrid  UTTERANCE.TextGrid with the tiers words and phones
    phn       UTTERANCE.PHN and UTTERANCE.WRD, in samples of `rate` Hz
    kaldi     ali.ark: the senone of each frame (to Kaldi a pdf id, not a transition-id); phones.ark: the
              phone of each frame, by phones.txt; scp files; senones.json
    """
    archive = FrameArchive(alignment, "alignment")
    if form == "kaldi":
        _export_kaldi(archive, out, final)
        return
    for name in CTMS:
        if not (alignment / name).is_file():
            raise UserError(f"{alignment} has no {name}, as copies and subsets have none; export their originals")
        if form == "ctm":
            shutil.copyfile(alignment / name, out / name)
    if form == "ctm":
        return
    for found, end in _transcriptions(archive):
        tiers = {"words": found.words, "phones": found.phones}
        if form == "textgrid":
            write_textgrid(out / f"{found.utterance}.TextGrid", end, tiers)
        else:
            write_phn(out / f"{found.utterance}.PHN", found.phones, rate)
            write_phn(out / f"{found.utterance}.WRD", found.words, rate)


def _export_kaldi(archive: FrameArchive, out: Path, final: Path) -> None:
    if "phones" not in archive.meta["parts"]:
        raise UserError(f"{archive.folder} does not say which phone each frame belongs to; align again")
    senones = Senones.read(archive.folder)
    kaldi.write(out / "ali.ark", _vectors(archive, "frames", 0), final / "ali.ark")
    kaldi.write(out / "phones.ark", _vectors(archive, "phones", 1), final / "phones.ark")  # <eps> is 0
    symbols = ["<eps>", *senones.phones]
    write_text(out / "phones.txt", "".join(f"{symbol} {number}\n" for number, symbol in enumerate(symbols)))
    senones.write(out)


def _vectors(archive: FrameArchive, part: str, offset: int) -> Iterator[tuple[str, np.ndarray]]:
    for utterance in archive:
        yield utterance, archive.part(utterance, part).astype(np.int32) + np.int32(offset)


def _transcriptions(archive: FrameArchive) -> Iterator[tuple[Transcription, float]]:
    """Phones and words of each utterance, at exact times of frames, and its length in seconds."""
    shift, left = archive.meta["frame_shift"], set(archive)
    for found in ctm_transcriptions(archive.folder / "phones.ctm"):
        rows = archive.rows(found.utterance)
        if round(found.phones[-1].end / shift) != rows:
            raise UserError(
                f"utterance {found.utterance} has {rows} frames in {archive.folder}, but its phones.ctm ends at frame "
                f"{round(found.phones[-1].end / shift)}; align again"
            )
        if "/" in found.utterance:
            raise UserError(f"utterance {found.utterance} cannot give a file its name, because of the slash")
        phones, words = _on_frames(found.phones, shift), _on_frames(found.words, shift)
        yield found._replace(phones=phones, words=words), rows * shift
        left.discard(found.utterance)
    if left:
        raise UserError(f"{archive.folder}: phones.ctm lacks utterance {min(left)}; align again")


def _on_frames(intervals: Sequence[Interval], shift: float) -> list[Interval]:
    """Rounded times of a CTM as exact times of frames."""
    rounded = ((round(begin / shift), round(end / shift), label) for begin, end, label in intervals)
    return [Interval(begin * shift, end * shift, label) for begin, end, label in rounded]
