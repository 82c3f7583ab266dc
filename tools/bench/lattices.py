"""Lattices: their size, oracle errors and time; rescoring against a search; confidences.

A search with a bigram model leaves lattices, which are rescored with the trigram; the words are compared
with those of a search with the trigram at the same wide beams. Then lattices of the tuned trigram
search at the recipe's beams: arcs a word, oracle word error rate, the search's time with and without
them, minimum Bayes risk decoding, and confidences, calibrated on all of dev and measured on all of test.

Example:
  python tools/bench/lattices.py recipes/amazon_queen/data/default recipes/amazon_queen/exp/default student.0
"""

import argparse
import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from asrdistill import parallel
from asrdistill.config import read_yaml
from asrdistill.decode.acoustic import load_scorer
from asrdistill.decode.confusion import minimum_risk
from asrdistill.decode.corpus import load
from asrdistill.decode.decoder import Decoder, Hypothesis
from asrdistill.decode.lm import compile_grammar
from asrdistill.decode.options import DecodeOptions
from asrdistill.decode.tuning import tuned
from asrdistill.lang.lexicon import Lang
from asrdistill.lang.ngram import read_arpa, train, write_arpa
from asrdistill.scoring.calibration import expected_calibration_error, fit, normalised_cross_entropy, right_words
from asrdistill.scoring.wer import read_transcripts, score

CONF = Path(__file__).resolve().parents[2] / "recipes/amazon_queen/conf"
BEAM = 5.0  # of the lattices from which confidences come


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the recipe's data folder")
    parser.add_argument("exp", type=Path, help="its experiment folder")
    parser.add_argument("model", help="name of a network that was tuned")
    parser.add_argument("--utterances", type=int, default=100, help="of dev, for rescoring (default: 100)")
    args = parser.parse_args()
    parallel.single_thread()
    options = tuned(DecodeOptions(**read_yaml(CONF / "decode.yaml")), args.exp / "tune" / args.model)
    with tempfile.TemporaryDirectory() as scratch:
        figures = rescoring(args, options, Path(scratch)) | confidence(args, options, Path(scratch))
    print(json.dumps(figures))


def rescoring(args: argparse.Namespace, options: DecodeOptions, scratch: Path) -> dict[str, float]:
    """Bigram lattices with trigram scores against a trigram search, at wide beams."""
    lang = Lang.read(args.data / "lang_counts")
    texts = read_transcripts(args.data / "corpus/train/text").values()
    write_arpa(train([" ".join(words) for words in texts], lang.words, 2), scratch / "bigram.arpa")
    wide = replace(options, beam=18.0, word_end_beam=14.0, max_active=200_000)
    scores = _scores(args, "dev", options, args.utterances)
    trigram = read_arpa(args.data / "lm/lm.arpa")
    grammar, tokens = compile_grammar(trigram), trigram.levels[0].number
    searched = _decoder(args, "dev", args.data / "lm", wide, scratch / "three")
    lattices = _decoder(args, "dev", scratch / "bigram.arpa", replace(wide, lattice_beam=10.0), scratch / "two")
    found, expected, bigram = {}, {}, {}
    for utterance, frames in scores.items():
        expected[utterance] = searched.decode(frames).words
        heard = lattices.decode(frames)
        bigram[utterance] = heard.words
        assert heard.lattice is not None
        _, arcs = heard.lattice.rescored(grammar, tokens).best(options.lm_weight, options.insertion_penalty)
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
        scores = _scores(args, name, options, None)
        decoder = _decoder(args, name, args.data / "lm", options, scratch / name)
        _, plain = _timed(decoder, scores)
        found, seconds = _timed(decoder.with_options(replace(options, lattice_beam=BEAM)), scores)
        words = sum(map(len, truth.values()))
        lattices = {utterance: heard.lattice for utterance, heard in found.items()}
        risk = {u: minimum_risk(it, options.lm_weight, options.insertion_penalty).words for u, it in lattices.items()}
        best = {utterance: heard.words for utterance, heard in found.items()}
        figures |= {
            f"{name}_arcs_a_word": round(sum(len(it.source) for it in lattices.values()) / words, 1),
            f"{name}_oracle_wer": round(100 * sum(it.oracle(truth[u]) for u, it in lattices.items()) / words, 2),
            f"{name}_wer": round(score(truth, best).total.percent, 2),
            f"{name}_minimum_risk_wer": round(score(truth, risk).total.percent, 2),
            f"{name}_time_ratio": round(seconds / plain, 2),
        }
        sure = [word.confidence for heard in found.values() for word in heard.times]
        judged[name] = np.array(sure), np.array([r for u in found for r in right_words(truth[u], best[u])])
        print(f"{name}: {figures}", flush=True)
    posterior, right = judged["test"]
    calibrated = fit(*judged["dev"])(posterior)
    return figures | {
        "test_normalised_cross_entropy": round(normalised_cross_entropy(calibrated, right), 3),
        "test_expected_calibration_error": round(expected_calibration_error(calibrated, right), 3),
    }


def _scores(args: argparse.Namespace, name: str, options: DecodeOptions, count: int | None) -> dict[str, np.ndarray]:
    from asrdistill.data.archive import FrameArchive

    archive = FrameArchive(args.data / "fbank" / name)
    scorer = load_scorer(args.exp / args.model, options.prior_floor)
    return {utterance: scorer.loglikes(archive[utterance]) for utterance in archive.utterances[:count]}


def _decoder(args: argparse.Namespace, name: str, lm: Path, options: DecodeOptions, graph: Path) -> Decoder:
    features = args.data / "fbank" / name
    return load(args.exp / args.model, [features], args.data / "lang_counts", lm, options, graph)[1]


def _timed(decoder: Decoder, scores: dict[str, np.ndarray]) -> tuple[dict[str, Hypothesis], float]:
    decoder.decode(next(iter(scores.values())))  # compiles
    start = time.process_time()
    found = {utterance: decoder.decode(frames) for utterance, frames in scores.items()}
    return found, time.process_time() - start


if __name__ == "__main__":
    main()
