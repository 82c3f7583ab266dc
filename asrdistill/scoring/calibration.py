"""Calibration of word confidences (Platt 1999): posterior p -> 1 / (1 + exp(-(slope · ln(p / (1 - p)) + offset))).

Measured by NIST's normalised cross-entropy (1 perfect, 0 no information) and the expected calibration error (ten bins).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from asrdistill.errors import UserError, shorten
from asrdistill.files import write_json
from asrdistill.reader import conform, read_json, read_lines
from asrdistill.scoring.edit_distance import align_words
from asrdistill.scoring.wer import read_transcripts

BINS = 10
LEAST = 1e-6  # posteriors are clipped to this distance from 0 and 1


class Calibration(NamedTuple):
    slope: float
    offset: float

    def __call__(self, posterior: np.ndarray) -> np.ndarray:
        """Probabilities that words of these posteriors are right."""
        return 1 / (1 + np.exp(-(self.slope * _log_odds(posterior) + self.offset)))

    def write(self, folder: Path) -> None:
        write_json(Path(folder) / "calibration.json", self._asdict())


NONE = Calibration(1.0, 0.0)


def read_calibration(folder: Path) -> Calibration:
    """The calibration in a folder; raises UserError where there is none."""
    path = Path(folder) / "calibration.json"
    return Calibration(**{name: conform(read_json(path)[name], float, str(path), name) for name in Calibration._fields})


def _log_odds(posterior: np.ndarray) -> np.ndarray:
    p = np.clip(posterior, LEAST, 1 - LEAST)
    return np.log(p / (1 - p))


def fit(posterior: np.ndarray, right: np.ndarray) -> Calibration:
    """The calibration with the least cross-entropy on words (N,), `right` (N,) bool."""
    from scipy.optimize import minimize  # slow to import, and only fitting needs it

    odds, sign = _log_odds(posterior), np.where(right, 1.0, -1.0)

    def loss(x: np.ndarray) -> float:
        return float(np.logaddexp(0, -sign * (x[0] * odds + x[1])).mean())

    return Calibration(*map(float, minimize(loss, [1.0, 0.0]).x))  # convex


def right_words(reference: Sequence[str], hypothesis: Sequence[str]) -> list[bool]:
    """Which words of the hypothesis are right, by sclite's alignment."""
    return [said == heard for said, heard in align_words(reference, hypothesis) if heard is not None]


def judged(ctm: Path, text: Path) -> tuple[np.ndarray, np.ndarray]:
    """Confidence (N,) and whether it is right (N,) bool of each word of a CTM file; UserError if none can be judged."""
    references, heard = read_transcripts(text), dict[str, list[tuple[str, float]]]()
    for line in read_lines(ctm):
        fields = line.split()
        if len(fields) != 6:
            raise UserError(f"{ctm}: '{line[:60].rstrip()}' has no confidence; decode with --lattice-beam 5")
        heard.setdefault(fields[0], []).append((fields[4], float(fields[5])))
    if unknown := sorted(heard.keys() - references.keys()):
        raise UserError(f"{text} lacks {len(unknown)} utterances of {ctm}: {shorten(unknown)}; add them")
    sure = [confidence for words in heard.values() for _, confidence in words]
    right = [r for name, words in heard.items() for r in right_words(references[name], [word for word, _ in words])]
    if len(set(right)) < 2:
        raise UserError(f"{ctm}: all {len(right)} words are {'right' if any(right) else 'wrong'}; take a larger set")
    return np.array(sure), np.array(right)


def normalised_cross_entropy(confidence: np.ndarray, right: np.ndarray) -> float:
    """NIST's measure over words (N,); nan where all words are right or all are wrong."""
    share = right.mean()
    if share in (0.0, 1.0):
        return float("nan")
    p = np.clip(confidence, LEAST, 1 - LEAST)
    without = -(share * np.log(share) + (1 - share) * np.log(1 - share))
    with_them = -np.where(right, np.log(p), np.log(1 - p)).mean()
    return float(1 - with_them / without)


class Bin(NamedTuple):
    words: int
    confidence: float  # mean
    right: float  # share


def reliability(confidence: np.ndarray, right: np.ndarray) -> list[Bin]:
    """Bins of equally many words (N,), from the least to the most confident."""
    order = np.argsort(confidence, kind="stable")
    parts = [part for part in np.array_split(order, BINS) if len(part)]
    return [Bin(len(part), float(confidence[part].mean()), float(right[part].mean())) for part in parts]


def expected_calibration_error(confidence: np.ndarray, right: np.ndarray) -> float:
    return sum(b.words * abs(b.confidence - b.right) for b in reliability(confidence, right)) / len(right)
