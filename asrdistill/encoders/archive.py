"""Archives of a pretrained encoder's frames (every 20 ms), interpolated at the middle of each of our frames (10 ms)."""

import math
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from asrdistill.data.archive import FrameArchive, ShardWriter, finish
from asrdistill.data.directory import DataDirectory, Utterance
from asrdistill.encoders.base import Encoder, WindowedStream
from asrdistill.encoders.factory import open_encoder
from asrdistill.errors import MOST_LEFT_OUT, UserError, log, noting, shorten
from asrdistill.features.options import FbankOptions, frames, options_of
from asrdistill.features.perturb import original_id
from asrdistill.files import write_json
from asrdistill.parallel import Chunk, chunks, map_utterances
from asrdistill.reader import read_json

SHARD_UTTERANCES = 250  # fixed, so that the archive does not depend on the number of jobs


def encode(
    encoder: Encoder, name: str, features: Path, data: DataDirectory, out: Path, jobs: int, device: str, pipes: bool
) -> None:
    """Write into `out` an archive of kind "features": float16 frames of the encoder, as many as `features` has.

    A rerun after a kill keeps finished shards. Raises UserError, as soon as it is known, if too many utterances cannot
    be encoded, such as those of other audio.
    """
    archive = FrameArchive(features, "features")
    options = options_of(archive.meta["features"])
    _check(archive, data)
    shards = chunks(archive.utterances, SHARD_UTTERANCES)
    missing = [shard for shard in shards if not _record(out, shard.number).is_file()]
    if len(missing) < len(shards):
        log.info("%d of %d shards exist from an earlier run", len(shards) - len(missing), len(shards))
    load = partial(_load, encoder if jobs == 1 else None, name, device, archive.folder)
    bad = 0
    for number, written in map_utterances(partial(_write_shard, out, data, pipes), missing, jobs, name, load):
        write_json(_record(out, number), written)
        bad += len(written["faults"])
        if 100 * bad > MOST_LEFT_OUT.get() * len(archive):
            break  # finish raises
    records = [_record(out, shard.number) for shard in shards if _record(out, shard.number).is_file()]
    finish(
        out,
        "features",
        _parts(encoder.dimension),
        list(map(read_json, records)),
        len(archive),
        frame_shift=archive.meta["frame_shift"],
        features={**encoder.settings, "rate": encoder.rate, "shift": options.frame_shift, "first": _middle(options)},
        feature_hash=archive.hash,
        encoder=name,
    )
    for record in records:
        record.unlink()


def _check(archive: FrameArchive, data: DataDirectory) -> None:
    if not len(archive):
        raise UserError(f"{archive.folder} holds no utterance; there is nothing to encode")
    if missing := [name for name in archive if name not in data]:
        hint = "; encode the originals, then ali expand" if original_id(missing[0]) in data else ""
        raise UserError(f"DATA lacks {len(missing)} utterances of {archive.folder}: {shorten(missing)}{hint}")
    if len(archive) < len(data):
        log.info("%d utterances have no features in %s and are left out", len(data) - len(archive), archive.folder)


def _record(out: Path, number: int) -> Path:
    """Where a whole shard's record stands until all are."""
    return Path(out) / f"shard.{number}.json"


def _parts(dimension: int) -> dict[str, tuple[str, tuple[int, ...]]]:
    return {"frames": ("<f2", (dimension,))}


def _middle(options: FbankOptions) -> float:
    """Seconds from the audio's beginning to the middle of our frame 0."""
    return (options.window if options.snip_edges else options.shift) / 2 / options.rate


def _load(encoder: Encoder | None, name: str, device: str, features: Path) -> tuple[Encoder, FrameArchive]:
    return encoder or open_encoder(name, device), FrameArchive(features, "features")


