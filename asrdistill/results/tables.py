"""Tables and sentences of a report, drawn from its measurements: for the screen and for Markdown."""

import re
import statistics
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import partial
from typing import TYPE_CHECKING

from asrdistill.results.plan import Results

if TYPE_CHECKING:
    import rich.table

NOTHING = "–"
SECTIONS = {"details": "Models and decoding", "errors": "Errors", "stages": "Time and memory"}
GAINS = {"in words": "word_gain_kept", "in frames": "gain_kept"}
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
        chosen = [self.rows[n] for n in _matching([row[0] for row in self.rows], rows)]
        kept = [0, *(n + 1 for n in _matching(self.header[1:], columns))]
        return Table(self.header, chosen, self.marked)._columns(kept)

    def without_empty(self) -> "Table":
        """The table without its columns that have nothing in any row."""
        return self._columns([n for n in range(len(self.header)) if any(row[n] != NOTHING for row in self.rows)])

    def parts(self, width: int) -> list["Table"]:
        """The table in halves, each with its first two columns, until every part fits on a screen of that width."""
        from rich.console import Console

        if len(self.header) < 5 or Console(width=10 * width).measure(self.rich()).maximum <= width:
            return [self]
        middle = (2 + len(self.header)) // 2
        halves = ([0, 1, *range(2, middle)], [0, 1, *range(middle, len(self.header))])
        return [part for kept in halves for part in self._columns(kept).parts(width)]

    def _columns(self, kept: list[int]) -> "Table":
        return Table([self.header[n] for n in kept], [[row[n] for n in kept] for row in self.rows], self.marked)


def _matching(names: list[str], patterns: Iterable[str]) -> list[int]:
    spellings = [(name, name.replace(" ", "_")) for name in names]
    found = [n for p in patterns for n, both in enumerate(spellings) if any(fnmatch(name, p) for name in both)]
    return list(dict.fromkeys(found))


Columns = dict[str, Callable[[str], str]]  # title -> the cell of a row
Show = Callable[[float | None], str]


def _table(title: str, names: Iterable[str], columns: Columns, marked: str = "") -> Table:
    rows = [[name, *(cell(name) for cell in columns.values())] for name in names]
    return Table([title, *columns], rows, marked).without_empty()


def _means(results: Results, measures: Mapping[str, tuple[str, Show]]) -> Columns:
    """Columns of measures that belong to no set: title -> (measure, how it is shown)."""
    return {title: partial(_mean, results, *measure) for title, measure in measures.items()}


def _mean(results: Results, measure: str, show: Show, name: str) -> str:
    return show(results.table.mean(name, measure))


def systems_table(results: Results) -> Table:
    """A row per system: what it is, size, speed, frame accuracies, error rates, what was measured apart."""
    plan, measured = results.plan, results.table
    paired = {system.without for system in plan.systems.values()} - {""}

    def rate(measure: str, sets: list[str], without: bool = False) -> Callable[[str], str]:
        return lambda name: spread(measured.values(plan.systems[name].without if without else name, measure, *sets))

    def published(whose: str, name: str) -> str:
        return plan.systems[name].published.get(whose, NOTHING)

    columns: Columns = {"what": lambda name: plan.systems[name].what or NOTHING}
    columns |= _means(results, SIZES)
    sets = {name: [name] for name in plan.sets}
    sets |= {"all" if plan.pooled == plan.sets else "pooled": plan.pooled} if len(plan.pooled) > 1 else {}
    sets |= {plan.train: [plan.train]} if plan.train else {}
    for title, measure in (("frames%", "frame_accuracy"), (f"{plan.measure.upper()}%", plan.measure)):
        columns |= {f"{title} {label}": rate(measure, pooled) for label, pooled in sets.items()}
        columns |= {f"{title} without": rate(measure, plan.pooled, True)} if paired else {}
    if plan.ratios or plan.curves:
        columns["wrong"] = lambda name: _wrong(results, name, "frame_accuracy")
    columns |= {
        "apart wrong": lambda name: _wrong(results, name, "phone_accuracy"),
        "apart right %": lambda name: number(measured.mean(name, "phone_accuracy", *plan.pooled)),
        "offset": lambda name: spread(measured.values(name, "offset"), 2),
    }
    for whose in dict.fromkeys(whose for system in plan.systems.values() for whose in system.published):
        columns[whose] = partial(published, whose)
    return _table("system", [name for name in plan.shown if name not in paired], columns, "student")


