"""The decoder against kaldi-decoder and against itself with wider beams: speed, word errors, search errors, memory.

Both search through the same posteriors with the same lexicon, language model, senones, transition probabilities and
scales; kaldi-decoder (its FasterDecoder, the one that keeps no lattice) takes a graph that tools/bench/hclg.py makes
with kaldifst. Each decoder works in a process of its own, one after the other, at the configured beams and token limit
and at multiples of them. Times are processor time of the search alone, memory is a process's peak.

Search errors are the words in which a result differs from the one at the widest beam, in percent of the words; where
the narrow search found the better-scoring path they are none of its fault, but they are counted. The last line is
JSON: our figures at the configured beam, and kaldi-decoder's at the narrowest beam at which its WER is at most 0.1
above ours, or else at the widest.

Example:
  python tools/bench/decode.py recipes/amazon_queen/data/default recipes/amazon_queen/exp/default student.0 dev
"""

import argparse
import json
import multiprocessing
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from asrdistill import parallel
from asrdistill.config import add_options, resolve
from asrdistill.data.archive import FrameArchive
from asrdistill.decode.options import DecodeOptions
from asrdistill.scoring.wer import read_transcripts, score
from asrdistill.stage import peak_mb

CONF = Path(__file__).resolve().parents[2] / "recipes/amazon_queen/conf"
FEATURES = {"mono": "cepstra", "tri": "cepstra", "lda_mllt": "cepstra", "sat": "fmllr"}  # the others take fbank
WIDTHS = (0.5, 0.625, 0.75, 0.875, 1.0, 1.25, 2.0)  # multiples of the configured beams and token limit

Words = dict[str, list[str]]  # utterance -> its words
Figures = dict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the recipe's data folder")
    parser.add_argument("exp", type=Path, help="its experiment folder")
    parser.add_argument("model", help="name of a model that was tuned")
    parser.add_argument("set", help="dev, test or test_unseen")
    parser.add_argument("--utterances", type=int, default=100, help="the first so many (default: 100)")
    add_options(parser, DecodeOptions)
    parser.set_defaults(config=CONF / "decode.yaml")
    args = parser.parse_args()
    features = args.data / FEATURES.get(args.model, "fbank") / args.set
    tuned = args.exp / "tune" / args.model.replace("sat", "lda_mllt")
    words = args.data / "lang_counts", args.data / "lm"
    truth = read_transcripts(args.data / "corpus" / args.set / "text")
    with tempfile.TemporaryDirectory() as folder:
        scores, graph = Path(folder) / "scores", Path(folder) / "HCLG.fst"
        settings = resolve(DecodeOptions, args), tuned, args.utterances
        options, _ = alone(write_scores, args.exp / args.model, features, *settings, scores)
        print(f"log-likelihoods of {len(FrameArchive(scores))} utterances are written", flush=True)
        ready = {"ours": 0.0, "kaldi": alone(build_graph, scores, *words, options, graph)[0]}
        searches = {"ours": (our_search, scores, *words, options), "kaldi": (their_search, words[0], graph, options)}
        tables, memory = {}, {"graph": 0}
        for name, how in searches.items():
            (found, seconds), memory[name] = alone(decode, scores, *how)
            ready[name] += seconds
            tables[name] = figures(found, FrameArchive(scores), truth, options)
            for row in tables[name]:
                print(f"{name:<6}", "  ".join(f"{key} {value:g}" for key, value in row.items()), flush=True)


def alone(work: Callable[..., Any], *args: Any) -> tuple[Any, int]:
    """What `work` returns in a process of its own, and that process's peak memory in MB."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), parallel.single_thread) as process:
        return process.submit(work, *args).result(), process.submit(peak_mb).result()
