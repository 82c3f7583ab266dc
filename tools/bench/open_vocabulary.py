"""Words that no lexicon holds: a closed vocabulary against one that is open by subwords, side by side.

Half of a corpus' different words are taken away: the rarest ones by default, as they are where a vocabulary is
cut, or any (--random SEED). Nothing but the acoustic model keeps anything of them: they are gone from the lexicon,
from the dictionary that says how pieces are pronounced, from the words that sentencepiece is trained on, and from the
text of the language models. There <unk> stands in their place, or, for the open vocabulary, some other word of
those that are left, spelled in pieces: where unknown words stand is known, but not which. With --in-text the open
vocabulary's text and sentencepiece keep the words: no lexicon or dictionary holds them, but they have been read.
Scales are tuned on every second utterance of dev and all figures are of the other ones and of the test sets. The
last line is JSON.

Example:
  cd recipes/amazon_queen; python ../../tools/bench/open_vocabulary.py data/default exp/default student.0 /tmp/open
"""

import argparse
import dataclasses
import gzip
import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

from asrdistill import cli
from asrdistill.data.archive import FrameArchive, subset
from asrdistill.lang.dictionary import read_dictionary
from asrdistill.lang.lexicon import Lang
from asrdistill.lang.subwords import Speller
from asrdistill.scoring.oov import oov_errors
from asrdistill.scoring.wer import Transcripts, read_transcripts, score

ROOT = Path(__file__).resolve().parents[2]
SETS = ("dev", "test", "test_unseen")
# Wider than for whole words: pieces end within words, where the word end beam must cut no closer than the beam, and
# with narrow ones the scales that win are those of few pieces.
BEAMS = ("--beam", 14, "--word-end-beam", 13, "--max-active", 40_000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the recipe's data folder")
    parser.add_argument("exp", type=Path, help="its experiment folder")
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
    print(json.dumps(figures))


def _taken_away(texts: dict[str, Transcripts], seed: int | None) -> set[str]:
    """Half of the different words of all sets."""
    words = sorted({word for transcripts in texts.values() for words in transcripts.values() for word in words})
    if seed is not None:
        return set(random.Random(seed).sample(words, len(words) // 2))
    times = Counter(word for words in texts["train"].values() for word in words)
    return set(sorted(words, key=lambda word: (times[word], word))[: len(words) // 2])


def _closed(args: argparse.Namespace, train: Transcripts, gone: set[str]) -> tuple[Path, Path]:
    """Lexicon and trigram of the words that are left."""
    lang, lm = args.work / "lang", args.work / "lm"
    whole = Lang.read(args.data / "lang_counts")
    left = {word: entries for word, entries in whole.pronunciations.items() if word not in gone}
    lang.mkdir(parents=True, exist_ok=True)
    dataclasses.replace(whole, words=sorted(left), pronunciations=left).write(lang)
    text = {utterance: ["<unk>" if word in gone else word for word in words] for utterance, words in train.items()}
    data = _data(args, "text", text)
    _run("lm", data, lang, lm, "--order", 3)
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
    _run("subwords", data, args.work / "lang", lang, "--dictionary", dictionary, "--pieces", args.pieces)
    speller, rng = Speller(Lang.read(lang).pieces), random.Random(0)
    spelled = [" ".join(speller.spell(word)) or "<unk>" for word in left]
    text = train
    if not args.in_text:
        text = {u: [rng.choice(spelled) if word in gone else word for word in words] for u, words in train.items()}
    _run("lm", _data(args, "text_open", text), lang, lm, "--order", args.order, "--dictionary", dictionary)
    return lang, lm


def _data(args: argparse.Namespace, name: str, text: Transcripts) -> Path:
    """A data directory with a text and nothing to hear."""
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
    _run("tune", model, halves["tune"], *tuning)
    said: Transcripts = {}
    heard: Transcripts = {}
    for part in SETS:
        features = halves["judge"] if part == "dev" else args.data / "fbank" / part
        settings = ("--tuned", work / "tuned", *BEAMS, *graph)
        _run("decode", model, features, lang, lm, work / part, *settings)
        found = read_transcripts(work / part / "hyp.txt")
        heard |= found
        said |= {utterance: texts[part][utterance] for utterance in found}
    unknown = oov_errors(said, heard, {word for words in said.values() for word in words} - gone)
    return {
        "wer": round(score(said, heard).total.percent, 2),
        "oov": unknown["words"],
        "oov_wrong_percent": round(unknown["rate"], 2),
        "rtf": json.loads((work / "test_unseen/decode.json").read_text())["rtf"],
    }


def _run(*command: Any) -> None:
    if code := cli.main([str(part) for part in command]):
        raise SystemExit(code)


if __name__ == "__main__":
    main()
