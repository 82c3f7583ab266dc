"""Measure lattices: size, oracle errors, time, rescoring against a search, minimum risk and confidences.

A search with a bigram leaves lattices, which are rescored with the trigram and compared with a trigram search at the
same wide beams. Then lattices at the recipe's beams: arcs per word, oracle and minimum-risk word error rate, the time
of the search with and without them, and confidences calibrated on dev and measured on test.

Example:
  python tools/bench/lattices.py recipes/amazon_queen/data/default recipes/amazon_queen/exp/default student.0
"""

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from common import arguments, decode_options, finish, loglikes, timed

from asrdistill import parallel
from asrdistill.decode.confusion import minimum_risk
from asrdistill.decode.corpus import load
from asrdistill.decode.decoder import Decoder, Hypothesis
from asrdistill.decode.lm import compile_grammar
from asrdistill.decode.options import DecodeOptions
from asrdistill.lang.lexicon import Lang
from asrdistill.lang.ngram import read_arpa, train, write_arpa
from asrdistill.scoring.calibration import expected_calibration_error, fit, normalised_cross_entropy, right_words
from asrdistill.scoring.wer import read_transcripts, score

BEAM = 5.0  # of the lattices from which confidences come


def main() -> None:
    parser = arguments(__doc__, recipe=True)
    parser.add_argument("model", help="name of a tuned network")
    parser.add_argument("--utterances", type=int, default=100, help="of dev, for rescoring (default: %(default)s)")
    args = parser.parse_args()
    parallel.single_thread()
    options = decode_options(args.exp, args.model)
    with tempfile.TemporaryDirectory() as scratch:
        finish(rescoring(args, options, Path(scratch)) | confidence(args, options, Path(scratch)))


def rescoring(args: argparse.Namespace, options: DecodeOptions, scratch: Path) -> dict[str, float]:
    """Bigram lattices with trigram scores against a trigram search, at wide beams."""
    lang = Lang.read(args.data / "lang_counts")
    texts = read_transcripts(args.data / "corpus/train/text").values()
    write_arpa(train([" ".join(words) for words in texts], lang.words, 2), scratch / "bigram.arpa")
    wide = replace(options, beam=18.0, word_end_beam=14.0, max_active=200_000)
    trigram = read_arpa(args.data / "lm/lm.arpa")
    grammar, tokens = compile_grammar(trigram), trigram.levels[0].number
    searched = decoder_of(args, "dev", args.data / "lm", wide, scratch / "three")
    lattices = decoder_of(args, "dev", scratch / "bigram.arpa", replace(wide, lattice_beam=10.0), scratch / "two")
    found, expected, bigram = {}, {}, {}
    scores = loglikes(args.exp / args.model, args.data / "fbank/dev", options, args.utterances)
    for utterance, frames in scores.items():
        expected[utterance] = searched.decode(frames).words
        result = lattices.decode(frames)
        bigram[utterance] = result.words
        assert result.lattice is not None
        _, arcs = result.lattice.rescored(grammar, tokens).best(options.lm_weight, options.insertion_penalty)
        found[utterance] = [arc.word for arc in arcs if arc.word]
    return {
        "rescored_differs_percent": round(score(expected, found).total.percent, 2),
        "bigram_differs_percent": round(score(expected, bigram).total.percent, 2),
    }


def confidence(args: argparse.Namespace, options: DecodeOptions, scratch: Path) -> dict[str, float]:
    """Figures of lattices at the recipe's beams."""
    judged, figures = {}, {}
    for name in ("dev", "test"):
        truth = read_transcripts(args.data / "corpus" / name / "text")
        scores = loglikes(args.exp / args.model, args.data / "fbank" / name, options)
        decoder = decoder_of(args, name, args.data / "lm", options, scratch / name)
        _, plain = decode(decoder, scores)
        found, seconds = decode(decoder.with_options(replace(options, lattice_beam=BEAM)), scores)
        words = sum(map(len, truth.values()))
        lattices: dict[str, Any] = {utterance: result.lattice for utterance, result in found.items()}
        risk = {u: minimum_risk(it, options.lm_weight, options.insertion_penalty).words for u, it in lattices.items()}
        best = {utterance: result.words for utterance, result in found.items()}
        figures |= {
            f"{name}_arcs_a_word": round(sum(len(it.source) for it in lattices.values()) / words, 1),
            f"{name}_oracle_wer": round(100 * sum(it.oracle(truth[u]) for u, it in lattices.items()) / words, 2),
            f"{name}_wer": round(score(truth, best).total.percent, 2),
            f"{name}_minimum_risk_wer": round(score(truth, risk).total.percent, 2),
            f"{name}_time_ratio": round(seconds / plain, 2),
        }
        posteriors = [word.confidence for result in found.values() for word in result.times]
        judged[name] = np.array(posteriors), np.array([r for u in found for r in right_words(truth[u], best[u])])
    posterior, right = judged["test"]
    calibrated = fit(*judged["dev"])(posterior)
    return figures | {
        "test_normalised_cross_entropy": round(normalised_cross_entropy(calibrated, right), 3),
        "test_expected_calibration_error": round(expected_calibration_error(calibrated, right), 3),
    }


def decoder_of(args: argparse.Namespace, name: str, lm: Path, options: DecodeOptions, graph: Path) -> Decoder:
    features = args.data / "fbank" / name
    return load(args.exp / args.model, [features], args.data / "lang_counts", lm, options, graph)[1]


def decode(decoder: Decoder, scores: dict[str, np.ndarray]) -> tuple[dict[str, Hypothesis], float]:
    decoder.decode(next(iter(scores.values())))  # compiles
    return timed(lambda: {utterance: decoder.decode(frames) for utterance, frames in scores.items()})


if __name__ == "__main__":
    main()
