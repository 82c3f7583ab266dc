"""Measure words that are added at run time, and keyword spotting, on one core.

`words` adds the words of a data directory's text that the recogniser lacks, pronounced by its G2P model, and decodes
with and without them. With --drop TEXT the recogniser is one that lacks the rarer half of TEXT's vocabulary: lexicon
and language model (a trigram of TEXT) are made without these words. `spot` takes the most frequent words of six phones
or more, and their thresholds from a second data directory. A detection is right if its utterance has the word.

Example:
  python tools/bench/vocabulary.py words exp/student data/hires/test-clean data/corpus/test-clean
  python tools/bench/vocabulary.py spot exp/student data/hires/test-clean data/corpus/test-clean \\
    --from data/hires/dev-clean-2 data/corpus/dev-clean-2
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from common import arguments, finish, timed

import asrdistill
from asrdistill import parallel
from asrdistill.data.archive import FrameArchive
from asrdistill.data.directory import DataDirectory
from asrdistill.decode.decoder import Decoder
from asrdistill.decode.extend import extend
from asrdistill.decode.keywords import LEAST, threshold
from asrdistill.lang.ngram import train
from asrdistill.lang.text import read_sentences
from asrdistill.scoring.transcripts import oov_errors
from asrdistill.scoring.wer import score


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("what", choices=["words", "spot"])
    parser.add_argument("recogniser", type=Path)
    parser.add_argument("features", type=Path, help="feature archive of DATA")
    parser.add_argument("data", type=Path, help="data directory")
    parser.add_argument("--drop", type=Path, metavar="TEXT", help="words: training text (utterance words …)")
    parser.add_argument("--weight", type=float, default=0.0, help="words: added to ln P of each added word")
    parser.add_argument(
        "--from", dest="source", nargs=2, type=Path, metavar=("FEATURES", "DATA"), help="spot: thresholds"
    )
    parser.add_argument("--keywords", type=int, default=20, help="spot: number of words (default: %(default)s)")
    parser.add_argument("--per-hour", type=float, default=1.0, help="spot: false alarms (default: %(default)s)")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="take every N-th utterance")
    args = parser.parse_args()
    parallel.single_thread()
    recogniser = asrdistill.load(args.recogniser)
    finish(measure_words(recogniser, args) if args.what == "words" else measure_spotting(recogniser, args))


def scored(recogniser: Any, features: Path, data: Path, every: int) -> Iterator[tuple[str, list[str], np.ndarray]]:
    """(utterance, its words, log-likelihoods)"""
    archive = FrameArchive(features)
    for utterance in DataDirectory.read(data).utterances[::every]:
        yield utterance.id, (utterance.text or "").split(), recogniser.scorer.loglikes(archive[utterance.id])


def measure_words(recogniser: Any, args: Any) -> dict[str, Any]:
    base, lexicon = recogniser.decoder, recogniser._lexicon
    lang = lexicon.lang
    if args.drop:
        sentences = [line.split()[1:] for line in read_sentences(args.drop)]
        counts = Counter(word for sentence in sentences for word in sentence)
        ranked = sorted(lang.words, key=lambda word: (-counts[word], word))
        kept = sorted(ranked[: len(ranked) // 2])
        lang = replace(lang, words=kept, pronunciations={word: lang.pronunciations[word] for word in kept})
        model = train([" ".join(sentence) for sentence in sentences], kept, 3)
        base = Decoder(lang, model, recogniser.scorer.senones, base.options)
    known, wanted = set(lang.words), set()
    texts = {each.id: (each.text or "").split() for each in DataDirectory.read(args.data).utterances[:: args.every]}
    wanted = {word for words in texts.values() for word in words} - known
    entries, spelling = timed(lambda: lexicon.pronounce(sorted(wanted), args.weight))
    graph, compiling = timed(lambda: extend(base.graph, recogniser.scorer.senones, entries))
    more = Decoder.of(graph, base.options)
    found: dict[str, dict[str, list[str]]] = {"without": {}, "with": {}}
    seconds = dict.fromkeys(found, 0.0)
    for utterance, _, loglikes in scored(recogniser, args.features, args.data, args.every):
        for name, decoder in (("without", base), ("with", more)):
            hypothesis, spent = timed(lambda decoder=decoder, loglikes=loglikes: decoder.decode(loglikes))
            found[name][utterance], seconds[name] = hypothesis.words, seconds[name] + spent
    rest = {utterance: words for utterance, words in texts.items() if known.issuperset(words)}
    added = oov_errors(texts, found["with"], known)
    figures = {"utterances": len(texts), "words_added": len(wanted), "occurrences": added["words"]}
    figures |= {"seconds_to_add": round(spelling + compiling, 3), "recall": round(100 - added["rate"], 1)}
    for name, hypotheses in found.items():
        figures[f"wer_{name}"] = round(score(texts, hypotheses).total.percent, 2)
        said = {utterance: hypotheses[utterance] for utterance in rest}
        figures[f"wer_of_rest_{name}"] = round(score(rest, said).total.percent, 2)
        figures[f"search_seconds_{name}"] = round(seconds[name], 2)
    return figures


def measure_spotting(recogniser: Any, args: Any) -> dict[str, Any]:
    lang = recogniser._lexicon.lang
    texts = [(each.text or "").split() for each in DataDirectory.read(args.data).utterances[:: args.every]]
    counts = Counter(word for words in texts for word in words)
    long = [word for word in counts if min((len(p) for _, p in lang.pronunciations.get(word, [])), default=0) >= 6]
    chosen = sorted(long, key=lambda word: (-counts[word], word))[: args.keywords]

    def detections(features: Path, data: Path) -> tuple[dict[str, list[tuple[float, bool]]], float, float]:
        """(keyword -> score, and whether it was said, of each detection), hours, seconds of processor time"""
        decoder = recogniser.with_keywords(chosen, LEAST).decoder
        found: dict[str, list[tuple[float, bool]]] = defaultdict(list)
        frames, seconds = 0, 0.0
        for _, words, loglikes in scored(recogniser, features, data, args.every):
            search = decoder.start()
            seconds += timed(lambda search=search, loglikes=loglikes: search.accept(loglikes))[1]
            left = Counter(words)
            for word in sorted(search.finish().times, key=lambda word: -word.score):
                found[word.word].append((word.score, left[word.word] > 0))
                left[word.word] -= 1
            frames += len(loglikes)
        return found, frames * recogniser.frame_shift / 3600, seconds

    heard, hours, _ = detections(*args.source)
    limits = {word: threshold([s for s, right in heard[word] if not right], hours, args.per_hour) for word in chosen}
    heard, hours, seconds = detections(args.features, args.data)
    right = {word: sum(hit and s >= limits[word] for s, hit in heard[word]) for word in chosen}
    alarms = {word: sum(not hit and s >= limits[word] for s, hit in heard[word]) for word in chosen}
    said = sum(counts[word] for word in chosen)
    figures: dict[str, Any] = {"keywords": len(chosen), "said": said, "hours": round(hours, 2)}
    figures["recall"] = round(100 * sum(right.values()) / said, 1)
    figures["false_alarms_per_hour"] = round(sum(alarms.values()) / hours / len(chosen), 2)
    figures["most_false_alarms_per_hour"] = round(max(alarms.values()) / hours, 2)
    figures["real_time_factor_of_search"] = round(seconds / hours / 3600, 5)
    figures["by_word"] = {word: [right[word], counts[word], alarms[word]] for word in chosen}
    return figures


if __name__ == "__main__":
    main()
