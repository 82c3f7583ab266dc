"""One picture: systems against frame accuracy and word error rate, set by set and pooled."""

import io
import statistics
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from asrdistill.results.table import (
    NAMES,
    Results,
    distinct_systems,
    measure_of,
    pooled_accuracy,
    pooled_errors,
    pooled_sets,
)

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")  # Okabe and Ito: told apart by all eyes
INK, FAINT = "#222222", "#dddddd"


def draw(results: Results) -> bytes:
    """The picture as PNG bytes, the same for the same results."""
    names = list(distinct_systems(results))
    pooled = pooled_sets(results)
    figure = Figure(figsize=(10, 1.9 + 0.5 * len(names)), dpi=150, layout=ConstrainedLayoutEngine(wspace=0.06))
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, sharey=True)
    _panel(left, results, names, "frame_accuracy", _spread, lambda name: pooled_accuracy(results, name, pooled))
    measure = measure_of(results)
    _panel(right, results, names, measure, _interval, lambda name: pooled_errors(results, name, pooled))
    left.set_title("Frame accuracy, % (bars: sd over seeds)", fontsize=10, color=INK)
    right.set_title(f"{NAMES[measure].capitalize()}, % (bars: 95 % interval)", fontsize=10, color=INK)
    left.set_yticks(range(len(names)), [_label(results, name) for name in names])
    left.invert_yaxis()
    handles, labels = right.get_legend_handles_labels()
    shown = dict(zip(labels, handles, strict=True))
    figure.legend(shown.values(), shown.keys(), loc="outside lower center", ncols=len(shown), frameon=False, fontsize=9)
    figure.suptitle(f"{results['corpus']} ({results['variant']})", fontsize=12, color=INK)
    return png(figure)


def png(figure: Figure) -> bytes:
    """A figure as PNG bytes, the same for the same figure."""
    file = io.BytesIO()
    figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()


def plain_axes(
    axes: Axes, sides: Literal["both", "x", "y"] = "both", without: tuple[str, ...] = ("top", "right")
) -> None:
    """The look that all pictures share: a faint grid behind the points along x, y or both, and no frame."""
    axes.grid(axis=sides, color=FAINT, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[list(without)].set_visible(False)
    axes.tick_params(labelsize=9, colors=INK)


def _panel(
    axes: Axes,
    results: Results,
    names: list[str],
    measure: str,
    bounds: Callable[[dict[str, Any]], tuple[float, float]],
    pooled: Callable[[str], float | None],
) -> None:
    """Rows of systems: a dot with its bar for each set, a tick with its value for the pooled sets."""
    sets = list(results["sets"])
    offsets = np.linspace(-0.24, 0.24, len(sets)) if len(sets) > 1 else [0.0]
    for row, name in enumerate(names):
        measured = results["systems"][name][measure]
        for part, offset, colour in zip(sets, offsets, COLOURS * len(sets), strict=False):
            if part in measured:
                value, (low, high) = _mean(measured[part]), bounds(measured[part])
                axes.plot([low, high], [row + offset] * 2, color=colour, linewidth=1.6, solid_capstyle="butt")
                axes.plot(value, row + offset, "o", color=colour, markersize=5, label=part)
        overall = pooled(name)
        if overall is None:
            continue
        axes.plot([overall, overall], [row - 0.36, row + 0.36], color=INK, linewidth=2, label="pooled")
        axes.annotate(
            f"{overall:.1f}",
            (overall, row - 0.36),
            xytext=(0, 1),
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize=8,
            color=INK,
        )
    axes.set_ylim(-0.75, len(names) - 0.5)
    axes.margins(x=0.08)
    plain_axes(axes, "x", ("top", "right", "left"))
    axes.tick_params(axis="y", length=0)


def _label(results: Results, name: str) -> str:
    """The system and how many models it is."""
    system = results["systems"][name]
    count = len(system["members"])
    if count == 1:
        return name
    return f"{name} (of {count})" if system["kind"] == "ensemble" else f"{name} (mean of {count})"


def _mean(entry: dict[str, Any]) -> float:
    return statistics.mean(entry["percent"])


def _spread(entry: dict[str, Any]) -> tuple[float, float]:
    deviation = entry["sd"] or 0.0
    return entry["mean"] - deviation, entry["mean"] + deviation


def _interval(entry: dict[str, Any]) -> tuple[float, float]:
    low, high = entry["ci95"]
    return low, high
