"""Import of alignments: CTM, TextGrid, PHN and Kaldi, as archives for given features.

Formats of times have no states: states share the frames of their phone evenly, and gaps are silence. Kaldi's alignments
keep their pdfs as senones.
"""

import dataclasses
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from asrdistill.data import kaldi as arks
from asrdistill.data.archive import FrameArchive, ShardWriter, finish
from asrdistill.data.ctm import Interval
from asrdistill.errors import UserError, check_left_out, log, shorten
from asrdistill.hmm.align import CTMS, PARTS, ctm
from asrdistill.hmm.formats.kaldi import TransitionModel, read_symbols, read_transitions, senones_of
from asrdistill.hmm.formats.options import ImportOptions
from asrdistill.hmm.formats.times import Transcription, ctm_transcriptions, phn_transcription, textgrid_transcription
from asrdistill.hmm.senones import START_SELF_LOOP, Senones, begins, leaves
from asrdistill.hmm.viterbi import Segment, segments
from asrdistill.lang.lexicon import Lang, root_of
from asrdistill.reader import read_text

# Names of silence in other systems, in lower case, unless the lang folder has such a phone
SILENCES = frozenset(("", "sil", "sp", "spn", "h#", "pau", "epi", "<eps>", "silence"))
SLACK = 0.05  # seconds that the last phone may exceed the last frame
LIKE_START = 4  # prior frames per senone, with the self loop of a flat start


class Aligned(NamedTuple):
    """Senones of the frames (T,), phones, and words, whose names are in `spoken`."""

    utterance: str
    frames: np.ndarray
    phones: list[Segment]
    words: list[Segment]
    spoken: list[str]


def import_times(
    form: str, source: Path, features: FrameArchive, lang: Lang, options: ImportOptions, out: Path
) -> None:
    """Write the alignment of a CTM, or of a folder of TextGrids or PHN files, into the existing folder `out`.

    Raises UserError naming file and utterance for overlapping or unknown phones, and times that do not fit.
    """
    converter = Converter(lang, features.meta["frame_shift"], options.strip_stress)
    found = _wanted(_transcriptions(form, source, features, options.rate), features, source)
    aligned = (converter(item, features.rows(item.utterance)) for item in found)
    _write(aligned, source, features, converter.senones, options, out)
    converter.report(source)


def import_kaldi(
    source: Path, features: FrameArchive, lang: Path, model: Path, tree: Path | None, options: ImportOptions, out: Path
) -> None:
    """Write Kaldi's alignment into the existing folder `out`.

    source  folder with ali.*.gz, or an ark or scp
    lang    folder with phones.txt
    model   final.mdl in text form; or a folder with senones.json: then `source` holds senones, with phones.ark beside
            it, as :func:`asrdistill.hmm.formats.exports.export_alignment` writes them
    tree    Kaldi's tree in text form, if pdfs depend on the context

    Raises UserError naming the utterance if frame counts differ, or the model did not make the alignment.
    """
    symbols = read_symbols(lang / "phones.txt")
    if model.is_dir():
        senones = Senones.read(model)
        aligned = _from_senones(source, features, senones, symbols)
    else:
        transitions, named = read_transitions(model), lang / "phones" / "optional_silence.txt"
        silence = read_text(named).strip() if named.is_file() else symbols[min(symbols)]  # else the first phone
        senones = senones_of(transitions, symbols, silence, tree)
        aligned = _from_transitions(source, features, senones, transitions, symbols)
    _write(aligned, source, features, senones, options, out)


def _transcriptions(form: str, source: Path, features: FrameArchive, rate: int) -> Iterable[Transcription]:
    if form == "ctm":
        return ctm_transcriptions(source / CTMS[0] if source.is_dir() else source)
    files = _files(source, f".{form}", features)
    if form == "textgrid":
        return (textgrid_transcription(path, name) for name, path in files)
    return (phn_transcription(path, name, rate) for name, path in files)


