"""Frame archives: storage of everything with one row per frame.

<part>.<N>.npy   shard N, memory-mapped; most archives have one part `frames`, soft targets have several
index.tsv        utterance, shard, first row, rows, CRC-32 of the rows of each part; sorted by utterance
meta.json        kind, parts with their types, frame shift, content hash

Shards are written side by side, then :func:`finish` writes the index. A subset is a new index over the same shards,
named by relative paths. Pasted features store the archives whose rows are side by side, `joined` in meta.json.
"""

import hashlib
import itertools
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict
from zlib import crc32

import numpy as np

from asrdistill.errors import UserError, check_left_out, noting, shorten
from asrdistill.files import hash_of, write_json, write_text
from asrdistill.reader import Count, Positive, one_line, parse_lines, read_array, read_json, reading

Parts = Mapping[str, tuple[str, tuple[int, ...]]]  # name -> (dtype, shape of one row)
INDEX = "utterance <tab> shard <tab> first row <tab> rows <tab> CRC-32 of each part, in hexadecimal"
_HEADER = 128  # bytes of the .npy header, which is written last
Place = tuple[str, int, int, str]  # shard, first row, rows, CRC-32 of each part
Line = tuple[str, str, int, int, str]  # utterance and its place


class Settings(TypedDict, total=False):
    """Settings of features; `type` decides what else there is."""

    type: str


class Part(TypedDict):
    dtype: Literal["<f2", "<f4", "<f8", "|i1", "<i2", "<i4", "<i8", "|u1", "<u2", "<u4", "<u8"]
    shape: list[Count]


class _Meta(TypedDict):
    kind: str
    parts: dict[str, Part]
    hash: str


class Meta(_Meta, total=False):
    """meta.json of an archive."""

    frame_shift: Annotated[float, (0, 1e9)]  # seconds; 0: rows are no frames of speech
    features: Settings
    feature_hash: str
    senones: str
    index: str
    joined: list[str]
    temperatures: list[Positive]
    kept: Count
    kept_mass: list[float]
    teachers: list[str]
    combine: str
    level: dict[str, list[float]]


class ShardWriter:
    """Writes shard `number` of an archive, utterance by utterance, in constant memory."""

    def __init__(self, folder: Path, number: int, parts: Parts):
        self.folder, self.number, self.parts = Path(folder), number, dict(parts)
        self.rows = 0
        self.faults: dict[str, str] = {}  # utterances that are left out, and why
        self.index: list[tuple[str, int, int, str]] = []
        self.digest = hashlib.sha256()
        self.files = {name: open(self._path(name), "wb") for name in self.parts}  # noqa: SIM115 (closed by close)
        for handle in self.files.values():
            handle.write(bytes(_HEADER))

    def _path(self, part: str) -> Path:
        return self.folder / f"{part}.{self.number}.npy"

    def write(self, utterance: str, **arrays: np.ndarray) -> None:
        """Append one utterance: an array (T, …) for each part, all with the same T."""
        counts = {len(array) for array in arrays.values()}
        if set(arrays) != set(self.parts) or len(counts) != 1:
            raise ValueError(f"{utterance}: parts {sorted(self.parts)} of equal length wanted")
        self.digest.update(utterance.encode())
        sums = {}
        for name, array in arrays.items():
            dtype, shape = self.parts[name]
            data = np.ascontiguousarray(array, dtype=dtype)
            if data.shape[1:] != tuple(shape):
                raise ValueError(f"{utterance}: rows of {name} have shape {data.shape[1:]}, not {shape}")
            if np.isnan(data).any() if data.dtype.kind == "f" else not np.array_equal(data, array):
                raise UserError(f"utterance {utterance}: {name} has NaN or numbers that {data.dtype} cannot hold")
            self.digest.update(data.tobytes())
            sums[name] = f"{crc32(data.data):08x}"
            self.files[name].write(data.tobytes())
        rows = counts.pop()
        self.index.append((utterance, self.rows, rows, " ".join(sums[name] for name in self.parts)))
        self.rows += rows

    def close(self) -> dict[str, Any]:
        """Complete the files; returns the shard's record for :func:`finish`."""
        for name, handle in self.files.items():
            dtype, shape = self.parts[name]
            handle.seek(0)
            handle.write(_npy_header(np.dtype(dtype), (self.rows, *shape)))
            handle.flush()
            os.fsync(handle.fileno())
            handle.close()
        return {"number": self.number, "index": self.index, "hash": self.digest.hexdigest(), "faults": self.faults}


