"""The tables and sentences of a report, drawn from results.json: for the screen and for RESULTS.md."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import rich.box
import rich.table

Results = dict[str, Any]
NOTHING = "–"
NAMES = {"wer": "word error rate", "per": "phone error rate"}


@dataclass(frozen=True)
class Table:
    """Cells of text; the first column is the row's name. A header of two words has them one above the other."""

    header: list[str]
    rows: list[list[str]]
    marked: str = ""  # the row to stand out

    def rich(self) -> rich.table.Table:
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

    def halves(self, kept: int) -> list["Table"]:
        """Its columns in two tables, each of which begins with the first `kept` of them."""
        middle = (kept + len(self.header)) // 2
        parts = (slice(kept, middle), slice(middle, None))
        return [
            Table(self.header[:kept] + self.header[part], [row[:kept] + row[part] for row in self.rows], self.marked)
            for part in parts
        ]

    def markdown(self) -> str:
        rule = ["---", *(["---:"] * (len(self.header) - 1))]
        shown = [[f"**{cell}**" if row[0] == self.marked and cell else cell for cell in row] for row in self.rows]
        return "\n".join("| " + " | ".join(row) + " |" for row in (self.header, rule, *shown))


def pooled_sets(results: Results) -> list[str]:
    """The sets that are pooled for comparisons."""
    return results["comparisons"][0]["sets"] if results["comparisons"] else list(results["sets"])


def distinct_systems(results: Results) -> dict[str, list[str]]:
    """System -> itself and those that differ from it in nothing but the kind: each measured thing once."""
    systems = results["systems"]
    groups: dict[str, list[str]] = {}
    for name, system in systems.items():
        same = (other for other in groups if {**systems[other], "kind": system["kind"]} == system)
        groups.setdefault(next(same, name), []).append(name)
    return groups


def pooled_accuracy(results: Results, system: str, sets: Sequence[str]) -> float | None:
    """Frame accuracy (percent), mean over the seeds, the sets' frames pooled."""
    measured = results["systems"][system]["frame_accuracy"]
    if any(name not in measured for name in sets):
        return None
    frames = [results["sets"][name]["frames"] for name in sets]
    return sum(measured[name]["mean"] * n for name, n in zip(sets, frames, strict=True)) / sum(frames)


def measure_of(results: Results) -> str:
    """Which error rate it is: "wer", or "per" where phones were recognised."""
    return "per" if any("per" in system for system in results["systems"].values()) else "wer"


def pooled_errors(results: Results, system: str, sets: Sequence[str]) -> float | None:
    """Word or phone error rate (percent), mean over the seeds, the sets' words pooled."""
    measured = results["systems"][system][measure_of(results)]
    if any(name not in measured for name in sets):
        return None
    return 100 * sum(measured[name]["errors"] for name in sets) / sum(measured[name]["words"] for name in sets)


def systems_table(results: Results) -> Table:
    """One row a system: size, frame accuracy and error rate on each set and on the pooled ones."""
    measure = measure_of(results)
    sets, pooled = list(results["sets"]), pooled_sets(results)
    extra = ["all" if pooled == sets else "pooled"] if len(pooled) > 1 else []
    columns = [f"{what} {name}" for what in ("frames%", f"{measure.upper()}%") for name in (*sets, *extra)]
    rows = []
    for name in distinct_systems(results):
        system = results["systems"][name]
        accuracy = [_spread(system["frame_accuracy"].get(part), "percent") for part in sets]
        errors = [_spread(system[measure].get(part), "percent") for part in sets]
        if extra:
            accuracy.append(_number(pooled_accuracy(results, name, pooled)))
            errors.append(_number(pooled_errors(results, name, pooled)))
        rows.append([name, _count(system["parameters"]), *accuracy, *errors])
    return Table(["system", "size", *columns], rows, marked="student")


def details_table(results: Results) -> Table:
    """How each system was made and decoded; RTF is decoding time by speech time."""
    rows = []
    for name in distinct_systems(results):
        system = results["systems"][name]
        scales = [_number(system["lm_weight"]), _number(system["insertion_penalty"]), _number(system["rtf"], 3)]
        rows.append([name, ", ".join(system["members"]), _count(system["senones"]), _count(system["updates"]), *scales])
    return Table(["system", "models", "senones", "updates", "LM weight", "insertion penalty", "RTF"], rows)


def sets_table(results: Results) -> Table:
    """What was measured on, with the perplexity where it is known."""
    keys, perplexity = ["utterances", "words", "frames", "oov"], results.get("perplexity", {})
    rows = [[name, *(_count(part[key]) for key in keys)] for name, part in results["sets"].items()]
    if perplexity:
        rows = [[*row, _number(_perplexity(perplexity.get(row[0])))] for row in rows]
    return Table(["set", *keys, *(["perplexity"] if perplexity else [])], rows)


def rates_table(results: Results) -> Table:
    """Error rate of each system on each set, over all its seeds, with the 95 % interval."""
    rows, measure = [], measure_of(results)
    for name in distinct_systems(results):
        measured = results["systems"][name][measure]
        rows.append([name, *(_rate(measured.get(part)) for part in results["sets"])])
    return Table(["system", *results["sets"]], rows, marked="student")


def errors_table(results: Results) -> Table:
    """Errors of each system and set, summed over the seeds; those on words outside the vocabulary where there are."""
    rows, measure = [], measure_of(results)
    outside = any(system.get("oov_errors") for system in results["systems"].values())
    for name in distinct_systems(results):
        system = results["systems"][name]
        for part, entry in system[measure].items():
            counts = [str(entry[key]) for key in ("errors", "words", "ins", "del", "sub")]
            rows.append([name, part, *counts, *([_outside(system, part)] if outside else [])])
    columns = ["errors", "words", "ins", "del", "sub", *(["oov wrong"] if outside else [])]
    return Table(["system", "set", *columns], rows)


