"""What the LibriSpeech recipe needs in its smallest form: speech, a site like OpenSLR's, small sizes of models.

site = book_site(folder / "site", SAMPLE)      # or make_site(folder / "site", queen_speech(folder) or spoken_phones())
conf = small_conf(folder / "conf", "mini", site.sizes)
run.sh --conf conf --mirror URL --table site/librispeech.tsv …
"""

import itertools
import os
import random
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import amazon_queen
import numpy as np
import yaml

from asrdistill.corpora.librispeech import CORPUS, DOCUMENTS
from asrdistill.data.directory import DataDirectory
from asrdistill.lang.dictionary import Dictionary, phones_of, read_dictionary
from asrdistill.lang.ngram import train, write_arpa
from asrdistill.reader import read_lines
from tests.recipes.librispeech_corpus import RATE, Speech, copy_part, make_corpus, offer_all, speech_of

ROOT = Path(__file__).resolve().parents[2]
RECIPE = ROOT / "recipes/librispeech"
QUEEN = ROOT / "recipes/amazon_queen/data/small/download"  # where that recipe fetches it to
MINUTES = 12.0  # of the game's speech
VOCABULARY = 10_000  # of the books
HELD_OUT = 4  # utterances of each set but the train set: decoding takes most of the time

# An hour of real books: a folder with sample/LibriSpeech, a lexicon and a 3-gram.
SAMPLE = Path(os.environ.get("LIBRISPEECH_SAMPLE", ROOT.parent / "shared/data/librispeech"))

MINI = ("train-clean-5", "dev-clean-2", "test-clean")
FULL = ("train-clean-100", "dev-clean", "dev-other", "test-clean", "test-other")

# What the recipe's configuration is changed to.
GMM = {"iterations": 10}
NET = {
    **{"width": 64, "left": 14, "right": 14, "dilations": [1, 1, 3, 3, 6], "chunk": 30, "batch": 300, "dropout": 0.0},
    **{"time_masks": 0, "frequency_masks": 0, "learning_rate": 4e-3, "phone_histories": 200, "threads": 1},
}
EPOCHS = {"mini": 8, "full": 9}  # the networks of --mini hear three copies
SMALL: dict[str, dict[str, Any]] = {
    "mono_set": {"shortest": 60},
    "tri_set": {"utterances": 80},
    "lda_mllt_set": {"utterances": 100},
    "mono": {"gaussians": 250, **GMM},
    "tri": {"leaves": 200, "gaussians": 400, **GMM},
    "lda_mllt": {"leaves": 200, "gaussians": 500, **GMM},
    "sat": {"leaves": 200, "gaussians": 500, **GMM},
    "sat_100": {"leaves": 250, "gaussians": 600, **GMM},
    "sat_5": {"leaves": 250, "gaussians": 600, **GMM},
    "low": {"leaves": 200},
    "teacher": NET,
    "student": NET,
    "subwords": {"pieces": 100},
    # Small models on a few words: wide beams find the same, later.
    "decode": {"beam": 13, "word_end_beam": 9, "max_active": 3000},
    "tune": {"beam": 10, "word_end_beam": 8, "max_active": 2000, "lattice_beam": 3},  # to a poor model all is near
}

# The same for 39 minutes of books.
BOOK_GMM = {"iterations": 15}
BOOK_NET = {"width": 256, "phone_histories": 200, "epochs": 3, "learning_rate": 3e-3, "batch": 800, "threads": 1}
BOOKS: dict[str, dict[str, Any]] = {
    "mono_set": {"shortest": 90},
    "tri_set": {"utterances": 180},
    "mono": {"gaussians": 400, "iterations": 20},
    "tri": {"leaves": 350, "gaussians": 1500, **BOOK_GMM},
    "lda_mllt": {"leaves": 400, "gaussians": 2000, **BOOK_GMM},
    "sat": {"leaves": 400, "gaussians": 2000, **BOOK_GMM},
    "sat_5": {"leaves": 450, "gaussians": 3000, **BOOK_GMM},
    "low": {"leaves": 500},
    "teacher": BOOK_NET,
    "student": BOOK_NET,
    "subwords": {"pieces": 300},
    "decode": {"beam": 12, "word_end_beam": 8, "max_active": 3000},
    "tune": {"beam": 10, "word_end_beam": 7, "max_active": 2000, "lattice_beam": 4},
}
BOOKS_WER = {"student": 60.0}


@dataclass(frozen=True)
class Site:
    """Files as OpenSLR has them, the sizes of models that suit their speech, and what these reach at least.

    `most` is the largest error rate by system, of `measures` together, percent.
    """

    folder: Path
    utterances: dict[str, int]  # of each part
    sizes: dict[str, dict[str, Any]]
    most: dict[str, float]
    measures: tuple[str, ...] = ("del", "sub")

    @property
    def table(self) -> Path:
        return self.folder / "librispeech.tsv"