def finish(
    folder: Path, kind: str, parts: Parts, shards: Iterable[dict[str, Any]], utterances: int = 0, **meta: Any
) -> None:
    """Write index.tsv and meta.json over shards that are closed.

    kind        features, alignment, soft-targets, …
    utterances  that the shards are made of (0: those in them); UserError if too many of these have faults
    meta        further fields of meta.json: frame shift, senone hash, teachers, …
    """
    shards = sorted(shards, key=lambda shard: shard["number"])
    faults = {name: fault for shard in shards for name, fault in shard["faults"].items()}
    check_left_out(faults, utterances or len(faults) + sum(len(shard["index"]) for shard in shards))
    lines = [(utterance, str(shard["number"]), *place) for shard in shards for utterance, *place in shard["index"]]
    index = _write_index(Path(folder), lines)
    content = hash_of([shard["hash"] for shard in shards])
    described = {name: {"dtype": np.dtype(dtype).str, "shape": list(shape)} for name, (dtype, shape) in parts.items()}
    write_json(Path(folder) / "meta.json", {"kind": kind, "parts": described, "hash": content, "index": index, **meta})


class FrameArchive:
    """Reads an archive; nothing but the index is held in memory.

    archive = FrameArchive(folder, kind="features")
    archive["utt1"]             (T, F) read-only view of the memory-mapped part `frames`
    archive.part("utt1", "ids") the same for another part
    archive.read(["utt1", …])   a copy of several utterances' rows
    """

    def __init__(self, folder: Path, kind: str | None = None):
        self.folder = Path(folder)
        if not (self.folder / "meta.json").is_file():
            raise UserError(f"{folder} is not a frame archive (no meta.json in it); run the stage that makes it")
        self.meta: dict[str, Any] = read_json(self.folder / "meta.json", Meta)
        if kind and self.meta["kind"] != kind:
            raise UserError(f"{folder} holds {self.meta['kind']}; give an archive of {kind}")
        if not self.meta["parts"]:
            raise UserError(f"{self.folder / 'meta.json'} names no parts; make {folder} again")
        self._index: dict[str, Place] = self._read_index(self.folder / "index.tsv")
        self._maps: dict[tuple[str, str], Any] = {}
        self._checked: set[tuple[str, str]] = set()  # utterances and parts whose CRC is right
        self._joined = [FrameArchive(self.folder / name) for name in self.meta.get("joined", [])]
        if self._joined and joined_hash(self._joined) != self.hash:
            raise UserError(f"{self.folder} is pasted from archives that have changed; paste them again")

    def _read_index(self, path: Path) -> dict[str, Place]:
        remedy = f"make {self.folder} again"
        with reading(path, remedy):
            content = path.read_bytes()
        known, found = self.meta.get("index"), f"{crc32(content):08x}"
        try:
            if known != found:
                raise ValueError
            lines = [_parse_index(line) for line in content.decode().split("\n")[:-1]]
        except ValueError:  # this is slower, and names the line
            lines = list(parse_lines(path, _parse_index, INDEX))
        if known not in (None, found):
            raise UserError(f"{path} is not as it was written (CRC-32); {remedy}")
        index = {line[0]: line[1:] for line in lines}
        if len(index) < len(lines):
            name, _ = Counter(line[0] for line in lines).most_common(1)[0]
            raise UserError(f"{path} has utterance {name} twice; {remedy}")
        return index

    @property
    def parts(self) -> Parts:
        return {name: (part["dtype"], tuple(part["shape"])) for name, part in self.meta["parts"].items()}

    @property
    def hash(self) -> str:
        return self.meta["hash"]

    @property
    def frames_of(self) -> str:
        """Hash of the features whose frames these rows belong to."""
        return self.meta.get("feature_hash", self.hash)

    @property
    def utterances(self) -> list[str]:
        return list(self._index)

    @property
    def total_rows(self) -> int:
        return sum(place[2] for place in self._index.values())

    def __len__(self) -> int:
        return len(self._index)

    def __iter__(self) -> Iterator[str]:
        return iter(self._index)

    def __contains__(self, utterance: str) -> bool:
        return utterance in self._index

    def rows(self, utterance: str) -> int:
        return self._place(utterance)[2]

    def _place(self, utterance: str) -> Place:
        try:
            return self._index[utterance]
        except KeyError:
            raise UserError(f"{self.folder} has no utterance {utterance}; make it again") from None

    def __getitem__(self, utterance: str) -> np.ndarray:
        return self.part(utterance, "frames")

    def part(self, utterance: str, name: str) -> np.ndarray:
        """Rows of one utterance, a view into the memory-mapped shard."""
        if self._joined:
            return np.concatenate([archive.part(utterance, name) for archive in self._joined], axis=1)
        shard, first, rows, _ = self._place(utterance)
        frames = self._map(shard, name)[first : first + rows]
        if len(frames) != rows:
            raise UserError(f"{self.folder}: shard {shard} ends within utterance {utterance}; make the archive again")
        self._check(utterance, name, frames)
        return frames

    def readable(self, utterances: Iterable[str], faults: dict[str, str]) -> list[str]:
        """Those whose rows are there and as they were written; `faults` gets why the others are not."""
        found = []
        for utterance in utterances:
            with noting(faults, utterance):
                for name in self.parts:
                    self.part(utterance, name)
                found.append(utterance)
        return found

    def restrict(self, others: "FrameArchive") -> None:
        """Leave out utterances that another archive lacks; raises UserError if they are too many."""
        lacking = [utterance for utterance in self if utterance not in others]
        reason = f"of {self.folder} are not in {others.folder}"
        check_left_out(lacking, len(self), reason=reason, remedy="make both of the same utterances")
        for utterance in lacking:
            del self._index[utterance]

    def verify(self) -> None:
        """Read everything; raises UserError that names the first utterance whose content is not as it was written."""
        for utterance in self:
            for name in self.parts:
                self.part(utterance, name)

    def _check(self, utterance: str, name: str, frames: np.ndarray) -> None:
        """Raise UserError if the rows read first of an utterance are not those that were written."""
        sums = self._index[utterance][3].split()  # none in archives of earlier versions
        if (utterance, name) in self._checked or not sums:
            return
        found, known = f"{crc32(np.ascontiguousarray(frames).data):08x}", dict(zip(self.parts, sums, strict=False))
        if found != known.get(name, found):
            raise UserError(f"{self.folder}: {name} of {utterance} changed on disk (CRC-32); make the archive again")
        self._checked.add((utterance, name))

    def read(self, utterances: Sequence[str], name: str = "frames") -> np.ndarray:
        """Rows of several utterances, concatenated: (rows, …), copied by long reads instead of through the map.

        Mapped pages count as memory of the process; reads do not, and need fewer disk accesses.
        """
        if self._joined:
            return np.concatenate([archive.read(utterances, name) for archive in self._joined], axis=1)
        runs = _runs([self._place(utterance) for utterance in utterances])
        for shard, first, rows in runs:
            if first + rows > len(self._map(shard, name)):
                raise UserError(f"{self.folder}: shard {shard} is shorter than index.tsv says; make the archive again")
        whole = self._map(runs[0][0], name)
        out = np.empty((sum(rows for *_, rows in runs), *whole.shape[1:]), whole.dtype)
        done = 0
        for shard, first, rows in runs:
            source, target = self._map(shard, name), out[done : done + rows]
            with open(str(source.filename), "rb") as handle:
                handle.seek(source.offset + first * target[:1].nbytes)
                count = handle.readinto(target.reshape(-1).view(np.uint8).data)
            if count != target.nbytes:
                raise UserError(f"{self.folder}: shard {shard} is shorter than index.tsv says; make the archive again")
            done += rows
        ends = np.cumsum([self.rows(utterance) for utterance in utterances])
        for utterance, end in zip(utterances, ends.tolist(), strict=True):
            self._check(utterance, name, out[end - self.rows(utterance) : end])
        return out

    def _map(self, shard: str, name: str) -> Any:
        if (shard, name) not in self._maps:
            where = self.folder / shard
            path = where.with_name(f"{name}.{where.name}.npy")
            if name not in self.parts:
                raise UserError(f"{self.folder} has no part '{name}' but {shorten(self.parts)}; make it again")
            dtype, shape = self.parts[name]
            remedy = f"make the archive {self.folder} again"
            self._maps[shard, name] = read_array(path, dtype, (None, *shape), "r", remedy)
        return self._maps[shard, name]


