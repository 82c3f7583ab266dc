"""Measure a server: streams at once in real time, and what hostile clients do to it.

Starts `asrdistill serve FOLDER`. First one stream recognises the recordings alone; then STREAMS of them at once, in
real time, from this process on the same machine: the time from a chunk's sending to its reply, and how many streams
found the words that one alone finds. Then, beside four streams, come 10,000 malformed messages, half-open connections,
uploads of a gigabyte, and clients that never read. The last line is JSON.

Example:
  python tools/bench/serve.py exp/student data/corpus/test-clean --streams 60
"""

import asyncio
import contextlib
import itertools
import socket
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import numpy as np
from common import RECOGNISER, arguments, asrdistill, finish, memory_mb

from asrdistill.data.directory import DataDirectory

CHUNK = 0.2  # seconds
RATE = 16000
GIGABYTE = 1 << 30
MALFORMED = (
    *("hello", "[1]", "{", '{"config": 7}', '{"config": {"sample_rate": "many"}}', '{"config": {"sample_rate": 1e9}}'),
    *('{"config": {"phrase_list": 3}}', '{"nothing": 1}', "[" * 100000, b"x", b"abc", b"\x00" * 9999, "\x00"),
)


def main() -> None:
    parser = arguments(__doc__, RECOGNISER)
    parser.add_argument("--streams", type=int, default=60, help="at once (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=30.0, help="of each stream (default: %(default)s)")
    parser.add_argument("--malformed", type=int, default=10000, help="messages (default: %(default)s)")
    args = parser.parse_args()
    finish(asyncio.run(measure(args)))


async def measure(args) -> dict[str, object]:
    audio = recordings(args.data, args.seconds)
    port = free_port()
    command = asrdistill("serve", args.recogniser, "--port", port, "--streams", args.streams + 400, "--idle", 10)
    with subprocess.Popen(command) as server:
        try:
            url = f"http://127.0.0.1:{port}/"
            await until_it_listens(url)
            async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as client:
                alone = [await stream(client, url, samples, False) for samples in audio]
                figures: dict[str, object] = {"streams": args.streams, "seconds": args.seconds}
                starts = np.random.default_rng(0).uniform(0, 2, args.streams)
                many = await asyncio.gather(
                    *(stream(client, url, audio[k % len(audio)], True, starts[k]) for k in range(args.streams))
                )
                delays = np.concatenate([delays for _, delays in many])
                for name, value in (("50", 50), ("95", 95), ("99", 99)):
                    figures[f"reply_ms_{name}"] = round(1000 * float(np.percentile(delays, value)), 1)
                figures["same_words"] = sum(many[k][0] == alone[k % len(audio)][0] for k in range(args.streams))
                before = memory_mb("VmRSS", server.pid)
                good = [asyncio.ensure_future(stream(client, url, samples, True)) for samples in audio[:4]]
                hostile = await asyncio.gather(
                    malformed(client, url, args.malformed),
                    half_open(port),
                    upload(client, url),
                    *(never_read(client, url, audio[0]) for _ in range(20)),
                )
                words = [(await one)[0] for one in good]
                await asyncio.sleep(15)  # the idle ones are closed
                figures["malformed"], figures["half_open"], figures["upload_status"] = hostile[:3]
                figures["same_words_beside_hostile"] = sum(a == b[0] for a, b in zip(words, alone, strict=False))
                figures["alive"] = server.poll() is None
                figures["grown_mb"] = round(memory_mb("VmRSS", server.pid) - before)
        finally:
            server.terminate()
            figures["exit_status"] = server.wait(60)
    return figures


def recordings(data: Path, seconds: float) -> list[bytes]:
    """Eight streams of 16-bit PCM."""
    utterances = itertools.cycle(DataDirectory.read(data).utterances[::37])
    found = []
    for _ in range(8):
        parts: list[np.ndarray] = []
        while sum(map(len, parts)) < seconds * RATE:
            parts.append(next(utterances).samples(RATE, False))
        found.append((np.concatenate(parts)[: round(seconds * RATE)] * 32767).astype("<i2").tobytes())
    return found


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


async def until_it_listens(url: str) -> None:
    async with aiohttp.ClientSession() as client:
        for _ in range(600):
            with contextlib.suppress(aiohttp.ClientError):
                async with client.get(url):
                    return
            await asyncio.sleep(0.2)
    raise SystemExit("the server does not answer")


@contextlib.asynccontextmanager
async def connected(client: aiohttp.ClientSession, url: str) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    async with client.ws_connect(url, max_msg_size=0) as web_socket:
        yield web_socket


async def stream(
    client: aiohttp.ClientSession, url: str, samples: bytes, live: bool, start: float = 0.0
) -> tuple[list[str], list[float]]:
    """The words of a stream, and the seconds from each chunk to its reply."""
    words, delays, size = [], [], round(CHUNK * RATE) * 2
    await asyncio.sleep(start)
    async with connected(client, url) as web_socket:
        await web_socket.send_json({"config": {"sample_rate": RATE}})
        begin = time.monotonic()
        for number, place in enumerate(range(0, len(samples), size)):
            if live:
                await asyncio.sleep(max(0.0, begin + number * CHUNK - time.monotonic()))
            sent = time.monotonic() if not live else max(begin + number * CHUNK, begin)  # late sending is delay, too
            await web_socket.send_bytes(samples[place : place + size])
            reply = await web_socket.receive_json(timeout=60)
            delays.append(time.monotonic() - sent)
            words += reply.get("text", "").split()
        await web_socket.send_json({"eof": 1})
        words += (await web_socket.receive_json(timeout=60)).get("text", "").split()
    return words, delays


async def malformed(client: aiohttp.ClientSession, url: str, count: int) -> int:
    """How many malformed messages were answered by a sentence or a close."""
    answered = 0

    async def some(messages: list) -> None:
        nonlocal answered
        for message in messages:
            async with connected(client, url) as web_socket:
                await (web_socket.send_bytes if isinstance(message, bytes) else web_socket.send_str)(message)
                reply = await web_socket.receive(timeout=60)
                answered += reply.type != aiohttp.WSMsgType.TEXT or "error" in reply.data or "partial" in reply.data

    messages = list(itertools.islice(itertools.cycle(MALFORMED), count))
    await asyncio.gather(*(some(messages[k::20]) for k in range(20)))
    return answered


async def half_open(port: int) -> int:
    """How many of 200 connections that never send a whole request the server closed."""
    made = [await asyncio.open_connection("127.0.0.1", port) for _ in range(200)]
    for k, (_, writer) in enumerate(made):
        writer.write(b"POST /v1/audio/transcriptions HTTP/1.1\r\nHost: x"[: 1 + k % 50])
    closed = 0
    for reader, writer in made:
        with contextlib.suppress(ConnectionError):
            closed += await asyncio.wait_for(reader.read(), 60) is not None
        writer.close()
    return closed


async def upload(client: aiohttp.ClientSession, url: str) -> int:
    """The status of an upload of a gigabyte that does not say its size, or 0 where the server hangs up."""

    async def zeros() -> AsyncIterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
        for _ in range(GIGABYTE >> 20):
            yield bytes(1 << 20)
        yield b"\r\n--b--\r\n"

    form = {"Content-Type": "multipart/form-data; boundary=b"}
    try:
        async with client.post(f"{url}v1/audio/transcriptions", data=zeros(), headers=form) as reply:
            return reply.status
    except aiohttp.ClientError:
        return 0


async def never_read(client: aiohttp.ClientSession, url: str, samples: bytes) -> None:
    """Send audio for ten seconds, and read no replies."""
    with contextlib.suppress(aiohttp.ClientError, ConnectionError, asyncio.TimeoutError):
        async with connected(client, url) as web_socket:
            end = time.monotonic() + 10
            while time.monotonic() < end:
                await asyncio.wait_for(web_socket.send_bytes(samples[:3200]), 10)
                await asyncio.sleep(0.02)


if __name__ == "__main__":
    main()