def _files(source: Path, suffix: str, features: FrameArchive) -> list[tuple[str, Path]]:
    """(utterance, file) of a folder. TIMIT's FAKS0/SX43.PHN is of FAKS0_SX43 or faks0-sx43."""
    if not source.is_dir():
        raise UserError(f"{source} is not a folder; give the folder with the {suffix} files")
    ids = {utterance.lower(): utterance for utterance in features}
    found = []
    for path in source.rglob("*"):
        if path.suffix.lower() == suffix:
            names = [path.stem, *(f"{path.parent.name}{mark}{path.stem}" for mark in "_-")]
            found.append((next((ids[name.lower()] for name in names if name.lower() in ids), path.stem), path))
    if not found:
        raise UserError(f"{source} has no {suffix} files in it; check --from")
    return sorted(found)


def _wanted(items: Iterable, features: FrameArchive, source: Path) -> Iterator:
    """Items whose utterance (the first field) is in the features; logs the others."""
    strangers, found = [], False
    for item in items:
        if item[0] in features:
            found = True
            yield item
        else:
            strangers.append(item[0])
    if strangers and not found:
        raise UserError(f"{source} has {shorten(strangers)}, {features.folder} {shorten(features)}; name them alike")
    if strangers:
        log.warning("%s: %d utterances without features are left out: %s", source, len(strangers), shorten(strangers))


def _write(
    aligned: Iterable[Aligned],
    source: Path,
    features: FrameArchive,
    senones: Senones,
    options: ImportOptions,
    out: Path,
) -> None:
    """Write archive, CTM files and senones, with the self-loop probabilities of the alignment."""
    shift, missing = features.meta["frame_shift"], set(features)
    frames, visits = np.zeros(senones.count, np.int64), np.zeros(senones.count, np.int64)
    writer = ShardWriter(out, 0, PARTS)
    with open(out / CTMS[0], "w", encoding="utf-8") as phones, open(out / CTMS[1], "w", encoding="utf-8") as words:
        for item in aligned:
            if item.utterance not in missing:
                raise UserError(f"{source} has utterance {item.utterance} twice; remove one")
            missing.remove(item.utterance)
            starts = [segment.begin for segment in item.phones]
            names = np.repeat([segment.name for segment in item.phones], np.diff([*starts, len(item.frames)]))
            writer.write(item.utterance, frames=item.frames, phones=names)
            phones.writelines(ctm(item.utterance, item.phones, senones.phones, shift))
            words.writelines(ctm(item.utterance, item.words, item.spoken, shift))
            entered = np.zeros(len(item.frames), bool)
            entered[starts] = True
            entered[1:] |= item.frames[1:] != item.frames[:-1]
            frames += np.bincount(item.frames, minlength=senones.count)
            visits += np.bincount(item.frames[entered], minlength=senones.count)
    reason, remedy = f"of {features.folder} are not in {source}", "align them too"
    check_left_out(sorted(missing), len(features), options.max_left_out, reason, remedy)
    loops = np.log((frames - visits + START_SELF_LOOP * LIKE_START) / (frames + LIKE_START))
    dataclasses.replace(senones, self_loop=loops).write(out)
    silence = round(100 * int(frames[senones.silence].sum()) / max(int(frames.sum()), 1), 2)
    meta = {"senones": senones.hash, "frame_shift": shift, "silence_percent": silence, "left_out": sorted(missing)}
    finish(out, "alignment", PARTS, [writer.close()], **meta)
    log.info("%s: %d utterances, %d frames", source, len(features) - len(missing), frames.sum())


