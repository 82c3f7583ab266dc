"""`report --html`: what the page holds, and the page in Chromium."""

import json
import re
import shutil
from base64 import b64decode
from collections.abc import Iterator
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from asrdistill.cli import main
from asrdistill.data.archive import ShardWriter, finish
from asrdistill.hmm.senones import Senones
from asrdistill.models.io import save_model
from asrdistill.models.options import NetworkConfig
from asrdistill.models.registry import build_network
from asrdistill.results.page import _table
from asrdistill.results.tables import Table
from asrdistill.scoring.edit_distance import count_errors
from tests.export.browser import CHROMIUM, Page
from tests.refusals import assert_refused

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
EVIL = "</script><script>document.title='taken'</script>"
RATE, SHIFT, FRAMES = 8000, 0.01, 100


def report(world: Any, *more: str) -> str:
    argv = ["report", str(world.exp), "--config", str(world.config), "--data", str(world.data), "--html", *more]
    assert main(argv) == 0
    return (world.exp / "report.html").read_text()


def embedded(page: str) -> dict[str, Any]:
    found = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    assert len(found) == 1
    return json.loads(found[0])


def plant(world: Any) -> None:
    """A network as student whose best senone of frame t is t // 20, with features, alignment, words and a tone."""
    folder, senones = world.exp / "student.0", Senones(["SIL"], {"SIL": list(range(5))}, np.full(5, -0.3))
    options = NetworkConfig(layers=1, width=8, left=0, right=0)
    network = build_network(options, 5, 5)
    for parameter in network.parameters():
        parameter.data.zero_()
    network.hidden[0].weight.data[:5] = torch.eye(5)
    network.output.weight.data[:, :5] = 5 * torch.eye(5)
    settings = {"type": "fbank", "rate": RATE}
    parameters = {"seed": 0, "updates": 700, "precision": "float32", "features": settings, "frame_shift": SHIFT}
    history = [{"epoch": n, "loss": 2.0 / n, "held_out_accuracy": 30.0 + n} for n in (1, 2)]
    save_model(folder, network, options, senones, np.zeros(5, np.float32), **parameters, history=history)
    world.edit(folder / "meta.json", parameters=1000)
    labels = np.arange(FRAMES) // 20
    for name, parts, arrays in (
        ("fbank", {"frames": ("<f4", (5,))}, np.eye(5, dtype=np.float32)[labels]),
        ("ali", {"frames": ("<i4", ())}, labels),
    ):
        (world.root / name).mkdir()
        writer = ShardWriter(world.root / name, 0, parts)
        writer.write("a1", frames=arrays)
        described = {"features": settings} if name == "fbank" else {"senones": senones.hash}
        kind = "features" if name == "fbank" else "alignment"
        finish(world.root / name, kind, parts, [writer.close()], frame_shift=SHIFT, **described)
    senones.write(world.root / "ali")
    world.write(world.root / "ali/words.ctm", "a1 1 0.2 0.3 one\n")
    sound = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE)
    soundfile.write(world.data / "dev/a1.wav", sound, RATE, "PCM_16")
    for name, text in {
        "wav.scp": "a1 a1.wav\na2 a1.wav\n",
        "utt2spk": "a1 a1\na2 a2\n",
        "spk2utt": "a1 a1\na2 a2\n",
    }.items():
        world.write(world.data / "dev" / name, text)
    for kind in ("decode", "frames"):
        world.mark(world.exp / kind / "student.0/dev", kind, 0, 1, 1)
        inputs = [str(world.root / path) for path in ("exp/student.0", "fbank", "ali")]
        world.edit(world.exp / kind / "student.0/dev/.done", inputs=inputs)
    world.write(
        world.exp / "decode/student.0/dev/words.ctm",
        "a1 1 0.2 0.3 one 0.9\na1 1 0.5 0.2 two 0.8\na1 1 0.7 0.2 tree 0.3\na2 1 0 0.5 four 0.6\n",
    )
    confusions = {"SIL": {"SIL": 90, "AH": 10}, "AH": {"SIL": 30, "AH": 70}}
    world.edit(world.exp / "frames/student.0/dev/frames.json", confusions=confusions)


