"""README and docs/: commands parse, links lead somewhere, tables are those of the measurements."""

import ast
import importlib
import re
import shlex
from pathlib import Path

import pytest
import yaml

import asrdistill
from asrdistill.cli import GROUPS, find
from asrdistill.cli.command import Command
from asrdistill.results import paper
from asrdistill.results.report import update

ROOT = Path(__file__).resolve().parents[1]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("recipes/*/RESULTS.md")]
ids = lambda page: page.relative_to(ROOT).as_posix()  # noqa: E731


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def commands(page: Path) -> list[str]:
    """The lines of a page's shell blocks, continued lines joined, without comments."""
    blocks = re.findall(r"^```sh\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [line for line in (re.sub(r"(^|\s)#.*", "", line).strip() for line in lines) if line]


def arguments(command: str) -> list[str]:
    """The words after the name of the program, of the last program in a pipe."""
    words = shlex.split(command.rpartition("|")[2])
    return words[words.index("asrdistill") + 1 :] if "asrdistill" in words else words[1:]


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_commands_parse(page: Path) -> None:
    for command in commands(page):
        if re.search(r"(^|[ /])asrdistill ", command.replace("asrdistill[", "")):
            found, rest = find(arguments(re.sub(r"\S*/bin/asrdistill ", "asrdistill ", command)))
            assert isinstance(found, Command), command
            found.parser().parse(rest)


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_commands_in_sentences_exist(page: Path) -> None:
    names = "|".join(GROUPS)
    for group, name, rest in re.findall(rf"`(?:asrdistill )?({names}) ([a-z][a-z0-9-]+)([^`]*)`", page.read_text()):
        found, _ = find([group, name])
        assert isinstance(found, Command)
        for option in re.findall(r"--[a-z0-9-]+", rest):
            assert option in found.parser()._option_string_actions, (group, name, option)


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_options_of_recipes_exist(page: Path) -> None:
    for script, options in re.findall(r"(recipes/[a-z_]+/[\w/]*run\.sh)((?: [^\s`#]+)*)", page.read_text()):
        for option in re.findall(r"--[a-z-]+", options):
            assert option in (ROOT / script).read_text() + (ROOT / "recipes/parse_options.sh").read_text(), (
                script,
                option,
            )


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if not target.startswith(("https://", "http://")):
            path, _, anchor = target.partition("#")
            file = page.parent / path if path else page
            assert file.exists(), f"{target} does not exist"
            assert not anchor or anchor in anchors(file), f"{target}: no such heading"


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_scripts_in_pages_exist(page: Path) -> None:
    for path in re.findall(r"(?:\./)?((?:recipes|tools|tests)/[\w/.-]+\.(?:sh|py|yaml))\b", page.read_text()):
        assert "NAME" in path or (ROOT / path).is_file(), path


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_python_blocks_compile_and_their_imports_exist(page: Path) -> None:
    for block in re.findall(r"^```python\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom):
                module = importlib.import_module(str(node.module))
                assert all(hasattr(module, name.name) for name in node.names), ast.unparse(node)


@pytest.mark.parametrize("page", [page for page in PAGES if "<!-- table:" in page.read_text()], ids=ids)
def test_tables_are_up_to_date(page: Path) -> None:
    assert not update(page, write=False), f"run asrdistill report --update {page}"


def test_reproduction_has_the_rows_of_its_configuration() -> None:
    """What experiments in the repository measured is equal, too."""
    tables = paper.read_paper(ROOT / "recipes/amazon_queen_paper/conf/paper.yaml")
    drawn, there = (
        [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
        for text in (paper.markdown(tables, [ROOT / "recipes"]), (ROOT / "docs/reproduction.md").read_text())
    )
    names = [(what, figure, bar) for what, figure, _, bar, _ in there]
    assert len(drawn) > 80
    for what, figure, ours, bar, agrees in drawn:
        assert (what, figure, bar) in names
        assert ours == paper.NOT_RUN or [what, figure, ours, bar, agrees] in there


def test_readme_begins_with_the_two_commands_and_is_short() -> None:
    lines = (ROOT / "README.md").read_text().splitlines()
    assert len(lines) <= 130
    assert [line.split()[0] for line in commands(ROOT / "README.md")[:2]] == [
        "./recipes/amazon_queen/run.sh",
        "./tests/run.sh",
    ]


def test_versions_agree() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == asrdistill.__version__
    assert f"## {asrdistill.__version__}" in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.parametrize("name", [".github/workflows/ci.yml", ".pre-commit-config.yaml"])
def test_configuration_of_checks_names_those_of_the_test_script(name: str) -> None:
    text = (ROOT / name).read_text()
    assert yaml.safe_load(text)
    for check in ("ruff check", "ruff format", "mypy"):
        assert check in text
