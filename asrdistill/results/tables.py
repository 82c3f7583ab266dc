"""Tables and sentences of a report, drawn from its measurements: for the screen and for Markdown."""

import re
import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import TYPE_CHECKING

from asrdistill.results.plan import Results

if TYPE_CHECKING:
    import rich.table

NOTHING = "–"
NAMES = {"wer": "word error rate", "per": "phone error rate"}


@dataclass(frozen=True)
class Table:
    """Cells of text; the first column is the row's name."""

    header: list[str]
    rows: list[list[str]]
    marked: str = ""  # the row to stand out

    def rich(self) -> "rich.table.Table":
        import rich.box
        import rich.table

        table = rich.table.Table(box=rich.box.SIMPLE_HEAD, padding=(0, 0, 0, 1), pad_edge=False, collapse_padding=True)
        titles = [re.sub(r"([_-])", r"\1\n", title.replace(" ", "\n")) for title in self.header]
        height = max(title.count("\n") for title in titles)
        for number, title in enumerate(titles):
            lines = title.count("\n")
            padding = "\n" * (height - lines) if lines else ""  # rich aligns headers at their last lines
            table.add_column(title + padding, justify="right" if number else "left", no_wrap=True)
        for row in self.rows:
            table.add_row(*row, style="bold" if row[0] == self.marked else None)
        return table

    def markdown(self) -> str:
        rule = ["---", *(["---:"] * (len(self.header) - 1))]
        shown = [[f"**{cell}**" if row[0] == self.marked and cell else cell for cell in row] for row in self.rows]
        return "\n".join("| " + " | ".join(row) + " |" for row in (self.header, rule, *shown))

    def select(self, rows: Iterable[str] = ("*",), columns: Iterable[str] = ("*",)) -> "Table":
        """The rows and columns whose names match a pattern, in the order of the patterns; a blank matches ``_`` too."""
        kept = [n for n in _matching(self.header[1:], columns, 1) if n]
        chosen = [self.rows[n] for n in _matching([row[0] for row in self.rows], rows)]
        return Table(*_transposed(self.header, chosen, [0, *kept]), self.marked)

    def without_empty(self) -> "Table":
        """The table without its columns that have nothing in any row."""
        kept = [n for n in range(len(self.header)) if any(row[n] not in (NOTHING, "") for row in self.rows)]
        return Table(*_transposed(self.header, self.rows, kept), self.marked)

    def parts(self, width: int) -> list["Table"]:
        """The table in halves, each with its first two columns, until every part fits on a screen of that width."""
        from rich.console import Console

        if len(self.header) < 5 or Console(width=10 * width).measure(self.rich()).maximum <= width:
            return [self]
        middle = (2 + len(self.header)) // 2
        halves = [[0, 1, *range(2, middle)], [0, 1, *range(middle, len(self.header))]]
        return [
            p for kept in halves for p in Table(*_transposed(self.header, self.rows, kept), self.marked).parts(width)
        ]


def _transposed(header: list[str], rows: list[list[str]], kept: list[int]) -> tuple[list[str], list[list[str]]]:
    return [header[n] for n in kept], [[row[n] for n in kept] for row in rows]


def _matching(names: list[str], patterns: Iterable[str], first: int = 0) -> list[int]:
    found = [
        n
        for pattern in patterns
        for n, name in enumerate(names, first)
        if fnmatch(name, pattern) or fnmatch(name.replace(" ", "_"), pattern)
    ]
    return list(dict.fromkeys(found))


def systems_table(results: Results) -> Table:
    """A row per system: what it is, size, speed, frame accuracies, error rates, what was measured apart."""
    plan, measured = results.plan, results.table
    names = [name for name, system in plan.systems.items() if system.shown]
    paired = {system.without for system in plan.systems.values()}
    names = [name for name in names if name not in paired]
    sets: list[tuple[str, list[str]]] = [(name, [name]) for name in plan.sets]
    if len(plan.pooled) > 1:
        sets.append(("all" if plan.pooled == plan.sets else "pooled", plan.pooled))
    columns: dict[str, Callable[[str], str]] = {
        "system": str,
        "what": lambda name: plan.systems[name].what,
        "size": lambda name: count(measured.mean(name, "parameters")),
    }
    for title, measure, digits in (
        ("MB", "mb", 2),
        ("int8 MB", "int8_mb", 2),
        ("frames/s", "frames_per_second", 0),
        ("int8 frames/s", "int8_frames_per_second", 0),
        ("look-ahead ms", "look_ahead_ms", 0),
        ("store bytes/frame", "store_bytes", 0),
        ("mass kept %", "kept_mass", 1),
    ):
        columns[title] = lambda name, measure=measure, digits=digits: number(measured.mean(name, measure), digits)  # type: ignore[misc]
    if plan.train:
        sets.append((plan.train, [plan.train]))
    for title, measure in (("frames%", "frame_accuracy"), (f"{plan.measure.upper()}%", plan.measure)):
        for label, pooled in sets:
            columns[f"{title} {label}"] = lambda name, m=measure, p=pooled: spread(measured.values(name, m, *p))  # type: ignore[misc]
        if any(paired):
            columns[f"{title} without"] = lambda name, m=measure: spread(  # type: ignore[misc]
                measured.values(plan.systems[name].without, m, *plan.pooled)
            )
    if plan.ratios or plan.curves:
        columns["wrong"] = lambda name: _wrong(results, name, "frame_accuracy")
    columns["apart wrong"] = lambda name: _wrong(results, name, "phone_accuracy")
    columns["apart right %"] = lambda name: number(measured.mean(name, "phone_accuracy", *plan.pooled))
    columns["offset"] = lambda name: spread(measured.values(name, "offset"), 2)
    columns["paper"] = lambda name: plan.systems[name].paper or NOTHING
    rows = [[cell(name) for cell in columns.values()] for name in names]
    return Table(list(columns), rows, marked="student").without_empty()


