"""Networks of a low frame rate: every third output, whole, in streams, and in training."""

import dataclasses

import numpy as np
import pytest
import torch

from asrdistill.data.archive import FrameArchive
from asrdistill.decode.acoustic import GivenScores, PosteriorScorer, ScoreStream
from asrdistill.distill.options import StoreOptions
from asrdistill.distill.store import make_store
from asrdistill.distill.teacher import ModelTeacher
from asrdistill.distill.train import train_model
from asrdistill.hmm.senones import Senones
from asrdistill.models.acoustic import AcousticModel
from asrdistill.models.adjust import adjust_priors
from asrdistill.models.ensemble import Ensemble
from asrdistill.models.io import load_model
from asrdistill.models.options import NetworkConfig
from asrdistill.models.registry import build_network
from asrdistill.reader import read_json
from asrdistill.scoring.frames import evaluate
from asrdistill.training.options import TrainOptions
from tests.conftest import write_archive
from tests.refusals import refused

SENONES = Senones(["SIL", "A"], {"SIL": [0, 1], "A": [2, 3]}, np.log(np.full(4, 0.5)), subsampling=3)
FULL = Senones(SENONES.phones, SENONES.states, SENONES.self_loop)
TDNN = NetworkConfig(architecture="tdnn", width=12, left=30, right=10, dilations=[3, 1, 6, 3])
CONFIGS = {
    "dnn": NetworkConfig(width=12, layers=2, left=4, right=3),
    "tdnn": TDNN,
    "tdnn of even dilations": dataclasses.replace(TDNN, dilations=[1, 2, 4], right=3),
    "tdnn of threes": dataclasses.replace(TDNN, dilations=[3, 6, 3], left=17, right=19),
    "tdnn of one layer": dataclasses.replace(TDNN, dilations=[], left=2, right=2),
    "tdnnf": dataclasses.replace(TDNN, architecture="tdnnf", width=16),
    "tdnnf of threes": dataclasses.replace(
        TDNN, architecture="tdnnf", width=16, dilations=[3, 6, 3], left=17, right=19
    ),
    "gru": NetworkConfig(architecture="gru", layers=2, width=12, left=5, right=3),
    "causal gru": NetworkConfig(architecture="gru", layers=1, width=12, left=0, right=0),
}
EVERY_CONFIG = pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)


def model_of(config: NetworkConfig, senones: Senones = SENONES) -> AcousticModel:
    torch.manual_seed(0)
    module = build_network(config, 4, senones.count)
    for name, value in module.named_parameters():
        torch.nn.init.normal_(value, std=0.2 if "first" in name else 0.5)
    return AcousticModel(module, senones, np.full(senones.count, 0.1), {"features": {}})


def frames(count: int) -> np.ndarray:
    return np.random.default_rng(count).normal(size=(count, 4)).astype(np.float32)


