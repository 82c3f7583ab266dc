"""Search graphs saved in a folder."""

import json
import logging
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from asrdistill import parallel
from asrdistill.decode import graph as module
from asrdistill.decode.decoder import Decoder
from asrdistill.decode.graph import PARTS, SearchGraph, compile_graph, keep_grammar, keep_graph, read_grammar
from asrdistill.decode.lattice_formats import read_slf, write_slf
from asrdistill.decode.lm import compile_grammar
from asrdistill.decode.options import DecodeOptions
from asrdistill.files import sha256
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


def test_a_graph_is_hashed_again_only_after_a_change(world, monkeypatch):
    hashed: list[Path] = []
    monkeypatch.setattr(module, "sha256", lambda path: hashed.append(path) or sha256(path))
    world.keep()
    world.keep()
    files = {path for path in hashed if path.parent == world.graph}
    assert len(files) > 20
    hashed.clear()
    world.keep()
    assert not files & set(hashed)
    (world.graph / "words.txt").touch()
    world.keep()
    assert files <= set(hashed)


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


FUZZ = """
import json, shutil, sys
from pathlib import Path
import numpy as np
from asrdistill.decode.decoder import Decoder
from asrdistill.decode.graph import _read, keep_graph
from asrdistill.decode.options import DecodeOptions
from asrdistill.errors import UserError
from asrdistill.files import sha256, write_json
from asrdistill.hmm.senones import Senones

whole, work, scores, first, count = Path(sys.argv[1]), Path(sys.argv[2]), np.load(sys.argv[3]), *map(int, sys.argv[4:])
decoders = [DecodeOptions(lm_weight=2.0, lattice_beam=beam) for beam in (0.0, 5.0)]
outcomes = {"refused": 0, "decoded": 0}


def mutate(rng):
    path = work / str(rng.choice(sorted(path.name for path in work.glob("*.npy")) + ["graph.json"] * 2))
    size = [0, 1, -1, 2, 7, 2**31 - 1, -(2**31), 2**32 - 1, 10**4, -10**4, int(rng.integers(-50, 300))]
    if path.suffix == ".json":
        record = json.loads(path.read_text())
        place = record if rng.random() < 0.5 else record["numbers"]
        place[str(rng.choice(sorted(place)))] = [*size, None, "a", 1e308, float("nan"), []][rng.integers(len(size) + 5)]
        path.write_text(json.dumps(record))
        return
    array, kind = np.load(path), rng.integers(6)
    column = array[str(rng.choice(array.dtype.names))] if array.dtype.names else array
    if kind == 0:
        array = array[: int(rng.integers(len(array) + 1))]
    elif kind == 1:
        other = [np.int16, np.float64, np.uint64][rng.integers(3)]
        array = array[:, None] if array.dtype.names else array.astype(other)
    elif kind == 2:
        array = np.concatenate([array, array[:1]])
    elif kind == 3 and len(column):
        column[:] = rng.permutation(column)
    for _ in range(int(rng.integers(1, 4)) if kind > 3 and len(column) else 0):
        if column.dtype.kind == "f":
            column[rng.integers(len(column))] = rng.choice([np.nan, np.inf, -np.inf, 1e30, -3e38, 5.0])
        else:
            column[rng.integers(len(column))] = np.array(size[rng.integers(len(size))]).astype(column.dtype)
    np.save(path, array)


for seed in range(first, first + count):
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(whole, work)
    print(seed, file=sys.stderr, flush=True)
    mutate(np.random.default_rng(seed))
    write_json(work / "sha256.json", {p.name: sha256(p) for p in work.iterdir() if not p.name.startswith(".")})
    try:
        graph = _read(work)
        for options in decoders:
            Decoder.of(graph, options).decode(scores)
        outcomes["decoded"] += 1
    except UserError:
        outcomes["refused"] += 1
print(json.dumps(outcomes))
"""


def fuzz(world: World, tmp_path: Path, first: int, count: int, **environment: str) -> dict[str, int]:
    """Changes the arrays of a graph folder, with the right hashes, and decodes with each in one child process."""
    world.keep()
    np.save(tmp_path / "scores.npy", world.scores)
    (tmp_path / "fuzz.py").write_text(FUZZ)
    paths = [tmp_path / "fuzz.py", world.graph, tmp_path / "mutant", tmp_path / "scores.npy"]
    run = subprocess.run(
        [sys.executable, *map(str, paths), str(first), str(count)],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )
    assert run.returncode == 0, f"seed {run.stderr[-1500:]}"
    return json.loads(run.stdout)


def test_no_content_of_a_graph_folder_leads_the_search_out_of_its_arrays(world: World, tmp_path: Path) -> None:
    outcomes = fuzz(world, tmp_path, 0, 300)
    assert outcomes["refused"] > 100
    assert outcomes["decoded"] > 20  # some changes are harmless


CERTAIN = """\\data\\
ngram 1=5

\\1-grams:
-99 <s>
0 </s>
-1 ab
-1 ba
-1 baß

\\end\\
"""


def test_end_of_a_sentence_is_rescored_even_if_it_was_certain(world: World, tmp_path: Path) -> None:
    """SLF keeps four decimals: a probability of 1 could not be told from an end inside a word, which has none."""
    world.lm.write_text(CERTAIN)
    decoder = Decoder(Lang.read(world.lang), read_arpa(world.lm), world.senones, DecodeOptions(lattice_beam=5.0))
    lattice = decoder.decode(world.scores).lattice
    assert lattice is not None
    write_slf(tmp_path / "u.slf.gz", "u", lattice, 0.01, 10.0, 0.0)
    world.write_lm(["ab ba", "ba ab", "ab"])
    other = read_arpa(world.lm)
    tokens = {word: token for token, word in enumerate(other.symbols)}
    found = read_slf(tmp_path / "u.slf.gz", 0.01).rescored(compile_grammar(other), tokens)
    assert (found.lm[found.target == len(found.time) - 1] < -0.01).all()