def details_table(results: Results) -> Table:
    """How each system was made and decoded; RTF is decoding time by speech time."""
    rows, measured = [], results.table
    for name, system in results.plan.systems.items():
        if not system.shown:
            continue
        models = measured.mean(name, "members") or len(measured.values(name, "parameters"))
        cells = [count(models), *(count(measured.mean(name, key)) for key in ("senones", "updates"))]
        cells += [number(measured.mean(name, key)) for key in ("lm_weight", "insertion_penalty")]
        sets = [part for part in results.plan.sets if measured.values(name, "rtf", part)]
        rows.append([name, *cells, number(measured.mean(name, "rtf", *sets) if sets else None, 3)])
    header = ["system", "models", "senones", "updates", "LM weight", "insertion penalty", "RTF"]
    return Table(header, rows).without_empty()


def sets_table(results: Results) -> Table:
    """Sizes of the sets, words outside the vocabulary, perplexity."""
    keys = ("utterances", "words", "frames", "oov")
    rows = []
    for name in results.plan.sets:
        cells = [count(results.table.mean("", key, name)) for key in keys]
        rows.append([name, *cells, number(results.table.mean("", "perplexity", name))])
    return Table(["set", *keys, "perplexity"], rows).without_empty()


def rates_table(results: Results) -> Table:
    """Error rate of each system, over all its seeds, with its 95 % bootstrap interval."""
    plan, rows = results.plan, []
    pooled = [" + ".join(plan.pooled)] if len(plan.pooled) > 1 else []
    for name in results.table.systems(plan.measure):
        rows.append([name, *(_rate(results, name, part) for part in [*plan.sets, *pooled])])
    return Table(["system", *plan.sets, *(["pooled"] if pooled else [])], rows, marked="student").without_empty()


def errors_table(results: Results) -> Table:
    """Errors of each system and set, summed over the seeds; and those on words outside the vocabulary."""
    rows, measured, measure = [], results.table, results.plan.measure
    for name in measured.systems(measure):
        for part in results.plan.sets:
            errors, words = measured.total(name, measure, part)
            wrong, outside = measured.total(name, "oov_wrong", part)
            if words:
                parts = [f"{measured.total(name, key, part)[0]:,}" for key in ("ins", "del", "sub")]
                parts.append(f"{wrong} of {outside}" if outside else NOTHING)
                rows.append([name, part, f"{errors:,}", f"{words:,}", *parts])
    return Table(["system", "set", "errors", "words", "ins", "del", "sub", "oov wrong"], rows).without_empty()


def comparisons_table(results: Results) -> Table:
    """Differences of error rates on the pooled sets: points, 95 % interval, relative change, one-sided p."""
    plan, measured, rows = results.plan, results.table, []
    sets = " + ".join(plan.pooled)
    for a, b in plan.comparisons:
        names = ("difference", "low", "high", "p")
        found, low, high, p = (measured.mean(f"{a} − {b}", key, sets) for key in names)
        base = measured.mean(b, plan.measure, *plan.pooled)
        if found is not None and low is not None and high is not None:
            relative = signed(100 * found / base, 1) if base else NOTHING
            rows.append([f"{a} − {b}", signed(found), f"[{signed(low)}, {signed(high)}]", relative, number(p, 4)])
    for a, b in plan.ratios:
        below = measured.mean(b, "frame_accuracy", *plan.pooled)
        above = measured.mean(a, "frame_accuracy", *plan.pooled)
        if above is not None and below is not None:
            ratio = f"{(100 - above) / (100 - below):.2f} times the errors" if below < 100 else NOTHING
            rows.append([f"{a} / {b}", ratio, *[NOTHING] * 3])
    title = f"{plan.measure.upper()} points" if plan.comparisons else "frames"
    return Table(["systems", title, "95 % interval", "relative %", "p"], rows).without_empty()