@dataclass(frozen=True)
class Said:
    """Speech by its part, and a dictionary (lower case, no stress) that lacks some of its words.

    `right` is the share of the words of the sets that a system gets right at least, however small its models.
    """

    parts: dict[str, list[Speech]]
    dictionary: Dictionary
    right: dict[str, float]


def queen_speech(folder: Path) -> Said | None:
    """Some minutes of amazon_queen's real speech; None where the game cannot be fetched."""
    if amazon_queen.group.main(["download", str(QUEEN)]):
        return None
    corpus = folder / "queen"
    assert amazon_queen.group.main(["prepare", str(QUEEN / "queen.1c"), str(corpus), "--minutes", str(MINUTES)]) == 0
    sets, reader = {}, 100
    for name in ("train", "dev", "test", "test_unseen"):
        data = DataDirectory.read(corpus / name)
        sets[name] = [said for said in speech_of(data, reader) if said.text]
        reader += len(data.speakers)
    return Said(
        _divide(sets["train"], sets["dev"], [*sets["test"], *sets["test_unseen"]]),
        _cmudict(),
        {"student": 0.3, "sat": 0.08},
    )


def spoken_phones(utterances: int = 200) -> Said:
    """Random sentences in which each phone has two tones of its own: no speech, but as easily learnt as it is made."""
    dictionary, luck = _cmudict(), random.Random(0)
    phones = phones_of(dictionary)
    words = luck.sample([word for word, said in dictionary.items() if "'" not in word and 3 <= len(said[0]) <= 7], 60)
    unknown = words[-1]  # to the lexicon; G2P has to say it
    after = {word: luck.sample(words, 4) for word in words}
    sets: list[list[Speech]] = [[], [], []]
    for number in range(utterances):
        which = 0 if number < utterances * 0.6 else 1 + number % 2
        sentence = [luck.choice(words[:-1])]
        for _ in range(luck.randrange(2, 6)):
            sentence.append(luck.choice(after[sentence[-1]]))
        reader = 100 + 10 * which + number % (6 if which == 0 else 3)
        samples = _voice([dictionary[word][0] for word in sentence], phones, reader, luck)
        sets[which].append(Speech(reader, samples, " ".join(sentence).upper()))
    return Said(
        _divide(*sets),
        {word: said for word, said in dictionary.items() if word != unknown},
        dict.fromkeys(["student", "ensemble", "sat"], 0.8),
    )


