"""Measurements of a small experiment against figures worked out by hand."""

import shutil
from typing import Any

import pytest

from asrdistill.results.collect import Folders, collect
from asrdistill.results.measurements import Measurements
from asrdistill.results.pictures import draw
from asrdistill.results.plan import read_plan
from asrdistill.results.tables import comparisons_table, curves_table, legend, systems_table
from tests.refusals import refused

BOTH, FRAMES = "dev + test", {"dev": 100, "test": 300}


def results_of(world: Any) -> Measurements:
    return collect(Folders(world.exp, world.data), read_plan(world.config)).table


def test_set_sizes(world: Any) -> None:
    table = results_of(world)
    sizes = {name: [table.mean("", key, name) for key in ("utterances", "words", "frames", "oov")] for name in FRAMES}
    assert sizes == {"dev": [2, 4, 100, 0], "test": [1, 2, 300, 1]}


def test_word_errors(world: Any) -> None:
    table = results_of(world)
    assert [table.total("mono", key, "dev") for key in ("wer", "ins", "del", "sub")] == [(3, 4), (0, 4), (3, 4), (0, 4)]
    assert table.values("mono", "wer", "test") == [50.0]
    assert table.values("mono", "frame_accuracy", "dev") == table.values("mono", "updates") == []
    assert (table.values("single", "wer", "dev"), table.values("single", "wer", "test")) == ([25.0, 0.0], [0.0, 50.0])
    assert (table.total("single", "sub", "dev"), table.total("single", "ins", "test")) == ((1, 8), (1, 4))
    assert [table.mean("ensemble", key, "dev") for key in ("wer", "error_low", "error_high")] == [0, 0, 0]
    assert (table.mean("mono", "lm_weight"), table.mean("mono", "insertion_penalty")) == (8.0, -0.5)
    assert table.mean("mono", "rtf", "dev", "test") == pytest.approx(0.175)  # (10 · 0.1 + 30 · 0.2) / 40


def test_frames(world: Any) -> None:
    table = results_of(world)
    assert table.values("single", "frame_accuracy", "dev") == [30.0, 34.0]
    assert table.values("single", "cross_entropy", "dev") == [2.1, 2.2]
    assert [table.mean("single", key) for key in ("updates", "senones", "parameters")] == [700, 5, 1000]
    assert table.mean("ensemble", "members") == 2
    assert table.values("ensemble", "frame_accuracy", "test") == [pytest.approx(125 / 3, abs=1e-5)]


def test_every_row_names_its_source(world: Any) -> None:
    rows = [row for row in results_of(world).rows if row.seed and not row.measure.endswith("gain_kept")]
    assert all((world.exp / row.source).is_dir() for row in rows)


def test_comparison(world: Any) -> None:
    table = results_of(world)
    found, low, high, p = (table.mean("student − single", key, BOTH) for key in ("difference", "low", "high", "p"))
    assert found == pytest.approx(-100 / 12, abs=1e-5)  # half an error less in 6 words
    assert low < found < high
    assert 0 < p <= 1


def test_share_of_the_gain(world: Any) -> None:
    """Pooled over 400 frames: single 37.75, ensemble 41.25, students 41.25 and 39.5: 100 % and 50 %."""
    assert results_of(world).values("student", "gain_kept", BOTH) == pytest.approx([100, 50])


def test_share_of_the_gain_in_words(world: Any) -> None:
    """Of 6 words: singles 1 and 1 wrong, ensemble 0, students 1 and 0: 0 % and 100 %."""
    assert results_of(world).values("student", "word_gain_kept", BOTH) == pytest.approx([0, 100])


def test_outputs_of_sequences_count_no_frames(world: Any) -> None:
    for name in ("teacher.0", "teacher.1", "ensemble", "student.0", "student.1"):
        world.edit(world.exp / name / "meta.json", loss="mmi")
    table = results_of(world)
    assert table.systems("frame_accuracy") == []
    assert table.values("student", "gain_kept", BOTH) == []
    assert table.values("student", "word_gain_kept", BOTH) == pytest.approx([0, 100])


def test_share_with_another_baseline(world: Any) -> None:
    """A baseline of 38.5: (41.25 − 38.5) / 3.5 and (39.5 − 38.5) / 3.5."""
    shutil.copytree(world.exp / "teacher.0", world.exp / "hard.0")
    for part, correct in (("dev", 34), ("test", 120)):
        record = {"frames": {"dev": 100, "test": 300}[part], "correct": correct, "cross_entropy": 1.0}
        world.json(world.exp / "frames" / "hard.0" / part / "frames.json", record)
    text = world.config.read_text()
    world.config.write_text(text.replace("comparisons", "  baseline: {models: [hard.0]}\ncomparisons"))
    shares = [100 * 2.75 / 3.5, 100 * 1.0 / 3.5]
    assert results_of(world).values("student", "gain_kept", BOTH) == pytest.approx(shares)
    for seed in (0, 1):  # teachers of another size: the denominator is ensemble − baseline
        world.edit(world.exp / f"teacher.{seed}" / "meta.json", parameters=9000)
    shares = [100 * 2.75 / 2.75, 100 * 1.0 / 2.75]
    assert results_of(world).values("student", "gain_kept", BOTH) == pytest.approx(shares)


