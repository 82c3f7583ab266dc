"""What systems get wrong in all and on some of the phones, and how that goes with the temperature.

    EXP/<system>.<seed>/               meta.json
    EXP/frames/<system>.<seed>/<set>/  frames.json, as `evaluate` leaves it

CONFIG names the set that is measured; the systems, with what they are, the phones that are looked at apart and the
paper's figure; pairs of systems whose errors are divided; and curves, systems by their temperature:

corpus: MNIST
set: test
systems:
  student:        {what: "2 × 800, soft targets", paper: "74"}
  without_3_bias: {what: "the same, bias chosen on validation", phones: ["3"]}
ratios: [[without_3_bias, student]]
curves:
  2 × 30: {1: narrow_1, 20: narrow_20}
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from asrdistill.config import build, option, read_yaml
from asrdistill.errors import UserError
from asrdistill.files import atomic, read_json, write_json, write_text
from asrdistill.results.figure import COLOURS, INK, png
from asrdistill.results.plan import System, find_models
from asrdistill.results.results import rounded
from asrdistill.results.stages import describe_environment, read_markers, stage_costs
from asrdistill.results.table import NOTHING, Table, duration

Results = dict[str, Any]
JSON, TABLE, PICTURE = "results.json", "RESULTS.md", "results.png"


@dataclass(frozen=True)
class Row:
    what: str = option("", "what the system is")
    phones: list[str] = field(default_factory=list)  # that are looked at apart
    paper: str = ""  # the paper's figure


@dataclass(frozen=True)
class Plan:
    corpus: str = ""
    set: str = "test"
    systems: dict[str, Any] = field(default_factory=dict)
    ratios: list[list[str]] = field(default_factory=list)
    curves: dict[str, Any] = field(default_factory=dict)


def report(exp: Path, config: Path) -> str:
    """Write results.json, RESULTS.md and results.png of the experiment; returns the table's text."""
    results = collect(exp, build(Plan, read_yaml(config), str(config)), config)
    write_json(exp / JSON, results)
    write_text(exp / TABLE, text := markdown(results))
    with atomic(exp / PICTURE, "wb") as handle:
        handle.write(draw(results))
    return text


def collect(exp: Path, plan: Plan, config: Path) -> Results:
    """The contents of results.json; raises UserError where the plan names what is not there."""
    rows = {name: build(Row, values, f"{config}, system '{name}'") for name, values in plan.systems.items()}
    curves = {name: {float(t): system for t, system in points.items()} for name, points in plan.curves.items()}
    names = [*rows, *(system for points in curves.values() for system in points.values())]
    if unknown := [name for pair in plan.ratios for name in pair if name not in rows]:
        raise UserError(f"{config} divides by or for the system '{unknown[0]}', which it does not define")
    measured = {name: _measure(exp, name, plan.set, rows.get(name, Row())) for name in dict.fromkeys(names)}
    markers = read_markers([exp])
    return {
        "corpus": plan.corpus,
        "set": plan.set,
        "systems": {name: {**vars(row), **measured[name]} for name, row in rows.items()},
        "ratios": [
            {"a": a, "b": b, "errors": _ratio(measured[a]["errors"]["mean"], measured[b]["errors"]["mean"])}
            for a, b in plan.ratios
        ],
        "curves": {
            name: [{"temperature": t, **measured[system]["errors"]} for t, system in sorted(points.items())]
            for name, points in curves.items()
        },
        "stages": stage_costs(markers),
        "environment": describe_environment(markers, []),
    }


