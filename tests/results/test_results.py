"""results.json against figures worked out by hand."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from asrdistill.errors import UserError
from asrdistill.results.plan import read_plan
from asrdistill.results.results import Folders, collect, share_of_gain

SYSTEM_KEYS = {
    *("kind", "parameters", "senones", "seeds", "members", "updates"),
    *("frame_accuracy", "cross_entropy", "wer", "oov_errors", "lm_weight", "insertion_penalty", "rtf"),
}


def results_of(world: Any) -> dict[str, Any]:
    data = world.data
    return collect(Folders(world.exp, data, data, data / "lang", data / "lm"), read_plan(world.config), "small")


def test_schema(world: Any) -> None:
    results = results_of(world)
    assert list(results) == [
        *("corpus", "variant", "sets", "systems", "comparisons", "transfer", "stages", "environment")
    ]
    assert (results["corpus"], results["variant"]) == ("a small corpus", "small")
    for system in results["systems"].values():
        assert set(system) == SYSTEM_KEYS
        for entry in system["wer"].values():
            assert set(entry) == {"percent", "ci95", "errors", "words", "ins", "del", "sub"}
        for entry in system["frame_accuracy"].values():
            assert set(entry) == {"percent", "mean", "sd"}
        for entry in system["cross_entropy"].values():
            assert set(entry) == {"nats", "mean", "sd"}
    assert all(
        set(entry) == {"a", "b", "measure", "sets", "difference", "ci95", "p"} for entry in results["comparisons"]
    )
    assert set(results["environment"]) == {"commit", "torch", "cpu", "precision", "date"}


def test_sets(world: Any) -> None:
    assert results_of(world)["sets"] == {
        "dev": {"utterances": 2, "words": 4, "frames": 100, "oov": 0},
        "test": {"utterances": 1, "words": 2, "frames": 300, "oov": 1},
    }


def test_word_errors(world: Any) -> None:
    systems = results_of(world)["systems"]
    mono, single = systems["mono"], systems["single"]
    counts = {"errors": 3, "words": 4, "ins": 0, "del": 3, "sub": 0}
    assert mono["wer"]["dev"].items() >= {"percent": [75.0], **counts}.items()
    assert mono["wer"]["test"]["percent"] == [50.0]
    assert mono["frame_accuracy"] == mono["cross_entropy"] == {}
    assert (mono["seeds"], mono["members"], mono["updates"]) == ([], ["mono"], None)
    assert single["wer"]["dev"].items() >= {"percent": [25.0, 0.0], "errors": 1, "words": 8, "sub": 1}.items()
    assert single["wer"]["test"].items() >= {"percent": [0.0, 50.0], "errors": 1, "words": 4, "ins": 1}.items()
    assert systems["ensemble"]["wer"]["dev"].items() >= {"percent": [0.0], "ci95": [0.0, 0.0], "errors": 0}.items()
    assert (mono["lm_weight"], mono["insertion_penalty"]) == (8.0, -0.5)
    assert mono["rtf"] == 0.175  # (10 · 0.1 + 30 · 0.2) / 40


def test_frames(world: Any) -> None:
    systems = results_of(world)["systems"]
    single = systems["single"]
    assert single["frame_accuracy"]["dev"] == {"percent": [30.0, 34.0], "mean": 32.0, "sd": 2.8284}
    assert single["cross_entropy"]["dev"] == {"nats": [2.1, 2.2], "mean": 2.15, "sd": 0.0707}
    assert (single["seeds"], single["updates"], single["senones"], single["parameters"]) == ([0, 1], 700, 5, 1000)
    assert systems["ensemble"]["members"] == ["teacher.0", "teacher.1"]
    assert systems["ensemble"]["frame_accuracy"]["test"] == {"percent": [41.6667], "mean": 41.6667, "sd": None}


def test_the_members_are_the_baseline_unless_there_is_another(world: Any) -> None:
    systems = results_of(world)["systems"]
    assert systems["baseline"] == {**systems["single"], "kind": "baseline"}


def test_comparison(world: Any) -> None:
    found = results_of(world)["comparisons"][0]
    assert found.items() >= {"a": "student", "b": "single", "measure": "wer", "sets": ["dev", "test"]}.items()
    assert found["difference"] == -8.3333  # half an error less in 6 words
    assert found["ci95"][0] < found["difference"] < found["ci95"][1]
    assert 0 < found["p"] <= 1


def test_share_of_the_gain(world: Any) -> None:
    """Pooled over 400 frames: single 37.75, ensemble 41.25, students 41.25 and 39.5: 100 % and 50 %."""
    assert results_of(world)["transfer"] == {"frame_accuracy": {"percent": 75.0, "sd": 35.3553}}
    assert share_of_gain([60.8], 58.9, 61.1, 58.9) == [pytest.approx(86.36, abs=0.01)]  # Hinton et al., table 1


def test_share_with_another_baseline(world: Any) -> None:
    """A baseline of 38.5: (41.25 − 38.5) / 3.5 and (39.5 − 38.5) / 3.5."""
    shutil.copytree(world.exp / "teacher.0", world.exp / "hard.0")
    for part, correct in (("dev", 34), ("test", 120)):
        record = {"frames": {"dev": 100, "test": 300}[part], "correct": correct, "cross_entropy": 1.0}
        world.json(world.exp / "frames" / "hard.0" / part / "frames.json", record)
    text = world.config.read_text()
    world.config.write_text(text.replace("comparisons", "  baseline: {kind: baseline, models: [hard.0]}\ncomparisons"))
    shares = [100 * 2.75 / 3.5, 100 * 1.0 / 3.5]
    assert results_of(world)["transfer"]["frame_accuracy"]["percent"] == pytest.approx(sum(shares) / 2, abs=1e-4)
    for seed in (0, 1):  # teachers of another size: the denominator is ensemble − baseline
        world.edit(world.exp / f"teacher.{seed}" / "meta.json", parameters=9000)
    shares = [100 * 2.75 / 2.75, 100 * 1.0 / 2.75]
    assert results_of(world)["transfer"]["frame_accuracy"]["percent"] == pytest.approx(sum(shares) / 2, abs=1e-4)


def test_one_student_has_no_deviation(world: Any) -> None:
    shutil.rmtree(world.exp / "student.1")
    assert results_of(world)["transfer"] == {"frame_accuracy": {"percent": 100.0, "sd": None}}


def test_no_gain_no_share(world: Any) -> None:
    world.edit(world.exp / "frames/ensemble/test/frames.json", correct=10)
    assert results_of(world)["transfer"] == {"frame_accuracy": {"percent": None, "sd": None}}


def test_no_student_no_transfer(world: Any) -> None:
    text = world.config.read_text().replace('  student:  {kind: student, models: ["student.*"]}\n', "")
    world.config.write_text(text.replace("[student, single], ", ""))
    assert results_of(world)["transfer"] == {}


def test_pooled_sets(world: Any) -> None:
    """dev alone: single 32, ensemble 40, students 38 and 36."""
    world.config.write_text(world.config.read_text().replace("systems:", "pooled: [dev]\nsystems:"))
    results = results_of(world)
    assert results["transfer"]["frame_accuracy"]["percent"] == 62.5
    assert results["comparisons"][0]["sets"] == ["dev"]


def test_errors_on_words_outside_the_lexicon(world: Any) -> None:
    """The lexicon lacks "six", which mono hears as "five", and of which both students are right."""
    systems = results_of(world)["systems"]
    assert systems["mono"]["oov_errors"] == {"test": {"words": 1, "wrong": 1}}
    assert systems["student"]["oov_errors"] == {"test": {"words": 2, "wrong": 0}}


def rescored(world: Any) -> None:
    """mono's lattices, as another language model reads them: all right on dev, one word more on test."""
    text = world.config.read_text()
    system = "  mono_big: {kind: gmm, models: [mono], decoded: rescore/big}\ncomparisons: [[mono_big, mono], "
    world.config.write_text(text.replace("comparisons: [", system))
    for part, words in (("dev", "a1 one two three\na2 four\n"), ("test", "b1 one five six\n")):
        where = world.exp / "rescore/big/mono" / part
        world.write(where / "hyp.txt", words)
        world.json(where / "rescore.json", {"lm_weight": 9.0, "insertion_penalty": 0.0, "utterances": 2})


