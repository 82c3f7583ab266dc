"""The page of `export --to web`: its recogniser in Node.js, and the page in Chromium, compared with `transcribe`."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import asrdistill
from asrdistill.core import build
from asrdistill.export import web
from asrdistill.export.options import PROGRAMS
from asrdistill.features.options import FbankOptions
from asrdistill.files import write_json
from asrdistill.hmm.senones import Senones
from asrdistill.lang.lexicon import Lang
from asrdistill.models.io import save_model
from asrdistill.models.options import NetworkConfig
from asrdistill.models.registry import build_network
from asrdistill.runtime.recogniser import Recogniser
from tests.export.browser import CHROMIUM, Page, served
from tests.export.random_network import NETS, plant_random
from tests.export.test_recogniser import RATE, plant, run, say
from tests.refusals import assert_names, assert_refused

FILES = {"app.js", "capture.js", "core.wasm", "index.html", "model.bin", "offline.js", "recogniser.js", "style.css"} | {
    "vocabulary.js"
}
NODE = shutil.which("node")
SCRIPT = Path(__file__).with_name("recognise.mjs")
needs_node = pytest.mark.skipif(NODE is None, reason="Node.js is not installed")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")


@pytest.fixture(scope="module", autouse=True)
def module() -> Path:
    try:
        return build.build_wasm()
    except OSError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def world(module: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A planted model, its recogniser folder `out` and its page `page`."""
    folder = tmp_path_factory.mktemp("world")
    world = plant(folder, Senones.monophones(Lang.build({"low": [(1.0, ("L",))], "high": [(1.0, ("H",))]}, ["L", "H"])))
    (world / "tuned").mkdir()
    write_json(world / "tuned/tuned.json", {"lm_weight": 6.0, "insertion_penalty": 0.0, "wer": 0.0})
    for name, form in (("out", "safetensors"), ("page", "web")):
        assert run(world, "export", "model", "lang", "lm", "tuned", name, f"--to={form}", "--check", "data") == 0
    return world


