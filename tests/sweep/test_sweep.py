"""Sweeps: what a YAML may say, which runs come of it, and a tiny one from the beginning to the end."""

from pathlib import Path

import numpy as np
import pytest

from asrdistill import stage
from asrdistill.cli import main
from asrdistill.errors import UserError
from asrdistill.reader import read_json
from asrdistill.results.plan import read_results
from asrdistill.sweep.plan import Plan, Run
from asrdistill.sweep.run import execute
from asrdistill.sweep.spec import Layout, Settings, read_sweep, settings_of
from tests.refusals import refused

ROOT = Path(__file__).resolve().parents[2]
NETWORK = ["--layers", "1", "--width", "8", "--left", "2", "--right", "1", "--epochs", "2", "--batch", "64"]


class Recipe:
    """What a recipe leaves: two teachers, their ensemble, targets, a student, and the archives of four sets."""

    def __init__(self, corpus):
        self.data, self.exp = corpus.folder / "data", corpus.folder / "exp"
        frames = {utterance: np.array(rows) for utterance, rows in self.rows(corpus).items()}
        names = list(frames)
        parts = {"train": names[:20], "dev": names[20:24], "test": names[24:27], "test_unseen": names[27:]}
        for name, chosen in parts.items():
            corpus.write_features(self.data / "fbank" / name, {u: frames[u] for u in chosen})
            corpus.write_alignment(self.exp / "ali/sat" / name, {u: corpus.labels[u] for u in chosen})
        copies = {f"warp0.9-{u}": frames[u] * 0.9 for u in parts["train"]}
        corpus.write_features(self.data / "fbank/train_copies", {**copies, **{u: frames[u] for u in parts["train"]}})
        ali, heard = self.exp / "ali/sat", self.data / "fbank/train_copies"
        self.call("ali", "expand", ali / "train", heard, ali / "train_copies")
        held_out = ["--held-out", self.data / "fbank/dev", ali / "dev"]
        learn = ["nnet", "train", heard, ali / "train_copies"]
        for seed in (0, 1):
            self.call(*learn, self.exp / f"teacher.{seed}", *NETWORK, "--seed", seed, *held_out)
        self.call("nnet", "ensemble", self.exp / "teacher.0", self.exp / "teacher.1", self.exp / "ensemble")
        self.call("distill", "targets", self.exp / "ensemble", heard, self.exp / "targets", "--keep", 4, "--jobs", 1)
        soft = ["--soft-targets", self.exp / "targets"]
        self.call(*learn, self.exp / "student.0", *NETWORK, "--threads", 2, "--learning-rate", 2e-3, *soft, *held_out)

    @staticmethod
    def rows(corpus):
        from asrdistill.data.archive import FrameArchive

        archive = FrameArchive(corpus.features)
        return {utterance: archive[utterance] for utterance in archive}

    @staticmethod
    def call(*arguments: object) -> None:
        assert main([str(argument) for argument in arguments]) == 0

    def sweep(self, name: str, text: str, quick: bool = False):
        path = self.data / f"{name}.yaml"
        path.write_text(text)
        return read_sweep(path, quick)

    def names(self, *sweeps) -> list[str]:
        return [str(folder.relative_to(self.exp)) for folder in self.plan(*sweeps).runs]

    def plan(self, *sweeps, layout: Layout | None = None) -> Plan:
        plan = Plan(self.data, self.exp, self.data / "lang", self.data / "lm", layout or Layout())
        for sweep in sweeps:
            plan.add(sweep)
        return plan


@pytest.fixture(scope="module")
def recipe(make_corpus, tmp_path_factory) -> Recipe:
    return Recipe(make_corpus(tmp_path_factory.mktemp("recipe") / "corpus"))


