"""Words that are added to a page: the search graph of `asrdistill.decode.extend`, and what the page makes of them."""

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import asrdistill
from asrdistill.files import write_json
from asrdistill.hmm.senones import Senones
from asrdistill.lang.g2p_training import train_g2p
from asrdistill.lang.lexicon import Lang
from asrdistill.lang.ngram import train, write_arpa
from asrdistill.lang.options import G2POptions
from asrdistill.runtime.recogniser import Recogniser
from tests.export.browser import Page, served
from tests.export.random_network import NETS, plant_random
from tests.export.test_page import (
    DONE,
    NODE,
    PROBLEM,
    READY,
    SCRIPT,
    assert_same,
    expected,
    module,
    needs_chromium,
    needs_node,
)
from tests.export.test_recogniser import RATE, plant, run
from tests.refusals import assert_names
from tests.runtime.test_vocabulary import beep

__all__ = ["module"]

TEXTS = ["low high", "lo‿ ‿wer high low", "high lo‿ ‿wer", "bell low"]
PLAIN = {"low": [(0.7, ("L",)), (0.3, ("L", "H"))], "high": [(1.0, ("H",))]}
PIECES = {"lo‿": [(1.0, ("L", "L"))], "‿wer": [(1.0, ("H", "L"))]}
WORDS = {"siren": ["L H L", "L H"], "bell": "H L", "low": "H H L", "HLLH": None, "hum": "H"}


def triphones(*endings: str) -> dict[str, Any]:
    """Trees of two states, which ask about both neighbours."""
    high, low = (" ".join(phone + ending for ending in endings) for phone in "HL")
    return {
        "SIL": [0, 1],
        "L": [{"left": high, "yes": 2, "no": 3}, 4],
        "H": [5, {"right": low, "yes": 6, "no": {"left": high, "yes": 7, "no": 8}}],
    }