def _write_shard(
    out: Path, data: DataDirectory, pipes: bool, state: tuple[Encoder, FrameArchive], chunk: Chunk[str]
) -> tuple[int, dict[str, Any]]:
    encoder, archive = state
    options = options_of(archive.meta["features"])
    writer = ShardWriter(out, chunk.number, _parts(encoder.dimension))
    for name in chunk:
        with noting(writer.faults, name):
            writer.write(name, frames=_encoded(encoder, archive, data[name], pipes, options))
    return chunk.number, writer.close()


def _encoded(
    encoder: Encoder, archive: FrameArchive, utterance: Utterance, pipes: bool, options: FbankOptions
) -> np.ndarray:
    name, waveform = utterance.id, utterance.samples(encoder.rate, pipes)
    rows, expected = archive.rows(name), frames(round(len(waveform) / encoder.rate * options.rate), options)
    if abs(rows - expected) > 1:  # the rates' rounding makes one more or less
        raise UserError(
            f"utterance {name} has {rows} frames in {archive.folder}, its audio {expected}; make them again"
        )
    try:
        found = encoder.frames(waveform)
    except UserError as error:
        raise UserError(f"utterance {name}: {error}; remove it from the data directory") from None
    if not np.isfinite(found.astype(np.float16)).all():
        raise UserError(f"utterance {name}: the encoder's frames are not finite numbers in half precision")
    return interpolate(found, encoder, _middle(options) + np.arange(rows) * options.shift / options.rate)


def interpolate(encoded: np.ndarray, encoder: Encoder, seconds: np.ndarray) -> np.ndarray:
    """An encoder's frames (T', D), interpolated at times `seconds` (T,) from the beginning -> (T, D)."""
    place = ((seconds - encoder.centre) / encoder.shift).clip(0, len(encoded) - 1)
    before = place.astype(np.int64)
    after = np.minimum(before + 1, len(encoded) - 1)
    share = (place - before).astype(np.float32)[:, None]
    return (1 - share) * encoded[before] + share * encoded[after]


class InterpolatedStream:
    """Streaming :func:`interpolate`; `first` and `shift` are the middle of frame 0 and the frame shift, in seconds."""

    def __init__(self, encoder: Encoder, first: float, shift: float):
        self._encoder, self._first, self._shift = encoder, first, shift
        self._stream, self._samples, self._given = WindowedStream(encoder), 0, 0
        self._encoded = np.empty((0, encoder.dimension), np.float32)
        self._offset = 0  # which of the encoder's frames is the first of these

    def accept(self, samples: np.ndarray) -> np.ndarray:
        """Our frames (T, D) float32 that more samples (N,) complete; T may be 0."""
        self._samples += len(samples)
        self._encoded = np.concatenate([self._encoded, self._stream.accept(samples)])
        last = self._offset + len(self._encoded) - 1  # of the encoder's frames: ours lie before it
        return self._give(math.ceil((last * self._encoder.shift + self._encoder.centre - self._first) / self._shift))

    def finish(self) -> np.ndarray:
        """Our frames (T, D) float32 that are left when there are no more samples."""
        rows = 1 + math.floor((self._samples / self._encoder.rate - 2 * self._first) / self._shift + 1e-6)
        if rows <= self._given:
            return np.empty((0, self._encoder.dimension), np.float32)
        self._encoded = np.concatenate([self._encoded, self._stream.finish()])
        return self._give(rows)

    def _give(self, rows: int) -> np.ndarray:
        """Those up to our frame `rows`."""
        rows = max(rows, self._given)
        seconds = self._first + self._shift * np.arange(self._given, rows)
        frames = interpolate(self._encoded, self._encoder, seconds - self._offset * self._encoder.shift)
        self._given = rows
        following = (self._first + rows * self._shift - self._encoder.centre) / self._encoder.shift
        gone = max(0, min(int(following), self._offset + len(self._encoded) - 1) - self._offset)
        self._encoded, self._offset = self._encoded[gone:], self._offset + gone
        return frames
