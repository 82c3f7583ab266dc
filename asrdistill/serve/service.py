"""What the protocols share: one recogniser, threads that recognise, and limits."""

import asyncio
import logging
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from asrdistill.decode.decoder import Hypothesis
from asrdistill.errors import UserError
from asrdistill.runtime.options import EndpointOptions
from asrdistill.runtime.recogniser import Recogniser
from asrdistill.runtime.stream import Stream
from asrdistill.serve.options import ServeOptions

log = logging.getLogger("asrdistill")
T = TypeVar("T")

PIECE = 0.5  # seconds of audio that a thread recognises at a time, so that streams take turns


class Service:
    """A recogniser for many streams; the library's kernels let other threads run."""

    def __init__(self, folder: Path, options: ServeOptions):
        self.recogniser, self.options, self.name = Recogniser(folder), options, Path(folder).resolve().name
        threads = options.threads or os.cpu_count() or 1
        self._live = ThreadPoolExecutor(threads, "stream")
        self._files = ThreadPoolExecutor(max(1, threads // 2), "upload")  # which streams do not wait for
        self._active: set[object] = set()
        self.ending = asyncio.Event()  # no new streams
        self.closing = asyncio.Event()  # those that are left end where they are

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Room for a stream or upload; raises UserError if there is none."""
        if self.ending.is_set():
            raise UserError("the server is ending; connect to another one")
        if len(self._active) >= self.options.streams:
            raise UserError(f"the server has {self.options.streams} streams, its most; try again later")
        key = object()
        self._active.add(key)
        try:
            yield
        finally:
            self._active.discard(key)

    async def run(self, work: Callable[[], T], upload: bool = False) -> T:
        """The result of `work` in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._files if upload else self._live, work)

    async def end(self) -> None:
        """Take no more streams, wait for those that are there, and end what is left after the grace."""
        self.ending.set()
        for _ in range(round(self.options.grace / 0.05)):
            if not self._active:
                break
            await asyncio.sleep(0.05)
        self.closing.set()
        for _ in range(40):  # they send what they have found
            if not self._active:
                break
            await asyncio.sleep(0.05)
        self._live.shutdown(wait=False, cancel_futures=True)
        self._files.shutdown(wait=False, cancel_futures=True)


class Session:
    """One stream of 16-bit PCM."""

    def __init__(self, service: Service, rate: int, channels: int = 1, grammar: list[str] | None = None):
        self._service, self._rate, self._channels, self._bytes = service, rate, channels, 0
        self._vocabulary = {"grammar": grammar} if grammar else {}
        self._stream: Stream | None = None  # made in a thread

    async def accept(self, pcm: bytes) -> list[Hypothesis]:
        """More samples; returns the utterances that ended. Raises UserError for half samples and too much audio."""
        frame = 2 * self._channels
        if len(pcm) % frame:
            raise UserError(f"{len(pcm)} bytes are no whole number of 16-bit samples; send 16-bit PCM")
        self._bytes += len(pcm)
        if self._bytes > self._service.options.seconds * self._rate * frame:
            raise UserError(f"the audio is longer than {self._service.options.seconds:g} s; begin another stream")
        ended: list[Hypothesis] = []
        step = round(PIECE * self._rate) * frame
        for begin in range(0, len(pcm), step):
            samples = np.frombuffer(pcm, "<i2", -1 if begin + step >= len(pcm) else step // 2, begin)
            ended += await self._service.run(partial(self._recognise, samples))
        return ended

    def _recognise(self, samples: np.ndarray) -> list[Hypothesis]:
        if self._stream is None:
            self._stream = self._service.recogniser.stream(self._rate, EndpointOptions(), True, **self._vocabulary)
        mixed = samples.reshape(-1, self._channels).mean(1) / 32768 if self._channels > 1 else samples
        return self._stream.accept(mixed)

    @property
    def partial(self) -> str:
        if self._stream is None:
            return ""
        return " ".join(word.word for word in [*self._stream.final, *self._stream.partial])

    async def finish(self) -> Hypothesis:
        """The last utterance, without words if there was too little audio."""
        if self._stream is not None:
            with suppress(UserError):
                return await self._service.run(self._stream.finish)
        return Hypothesis([], 0.0, False)


def merged(found: list[Hypothesis]) -> Hypothesis:
    """Several utterances as one."""
    return found[0] if len(found) == 1 else Hypothesis([word for one in found for word in one.times], 0.0, False)


def number(value: Any, least: int, most: int, name: str) -> int:
    """A whole number of a message; raises UserError for others."""
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or value != int(value)
        or not least <= value <= most
    ):
        raise UserError(f"{name} must be a whole number from {least} to {most}, not {str(value)[:40]}")
    return int(value)
