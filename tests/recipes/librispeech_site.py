"""What the LibriSpeech recipe needs in its smallest form: speech, a site like OpenSLR's, small sizes of models.

site = make_site(folder / "site", queen_speech(folder))       # or spoken_phones()
conf = small_conf(folder / "conf", "full")
run.sh --conf conf --mirror URL --table site/librispeech.tsv …
"""

import random
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import amazon_queen
import numpy as np
import yaml

from asrdistill.data.directory import DataDirectory
from asrdistill.lang.dictionary import Dictionary, phones_of, read_dictionary
from asrdistill.lang.ngram import train, write_arpa
from tests.recipes.librispeech_corpus import RATE, Speech, make_corpus, speech_of

ROOT = Path(__file__).resolve().parents[2]
RECIPE = ROOT / "recipes/librispeech"
QUEEN = ROOT / "recipes/amazon_queen/data/small/download"  # where that recipe fetches it to
MINUTES = 12.0  # of the game's speech
HELD_OUT = 4  # utterances of each set but the train set: decoding takes most of the time

MINI = ("train-clean-5", "dev-clean-2", "test-clean")
FULL = ("train-clean-100", "dev-clean", "dev-other", "test-clean", "test-other")

# What the recipe's configuration is changed to.
GMM = {"iterations": 10}
NET = {"layers": 2, "width": 96, "batch": 256, "learning_rate": 2e-3, "threads": 1}
EPOCHS = {"mini": 5, "full": 9}  # the networks of --mini hear three copies
SMALL = {
    "mono_set": {"shortest": 60},
    "tri_set": {"utterances": 80},
    "lda_mllt_set": {"utterances": 100},
    "mono": {"gaussians": 250, **GMM},
    "tri": {"leaves": 200, "gaussians": 400, **GMM},
    "lda_mllt": {"leaves": 200, "gaussians": 500, **GMM},
    "sat": {"leaves": 200, "gaussians": 500, **GMM},
    "sat_100": {"leaves": 250, "gaussians": 600, **GMM},
    "sat_5": {"leaves": 250, "gaussians": 600, **GMM},
    "teacher": NET,
    "student": NET,
    "targets": {"keep": 40},
    "subwords": {"pieces": 100},
}
BEAMS = {
    "decode": {"beam": 13, "word_end_beam": 9, "max_active": 3000},
    "tune": {"beam": 10, "word_end_beam": 8, "max_active": 2000, "lattice_beam": 3},  # to a poor model all is near
}


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
    """Speech of three sets in LibriSpeech's parts; mini_librispeech has some of the same."""
    dev_clean, dev_other, test_clean, test_other = (said[i::2][:HELD_OUT] for said in (dev, test) for i in (0, 1))
    full = dict(zip(FULL, (train, dev_clean, dev_other, test_clean, test_other), strict=True))
    return full | dict(zip(MINI, (train, dev_clean, test_clean), strict=True))


def make_site(site: Path, said: Said) -> Path:
    """What the recipe fetches, below the new folder `site`; returns its table."""
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
    return make_corpus(site, said.parts, files)


def small_conf(folder: Path, size: str) -> Path:
    """A folder for --conf: the recipe's own of that size ("full" or "mini") with the smallest figures."""
    folder.mkdir()
    for path in (RECIPE / "conf" / size).glob("*.yaml"):
        own = yaml.safe_load(path.read_text()) | SMALL.get(path.stem, {})
        if "epochs" in own:
            own["epochs"] = EPOCHS[size]
        (folder / path.name).write_text(yaml.safe_dump(own))
    for name, beams in BEAMS.items():  # small models on a few words: wide beams find the same, later
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(beams))
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
