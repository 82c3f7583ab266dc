"""The decoder at its beam and at a beam, word-end beam and token limit twice as wide: speed and search errors.

Search errors are the words in which the two results differ, in percent of the words; where the
narrow search found the better-scoring path they are none of its fault, but they are counted.

Example:
  python tools/bench/decode.py recipes/amazon_queen/data/default recipes/amazon_queen/exp/default student.0 dev
"""

import argparse
import dataclasses
import json
import tempfile
import time
from pathlib import Path

from asrdistill import parallel
from asrdistill.config import add_options, resolve
from asrdistill.decode.acoustic import load_scorer
from asrdistill.decode.corpus import load
from asrdistill.decode.options import DecodeOptions
from asrdistill.decode.tuning import tuned
from asrdistill.scoring.wer import read_transcripts, score

CONF = Path(__file__).resolve().parents[2] / "recipes/amazon_queen/conf"
FEATURES = {"mono": "cepstra", "tri": "cepstra", "lda_mllt": "cepstra", "sat": "fmllr"}  # the others take fbank


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the recipe's data folder")
    parser.add_argument("exp", type=Path, help="its experiment folder")
    parser.add_argument("model", help="name of a model that was tuned")
    parser.add_argument("set", help="dev, test or test_unseen")
    parser.add_argument("--utterances", type=int, default=150, help="the first so many (default: 150)")
    add_options(parser, DecodeOptions)
    parser.set_defaults(config=CONF / "decode.yaml")
    args = parser.parse_args()
    parallel.single_thread()
    options = tuned(resolve(DecodeOptions, args), args.exp / "tune" / args.model.replace("sat", "lda_mllt"))
    features = args.data / FEATURES.get(args.model, "fbank") / args.set
    model = args.exp / args.model
    with tempfile.TemporaryDirectory() as scratch:
        graph = Path(scratch) / "graph"
        archive, decoder = load(model, features, args.data / "lang_counts", args.data / "lm", options, graph)
    utterances = archive.utterances[: args.utterances]
    scorer = load_scorer(model, options.prior_floor)
    scores = {utterance: scorer.loglikes(archive[utterance]) for utterance in utterances}
    truth = read_transcripts(args.data / "corpus" / args.set / "text")
    truth = {utterance: truth[utterance] for utterance in utterances}
    wide = dataclasses.replace(
        options, beam=2 * options.beam, word_end_beam=2 * options.word_end_beam, max_active=2 * options.max_active
    )
    seconds = sum(map(archive.rows, utterances)) * archive.meta["frame_shift"]
    figures: dict[str, float] = {"utterances": len(utterances), "seconds_of_speech": round(seconds)}
    found = {}
    for name, choice in (("", options), ("wide_", wide)):
        search = decoder.with_options(choice)
        search.decode(scores[utterances[0]])  # compiles
        start = time.process_time()
        found[name] = {utterance: search.decode(frames).words for utterance, frames in scores.items()}
        figures[f"{name}rtf"] = round((time.process_time() - start) / seconds, 5)
        figures[f"{name}wer"] = round(score(truth, found[name]).total.percent, 2)
        print(f"beam {choice.beam:g}: {figures}", flush=True)
    figures["search_errors_percent"] = round(score(found["wide_"], found[""]).total.percent, 2)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
