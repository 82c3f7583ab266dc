import gzip
import itertools
import json
import math
import random
from collections import Counter, defaultdict

import numpy as np
import pytest

from asrdistill.cli import main
from asrdistill.lang.lexicon import LINK
from asrdistill.lang.ngram import END, START, UNKNOWN, Level, NGram, perplexity, read_arpa, train, write_arpa
from tests.refusals import assert_refused, refused

WORDS = ["a", "b", "c", "d", "e"]


def make_text(sentences=300, seed=0):
    """Sentences of a random bigram chain, so that some n-grams are frequent and many are rare."""
    rng = random.Random(seed)
    follow = {word: rng.choices(WORDS, k=4) for word in WORDS}
    text = []
    for _ in range(sentences):
        sentence = [rng.choice(WORDS)]
        while rng.random() < 0.8:
            sentence.append(rng.choice(WORDS) if rng.random() < 0.2 else rng.choice(follow[sentence[-1]]))
        text.append(" ".join(sentence))
    return text


class PlainKneserNey:
    """Chen and Goodman's interpolated modified Kneser-Ney, in dictionaries, straight from the formulas."""

    def __init__(self, text, vocabulary, order, prune=(0,)):
        self.order, self.size = order, len(vocabulary) + 1  # with </s>
        sentences = [(START, *sentence.split(), END) for sentence in text]
        grams = {
            n: Counter(s[i : i + n] for s in sentences for i in range(len(s) - n + 1)) for n in range(1, order + 1)
        }
        self.counts = {order: grams[order]}
        for n in range(1, order):
            before = defaultdict(set)
            for gram in grams[n + 1]:
                before[gram[1:]].add(gram[0])
            self.counts[n] = {g: c if g[0] == START else len(before[g]) for g, c in grams[n].items()}
        self.counts[1].pop((START,), None)
        least = [*prune, *[prune[-1]] * order]
        self.pruned = {gram for n in range(2, order + 1) for gram, c in grams[n].items() if c <= least[n - 1]}
        self.discounts = {n: self.discount(counts) for n, counts in self.counts.items()}
        self.following = {n: defaultdict(list) for n in self.counts}
        for n, counts in self.counts.items():
            for gram, count in counts.items():
                self.following[n][gram[:-1]].append((count, gram in self.pruned))

    @staticmethod
    def discount(counts):
        n = Counter(counts.values())
        if not all(n[k] for k in (1, 2, 3, 4)):
            return [0, 0.5, 1, 1.5]
        y = n[1] / (n[1] + 2 * n[2])
        found = [0, *(k - (k + 1) * y * n[k + 1] / n[k] for k in (1, 2, 3))]
        return found if all(0 < d <= k for k, d in enumerate(found) if k) else [0, 0.5, 1, 1.5]

    def probability(self, word, history):
        history = tuple(history)
        if len(history) >= self.order:
            history = history[len(history) - self.order + 1 :]
        n = len(history) + 1
        lower = self.probability(word, history[1:]) if history else 1 / self.size
        counts = self.following[n][history]
        if not counts:
            return lower
        discount = self.discounts[n]
        count = self.counts[n].get((*history, word), 0)
        left = sum(c if pruned else discount[min(c, 3)] for c, pruned in counts)  # a pruned one gives all away
        own = 0 if (*history, word) in self.pruned else max(count - discount[min(count, 3)], 0)
        return (own + left * lower) / sum(c for c, _ in counts)


def histories(length):
    return [h for n in range(length + 1) for h in itertools.product([START, *WORDS], repeat=n) if START not in h[1:]]


@pytest.mark.parametrize("prune", [[0], [0, 1], [0, 2, 4]])
@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_equals_the_formulas(order, prune):
    text = make_text()
    model, plain = train(text, WORDS, order, prune), PlainKneserNey(text, WORDS, order, prune)
    for history in histories(order - 1):
        for word in [*WORDS, END]:
            assert math.exp(model.logprob(word, history)) == pytest.approx(plain.probability(word, history), rel=1e-9)