def in_node(page: Path, words: Any, samples: np.ndarray | None = None) -> dict[str, Any]:
    """Arrays of the page's graph with words, or the words of samples with them."""
    (page.parent / "words.json").write_text(json.dumps(words))
    command = [str(NODE), str(SCRIPT.with_name("graph.mjs")), str(page), str(page.parent / "words.json")]
    if samples is not None:
        samples.astype(np.float32).tofile(page.parent / "samples.f32")
        command.append(str(page.parent / "samples.f32"))
    found = subprocess.run(command, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    return json.loads(found.stdout)


def assert_graph(found: dict[str, Any], recogniser: Recogniser) -> None:
    """The page's arrays are those of Python, but for the numbers of exits."""
    graph = recogniser.decoder.graph
    tree, look, unigrams = graph.tree, graph.added.look, graph.grammar.arc_begin[1]
    assert found["words"] == graph.words
    assert dict(found["spoken"]) == {
        word: [[pytest.approx(p), list(phones)] for p, phones in entries] for word, entries in recogniser._added.items()
    }
    assert found["sizes"][:4] == [len(tree.node) - 1, tree.roots, graph.added.roots, graph.added.token]
    assert found["unigrams"] == graph.grammar.arc_token[:unigrams].tolist()
    np.testing.assert_allclose(found["unigram_logprob"], graph.grammar.arc_logprob[:unigrams], rtol=1e-6)
    node, child, leaf = (np.reshape(found[name], (-1, k)) for name, k in (("node", 7), ("child", 3), ("leaf", 3)))
    for name, column in zip(tree.node.dtype.names or (), node.T, strict=True):
        if name != "exit":
            np.testing.assert_array_equal(column, tree.node[name], name)
    for name, column in zip(("word", "token", "look"), leaf.T, strict=True):
        np.testing.assert_array_equal(column, tree.leaf[name], name)
    np.testing.assert_allclose(found["logprob"], tree.leaf["logprob"], rtol=1e-6)
    for name, column in zip(("node", "senone", "look"), child.T, strict=True):
        np.testing.assert_array_equal(column, tree.child[name], name)
    exits = set(zip(tree.node["exit"].tolist(), node[:, 3].tolist(), strict=True)) - {(-1, -1)}
    assert len(exits) == len(dict(exits)) == len({other for _, other in exits})
    entry = np.reshape(found["entry"], (-1, 3))[:, 0].tolist()
    for exit, other in exits:
        begin, end = found["entry_begin"][other : other + 2]
        assert entry[begin:end] == tree.entry["node"][slice(*tree.entry_begin[exit : exit + 2])].tolist()
        assert found["pause"][other] == tree.pause[exit]
    np.testing.assert_array_equal(found["initial"], tree.initial)
    for name, values in graph.successors._asdict().items():
        np.testing.assert_array_equal(found[name], values, name)
    for name, values in (("unknown", graph.added.unknown), ("base", look.base), ("look_value", look.value)):
        np.testing.assert_allclose(found[name], np.maximum(values, -1e30), rtol=1e-6, err_msg=name)
    np.testing.assert_array_equal(found["look_begin"], look.begin)
    np.testing.assert_array_equal(found["look_node"], look.node)


@needs_node
@pytest.mark.parametrize("net", [NETS[0], NETS[3]], ids=["each frame", "low rate"])
@pytest.mark.parametrize("unknown", [True, False], ids=["unk", "no unk"])
@pytest.mark.parametrize("positions", [False, True], ids=["pieces", "positions"])
def test_words_extend_the_graph_as_in_python(tmp_path: Path, net: Any, unknown: bool, positions: bool) -> None:
    """Two trees with both contexts; a word that the language model has without a pronunciation, and one more
    pronunciation; words, times and confidences of noise."""
    endings = ("_B", "_I", "_E", "_S") if positions else ("",)
    lang = Lang.build(PLAIN if positions else {**PLAIN, **PIECES}, ["L", "H"])
    texts = [text for text in TEXTS if not (positions and "‿" in text)]
    lang = lang.positioned() if positions else lang
    samples = plant_random(tmp_path, lang, texts, *net, states=3, trees=triphones(*endings))
    model = train([*texts, *(4 * ["strange strange low"] if unknown else [])], sorted([*lang.words, "bell"]), 2)
    write_arpa(model, tmp_path / "lm/lm.arpa")
    write_json(tmp_path / "tuned/tuned.json", {"lm_weight": 0.5, "insertion_penalty": 1.0, "wer": 0.0})
    recogniser, page = export(tmp_path, samples)
    assert ("<unk>" in recogniser.decoder.graph.unspoken) == unknown
    recogniser.add_words(WORDS)
    assert_graph(in_node(page, WORDS), recogniser)
    found, wanted = in_node(page, WORDS, samples)["found"], expected(recogniser, tmp_path / "noise.wav")
    assert {word for word, *_ in wanted} & set(WORDS) - {"low"}
    assert_same(found, wanted)
    assert in_node(page, [], samples)["found"] != found


def export(folder: Path, samples: np.ndarray) -> tuple[Recogniser, Path]:
    """The recogniser of planted folders, and its page."""
    soundfile.write(folder / "noise.wav", samples, RATE, subtype="FLOAT")
    for name, content in (("wav.scp", folder / "noise.wav"), ("text", "low"), ("utt2spk", "noise")):
        (folder / "data" / name).write_text(f"noise {content}\n")
    for name, form in (("out", "safetensors"), ("page", "web")):
        assert run(folder, "export", "model", "lang", "lm", "tuned", name, f"--to={form}", "--check", "data") == 0
    return asrdistill.load(folder / "out"), folder / "page"


@pytest.fixture(scope="module")
def world(module: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A planted model with a G2P model (l is L, h is H), its recogniser folder `out` and its page `page`."""
    folder = tmp_path_factory.mktemp("world")
    world = plant(folder, Senones.monophones(Lang.build({"low": [(1.0, ("L",))], "high": [(1.0, ("H",))]}, ["L", "H"])))
    sounds = {"l": "L", "h": "H"}
    spelled = {word: [tuple(sounds[x] for x in word)] for word in ("l", "h", "lh", "hl", "ll", "hh", "lhl", "hlh")}
    (world / "g2p").mkdir()
    train_g2p(spelled, G2POptions(order=2)).write(world / "g2p", {})
    (world / "tuned").mkdir()
    write_json(world / "tuned/tuned.json", {"lm_weight": 6.0, "insertion_penalty": 0.0, "wer": 0.0})
    for name, form in (("out", "safetensors"), ("page", "web")):
        told = ("model", "lang", "lm", "tuned", name, f"--to={form}", "--check", "data", "--g2p", "g2p")
        assert run(world, "export", *told) == 0
    return world


@needs_node
def test_words_without_phones_are_pronounced_as_in_python(world: Path) -> None:
    recogniser, words = asrdistill.load(world / "out"), ["lhl", "hhlhllh", "l", "llll"]
    recogniser.add_words(words)
    assert_graph(in_node(world / "page", words), recogniser)


@needs_node
@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["hxl"], ["hxl", "'x'"]),
        ({"bell": "L Q"}, ["bell", "Q", "H L"]),
        ({"bell": " "}, ["bell"]),
        (["two words"], ["two words"]),
        (["<s>"], ["<s>"]),
    ],
)
def test_impossible_words_are_refused_in_a_sentence(world: Path, words: Any, names: list[str]) -> None:
    assert_names(in_node(world / "page", words)["refused"], *names)


@needs_chromium
@pytest.mark.slow
def test_words_can_be_added_in_chromium_by_keys_alone(world: Path) -> None:
    soundfile.write(world / "siren.wav", beep("low", "high", "low"), RATE)
    with served(world / "page") as address, Page() as page:
        page.open(address)
        page.until(READY)

        def press(key: str, code: int, text: str = "") -> None:
            for kind in ("keyDown", "keyUp"):
                page.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, text=text)

        def reach(script: str) -> None:
            for _ in range(15):
                if page.value(f"document.activeElement.matches('{script}')"):
                    return
                press("Tab", 9)
            raise AssertionError(f"{script} is out of the keys' reach")

        def use(text: str) -> None:
            page.value(
                "document.getElementById('words').value = ''; document.getElementById('added').replaceChildren()"
            )
            page.value("document.getElementById('words').focus()")
            page.call("Input.insertText", text=text)
            reach("#add")
            press("Enter", 13, "\r")

        reach("summary")
        press("Enter", 13, "\r")
        page.until("document.getElementById('more').open")
        reach("#words")
        use("lhl\nbell  H L H\n")
        page.until("document.querySelectorAll('#added li').length === 2")
        assert_names(page.value("document.getElementById('added').innerText"), "lhl", "L H L", "bell", "H L H")
        for width in (320, 1200):
            phone = {"width": width, "height": 600, "deviceScaleFactor": 1, "mobile": width < 400}
            page.call("Emulation.setDeviceMetricsOverride", **phone)
            assert page.value("document.documentElement.scrollWidth <= innerWidth")
        page.choose(world / "siren.wav")
        page.until(DONE)
        recogniser = asrdistill.load(world / "out")
        recogniser.add_words({"lhl": None, "bell": "H L H"})
        assert_same(page.words(), expected(recogniser, world / "siren.wav"))
        assert [word["word"] for word in page.words()] == ["lhl"]
        # what is wrong is said, and changes nothing; fewer words take the place of those before
        use("lhl\nhxl\n")
        assert_names(page.until(PROBLEM), "hxl", "'x'")
        page.value("document.getElementById('clear').click()")
        page.choose(world / "siren.wav")
        page.until("document.querySelectorAll('#final .word').length === 1")
        use("")
        page.until("document.getElementById('status').textContent.startsWith('0')")
        page.value("document.getElementById('clear').click()")
        page.choose(world / "siren.wav")
        page.until("document.querySelectorAll('#final .word').length === 3")
        assert [word["word"] for word in page.words()] == ["low", "high", "low"]
        assert not page.complaints
