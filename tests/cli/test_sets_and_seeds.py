"""--sets and --seeds: which paths each run gets, and that inputs are checked before the first run."""

from pathlib import Path

import pytest

from asrdistill import parallel
from asrdistill.cli import command, find, main
from asrdistill.reader import read_json
from tests.refusals import assert_refused

SMALL = ["--epochs", "1", "--layers", "1", "--width", "4", "--left", "1", "--right", "1"]


def runs(*words: object) -> list:
    found, rest = find([str(word) for word in words])
    return found.parse(rest)


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    for name in ("model.0", "model.1", "fbank/dev", "fbank/test"):
        (tmp_path / name).mkdir(parents=True)
    return tmp_path


def test_paths_are_of_each_seed_and_set(folders):
    model, fbank, out = folders / "model", folders / "fbank", folders / "out"
    found = runs("decode", "run", model, fbank, "lang", "lm", out, "--sets", "dev", "test", "--seeds", 0, 1)
    assert [(run.model, run.features, run.out) for run in found] == [
        (folders / f"model.{seed}", fbank / name, folders / f"out.{seed}" / name)
        for seed in (0, 1)
        for name in ("dev", "test")
    ]
    assert {(str(run.lang), str(run.lm), run.command) for run in found} == {("lang", "lm", "decode run")}


def test_without_either_paths_are_as_given(folders):
    (run,) = runs("decode", "run", folders / "model.0", folders / "fbank/dev", "lang", "lm", folders / "out")
    assert (run.model, run.features, run.out) == (folders / "model.0", folders / "fbank/dev", folders / "out")


def test_lists_and_options_of_a_set(folders):
    (run,) = runs("feats", "paste", folders / "fbank", folders / "fbank", folders / "out", "--sets", "dev")
    assert run.features == [folders / "fbank/dev"] * 2
    fbank = folders / "fbank"
    (run,) = runs("ali", "make", folders / "model.0", fbank, fbank, "lang", folders / "out", "--sets", "dev")
    assert run.text is None


def test_training_takes_the_seed(folders):
    found = runs("nnet", "train", folders / "fbank", folders / "fbank", folders / "net", "--seeds", 3, 4)
    assert [(run.out.name, run.options.seed) for run in found] == [("net.3", 3), ("net.4", 4)]


@pytest.mark.parametrize(
    ("extra", "names"),
    [
        (["--sets", "dev", "eval"], ["fbank/eval", "--sets"]),
        (["--seeds", "0", "7"], ["model.7", "--seeds"]),
        (["--sets", "dev", "dev"], ["--sets", "dev"]),
        (["--seeds", "1", "1"], ["--seeds", "1"]),
        (["--seeds", "x"], ["--seeds", "x"]),
    ],
)
def test_bad_sets_and_seeds_are_refused_before_the_first_run(folders, extra, names):
    model, fbank, out = folders / "model", folders / "fbank", folders / "out"
    evaluate = ["nnet", "evaluate", model if "--seeds" in extra else folders / "model.0", fbank, fbank, out]
    assert_refused([*evaluate, *extra], *names)
    assert not list(folders.glob("*out*"))


def test_seed_beside_seeds_is_refused(folders):
    fbank = folders / "fbank"
    assert_refused(["nnet", "train", fbank, fbank, folders / "net", "--seeds", 0, "--seed", 1], "--seed", "--seeds")


def test_networks_trained_side_by_side_are_those_trained_alone(corpus, tmp_path):
    train = ["nnet", "train", str(corpus.features), str(corpus.alignment)]
    assert main([*train, str(tmp_path / "one.1"), "--seed", "1", *SMALL]) == 0
    for jobs in ("1", "2"):
        assert main([*train, str(tmp_path / f"{jobs}/net"), "--seeds", "0", "1", "--jobs", jobs, *SMALL]) == 0
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("one.1", "1/net.1", "2/net.1")]
    assert weights[0] == weights[1] == weights[2] != (tmp_path / "2/net.0/model.safetensors").read_bytes()
    hashes = [read_json(tmp_path / name / ".done")["hash"] for name in ("one.1", "1/net.1", "2/net.1")]
    assert len(set(hashes)) == 1
    evaluate = ["nnet", "evaluate", str(tmp_path / "2/net"), str(corpus.features), str(corpus.alignment)]
    assert main([*evaluate, str(tmp_path / "frames"), "--seeds", "0", "1", "--jobs", "1"]) == 0
    assert read_json(tmp_path / "frames.1/frames.json")["frames"] > 0


@pytest.mark.parametrize(("jobs", "threads", "beside"), [(4, 1, 3), (4, 2, 2), (4, 3, 1), (2, 4, 1)])
def test_runs_side_by_side_share_the_processors(corpus, tmp_path, monkeypatch, jobs, threads, beside):
    begun = []
    monkeypatch.setattr(parallel, "map_utterances", lambda work, runs, jobs, *_, **__: begun.append(jobs) or ())
    monkeypatch.setattr(command, "_call", lambda *_: begun.append(1))
    train = ["nnet", "train", corpus.features, corpus.alignment, tmp_path / "net", "--seeds", 0, 1, 2]
    assert main(list(map(str, [*train, "--jobs", jobs, "--threads", threads]))) == 0
    assert begun == ([beside] if beside > 1 else [1, 1, 1])


def test_a_mistake_in_a_worker_is_one_sentence(corpus, tmp_path):
    train = ["nnet", "train", corpus.features, corpus.alignment, tmp_path / "net", "--unlabelled"]
    assert_refused([*train, "--seeds", 0, 1, "--jobs", 2, *SMALL], "--soft-targets")
