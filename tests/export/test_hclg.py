"""HCLG graphs: kaldi-decoder finds the same path with the same score."""

from dataclasses import replace

import kaldi_decoder
import kaldifst
import numpy as np
import pytest

from asrdistill.decode.decoder import Decoder
from asrdistill.decode.options import DecodeOptions
from asrdistill.export import hclg
from asrdistill.hmm.senones import Senones
from asrdistill.lang.lexicon import Lang
from asrdistill.lang.ngram import train

WIDE = DecodeOptions(lm_weight=2.0, insertion_penalty=-0.7, beam=1e4, word_end_beam=1e4, max_active=10**6)
LANG = Lang.build(
    {
        "a": [(1.0, ("A",))],
        "eh": [(0.7, ("A",)), (0.3, ("A", "B"))],  # sounds like the one before, and like the one after
        "ab": [(1.0, ("A", "B"))],
        "bab": [(1.0, ("B", "A", "B"))],
    },
    ["A", "B"],
)
STATES = {
    "SIL": [0, 1, 2],
    "A": [{"left": "SIL", "yes": 3, "no": {"right": "B", "yes": 4, "no": 5}}, 6],
    "B": [{"right": "A", "yes": 7, "no": {"left": "A", "yes": 8, "no": 1}}],
}


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("every", [1, 3])
@pytest.mark.parametrize("seed", range(5))
def test_best_paths_are_the_same(seed, every, order):
    rng = np.random.default_rng(seed)
    lang = replace(LANG, silence_probability=float(rng.uniform(0.1, 0.9)))
    states = {phone: trees[:2] for phone, trees in STATES.items()} if every > 1 else STATES
    senones = Senones(["SIL", "A", "B"], states, np.log(rng.uniform(0.2, 0.9, 9)), subsampling=every)
    lm = train(["a ab bab", "bab eh", "ab ab a", "eh"], lang.words, order)
    scores = rng.normal(0, 3, (25, 9)).astype(np.float32)
    decoder = Decoder(lang, lm, senones, WIDE)
    ours = decoder.decode(scores)
    graph = kaldifst.StdConstFst(hclg.compile_graph(lang, senones, decoder))
    other = kaldi_decoder.FasterDecoder(graph, kaldi_decoder.FasterDecoderOptions(beam=1e6))
    other.decode(kaldi_decoder.DecodableCtc(scores[:, hclg.senones_of(senones)]))
    whole, best = other.get_best_path()
    _, frames, labels, cost = kaldifst.get_linear_symbol_sequence(best)
    assert whole
    assert len(frames) == len(scores)
    assert [lang.words[label - 1] for label in labels] == ours.words
    assert -(cost.value1 + cost.value2) == pytest.approx(ours.score, rel=1e-3)
