"""Words, phrases and grammars of a recogniser folder in which a tone is a word."""

import numpy as np
import pytest
import soundfile

import asrdistill
from asrdistill.cli import main
from asrdistill.lang.g2p import G2P
from asrdistill.lang.g2p_training import train_g2p
from asrdistill.lang.options import G2POptions
from tests.export.test_recogniser import RATE, TONES, recogniser, run, tuned, world
from tests.refusals import assert_names, only_line, refused
from tests.runtime.test_light import CLI, light

__all__ = ["recogniser", "tuned", "world"]


def beep(*tones: str) -> np.ndarray:
    """0.3 s of each tone without a pause, 0.2 s of noise around them."""
    time = np.arange(2400) / RATE
    parts = [np.zeros(1600), *(0.3 * np.sin(2 * np.pi * TONES[tone] * time) for tone in tones), np.zeros(1600)]
    samples = np.concatenate(parts)
    return (samples + 0.002 * np.random.default_rng(0).normal(size=len(samples))).astype(np.float32)


@pytest.fixture
def spelling(world):
    """A G2P model: l is L, h is H."""
    letters = {"l": "L", "h": "H"}
    words = {word: [tuple(letters[x] for x in word)] for word in ("l", "h", "lh", "hl", "ll", "hh", "lhl", "hlh")}
    (world / "g2p").mkdir()
    train_g2p(words, G2POptions(order=2)).write(world / "g2p", {})
    return world / "g2p"


@pytest.fixture
def speller(tuned, world, spelling):
    assert run(world, "export", "model", "lang", "lm", "tuned", "speller", "--g2p", "g2p") == 0
    assert (world / "speller/README.md").read_text().startswith("# speller\n")
    return world / "speller"


def words_of(heard, samples) -> list[str]:
    stream = heard.stream(RATE)
    stream.accept(samples)
    return stream.finish().words


def test_an_added_word_is_recognised_in_streams_that_begin_later(recogniser):
    heard, sound = asrdistill.load(recogniser), beep("low", "high", "low")
    before = heard.stream(RATE)
    heard.add_words({"siren": "L H L"}, weight=5.0)
    assert words_of(heard, sound) == ["siren"]
    before.accept(sound)
    assert "siren" not in before.finish().words
    heard.add_words({"bell": ["H L H L", "H L"]}, weight=5.0)
    assert words_of(heard, sound) == ["siren"]
    assert words_of(heard, beep("high", "low")) == ["bell"]


def test_words_of_one_stream_are_not_those_of_another(recogniser):
    heard, sound = asrdistill.load(recogniser), beep("low", "high", "low")
    plain = heard.stream(RATE)
    other = heard.stream(RATE, words={"siren": "L H L"}, phrases={"siren": 5.0})
    for stream in (plain, other):
        stream.accept(sound)
    assert (plain.finish().words, other.finish().words) == (["low", "high", "low"], ["siren"])


def test_light_runtime_pronounces_words_by_the_folder_s_g2p(speller, world):
    soundfile.write(world / "lhl.wav", beep("low", "high", "low"), RATE)
    (world / "words.txt").write_text("lhl\n")
    (world / "phrases.txt").write_text("lhl\t5\n")
    (world / "grammar.txt").write_text("lhl\n[unk]\n")
    told = [f"--words={world / 'words.txt'}", f"--phrases={world / 'phrases.txt'}"]
    for more in ([], [f"--grammar={world / 'grammar.txt'}"]):
        printed = light(CLI, "transcribe", speller, world / "lhl.wav", *told, *more)
        assert printed.stdout == "lhl\n", printed.stderr


def test_a_grammar_allows_its_sentences_and_unk_alone(recogniser):
    heard, sound = asrdistill.load(recogniser), beep("high", "low", "high")
    for grammar in (["low high", "high low"], ["high", "low low"], ["low", "[unk]"]):
        found = words_of(heard.with_vocabulary(grammar=grammar), sound)
        while found:
            begin = next(sentence.split() for sentence in grammar if found[: len(sentence.split())] == sentence.split())
            found = found[len(begin) :]
    assert words_of(heard.with_vocabulary(grammar=["high low", "high"]), sound) == ["high", "low", "high"]
    assert words_of(heard.with_vocabulary(grammar=["low", "[unk]"]), beep("high", "high", "low")) == ["[unk]", "low"]


@pytest.mark.parametrize(
    ("wrong", "names"),
    [
        ({"words": ["bell"]}, ["bell", "--g2p"]),
        ({"words": {"bell": "L Q"}}, ["bell", "Q", "H L"]),
        ({"words": {"bell": " "}}, ["bell"]),
        ({"words": ["two words"]}, ["two words"]),
        ({"words": "bell"}, ["bell"]),
        ({"phrases": {"low bell": 1.0}}, ["low bell", "bell"]),
        ({"phrases": {"low": float("nan")}}, ["low", "nan"]),
        ({"phrases": [""]}, ["''"]),
        ({"grammar": []}, ["grammar"]),
        ({"grammar": ["low", ""]}, ["grammar"]),
        ({"grammar": ["low bell"]}, ["grammar", "bell"]),
    ],
)
def test_impossible_vocabulary_is_refused(recogniser, wrong, names):
    with refused(*names):
        asrdistill.load(recogniser).stream(RATE, **wrong)


def test_letters_that_the_g2p_model_lacks_are_refused(speller, world, capsys):
    with refused("'hxl'", "'x'"):
        asrdistill.load(speller).add_words(["hxl"])
    (world / "words.txt").write_text("lhl\nhxl\n")
    assert main(["transcribe", str(speller), str(world / "u1.wav"), "--words", str(world / "words.txt")]) == 2
    assert_names(only_line(capsys.readouterr().err.splitlines()[-1] + "\n"), "hxl")


@pytest.mark.parametrize(("name", "line"), [("words", "a\tL\tL"), ("phrases", "low\tmuch"), ("phrases", "\t3")])
def test_files_are_refused_with_their_line(recogniser, world, capsys, name, line):
    (world / "list.txt").write_text(f"low\n{line}\n")
    assert main(["transcribe", str(recogniser), str(world / "u1.wav"), f"--{name}", str(world / "list.txt")]) == 2
    assert_names(capsys.readouterr().err, world / "list.txt", "line 2")


def test_g2p_of_other_phones_is_refused_at_export(tuned, world, capsys):
    (world / "g2p").mkdir()
    train_g2p({"l": [("L",)], "q": [("QQ",)], "lq": [("L", "QQ")]}, G2POptions(order=2)).write(world / "g2p", {})
    assert isinstance(G2P.read(world / "g2p"), G2P)
    assert run(world, "export", "model", "lang", "lm", "tuned", "out", "--g2p", "g2p") == 2
    assert_names(capsys.readouterr().err, "QQ", world / "g2p")