def _voice(words: Iterable[Sequence[str]], phones: Sequence[str], reader: int, luck: random.Random) -> np.ndarray:
    """Samples (N,) of words: each phone lasts about a tenth of a second, each reader's tones are a little higher."""
    noise = np.random.default_rng(luck.randrange(2**32))
    pieces = [np.zeros(round(luck.uniform(0.1, 0.2) * RATE))]
    for word in words:
        for phone in word:
            place = phones.index(phone)
            time = np.arange(round(luck.uniform(0.07, 0.12) * RATE)) / RATE
            low, high = (f * (1 + 0.02 * (reader % 10)) for f in (300 * 1.3 ** (place % 7), 2000 * 1.2 ** (place // 7)))
            fade = np.minimum(1, np.minimum(time, time[::-1]) / 0.01)
            pieces.append(fade * (0.2 * np.sin(2 * np.pi * low * time) + 0.1 * np.sin(2 * np.pi * high * time)))
        pieces.append(np.zeros(round(luck.choice([0.0, 0.1]) * RATE)))
    samples = np.concatenate([*pieces, np.zeros(RATE // 10)])
    return (samples + 0.003 * noise.normal(size=len(samples))).astype(np.float32)


def _divide(train: list[Speech], dev: list[Speech], test: list[Speech]) -> dict[str, list[Speech]]:
    """Speech of three sets in LibriSpeech's parts; those of --mini have some of the same."""
    dev_clean, dev_other, test_clean, test_other = (said[i::2][:HELD_OUT] for said in (dev, test) for i in (0, 1))
    full = dict(zip(FULL, (train, dev_clean, dev_other, test_clean, test_other), strict=True))
    return full | dict(zip(MINI, (train, dev_clean, test_clean), strict=True))


def make_site(site: Path, said: Said) -> Site:
    """What the recipe fetches, below the new folder `site`."""
    site.mkdir()
    heard = {word for speech in said.parts.values() for one in speech for word in one.text.lower().split()}
    words = sorted(heard & said.dictionary.keys()) + sorted(said.dictionary.keys() - heard)[::5000]
    texts = {part: [one.text for one in speech] for part, speech in said.parts.items() if part in FULL}
    everything = [text for part in texts.values() for text in part]  # or so few words would hardly be recognised
    files = {
        "lexicon": "".join(f"{word.upper()}\t{_stressed(v)}\n" for word in words for v in said.dictionary[word]),
        "lm-3-small": _arpa(everything, words, 2, [0]),  # worse than the others
        "lm-3-medium": _arpa(everything, words, 3, [0]),
        "lm-4": _arpa(everything, words, 4, [0]),
    }
    make_corpus(site, said.parts, files)
    counts = {part: len(speech) for part, speech in said.parts.items()}
    return Site(site, counts, SMALL, {name: 100 * (1 - share) for name, share in said.right.items()})


def book_site(site: Path, sample: Path) -> Site:
    """What the recipe fetches with --mini, of real books, below the new folder `site`.

    The language models are the sample's, cut to its most frequent words and those of the train set: of the smaller one
    only the bigrams stay. The texts of the sets are in none of them.
    """
    root, corpus = site / CORPUS, sample / "sample" / CORPUS
    root.mkdir(parents=True)
    for name in DOCUMENTS:
        shutil.copyfile(corpus / name, root / name)
    for part in MINI:
        copy_part(corpus, root, part, shortest=part == MINI[1])
    said = [line.split()[1:] for path in (root / MINI[0]).rglob("*.trans.txt") for line in read_lines(path)]
    entries = [(line.split()[0], line) for line in read_lines(sample / "librispeech-lexicon.txt")]
    ngrams = list(read_lines(sample / "3-gram.pruned.3e-7.arpa.gz"))
    grams = [line.split("\t") for line in ngrams[: ngrams.index("\\2-grams:")] if line.startswith("-")]
    frequent = [word for _, word, *_ in sorted(grams, key=lambda gram: -float(gram[0]))[:VOCABULARY]]
    words = {word for word, _ in entries} & {*frequent, *itertools.chain(*said)}
    files = {
        "lexicon": "".join(f"{line}\n" for word, line in entries if word in words),
        "lm-3-small": _cut_arpa(ngrams, words, 2),
        "lm-3-medium": _cut_arpa(ngrams, words, 3),
    }
    offer_all(site, MINI, files)
    return Site(site, {part: len(list((root / part).rglob("*.flac"))) for part in MINI}, BOOKS, BOOKS_WER, ("wer",))


def _cut_arpa(lines: list[str], words: set[str], orders: int) -> str:
    """The n-grams up to an order of an ARPA file that have these words alone."""
    known, levels = words | {"<s>", "</s>", "<unk>"}, list[list[str]]()
    for line in lines:
        if line.endswith("-grams:"):
            levels.append([])
        elif line.startswith("-") and known.issuperset(line.split("\t")[1].split()):
            levels[-1].append(line if len(levels) < orders else "\t".join(line.split("\t")[:2]))
    levels = levels[:orders]
    head = "".join(f"ngram {n}={len(level)}\n" for n, level in enumerate(levels, 1))
    body = "".join(f"\n\\{n}-grams:\n" + "\n".join(level) + "\n" for n, level in enumerate(levels, 1))
    return f"\\data\\\n{head}{body}\n\\end\\\n"


def small_conf(folder: Path, size: str, sizes: dict[str, dict[str, Any]]) -> Path:
    """A folder for --conf: the recipe's own of that size ("full" or "mini") with the figures of `sizes`."""
    folder.mkdir()
    for path in (RECIPE / "conf" / size).glob("*.yaml"):
        own = yaml.safe_load(path.read_text()) | sizes.get(path.stem, {})
        if "epochs" in own and "epochs" not in sizes[path.stem]:
            own["epochs"] = EPOCHS[size]
        (folder / path.name).write_text(yaml.safe_dump(own))
    for name in ("decode", "tune"):
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(sizes[name]))
    return folder


def _cmudict() -> Dictionary:
    """CMUdict's words of letters and apostrophes, which are all that LibriSpeech's lexicon has."""
    found = read_dictionary(ROOT / "data/cmudict.txt.gz")
    return {word: said for word, said in found.items() if word.replace("'", "").isalpha()}


def _stressed(phones: Sequence[str]) -> str:
    """The phones as LibriSpeech's lexicon has them: a digit after each vowel."""
    return " ".join(phone + ("1" if phone[0] in "AEIOU" else "") for phone in phones)


def _arpa(texts: list[str], words: list[str], order: int, prune: list[int]) -> str:
    """An ARPA file of n-grams in capitals."""
    model = train(texts, [word.upper() for word in words], order, prune)
    with tempfile.TemporaryDirectory() as folder:
        write_arpa(model, Path(folder) / "lm.arpa")
        return (Path(folder) / "lm.arpa").read_text().replace("<unk>", "<UNK>")
