"""The documentation site: builds without a warning, loads nothing from elsewhere, and answers a reader's questions."""

import html
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from asrdistill.cli import GROUPS, load

pytestmark = pytest.mark.slow
for package in ("material", "mkdocstrings"):
    pytest.importorskip(package)

ROOT = Path(__file__).resolve().parents[2]
QUESTIONS = {  # of a reader who knows Kaldi: page and what must stand on it
    "train on my own folder": ("docs/first-distillation.html", "data prepare table"),
    "what the soft-target file looks like": ("docs/formats.html", "Soft-target store"),
    "why is the student better than its baseline": ("docs/distillation.html", "A fair baseline"),
    "by how much": ("docs/results.html", "student"),
    "add a word": ("docs/add-words.html", "--words"),
    "run on a GPU": ("docs/cluster.html", "One GPU"),
    "a student in a web page": ("docs/browser-and-server.html", "--to web"),
}


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", ROOT / "tools/site/mkdocs.yml", "-d", out]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"})
    assert done.returncode == 0, done.stderr
    return out


def links(page: Path) -> set[Path]:
    found = re.findall(r'href="?([^"#> ]+)', page.read_text())
    return {(page.parent / target).resolve() for target in found if "://" not in target}


def test_nothing_is_loaded_from_elsewhere(site) -> None:
    for page in site.rglob("*.html"):
        for tag in re.findall(r"<(?:script|link|img|iframe|source)\b[^>]*>", page.read_text()):
            assert not re.search(r"(?:src|href)=[\"']?(?:https?:)?//", tag), (page, tag)


def test_links_lead_somewhere(site) -> None:
    for page in site.rglob("*.html"):
        if page.name != "404.html":
            assert not {target for target in links(page) if not target.exists()}, page


@pytest.mark.parametrize("question", QUESTIONS)
def test_questions_are_answered_one_link_from_the_start(site, question) -> None:
    name, phrase = QUESTIONS[question]
    page = site / name
    assert page.resolve() in links(site / "index.html")
    assert phrase in html.unescape(re.sub(r"<[^>]+>", "", page.read_text()))


def test_reference_has_every_command_and_option(site) -> None:
    text = html.unescape((site / "docs/reference/commands.html").read_text())
    for group in ("top", *GROUPS):
        for command in load(group).commands.values():
            assert f"usage: asrdistill {command.name}" in text or command.usage
            for option in command.parser()._option_string_actions:
                assert option in text, (command.name, option)
