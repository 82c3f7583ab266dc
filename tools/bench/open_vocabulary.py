"""Compare a closed vocabulary with one opened by subwords, on words that no lexicon holds.

Half of the corpus's words are removed: the rarest by default, or any (--random SEED). They are gone from the lexicon,
the dictionary that pronounces pieces, sentencepiece's training words, and the text of the language models. There
<unk> takes their place or, for the open vocabulary, another word spelled in pieces: where unknown words stand is
known, but not which. With --in-text the open vocabulary's text keeps them. Scales are tuned on every second utterance
of dev; figures are of the others and of the test sets.

Example:
  cd recipes/amazon_queen; python ../../tools/bench/open_vocabulary.py data/default exp/default student.0 /tmp/open
"""

import argparse
import dataclasses
import gzip
import json
import random
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

from common import ROOT, SETS, arguments, asrdistill, finish

from asrdistill.data.archive import FrameArchive, subset
from asrdistill.lang.dictionary import read_dictionary
from asrdistill.lang.lexicon import Lang
from asrdistill.lang.subwords import Speller
from asrdistill.scoring.oov import oov_errors
from asrdistill.scoring.wer import Transcripts, read_transcripts, score

# Wider than for whole words: pieces end within words, where the word end beam must not cut closer than the beam.
BEAMS = ("--beam", 14, "--word-end-beam", 13, "--max-active", 40_000)


def main() -> None:
    parser = arguments(__doc__, recipe=True)
    parser.add_argument("model", help="name of a network in it")
    parser.add_argument("work", type=Path, help="folder for what is made")
    parser.add_argument("--random", type=int, metavar="SEED", help="take any half of the words away, not the rarest")
    parser.add_argument("--in-text", action="store_true", help="the open vocabulary's text keeps the words")
    parser.add_argument("--pieces", type=int, default=1000, help="of the sentencepiece model (default: %(default)s)")
    parser.add_argument("--order", type=int, default=4, help="of the n-grams with pieces (default: %(default)s)")
    args = parser.parse_args()
    texts = {name: read_transcripts(args.data / "corpus" / name / "text") for name in ("train", *SETS)}
    gone = _taken_away(texts, args.random)
    systems = {"words": _closed(args, texts["train"], gone), "subwords": _open(args, texts["train"], gone)}
    figures: dict[str, Any] = {"words_taken_away": len(gone)}
    for name, (lang, lm) in systems.items():
        for key, value in _recognise(args, name, lang, lm, texts, gone).items():
            figures[f"{name}_{key}"] = value
    finish(figures)


def _taken_away(texts: dict[str, Transcripts], seed: int | None) -> set[str]:
    """Half of the distinct words of all sets."""
    words = sorted({word for transcripts in texts.values() for words in transcripts.values() for word in words})
    if seed is not None:
        return set(random.Random(seed).sample(words, len(words) // 2))
    times = Counter(word for words in texts["train"].values() for word in words)
    return set(sorted(words, key=lambda word: (times[word], word))[: len(words) // 2])


def _closed(args: argparse.Namespace, train: Transcripts, gone: set[str]) -> tuple[Path, Path]:
    """Lexicon and trigram of the words that are left."""
    lang, lm = args.work / "lang", args.work / "lm"
    whole = Lang.read(args.data / "lang_probs")
    left = {word: entries for word, entries in whole.pronunciations.items() if word not in gone}
    lang.mkdir(parents=True, exist_ok=True)
    dataclasses.replace(whole, words=sorted(left), pronunciations=left).write(lang)
    text = {utterance: ["<unk>" if word in gone else word for word in words] for utterance, words in train.items()}
    data = _data(args, "text", text)
    _run("lang lm", data, lang, lm, "--order", 3)
    return lang, lm


def _open(args: argparse.Namespace, train: Transcripts, gone: set[str]) -> tuple[Path, Path]:
    """Lexicon and n-grams of the words that are left and of pieces."""
    lang, lm, dictionary = (args.work / name for name in ("lang_open", "lm_open", "dictionary.txt.gz"))
    known = read_dictionary(ROOT / "data/cmudict.txt.gz")
    lines = (f"{w}\t{' '.join(phones)}\n" for w, variants in known.items() if w not in gone for phones in variants)
    dictionary.write_bytes(gzip.compress("".join(lines).encode(), mtime=0))
    left = sorted({word for words in train.values() for word in words} - gone)
    known_text = {u: [word for word in words if args.in_text or word not in gone] for u, words in train.items()}
    data = _data(args, "words", known_text)
    _run("lang subwords", data, args.work / "lang", lang, "--dictionary", dictionary, "--pieces", args.pieces)
    speller, rng = Speller(Lang.read(lang).pieces), random.Random(0)
    spelled = [" ".join(speller.spell(word)) or "<unk>" for word in left]
    text = train
    if not args.in_text:
        text = {u: [rng.choice(spelled) if word in gone else word for word in words] for u, words in train.items()}
    _run("lang lm", _data(args, "text_open", text), lang, lm, "--order", args.order, "--dictionary", dictionary)
    return lang, lm


def _data(args: argparse.Namespace, name: str, text: Transcripts) -> Path:
    """A data directory with a text and no audio."""
    folder = args.work / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "wav.scp").write_text("".join(f"{utterance} true |\n" for utterance in text))
    (folder / "text").write_text("".join(f"{u} {' '.join(words) or '<unk>'}\n" for u, words in text.items()))
    return folder


def _recognise(
    args: argparse.Namespace, name: str, lang: Path, lm: Path, texts: dict[str, Transcripts], gone: set[str]
) -> dict[str, Any]:
    """Tuned on half of dev, scored on all the rest."""
    model, work = args.exp / args.model, args.work / name
    halves = {}
    for number, half in enumerate(("tune", "judge")):
        halves[half] = args.work / f"dev_{half}"
        halves[half].mkdir(exist_ok=True)
        subset(args.data / "fbank/dev", halves[half], FrameArchive(args.data / "fbank/dev").utterances[number::2])
    graph = ("--graph", work / "graph")
    tuning = (lang, lm, args.data / "corpus/dev", work / "tuned", *BEAMS, *graph)
    _run("decode tune", model, halves["tune"], *tuning)
    reference: Transcripts = {}
    hypotheses: Transcripts = {}
    for part in SETS:
        features = halves["judge"] if part == "dev" else args.data / "fbank" / part
        settings = ("--tuned", work / "tuned", *BEAMS, *graph)
        _run("decode run", model, features, lang, lm, work / part, *settings)
        found = read_transcripts(work / part / "hyp.txt")
        hypotheses |= found
        reference |= {utterance: texts[part][utterance] for utterance in found}
    unknown = oov_errors(reference, hypotheses, {word for words in reference.values() for word in words} - gone)
    return {
        "wer": round(score(reference, hypotheses).total.percent, 2),
        "oov": unknown["words"],
        "oov_wrong_percent": round(unknown["rate"], 2),
        "rtf": json.loads((work / "test_unseen/decode.json").read_text())["rtf"],
    }


def _run(name: str, *words: Any) -> None:
    subprocess.run(asrdistill(*name.split(), *words), check=True)


if __name__ == "__main__":
    main()
