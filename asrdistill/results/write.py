"""Results to files and to the screen."""

from pathlib import Path

from rich.console import Console

from asrdistill.files import atomic, write_json, write_text
from asrdistill.results.figure import draw
from asrdistill.results.table import Results, costs, findings, legend, markdown, sets_table, systems_table

WIDTH = 100  # columns of the screen that the table is made for


def write(results: Results, folder: Path) -> None:
    """results.json, RESULTS.md and results.png in the folder."""
    write_json(folder / "results.json", results)
    write_text(folder / "RESULTS.md", markdown(results, "results.png"))
    with atomic(folder / "results.png", "wb") as handle:
        handle.write(draw(results))


def show(results: Results, console: Console | None = None) -> None:
    """Print the table of systems and what follows from it."""
    console = console or Console(width=WIDTH, highlight=False)
    console.print(f"\n{results['corpus']} ({results['variant']})", style="bold", markup=False)
    table = systems_table(results)
    widest = console.measure(table.rich(), options=console.options.update(width=10 * console.width)).maximum
    for part in [table] if widest <= console.width else table.halves(kept=2):  # frame accuracies, error rates
        console.print(part.rich())
    for lines in (legend(results), findings(results)):
        for line in lines:
            console.print(line, markup=False)
        console.print()
    console.print(sets_table(results).rich())
    for line in costs(results):
        console.print(line, markup=False)