def test_a_rescored_system_beside_the_searched(world: Any) -> None:
    world.json(world.exp / "tune/mono/tuned.json", {"lm_weight": 8.0, "insertion_penalty": -0.5})
    plain = results_of(world)
    rescored(world)
    results = results_of(world)
    systems = results["systems"]
    assert {name: system for name, system in systems.items() if name != "mono_big"} == plain["systems"]
    big = systems["mono_big"]
    assert big["wer"]["dev"].items() >= {"percent": [0.0], "errors": 0, "words": 4}.items()
    assert big["wer"]["test"].items() >= {"percent": [50.0], "errors": 1, "ins": 1}.items()
    assert (big["lm_weight"], big["insertion_penalty"], big["rtf"]) == (9.0, 0.0, None)
    assert big["oov_errors"] == {"test": {"words": 1, "wrong": 0}}
    found = results["comparisons"][0]
    assert (found["a"], found["b"], found["difference"]) == ("mono_big", "mono", -50.0)  # 1 error in 6 words, not 4


def test_the_baseline_is_decoded_as_the_members_are(world: Any) -> None:
    text = world.config.read_text()
    world.config.write_text(text.replace('models: ["teacher.*"]', 'models: ["teacher.*"], decoded: rescore'))
    (world.exp / "rescore").mkdir()
    for seed in (0, 1):
        (world.exp / f"decode/teacher.{seed}").rename(world.exp / f"rescore/teacher.{seed}")
    systems = results_of(world)["systems"]
    assert systems["baseline"] == {**systems["single"], "kind": "baseline"}
    assert systems["baseline"]["wer"]["dev"]["words"] == 8