def in_node(page: Path, samples: np.ndarray, *piece: int) -> dict[str, Any]:
    path = page.with_suffix(".f32")
    samples.astype(np.float32).tofile(path)
    command = [str(NODE), str(SCRIPT), str(page), str(path), *map(str, piece)]
    found = subprocess.run(command, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    return json.loads(found.stdout)


def expected(recogniser: Recogniser, path: Path) -> list[tuple[str, float, float, float]]:
    """(word, start, end, confidence) of an audio file as the package finds them."""
    options = replace(recogniser.decoder.options, lattice_beam=web.LATTICE_BEAM)
    recogniser.decoder = recogniser.decoder.with_options(options)
    shift, words = recogniser.frame_shift, recogniser.transcribe(path).times
    return [(word.word, word.start * shift, word.end * shift, word.confidence or 0.0) for word in words]


def assert_same(found: list[dict[str, Any]], wanted: list[tuple[str, float, float, float]]) -> None:
    assert [word["word"] for word in found] == [word for word, *_ in wanted]
    for name, index, tolerance in (("start", 1, 1e-3), ("end", 2, 1e-3), ("confidence", 3, 0.03)):  # ties move shares
        found_ones = [float(word[name]) for word in found]
        np.testing.assert_allclose(found_ones, [word[index] for word in wanted], atol=tolerance)


def test_page_holds_all_it_needs(world: Path) -> None:
    names = {path.name for path in (world / "page").iterdir()} - {".done", "README.md", "worker.js"}
    assert names == FILES
    assert "http.server" in (world / "page/README.md").read_text()
    for path in (world / "page").glob("*.*s*"):
        assert "http:" not in path.read_text(errors="replace").replace("http://localhost", ""), path


@needs_node
@pytest.mark.parametrize("piece", [(), (1000,), (333,)])
def test_planted_words_are_found(world: Path, piece: tuple[int, ...]) -> None:
    found = in_node(world / "page", say("high high low"), *piece)
    assert [word["word"] for word in found["words"]] == ["high", "high", "low"]
    assert not piece or {"", "high", "high high"} <= set(found["partial"])
    soundfile.write(world / "three.wav", say("high high low"), RATE, subtype="FLOAT")
    assert_same(found["words"], expected(asrdistill.load(world / "out"), world / "three.wav"))


@needs_node
@pytest.mark.slow
@pytest.mark.parametrize("piece", [(), (3001,)])
def test_utterances_end_where_those_of_transcribe_end(world: Path, piece: tuple[int, ...]) -> None:
    """By pauses, by length in short pauses, and by length alone, in the middle of a tone."""
    rng = np.random.default_rng(0)
    parts = [say(" ".join(rng.choice(["low", "high"], size=3))) for _ in range(6)]
    parts = [part for words in parts for part in (words, 0.002 * rng.normal(size=rng.integers(0, 30000)))]
    parts += [
        say(" ".join(rng.choice(["low", "high"], size=70))),
        0.3 * np.sin(np.arange(45 * RATE) * 400 / RATE * 6.28),
    ]
    samples = np.concatenate([*parts, say("high low")]).astype(np.float32)
    soundfile.write(world / "long.wav", samples, RATE, subtype="FLOAT")
    wanted = expected(asrdistill.load(world / "out"), world / "long.wav")
    assert len(wanted) > 80
    assert_same(in_node(world / "page", samples, *piece)["words"], wanted)


LANG = Lang.build(
    {
        "low": [(0.7, ("L",)), (0.3, ("L", "H"))],
        "high": [(1.0, ("H",))],
        "lo‿": [(1.0, ("L", "L"))],
        "‿wer": [(1.0, ("H", "L"))],
    },
    ["L", "H"],
)


@needs_node
@pytest.mark.slow
@pytest.mark.parametrize("form", ["web", "web-int8"])
@pytest.mark.parametrize(("architecture", "subsampling", "kind", "settings"), NETS, ids=lambda value: str(value)[:9])
def test_random_networks_find_the_words_of_transcribe(
    form: str, architecture: str, subsampling: int, kind: str, settings: dict[str, Any], tmp_path: Path
) -> None:
    """Words, times and confidences of noise, whatever they are, for all kinds of networks, features and frame rates."""
    texts = ["low high", "lo‿ ‿wer high low", "high lo‿ ‿wer"]
    samples = plant_random(tmp_path, LANG, texts, architecture, subsampling, kind, settings)
    soundfile.write(tmp_path / "noise.wav", samples, RATE, subtype="FLOAT")
    (tmp_path / "data/wav.scp").write_text(f"noise {tmp_path / 'noise.wav'}\n")
    (tmp_path / "data/text").write_text("noise low\n")
    (tmp_path / "data/utt2spk").write_text("noise noise\n")
    base = PROGRAMS[form][0]
    for name, to in (("out", base), ("page", form)):
        assert run(tmp_path, "export", "model", "lang", "lm", "tuned", name, f"--to={to}", "--check", "data") == 0
    wanted = expected(asrdistill.load(tmp_path / "out"), tmp_path / "noise.wav")
    assert len(wanted) > 1
    assert_same(in_node(tmp_path / "page", samples)["words"], wanted)


@needs_node
def test_audio_shorter_than_a_frame_is_refused(world: Path) -> None:
    np.zeros(50, np.float32).tofile(world / "short.f32")
    command = [str(NODE), str(SCRIPT), str(world / "page"), str(world / "short.f32")]
    assert "too short" in subprocess.run(command, capture_output=True, text=True).stderr


@needs_node
@pytest.mark.slow
@pytest.mark.parametrize(("before", "after"), [(48000, 16000), (44100, 16000), (8000, 16000), (22050, 8000)])
def test_resampler_keeps_what_both_rates_hold(before: int, after: int, world: Path) -> None:
    """Sines below half the lower rate stay as they are, those above go; pieces make no difference."""
    lower = min(before, after)
    for hertz in [100, 1000, 0.4 * lower, *([0.6 * lower] if before > after else [])]:
        command = [
            str(NODE),
            str(SCRIPT.with_name("resample.mjs")),
            str(world / "page"),
            *map(str, (before, after, hertz)),
        ]
        found = json.loads(subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True).stdout)
        whole, pieces = map(np.array, found)
        assert abs(len(whole) - after) <= 1
        np.testing.assert_allclose(pieces, whole, atol=1e-5)
        wanted = np.sin(2 * np.pi * hertz * np.arange(len(whole)) / after) * (hertz < lower / 2)
        np.testing.assert_allclose(whole[200:-200], wanted[200:-200], atol=0.01)


@pytest.fixture
def page(world: Path) -> Any:
    """The page in Chromium, whose microphone is a file, and ready."""
    soundfile.write(world / "microphone.wav", say("high low low"), RATE, subtype="PCM_16")
    with (
        served(world / "page") as address,
        Page(f"--use-file-for-fake-audio-capture={world}/microphone.wav%noloop") as page,
    ):
        page.address = address
        page.open(address)
        page.until(READY)
        yield page


READY = "document.getElementById('status')?.textContent.startsWith('Ready')"
DONE = "document.getElementById('status').textContent === 'Done.'"
PROBLEM = "document.getElementById('problem').textContent"


@needs_chromium
@pytest.mark.slow
def test_file_in_chromium_has_the_words_of_transcribe(world: Path, page: Any) -> None:
    assert page.value("document.title") == "page"
    page.choose(world / "u2.wav")
    page.until(DONE)
    assert_same(page.words(), expected(asrdistill.load(world / "out"), world / "u2.wav"))
    assert [word["word"] for word in page.words()] == ["high", "high", "low"]
    assert float(page.value("document.getElementById('factor').textContent")) > 0
    assert not page.complaints
    assert all(url.startswith((page.address, "data:", "blob:")) for url in page.requests)
    # another one is added; what is no sound is refused, and changes nothing
    (world / "text.wav").write_text("no sound")
    page.choose(world / "text.wav")
    assert "text.wav" in page.until(PROBLEM)
    assert len(page.words()) == 3
    page.value("document.getElementById('clear').click()")
    assert page.words() == []


