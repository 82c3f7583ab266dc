"""``asrdistill report``: measure, draw results.json, RESULTS.md and results.png, and keep documents up to date."""

import dataclasses
import logging
import re
from collections.abc import Sequence
from pathlib import Path

from asrdistill.errors import UserError
from asrdistill.files import atomic, write_text
from asrdistill.reader import read_text, read_yaml
from asrdistill.results import paper
from asrdistill.results.collect import Folders, collect
from asrdistill.results.plan import Results, read_plan, read_results
from asrdistill.results.tables import SECTIONS, TABLES, costs, legend

log = logging.getLogger("asrdistill")

WIDTH = 100  # columns of the screen


def run_report(
    folders: Sequence[Folders],
    config: Path,
    variant: str,
    out: Path | None,
    sets: Sequence[str] = (),
    html: bool = False,
) -> None:
    """What `asrdistill report EXP --config YAML` does; with `paper` in the YAML, the paper's figures beside ours.

    sets  instead of those of the YAML
    html  write report.html too
    """
    experiments = [each.exp for each in folders]
    if "paper" in read_yaml(config):
        if html:
            raise UserError(f"--html is of one experiment, and {config} has the paper's figures; leave it out")
        path = out or experiments[0] / "reproduction.md"
        write_text(path, paper.markdown(paper.read_paper(config), experiments))
        print(path)
        return
    if len(experiments) > 1:
        raise UserError(f"{config} is of one experiment, not of {', '.join(map(str, experiments))}; give one EXP")
    folder = out or experiments[0]
    plan = dataclasses.replace(read_plan(config), variant=variant)
    if sets:
        plan = dataclasses.replace(plan, sets=list(sets), pooled=list(sets))
    results = collect(folders[0], plan)
    write(results, folder)
    show(results)
    names = ["results.json", "RESULTS.md", "results.png"]
    if html:
        from asrdistill.results.page import write_page  # with the packages of networks

        names.append("report.html")
        write_page(folder / names[-1], results, folders[0])
    print(*(folder / name for name in names))


def write(results: Results, out: Path, name: str = "results") -> None:
    from asrdistill.results.pictures import draw  # matplotlib takes a second to import

    results.write(out / f"{name}.json")
    write_text(out / f"{name.upper() if name == 'results' else name}.md", markdown(results, name))
    with atomic(out / f"{name}.png", "wb") as handle:
        handle.write(draw(results))


def markdown(results: Results, name: str = "results") -> str:
    """The document: all tables that have rows, and the picture."""
    sections = [f"# {results.title}", f"Drawn from {name}.json by `asrdistill report`.", results.plan.note]
    for key, make in TABLES.items():
        table = make(results)
        if not table.rows or len(table.header) < 2:
            continue
        sections += [f"## {SECTIONS.get(key, key.capitalize())}"] * (key != "systems") + [table.markdown()]
        if key == "systems":
            sections += [
                "\n".join(f"* {line}" for line in legend(results)),
                f"![The table as a picture: {results.title}]({name}.png)",
            ]
    return "\n\n".join(part for part in [*sections, costs(results)] if part) + "\n"


def show(results: Results) -> None:
    """Print the tables that a screen has room for."""
    from rich.console import Console

    console = Console(width=WIDTH, highlight=False)
    console.print(f"\n{results.title}", style="bold", markup=False)
    for key in ("systems", "comparisons", "curves", "sets"):
        if (table := TABLES[key](results)).rows:
            for part in table.parts(WIDTH):
                console.print(part.rich())
        if key == "systems":
            console.print("\n".join(legend(results)) + "\n", markup=False)
    console.print(costs(results), markup=False)


def update_all(documents: Sequence[Path], check: bool = False) -> None:
    """Draw the tables of documents; with `check` nothing is written. Raises UserError if one is out of date then."""
    changed = [document for document in documents if update(document, write=not check)]
    if check and changed:
        raise UserError(f"out of date: {', '.join(map(str, changed))}; run asrdistill report --update on them")
    for document in changed:
        log.info("%s: drawn again", document)


_BLOCK = re.compile(r"(?P<begin>^<!-- table: (?P<what>.*?) -->\n)(?P<body>.*?)(?P<end>^<!-- end -->)", re.M | re.S)


def update(document: Path, write: bool = True) -> bool:
    """Draw the tables of a Markdown document between their markers; returns whether it changed.

    <!-- table: RESULTS.json NAME rows=PATTERN,… columns=PATTERN,… -->    (a blank in a name is ``_`` in a pattern)
    <!-- end -->

    Indented markers are left alone. Raises UserError for a marker that cannot be drawn.
    """
    text = read_text(document)
    begins, ends = (len(re.findall(f"^<!-- {word}", text, re.M)) for word in ("table:", "end -->"))
    if begins != ends or begins != len(_BLOCK.findall(text)):
        raise UserError(f"{document} has {begins} lines '<!-- table: … -->' and {ends} '<!-- end -->'; pair them")
    drawn = _BLOCK.sub(lambda m: f"{m['begin']}{_draw(document, m['what'])}\n{m['end']}", text)
    if write and drawn != text:
        write_text(document, drawn)
    return drawn != text


def _draw(document: Path, what: str) -> str:
    words = what.split()
    chosen = dict(word.split("=", 1) for word in words[2:] if "=" in word)
    if len(words) < 2 or len(chosen) < len(words) - 2 or not chosen.keys() <= {"rows", "columns"}:
        raise UserError(f"{document}: '{what}' is not 'FILE NAME rows=… columns=…'")
    if words[1] not in TABLES:
        raise UserError(f"{document}: there is no table '{words[1]}'; there are {', '.join(TABLES)}")
    table = TABLES[words[1]](read_results(document.parent / words[0]))
    selected = table.select(**{key: value.split(",") for key, value in chosen.items()})
    if not selected.rows or (table.header[1:] and not selected.header[1:]):
        raise UserError(f"{document}: '{what}' selects nothing of {', '.join(row[0] for row in table.rows)}")
    return selected.markdown()
