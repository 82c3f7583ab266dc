"""Pictures of a report as PNG bytes, the same bytes for the same measurements."""

import io
import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from asrdistill.results.plan import Results
from asrdistill.results.tables import NAMES

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")  # Okabe and Ito: colour-blind safe
INK, FAINT = "#222222", "#dddddd"
ACCURACY = "Frame accuracy, %"


def draw(results: Results) -> bytes:
    """Curves where the report has some, size and speed of students where these were measured, or all systems."""
    if results.plan.curves:
        return curves(results)
    return sizes(results) if results.plan.speed else systems(results)


def new_figure(width: float, height: float, panels: int = 1, **options: Any) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(width, height), dpi=150, layout=ConstrainedLayoutEngine(wspace=0.06))
    FigureCanvasAgg(figure)
    return figure, list(figure.subplots(1, panels, squeeze=False, **options)[0])


def png(figure: Figure) -> bytes:
    """A figure as PNG bytes, the same for the same figure."""
    file = io.BytesIO()
    figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()


def plain_axes(axes: Axes, sides: Any = "both", without: Sequence[str] = ("top", "right")) -> None:
    """The look that all pictures share: a faint grid behind the points along x, y or both, and no frame."""
    axes.grid(axis=sides, color=FAINT, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[list(without)].set_visible(False)
    axes.tick_params(labelsize=9, colors=INK)


def measures(results: Results) -> dict[str, str]:
    """The measures of a picture's panels and their titles."""
    both = {"frame_accuracy": ACCURACY, results.plan.measure: f"{NAMES[results.plan.measure].capitalize()}, %"}
    return {measure: title for measure, title in both.items() if results.table.systems(measure)}


def figure_of(results: Results, name: str, measure: str, *sets: str) -> tuple[float, float, float] | None:
    """(mean, low, high): the sd over the seeds, or the 95 % interval of an error rate; None if not measured."""
    values = results.table.values(name, measure, *sets)
    if not values:
        return None
    mean = statistics.mean(values)
    low, high = (results.table.mean(name, key, " + ".join(sets)) for key in ("error_low", "error_high"))
    if measure == results.plan.measure and low is not None and high is not None:
        return mean, low, high
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return mean, mean - deviation, mean + deviation


def systems(results: Results) -> bytes:
    """A row per system, a panel per measure: a dot with its bar for each set, a tick for the pooled sets."""
    plan, panels = results.plan, measures(results)
    names = plan.shown
    figure, axes = new_figure(5 * len(panels), 1.9 + 0.5 * len(names), len(panels), sharey=True)
    offsets = np.linspace(-0.24, 0.24, len(plan.sets)) if len(plan.sets) > 1 else [0.0]
    for panel, (measure, title) in zip(axes, panels.items(), strict=True):
        for row, name in enumerate(names):
            for part, offset, colour in zip(plan.sets, offsets, COLOURS * len(plan.sets), strict=False):
                if found := figure_of(results, name, measure, part):
                    panel.plot(found[1:], [row + offset] * 2, color=colour, linewidth=1.6, solid_capstyle="butt")
                    panel.plot(found[0], row + offset, "o", color=colour, markersize=5, label=part)
            if len(plan.pooled) > 1 and (found := figure_of(results, name, measure, *plan.pooled)):
                at = (found[0], row - 0.36)
                panel.plot([found[0]] * 2, [row - 0.36, row + 0.36], color=INK, linewidth=2, label="pooled")
                style: dict[str, Any] = {"ha": "center", "va": "bottom", "fontsize": 8, "color": INK}
                panel.annotate(f"{found[0]:.1f}", at, xytext=(0, 1), textcoords="offset points", **style)
        panel.set_title(f"{title} (bars: {'sd over seeds' if title == ACCURACY else '95 % interval'})", fontsize=10)
        panel.set_ylim(-0.75, len(names) - 0.5)
        panel.margins(x=0.08)
        plain_axes(panel, "x", ("top", "right", "left"))
        panel.tick_params(axis="y", length=0)
    axes[0].set_yticks(range(len(names)), names)
    axes[0].invert_yaxis()
    return _finish(figure, axes, results)


def curves(results: Results) -> bytes:
    """A panel per measure, a line per curve: the pooled sets over the values on the axis."""
    plan, panels = results.plan, measures(results)
    figure, axes = new_figure(1 + 4.5 * len(panels), 4.2, len(panels))
    values = list(dict.fromkeys(x for points in plan.curves.values() for x, _ in points))
    numbers = all(isinstance(x, int | float) for x in values)
    places = {x: float(x) if numbers else index for index, x in enumerate(values)}
    for panel, (measure, title) in zip(axes, panels.items(), strict=True):
        for (line, points), colour in zip(plan.curves.items(), COLOURS * len(plan.curves), strict=False):
            shown = [(places[x], figure_of(results, name, measure, *plan.pooled)) for x, name in points]
            found = [(x, *bounds) for x, bounds in shown if bounds]
            if found:
                at, middle, low, high = zip(*found, strict=True)
                style = "o-" if numbers else "o"
                panel.plot(at, middle, style, color=colour, markersize=5, linewidth=1.4, label=line)
                panel.vlines(at, low, high, color=colour, linewidth=1.6)
        if numbers and min(places.values()) > 0 and max(places.values()) >= 5 * min(places.values()):
            panel.set_xscale("log")
            panel.minorticks_off()
        panel.set_xticks(list(places.values()), [f"{x}" for x in places])
        panel.set_xlabel(plan.x.replace("_", " "), fontsize=9, color=INK)
        panel.set_title(title, fontsize=10, color=INK)
        plain_axes(panel)
    return _finish(figure, axes, results)


def sizes(results: Results) -> bytes:
    """Error rate, or frame accuracy where nothing was decoded, over parameters and over speed."""
    plan, table = results.plan, results.table
    measure, title = list(measures(results).items())[-1]
    figure, axes = new_figure(10, 4.2, 2, sharey=True)
    paired = {system.without: name for name, system in plan.systems.items() if system.without}
    panels = {"parameters": "parameters", "frames_per_second": "frames/s on one core, float32"}
    for panel, (scale, label) in zip(axes, panels.items(), strict=True):
        for name in plan.systems:
            x, y = table.mean(name, scale), table.mean(name, measure, *plan.pooled)
            if x is not None and y is not None:
                alone = name in paired
                panel.scatter([x], [y], color=COLOURS[alone], s=22, label=("with a teacher", "without")[alone])
                if not alone:
                    panel.annotate(name, (x, y), xytext=(4, 4), textcoords="offset points", fontsize=8)
        panel.set_xscale("log")
        panel.set_xlabel(label)
        plain_axes(panel)
    axes[0].set_ylabel(title)
    return _finish(figure, axes, results)


def reliability(systems: dict[str, Sequence[Any]]) -> bytes:
    """Share of right words over their confidence; `systems` are bins of :mod:`asrdistill.scoring.calibration`."""
    figure, (axes,) = new_figure(4.6, 4.4)
    axes.plot([0, 1], [0, 1], color=FAINT, zorder=0)
    for colour, (name, bins) in zip(COLOURS, systems.items(), strict=False):
        axes.plot([b.confidence for b in bins], [b.right for b in bins], "o-", color=colour, label=name, markersize=4)
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    axes.set_xlabel("mean confidence of a tenth of the words", color=INK)
    axes.set_ylabel("share of right words among them", color=INK)
    axes.legend(frameon=False, fontsize=9)
    return png(figure)


def _finish(figure: Figure, axes: Sequence[Axes], results: Results) -> bytes:
    """Legend below all panels, title above them."""
    shown: dict[str, Any] = {}
    for panel in axes:
        shown |= {label: handle for handle, label in zip(*panel.get_legend_handles_labels(), strict=True)}
    options: dict[str, Any] = {"loc": "outside lower center", "frameon": False, "fontsize": 9}
    figure.legend(shown.values(), shown.keys(), ncols=min(5, max(1, len(shown))), **options)
    figure.suptitle(results.title, fontsize=12, color=INK)
    return png(figure)
