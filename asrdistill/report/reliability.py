"""A picture of how true confidences are: the share of right words against the mean confidence, bin by bin."""

import io

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from asrdistill.report.figure import COLOURS, FAINT, INK
from asrdistill.scoring.calibration import Bin


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
    file = io.BytesIO()
    figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()
