import itertools
import json
import math
import random

import numpy as np
import pytest

from asrdistill.cli import main
from asrdistill.lang.g2p import G2P
from asrdistill.lang.g2p_training import CHUNKS, is_held_out, measure, train_g2p
from asrdistill.lang.options import G2POptions
from tests.refusals import assert_names, refused

OPTIONS = G2POptions(order=4)
SOUNDS = {"a": "AE", "e": "EH", "o": "AA", "b": "B", "t": "T", "n": "N", "s": "S", "h": "HH", "x": "K S"}


def spoken(word):
    """The planted spelling: sh is SH, x is K S, a final e is silent, every other letter its sound."""
    word = word.removesuffix("e") if len(word) > 2 else word
    sounds, i = [], 0
    while i < len(word):
        pair = word[i : i + 2] == "sh"
        sounds.append("SH" if pair else SOUNDS[word[i]])
        i += 1 + pair
    return tuple(" ".join(sounds).split())


def planted(words, seed=0):
    rng = random.Random(seed)
    syllables = [
        "".join(s) for s in itertools.product(["b", "t", "n", "s", "sh", "h", "x"], "aeo", ["", "b", "t", "n"])
    ]
    found = {}
    while len(found) < words:
        word = "".join(rng.choices(syllables, k=rng.randint(1, 3)))
        word += "e" if word[-1] in "btn" and rng.random() < 0.4 else ""
        found[word] = [spoken(word)]
    return found


def step(node, symbol, tree):
    """(ln P(symbol | n-gram of the node), the longest n-gram after it that has children), slowly."""
    score = 0.0
    while True:
        children = range(tree.children[node], tree.children[node + 1]) if node >= 0 else ()
        found = next((child for child in children if tree.token[child] == symbol), symbol if node < 0 else -1)
        if found >= 0:
            break
        score, node = score + tree.backoff[node], tree.suffix[node]
    score += tree.logprob[found]
    while found >= 0 and tree.children[found] == tree.children[found + 1]:
        found = tree.suffix[found]
    return score, found


@pytest.fixture(scope="module")
def model():
    return train_g2p({word: p for word, p in planted(1500).items() if not is_held_out(word)}, OPTIONS)


def test_planted_spelling_is_learnt(model):
    fresh = {word: p for word, p in planted(400, seed=1).items() if word not in planted(1500)}
    assert len(fresh) > 100
    assert measure(model, fresh)["phone_error_rate"] < 0.5
    assert model.pronounce("shaxote")[0][1] == ("SH", "AE", "K", "S", "AA", "T")


def test_planted_graphones_are_found(model):
    assert ("sh", ("SH",)) in model.graphones
    assert ("x", ("K", "S")) in model.graphones
    assert ("e", ()) in model.graphones
    assert {(len(letters), len(phones)) for letters, phones in model.graphones} <= set(CHUNKS)


def test_probabilities_sum_to_one_in_any_state(model):
    symbols = range(1, len(model.graphones) + 2)
    for node in [-1, 0, *np.random.default_rng(0).integers(0, len(model.tree.token), 20)]:
        total = sum(math.exp(step(node, symbol, model.tree)[0]) for symbol in symbols)
        assert total == pytest.approx(1, abs=1e-5)


def test_search_finds_the_best_of_all(model):
    """Against every way to cut the word, each scored token by token."""

    def cuts(word):
        if not word:
            yield ()
        for token, (letters, _) in enumerate(model.graphones, 2):
            if word.startswith(letters):
                yield from ((token, *rest) for rest in cuts(word[len(letters) :]))

    for word in ("shone", "bax", "tesh"):
        total = {}
        for cut in cuts(word):
            node, logprob = 0, 0.0
            for token in (*cut, 1):
                gain, node = step(node, token, model.tree)
                logprob += gain
            phones = tuple(phone for token in cut for phone in model.graphones[token - 2][1])
            total[phones] = total.get(phones, 0) + math.exp(logprob)
        assert model.pronounce(word)[0][1] == max(total, key=total.__getitem__)


def test_two_pronunciations_where_the_dictionary_wavers():
    dictionary = {word: [p, tuple("OW" if s == "AA" else s for s in p)] for word, p in
                  ((word, variants[0]) for word, variants in planted(300).items())}  # fmt: skip
    found = train_g2p(dictionary, OPTIONS).pronounce("not")
    assert {phones for _, phones in found} == {("N", "AA", "T"), ("N", "OW", "T")}
    assert sum(probability for probability, _ in found) == pytest.approx(1)


def test_unknown_letters_are_refused(model):
    with refused("'boz'", "'z'"):
        model.pronounce("boz")


def test_a_held_out_word_with_a_new_letter_is_all_wrong(model):
    rates = measure(model, {"baq": [("B", "AE", "K")], "ba": [("B", "AE")]})
    assert rates == {"words": 2, "phones": 5, "phone_error_rate": 60.0, "word_error_rate": 50.0}


def test_empty_word_is_refused(model):
    with refused("''"):
        model.pronounce("")


def test_entries_without_alignment_are_a_warning(caplog):
    with caplog.at_level("INFO", logger="asrdistill"):
        train_g2p({"bat": [("B", "AE", "T")], "tb": [("T", "IY", "B", "IY", "T", "AA")]}, OPTIONS)
    assert_names(caplog.text, "1 entries", "tb")
    with refused("G2P"):
        train_g2p({"tb": [("T", "IY", "B", "IY", "T", "AA")]}, OPTIONS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("g2p")
    lines = (f"{word}\t{' '.join(p[0])}\n" for word, p in planted(1500).items())
    (place / "dictionary.txt").write_text("".join(lines))
    assert main(["lang", "g2p", str(place / "dictionary.txt"), str(place / "model"), "--order", "4"]) == 0
    return place / "model"


def test_the_verb(folder, model):
    meta = json.loads((folder / "meta.json").read_text())
    assert meta["held_out"]["phone_error_rate"] < 5
    assert meta["held_out"]["words"] + meta["words"] == 1500
    read = G2P.read(folder)
    assert read.graphones == model.graphones
    assert read.pronounce("shaxote") == model.pronounce("shaxote")


@pytest.mark.parametrize(
    ("file", "name"), [("ngrams.safetensors", "G2P"), ("graphones.txt", "graphones"), ("meta.json", "meta.json")]
)
def test_damaged_models_are_refused(folder, tmp_path, file, name):
    for path in folder.iterdir():
        data = path.read_bytes()
        (tmp_path / path.name).write_bytes(data[: len(data) // 2] if path.name == file else data)
    with refused(name):
        G2P.read(tmp_path)
    with refused(tmp_path / "nowhere"):
        G2P.read(tmp_path / "nowhere")
