"""Boundaries of an alignment: of phones against TIMIT's hand labels, or of words against TextGrids.

A CTM has lines "utterance channel start duration label". With a folder of TextGrids, as the Montreal Forced Aligner
writes them, words are compared as they are; an utterance without a TextGrid of the same words is named and left out.

Phones are compared with a folder of TIMIT or a data directory made of it. Those of both are folded to 48. Every
utterance must be aligned to its own hand-made phones:

* A boundary is the beginning of a phone other than the first. A phone that one side lacks (the glottal stop q, an
  optional silence) is dropped, and its time goes to the phone before.
* Equal phones in succession, a result of folding, have no boundary between them.

One constant offset is added to the system's boundaries: the one with most boundaries within 20 ms.

Example:
  python tools/bench/boundaries.py exp/ali/train/phones.ctm recipes/timit/data/default/corpus/train
  python tools/bench/boundaries.py exp/ali/sat/dev-clean/words.ctm mfa/dev-clean
"""

import itertools
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from common import arguments, finish

from asrdistill.corpora.timit import find_recordings, read_fold, read_phones
from asrdistill.data.ctm import read_ctm
from asrdistill.errors import UserError, shorten
from asrdistill.hmm.formats.times import textgrid_transcription

WITHIN = 0.020  # seconds
OFFSETS = np.arange(-50, 51) / 1000
SILENCE, END = "sil", "the end"

Labels = list[tuple[float, str]]  # start of each phone in seconds


class Place(NamedTuple):
    """A phone, its start, and the start of the silence before it, if any."""

    phone: str
    begin: float
    silence: float | None


NOTHING = Place("nothing", 0.0, None)  # beyond the end


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("ctm", type=Path, help="phones.ctm of an alignment; words.ctm for TextGrids")
    parser.add_argument("hand", type=Path, help="folder of TIMIT, data directory made of it, or folder with TextGrids")
    args = parser.parse_args()
    try:
        grids = {path.stem: path for path in args.hand.rglob("*.TextGrid") if not path.name.startswith(".")}
        figures = compare_words(args.ctm, grids) if grids else compare(read_system(args.ctm), read_hand(args.hand))
    except UserError as error:
        sys.exit(f"boundaries.py: {error}")
    finish(figures)


def compare(system: dict[str, Labels], hand: dict[str, Labels]) -> dict[str, float]:
    """Figures over all utterances of the system; raises UserError for one without hand labels."""
    if unknown := sorted(system.keys() - hand.keys()):
        raise UserError(
            f"{len(unknown)} aligned utterances have no hand-made labels: {shorten(unknown)}; compare the same set"
        )
    times = np.array([pair for name in sorted(system) for pair in pair_boundaries(name, hand[name], system[name])])
    if len(times) == 0:
        raise UserError("there are no boundaries to compare; give an alignment with phones in it")
    lag = times[:, 1] - times[:, 0]
    offset = best_offset(lag)
    return {
        "utterances": len(system),
        "without": len(hand) - len(system),
        "boundaries": len(lag),
        "within_20ms_unshifted": round(100 * within(lag), 2),
        "within_20ms": round(100 * within(lag + offset), 2),
        "offset_ms": round(1000 * offset, 1),
        "mean_absolute_error_ms": round(1000 * float(np.abs(lag + offset).mean()), 3),
    }


def compare_words(ctm: Path, grids: dict[str, Path]) -> dict[str, Any]:
    """Figures over the words of all utterances that have the same words in the CTM and in a TextGrid."""
    ours = dict(read_ctm(ctm))
    theirs = {name: textgrid_transcription(grids[name], name).words for name in sorted(ours.keys() & grids.keys())}
    same = [n for n, words in theirs.items() if [w.label.lower() for w in words] == [w.label.lower() for w in ours[n]]]
    if left_out := sorted(ours.keys() - set(same)):
        print(f"{len(left_out)} utterances have no TextGrid with the same words: {shorten(left_out)}", file=sys.stderr)
    if not same:
        raise UserError(f"no utterance of {ctm} has the same words in a TextGrid; give words.ctm of the same set")
    lag = np.array([(a.begin - b.begin, a.end - b.end) for n in same for a, b in zip(ours[n], theirs[n], strict=True)])
    counts = {"utterances": len(same), "left_out": len(left_out), "words": len(lag)}
    return counts | {"starts": spread(lag[:, 0]), "ends": spread(lag[:, 1]), "both": spread(lag)}