@pytest.mark.parametrize("prune", [[], [0, 1, 3]])
@pytest.mark.parametrize(("order", "sentences"), [(1, 300), (2, 300), (3, 300), (4, 40), (3, 2)])
def test_sums_to_one_after_any_history(order, sentences, prune):
    model = train(make_text(sentences), [*WORDS, "never", "seen"], order, prune)
    for history in [*histories(3), ("never", "a"), ("a", "never"), ("b", "unheard")]:
        total = sum(math.exp(model.logprob(word, history)) for word in model.vocabulary)
        assert total == pytest.approx(1, abs=1e-9), history


def may_follow(history, words):
    """The words that go on an open word, or those that begin one."""
    opened = bool(history) and history[-1].endswith(LINK)
    return [word for word in words if word.startswith(LINK) == opened]


PIECES = [f"un{LINK}", f"re{LINK}", f"{LINK}do{LINK}", f"{LINK}it", f"{LINK}ed"]
SPELLED = [f"a un{LINK} {LINK}do{LINK} {LINK}ed b", f"re{LINK} {LINK}ed a b", f"b a un{LINK} {LINK}it", "a b"] * 3


@pytest.mark.parametrize("spellings", [[], [f"re{LINK} {LINK}do{LINK} {LINK}it", f"un{LINK} {LINK}do{LINK} {LINK}it"]])
@pytest.mark.parametrize("order", [2, 3, 4])
def test_continuations_inside_and_after_words_sum_to_one(order, spellings):
    words = ["a", "b", *PIECES]
    model = train(SPELLED, words, order, spellings=spellings)
    for length in range(1, 4):
        for history in itertools.product([START, *words], repeat=length):
            following = may_follow(history, model.vocabulary)
            assert sum(math.exp(model.logprob(word, history)) for word in following) == pytest.approx(1, abs=1e-9)


def test_spellings_teach_how_words_go_on_and_not_where_they_stand():
    spellings = [f"re{LINK} {LINK}do{LINK} {LINK}it"] * 5
    model, taught = (train(SPELLED, ["a", "b", *PIECES], 3, spellings=more) for more in ([], spellings))
    for history in ((START,), ("a",), ("b", "a"), (f"{LINK}ed",)):
        for word in may_follow(history, model.vocabulary):
            assert taught.logprob(word, history) == pytest.approx(model.logprob(word, history)), (history, word)
    go_on = f"{LINK}do{LINK}", ("a", f"re{LINK}")
    assert taught.logprob(*go_on) > model.logprob(*go_on) + 1


def test_pruning_removes_rare_ngrams():
    whole, pruned = (train(["a b c"] * 3 + ["a b d", "b c"], WORDS, 3, prune) for prune in ([0], [0, 1]))
    assert ("a", "b", "c") in pruned.levels[2]
    assert set(whole.levels[2]) - set(pruned.levels[2]) == {
        ("a", "b", "d"), ("b", "d", END), (START, "b", "c")
    }  # fmt: skip
    assert list(pruned.levels[0]) == list(whole.levels[0])
    assert pruned.logprob("d", ["a", "b"]) == pytest.approx(
        pruned.levels[1]["a", "b"][1] + pruned.logprob("d", ["b"]), rel=1e-12
    )


def test_words_outside_of_the_vocabulary():
    open_model = train(["a b", "a x", "x y b"], ["a", "b"], 2)
    assert UNKNOWN in open_model.vocabulary
    assert open_model.logprob("x", ["a"]) == open_model.logprob("zz", ["a"]) > -math.inf
    closed = train(["a b", "b a"], ["a", "b", "c"], 2)
    assert UNKNOWN not in closed.vocabulary
    assert closed.logprob("zz", ["a"]) == -math.inf
    assert closed.logprob("c", ["a"]) > -math.inf
    assert sum(math.exp(open_model.logprob(w, ["x"])) for w in open_model.vocabulary) == pytest.approx(1)


