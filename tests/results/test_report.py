"""The command ``report``: its files, its screen, and the tables that it draws into documents."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from asrdistill.cli import main
from asrdistill.results.plan import read_results
from asrdistill.results.report import update
from asrdistill.results.tables import TABLES, Table, systems_table
from tests.refusals import assert_refused, refused

ROOT = Path(__file__).resolve().parents[2]


def report(world: Any) -> int:
    return main(["report", str(world.exp), "--config", str(world.config), "--data", str(world.data)])


def row(world: Any, name: str, table: str = "systems") -> dict[str, str]:
    found = TABLES[table](read_results(world.exp / "results.json"))
    return dict(zip(found.header, next(cells for cells in found.rows if cells[0] == name), strict=True))


def test_files_are_the_same_bytes_again(world: Any) -> None:
    names = ("results.json", "RESULTS.md", "results.png", "measurements.tsv")
    assert report(world) == 0
    first = [(world.exp / name).read_bytes() for name in names]
    assert report(world) == 0
    assert [(world.exp / name).read_bytes() for name in names] == first
    assert first[2].startswith(b"\x89PNG")


def test_tables_hold_the_known_figures(world: Any) -> None:
    (world.data / "lm").mkdir()
    world.json(world.data / "lm" / "perplexity.json", {"dev": 120.5, "test": {"perplexity": 130.2, "oov": 1}})
    assert report(world) == 0
    mono, single = row(world, "mono"), row(world, "single")
    assert (mono["WER% dev"], mono["WER% test"], mono["WER% all"], mono["frames% dev"]) == ("75.0", "50.0", "66.7", "–")
    assert (single["size"], single["frames% test"], single["WER% dev"]) == ("1,000", "39.7±0.5", "12.5±17.7")
    assert row(world, "mono", "errors")["95 % interval"] == "[66.67, 100.00]"  # 2 of 3 words, or 1 of 1
    assert row(world, "student − single", "comparisons")["WER points"] == "−8.33"
    assert row(world, "student − single", "comparisons")["relative %"] == "−50.0"
    assert list(row(world, "dev", "sets").values()) == ["dev", "2", "4", "100", "0", "120.5"]
    assert row(world, "teacher", "stages") == {"stage": "teacher", "time": "2 min 30 s", "peak MB": "200"}
    errors = TABLES["errors"](read_results(world.exp / "results.json")).rows
    assert ["mono", "test", "50.00", "[50.00, 50.00]", "1", "2", "0", "0", "1", "1 of 1"] in errors
    assert ["mono", "dev", "75.00", "[66.67, 100.00]", "3", "4", "0", "3", "0", "–"] in errors
    assert ["mono", "dev + test", "66.67", "[50.00, 100.00]", "4", "6", "0", "3", "1"] in [
        found[:9] for found in errors
    ]
    assert "75.0±35.4" in (world.exp / "RESULTS.md").read_text()


def test_sets_are_chosen(world: Any) -> None:
    argv = ["report", str(world.exp), "--config", str(world.config), "--data", str(world.data), "--sets"]
    assert main([*argv, "test"]) == 0
    plan = read_results(world.exp / "results.json").plan
    assert (plan.sets, plan.pooled) == (["test"], ["test"])
    assert "WER% dev" not in row(world, "mono")
    assert row(world, "student − single", "comparisons")["WER points"] == "−25.00"
    assert_refused([*argv, "test", "unknown"], "unknown")


def test_screen_fits_its_width(world: Any, capsys: pytest.CaptureFixture[str]) -> None:
    sets = [f"test-{number}" for number in range(6)]
    world.config.write_text(world.config.read_text().replace("[dev, test]", f"[{', '.join(sets)}]"))
    for name in sets:
        shutil.copytree(world.data / "test", world.data / name)
    for kind in ("decode", "frames"):
        for folder in (world.exp / kind).iterdir():
            for name in sets:
                shutil.copytree(folder / "test", folder / name)
    assert report(world) == 0
    printed = capsys.readouterr().out
    assert "…" not in printed
    assert max(map(len, printed.partition("results.json")[0].splitlines()[:-1])) <= 100
    assert printed.count("41.5±1.2") == 7  # the students' frames of each set and of all: 127 and 122 of 300


def test_note_stands_above_the_table(world: Any) -> None:
    world.config.write_text(world.config.read_text().replace("sets:", "note: Half of it is restored.\nsets:", 1))
    assert report(world) == 0
    text = (world.exp / "RESULTS.md").read_text()
    assert 0 < text.index("Half of it is restored.") < text.index("| system |")


def test_systems_that_differ_in_their_hypotheses_have_rows_of_their_own(world: Any) -> None:
    system = '  single_big: {models: ["teacher.*"], decoded: rescore}\ncomparisons:'
    world.config.write_text(world.config.read_text().replace("comparisons:", system))
    for seed in (0, 1):
        shutil.copytree(world.exp / f"decode/teacher.{seed}", world.exp / f"rescore/teacher.{seed}")
    world.write(world.exp / "rescore/teacher.1/dev/hyp.txt", "a1 one two tree\na2 four\n")
    assert report(world) == 0
    assert row(world, "single_big")["WER% dev"] != row(world, "single")["WER% dev"]


def test_unequal_updates_are_noted(world: Any, capsys: pytest.CaptureFixture[str]) -> None:
    for seed in (0, 1):
        world.edit(world.exp / f"student.{seed}" / "meta.json", updates=900)
    assert report(world) == 0
    assert {"900", "700"} <= set(capsys.readouterr().out.replace(".", " ").replace(",", " ").split())


def test_data_directories_may_stand_in_corpus(world: Any) -> None:
    for name in ("dev", "test"):
        (world.data / "corpus").mkdir(exist_ok=True)
        (world.data / name).rename(world.data / "corpus" / name)
    assert report(world) == 0


def test_without_data_no_words_are_scored(world: Any) -> None:
    world.config.write_text(world.config.read_text().replace("  mono:     {models: [mono]}\n", ""))
    world.config.write_text(world.config.read_text().partition("comparisons")[0])
    assert main(["report", str(world.exp), "--config", str(world.config)]) == 0
    assert not [title for title in systems_table(read_results(world.exp / "results.json")).header if "WER" in title]


def test_missing_model_is_named_and_nothing_written(world: Any) -> None:
    (world.exp / "mono" / "meta.json").unlink()
    assert_refused(["report", world.exp, "--config", world.config, "--data", world.data], "mono")
    assert not (world.exp / "results.json").exists()


def test_missing_config_is_refused(world: Any) -> None:
    assert_refused(["report", world.exp], "--config")


def test_document_is_drawn_between_its_markers(world: Any, tmp_path: Path) -> None:
    assert report(world) == 0
    page = tmp_path / "docs/page.md"
    page.parent.mkdir()
    marker = "<!-- table: ../exp/results.json systems rows=student,s* columns=size,WER%_* -->"
    page.write_text(f"Before\n\n{marker}\nold\n<!-- end -->\nAfter\n")
    assert main(["report", "--update", str(page)]) == 0
    lines = page.read_text().splitlines()
    assert lines[3:6] == [
        "| system | size | WER% dev | WER% test | WER% all |",
        "| --- | ---: | ---: | ---: | ---: |",
        "| **student** | **1,000** | **12.5±17.7** | **0.0±0.0** | **8.3±11.8** |",
    ]
    assert lines[6].startswith("| single |")
    assert (lines[0], lines[-2:]) == ("Before", ["<!-- end -->", "After"])
    assert main(["report", "--update", str(page), "--check"]) == 0
    page.write_text(page.read_text().replace("12.5", "11.5"))
    changed = page.read_text()
    assert_refused(["report", "--update", page, "--check"], page)
    assert page.read_text() == changed


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("<!-- table: a.json systems -->\n", ["<!-- end -->"]),
        ("<!-- table: a.json systems -->\n<!-- end -->\n", ["a.json"]),
        ("<!-- table: a.json -->\n<!-- end -->\n", ["a.json"]),
        ("<!-- table: a.json sytems -->\n<!-- end -->\n", ["sytems"]),
        ("<!-- table: results.json systems rows=tri -->\n<!-- end -->\n", ["rows=tri"]),
        ("<!-- table: results.json systems lines=tri -->\n<!-- end -->\n", ["lines=tri"]),
    ],
)
def test_wrong_markers_are_refused(world: Any, text: str, names: list[str]) -> None:
    assert report(world) == 0
    page = world.exp / "page.md"
    page.write_text(text)
    with refused(*names):
        update(page)


def test_results_of_an_older_version_are_refused(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text(json.dumps({"corpus": "a", "systems": {}}))
    with refused("results.json"):
        read_results(tmp_path / "results.json")


def test_table_selects_by_patterns_in_their_order() -> None:
    table = Table(["system", "a b", "c"], [["x", "1", "2"], ["y", "3", "–"]])
    assert table.select(rows=["y", "*"]).rows == [["y", "3", "–"], ["x", "1", "2"]]
    assert table.select(columns=["c", "a_b"]).header == ["system", "c", "a b"]
    assert table.select(rows=["y"]).without_empty().header == ["system", "a b"]


@pytest.mark.parametrize("path", sorted(ROOT.glob("recipes/*/RESULTS.md")), ids=lambda p: p.parent.name)
def test_committed_results_draw_the_committed_document(path: Path) -> None:
    from asrdistill.results.report import markdown

    assert markdown(read_results(path.with_name("results.json"))) == path.read_text()


@pytest.mark.parametrize("path", [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))], ids=lambda p: p.name)
def test_committed_documents_are_up_to_date(path: Path) -> None:
    assert not update(path, write=False)
