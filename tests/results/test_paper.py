"""The paper's figures beside ours."""

from pathlib import Path

import pytest

from asrdistill.files import write_json
from asrdistill.results.measurements import Measurement, Measurements
from asrdistill.results.paper import Row, figure, markdown, read_paper
from asrdistill.results.plan import Plan, Results
from tests.refusals import refused

ROOT = Path(__file__).resolve().parents[2]
HARD, SOFT, TEACHER = ["a.json", "hard"], ["a.json", "soft", 0], ["a.json", "teacher", "mean"]


@pytest.fixture
def measured(tmp_path):
    write_json(tmp_path / "ours/a.json", {"hard": [30.0, 32.0], "soft": [34.0], "teacher": {"mean": 35.0}})
    rows = [Measurement("student", "0", name, "frame_accuracy", value, 10) for name, value in (("a", 40), ("b", 60))]
    table = Measurements([*rows, Measurement("student", "0", "", "store_bytes", 72)])
    Results(Plan("corpus", sets=["a", "b"], pooled=["a", "b"]), table, {}).write(tmp_path / "ours/r.json")
    return [tmp_path / "nothing", tmp_path / "ours"]


@pytest.mark.parametrize(
    ("row", "value"),
    [
        ({"ours": HARD}, 31.0),  # the mean over seeds
        ({"ours": SOFT, "less": HARD}, 3.0),
        ({"ours": SOFT, "per": TEACHER}, 100 * 34 / 35),
        ({"ours": SOFT, "less": HARD, "to": TEACHER}, 75.0),
        ({"ours": SOFT, "less": HARD, "to": HARD}, None),  # no way to go
        ({"ours": SOFT, "less": ["b.json", "hard"]}, None),
        ({"ours": ["a.json", "hard", 2]}, None),
        ({}, None),
        ({"ours": ["r.json", "student", "frame_accuracy"]}, 50.0),  # the pooled sets
        ({"ours": ["r.json", "student", "frame_accuracy", "b"]}, 60.0),
        ({"ours": ["r.json", "student", "frame_error", "b"]}, 40.0),
        ({"ours": ["r.json", "student", "store_bytes"]}, 72.0),
        ({"ours": ["r.json", "teacher", "frame_accuracy"]}, None),
    ],
)
def test_figure_is_looked_up(measured, row, value):
    assert figure(Row(**row), measured) == (None if value is None else pytest.approx(value))


def test_bar_decides_agreement(measured, tmp_path):
    paper = tmp_path / "paper.yaml"
    paper.write_text(
        "paper:\n- title: Table 5\n  note: Not theirs.\n  rows:\n"
        "    - {what: kept, paper: 86, ours: [a.json, soft], per: [a.json, hard], least: 90}\n"
        "    - {what: lost, ours: [a.json, soft], most: 33}\n"
        "    - {what: later, ours: [b.json, soft], most: 33}\n"
    )
    text = markdown(read_paper(paper), measured)
    assert "## Table 5\n\nNot theirs." in text
    assert "| kept | 86 | 109.68 | ≥ 90 | yes |" in text
    assert "| lost | – | 34.00 | ≤ 33 | no |" in text
    assert "| later | – | not run | ≤ 33 | – |" in text


def test_rows_of_the_recipe_can_be_read():
    tables = read_paper(ROOT / "recipes/amazon_queen_paper/conf/paper.yaml")
    assert all(row.what and row.ours for _, _, rows in tables for row in rows)


@pytest.mark.parametrize("text", ["paper: [{title: one}]", "paper: 1", "paper: [{title: x, rows: [{whta: y}]}]"])
def test_other_yaml_is_refused(tmp_path, text):
    (tmp_path / "paper.yaml").write_text(text)
    with refused("paper.yaml"):
        read_paper(tmp_path / "paper.yaml")
