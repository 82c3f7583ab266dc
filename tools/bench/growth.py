"""Measure how the decoder grows with vocabulary and beam: time to be ready, memory, speed and word errors.

A vocabulary has the words of the recipe's transcripts, then the most frequent words of a large text, then CMUdict's,
then the text's other words, pronounced by the G2P; it is cut at each size. Its trigram is trained on the large text
and the transcripts. The large text is that of two dictionaries, 7 million words: apt-get install dict-gcide dict-wn

Every figure comes from a process of its own with one thread. Ready means lexicon, language model and senones
compiled, or mapped from the graph folder, and one frame decoded.

Example:
  python tools/bench/growth.py recipes/amazon_queen/data/default recipes/amazon_queen/exp/default student.0 dev growth
"""

import argparse
import dataclasses
import gzip
import json
import logging
import re
import shutil
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from common import RECIPE, ROOT, alone, arguments, decode_options, finish, loglikes, seconds_of, timed

from asrdistill import stage
from asrdistill.decode.acoustic import load_scorer
from asrdistill.decode.corpus import warm_up
from asrdistill.decode.decoder import Decoder
from asrdistill.decode.graph import keep_graph
from asrdistill.decode.options import DecodeOptions
from asrdistill.lang.dictionary import make_lang, read_dictionary
from asrdistill.lang.g2p import G2P
from asrdistill.lang.ngram import train, write_arpa
from asrdistill.scoring.wer import read_transcripts, score

TEXTS = [Path("/usr/share/dictd") / f"{name}.dict.dz" for name in ("gcide", "wn")]
FREQUENT = 20000  # words of the text that come before those of CMUdict


def main() -> None:
    parser = arguments(__doc__, RECIPE)
    parser.add_argument("model", help="name of a tuned network")
    parser.add_argument("set", help="dev, test or test_unseen")
    parser.add_argument("out", type=Path, help="folder for lexica, language models and graphs")
    parser.add_argument("--texts", type=Path, nargs="+", default=TEXTS, help="gzipped (default: the dictionaries)")
    parser.add_argument("--sizes", type=int, nargs="+", default=[2000, 20000, 200000], help="words of the vocabulary")
    parser.add_argument("--beams", type=float, nargs="+", default=[8, 10, 12, 14, 16, 18], help="in ln P(words)")
    parser.add_argument("--prune", type=int, nargs="+", default=[0, 1, 2], help="as for asrdistill lang lm")
    parser.add_argument("--utterances", type=int, default=150, help="only the first N (default: %(default)s)")
    args = parser.parse_args()
    logging.getLogger("asrdistill").setLevel(logging.ERROR)
    args.out.mkdir(parents=True, exist_ok=True)
    figures: dict[str, Any] = {"texts": [path.name for path in args.texts], "vocabulary": {}}
    for size in args.sizes:
        folder = args.out / str(size)
        if not (folder / "made.json").exists():
            alone(prepare, args, size, folder)
        found = json.loads((folder / "made.json").read_text())
        alone(ready, args, folder, False)  # compiles the kernels
        for name in ("first", "cached"):
            found[name], _ = alone(ready, args, folder, name == "first")
        found["beams"], _ = alone(search, args, folder)
        figures["vocabulary"][size] = found
        print(size, found, flush=True)
    finish(figures)


def prepare(args: argparse.Namespace, size: int, folder: Path) -> None:
    """Lexicon and language model of the first `size` words."""
    folder.mkdir(exist_ok=True)
    dictionary = read_dictionary(ROOT / "data/cmudict.txt.gz")
    own = [" ".join(words) for words in read_transcripts(args.data / "corpus/train/text").values()]
    frequent = [word for word, _ in Counter(word for s in read(args.texts) for word in s.split()).most_common()]
    ranked = [*(word for word, _ in Counter(" ".join(own).split()).most_common()), *frequent[:FREQUENT]]
    words = list(dict.fromkeys([*ranked, *dictionary, *frequent]))[:size]
    if len(words) < size:
        raise SystemExit(f"texts, transcripts and CMUdict have only {len(words)} words")
    lm, seconds = timed(lambda: train((s for source in (own, read(args.texts)) for s in source), words, 3, args.prune))
    write_arpa(lm, folder / "lm.arpa")
    (folder / "lang").mkdir(exist_ok=True)
    peak = stage.peak_mb()
    make_lang(words, dictionary, G2P.read(args.data / "g2p").pronounce, folder / "lang")
    made = {
        "ngrams": [len(level) for level in lm.levels],
        "train_seconds": round(seconds, 1),
        "train_mb": peak,
        "words_by_g2p": len({line.split("\t")[0] for line in (folder / "lang/g2p.txt").read_text().splitlines()}),
    }
    (folder / "made.json").write_text(json.dumps(made))


def read(texts: Iterable[Path]) -> Iterator[str]:
    """Sentences of dictionaries in plain text: lower case, without pronunciations, marks and sources."""
    for path in texts:
        text = gzip.decompress(path.read_bytes()).decode(errors="replace").lower()
        text = re.sub(r"\[[^\]]*\]|\\[^\\\n]*\\|[{}]", " ", text)
        for sentence in re.split(r"(?<=[.;:?!])\s|\n\s*\n", text):
            words = re.findall(r"[a-z]+(?:'[a-z]+)*", sentence)
            if len(words) > 1:
                yield " ".join(words)


def ready(args: argparse.Namespace, folder: Path, anew: bool) -> dict[str, float]:
    """Seconds until the decoder is ready and the peak memory; `anew` compiles the graph again."""
    if anew:
        shutil.rmtree(folder / "graph", ignore_errors=True)
    scorer = load_scorer(args.exp / args.model)
    _, seconds = timed(lambda: warm_up(decoder_of(scorer, folder)), time.perf_counter)
    return {"seconds": round(seconds, 2), "mb": stage.peak_mb()}


def decoder_of(scorer: Any, folder: Path) -> Decoder:
    graph = keep_graph(folder / "graph", folder / "lang", folder / "lm.arpa", scorer.senones)
    return Decoder.of(graph, DecodeOptions())


def search(args: argparse.Namespace, folder: Path) -> dict[float, dict[str, float]]:
    """Real-time factor, word error rate, search errors and peak memory so far for each beam.

    Search errors: words that differ from the result of the widest beam, percent.
    """
    options, features = decode_options(args.exp, args.model), args.data / "fbank" / args.set
    scores = loglikes(args.exp / args.model, features, options, args.utterances)
    truth = read_transcripts(args.data / "corpus" / args.set / "text")
    truth = {utterance: truth[utterance] for utterance in scores}
    length = seconds_of(features, scores)
    decoder = decoder_of(load_scorer(args.exp / args.model), folder)
    warm_up(decoder)
    figures: dict[float, dict[str, float]] = {}
    widest: dict[str, list[str]] = {}
    for beam in sorted(args.beams, reverse=True):
        narrow = dataclasses.replace(options, beam=beam, word_end_beam=beam * options.word_end_beam / options.beam)
        decode = decoder.with_options(narrow).decode
        found, seconds = timed(lambda decode=decode: {u: decode(frames).words for u, frames in scores.items()})
        widest = widest or found
        wer, errors = (round(score(reference, found).total.percent, 2) for reference in (truth, widest))
        rtf = round(seconds / length, 4)
        figures[beam] = {"rtf": rtf, "wer": wer, "search_errors": errors, "mb": stage.peak_mb()}
    return figures


if __name__ == "__main__":
    main()