def _runs(places: Sequence[Place]) -> list[tuple[str, int, int]]:
    """(shard, first row, rows) of utterances; adjacent ones are merged."""
    runs: list[tuple[str, int, int]] = []
    for shard, first, rows, _ in places:
        if runs and runs[-1][0] == shard and sum(runs[-1][1:]) == first:
            runs[-1] = (shard, runs[-1][1], runs[-1][2] + rows)
        else:
            runs.append((shard, first, rows))
    return runs


def subset(source: Path, out: Path, utterances: Iterable[str]) -> None:
    """Write into the existing folder `out` an index of these utterances over `source`'s shards.

    `out` must be at its final depth, since shard paths are relative.
    """
    archive, wanted = _own_shards(source), sorted(utterances)
    made_of = {"hash": archive.hash}
    if "feature_hash" in archive.meta:  # equal to that of the same subset of the features
        made_of["feature_hash"] = archive.frames_of
    contents = {"index": _write_index(Path(out), _lines(archive, out, {utterance: utterance for utterance in wanted}))}
    contents |= {key: hash_of([wanted, [content]]) for key, content in made_of.items()}
    write_json(Path(out) / "meta.json", {**archive.meta, **contents})


def alias(source: Path, out: Path, of: Mapping[str, str], own: Sequence[dict[str, Any]] = (), **meta: Any) -> None:
    """Write into the existing folder `out` an index over `source`'s shards under other names: name -> utterance.

    own   closed shards of `out` itself, to be indexed too
    meta  fields of meta.json that differ from the source
    """
    archive = _own_shards(source)
    lines = _lines(archive, out, of)
    lines += [(name, str(shard["number"]), *place) for shard in own for name, *place in shard["index"]]
    index = _write_index(Path(out), lines)
    content = hash_of([sorted(of.items()), archive.hash, *(shard["hash"] for shard in own)])
    write_json(Path(out) / "meta.json", {**archive.meta, "hash": content, "index": index, **meta})