def test_perplexity_of_a_uniform_model():
    logprob = np.array([-99.0, *np.log([1 / 4] * 4)])
    model = NGram([Level(None, [START, "a", "b", "c", END], np.arange(5), logprob, np.zeros(5))])
    assert perplexity(model, ["a b c", "c c x", ""]) == pytest.approx((4.0, 6, 1))


def test_empty_text_and_order_are_refused():
    with refused("text"):
        train([], WORDS, 3)
    with refused("order", "0"):
        train(["a"], WORDS, 0)


@pytest.fixture
def arpa(tmp_path):
    path = tmp_path / "lm.arpa"
    write_arpa(train(make_text(), WORDS, 3), path)
    return path


def same(a, b):
    assert [level.keys() for level in a.levels] == [level.keys() for level in b.levels]
    for one, two in zip(a.levels, b.levels, strict=True):
        for gram in one:
            assert one[gram] == pytest.approx(two[gram], abs=1e-6)


def test_round_trip(arpa):
    same(read_arpa(arpa), train(make_text(), WORDS, 3))


def test_gzip_and_line_ends(arpa, tmp_path):
    packed, dos = tmp_path / "lm.arpa.gz", tmp_path / "dos.arpa"
    packed.write_bytes(gzip.compress(arpa.read_bytes()))
    dos.write_bytes(arpa.read_bytes().replace(b"\n", b"\r\n"))
    same(read_arpa(packed), read_arpa(arpa))
    same(read_arpa(dos), read_arpa(arpa))


def test_the_order_of_the_lines_does_not_matter(arpa, tmp_path):
    sections = arpa.read_text().split("\n\n")
    mixed = [sections[0]]
    for title, *entries in (section.split("\n") for section in sections[1:-1]):
        random.Random(0).shuffle(entries)
        mixed.append("\n".join([title, *entries, ""]))
    (tmp_path / "mixed.arpa").write_text("\n".join([*mixed, sections[-1]]))
    found, expected = read_arpa(tmp_path / "mixed.arpa"), read_arpa(arpa)
    assert found.symbols != expected.symbols
    for one, two in zip(found.levels, expected.levels, strict=True):
        assert dict(one) == dict(two)


def test_a_length_without_ngrams(tmp_path):
    (tmp_path / "lm.arpa").write_text(
        SMALL.replace("ngram 2=1", "ngram 2=1\nngram 3=0").replace("\\end", "\\3-grams:\n\n\\end")
    )
    model = read_arpa(tmp_path / "lm.arpa")
    assert [len(level) for level in model.levels] == [3, 1, 0]
    assert model.logprob("a", [START]) == pytest.approx(-0.2 * math.log(10))


def test_damaged_gzip_is_refused(arpa, tmp_path):
    packed = tmp_path / "lm.arpa.gz"
    packed.write_bytes(gzip.compress(arpa.read_bytes())[:-100])
    with refused(packed):
        read_arpa(packed)
    packed.write_bytes(b"no gzip at all")
    with refused(packed):
        read_arpa(packed)


SMALL = """\\data\\
ngram 1=3
ngram 2=1

\\1-grams:
-99\t<s>\t-0.3
-0.3\t</s>
-0.3\ta\t-0.1

\\2-grams:
-0.2\t<s> a

\\end\\
"""


