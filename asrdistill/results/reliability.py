"""How true confidences are: measured, calibrated, and drawn as the share of right words against the confidence."""

import logging
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from asrdistill.files import atomic, write_json
from asrdistill.results.figure import COLOURS, FAINT, INK, png
from asrdistill.scoring.calibration import (
    Bin,
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
        file.write(draw({name: reliability(sure, right) for name, sure in systems.items()}))


def draw(systems: dict[str, list[Bin]]) -> bytes:
    """The picture as PNG bytes; `systems` are bins by name."""
    figure = Figure(figsize=(4.6, 4.4), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color=FAINT, zorder=0)
    for colour, (name, bins) in zip(COLOURS, systems.items(), strict=False):
        axes.plot([b.confidence for b in bins], [b.right for b in bins], "o-", color=colour, label=name, markersize=4)
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    axes.set_xlabel("mean confidence of a tenth of the words", color=INK)
    axes.set_ylabel("share of them that is right", color=INK)
    axes.legend(frameon=False, fontsize=9)
    return png(figure)
