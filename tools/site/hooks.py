"""Hooks of mkdocs: the pages of the repository at their places in it, and the reference made from the code."""

import dataclasses
import os
import re
import subprocess
from pathlib import Path

from mkdocs.structure.files import File, Files

from asrdistill.cli import GROUPS, load
from asrdistill.cli.command import Command

ROOT = Path(__file__).resolve().parents[2]
PATTERNS = ("*.md", "docs/**/*.*", "recipes/*/*.md", "recipes/*/*.png", "recipes/*/results.json")
API = (  # what other programs may call
    *("asrdistill.load", "asrdistill.runtime.recogniser", "asrdistill.runtime.stream", "asrdistill.runtime.options"),
    *("asrdistill.data.directory", "asrdistill.data.archive", "asrdistill.data.audio", "asrdistill.models.io"),
    *("asrdistill.distill.losses", "asrdistill.scoring.wer", "asrdistill.errors"),
)


def slug(heading: str, separator: str) -> str:
    """The anchor that GitHub gives to a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", separator)


def on_config(config):
    config.mdx_configs["toc"]["slugify"] = slug
    os.environ["COLUMNS"] = "100"  # of the help of commands
    return config


def on_files(files, config):
    """All pages and pictures under their paths in the repository, so that links lead where they lead there."""
    found = [path for pattern in PATTERNS for path in sorted(ROOT.glob(pattern))]
    theme = [file for file in files if not file.src_uri.endswith((".md", ".svg", ".ipynb"))]
    pages = [File.generated(config, p.relative_to(ROOT).as_posix(), abs_src_path=str(p)) for p in found]
    made = {"docs/reference/commands.md": commands(), "docs/reference/configuration.md": configuration()}
    made["docs/reference/api.md"] = "# Python interface\n\n" + "\n".join(f"::: {name}\n" for name in API)
    made["recipes/index.md"] = recipes()
    return Files([*theme, *pages, *(File.generated(config, name, content=text) for name, text in made.items())])


def on_page_markdown(markdown, page, config, files):
    """Links to recipes' folders lead to the list of recipes; those to files that are no page lose their target."""

    def target(match):
        text, path, _ = match.groups()
        there = os.path.normpath(os.path.join(os.path.dirname(page.file.src_uri), path))
        if "://" in path or not path or files.get_file_from_path(there):
            return match[0]
        if re.fullmatch(r"recipes/\w+", there):
            index = os.path.relpath("recipes/index.md", os.path.dirname(page.file.src_uri))
            return f"[{text}]({index}#{Path(there).name})"
        return text if (ROOT / there).exists() else match[0]

    return re.sub(r"(?<!!)\[([^\]\[]+)\]\(([^)#\s]*)(#[^)\s]*)?\)", target, markdown)


def on_page_content(html, page, config, files):
    """Roles of docstrings, as in :func:`on_files`, are names."""
    return re.sub(r":(?:meth|func|class|mod|data):(?=<)", "", html)


def all_commands() -> dict[str, Command]:
    groups = {name: load(name) for name in ("top", *GROUPS)}
    return {command.name: command for group in groups.values() for command in group.commands.values()}


def commands() -> str:
    parts = ["# Commands\n\nWhat `asrdistill GROUP COMMAND --help` prints."]
    for name, command in all_commands().items():
        parts.append(f"## {name}\n\n{command.summary}.\n\n```text\n{command.parser().format_help()}```")
    return "\n\n".join(parts) + "\n"


def configuration() -> str:
    """A table of each dataclass of options, with the commands that take it."""
    takers: dict[type, list[str]] = {}
    for name, command in all_commands().items():
        if cls := command.options_class():
            takers.setdefault(cls, []).append(name)
    parts = ["# Configuration\n\nKeys of the YAML files that `--config` takes, and options of the commands."]
    for cls, names in takers.items():
        rows = ["| key | type | default | |", "| --- | --- | --- | --- |"]
        for field in dataclasses.fields(cls):
            missing = field.default is dataclasses.MISSING
            default = field.default_factory() if missing else field.default  # type: ignore[misc]
            help = str(field.metadata.get("help", "")).replace("|", "&#124;").replace("<", "&lt;")
            kind = getattr(field.type, "__name__", str(field.type)).replace("|", "or")
            choices = f": {', '.join(map(str, field.metadata['choices']))}" if field.metadata.get("choices") else ""
            rows.append(f"| `{field.name}` | {kind} | `{default}` | {help}{choices} |")
        shown = ", ".join(f"[{name}](commands.md#{slug(name, '-')})" for name in names)
        parts.append(f"## {cls.__name__}\n\nof {shown}\n\n" + "\n".join(rows))
    return "\n\n".join(parts) + "\n"


def recipes() -> str:
    """What each recipe's --help prints, and its results."""
    parts = ["# Recipes"]
    for script in sorted(ROOT.glob("recipes/*/run.sh")):
        name = script.parent.name
        help = subprocess.run([script, "--help"], capture_output=True, text=True, check=True).stdout
        more = [f"[{path.stem}]({name}/{path.name})" for path in sorted(script.parent.glob("*.md"))]
        parts.append(f"## {name}\n\n{', '.join(more)}\n\n```text\n{help}```")
    return "\n\n".join(parts) + "\n"
