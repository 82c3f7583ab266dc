"""The layout of the package: order of the subpackages, no import circles, nothing that imports the command line."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "asrdistill"
ORDER = (  # each imports those before it
    *("core", "data", "corpora", "lang", "features", "hmm", "encoders", "models", "training", "distill", "decode"),
    *("scoring", "results", "runtime", "serve", "export", "pseudo_label", "sweep", "cli"),
)
ALLOWED = {
    ("corpora", "lang"): "transcripts of TIMIT are normalised like any text",
    ("decode", "scoring"): "tuning and rescoring minimise word errors",
}


def name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in PACKAGE.rglob("*.py")}


def imports(module: str) -> set[str]:
    """The modules of the package that ``module`` imports, at its top or in a function, but for type checkers alone."""
    found = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            return
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module} has a relative import"
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found.update(names & MODULES.keys() or {node.module})
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(MODULES[module].read_text("utf-8")))
    return found & MODULES.keys()


# without the package itself, which is loaded before any of its modules and imports its recogniser on demand
GRAPH = {module: imports(module) - {"asrdistill"} for module in MODULES if module != "asrdistill"}


def room(module: str) -> str:
    """The subpackage of a module; empty for the modules at the top."""
    name = module.partition(".")[2].partition(".")[0]
    return name if (PACKAGE / name / "__init__.py").exists() else ""


def reached_from(modules: set[str]) -> set[str]:
    """These modules and all that they import, directly or not."""
    reached, new = set(modules), set(modules)
    while new := {found for module in new for found in GRAPH[module]} - reached:
        reached |= new
    return reached


def test_modules_do_not_import_in_a_circle():
    try:
        TopologicalSorter(GRAPH).prepare()
    except CycleError as error:
        pytest.fail(f"import circle: {' <- '.join(error.args[1])}")


def test_subpackages_import_only_earlier_ones():
    rooms = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert rooms == set(ORDER)
    for module, found in GRAPH.items():
        for other in found:
            pair = room(module), room(other)
            if pair[0] and pair[1] and pair not in ALLOWED:
                assert ORDER.index(pair[1]) <= ORDER.index(pair[0]), f"{module} imports {other}"


def test_modules_at_the_top_import_no_subpackage():
    for module, found in GRAPH.items():
        if not room(module) and module != "asrdistill.__main__":
            assert not {other for other in found if room(other)}, module


def test_nothing_imports_the_command_line():
    importers = {module for module, found in GRAPH.items() if any(room(other) == "cli" for other in found)}
    assert {module for module in importers if room(module) != "cli"} == {"asrdistill.__main__"}


def test_runtime_does_not_import_training():
    reached = reached_from({module for module in GRAPH if room(module) == "runtime"})
    assert {room(module) for module in reached}.isdisjoint({"training", "distill", "results", "sweep", "cli"})
