"""A sweep's table and picture, from its results."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from asrdistill.results.figure import COLOURS, INK, plain_axes, png
from asrdistill.results.table import NAMES, NOTHING, Table
from asrdistill.sweep.collect import Results
from asrdistill.sweep.spec import plain

Cells = list[dict[str, Any]]
PANELS = {"pooled": "Frame accuracy, %", "learnt": "Frame accuracy on what was learnt from, %"}


def markdown(results: Results, picture: str) -> str:
    """The sweep's section: title, table, picture, comparisons."""
    measure, pooled = results["measure"].upper(), " + ".join(results["pooled"])
    read = [
        f"frames%: frames of {pooled} whose senone is right, mean ± sd over {len(results['seeds'])} seeds (of a "
        f"teacher: over the ensemble's members). {measure}%: {NAMES[results['measure']]} of the same sets with its "
        "95 % interval."
    ]
    compared = [f"* {sentence(found)}" for found in results["comparisons"]]
    parts = [f"## {results['title']}", table(results).markdown(), "\n".join(read), f"![{results['title']}]({picture})"]
    return "\n\n".join([*parts, *(["\n".join(compared)] if compared else [])]) + "\n"


def table(results: Results) -> Table:
    """One row a system: point, row, size, accuracies, error rate, store."""
    cells: Cells = list(results["cells"].values())
    measure = results["measure"]
    columns = {
        **{name: [plain(cell["point"][name]) for cell in cells] for name in results["vary"]},
        "": [cell["row"] for cell in cells],
        "parameters": [f"{cell['parameters']:,}" for cell in cells],
        "updates": [NOTHING if cell["updates"] is None else f"{cell['updates']:,}" for cell in cells],
        **{f"frames% {name}": [_accuracy(cell, name) for cell in cells] for name in ("dev", "pooled", "learnt")},
        f"{measure.upper()}%": [_words(cell.get(measure)) for cell in cells],
        "bytes a frame": [str(cell["store"]["bytes"]) if "store" in cell else NOTHING for cell in cells],
        "mass kept, %": [f"{100 * cell['store']['mass']:.1f}" if "store" in cell else NOTHING for cell in cells],
    }
    told = {name: values for name, values in columns.items() if set(values) != {NOTHING}}
    return Table(list(told), [list(row) for row in zip(*told.values(), strict=True)])


def sentence(found: dict[str, Any]) -> str:
    """A comparison in words."""
    point = ", ".join(f"{name} {plain(value)}" for name, value in found["point"].items())
    low, high = found["ci95"]
    text = f"{found['a']} − {found['b']} at {point}: {found['difference']:+.2f} points [{low:+.2f}, {high:+.2f}]"
    return f"{text}, p = {found['p']:.4f}".replace("-", "−")


def draw(results: Results) -> bytes:
    """The picture as PNG bytes: a panel for each measure, a line for each row (and value of the further settings)."""
    cells: Cells = list(results["cells"].values())
    measure = results["measure"]
    panels = [name for name in PANELS if name in cells[0]["frame_accuracy"]] + [measure] * (measure in cells[0])
    figure = Figure(figsize=(1 + 4.5 * len(panels), 4.2), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        axes.set_title(PANELS.get(panel, f"{NAMES[measure].capitalize()}, %"), fontsize=10, color=INK)
        _panel(axes, results, cells, panel)
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(4, len(labels)), frameon=False, fontsize=9)
    figure.suptitle(results["title"], fontsize=12, color=INK)
    return png(figure)


def _panel(axes: Axes, results: Results, cells: Cells, panel: str) -> None:
    x = results["x"]
    values = results["vary"][x]
    numbers = all(isinstance(value, int | float) for value in values)
    places = {plain(value): value if numbers else index for index, value in enumerate(values)}
    lines: dict[str, Cells] = {}
    for cell in cells:
        lines.setdefault(_line(cell, x), []).append(cell)
    for (name, line), colour in zip(lines.items(), COLOURS * len(lines), strict=False):
        shown = [(places[plain(cell["point"][x])], *_figure(cell, panel)) for cell in line]
        at, middle, low, high = zip(*shown, strict=True)
        axes.plot(at, middle, "o-" if numbers else "o", color=colour, markersize=5, linewidth=1.4, label=name)
        axes.vlines(at, low, high, color=colour, linewidth=1.6)
    if numbers and min(values) > 0 and max(values) >= 5 * min(values):
        axes.set_xscale("log")
        axes.minorticks_off()
    axes.set_xticks(list(places.values()), list(places))
    axes.set_xlabel(x.replace("_", " "), fontsize=9, color=INK)
    plain_axes(axes)


def _line(cell: dict[str, Any], x: str) -> str:
    """The row, with the values of the settings that are not along the axis."""
    return ", ".join([cell["row"], *(f"{name} {plain(value)}" for name, value in cell["point"].items() if name != x)])


def _figure(cell: dict[str, Any], panel: str) -> tuple[float, float, float]:
    """What is drawn: the mean with its bar, the sd over the seeds or the words' 95 % interval."""
    if panel in cell["frame_accuracy"]:
        entry = cell["frame_accuracy"][panel]
        return entry["mean"], entry["mean"] - (entry["sd"] or 0), entry["mean"] + (entry["sd"] or 0)
    entry = cell[panel]["pooled"]
    return 100 * entry["errors"] / entry["words"], *entry["ci95"]


def _accuracy(cell: dict[str, Any], name: str) -> str:
    entry = cell["frame_accuracy"].get(name)
    if not entry:
        return NOTHING
    return f"{entry['mean']:.2f}" + (f"±{entry['sd']:.2f}" if entry["sd"] is not None else "")


def _words(entries: dict[str, Any] | None) -> str:
    if not entries:
        return NOTHING
    entry = entries["pooled"]
    low, high = entry["ci95"]
    return f"{100 * entry['errors'] / entry['words']:.2f} [{low:.2f}, {high:.2f}]"
