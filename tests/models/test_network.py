"""What all networks share: the level of features, dropout's random numbers."""

import dataclasses

import numpy as np
import pytest
import torch

from asrdistill.decode.acoustic import PosteriorScorer, ScoreStream
from asrdistill.hmm.senones import Senones
from asrdistill.lang.lexicon import Lang
from asrdistill.models.acoustic import AcousticModel
from asrdistill.models.network import Level
from asrdistill.models.options import NetworkConfig
from asrdistill.models.registry import build_network

SENONES = Senones.monophones(Lang.build({"a": [(1.0, ("A",))]}, ["A"]))
RANDOM = np.random.default_rng(0)
CONFIGS = [
    NetworkConfig(width=8, left=3, right=2, running_mean=10),
    NetworkConfig(architecture="tdnn", width=8, left=10, right=2, dilations=[1, 2], running_mean=10),
    NetworkConfig(architecture="gru", layers=1, width=8, left=3, right=2, running_mean=10),
]


def test_level_equals_the_formula():
    features, mean = RANDOM.normal(size=(30, 4)), RANDOM.normal(size=4)
    slow = [x - (10 * mean + features[: t + 1].sum(0)) / (10 + t + 1) + mean for t, x in enumerate(features)]
    np.testing.assert_allclose(Level(mean, 10)(features), slow, atol=1e-5)
    np.testing.assert_array_equal(Level(mean, 0)(features), features)


def model_of(config: NetworkConfig) -> AcousticModel:
    torch.manual_seed(0)
    module = build_network(config, 4, SENONES.count)
    for value in module.parameters():
        torch.nn.init.normal_(value, std=0.5)
    module.mean.copy_(torch.arange(4.0))
    return AcousticModel(module, SENONES, np.full(SENONES.count, 0.1), {})


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.architecture)
def test_a_constant_shift_of_the_features_fades_from_the_posteriors(config):
    """A microphone's colour changes nothing once it has been heard for long."""
    model, features = model_of(config), RANDOM.normal(size=(1000, 4)).astype(np.float32)
    plain = model_of(dataclasses.replace(config, running_mean=0))
    shift = np.float32([3, -2, 1, 4])
    changes = np.abs(model.log_posteriors(features) - model.log_posteriors(features + shift)).mean(1)
    unlevelled = np.abs(plain.log_posteriors(features) - plain.log_posteriors(features + shift)).mean(1)
    assert changes[-100:].mean() < 0.05 * unlevelled[-100:].mean()


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.architecture)
def test_a_stream_is_levelled_as_the_whole_utterance(config):
    scorer = PosteriorScorer(model_of(config), 1e-5)
    features = RANDOM.normal(size=(90, 4)).astype(np.float32)
    for size in (1, 16):
        stream = ScoreStream(scorer)
        scores = [stream.accept(features[t : t + size]) for t in range(0, 90, size)]
        np.testing.assert_allclose(np.concatenate([*scores, stream.finish()]), scorer.loglikes(features), atol=1e-3)