def stages_table(results: Results) -> Table:
    rows = [[name, duration(cost["seconds"]), f"{cost['peak_mb']:,}"] for name, cost in results["stages"].items()]
    return Table(["stage", "time", "peak MB"], rows)


def legend(results: Results) -> list[str]:
    """How to read the table of systems."""
    measure = measure_of(results)
    lines = [f"frames%: frames whose senone is right. {measure.upper()}%: {NAMES[measure]}. Mean ± sd over seeds."]
    for name, group in distinct_systems(results).items():
        count = len(results["systems"][name]["members"])
        if len(group) > 1:
            lines.append(f"{name} is also the {', '.join(group[1:])}: the mean of its {count} models.")
    return lines


def findings(results: Results) -> list[str]:
    """The comparisons and the share of the gain kept, in sentences."""
    lines = [_share(results)] if _share(results) else []
    if results["comparisons"]:
        what, sets = ("Phones" if measure_of(results) == "per" else "Words"), " + ".join(pooled_sets(results))
        lines.append(f"{what} of {sets}; 95 % interval and one-sided p by paired bootstrap:")
    for found in results["comparisons"]:
        low, high = found["ci95"]
        a, b = (pooled_errors(results, found[key], found["sets"]) for key in ("a", "b"))
        relative = f" ({_signed(100 * (a - b) / b)} % relative)" if a is not None and b else ""
        lines.append(
            f"{found['a']} − {found['b']}: {_signed(found['difference'])} points {measure_of(results).upper()} "
            f"[{_signed(low)}, {_signed(high)}]{relative}, p = {found['p']:.4f}"
        )
    return lines + _warnings(results)


def costs(results: Results) -> list[str]:
    """Time, memory and machine."""
    stages, made = results["stages"].values(), results["environment"]
    lines = []
    if stages:
        total, peak = sum(cost["seconds"] for cost in stages), max(cost["peak_mb"] for cost in stages)
        lines.append(f"{duration(total)} for {len(stages)} stages; largest process {peak:,} MB")
    machine = [made["cpu"], f"torch {made['torch']}" if made["torch"] else "", made["precision"]]
    lines.append(", ".join([part for part in machine if part] + [f"commit {made['commit']}", made["date"]]))
    return lines


def duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{seconds:.1f} s"


def markdown(results: Results, picture: str) -> str:
    """RESULTS.md"""
    sections = [
        f"# {results['corpus']} ({results['variant']})",
        "Drawn from results.json by `asrdistill report`.",
        results.get("note", ""),
        systems_table(results).markdown(),
        "\n".join(f"{line}  " for line in legend(results)).rstrip(),
        f"![Systems against word error rate and frame accuracy]({picture})",
        "\n".join(f"* {line}" for line in findings(results)),
        "## Systems",
        details_table(results).markdown(),
        "## Sets",
        sets_table(results).markdown(),
        f"## {NAMES[measure_of(results)].capitalize()}, % [95 % interval]",
        rates_table(results).markdown(),
        "## Errors",
        errors_table(results).markdown(),
        "## Time and memory",
        stages_table(results).markdown(),
        "\n".join(f"{line}  " for line in costs(results)).rstrip(),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _share(results: Results) -> str:
    if "frame_accuracy" not in results["transfer"]:
        return ""
    kept = results["transfer"]["frame_accuracy"]
    if kept["percent"] is None:
        return "The ensemble's frame accuracy is not above its members', so there is no gain to keep a share of."
    spread = f" ± {kept['sd']:.1f}" if kept["sd"] is not None else ""
    sets = " + ".join(pooled_sets(results))
    return f"The student keeps {kept['percent']:.1f}{spread} % of the ensemble's gain in frame accuracy ({sets})."


def _warnings(results: Results) -> list[str]:
    systems = results["systems"]
    if not {"student", "baseline"} <= systems.keys():
        return []
    a, b = systems["student"]["updates"], systems["baseline"]["updates"]
    unequal = a != b and not (a and b and abs(a - b) <= a / 1000)  # pools that differ by seed divide a little unevenly
    return [f"Note: the student had {a} updates, the baseline {b}; they should be equal."] if unequal else []


def _spread(entry: dict[str, Any] | None, unit: str) -> str:
    """Mean ± sample standard deviation of one value for each seed."""
    if not entry:
        return NOTHING
    values = entry[unit]
    mean = sum(values) / len(values)
    if len(values) == 1:
        return f"{mean:.1f}"
    deviation = (sum((value - mean) ** 2 for value in values) / (len(values) - 1)) ** 0.5
    return f"{mean:.1f}±{deviation:.1f}"


def _rate(entry: dict[str, Any] | None) -> str:
    """Error rate [95 % interval]"""
    if not entry:
        return NOTHING
    low, high = entry["ci95"]
    return f"{100 * entry['errors'] / entry['words']:.2f} [{low:.2f}, {high:.2f}]"


def _outside(system: dict[str, Any], part: str) -> str:
    """How many of the words that the vocabulary lacks are wrong."""
    found = system["oov_errors"].get(part)
    return f"{found['wrong']} of {found['words']}" if found else NOTHING


def _number(value: float | None, digits: int = 1) -> str:
    return NOTHING if value is None else f"{value:.{digits}f}"


def _perplexity(entry: float | dict[str, float] | None) -> float | None:
    """The figure of a set, alone or with its counts."""
    return entry["perplexity"] if isinstance(entry, dict) else entry


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")


def _count(value: int | None) -> str:
    """1,234 or 5.6 M."""
    return NOTHING if value is None else f"{value / 1e6:.1f} M" if value >= 1e6 else f"{value:,}"
