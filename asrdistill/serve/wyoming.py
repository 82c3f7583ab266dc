"""The Wyoming protocol of Home Assistant: events as lines of JSON, with audio after them, over TCP."""

import asyncio
import json
from contextlib import suppress
from typing import Any

import asrdistill
from asrdistill.decode.decoder import Hypothesis
from asrdistill.errors import UserError
from asrdistill.runtime.stream import RATES
from asrdistill.serve.service import Service, Session, number

LINE, DATA, PAYLOAD = 1 << 16, 1 << 20, 1 << 22  # most bytes of an event's parts
SOURCE = {"name": "asrdistill", "url": ""}


class Client:
    """A connection; its streams come one after the other."""

    def __init__(self, service: Service, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        self._service, self._reader, self._writer = service, reader, writer
        self._session: Session | None = None
        self._found: list[Hypothesis] = []

    async def run(self) -> None:
        try:
            with self._service.slot():
                await self._events()
        except UserError as error:
            with suppress(ConnectionError, asyncio.TimeoutError):
                await self._send("error", text=str(error))
        except (ConnectionError, asyncio.TimeoutError, asyncio.IncompleteReadError):
            pass
        finally:
            self._writer.transport.abort() if self._writer.transport.get_write_buffer_size() else self._writer.close()

    async def _events(self) -> None:
        while (event := await self._read()) is not None:
            await self._answer(*event)
        if self._session:  # the server ends
            await self._answer("audio-stop", {}, b"")

    async def _read(self) -> tuple[str, dict[str, Any], bytes] | None:
        """(type, data, payload) of the next event; None at the end. Raises UserError for what is none."""
        line = asyncio.ensure_future(self._reader.readline())
        closing = asyncio.ensure_future(self._service.closing.wait())
        idle = self._service.options.idle
        try:
            await asyncio.wait({line, closing}, timeout=idle, return_when=asyncio.FIRST_COMPLETED)
            if not line.done():
                if closing.done():
                    return None
                raise UserError(f"nothing came for {idle:g} s; connect again to go on")
            if not line.result():
                return None
            event = json.loads(line.result())
            kind, data = event["type"], event.get("data") or {}
            sizes = [number(event.get(f"{part}_length") or 0, 0, most, f"{part}_length") for part, most in PARTS]
            extra, payload = [await asyncio.wait_for(self._reader.readexactly(size), idle) for size in sizes]
            data = {**data, **json.loads(extra or b"{}")}
            return str(kind), data, payload
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
            raise UserError("what came is no event of the Wyoming protocol; see its documentation") from None
        finally:
            line.cancel()
            closing.cancel()

    async def _answer(self, kind: str, data: dict[str, Any], payload: bytes) -> None:
        if kind == "describe":
            await self._send("info", **described(self._service))
        elif kind == "ping":
            await self._send("pong", **data)
        elif kind == "audio-start":
            self._begin(data)
        elif kind == "audio-chunk":
            if self._session is None:
                self._begin(data)
            assert self._session is not None
            self._found += await self._session.accept(payload)
        elif kind == "audio-stop":
            if self._session:
                self._found.append(await self._session.finish())
            text = " ".join(word for one in self._found for word in one.words)
            self._session, self._found = None, []
            await self._send("transcript", text=text)

    def _begin(self, data: dict[str, Any]) -> None:
        if data.get("width", 2) != 2:
            raise UserError(f"samples have {str(data['width'])[:9]} bytes; send 16-bit PCM")
        rate = number(data.get("rate", self._service.recogniser.front.rate), *RATES, "rate")
        self._session = Session(self._service, rate, number(data.get("channels", 1), 1, 8, "channels"))
        self._found = []

    async def _send(self, kind: str, **data: Any) -> None:
        body = json.dumps(data, ensure_ascii=False).encode()
        head = {"type": kind, "version": asrdistill.__version__, "data_length": len(body)}
        self._writer.write(json.dumps(head).encode() + b"\n" + body)
        await asyncio.wait_for(self._writer.drain(), self._service.options.idle)


PARTS = (("data", DATA), ("payload", PAYLOAD))


def described(service: Service) -> dict[str, Any]:
    """The info event: one program with one model."""
    common = {"attribution": SOURCE, "installed": True, "version": asrdistill.__version__}
    model = {"name": service.name, "description": service.name, "languages": ["en"], **common}
    program = {"name": "asrdistill", "description": "asrdistill", "models": [model], **common}
    return {"asr": [program], "tts": [], "handle": [], "intent": [], "wake": [], "mic": [], "snd": []}


async def listen(service: Service, host: str, port: int) -> asyncio.Server:
    """Start the server; raises OSError for a port that is taken."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await Client(service, reader, writer).run()

    return await asyncio.start_server(connected, host, port, limit=LINE)