def test_the_recipes_own_models_are_what_they_are(recipe):
    sweep = recipe.sweep("t", "vary: {temperature: [2]}\nseeds: [0]\nrows: {student: {}, t: {system: single}}\n")
    models = [n for n in recipe.names(sweep) if "/" not in n]
    assert sorted(models) == ["ensemble", "student.0", "targets", "teacher.0", "teacher.1"]


def test_runs_find_the_recipes_own_models_up_to_date(recipe):
    """The same options and inputs as the recipe's own calls: nothing is trained again."""
    sweep = recipe.sweep("t", "vary: {temperature: [2]}\nseeds: [0]\n")
    made = {p: (p / ".done").stat().st_mtime_ns for p in recipe.exp.iterdir() if (p / ".done").is_file()}
    for run in recipe.plan(sweep).runs.values():
        if run.out in made:
            assert not stage.make(run.out, run.work, run.verb, run.options, run.inputs)
            assert (run.out / ".done").stat().st_mtime_ns == made[run.out]
    assert len(made) == 5


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"temperature": 5.0}, "sweeps/student-t5.0"),
        ({"temperature": 2.0, "width": 8}, "student.0"),
        ({"teachers": 2, "combine": "arithmetic"}, "student.0"),
        ({"teachers": 1}, "sweeps/student-n1.0"),
        ({"combine": "geometric", "tail_mode": "one"}, "sweeps/student-geometric-one.0"),
        ({"keep": 2, "hard_weight": 0.1}, "sweeps/student-k2-hard0.1.0"),
        ({"keep": 0}, "sweeps/student-k0.0"),
        ({"labelled": 25.0}, "sweeps/student-data25.0"),
        ({"labelled": 25.0, "transfer": "labelled"}, "sweeps/student-data25-learnt25.0"),
        ({"data": 30.0}, "sweeps/student-learnt30.0"),
        ({"saw": 50.0}, "sweeps/student-saw50.0"),
        ({"saw": 50.0, "unseen": True}, "sweeps/student-saw50-unseen.0"),
        ({"system": "hard"}, "teacher.0"),
        ({"system": "hard", "data": 3.0, "early_stopping": True}, "sweeps/teacher-data3-early.0"),
        ({"system": "hard", "labelled": 25.0}, "sweeps/teacher-data25.0"),
        ({"system": "ensemble"}, "ensemble"),
        ({"system": "ensemble", "teachers": 1, "saw": 50.0, "width": 99}, "sweeps/ensemble-n1-saw50"),
    ],
)
def test_names_are_decided_by_what_differs(recipe, settings, name):
    [model] = recipe.plan().models(settings_of(settings, "settings"), [0])
    assert str(model.folder.relative_to(recipe.exp)) == name


def test_more_teachers_than_the_recipe_has_and_equal_ones_are_shared(recipe):
    many = recipe.sweep("n", "vary: {teachers: [2, 12]}\nrows: {all: {system: ensemble}, one: {system: single}}\n")
    hard = recipe.sweep("h", "vary: {width: [8]}\nseeds: [0, 5]\nrows: {hard: {system: hard}}\n")
    plan = recipe.plan(many, hard)
    trained = [run for run in plan.runs.values() if run.verb == "nnet train"]
    assert len(trained) == 12  # the second sweep's are among them
    assert recipe.exp / "sweeps/teacher.11" in plan.runs
    assert set(plan.runs[recipe.exp / "sweeps/ensemble-n12"].inputs) == {run.out for run in trained}


def test_runs_stand_after_what_they_need(recipe):
    sweep = recipe.sweep("t", "vary: {labelled: [25, 100], temperature: [2, 5]}\nrows: {a: {}, b: {saw: 50}}\n")
    seen = set()
    plan = recipe.plan(sweep)
    for run in plan.runs.values():
        assert {path for path in run.inputs if path in plan.runs} <= seen
        seen.add(run.out)