def curves_table(results: Results) -> Table:
    """A row per curve: error rates, or frame accuracies where nothing was decoded, by the value on the axis."""
    plan = results.plan
    xs = list(dict.fromkeys(f"{x}" for points in plan.curves.values() for x, _ in points))
    rows = []
    for line, points in plan.curves.items():
        cells = {f"{x}": spread(results.table.values(system, "frame_accuracy", *plan.pooled)) for x, system in points}
        rows.append([line, *(cells.get(x, NOTHING) for x in xs)])
    return Table([f"frames% at {plan.x.replace('_', ' ')}", *xs], rows)


def stages_table(results: Results) -> Table:
    measured = results.table
    rows = [
        [name, duration(measured.mean(name, "stage_seconds") or 0), count(measured.mean(name, "stage_peak_mb"))]
        for name in measured.systems("stage_seconds")
    ]
    return Table(["stage", "time", "peak MB"], rows)


TABLES: dict[str, Callable[[Results], Table]] = {
    "systems": systems_table,
    "comparisons": comparisons_table,
    "curves": curves_table,
    "details": details_table,
    "sets": sets_table,
    "rates": rates_table,
    "errors": errors_table,
    "stages": stages_table,
}


def legend(results: Results) -> list[str]:
    """How to read the table of systems; the share of the gain that is kept; what is unequal."""
    plan, measured = results.plan, results.table
    rate = f" {plan.measure.upper()}%: {NAMES[plan.measure]}." if measured.systems(plan.measure) else ""
    lines = [f"frames%: frames whose senone is right.{rate} Mean ± sd over seeds."]
    if len(plan.pooled) > 1:
        lines.append(f"Pooled sets: {' + '.join(plan.pooled)}.")
    if kept := measured.values("student", "gain_kept", " + ".join(plan.pooled)):
        lines.append(f"Share of the ensemble's gain in frame accuracy that the student keeps: {spread(kept)} %.")
    baseline = "baseline" if "baseline" in plan.systems else "single"
    a, b = measured.mean("student", "updates"), measured.mean(baseline, "updates")
    if a and b and abs(a - b) > a / 1000:
        lines.append(f"Unequal updates: student {a:,.0f}, {baseline} {b:,.0f}.")
    return lines


def costs(results: Results) -> str:
    """Time, memory and machine in one line."""
    measured, made = results.table, results.environment
    parts = []
    if stages := measured.systems("stage_seconds"):
        total = sum(measured.mean(name, "stage_seconds") or 0 for name in stages)
        peak = max(measured.mean(name, "stage_peak_mb") or 0 for name in stages)
        parts.append(f"{duration(total)} for {len(stages)} stages, largest process {peak:,.0f} MB")
    parts += [made["cpu"], f"torch {made['torch']}" if made["torch"] else "", made["precision"]]
    return ", ".join([part for part in parts if part] + [f"commit {made['commit']}", made["date"]])


def duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{seconds:.1f} s"


def spread(values: list[float], digits: int = 1) -> str:
    """Mean ± sample standard deviation of one value for each seed."""
    if not values:
        return NOTHING
    mean = number(statistics.mean(values), digits)
    return f"{mean}±{statistics.stdev(values):.{digits}f}" if len(values) > 1 else mean


def number(value: float | None, digits: int = 1) -> str:
    return NOTHING if value is None else f"{value:,.{digits}f}".replace("-", "−")


def signed(value: float, digits: int = 2) -> str:
    return f"{value:+.{digits}f}".replace("-", "−")


def count(value: float | None) -> str:
    """1,234 or 5.6 M."""
    return NOTHING if value is None else f"{value / 1e6:.1f} M" if value >= 1e6 else f"{value:,.0f}"


def _rate(results: Results, name: str, part: str) -> str:
    """Error rate [95 % interval]"""
    low, high = (results.table.mean(name, key, part) for key in ("error_low", "error_high"))
    value = results.table.mean(name, results.plan.measure, *part.split(" + "))
    return NOTHING if value is None or low is None or high is None else f"{value:.2f} [{low:.2f}, {high:.2f}]"


def _wrong(results: Results, name: str, measure: str) -> str:
    """Wrong frames, mean ± sd over the seeds, of all frames."""
    found = results.table.seeds(name, measure, *results.plan.pooled)
    wrong = [round(total * (100 - percent) / 100) for percent, total in found]
    return f"{spread(list(map(float, wrong)))} of {found[0][1]:,}" if found else NOTHING
