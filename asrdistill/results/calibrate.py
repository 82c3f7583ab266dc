"""Calibration of word confidences: fitted or measured, and drawn as a reliability diagram."""

import logging
from pathlib import Path

import numpy as np

from asrdistill.files import atomic, write_json
from asrdistill.results import pictures
from asrdistill.scoring.calibration import (
    expected_calibration_error,
    fit,
    judged,
    normalised_cross_entropy,
    read_calibration,
    reliability,
)

log = logging.getLogger("asrdistill")


def calibrate(decoded: Path, text: Path, calibration: Path | None, out: Path) -> None:
    """Fit a calibration to a decode folder's confidences, or measure one; writes what the verb confidence names."""
    posterior, right = judged(Path(decoded) / "words.ctm", text)
    chosen = read_calibration(calibration) if calibration else fit(posterior, right)
    systems = {"posterior": posterior, "calibrated": chosen(posterior)}
    figures = {}
    for name, sure in systems.items():
        entropy, error = normalised_cross_entropy(sure, right), expected_calibration_error(sure, right)
        figures[name] = {"normalised_cross_entropy": round(entropy, 4), "expected_calibration_error": round(error, 4)}
        log.info("%-10s normalised cross-entropy %.3f, expected calibration error %.3f", name, entropy, error)
    chosen.write(out)
    write_json(Path(out) / "confidence.json", {"words": len(right), "right": int(np.sum(right)), **figures})
    with atomic(Path(out) / "reliability.png", "wb") as file:
        file.write(pictures.reliability({name: reliability(sure, right) for name, sure in systems.items()}))