def test_the_unseen_are_asked_by_what_each_teacher_heard(recipe):
    plan = recipe.plan()
    plan.models(Settings(saw=50.0, unseen=True), [0])
    store = plan.runs[recipe.exp / "sweeps/targets-saw50-unseen"]
    heard = [recipe.exp / f"sweeps/ali/train-saw50-{seed}-copies" for seed in (0, 1)]
    assert store.inputs[-2:] == tuple(heard)
    teachers = [plan.runs[recipe.exp / f"sweeps/teacher-saw50.{seed}"] for seed in (0, 1)]
    assert [run.inputs[1] for run in teachers] == heard


def test_without_copies_nothing_else_is_heard(recipe):
    plan = recipe.plan(layout=Layout(heard="train"))
    plan.models(Settings(data=50.0), [0])
    runs = {str(run.out.relative_to(recipe.exp)): run.inputs for run in plan.runs.values()}
    features, part = recipe.data / "fbank/train", recipe.exp / "sweeps/ali/train-data50"
    assert runs["targets"] == (recipe.exp / "ensemble", features)
    assert runs["sweeps/student-learnt50.0"][:2] == (features, part)


def test_as_many_updates_on_a_share_as_on_all(recipe):
    plan = recipe.plan()
    plan.models(Settings(system="hard", data=20.0), [0])
    plan.models(settings_of({"saw": 50.0, "data": 10.0, "epochs": 3}, "settings"), [0])
    epochs = {run.out.name: run.options.epochs for run in plan.runs.values() if run.verb == "nnet train"}
    assert epochs["teacher-data20.0"] == 10  # the recipe's 2 over everything
    assert epochs["teacher-saw50.0"] == 4
    assert epochs["student-saw50-learnt10-epochs3.0"] == 30


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("seeds: [0]\n", ["vary"]),
        ("vary: {temprature: [1]}\n", ["temprature", "temperature"]),
        ("vary: {saw: [100]}\nbase: {unseen: true}\n", ["unseen", "saw"]),
        ("vary: {temperature: []}\n", ["temperature"]),
        ("vary: {temperature: 2}\n", ["temperature", 2]),
        ("vary: {temperature: [hot]}\n", ["temperature", "float", "hot"]),
        ("vary: {teachers: [0]}\n", ["teachers", 1, 0]),
        ("vary: {data: [130]}\n", ["data", 130]),
        ("vary: {labelled: [50]}\nbase: {data: 10}\n", ["data", "labelled", "transfer"]),
        ("vary: {keep: [4]}\nmeasure: [per]\n", ["measure", "per", "wer"]),
        ("vary: {keep: [4]}\nseeds: []\n", ["seeds"]),
        ("vary: {keep: [4]}\npooled: [eval]\n", ["pooled", "eval"]),
        ("vary: {keep: [4]}\ncompare: [[student, other]]\n", ["compare", "other"]),
        ("vary: {keep: [4]}\nrows: {a: 3}\n", ["a", 3]),
        ("vary: {keep: [4]}\nrows: {a: {system: gmm}}\n", ["system", "student", "gmm"]),
        ("vary: {keep: [4]}\nquick: 3\n", ["quick"]),
    ],
)
def test_mistake_in_a_sweep_is_named(tmp_path, text, names):
    (tmp_path / "s.yaml").write_text(text)
    with refused("s.yaml", *names):
        read_sweep(tmp_path / "s.yaml", quick=False)


def test_a_row_may_be_measured_at_some_points_only(tmp_path):
    (tmp_path / "s.yaml").write_text("vary: {keep: [4, 8], tail_mode: [one, even]}\nrows: {a: {}, b: {only: [8]}}\n")
    keys = [cell.key for cell in read_sweep(tmp_path / "s.yaml").cells()]
    assert len(keys) == 6
    assert "b, keep 8, tail_mode one" in keys
    assert "b, keep 4, tail_mode one" not in keys