@pytest.mark.parametrize(
    ("old", "new", "names"),
    [
        ("ngram 2=1", "ngram 2=7", ["7 2-grams", "1"]),
        ("ngram 2=1", "ngram 2=one", ["line 3", "'ngram 2=one'"]),
        ("ngram 2=1\n", "", ["line 9", r"'\2-grams:'"]),
        ("ngram 2=1", "ngram 2=1\nngram 3=4", ["3", "2"]),
        ("-0.3\ta", "nan\ta", ["line 8", "nan"]),
        ("-0.3\ta\t-0.1", "-0.3\ta\tnan", ["line 8", "nan"]),
        ("-0.3\ta\t-0.1", "-0.3\ta\tinf", ["line 8", "inf"]),
        ("-0.3\ta", "0.3\ta", ["line 8", "'0.3"]),
        ("-0.3\ta", "high\ta", ["line 8", "high"]),
        ("<s> a", "b a", ["line 11", "'b'"]),
        ("<s> a", "<s>", ["line 11", "'-0.2 <s>'"]),
        ("-0.2\t<s> a", "-0.2\t<s> a\n-0.2\t<s> a", ["line 12", "'<s> a'", "twice"]),
        ("\\end\\\n", "", [r"\end"]),
        ("\\2-grams:\n-0.2\t<s> a\n\n\\end\\\n", "", [r"\end"]),
        ("\\1-grams:", "", ["line 6"]),
        ("\\2-grams:", "\\3-grams:", [r"'\3-grams:'"]),
        ("<s> a", "<s> b", ["line 11", "'b'", "1-grams"]),
        ("-0.3\ta", "-0.3\t</s>", ["line 8", "'</s>'", "twice"]),
        ("-0.3\ta", "-0.3\t\udcff", ["utf-8"]),
        ("\\data\\", "", [r"\data"]),
    ],
)
def test_bad_arpa_files_are_refused(tmp_path, old, new, names):
    path = tmp_path / "lm.arpa"
    path.write_text(SMALL)
    assert read_arpa(path).order == 2
    assert old in SMALL
    path.write_text(SMALL.replace(old, new), errors="surrogateescape")
    with refused(path, *names):
        read_arpa(path)


def test_a_back_off_that_is_missing_is_one(tmp_path):
    """A history without a weight backs off at no cost, as in KenLM and SRILM."""
    (tmp_path / "lm.arpa").write_text(SMALL.replace("<s>\t-0.3", "<s>"))
    model = read_arpa(tmp_path / "lm.arpa")
    assert model.logprob("</s>", [START]) == pytest.approx(-0.3 * math.log(10))
    assert model.logprob("a", [START]) == pytest.approx(-0.2 * math.log(10))


def test_missing_and_binary_files_are_refused(tmp_path):
    with refused(tmp_path / "nowhere.arpa"):
        read_arpa(tmp_path / "nowhere.arpa")
    (tmp_path / "noise").write_bytes(bytes(range(256)))
    with refused(tmp_path / "noise", r"\data"):
        read_arpa(tmp_path / "noise")


def assert_kenlm_agrees(arpa):
    """Both read the same log-probabilities of sentences; skips without KenLM."""
    kenlm = pytest.importorskip("kenlm")
    theirs, ours = kenlm.Model(str(arpa)), read_arpa(arpa)
    for sentence in make_text(20, seed=1):
        words = [START, *sentence.split(), END]
        logprob = sum(ours.logprob(word, words[:i]) for i, word in enumerate(words) if i)
        assert theirs.score(sentence) == pytest.approx(logprob / math.log(10), abs=1e-4)


def test_kenlm_agrees(arpa):
    assert_kenlm_agrees(arpa)


def test_falling_and_unigram_thresholds_are_refused(tmp_path, lang_and_data):
    lang, train_set, _ = lang_and_data
    for prune in (["1"], ["0", "2", "1"]):
        assert_refused(
            ["lang", "lm", str(train_set), str(lang), str(tmp_path / "lm"), "--prune", *prune], "--prune", "0"
        )


def test_lm_writes_the_model_and_its_perplexity(tmp_path, lang_and_data):
    lang, train_set, dev = lang_and_data
    out = tmp_path / "lm"
    assert main(["lang", "lm", str(train_set), str(lang), str(out), "--order", "2", "--test", str(dev)]) == 0
    measured = json.loads((out / "perplexity.json").read_text())["dev"]
    again = perplexity(read_arpa(out / "lm.arpa"), ["a cat"])
    assert (measured["words"], measured["oov"]) == (2, 0)
    assert measured["perplexity"] == pytest.approx(again.perplexity, rel=1e-5)
