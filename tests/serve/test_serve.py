"""The server, with the clients that others wrote: websockets, openai, wyoming."""

import asyncio
import contextlib
import io
import json
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import soundfile

from asrdistill.files import write_json
from asrdistill.hmm.senones import Senones
from asrdistill.serve.options import ServeOptions
from tests.export.test_recogniser import LANG, RATE, pcm, plant, run, say
from tests.refusals import assert_names, assert_refused, only_line, refused
from tests.runtime.test_endpoints import spoken

openai, websockets = pytest.importorskip("openai"), pytest.importorskip("websockets")
pytest.importorskip("wyoming")
pytestmark = pytest.mark.slow


class Served(NamedTuple):
    process: subprocess.Popen
    port: int
    wyoming: int

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"


def free_ports(count: int) -> list[int]:
    """Ports that nobody uses."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def start(folder: Path, *options: object) -> Served:
    port, wyoming = free_ports(2)
    command = [sys.executable, "-m", "asrdistill", "serve", str(folder), "--port", str(port), *map(str, options)]
    command += [] if "--token" in options else ["--wyoming", str(wyoming)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        if str(port) in line:
            return Served(process, port, wyoming)
    raise AssertionError("the server did not start")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    world = plant(tmp_path_factory.mktemp("world"), Senones.monophones(LANG))
    (world / "tuned").mkdir()
    write_json(world / "tuned/tuned.json", {"lm_weight": 6.0, "insertion_penalty": 0.0, "wer": 0.0})
    assert run(world, "export", "model", "lang", "lm", "tuned", "recogniser") == 0
    return world / "recogniser"


@pytest.fixture(scope="module")
def served(folder):
    made = start(folder, "--idle", 5, "--megabytes", 1, "--streams", 8, "--seconds", 60)
    yield made
    made.process.terminate()
    assert made.process.wait(60) == 0


async def talk(url: str, samples: np.ndarray, size: int = 800, **config: object) -> list[dict]:
    """The replies to a stream by Vosk's protocol, as its example client does it."""
    replies = []
    async with websockets.connect(url) as client:
        if config:
            await client.send(json.dumps({"config": config}))
        for begin in range(0, len(samples), size):
            await client.send(pcm(samples[begin : begin + size]))
            replies.append(json.loads(await client.recv()))
        await client.send('{"eof" : 1}')
        replies.append(json.loads(await client.recv()))
        with pytest.raises(websockets.ConnectionClosedOK):
            await client.recv()
    return replies


def texts(replies: list[dict]) -> list[str]:
    return [reply["text"] for reply in replies if reply.get("text")]


def test_vosk_clients_get_partial_words_and_results(served):
    replies = asyncio.run(talk(served.url, spoken("low high", "high low"), sample_rate=RATE))
    assert texts(replies) == ["low high", "high low"]
    assert "low" in [reply.get("partial") for reply in replies]
    first, *_ = (reply["result"] for reply in replies if reply.get("text"))
    assert [word["word"] for word in first] == ["low", "high"]
    assert first[0]["start"] == pytest.approx(0.2, abs=0.05)
    assert all(word["start"] < word["end"] and 0 < word["conf"] <= 1 for word in first)


def test_alternatives_rates_and_words_are_configured(served):
    import soxr

    samples = soxr.resample(spoken("high low"), RATE, 16000)
    replies = asyncio.run(talk(served.url, samples, 3000, sample_rate=16000, max_alternatives=2))
    (best,) = [reply["alternatives"] for reply in replies if reply.get("alternatives", [{}])[0].get("text")]
    assert best[0]["text"] == "high low"
    replies = asyncio.run(talk(served.url, spoken("low"), words=False))
    assert texts(replies) == ["low"]
    assert not any("result" in reply for reply in replies)


def test_phrase_list_limits_the_words(served):
    samples = spoken("high low", "low high")
    replies = asyncio.run(talk(served.url, samples, sample_rate=RATE, phrase_list=["low high"]))
    assert "low high" in texts(replies)
    assert "high low" not in texts(replies)