def joined_hash(archives: Sequence[FrameArchive]) -> str:
    """The content hash of archives side by side."""
    return hash_of([archive.hash for archive in archives])


def _own_shards(folder: Path) -> FrameArchive:
    """Open an archive; raises UserError if it is pasted, since an index would cover the first part only."""
    archive = FrameArchive(folder)
    if archive.meta.get("joined"):
        raise UserError(f"{folder} is pasted from other archives; process these, then paste the results")
    return archive


def _lines(archive: FrameArchive, out: Path, of: Mapping[str, str]) -> list[Line]:
    """Lines of an index in `out` over the archive's shards: name -> utterance."""
    if missing := [utterance for utterance in of.values() if utterance not in archive]:
        raise UserError(f"{archive.folder} lacks {len(missing)} utterances: {shorten(missing)}; make these first")
    base = os.path.relpath(archive.folder.resolve(), Path(out).resolve())
    places = ((name, *archive._index[utterance]) for name, utterance in of.items())
    return [(name, os.path.normpath(f"{base}/{shard}"), begin, rows, sums) for name, shard, begin, rows, sums in places]


def check_match(a: FrameArchive, b: FrameArchive, utterances: Iterable[str] | None = None) -> None:
    """Raise UserError unless both archives have the same utterances (or these) with equal frame counts."""
    wanted = set(a) | set(b) if utterances is None else utterances
    for utterance in sorted(wanted):
        for archive, other in ((a, b), (b, a)):
            if utterance not in archive:
                raise UserError(f"utterance {utterance} is in {other.folder}, not in {archive.folder}; make both again")
        if a.rows(utterance) != b.rows(utterance):
            raise UserError(
                f"utterance {utterance} has {a.rows(utterance)} frames in {a.folder} "
                f"but {b.rows(utterance)} in {b.folder}; they were made from different audio or framing"
            )


def _npy_header(dtype: np.dtype, shape: tuple[int, ...]) -> bytes:
    """A version 1.0 .npy header, padded to a fixed size."""
    text = f"{{'descr': {dtype.str!r}, 'fortran_order': False, 'shape': {shape!r}, }}".encode()
    body = text.ljust(_HEADER - 11) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(body).to_bytes(2, "little") + body


def _write_index(folder: Path, lines: list[Line]) -> str:
    """Write index.tsv and return its CRC-32."""
    lines = sorted(lines)
    for a, b in itertools.pairwise(lines):
        if a[0] == b[0]:
            raise UserError(f"utterance {a[0]} was written twice into {folder}; give each its own id")
    text = "".join("\t".join(map(str, line)).rstrip() + "\n" for line in lines)
    write_text(folder / "index.tsv", text)
    return f"{crc32(text.encode()):08x}"


def _parse_index(line: str) -> Line:
    utterance, shard, *numbers, sums = line.split("\t") if line.count("\t") > 3 else [*line.split("\t"), ""]
    first, rows = map(int, numbers)  # archives of earlier versions have no sums
    if not (0 <= first < 1 << 53 and 0 <= rows < 1 << 53 and utterance):
        raise ValueError
    return utterance, sys.intern(shard), first, rows, sums


def check_features(
    archive: FrameArchive, wanted: dict[str, Any], model: Path, remedy: str = "give those that it was trained on"
) -> None:
    """Raise UserError unless the archive's features are those that the model was trained on."""
    found = archive.meta.get("features", {})
    if wanted != found:
        keys = sorted(key for key in wanted.keys() | found.keys() if wanted.get(key) != found.get(key))
        values = (f"{key} {one_line(found.get(key), 40)} instead of {one_line(wanted.get(key), 40)}" for key in keys)
        raise UserError(f"{archive.folder} holds other features than those of {model} ({shorten(values)}); {remedy}")