def details_table(results: Results) -> Table:
    """How each system was made and decoded; RTF is decoding time by speech time."""
    mean, values = results.table.mean, results.table.values

    def rtf(name: str) -> str:
        sets = [part for part in results.plan.sets if values(name, "rtf", part)]
        return number(mean(name, "rtf", *sets) if sets else None, 3)

    models: Columns = {"models": lambda name: count(mean(name, "members") or len(values(name, "parameters")))}
    return _table("system", results.plan.shown, {**models, **_means(results, MAKING), "RTF": rtf})


def sets_table(results: Results) -> Table:
    """Sizes of the sets, words outside the vocabulary, perplexity."""
    mean, keys = results.table.mean, ("utterances", "words", "frames", "oov")
    rows = [
        [name, *(count(mean("", key, name)) for key in keys), number(mean("", "perplexity", name))]
        for name in results.plan.sets
    ]
    return Table(["set", *keys, "perplexity"], rows).without_empty()


def errors_table(results: Results) -> Table:
    """Error rate of each system and set with its 95 % bootstrap interval; errors summed over the seeds."""
    plan, rows, total = results.plan, [], results.table.total
    sets = [[name] for name in plan.sets] + [plan.pooled] * (len(plan.pooled) > 1)
    for name in results.table.systems(plan.measure):
        for parts in sets:
            label = " + ".join(parts)
            low, high = (results.table.mean(name, key, label) for key in ("error_low", "error_high"))
            errors, words = total(name, plan.measure, *parts)
            if words and low is not None and high is not None:
                counts = [errors, words, *(total(name, key, *parts)[0] for key in ("ins", "del", "sub"))]
                wrong, outside = total(name, "oov_wrong", *parts)
                cells = [f"{100 * errors / words:.2f}", f"[{low:.2f}, {high:.2f}]", *(f"{n:,}" for n in counts)]
                rows.append([name, label, *cells, f"{wrong} of {outside}" if outside else NOTHING])
    titles = ("set", f"{plan.measure.upper()}%", "95 % interval", "errors", "words", "ins", "del", "sub", "oov wrong")
    return Table(["system", *titles], rows, marked="student").without_empty()


def comparisons_table(results: Results) -> Table:
    """Differences of error rates on the pooled sets: points, 95 % interval, relative, p; ratios of wrong frames."""
    plan, mean, rows = results.plan, results.table.mean, []
    for a, b in plan.comparisons:
        found, low, high, p = (
            mean(f"{a} − {b}", key, " + ".join(plan.pooled)) for key in ("difference", "low", "high", "p")
        )
        base = mean(b, plan.measure, *plan.pooled)
        if found is not None and low is not None and high is not None:
            relative = signed(100 * found / base, 1) if base else NOTHING
            rows.append([f"{a} − {b}", signed(found), f"[{signed(low)}, {signed(high)}]", relative, number(p, 4)])
    for a, b in plan.ratios:
        above, below = (mean(name, "frame_accuracy", *plan.pooled) for name in (a, b))
        if above is not None and below is not None and below < 100:
            ratio = f"{(100 - above) / (100 - below):.2f} times the errors"
            rows.append([f"{a} / {b}", ratio, *[NOTHING] * 3])
    title = f"{plan.measure.upper()} points" if plan.comparisons else "frames"
    return Table(["systems", title, "95 % interval", "relative %", "p"], rows).without_empty()


def curves_table(results: Results) -> Table:
    """A row per curve: frame accuracies by the value on the axis."""
    plan, rows = results.plan, []
    xs = list(dict.fromkeys(f"{x}" for points in plan.curves.values() for x, _ in points))
    for line, points in plan.curves.items():
        systems = {f"{x}": system for x, system in points}
        values = [results.table.values(systems.get(x, ""), "frame_accuracy", *plan.pooled) for x in xs]
        rows.append([line, *map(spread, values)])
    return Table([f"frames% at {plan.x.replace('_', ' ')}", *xs], rows)