def test_ensemble_without_gain_gives_no_share(world: Any) -> None:
    world.edit(world.exp / "frames/ensemble/test/frames.json", correct=10)
    assert results_of(world).values("student", "gain_kept", BOTH) == []


def test_report_without_student_gives_no_share(world: Any) -> None:
    text = world.config.read_text().replace('  student:  {models: ["student.*"]}\n', "")
    world.config.write_text(text.replace("[student, single], ", ""))
    assert results_of(world).values("student", "gain_kept", BOTH) == []


def test_pooled_sets(world: Any) -> None:
    """dev alone: single 32, ensemble 40, students 38 and 36."""
    world.config.write_text(world.config.read_text().replace("systems:", "pooled: [dev]\nsystems:"))
    table = results_of(world)
    assert table.values("student", "gain_kept", "dev") == [75.0, 50.0]
    assert table.mean("student − single", "difference", "dev") == 0


def test_errors_on_words_outside_the_lexicon(world: Any) -> None:
    """The lexicon lacks "six", which mono recognises as "five", and both students get right."""
    table = results_of(world)
    assert table.total("mono", "oov_wrong", "test") == (1, 1)
    assert table.total("student", "oov_wrong", "test") == (0, 2)
    assert table.values("mono", "oov_wrong", "dev") == []


def rescored(world: Any) -> None:
    """mono's lattices, as another language model reads them: all right on dev, one word more on test."""
    text = world.config.read_text()
    system = "  mono_big: {models: [mono], decoded: rescore/big}\ncomparisons: [[mono_big, mono], "
    world.config.write_text(text.replace("comparisons: [", system))
    for part, words in (("dev", "a1 one two three\na2 four\n"), ("test", "b1 one five six\n")):
        where = world.exp / "rescore/big/mono" / part
        world.write(where / "hyp.txt", words)
        world.json(where / "rescore.json", {"lm_weight": 9.0, "insertion_penalty": 0.0, "utterances": 2})


def test_rescored_system_leaves_the_searched_as_it_was(world: Any) -> None:
    world.json(world.exp / "tune/mono/tuned.json", {"lm_weight": 8.0, "insertion_penalty": -0.5})
    plain = results_of(world)
    rescored(world)
    table = results_of(world)
    assert set(plain.rows) <= set(table.rows)
    assert (table.total("mono_big", "wer", "dev"), table.total("mono_big", "ins", "test")) == ((0, 4), (1, 2))
    assert (table.mean("mono_big", "lm_weight"), table.mean("mono_big", "rtf", "dev")) == (9.0, None)
    assert table.mean("mono_big − mono", "difference", BOTH) == -50.0  # 1 error in 6 words, not 4


def test_other_scales_in_one_rescored_set_are_refused(world: Any) -> None:
    rescored(world)
    world.edit(world.exp / "rescore/big/mono/test/rescore.json", lm_weight=7)
    with refused("big/mono/test", 7, 9):
        results_of(world)


def test_missing_rescoring_is_refused(world: Any) -> None:
    rescored(world)
    shutil.rmtree(world.exp / "rescore")
    with refused("mono_big", "rescore/big"):
        results_of(world)


def test_seeds_are_ordered_by_number(world: Any) -> None:
    for seed in (10, 2):
        for kind in ("", "decode/", "frames/"):
            shutil.copytree(world.exp / f"{kind}student.0", world.exp / f"{kind}student.{seed}")
        world.edit(world.exp / f"student.{seed}" / "meta.json", seed=seed)
    rows = [row for row in results_of(world).rows if (row.system, row.measure) == ("student", "updates")]
    assert [row.seed for row in rows] == ["0", "1", "2", "10"]


def test_phones_measured_apart(world: Any) -> None:
    for seed, right in ((0, 4), (1, 6)):
        phones = {"S": {"frames": 10, "correct": right}, "T": {"frames": 90, "correct": 30}}
        world.edit(world.exp / f"frames/student.{seed}/dev/frames.json", phones=phones)
        world.edit(world.exp / f"student.{seed}/meta.json", bias={"offset": 1.5 + seed})
    world.config.write_text(
        "corpus: c\nsets: [dev]\nsystems: {student: {phones: [S], published: {paper: '74'}}, teacher: {}}\n"
        "ratios: [[student, teacher]]\ncurves: {line: {1: student, 2: teacher}}\n"
    )
    results = collect(Folders(world.exp), read_plan(world.config))
    assert results.table.values("student", "phone_accuracy", "dev") == [40.0, 60.0]
    assert results.table.values("student", "offset") == [1.5, 2.5]
    row = dict(zip(*(systems_table(results).header, systems_table(results).rows[0]), strict=True))
    assert (row["wrong"], row["apart wrong"], row["paper"]) == ("63.0±1.4 of 100", "5.0±1.4 of 10", "74")
    assert comparisons_table(results).rows[0][1].startswith("0.93")  # 63 errors by 68
    assert curves_table(results).rows == [["line", "37.0±1.4", "32.0±2.8"]]
    assert draw(results).startswith(b"\x89PNG")
    world.config.write_text(world.config.read_text().replace("[S]", "[X]"))
    with refused("frames/student.0/dev/frames.json", "X", "S T"):
        collect(Folders(world.exp), read_plan(world.config))


