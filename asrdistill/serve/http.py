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

    async def handle(request: web.Request) -> web.Response:
        try:
            if (request.content_length or 0) > service.options.megabytes * 1e6:
                raise too_large(service)
            try:
                with service.slot():
                    async with _received(service, request) as (path, fields):
                        return await _transcribed(service, path, fields)
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


async def _transcribed(service: Service, path: Path, fields: dict[str, str]) -> web.Response:
    form = fields.get("response_format", "json")
    if form not in FORMS:
        raise RefusalError(400, f"response_format is one of {', '.join(FORMS)}, not {form[:40]}")
    if fields.get("stream", "").lower() in ("true", "1"):
        raise RefusalError(400, "transcripts are not streamed; leave out stream, or use the WebSocket")
    recogniser = service.recogniser
    utterances, found = recogniser.utterances(path, confidences=form == "verbose_json"), []
    try:
        while (one := await service.run(lambda: next(utterances, None), upload=True)) is not None:
            found.append(one)
            if one.times and one.times[-1].end * recogniser.frame_shift > service.options.seconds:
                raise RefusalError(413, f"the audio is longer than {service.options.seconds:g} s; send a shorter one")
    except UserError as error:
        raise RefusalError(400, str(error).replace(str(path), "the file")) from None
    seconds = soundfile.info(str(path)).duration
    return await service.run(lambda: _response(service, form, found, seconds), upload=True)


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
