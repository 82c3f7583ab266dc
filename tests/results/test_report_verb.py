"""The verb ``report``: the files that it writes and what it prints."""

import json
import shutil
from typing import Any

import pytest

from asrdistill.cli import main
from asrdistill.results.table import systems_table


def report(world: Any) -> int:
    return main(["report", str(world.exp), "--config", str(world.config), "--data", str(world.data)])


def test_files_are_the_same_bytes_again(world: Any) -> None:
    names = ("results.json", "RESULTS.md", "results.png")
    assert report(world) == 0
    first = [(world.exp / name).read_bytes() for name in names]
    assert report(world) == 0
    assert [(world.exp / name).read_bytes() for name in names] == first
    assert first[2].startswith(b"\x89PNG")


def test_screen(world: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert report(world) == 0
    printed = capsys.readouterr().out
    lines = printed.splitlines()
    assert max(map(len, lines)) <= max(100, len(str(world.exp)) * 3 + 60)  # paths alone may be longer
    assert "The student keeps 75.0 ± 35.4 % of the ensemble's gain in frame accuracy (dev + test)." in printed
    assert "student − single: −8.33 points WER" in printed
    assert "(−50.00 % relative), p = " in printed
    assert "single is also the baseline: the mean of its 2 models." in printed
    assert lines[-1] == f"The student: {world.exp / 'student.0'}"


def test_an_exported_student_can_be_tried(world: Any, capsys: pytest.CaptureFixture[str]) -> None:
    (world.exp / "student").mkdir()
    assert report(world) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.endswith(f"asrdistill transcribe {world.exp / 'student'} FILE")


def test_markdown(world: Any) -> None:
    world.data.joinpath("lm").mkdir()
    world.json(world.data / "lm" / "perplexity.json", {"dev": 120.5, "test": {"perplexity": 130.2, "oov": 1}})
    assert report(world) == 0
    text = (world.exp / "RESULTS.md").read_text()
    assert "| mono | 50 | – | – | – | 75.0 | 50.0 | 66.7 |" in text
    assert "| single | 1,000 | 32.0±2.8 | 39.7±0.5 | 37.8 | 12.5±17.7 | 25.0±35.4 | 16.7 |" in text
    assert "| **student** |" in text
    assert "| mono | 75.00 [66.67, 100.00] | 50.00 [50.00, 50.00] |" in text  # 2 of 3 words, or 1 of 1
    assert "| mono | test | 1 | 2 | 0 | 0 | 1 | 1 of 1 |" in text
    assert "| mono | dev | 3 | 4 | 0 | 3 | 0 | – |" in text
    assert "| dev | 2 | 4 | 100 | 0 | 120.5 |" in text
    assert "| test | 1 | 2 | 300 | 1 | 130.2 |" in text
    assert "| teacher | 2 min 30 s | 200 |" in text


def test_a_note_on_the_corpus_stands_above_the_table(world: Any) -> None:
    assert report(world) == 0
    assert "note" not in json.loads((world.exp / "results.json").read_text())
    world.config.write_text(world.config.read_text().replace("sets:", "note: Half of it is restored.\nsets:", 1))
    assert report(world) == 0
    lines = (world.exp / "RESULTS.md").read_text().splitlines()
    assert lines.index("Half of it is restored.") < lines.index("## Systems")


def test_table_is_drawn_from_the_file_alone(world: Any) -> None:
    assert report(world) == 0
    table = systems_table(json.loads((world.exp / "results.json").read_text()))
    assert table.header == [
        *("system", "size", "frames% dev", "frames% test", "frames% all", "WER% dev", "WER% test", "WER% all")
    ]
    assert [row[0] for row in table.rows] == ["mono", "single", "ensemble", "student"]  # the baseline is single


def test_systems_that_differ_in_their_hypotheses_alone_have_rows_of_their_own(world: Any) -> None:
    text = world.config.read_text()
    system = '  single_big: {kind: single, models: ["teacher.*"], decoded: rescore}\ncomparisons:'
    world.config.write_text(text.replace("comparisons:", system))
    for seed in (0, 1):
        shutil.copytree(world.exp / f"decode/teacher.{seed}", world.exp / f"rescore/teacher.{seed}")
    world.write(world.exp / "rescore/teacher.1/dev/hyp.txt", "a1 one two tree\na2 four\n")
    assert report(world) == 0
    rows = [line for line in (world.exp / "RESULTS.md").read_text().splitlines() if line.startswith("| single")]
    sizes = [row for row in rows if "1,000" in row and "±" in row]
    assert [row.split("|")[1].strip() for row in sizes] == ["single", "single_big"]


def test_a_table_that_is_too_wide_is_shown_in_two(world: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Six sets: nothing is cut off, and each part begins with the systems."""
    sets = [f"test-{number}" for number in range(6)]
    world.config.write_text(world.config.read_text().replace("[dev, test]", f"[{', '.join(sets)}]"))
    for name in sets:
        shutil.copytree(world.data / "test", world.data / name)
    for kind in ("decode", "frames"):
        for folder in (world.exp / kind).iterdir():
            for name in sets:
                shutil.copytree(folder / "test", folder / name)
    assert report(world) == 0
    printed = capsys.readouterr().out.partition("frames%: frames whose")[0]
    assert "…" not in printed
    assert printed.count(" student ") == 2
    assert printed.count("41.5±1.2") == 6  # the students' frames: 127 and 122 of 300


def test_unequal_updates_are_noted(world: Any, capsys: pytest.CaptureFixture[str]) -> None:
    for seed in (0, 1):
        world.edit(world.exp / f"student.{seed}" / "meta.json", updates=900)
    assert report(world) == 0
    assert "Note: the student had 900 updates, the baseline 700" in capsys.readouterr().out


def test_data_directories_may_stand_in_corpus(world: Any) -> None:
    for name in ("dev", "test"):
        (world.data / "corpus").mkdir(exist_ok=True)
        (world.data / name).rename(world.data / "corpus" / name)
    assert report(world) == 0


def test_a_mistake_is_a_sentence(world: Any, capsys: pytest.CaptureFixture[str]) -> None:
    (world.exp / "mono" / "meta.json").unlink()
    assert report(world) == 2
    assert "the system 'mono' has no model folder mono" in capsys.readouterr().err
    assert not (world.exp / "results.json").exists()