def test_sound_senones_and_words_are_the_planted_ones(world: Any) -> None:
    plant(world)
    data = embedded(report(world))
    assert [each["id"] for each in data["utterances"]] == ["a1", "a2", "b1"]  # the student has an error in a1
    first = data["utterances"][0]
    samples, rate = soundfile.read(BytesIO(b64decode(first["sound"])))
    np.testing.assert_allclose(samples, soundfile.read(world.data / "dev/a1.wav")[0], atol=2e-4)
    assert (rate, data["rate_hz"]) == (RATE, RATE)
    assert first["said"] == [[0.2, 0.5, "one"]]
    assert first["times"]["student"][2] == [0.7, 0.9, "tree"]
    assert first["aligned"] == [pytest.approx([0.2 * n, 0.2 * (n + 1), n]) for n in range(5)]
    rows = np.frombuffer(b64decode(first["best"]["student"]["frames"]), np.uint8).reshape(FRAMES, 9)
    assert (rows[:, 0] == np.arange(FRAMES) // 20).all()
    share = np.exp(5) / (np.exp(5) + 4)
    assert np.abs(rows[:, 6] / 255 - share).max() < 0.003
    assert data["inventories"][first["inventory"]][3].startswith("SIL.4")
    assert "sound" not in data["utterances"][2]  # there is no wav.scp of test


def test_curves_confusions_and_confidences_are_the_planted_ones(world: Any) -> None:
    plant(world)
    data = embedded(report(world))
    (network,) = data["networks"]
    assert network["curves"]["loss"] == [[350, 2.0], [700, 1.0]]
    assert network["curves"]["frames % held out"] == [[350, 31.0], [700, 32.0]]
    assert sorted(data["confusions"]["student"]) == sorted(
        [["SIL", "SIL", 90], ["SIL", "AH", 10], ["AH", "SIL", 30], ["AH", "AH", 70]]
    )
    assert data["reliability"]["student"] == [[1, 0.3, 0.0], [1, 0.6, 1.0], [1, 0.8, 1.0], [1, 0.9, 1.0]]
    assert data["gain"]["student, words"] == [[700, pytest.approx(50)]]  # 1 and 0 of 6 words, singles 1, ensemble 0
    assert {point["system"]: point["parameters"] for point in data["points"]}["ensemble"] == 2000


def test_text_is_data(world: Any) -> None:
    """A transcript, a title and a note that are markup come back as text."""
    for path in (world.data / "dev/text", world.exp / "decode/student.0/dev/hyp.txt"):
        world.write(path, path.read_text().replace("four", EVIL.replace(" ", "\u00a0")))
    world.config.write_text(world.config.read_text().replace("a small corpus", f'"{EVIL} &amp; {{{{data}}}}"'))
    page = report(world)
    assert "</script><script>document" not in page
    assert any(EVIL.split()[0][:20] in each["ref"] for each in embedded(page)["utterances"])
    assert EVIL not in _table(Table(["<b>", EVIL], [[EVIL, "<i>"]]))
    assert "&lt;/script&gt;" in page


def test_page_asks_for_nothing_outside(world: Any) -> None:
    class Links(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            assert tag not in ("link", "img", "iframe"), tag
            assert not [value for key, value in attrs if key in ("src", "href") and not (value or "").startswith("#")]

    Links().feed(report(world))


def test_one_system_without_words_draws_what_there_is(world: Any) -> None:
    world.config.write_text("corpus: c\nsets: [dev, test]\nsystems: {single: {models: [teacher.0]}}\n")
    shutil.rmtree(world.exp / "decode")
    assert main(["report", str(world.exp), "--config", str(world.config), "--html"]) == 0
    data = embedded((world.exp / "report.html").read_text())
    assert (data["utterances"], data["intervals"], data["gain"], data["points"]) == ([], [], {}, [])


def test_html_of_the_papers_figures_is_refused(world: Any) -> None:
    world.config.write_text("paper: []\n")
    assert_refused(["report", world.exp, "--config", world.config, "--html"], "--html")


@pytest.fixture(scope="module")
def browser() -> Iterator[Page]:
    with Page() as page:
        yield page


def opened(browser: Page, path: Path) -> Page:
    browser.complaints.clear()
    browser.requests.clear()
    browser.open(path.as_uri())
    browser.until(f"location.pathname === {json.dumps(path.as_uri()[7:])} && document.body?.dataset.ready")
    return browser


@needs_chromium
def test_explorer_in_a_browser(world: Any, browser: Page) -> None:
    """Filters, sclite's alignment, the tone in the spectrogram, senones at the cursor, no request."""
    plant(world)
    report(world)
    page = opened(browser, world.exp / "report.html")
    page.until("document.querySelector('#tops')?.innerText.includes('student')")
    assert page.requests[:1] == [(world.exp / "report.html").as_uri()]
    assert not [url for url in page.requests[1:] if not url.startswith(("blob:", "data:"))]
    assert page.complaints == []
    ids = "[...document.querySelectorAll('#list small')].map(e => e.innerText.split(' ')[1])"
    assert page.value(ids) == ["a1", "a2", "b1"]
    assert "SIL.1" in page.value("document.querySelector('#tops').innerText")
    for _ in range(25):  # frames of 10 ms
        page.value("document.querySelector('canvas').dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowRight'}))")
    tops = page.value("document.querySelector('#tops').innerText")
    assert "0.25 s" in tops
    assert "SIL.2" in tops
    image = "spectrogram(Float32Array.from({length: 8000}, (_, t) => Math.sin(2 * Math.PI * t / 8)), 8000)"
    column = page.value(f"[...{image}.power.slice(0, 128)]")
    assert column.index(max(column)) == 32  # 1,000 Hz of 8,000 in a window of 256
    page.value("form.word.value = 'five', form.dispatchEvent(new Event('input'))")
    assert page.value(ids) == ["b1"]
    assert page.value("document.querySelector('#one').innerText.includes('no sound')")


@needs_chromium
def test_markup_in_transcripts_is_shown_as_text(world: Any, browser: Page) -> None:
    for path in (world.data / "dev/text", world.exp / "decode/student.0/dev/hyp.txt"):
        world.write(path, path.read_text().replace("four", "<img/src=x/onerror=document.title='taken'>"))
    report(world)
    page = opened(browser, world.exp / "report.html")
    assert page.value("document.title") == "a small corpus"
    assert page.value("document.querySelector('#list').innerText.includes('<img/src=x')")
    assert page.value("document.images.length") == 0


@needs_chromium
def test_browser_aligns_words_as_the_package_does(world: Any, browser: Page) -> None:
    report(world)
    page = opened(browser, world.exp / "report.html")
    random = np.random.default_rng(3)
    pairs = [[[f"w{n}" for n in random.integers(0, 4, random.integers(0, 9))] for _ in range(2)] for _ in range(100)]
    counts = (
        f"{json.dumps(pairs)}.map(([r, h]) => ['i', 'd', 's'].map(k => align(r, h).filter(p => kind(p) === k).length))"
    )
    assert page.value(counts) == [list(count_errors(*pair)) for pair in pairs]


@needs_chromium
def test_report_without_words_opens(world: Any, browser: Page) -> None:
    world.config.write_text("corpus: c\nsets: [dev, test]\nsystems: {single: {models: [teacher.0]}}\n")
    assert main(["report", str(world.exp), "--config", str(world.config), "--html"]) == 0
    page = opened(browser, world.exp / "report.html")
    assert page.complaints == []
    assert page.value("document.querySelector('#utterances')") is None
