"""Search graphs saved in a folder."""

import logging
import pickle
from pathlib import Path

import numpy as np
import pytest

from asrdistill import parallel
from asrdistill.decode import graph as module
from asrdistill.decode.decoder import Decoder
from asrdistill.decode.graph import PARTS, SearchGraph, compile_graph, keep_grammar, keep_graph, read_grammar
from asrdistill.decode.lm import compile_grammar
from asrdistill.decode.options import DecodeOptions
from asrdistill.hmm.senones import Senones
from asrdistill.lang.lexicon import Lang
from asrdistill.lang.ngram import read_arpa, train, write_arpa
from tests.refusals import assert_names, refused

OPTIONS = DecodeOptions(lm_weight=2.0)


class World:
    """A lexicon and a language model on disk, each with a word that the other lacks; senones; and where graphs go."""

    def __init__(self, folder: Path):
        entries = {"ab": "A B", "ba": "B A", "baß": "B A A", "silent": "B B"}
        lang = Lang.build({word: [(1.0, tuple(phones.split()))] for word, phones in entries.items()}, ["A", "B"])
        self.lang, self.lm, self.graph = folder / "lang", folder / "lm.arpa", folder / "graph"
        self.lang.mkdir()
        lang.write(self.lang)
        self.write_lm(["ab ba baß", "ba ab", "baß"])
        self.senones = Senones.monophones(lang)
        self.scores = np.random.default_rng(0).normal(0, 3, (60, self.senones.count)).astype(np.float32)

    def write_lm(self, text: list[str]) -> None:
        write_arpa(train(text, ["ab", "ba", "baß", "stranger"], 3), self.lm)

    def keep(self) -> SearchGraph:
        return keep_graph(self.graph, self.lang, self.lm, self.senones)

    def compile(self) -> SearchGraph:
        return compile_graph(Lang.read(self.lang), read_arpa(self.lm), self.senones)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list:
    """Grows by one with each graph that is compiled."""
    calls: list = []
    monkeypatch.setattr(module, "compile_graph", lambda *args: calls.append(args) or compile_graph(*args))
    return calls


def assert_same(one: SearchGraph, two: SearchGraph) -> None:
    for part in PARTS:
        for name, a, b in zip(PARTS[part]._fields, getattr(one, part), getattr(two, part), strict=True):
            assert np.array_equal(a, b), f"{part}.{name}"
            assert not isinstance(a, np.ndarray) or a.dtype == b.dtype, f"{part}.{name}"
    assert (one.words, one.senones, one.pause) == (two.words, two.senones, two.pause)


def test_saved_graph_equals_the_compiled_one(world, compiled):
    made, taken, fresh = world.keep(), world.keep(), world.compile()
    assert len(compiled) == 1
    assert_same(made, fresh)
    assert_same(taken, fresh)
    found = Decoder.of(taken, OPTIONS).decode(world.scores)
    assert found.words
    assert found == Decoder(Lang.read(world.lang), read_arpa(world.lm), world.senones, OPTIONS).decode(world.scores)


def test_arrays_are_mapped_and_never_pickled(world):
    graph = world.keep()
    assert isinstance(graph.tree.node.base, np.memmap)
    sent = pickle.dumps(Decoder.of(graph, OPTIONS))
    assert len(sent) < 1000
    decoder = pickle.loads(sent)
    assert isinstance(decoder.tree.node.base, np.memmap)
    assert decoder.options == OPTIONS
    assert decoder.decode(world.scores) == Decoder.of(graph, OPTIONS).decode(world.scores)


def decode_in_worker(work: tuple) -> list[str]:
    decoder, scores = work
    return decoder.decode(scores).words


@pytest.mark.slow
def test_decoders_work_in_other_processes_from_a_folder_or_from_memory(world):
    decoders = Decoder.of(world.keep(), OPTIONS), Decoder.of(world.compile(), OPTIONS)
    found = list(
        parallel.map_utterances(decode_in_worker, [(decoder, world.scores) for decoder in decoders], 2, "test")
    )
    assert found == [decoders[0].decode(world.scores).words] * 2


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def turn(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [cut, turn, Path.unlink])
@pytest.mark.parametrize("name", ["tree.child.npy", "look.value.npy", "words.txt", "graph.json", "sha256.json"])
def test_a_damaged_graph_is_made_again(world, compiled, caplog, damage, name):
    world.keep()
    damage(world.graph / name)
    with caplog.at_level("WARNING", logger="asrdistill"):
        assert_same(world.keep(), world.compile())
    assert len(compiled) == 2
    assert_names(caplog.text, world.graph)
    assert_same(world.keep(), world.compile())
    assert len(compiled) == 2


def change_senones(world: World) -> None:
    world.senones.self_loop = world.senones.self_loop + np.log(0.9)


def change_lm(world: World) -> None:
    world.write_lm(["ba ba", "ab"])


def change_lang(world: World) -> None:
    lexicon = world.lang / "lexicon.txt"
    lexicon.write_text(lexicon.read_text().replace("A B\n", "A A B\n"))


@pytest.mark.parametrize("change", [change_senones, change_lm, change_lang])
def test_a_stale_graph_is_made_again(world, compiled, change):
    before = world.keep()
    change(world)
    after = world.keep()
    assert len(compiled) == 2
    assert_same(after, world.compile())
    with pytest.raises(AssertionError):
        assert_same(after, before)


def test_words_missing_from_lexicon_or_model_are_a_warning_each_time(world, caplog):
    for _ in range(2):
        caplog.clear()
        with caplog.at_level(logging.WARNING, logger="asrdistill"):
            world.keep()
        assert_names(caplog.text, "1 words", "stranger", "silent")


def test_many_missing_words_are_counted_and_three_named(world, caplog):
    write_arpa(train(["ab ba"], ["ab", "ba", *(f"stranger{i:03d}" for i in range(500))], 2), world.lm)
    with caplog.at_level("WARNING", logger="asrdistill"):
        world.keep()
    assert_names(caplog.text, "500 words", "stranger002", 497)
    assert "stranger003" not in caplog.text


def test_other_folders_are_not_replaced(world, tmp_path):
    world.graph.mkdir()
    (world.graph / "thesis.txt").write_text("years of work")
    with refused(world.graph):
        world.keep()
    (world.graph / ".done").write_text('{"hash": "0", "verb": "train"}')
    with refused(world.graph, "train"):
        world.keep()
    assert (world.graph / "thesis.txt").read_text() == "years of work"


def test_a_unigram_model(world):
    write_arpa(train(["ab ba"], ["ab", "ba"], 1), world.lm)
    assert len(world.keep().look.node) == 0
    assert_same(world.keep(), world.compile())


def test_kept_grammar_equals_the_compiled_one(world, tmp_path):
    model, folder = read_arpa(world.lm), tmp_path / "grammar"
    keep_grammar(folder, world.lm)
    found, number = read_grammar(folder)
    for name, kept, fresh in zip(found._fields, found, compile_grammar(model), strict=True):
        assert np.array_equal(kept, fresh), name
    assert isinstance(found.arc_token.base, np.memmap)
    assert number == model.levels[0].number
    world.write_lm(["ba ba", "ab"])
    keep_grammar(folder, world.lm)
    assert len(read_grammar(folder)[0].arc_token) != len(found.arc_token)
    turn(folder / "grammar.arc_token.npy")
    keep_grammar(folder, world.lm)
    assert np.array_equal(read_grammar(folder)[0].arc_token, compile_grammar(read_arpa(world.lm)).arc_token)
    with refused(folder, "grammar"):
        keep_graph(folder, world.lang, world.lm, world.senones)