def spread(lag: np.ndarray) -> dict[str, float]:
    """Shares within 20 and 50 ms in percent; mean, standard deviation, and mean and median distance in ms."""
    ms, away = 1000 * lag, 1000 * np.abs(lag)
    figures = {"within_20ms": 100 * within(lag), "within_50ms": 100 * within(lag, 0.050), "mean_ms": ms.mean()}
    figures |= {"sd_ms": ms.std(), "mean_absolute_ms": away.mean(), "median_absolute_ms": float(np.median(away))}
    return {name: round(float(value), 2) for name, value in figures.items()}


def within(lag: np.ndarray, limit: float = WITHIN) -> float:
    """Share of the boundaries that are at most `limit` seconds away."""
    return float((np.abs(lag) <= limit + 1e-6).mean())


def best_offset(lag: np.ndarray) -> float:
    """The offset with most boundaries within 20 ms; ties go to the smallest mean absolute error."""
    return float(min(OFFSETS, key=lambda offset: (-within(lag + offset), np.abs(lag + offset).mean())))


def pair_boundaries(utterance: str, hand: Labels, system: Labels) -> list[tuple[float, float]]:
    """(time by hand, time by the system) of each boundary that both sides have."""
    ours, theirs = _places(hand), _places(system)
    for number, (a, b) in enumerate(itertools.zip_longest(ours, theirs, fillvalue=NOTHING), 1):
        if a.phone != b.phone:
            raise UserError(
                f"utterance {utterance} was not aligned to its hand-made phones: number {number} (silence not counted) "
                f"is '{a.phone}' by hand, but '{b.phone}' in the alignment"
            )
    found = []
    for number, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        apart = a.silence is not None and b.silence is not None
        if number > 0 and apart:
            found.append((a.silence, b.silence))
        if a.phone != END and (apart or (number > 0 and a.phone != ours[number - 1].phone)):
            found.append((a.begin, b.begin))
    return found


def _places(labels: Labels) -> list[Place]:
    """All phones but silence, each with the silence before it; then the end."""
    places, silence = [], None
    for begin, phone in [*labels, (0.0, END)]:
        if phone == SILENCE:
            silence = begin if silence is None else silence
        else:
            places.append(Place(phone, begin, silence))
            silence = None
    return places


def read_system(path: Path) -> dict[str, Labels]:
    """Phones of each utterance in a CTM file, folded to 48."""
    fold = read_fold()
    fold |= {phone: phone for phone in fold.values() if phone} | {"SIL": SILENCE}
    found: dict[str, Labels] = {}
    for utterance, phones in read_ctm(path):
        if unknown := sorted({phone.label for phone in phones} - fold.keys()):
            raise UserError(f"{path}: utterance {utterance} has '{unknown[0]}', which is none of TIMIT's phones")
        found[utterance] = [(phone.begin, folded) for phone in phones if (folded := fold[phone.label])]
    return found


def read_hand(folder: Path) -> dict[str, Labels]:
    """Hand-labelled phones of each utterance, of a data directory or of a TIMIT folder."""
    if (folder / "phones.ctm").is_file():
        return read_system(folder / "phones.ctm")
    fold = read_fold()
    recordings = find_recordings(folder)
    return {r.id: [(start, phone) for start, _, phone in read_phones(r.phones, fold)] for r in recordings}


if __name__ == "__main__":
    main()