@pytest.mark.parametrize(
    ("messages", "names"),
    [
        (["hello"], ["JSON"]),
        (["[1]"], ["JSON"]),
        (['{"what": 1}'], ["config"]),
        ([b"abc"], ["3 bytes", "16-bit"]),
        (['{"config": {"sample_rate": 300000}}'], ["300000"]),
        (['{"config": {"sample_rate": "fast"}}'], ["fast"]),
        (['{"config": {"phrase_list": 7}}'], ["phrase_list"]),
        ([bytes(1600), '{"config": {"sample_rate": 8000}}'], ["config"]),
        ([bytes(1 << 20)], ["60 s"]),
        ([], ["5 s"]),
    ],
)
def test_bad_messages_end_their_stream_with_a_sentence(served, messages, names):
    async def sent() -> str:
        async with websockets.connect(served.url) as client:
            for message in messages:
                await client.send(message)
            async for reply in client:
                if "error" in (found := json.loads(reply)):
                    return found["error"]
        raise AssertionError("no error came")

    async def beside() -> tuple[str, list[dict]]:
        return await asyncio.gather(sent(), talk(served.url, spoken("low high")))

    error, replies = asyncio.run(beside())
    assert_names(error, *names)
    assert texts(replies) == ["low high"]


def test_streams_beyond_the_limit_are_refused(served):
    async def crowd() -> str:
        clients = [await websockets.connect(served.url) for _ in range(8)]
        async with websockets.connect(served.url) as one_more:
            error = json.loads(await one_more.recv())["error"]
        for client in clients:
            await client.close()
        return error

    assert_names(asyncio.run(crowd()), 8)
    time.sleep(0.5)
    assert texts(asyncio.run(talk(served.url, spoken("low")))) == ["low"]


def upload(served: Served, content: bytes, token: str = "x", **fields: object):
    client = openai.OpenAI(base_url=f"http://127.0.0.1:{served.port}/v1", api_key=token, max_retries=0)
    return client.audio.transcriptions.create(model="any", file=("speech.wav", content), **fields)


def wav(samples: np.ndarray) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, RATE, format="WAV")
    return file.getvalue()


def test_openai_client_gets_all_forms(served):
    content = wav(spoken("low high", "high low"))
    assert upload(served, content).text == "low high high low"
    verbose = upload(served, content, response_format="verbose_json", timestamp_granularities=["word"])
    assert [word.word for word in verbose.words] == ["low", "high", "high", "low"]
    assert [segment.text for segment in verbose.segments] == ["low high", "high low"]
    assert float(verbose.duration) == pytest.approx(len(spoken("low high", "high low")) / RATE)
    assert upload(served, content, response_format="text").strip() == "low high high low"
    assert re.search(r"\n2\n00:00:0\d,\d+ --> .*\nhigh low\n", upload(served, content, response_format="srt"))
    assert upload(served, content, response_format="vtt").startswith("WEBVTT\n")


def test_openai_client_reads_a_stream(served):
    *deltas, done = upload(served, wav(spoken("low high", "high low")), stream=True)
    assert [event.delta for event in deltas] == ["low high", " high low"]
    assert (done.type, done.text) == ("transcript.text.done", "low high high low")
    with pytest.raises(openai.BadRequestError):
        upload(served, b"no audio", stream=True)
    with pytest.raises(openai.BadRequestError):
        upload(served, wav(say("low")), stream=True, response_format="srt")


def test_bad_uploads_are_refused(served):
    for content, fields, names in [
        (b"no audio", {}, ["audio"]),
        (wav(say("low"))[:-2000], {}, ["cut short"]),
        (b"", {}, ["empty"]),
        (wav(say("low")), {"response_format": "html"}, ["html"]),
    ]:
        with pytest.raises(openai.BadRequestError) as caught:
            upload(served, content, **fields)
        assert_names(str(caught.value), *names)
    with pytest.raises(openai.APIError):  # 413, or the connection is closed while it is sent
        upload(served, bytes(3 << 20))
    assert upload(served, wav(say("low"))).text == "low"