@EVERY_CONFIG
@pytest.mark.parametrize("count", [1, 2, 3, 4, 50, 51])
def test_outputs_are_every_third_of_all(config, count):
    low, full = model_of(config), model_of(config, FULL)
    found = low.log_posteriors(frames(count))
    assert found.shape == (-(-count // 3), 4)
    np.testing.assert_allclose(found, full.log_posteriors(frames(count))[::3], rtol=1e-5, atol=1e-4)


@EVERY_CONFIG
@pytest.mark.parametrize("count", [1, 30, 31, 92])
def test_stream_gives_the_scores_of_the_whole(config, count):
    scorer = PosteriorScorer(model_of(config), 1e-5)
    for size in (1, 4, 16, 100):
        stream = ScoreStream(scorer)
        scores = [stream.accept(frames(count)[t : t + size]) for t in range(0, count, size)]
        assert sum(map(len, scores)) == max(0, count - config.right) // 3  # no output waits for more than its block
        np.testing.assert_allclose(
            np.concatenate([*scores, stream.finish()]), scorer.loglikes(frames(count)), atol=1e-3
        )


@EVERY_CONFIG
def test_training_computes_what_inference_does(config):
    module = model_of(config).module
    padded = module.padded(frames(40))
    wanted = module(padded)
    module.stride, module.subsampling = 3, 1
    torch.testing.assert_close(module.train()(padded), wanted, rtol=1e-4, atol=1e-4)


def test_time_delay_network_computes_a_third_where_dilations_allow_it():
    module = model_of(CONFIGS["tdnn of threes"]).module
    seen = []
    for layer in [module.first, *(block.expand for block in module.blocks)]:
        layer.register_forward_hook(lambda layer, inputs, output: seen.append(output.shape[1]))
    module(module.padded(frames(300)))
    full = [300 + sum(block.reach for block in module.blocks[k:]) for k in range(4)]
    assert seen == [full[0] / 3, *(n / 3 for n in full[1:])]


def test_ensembles_and_scores_from_elsewhere_follow(tmp_path):
    members = [model_of(CONFIGS["dnn"]), model_of(CONFIGS["gru"])]
    together = Ensemble(members, "arithmetic", {"features": {}})
    full = Ensemble([model_of(CONFIGS["dnn"], FULL), model_of(CONFIGS["gru"], FULL)], "arithmetic", {"features": {}})
    np.testing.assert_allclose(together.log_posteriors(frames(20)), full.log_posteriors(frames(20))[::3], atol=1e-5)
    write_archive(tmp_path / "scores", "loglikes", {"utt": frames(20)}, "<f4", senones=SENONES.hash, frame_shift=0.01)
    SENONES.write(tmp_path / "scores")
    np.testing.assert_array_equal(GivenScores(tmp_path / "scores").loglikes(frames(20)), frames(20)[::3])


@pytest.fixture
def low(corpus):
    """The corpus with phones of one state at 30 ms: runs of three equal labels or more."""
    names = corpus.senones.phones
    corpus.senones = Senones(names, {name: [k] for k, name in enumerate(names)}, np.log(np.full(3, 0.5)), subsampling=3)
    rng = np.random.default_rng(0)
    means = 3 * rng.normal(size=(3, 6))
    corpus.labels = {f"utt{k:02d}": np.repeat(rng.integers(0, 3, 12), 5)[:58].astype(np.int32) for k in range(20)}
    rows = {name: means[label] + rng.normal(size=(58, 6)) for name, label in corpus.labels.items()}
    corpus.features, corpus.alignment = corpus.folder / "features3", corpus.folder / "alignment3"
    corpus.write_features(corpus.features, rows)
    corpus.write_alignment(corpus.alignment, corpus.labels)
    return corpus


OPTIONS = TrainOptions(width=16, layers=1, left=3, right=2, dilations=[1, 1], taps=2, chunk=4, stride=3, batch=32)


@pytest.mark.parametrize("architecture", ["dnn", "tdnn", "gru"])
def test_training_to_soft_targets_and_a_student(low, tmp_path, architecture):
    options = dataclasses.replace(OPTIONS, architecture=architecture, epochs=12, learning_rate=0.01)
    pair = low.features, low.alignment
    for name in ("teacher", "student", "store", "frames", "priors"):
        (tmp_path / name).mkdir()
    train_model(*pair, None, pair, options, tmp_path / "teacher")
    meta = read_json(tmp_path / "teacher/meta.json")
    assert meta["subsampling"] == 3
    evaluate(tmp_path / "teacher", *pair, tmp_path / "frames", 1)
    measured = read_json(tmp_path / "frames/frames.json")
    assert measured["frames"] == 20 * 20
    assert measured["frame_accuracy"] > 85
    assert meta["history"][-1]["held_out_accuracy"] == pytest.approx(measured["frame_accuracy"])
    adjust_priors(tmp_path / "teacher", low.features, tmp_path / "priors", 1)
    assert load_model(tmp_path / "priors").priors.sum() == pytest.approx(1, abs=1e-4)

    store_options = StoreOptions(keep=3, temperatures=[2.0])
    make_store(tmp_path / "teacher", low.features, tmp_path / "store", store_options, 1)
    store, features = FrameArchive(tmp_path / "store", "soft-targets"), FrameArchive(low.features)
    assert store.total_rows == features.total_rows  # a row per frame, from all three shifts
    teacher, model = ModelTeacher(tmp_path / "teacher", features), load_model(tmp_path / "teacher")
    every = next(teacher.log_posteriors(["utt03"]))
    assert every.shape == (58, 3)
    np.testing.assert_allclose(every[::3], model.log_posteriors(features["utt03"]), atol=1e-4)
    train_model(*pair, tmp_path / "store", None, dataclasses.replace(options, epochs=2), tmp_path / "student")


def test_another_frame_rate_is_refused(low, tmp_path):
    (tmp_path / "teacher").mkdir()
    (tmp_path / "store").mkdir()
    train_model(low.features, low.alignment, None, None, dataclasses.replace(OPTIONS, epochs=1), tmp_path / "teacher")
    make_store(tmp_path / "teacher", low.features, tmp_path / "store", StoreOptions(keep=3, temperatures=[2.0]), 1)
    low.senones = Senones(low.senones.phones, low.senones.states, low.senones.self_loop)
    low.write_alignment(tmp_path / "full", low.labels)
    with refused(tmp_path / "store", "frame rate"):
        train_model(low.features, tmp_path / "full", tmp_path / "store", None, OPTIONS, tmp_path / "student")
    with refused(tmp_path / "full"):
        held_out = low.features, tmp_path / "full"
        train_model(low.features, low.alignment, None, held_out, OPTIONS, tmp_path / "student")
    with refused(tmp_path / "teacher", tmp_path / "full"):
        evaluate(tmp_path / "teacher", low.features, tmp_path / "full", tmp_path / "frames", 1)