class Converter:
    """Phone times to frames of monophone senones.

    converter = Converter(lang, frame_shift, strip_stress)
    aligned = converter(transcription, frames)
    converter.report(source)  # how many phones were too short for their states
    """

    def __init__(self, lang: Lang, shift: float, strip_stress: bool):
        self.senones = Senones.monophones(lang)
        self.shift, self.strip_stress = shift, strip_stress
        self._index = {phone: number for number, phone in enumerate(lang.phones)}
        self._states = [np.array(self.senones.states[root_of(phone)]) for phone in lang.phones]
        self.phones = self.short = self.lost = 0
        self.where: list[str] = []  # utterances with short phones, a few of them

    def __call__(self, item: Transcription, rows: int) -> Aligned:
        """A frame belongs to the phone at the middle of its shift.

        Raises UserError for overlapping or unknown phones, and other lengths than the frames.
        """
        where = f"{item.source}: utterance {item.utterance}"
        places = self._places(item.phones, rows, where)
        end = item.phones[-1].end if item.end is None else item.end
        late, early = (rows + 0.5) * self.shift + SLACK, (rows - 0.5) * self.shift - SLACK
        if end > late or (item.end is not None and end < early):
            raise UserError(
                f"{where} lasts {end:.3f} s, {self._frame(end)} frames of {self.shift:g} s, "
                f"but the features have {rows} frames"
            )
        placed = [
            (begin, stop, self.phone(label, f"{where}, {time:.3f} s"))
            for (time, _, label), (begin, stop) in zip(item.phones, places, strict=True)
        ]
        phones = _fill_gaps(placed, rows)
        frames = [self._share(stop - begin, name) for begin, stop, name in phones]
        short = sum(stop - begin < len(self._states[name]) for begin, stop, name in phones)
        lost = sum(begin == stop and name > 0 for begin, stop, name in placed)
        self.phones, self.short, self.lost = self.phones + len(phones), self.short + short, self.lost + lost
        if short + lost and len(self.where) < 4:
            self.where.append(item.utterance)
        words = [  # TIMIT's overlap where two words share a sound
            Segment(min(self._frame(begin), rows), min(self._frame(stop), rows), number)
            for number, (begin, stop, _) in enumerate(item.words)
        ]
        senones = np.concatenate([np.empty(0, np.int32), *frames])
        return Aligned(item.utterance, senones, phones, words, [word.label for word in item.words])

    def phone(self, label: str, where: str) -> int:
        """Number of a phone by its name in another system."""
        name = re.sub(r"(?<=[A-Za-z])[0-2](?=(_[BIES])?$)", "", label) if self.strip_stress else label
        number = self._index.get(name, 0 if name.lower() in SILENCES else None)
        if number is None:
            hint = "; strip stress digits with --strip-stress true" if re.search(r"[0-2]$", name) else ""
            raise UserError(f"{where}: the lang folder lacks the phone '{name}'{hint or '; add it there'}")
        return number

    def report(self, source: Path) -> None:
        """Warn of phones with fewer frames than states, or none."""
        if self.short + self.lost:
            log.warning(
                f"{source}: of {self.phones + self.lost} phones {self.short} have fewer frames than states, so that "
                f"states are skipped, and {self.lost} no frame at all, so that they are left out: "
                f"utterances {shorten(self.where)}"
            )

    def _frame(self, time: float) -> int:
        return int(time / self.shift + 0.5 + 1e-6)

    def _places(self, intervals: Sequence[Interval], rows: int, where: str) -> list[tuple[int, int]]:
        """First frame and end of each interval; raises UserError if they overlap."""
        places, end, frame = [], 0.0, 0
        for begin, stop, label in intervals:
            if stop < begin or begin < end - self.shift / 2:
                raise UserError(
                    f"{where}: '{label}' from {begin:.3f} to {stop:.3f} s overlaps what ends at {end:.3f} s; correct it"
                )
            first = min(max(self._frame(begin), frame), rows)
            frame = min(max(self._frame(stop), first), rows)
            places.append((first, frame))
            end = stop
        return places

    def _share(self, frames: int, phone: int) -> np.ndarray:
        """(frames,) senones of a phone, evenly shared; states are skipped if frames are too few."""
        states = self._states[phone]
        return states[((np.arange(frames) + 0.5) * len(states) / max(frames, 1)).astype(int)].astype(np.int32)