def test_rescored_with_other_scales_in_one_set(world: Any) -> None:
    rescored(world)
    world.edit(world.exp / "rescore/big/mono/test/rescore.json", lm_weight=7)
    with pytest.raises(UserError, match="big/mono/test was decoded with lm_weight 7, not 9 like the other sets"):
        results_of(world)


def test_not_rescored(world: Any) -> None:
    rescored(world)
    shutil.rmtree(world.exp / "rescore")
    with pytest.raises(
        UserError, match=r"system 'mono_big' has no hypotheses of .*exp/mono in the folder 'rescore/big'"
    ):
        results_of(world)


def test_perplexities_where_there_are(world: Any) -> None:
    world.json(world.data / "lm" / "perplexity.json", {"dev": 120.5})
    assert results_of(world)["perplexity"] == {"dev": 120.5}


def test_seeds_in_the_order_of_their_numbers(world: Any) -> None:
    for seed in (10, 2):
        world_meta = world.exp / f"student.{seed}"
        shutil.copytree(world.exp / "student.0", world_meta)
        shutil.copytree(world.exp / "decode/student.0", world.exp / f"decode/student.{seed}")
        shutil.copytree(world.exp / "frames/student.0", world.exp / f"frames/student.{seed}")
        world.edit(world_meta / "meta.json", seed=seed)
    assert results_of(world)["systems"]["student"]["seeds"] == [0, 1, 2, 10]


MISTAKES = {
    "no text": ("data/test/text", None, "data/test/text does not exist"),
    "no lexicon": ("data/lang", None, "lang folder .*lang does not exist"),
    "no model": ("exp/ensemble", None, "the system 'ensemble' has no model folder ensemble in .*exp; run the stage"),
    "no hypotheses": ("exp/decode/mono/dev/hyp.txt", None, "decode/mono/dev/hyp.txt does not exist"),
    "no decode.json": ("exp/decode/mono/dev/decode.json", None, "decode/mono/dev/decode.json does not exist"),
    "one seed not decoded": (
        "exp/decode/student.1/dev",
        None,
        "exp/student.1 has no hypotheses for dev, but others of 'student' have",
    ),
    "one seed not evaluated": ("exp/frames/student.0", None, "exp/student.0 has no frame accuracies for dev, test"),
    "no senones": ("exp/mono/senones.json", None, "senones.json does not exist"),
    "other updates": (
        "exp/student.1/meta.json",
        {"updates": 9},
        r"student.1 of the system 'student' differ in their updates \(700 and 9\)",
    ),
    "other alignment": (
        "exp/frames/ensemble/dev/frames.json",
        {"frames": 99},
        "evaluated on different alignments of dev",
    ),
    "other scales": (
        "exp/decode/mono/test/decode.json",
        {"lm_weight": 9},
        "mono/test was decoded with lm_weight 9, not 8 like the other sets; decode it again",
    ),
}