@needs_chromium
@pytest.mark.slow
def test_words_come_while_the_microphone_is_on(world: Path, page: Any) -> None:
    """Words of what the page captured, at the rate of its audio device, are those of `transcribe`."""
    page.value("document.getElementById('microphone').click()")
    page.until("document.getElementById('microphone').getAttribute('aria-pressed') === 'true'")
    assert page.until("document.getElementById('partial').textContent")
    page.until("document.getElementById('final').innerText.split(/\\s+/).filter(Boolean).length === 3")
    page.value("document.getElementById('microphone').click()")
    page.until(DONE)
    rate, samples = page.value("sound().then(({rate, samples}) => [rate, Array.from(samples)])")
    soundfile.write(world / "captured.wav", np.array(samples, np.float32), rate, subtype="FLOAT")
    wanted = [word for word, *_ in expected(asrdistill.load(world / "out"), world / "captured.wav")]
    assert [word["word"] for word in page.words()] == wanted == ["high", "low", "low"]


@needs_chromium
@pytest.mark.slow
def test_page_works_without_a_network_after_its_first_visit(world: Path, page: Any) -> None:
    page.until("navigator.serviceWorker.ready.then(() => true)")
    page.call("Network.emulateNetworkConditions", offline=True, latency=0, downloadThroughput=0, uploadThroughput=0)
    page.open(page.address + "?again")
    page.until(f"location.search === '?again' && {READY}")
    page.choose(world / "u2.wav")
    page.until(DONE)
    assert [word["word"] for word in page.words()] == ["high", "high", "low"]


@needs_chromium
@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "names"),
    [
        ("WebAssembly.validate = () => false", ["WebAssembly SIMD"]),
        ("Object.defineProperty(navigator, 'mediaDevices', {value: undefined})", ["https", "sound file"]),
        (
            "navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('', 'NotFoundError'); }",
            ["no microphone"],
        ),
        (
            "navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('', 'NotAllowedError'); }",
            ["not allowed", "settings"],
        ),
    ],
)
def test_what_a_browser_lacks_is_said_in_a_sentence(page: Any, script: str, names: list[str]) -> None:
    page.call("Page.addScriptToEvaluateOnNewDocument", source=script)
    page.open(page.address + "?again")
    page.until("location.search === '?again' && document.readyState === 'complete'")
    if "SIMD" not in names[0]:
        page.until(READY)
        page.value("document.getElementById('microphone').click()")
    assert_names(page.until(PROBLEM), *names)


@needs_chromium
@pytest.mark.slow
def test_controls_have_names_and_can_be_reached_by_keys(page: Any) -> None:
    tree = page.call("Accessibility.getFullAXTree")["nodes"]
    named = {
        (node["role"]["value"], node["name"]["value"].strip()) for node in tree if "name" in node and "role" in node
    }
    for control in (("button", "Start microphone"), ("button", "Clear"), ("checkbox", "Times")):
        assert control in named
    assert any(name == "Transcript" for _, name in named)
    reached = set()
    for _ in range(8):
        for kind in ("keyDown", "keyUp"):
            page.call("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)
        reached.add(page.value("document.activeElement.id"))
    assert {"microphone", "file", "clear", "times", "transcript"} <= reached
    for width in (320, 1200):
        page.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=600, deviceScaleFactor=1, mobile=width < 400
        )
        assert page.value("document.documentElement.scrollWidth <= innerWidth")


def test_networks_that_the_core_does_not_run_are_refused(world: Path) -> None:
    config = NetworkConfig(architecture="gru", layers=1, width=8, left=0, right=0)
    senones = Senones.read(world / "model")
    (world / "gru").mkdir()
    features = {"features": FbankOptions(bins=20).describe(), "frame_shift": 0.01, "updates": 0}
    save_model(
        world / "gru", build_network(config, 20, senones.count), config, senones, np.zeros(senones.count), **features
    )
    folders = [world / name for name in ("gru", "lang", "lm", "tuned", "other")]
    assert_refused(["export", *folders, "--to=web"], world / "gru", "tdnn")


def test_system_without_a_compiler_for_webassembly_is_told_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(OSError, match="ziglang"):
        build.build_wasm(tmp_path / "core.wasm")
    assert build.build_wasm() == build.MODULE  # which is up to date


def test_a_second_build_has_the_same_bytes(module: Path, tmp_path: Path) -> None:
    if "ziglang" not in sys.modules and build.importlib.util.find_spec("ziglang") is None:
        pytest.skip("ziglang is not installed")
    assert build.build_wasm(tmp_path / "core.wasm").read_bytes() == module.read_bytes()