def test_seeds_of_the_command_stand_in_the_place_of_the_sweeps(tmp_path):
    (tmp_path / "s.yaml").write_text("vary: {keep: [4]}\nseeds: [7]\nquick: {seeds: [8]}\n")
    assert [read_sweep(tmp_path / "s.yaml", quick).seeds for quick in (False, True)] == [[7], [8]]
    assert read_sweep(tmp_path / "s.yaml", True, seeds=2).seeds == [0, 1]


@pytest.mark.parametrize(
    "path", sorted((ROOT / "recipes/amazon_queen_paper/conf/sweeps").glob("*.yaml")), ids=lambda p: p.stem
)
def test_the_recipes_sweeps_can_be_read(recipe, path):
    if path.stem != "paper":
        whole, quick = (read_sweep(path, quick).cells() for quick in (False, True))
        assert 0 < len(quick) <= len(whole)


def test_an_experiment_without_its_base_is_refused(tmp_path):
    with refused("ensemble/meta.json"):
        Plan(tmp_path, tmp_path, tmp_path, tmp_path, Layout())


def fail(out: Path) -> None:
    raise UserError(f"no {out.parent.name} today")


def touch(out: Path) -> None:
    (out / "made").touch()


def test_failed_run_ends_the_sweep_and_is_named(tmp_path):
    a, b = tmp_path / "a", tmp_path / "b"
    with refused(a, "train", "today", tmp_path / "log"):
        execute([Run(a, fail, "train", {}, ()), Run(b, touch, "train", {}, (a,))], 2, tmp_path / "log")
    assert not b.exists()


def test_runs_follow_those_that_make_their_inputs(tmp_path):
    a, b, c = (tmp_path / name for name in "abc")
    execute([Run(c, touch, "x", {}, (b,)), Run(b, touch, "x", {}, (a,)), Run(a, touch, "x", {}, ())], 3, tmp_path / "l")
    ends = [stage.marker(folder)["end"] for folder in (a, b, c)]
    assert ends == sorted(ends)


def test_a_tiny_sweep_from_end_to_end(recipe, capsys, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    path = recipe.data / "tiny.yaml"
    path.write_text(
        "title: A tiny sweep\nvary: {labelled: [25, 100]}\nseeds: [0]\nmeasure: [frames, train]\n"
        "sets: [test, test_unseen]\nbase: {teachers: 1}\n"
        "rows:\n  student: {only: [25]}\n  ours: {teachers: 2, only: [100]}\n"
    )
    command = ["sweep", str(path), "--data", str(recipe.data), "--exp", str(recipe.exp), "--jobs", "2"]
    assert main(command) == 0
    out = recipe.exp / "sweeps/tiny"
    results = read_results(out.with_suffix(".json"))
    assert list(results.plan.systems) == ["student, labelled 25", "ours, labelled 100"]
    ours = "ours, labelled 100"
    assert results.plan.systems[ours].models == ["student.0"]
    records = [read_json(recipe.exp / f"frames/student.0/{name}/frames.json") for name in ("test", "test_unseen")]
    percent = 100 * sum(r["correct"] for r in records) / sum(r["frames"] for r in records)
    assert results.table.mean(ours, "frame_accuracy", "test", "test_unseen") == pytest.approx(percent, abs=1e-3)
    assert results.table.mean(ours, "store_bytes") == 4 * 4 + 8
    assert results.table.values("student, labelled 25", "frame_accuracy", "train")
    assert read_json(recipe.exp / "sweeps/student-n1-data25.0/.done")["options"]["unlabelled"] is True
    assert "| student, labelled 25 |" in out.with_suffix(".md").read_text()
    picture = out.with_suffix(".png").read_bytes()
    made = {p: p.stat().st_mtime_ns for p in recipe.exp.rglob(".done")}
    assert main(command) == 0  # nothing is made again, and the same is drawn
    assert made == {p: p.stat().st_mtime_ns for p in recipe.exp.rglob(".done")}
    assert read_results(out.with_suffix(".json")).table.rows == results.table.rows
    assert out.with_suffix(".png").read_bytes() == picture
    capsys.readouterr()
