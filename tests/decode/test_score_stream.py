"""Scores of a stream, compared with those of the whole utterance."""

import numpy as np
import pytest
import torch

from asrdistill.decode.acoustic import PosteriorScorer, ScoreStream
from asrdistill.hmm.senones import Senones
from asrdistill.lang.lexicon import Lang
from asrdistill.models.acoustic import AcousticModel
from asrdistill.models.dnn import Dnn
from asrdistill.models.options import NetworkConfig

SENONES = Senones.monophones(Lang.build({"a": [(1.0, ("A",))]}, ["A"]))


def scorer(left: int, right: int) -> PosteriorScorer:
    torch.manual_seed(0)
    module = Dnn(NetworkConfig(layers=2, width=16, left=left, right=right), features=4, senones=SENONES.count)
    torch.nn.init.normal_(module.output.weight)
    return PosteriorScorer(AcousticModel(module, SENONES, np.full(SENONES.count, 0.1), {}), 1e-5)


@pytest.mark.parametrize("context", [(20, 5), (0, 0), (3, 0), (0, 2)])
@pytest.mark.parametrize("frames", [0, 1, 4, 24, 25, 26, 90])
def test_blocks_of_any_size_give_the_same_scores(context, frames):
    model = scorer(*context)
    features = np.random.default_rng(frames).normal(size=(frames, 4)).astype(np.float32)
    whole = model.loglikes(features) if frames else np.empty((0, SENONES.count))
    for size in (1, 2, 7, 100):
        stream = ScoreStream(model)
        scores = [stream.accept(features[begin : begin + size]) for begin in range(0, frames, size)]
        early = sum(map(len, scores))
        assert early == max(0, frames - context[1])  # no frame waits for more than its context
        scores.append(stream.finish())
        np.testing.assert_allclose(np.concatenate([np.empty((0, SENONES.count)), *scores]), whole, atol=1e-4)
