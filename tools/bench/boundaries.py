"""Phone boundaries against those that human hands set in TIMIT.

PHONES_CTM has lines "utterance channel start duration phone", as asrdistill align writes them; HAND is a
folder of TIMIT, or a data directory that asrdistill prepare timit made. Phones of both are folded to 48.
Boundaries pair one to one, because every utterance was aligned to its own hand-made phones:

* A boundary lies where a phone begins, the first one excepted. What one side alone has (the glottal stop q,
  which folding deletes; a silence that the aligner put between the phones or left out) is dropped there,
  so that its time goes to the phone before; a silence at the beginning that one side lacks is no boundary.
* Equal phones in succession, which folding makes, have no boundary between them, on neither side.

Frames have a length, so a system's boundaries may all lie early or late: one constant offset is added to
them, that of most boundaries within 20 ms (among these the one of the smallest error). The last line is JSON.

Example:
  python tools/bench/boundaries.py exp/ali/train/phones.ctm recipes/timit/data/default/corpus/train
"""

import argparse
import itertools
import json
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np

from asrdistill.corpora.timit import find_recordings, read_fold, read_phones
from asrdistill.errors import UserError, shorten

WITHIN = 0.020  # seconds
OFFSETS = np.arange(-50, 51) / 1000
SILENCE, END = "sil", "the end"

Labels = list[tuple[float, str]]  # when each phone begins, in seconds


class Place(NamedTuple):
    """A phone, when it begins, and when the silence before it does, if there is one."""

    phone: str
    begin: float
    silence: float | None


NOTHING = Place("nothing", 0.0, None)  # beyond the end


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ctm", type=Path, help="phones.ctm of an alignment")
    parser.add_argument("hand", type=Path, help="folder of TIMIT, or data directory made of it")
    args = parser.parse_args()
    try:
        figures = compare(read_ctm(args.ctm), read_hand(args.hand))
    except UserError as error:
        sys.exit(f"boundaries.py: {error}")
    print("{utterances} utterances, {boundaries} boundaries; without a counterpart: {without}".format(**figures))
    print("within 20 ms: {within_20ms_unshifted:.1f} % as they are".format(**figures))
    print("within 20 ms: {within_20ms:.1f} % at the best offset, {offset_ms:+.0f} ms".format(**figures))
    print("mean absolute error there: {mean_absolute_error_ms:.2f} ms".format(**figures))
    print(json.dumps(figures))


def compare(system: dict[str, Labels], hand: dict[str, Labels]) -> dict[str, float]:
    """Figures over all utterances of the system; raises UserError for one that the hands did not label."""
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


def within(lag: np.ndarray) -> float:
    """Share of the boundaries that are at most 20 ms away, those at exactly 20 ms among them."""
    return float((np.abs(lag) <= WITHIN + 1e-6).mean())


def best_offset(lag: np.ndarray) -> float:
    """The offset of most boundaries within 20 ms; of equal ones that of the smallest mean absolute error."""
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
    """The phones but silence, each with the silence before it; then the end."""
    places, silence = [], None
    for begin, phone in [*labels, (0.0, END)]:
        if phone == SILENCE:
            silence = begin if silence is None else silence
        else:
            places.append(Place(phone, begin, silence))
            silence = None
    return places


def read_ctm(path: Path) -> dict[str, Labels]:
    """When the phones of each utterance begin by a CTM file, folded to 48."""
    fold = {**_all_names(), "SIL": SILENCE}
    found: dict[str, list[tuple[float, str]]] = {}
    for number, line in enumerate(_lines(path), 1):
        try:
            utterance, _, start, _, phone, *_ = line.split()
            begin = float(start)
        except ValueError:
            raise UserError(
                f"{path}, line {number}: '{line}' is not 'utterance channel start duration phone'"
            ) from None
        if phone not in fold:
            raise UserError(f"{path}, line {number}: '{phone}' is none of TIMIT's phones; write it as TIMIT does")
        labels = found.setdefault(utterance, [])
        if folded := fold[phone]:
            labels.append((begin, folded))
    return {utterance: sorted(labels, key=lambda label: label[0]) for utterance, labels in found.items()}


def read_hand(folder: Path) -> dict[str, Labels]:
    """When the phones of each utterance begin by hand: of a data directory, or of all that stands below TIMIT."""
    if (folder / "phones.ctm").is_file():
        return read_ctm(folder / "phones.ctm")
    fold = read_fold()
    recordings = find_recordings(folder)
    return {r.id: [(start, phone) for start, _, phone in read_phones(r.phones, fold)] for r in recordings}


def _all_names() -> dict[str, str | None]:
    """The 61 phones and the 48 -> 48."""
    fold = read_fold()
    return {**{phone: phone for phone in fold.values() if phone}, **fold}


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        raise UserError(f"{path} is not there, or is no text; give the phones.ctm of an alignment") from None


if __name__ == "__main__":
    main()