def _fill_gaps(placed: Iterable[tuple[int, int, int]], rows: int) -> list[Segment]:
    """Fill gaps with silence (phone 0) and merge adjacent silences."""
    segments: list[Segment] = []
    done = 0
    for begin, stop, phone in [*placed, (rows, rows, 0)]:
        for first, last, name in ((done, begin, 0), (begin, stop, phone)):
            if last > first and name == 0 and segments and segments[-1].name == 0:
                segments[-1] = Segment(segments[-1].begin, last, 0)
            elif last > first:
                segments.append(Segment(first, last, name))
        done = stop
    return segments


def _archives(source: Path) -> list[Path]:
    """The ali.N.gz of a folder in order, its ali.ark, or the file `source`."""
    if not source.is_dir():
        return [source]
    numbered = [path for path in source.glob("ali.*.gz") if path.name[4:-3].isdecimal()]
    paths = sorted(numbered, key=lambda path: int(path.name[4:-3])) or list(source.glob("ali.ark"))
    if not paths:
        raise UserError(f"{source} has neither ali.1.gz … nor ali.ark; give Kaldi's alignment folder")
    return paths


def _integers(source: Path, features: FrameArchive) -> Iterator[tuple[str, np.ndarray, Path]]:
    """Yield (utterance, integers (T,), file) of a Kaldi archive, with frame counts checked."""
    read = ((name, array, path) for path in _archives(source) for name, array in arks.read(path))
    for utterance, array, path in _wanted(read, features, source):
        if array.dtype.kind != "i" or array.ndim != 1:
            raise UserError(f"{path}: utterance {utterance} is not a vector of integers; give an alignment")
        if len(array) != features.rows(utterance):
            raise UserError(
                f"{path}: utterance {utterance} has {len(array)} frames, but {features.rows(utterance)} "
                f"in {features.folder}; they were made from different audio or framing"
            )
        yield utterance, array, path


def _from_transitions(
    source: Path, features: FrameArchive, senones: Senones, model: TransitionModel, symbols: dict[int, str]
) -> Iterator[Aligned]:
    index = {phone: number for number, phone in enumerate(senones.phones)}
    for utterance, ids, path in _integers(source, features):
        first = model.segments(ids, utterance, path)
        phones = np.array([index[symbols[phone]] for phone in model.phone[ids[first]].tolist()])
        yield Aligned(utterance, model.pdf[ids].astype(np.int32), segments(first, phones, len(ids)), [], [])


def _from_senones(source: Path, features: FrameArchive, senones: Senones, symbols: dict[int, str]) -> Iterator[Aligned]:
    index = {phone: number for number, phone in enumerate(senones.phones)}
    number = np.full(max(symbols) + 1, -1)
    for symbol, phone in symbols.items():
        number[symbol] = index.get(phone, -1)
    state = np.full((len(senones.phones), senones.count), -1, np.int8)  # which of the phone's states a senone is of
    for place, phone in enumerate(senones.phones):
        for position, tree in enumerate(senones.states[root_of(phone)]):
            state[place, leaves(tree)] = position
    beside = _archives(source)[0].with_name("phones.ark")
    nothing = ("none", np.empty(0, np.int32), beside)
    pairs: Iterator = itertools.zip_longest(_integers(source, features), _integers(beside, features), fillvalue=nothing)
    for (utterance, frames, path), (other, ids, _) in pairs:
        if utterance != other:
            raise UserError(f"{beside} has utterance {other} where {path} has {utterance}; make both again")
        sound = bool(np.all((ids > 0) & (ids < len(number)) & (frames >= 0) & (frames < senones.count)))
        phones = number[ids] if sound else np.array([-1])
        places = state[phones, frames] if phones.min() >= 0 else np.array([-1])
        if places.min() < 0:
            raise UserError(
                f"{path}: utterance {utterance} has senones that are not those of its phones in {beside}; "
                "give the senones and the phones.txt that both were made with"
            )
        first = np.flatnonzero(begins(places, phones))
        yield Aligned(utterance, frames, segments(first, phones[first], len(frames)), [], [])