MISTAKES = {
    "no text": ("data/test/text", None, ["data/test/text"]),
    "no lexicon": ("data/lang", None, ["data/lang"]),
    "no model": ("exp/ensemble", None, ["ensemble"]),
    "no hypotheses": ("exp/decode/mono/dev/hyp.txt", None, ["decode/mono/dev/hyp.txt"]),
    "no decode.json": ("exp/decode/mono/dev/decode.json", None, ["decode/mono/dev/decode.json"]),
    "one seed not decoded": ("exp/decode/student.1/dev", None, ["student.1", "dev"]),
    "one seed not evaluated": ("exp/frames/student.0", None, ["student.0", "dev"]),
    "not measured": ("exp/decode/mono", None, ["mono"]),
    "no senones": ("exp/mono/senones.json", None, ["senones.json"]),
    "other updates": ("exp/student.1/meta.json", {"updates": 9}, ["student.1", "updates", 700, 9]),
    "other alignment": ("exp/frames/ensemble/dev/frames.json", {"frames": 99}, ["ensemble", "dev", 99]),
    "other scales": ("exp/decode/mono/test/decode.json", {"lm_weight": 9}, ["mono/test", 9, 8]),
}


@pytest.mark.parametrize(("path", "values", "names"), MISTAKES.values(), ids=MISTAKES)
def test_mistake_is_named(world: Any, path: str, values: dict[str, Any] | None, names: list[Any]) -> None:
    target = world.root / path
    if values:
        world.edit(target, **values)
    elif target.is_dir():
        shutil.rmtree(target)
    else:
        target.unlink()
    with refused(*names):
        results_of(world)


def test_scales_must_be_the_tuned_ones(world: Any) -> None:
    world.json(world.exp / "tune/mono/tuned.json", {"lm_weight": 7, "insertion_penalty": -0.5})
    with refused("decode/mono/dev", 8, 7):
        results_of(world)


def test_comparison_without_hypotheses_is_refused(world: Any) -> None:
    shutil.rmtree(world.exp / "decode/ensemble")
    assert results_of(world).values("ensemble", "wer", "dev") == []
    world.config.write_text(world.config.read_text().replace("[single, mono]", "[student, ensemble]"))
    with refused("ensemble", "dev"):
        results_of(world)


def test_record_without_its_figure_is_refused(world: Any) -> None:
    world.json(world.exp / "frames/ensemble/dev/frames.json", {"frames": 100, "cross_entropy": 1.0})
    with refused("frames.json", "correct"):
        results_of(world)


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (("corpus: a small corpus", ""), ["corpus"]),
        (("corpus:", "korpus:"), ["korpus", "corpus"]),
        (("{models: [mono]", "{models: mono"), ["models", "mono"]),
        (("{models: [mono]", "{model: [mono]"), ["model"]),
        (("{models: [mono]}", "mono"), ["mono"]),
        (("[single, mono]", "[single, tri]"), ["tri"]),
        (("[single, mono]", "[single]"), ["single"]),
        (("systems:", "pooled: [eval]\nsystems:"), ["eval"]),
    ],
)
def test_mistake_in_the_configuration_is_named(world: Any, change: tuple[str, str], names: list[str]) -> None:
    world.config.write_text(world.config.read_text().replace(*change))
    with refused("systems.yaml", *names):
        read_plan(world.config)


def test_phones_are_folded_and_counted_as_per(world: Any) -> None:
    world.write(world.root / "map", "one one\ntwo two\nthree three\ntree three\nfour\nfive five\nsix five\nseven\n")
    world.config.write_text(f"map: map\n{world.config.read_text()}")
    table = results_of(world)
    assert table.total("single", "per", "dev") == (0, 6)  # two seeds; "four" is deleted
    assert table.total("mono", "per", "test") == (0, 2)  # "six" counts as "five"
    assert table.systems("wer") == []


def test_language_models_are_named_with_their_text(world: Any) -> None:
    """Where hypotheses were made with a language model that says where it comes from."""
    made = world.exp / "decode/student.1/test"
    world.mark(made, "decode", start=0, end=1, peak_mb=1)
    world.edit(made / ".done", inputs=[str(world.data / name) for name in ("lang", "lm")])
    plan, folders = read_plan(world.config), Folders(world.exp, world.data)
    assert not any(key.startswith("LM") for key in collect(folders, plan).environment)
    world.write(world.data / "lm/origin.txt", "20 2-grams, trained by the recipe on books/novels.txt")
    results = collect(folders, plan)
    assert results.environment["LM of decode"] == "20 2-grams, trained by the recipe on books/novels.txt"
    assert any("books/novels.txt" in line for line in legend(results))
