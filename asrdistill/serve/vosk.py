"""Vosk's WebSocket protocol: 16-bit mono PCM in binary messages, each answered by a result or a partial one.

The messages are those of vosk-server: {"config": {"sample_rate", "phrase_list", "words", "max_alternatives"}},
{"eof": 1}, {"reset": 1}.
"""

import asyncio
import json
from typing import Any

from aiohttp import WSCloseCode, WSMessage, WSMsgType, web

from asrdistill.decode.decoder import Hypothesis
from asrdistill.errors import UserError
from asrdistill.runtime.formats import alternatives, describe
from asrdistill.runtime.stream import RATES
from asrdistill.serve.service import Service, Session, merged, number

LARGEST = 1 << 22  # bytes of a message
MOST = 20  # alternatives


class GoneError(Exception):
    """The client does not read, or has left."""


class Client:
    """A WebSocket, and the stream that it sends."""

    def __init__(self, service: Service, socket: web.WebSocketResponse, transport: asyncio.Transport | None):
        self._service, self._socket, self._transport = service, socket, transport
        self._rate, self._words, self._alternatives = service.recogniser.front.rate, True, 0
        self._grammar: list[str] | None = None
        self._session: Session | None = None

    async def run(self) -> None:
        """Answer until the client ends; what it does wrong ends its stream with a sentence."""
        try:
            try:
                while (message := await self._receive()) is not None:
                    if not await self._answer(message):
                        break
                else:
                    if self._service.closing.is_set():
                        await self._send(await self._result())
            except UserError as error:
                await self._send({"error": str(error)})
                await self._socket.close(code=WSCloseCode.UNSUPPORTED_DATA)
            await self._socket.close()
        except GoneError:
            if self._transport:
                self._transport.abort()

    async def _receive(self) -> WSMessage | None:
        """The next message; None if there are no more. Raises UserError for a client that is idle."""
        message = asyncio.ensure_future(self._socket.receive())
        closing = asyncio.ensure_future(self._service.closing.wait())
        try:
            idle = self._service.options.idle
            await asyncio.wait({message, closing}, timeout=idle, return_when=asyncio.FIRST_COMPLETED)
            if not message.done():
                if closing.done():
                    return None
                raise UserError(f"there was no audio for {idle:g} s; connect again to go on")
            if message.result().type in (WSMsgType.TEXT, WSMsgType.BINARY):
                return message.result()
            return None
        finally:
            message.cancel()
            closing.cancel()

    async def _answer(self, message: WSMessage) -> bool:
        """Whether the stream goes on after the message."""
        if message.type is WSMsgType.BINARY:
            ended = await self._begun().accept(message.data)
            await self._send(self._described(merged(ended)) if ended else {"partial": self._begun().partial})
            return True
        values = command_of(message.data)
        if "config" in values:
            self._configure(values["config"])
        elif values.keys() & {"eof", "reset"}:
            await self._send(await self._result())
            self._session = None
            return "reset" in values
        else:
            raise UserError("text messages are config, eof or reset; send sound as binary messages")
        return True

    def _configure(self, config: Any) -> None:
        if self._session or not isinstance(config, dict):
            raise UserError("config is an object, and comes before the audio; send it first")
        self._rate = number(config.get("sample_rate", self._rate), *RATES, "sample_rate")
        self._words = bool(config.get("words", self._words))
        self._alternatives = number(config.get("max_alternatives", 0), 0, MOST, "max_alternatives")
        phrases = config.get("phrase_list")
        if isinstance(phrases, str):
            phrases = command_of(f'{{"list": {phrases}}}').get("list")
        if phrases is not None and not (isinstance(phrases, list) and all(isinstance(one, str) for one in phrases)):
            raise UserError("phrase_list is a list of texts; correct it")
        self._grammar = phrases

    def _begun(self) -> Session:
        if self._session is None:
            self._session = Session(self._service, self._rate, grammar=self._grammar)
        return self._session

    async def _result(self) -> dict[str, Any]:
        return self._described(await self._session.finish() if self._session else Hypothesis([], 0.0, False))

    def _described(self, found: Hypothesis) -> dict[str, Any]:
        recogniser = self._service.recogniser
        if self._alternatives:
            options = recogniser.decoder.options
            best = alternatives(found, options, self._alternatives) or [{"text": " ".join(found.words), "score": 0.0}]
            return {"alternatives": [{"text": one["text"], "confidence": one["score"]} for one in best]}
        words, text = describe(found, recogniser.frame_shift)["words"], " ".join(found.words)
        return {"result": words, "text": text} if self._words and words else {"text": text}

    async def _send(self, values: dict[str, Any]) -> None:
        """Raises GoneError if the client does not read."""
        sending = self._socket.send_str(json.dumps(values, ensure_ascii=False))
        try:
            await asyncio.wait_for(sending, self._service.options.idle)
        except (asyncio.TimeoutError, ConnectionError):
            raise GoneError from None


def command_of(text: str) -> dict[str, Any]:
    """A text message; raises UserError for what is no JSON object."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise UserError("a text message is no JSON object; send sound as binary messages")
    return values


def handler(service: Service) -> Any:
    """Of aiohttp, for the WebSocket."""

    async def handle(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(max_msg_size=LARGEST, compress=False, timeout=2.0)
        await socket.prepare(request)
        try:
            with service.slot():
                await Client(service, socket, request.transport).run()
        except UserError as error:
            await socket.send_str(json.dumps({"error": str(error)}))
            await socket.close(code=WSCloseCode.TRY_AGAIN_LATER)
        return socket

    return handle