@pytest.mark.parametrize(("path", "values", "message"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes_are_sentences(world: Any, path: str, values: dict[str, Any] | None, message: str) -> None:
    target = world.root / path
    if values:
        world.edit(target, **values)
    elif target.is_dir():
        shutil.rmtree(target)
    else:
        target.unlink()
    with pytest.raises(UserError, match=message):
        results_of(world)


def test_scales_must_be_the_tuned_ones(world: Any) -> None:
    world.json(world.exp / "tune/mono/tuned.json", {"lm_weight": 7, "insertion_penalty": -0.5})
    with pytest.raises(UserError, match=r"decoded with lm_weight 8, not 7 like .*tuned.json; decode it again"):
        results_of(world)


def test_an_unmeasured_system(world: Any) -> None:
    shutil.rmtree(world.exp / "decode/mono")
    with pytest.raises(UserError, match="system 'mono' has neither hypotheses nor frame accuracies"):
        results_of(world)


def test_comparison_without_hypotheses(world: Any) -> None:
    shutil.rmtree(world.exp / "decode/ensemble")
    assert results_of(world)["systems"]["ensemble"]["wer"] == {}
    text = world.config.read_text().replace("[single, mono]", "[student, ensemble]")
    world.config.write_text(text)
    with pytest.raises(UserError, match="'ensemble' has no hypotheses for dev, test"):
        results_of(world)


def test_a_record_without_its_figure(world: Any) -> None:
    world.json(world.exp / "frames/ensemble/dev/frames.json", {"frames": 100, "cross_entropy": 1.0})
    with pytest.raises(UserError, match=r"frames.json lacks 'correct'; make .*dev again"):
        results_of(world)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("corpus: a small corpus", ""), "lacks 'corpus'"),
        (("corpus:", "korpus:"), "unknown configuration key 'korpus'.*did you mean 'corpus'"),
        (("kind: gmm", "kind: hmm"), "'kind' in .*system 'mono' must be one of gmm"),
        (("kind: gmm, models", "kind: gmm, model"), "unknown configuration key 'model'"),
        (("models: [mono]", "models: []"), "system 'mono' names no models"),
        (("{kind: gmm, models: [mono]}", "mono"), "system 'mono' must have a kind and models"),
        (("[single, mono]", "[single, tri]"), "compares the system 'tri', which it does not define"),
        (("[single, mono]", "[single]"), "a comparison is a pair of systems"),
        (("systems:", "pooled: [eval]\nsystems:"), "pooled set 'eval' is not among the sets"),
    ],
)
def test_mistakes_in_the_configuration(world: Any, change: tuple[str, str], message: str) -> None:
    world.config.write_text(world.config.read_text().replace(*change))
    with pytest.raises(UserError, match=message):
        read_plan(world.config)


def test_no_configuration(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=re.escape("systems.yaml does not exist")):
        read_plan(tmp_path / "systems.yaml")


def test_phones_are_folded_and_counted_as_per(world: Any) -> None:
    world.write(world.root / "map", "one one\ntwo two\nthree three\ntree three\nfour\nfive five\nsix five\nseven\n")
    world.config.write_text(f"map: map\n{world.config.read_text()}")
    systems = results_of(world)["systems"]
    assert systems["single"]["per"]["dev"].items() >= {"errors": 0, "words": 6}.items()  # two seeds; "four" is deleted
    assert systems["mono"]["per"]["test"].items() >= {"errors": 0, "words": 2}.items()  # "six" counts as "five"
    assert "wer" not in systems["mono"]
