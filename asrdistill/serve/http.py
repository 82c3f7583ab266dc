"""Transcription of uploads as OpenAI's clients ask for it: POST /v1/audio/transcriptions."""

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import soundfile
from aiohttp import BodyPartReader, web

from asrdistill.decode.decoder import Hypothesis
from asrdistill.errors import UserError
from asrdistill.runtime.formats import describe, rendered
from asrdistill.serve.service import Service

FORMS = ("json", "verbose_json", "text", "srt", "vtt")
FIELD = 1 << 16  # bytes of a field that is no file


class RefusalError(Exception):
    """An HTTP status and a sentence."""

    def __init__(self, status: int, sentence: object):
        super().__init__(str(sentence))
        self.status = status

    def response(self) -> web.Response:
        kind = "invalid_request_error" if self.status < 500 else "server_error"
        error = {"message": str(self), "type": kind, "param": None, "code": None}
        return web.json_response({"error": error}, status=self.status, headers={"Connection": "close"})


def handler(service: Service) -> Any:
    """Of aiohttp, for POST /v1/audio/transcriptions."""

    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            if (request.content_length or 0) > service.options.megabytes * 1e6:
                raise too_large(service)
            try:
                with service.slot():
                    async with _received(service, request) as (path, fields):
                        return await _transcribed(service, request, path, fields)
            except UserError as error:
                raise RefusalError(503, error) from None
        except RefusalError as refusal:
            if request.transport and not request.content.at_eof():
                asyncio.get_running_loop().call_later(2.0, request.transport.abort)  # the rest is not waited for
            return refusal.response()

    return handle


def too_large(service: Service) -> RefusalError:
    return RefusalError(413, f"the upload is larger than {service.options.megabytes:g} MB; send a shorter one")


@asynccontextmanager
async def _received(service: Service, request: web.Request) -> AsyncIterator[tuple[Path, dict[str, str]]]:
    """(the uploaded file, the other fields)"""
    if request.content_type != "multipart/form-data":
        raise RefusalError(400, "the request is no form; send multipart/form-data with the audio as file")
    fields: dict[str, str] = {}
    found, left = False, service.options.megabytes * 1e6
    with tempfile.NamedTemporaryFile(prefix="asrdistill-") as file:
        try:
            reader = await request.multipart()
            while isinstance(part := await asyncio.wait_for(reader.next(), service.options.idle), BodyPartReader):
                is_file, text = part.name == "file", b""
                while chunk := await asyncio.wait_for(part.read_chunk(), service.options.idle):
                    left -= len(chunk)
                    if left < 0 or len(text) > FIELD:
                        raise too_large(service)
                    if is_file:
                        file.write(chunk)
                    else:
                        text += chunk
                found = found or is_file
                if not is_file and part.name:
                    fields[part.name] = text.decode(errors="replace")
        except asyncio.TimeoutError:
            raise RefusalError(408, f"nothing came for {service.options.idle:g} s; send the file again") from None
        except (ValueError, AssertionError, web.HTTPException):
            raise RefusalError(400, "the form is damaged; send multipart/form-data with the audio as file") from None
        if not found:
            raise RefusalError(400, "the form has no file; send the audio as the field file")
        file.flush()
        yield Path(file.name), fields


async def _transcribed(
    service: Service, request: web.Request, path: Path, fields: dict[str, str]
) -> web.StreamResponse:
    form, stream = fields.get("response_format", "json"), fields.get("stream", "").lower() in ("true", "1")
    if form not in FORMS:
        raise RefusalError(400, f"response_format is one of {', '.join(FORMS)}, not {form[:40]}")
    if stream and form not in ("json", "text"):
        raise RefusalError(400, f"{form} is not streamed; leave out stream, or ask for json")
    utterances = _recognised(service, path, form)
    if stream:
        return await _streamed(request, utterances)
    found = [one async for one in utterances]
    seconds = soundfile.info(str(path)).duration
    return await service.run(lambda: _response(service, form, found, seconds), upload=True)


async def _recognised(service: Service, path: Path, form: str) -> AsyncIterator[Hypothesis]:
    """Each utterance of the file as it ends."""
    recogniser = service.recogniser
    utterances = recogniser.utterances(path, confidences=form == "verbose_json")
    try:
        while (one := await service.run(lambda: next(utterances, None), upload=True)) is not None:
            if one.times and one.times[-1].end * recogniser.frame_shift > service.options.seconds:
                raise RefusalError(413, f"the audio is longer than {service.options.seconds:g} s; send a shorter one")
            yield one
    except UserError as error:
        raise RefusalError(400, str(error).replace(str(path), "the file")) from None


async def _streamed(request: web.Request, utterances: AsyncIterator[Hypothesis]) -> web.StreamResponse:
    """Server-sent events: the words of each utterance, then all of them; or an error."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
    text = ""

    async def send(**event: Any) -> None:
        if not response.prepared:  # until then an error has a status of its own
            await response.prepare(request)
        await response.write(f"data: {_dumps(event)}\n\n".encode())

    try:
        async for one in utterances:
            if one.words:
                delta = " " * bool(text) + " ".join(one.words)
                text += delta
                await send(type="transcript.text.delta", delta=delta)
    except RefusalError as refusal:
        if not response.prepared:
            raise
        await send(error={"message": str(refusal), "type": "invalid_request_error", "param": None, "code": None})
    else:
        await send(type="transcript.text.done", text=text)
    await response.write_eof()
    return response


def _response(service: Service, form: str, found: list[Hypothesis], seconds: float) -> web.Response:
    shift, options = service.recogniser.frame_shift, service.recogniser.decoder.options
    text = " ".join(word for one in found for word in one.words)
    if form == "json":
        return web.json_response({"text": text}, dumps=_dumps)
    if form == "text":
        return web.Response(text=text + "\n")
    if form != "verbose_json":
        kind = "text/vtt" if form == "vtt" else "application/x-subrip"
        return web.Response(text="".join(rendered(form, found, shift, options)), content_type=kind)
    parts = [describe(one, shift) for one in found if one.times]
    segments = [
        {"id": k, "seek": 0, "start": part["start"], "end": part["end"], "text": part["text"], "tokens": []}
        | {"temperature": 0.0, "avg_logprob": 0.0, "compression_ratio": 1.0, "no_speech_prob": 0.0}
        for k, part in enumerate(parts)
    ]
    words = [word for part in parts for word in part["words"]]
    values = {"task": "transcribe", "language": "unknown", "duration": seconds, "text": text}
    return web.json_response({**values, "segments": segments, "words": words}, dumps=_dumps)


def _dumps(values: Any) -> str:
    return json.dumps(values, ensure_ascii=False)