def stages_table(results: Results) -> Table:
    return _table("stage", results.table.systems("stage_seconds"), _means(results, COSTS))


TABLES: dict[str, Callable[[Results], Table]] = {
    "systems": systems_table,
    "comparisons": comparisons_table,
    "curves": curves_table,
    "details": details_table,
    "sets": sets_table,
    "errors": errors_table,
    "stages": stages_table,
}


def legend(results: Results) -> list[str]:
    """How to read the table of systems; the share of the gain that is kept; what is unequal."""
    plan, measured = results.plan, results.table
    rate = f" {plan.measure.upper()}%: {NAMES[plan.measure]}." if measured.systems(plan.measure) else ""
    frames = "frames%: frames whose senone is right." if measured.systems("frame_accuracy") else ""
    lines = [f"{frames}{rate} Mean ± sd over seeds.".strip()]
    if len(plan.pooled) > 1:
        lines.append(f"Pooled sets: {' + '.join(plan.pooled)}.")
    lines += [f"{key}: {value}." for key, value in results.environment.items() if key.startswith("LM of ")]
    shares = {what: measured.values("student", key, " + ".join(plan.pooled)) for what, key in GAINS.items()}
    if kept := ", ".join(f"{spread(values)} % {what}" for what, values in shares.items() if values):
        lines.append(f"Share of the ensemble's gain that the student keeps: {kept}.")
    baseline = "baseline" if "baseline" in plan.systems else "single"
    a, b = measured.mean("student", "updates"), measured.mean(baseline, "updates")
    if a and b and abs(a - b) > a / 1000:
        lines.append(f"Unequal updates: student {a:,.0f}, {baseline} {b:,.0f}.")
    return lines


def costs(results: Results) -> str:
    """Time, memory and machine in one line."""
    made, mean, stages = results.environment, results.table.mean, results.table.systems("stage_seconds")
    seconds = sum(mean(name, "stage_seconds") or 0 for name in stages)
    peak = max((mean(name, "stage_peak_mb") or 0 for name in stages), default=0)
    parts = [f"{duration(seconds)} for {len(stages)} stages, largest process {peak:,.0f} MB"] if stages else []
    named = [("cpu", ""), ("torch", "torch "), ("precision", ""), ("commit", "commit "), ("date", "")]
    return ", ".join(parts + [f"{word}{made[key]}" for key, word in named if made.get(key)])


def duration(seconds: float | None) -> str:
    minutes, rest = divmod(round(seconds or 0), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{seconds or 0:.1f} s"


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


_0, _1, _2 = (partial(number, digits=digits) for digits in (0, 1, 2))
SIZES: dict[str, tuple[str, Show]] = {
    "size": ("parameters", count),
    "MB": ("mb", _2),
    "int8 MB": ("int8_mb", _2),
    "frames/s": ("frames_per_second", _0),
    "int8 frames/s": ("int8_frames_per_second", _0),
    "look-ahead ms": ("look_ahead_ms", _0),
    "store bytes/frame": ("store_bytes", _0),
    "mass kept %": ("kept_mass", _1),
}
MAKING: dict[str, tuple[str, Show]] = {
    "senones": ("senones", count),
    "updates": ("updates", count),
    "LM weight": ("lm_weight", _1),
    "insertion penalty": ("insertion_penalty", _1),
}
COSTS: dict[str, tuple[str, Show]] = {"time": ("stage_seconds", duration), "peak MB": ("stage_peak_mb", count)}


def _wrong(results: Results, name: str, measure: str) -> str:
    """Wrong frames, mean ± sd over the seeds, of all frames."""
    found = results.table.seeds(name, measure, *results.plan.pooled)
    wrong = [round(total * (100 - percent) / 100) for percent, total in found]
    return f"{spread(list(map(float, wrong)))} of {found[0][1]:,}" if found else NOTHING