def markdown(results: Results) -> str:
    """RESULTS.md"""
    sections = [
        f"# {results['corpus']}: what a student knows that it never saw",
        "Drawn from results.json by `asrdistill report-phones`.",
        systems_table(results).markdown(),
        "\n".join(f"* {line}" for line in findings(results)),
        curves_table(results).markdown() if results["curves"] else "",
        f"![Errors of the systems, and by temperature]({PICTURE})",
        costs(results),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def systems_table(results: Results) -> Table:
    """One row a system: errors in all and on the phones that were left out, mean ± sd over the seeds."""
    rows = []
    for name, system in results["systems"].items():
        apart = system.get("apart")
        right = f"{100 * (1 - apart['errors']['mean'] / apart['frames']):.1f}" if apart else NOTHING
        rows.append(
            [
                *(name, system["what"], f"{system['parameters']:,}", _spread(system["errors"])),
                f"{100 * system['errors']['mean'] / system['frames']:.2f}",
                f"{_spread(apart['errors'])} of {apart['frames']:,}" if apart else NOTHING,
                right,
                _spread(system["offset"], 2) if "offset" in system else NOTHING,
                system["paper"] or NOTHING,
            ]
        )
    frames = max(system["frames"] for system in results["systems"].values())
    measured = f"errors of {frames:,} ({results['set']})"
    apart_titles = ["errors on what was left out", "% of it right", "offset"]
    return Table(["system", "what", "parameters", measured, "%", *apart_titles, "paper"], rows)


def curves_table(results: Results) -> Table:
    """Errors by temperature, a row a curve."""
    temperatures = sorted({point["temperature"] for points in results["curves"].values() for point in points})
    rows = []
    for name, points in results["curves"].items():
        errors = {point["temperature"]: _spread(point) for point in points}
        rows.append([name, *(errors.get(t, NOTHING) for t in temperatures)])
    return Table(["errors at temperature", *(f"{t:g}" for t in temperatures)], rows)


def findings(results: Results) -> list[str]:
    """A sentence for each pair of systems that is compared."""
    lines = []
    for ratio in results["ratios"]:
        share = "no errors to compare with" if ratio["errors"] is None else f"{ratio['errors']:.2f} times the errors"
        lines.append(f"{ratio['a']} makes {share} of {ratio['b']}.")
    seeds = max(len(system["seeds"]) for system in results["systems"].values())
    return [
        *lines,
        f"Mean ± sd over the seeds ({seeds}); the offset is added to the logits of what was left out, or seen alone.",
    ]


def costs(results: Results) -> str:
    stages, made = results["stages"].values(), results["environment"]
    time = f"{duration(sum(cost['seconds'] for cost in stages))} of work; " if stages else ""
    return f"{time}{made['cpu']}, torch {made['torch']}, commit {made['commit']}, {made['date']}"


def draw(results: Results) -> bytes:
    """Errors of the systems as bars; beside them errors by temperature, where there are curves."""
    systems, curves = results["systems"], results["curves"]
    figure = Figure(figsize=(11, 1.5 + 0.4 * len(systems)), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, 2 if curves else 1, squeeze=False)[0]
    means = [100 * system["errors"]["mean"] / system["frames"] for system in systems.values()]
    spreads = [100 * (system["errors"]["sd"] or 0.0) / system["frames"] for system in systems.values()]
    panels[0].barh(range(len(systems)), means, xerr=spreads, color=COLOURS[4], ecolor=INK)
    panels[0].set_yticks(range(len(systems)), list(systems))
    panels[0].invert_yaxis()
    panels[0].set_title(f"Errors on {results['set']}, % (bars: sd over seeds)", fontsize=10)
    for colour, (name, points) in zip(COLOURS, curves.items(), strict=False):
        at, errors = [point["temperature"] for point in points], [point["mean"] for point in points]
        panels[1].errorbar(at, errors, [point["sd"] or 0.0 for point in points], color=colour, marker="o", label=name)
    if curves:
        panels[1].set_xscale("log", base=2)
        panels[1].set_title("Errors by temperature", fontsize=10)
        panels[1].legend(frameon=False)
    figure.suptitle(results["corpus"], fontsize=12)
    return png(figure)


def _measure(exp: Path, name: str, part: str, row: Row) -> Results:
    """A system's errors on the set, one figure a seed."""
    found = find_models(exp, name, System(models=[f"{name}.*"]))
    models = [model for model in found if model.name.removeprefix(f"{name}.").isdigit()]  # narrow_2.0, not narrow_2.5.0
    metas = [read_json(model / "meta.json") for model in models]
    records = [read_json(exp / "frames" / model.name / part / "frames.json") for model in models]
    measured = {
        "seeds": [meta["seed"] for meta in metas],
        "parameters": metas[0]["parameters"],
        "updates": metas[0]["updates"],
        "frames": records[0]["frames"],
        "errors": _over_seeds([record["frames"] - record["correct"] for record in records]),
    }
    if row.phones:
        apart = [_apart(record["phones"], row.phones) for record in records]
        errors = _over_seeds([wrong for _, wrong in apart])
        measured["apart"] = {"phones": row.phones, "frames": apart[0][0], "errors": errors}
    if "bias" in metas[0]:
        measured["offset"] = _over_seeds([meta["bias"]["offset"] for meta in metas])
    return measured


def _apart(by_phone: Mapping[str, Mapping[str, int]], phones: Sequence[str]) -> tuple[int, int]:
    """Frames and errors of some of the phones."""
    if missing := [phone for phone in phones if phone not in by_phone]:
        raise UserError(f"no frame of {missing[0]} was evaluated; its phones are {' '.join(by_phone)}")
    frames, correct = (sum(by_phone[phone][key] for phone in phones) for key in ("frames", "correct"))
    return frames, frames - correct


def _over_seeds(values: Sequence[float]) -> dict[str, Any]:
    deviation = statistics.stdev(values) if len(values) > 1 else None
    return rounded({"values": list(values), "mean": float(statistics.mean(values)), "sd": deviation})


def _ratio(a: float, b: float) -> float | None:
    return rounded(a / b) if b else None


def _spread(figure: Mapping[str, Any], digits: int = 1) -> str:
    spread = f" ± {figure['sd']:.{digits}f}" if figure["sd"] is not None else ""
    return f"{figure['mean']:.{digits}f}{spread}"