def test_wyoming_client_gets_a_transcript(served):
    from wyoming.asr import Transcribe, Transcript
    from wyoming.audio import AudioChunk, AudioStart, AudioStop
    from wyoming.client import AsyncTcpClient
    from wyoming.info import Describe, Info

    async def ask() -> tuple[Info, str]:
        async with AsyncTcpClient("127.0.0.1", served.wyoming) as client:
            await client.write_event(Describe().event())
            info = Info.from_event(await client.read_event())
            await client.write_event(Transcribe().event())
            await client.write_event(AudioStart(RATE, 2, 2).event())
            samples = np.repeat(spoken("low high", "high"), 2)
            for begin in range(0, len(samples), 2048):
                await client.write_event(AudioChunk(RATE, 2, 2, pcm(samples[begin : begin + 2048])).event())
            await client.write_event(AudioStop().event())
            return info, Transcript.from_event(await client.read_event()).text

    info, text = asyncio.run(ask())
    assert info.asr[0].models[0].name == "recogniser"
    assert text == "low high high"


@pytest.mark.parametrize(
    "line", [b"hello\n", b"[]\n", b'{"type": "audio-chunk", "payload_length": 1e12}\n', b"x" * (1 << 17)]
)
def test_bad_wyoming_events_get_an_error(served, line):
    with socket.create_connection(("127.0.0.1", served.wyoming), 30) as client:
        client.sendall(line)
        with client.makefile("rb") as reader:
            assert json.loads(reader.readline())["type"] == "error"


def test_half_open_connections_are_closed(served):
    with socket.create_connection(("127.0.0.1", served.port), 60) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHos")
        with contextlib.suppress(ConnectionResetError):
            assert client.recv(100) == b""


def test_token_is_asked_for(folder):
    served = start(folder, "--token", "secret")
    try:
        with pytest.raises(websockets.InvalidStatus):
            asyncio.run(talk(served.url, spoken("low")))
        assert texts(asyncio.run(talk(f"{served.url}/?token=secret", spoken("low")))) == ["low"]
        with pytest.raises(openai.AuthenticationError):
            upload(served, wav(say("low")), "wrong")
        assert upload(served, wav(say("low")), "secret").text == "low"
    finally:
        served.process.terminate()
        assert served.process.wait(60) == 0


def test_page_is_shown_and_termination_lets_streams_end(folder):
    page = folder.parent / "page"
    page.mkdir(exist_ok=True)
    for name in ("index.html", "app.js"):
        (page / name).write_text(f"this is {name}")
    served = start(folder, "--grace", 10, "--page", page)
    for path, name in (("", "index.html"), ("app.js", "app.js")):
        with urllib.request.urlopen(f"http://127.0.0.1:{served.port}/{path}") as reply:
            assert reply.read().decode() == f"this is {name}"

    async def ended() -> tuple[list[str], str]:
        async with websockets.connect(served.url) as client, websockets.connect(served.url) as endless:
            for one in (client, endless):
                await one.send(pcm(say("low high")))
                await one.recv()
            served.process.send_signal(signal.SIGTERM)
            await asyncio.sleep(0.3)
            await client.send(pcm(say("low")))
            found = [json.loads(await client.recv())]
            await client.send('{"eof" : 1}')
            found.append(json.loads(await client.recv()))
            return texts(found), json.loads(await endless.recv())["text"]

    found, last = asyncio.run(ended())
    assert (found, last) == (["low high low"], "low high")
    assert served.process.wait(60) == 0


def test_taken_port_and_bad_options_are_refused(served, folder):
    command = [sys.executable, "-m", "asrdistill", "serve", str(folder), "--port", str(served.port)]
    failed = subprocess.run(command, capture_output=True, text=True)
    assert failed.returncode == 2
    assert_names(only_line(failed.stderr.splitlines()[-1] + "\n"), served.port)
    assert_refused(["serve", folder / "lang"], folder / "lang")
    bad: list[tuple[dict, object]] = [
        ({"port": 1 << 16}, 1 << 16),
        ({"idle": 0.0}, "idle"),
        ({"page": str(folder)}, folder),
    ]
    for wrong, name in [*bad, ({"token": "x", "wyoming": 1}, "--token")]:
        with refused(name):
            ServeOptions(**wrong)
