"""Text for language models as people have it: packed, with marks, in capitals, in other encodings."""

import gzip
import lzma

import pytest

from asrdistill.cli import main
from asrdistill.lang.lexicon import Lang
from asrdistill.lang.ngram import END, START, read_arpa
from asrdistill.lang.text import read_sentences
from tests.lang.conftest import write_data
from tests.refusals import assert_refused, refused

TEXT = "a cat\ncat a cat\n\na\n"
SENTENCES = ["a cat", "cat a cat", "a"]
FORMS = {
    "plain.txt": TEXT.encode(),
    "packed.txt.gz": gzip.compress(TEXT.encode()),
    "packed.txt.xz": lzma.compress(TEXT.encode()),
    "notepad.txt": b"\xef\xbb\xbf" + TEXT.replace("\n", "\r\n").encode(),
    "marked.txt": b"<s> a cat </s>\n<s> cat a cat\na </s>\n",
    "capitals.txt": b"<S> A CAT </S>\nCat a CAT\nA\n",
}


def train_on(lang, out, *arguments):
    assert main(["lang", "lm", *map(str, arguments), "--order", "2"]) == 0
    return read_arpa(out / "lm.arpa")


@pytest.mark.parametrize("name", FORMS)
def test_every_form_of_a_text_gives_the_same_model(tmp_path, lang_and_data, name):
    lang, _, _ = lang_and_data
    (tmp_path / "expected.txt").write_text("\n".join(SENTENCES))
    (tmp_path / name).write_bytes(FORMS[name])
    found = []
    for text in ("expected.txt", name):
        out = tmp_path / f"lm_{text}"
        found.append(train_on(lang, out, lang, out, "--text", tmp_path / text))
    for one, two in zip(found[0].levels, found[1].levels, strict=True):
        assert dict(one) == dict(two)
    assert found[0].symbols == [START, END, "a", "cat"]


def test_capitals_and_marks_in_a_data_directory_are_taken_as_meant(tmp_path, lang_and_data):
    lang, train_set, dev = lang_and_data
    capitals = write_data(tmp_path / "capitals", {"u1": "A CAT", "u2": "<s> CAT A CAT </s>"})
    one, two = (
        train_on(lang, tmp_path / f"lm_{folder.name}", folder, lang, tmp_path / f"lm_{folder.name}", "--test", dev)
        for folder in (train_set, capitals)
    )
    assert dict(one.levels[1]) == dict(two.levels[1])


def test_data_directories_and_files_add_up(tmp_path, lang_and_data):
    lang, train_set, dev = lang_and_data
    (tmp_path / "more.txt").write_text("cat cat\n")
    model = train_on(lang, tmp_path / "lm", train_set, dev, lang, tmp_path / "lm", "--text", tmp_path / "more.txt")
    assert {("cat", "a"), ("cat", "cat"), ("a", "cat")} <= set(model.levels[1])
    origin = (tmp_path / "lm/origin.txt").read_text()
    assert all(name in origin for name in ("train", "dev", "more.txt", f"{len(model.levels[1])} 2-grams"))


@pytest.mark.parametrize(("words", "known"), [("a cat", True), ("A CAT", True), ("A cat", False)])
def test_text_follows_the_case_of_the_vocabulary_if_it_has_one(tmp_path, words, known):
    (tmp_path / "lang").mkdir()
    Lang.build({word: [(1.0, ("AH",))] for word in words.split()}, ["AH"]).write(tmp_path / "lang")
    (tmp_path / "t.txt").write_text("A Cat\n")
    model = train_on(
        tmp_path / "lang", tmp_path / "lm", tmp_path / "lang", tmp_path / "lm", "--text", tmp_path / "t.txt"
    )
    assert (tuple(words.split()) in model.levels[1]) == known


@pytest.mark.parametrize(
    ("content", "names"),
    [
        ("a cat\nun café\n".encode("latin-1"), ["line 2", "UTF-8"]),
        (("a cat\n" * 5000).encode() + "é\n".encode("cp1252"), ["line 5001", "UTF-8"]),
        ("a cat\n".encode("utf-16"), ["line 1", "UTF-8"]),
        (b"a cat\na <s> cat\n", ["line 2", "<s>"]),
        (b"a cat </s> <s> a cat\n", ["line 1", "</s>"]),
        (b"", []),
        (b"\n \n", []),
    ],
)
def test_what_is_no_text_is_refused_with_its_line(tmp_path, lang_and_data, content, names):
    lang, _, _ = lang_and_data
    (tmp_path / "t.txt").write_bytes(content)
    arguments = ["lang", "lm", lang, tmp_path / "lm", "--text", tmp_path / "t.txt"]
    assert_refused(arguments, tmp_path / "t.txt", *names)
    (tmp_path / "t.txt.gz").write_bytes(gzip.compress(content))
    with refused(tmp_path / "t.txt.gz", *names):
        read_sentences(tmp_path / "t.txt.gz")


def test_truncated_xz_is_refused(tmp_path):
    (tmp_path / "t.xz").write_bytes(lzma.compress(TEXT.encode())[:-20])
    with refused(tmp_path / "t.xz"):
        read_sentences(tmp_path / "t.xz")
    (tmp_path / "t.xz").write_bytes(b"a cat\n")
    with refused(tmp_path / "t.xz"):
        read_sentences(tmp_path / "t.xz")


def test_text_without_a_known_word_is_refused(tmp_path, lang_and_data):
    lang, _, _ = lang_and_data
    (tmp_path / "t.txt").write_text("ein hund\n")
    assert_refused(["lang", "lm", lang, tmp_path / "lm", "--text", tmp_path / "t.txt"], "ein", "hund")
    assert_refused(["lang", "lm", lang, tmp_path / "lm"], "--text")


def test_a_byte_order_mark_is_no_letter_of_a_word(tmp_path):
    """In tables and dictionaries too."""
    data = write_data(tmp_path / "train", {"u1": "a cat", "u2": "cat"})
    (tmp_path / "d.txt").write_text("a\tAH\ncat\tK AE T\n")
    assert main(["lang", "build", str(data), str(tmp_path / "plain"), "--dictionary", str(tmp_path / "d.txt")]) == 0
    for path in (tmp_path / "d.txt", data / "text", data / "wav.scp"):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert main(["lang", "build", str(data), str(tmp_path / "marked"), "--dictionary", str(tmp_path / "d.txt")]) == 0
    assert Lang.read(tmp_path / "plain") == Lang.read(tmp_path / "marked")
