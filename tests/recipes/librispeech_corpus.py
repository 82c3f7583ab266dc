"""A corpus in LibriSpeech's form out of any speech, and a folder that a server can offer as OpenSLR does.

    speech = list(speech_of(DataDirectory.read(folder)))
    table = make_corpus(site, {"train-clean-5": speech[:80], "dev-clean-2": speech[80:]}, {"lexicon": "A\tAH0\n"})

site/31/train-clean-5.tar.gz … are what is served, and `table` is their librispeech.tsv, with sizes and md5.
"""

import gzip
import hashlib
import io
import shutil
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from asrdistill.corpora.librispeech import CORPUS, DOCUMENTS, Part, read_parts
from asrdistill.data.directory import DataDirectory

RATE = 16_000
CHAPTER = 20  # utterances of one


@dataclass(frozen=True)
class Speech:
    """An utterance: float32 samples (N,) at 16 kHz, its words in capitals, its reader's number."""

    reader: int
    samples: np.ndarray
    text: str


def speech_of(data: DataDirectory, first_reader: int = 100) -> Iterator[Speech]:
    """The utterances of a data directory, its speakers numbered from `first_reader` on."""
    readers = {speaker: first_reader + number for number, speaker in enumerate(data.speakers)}
    for utterance in data:
        yield Speech(readers[utterance.speaker], utterance.samples(RATE), (utterance.text or "").upper())


def tone(reader: int, text: str, seconds: float = 0.5) -> Speech:
    """An utterance without speech, for tests of files alone."""
    time = np.arange(round(seconds * RATE)) / RATE
    noise = np.random.default_rng(reader + len(text)).normal(scale=0.01, size=len(time))
    return Speech(reader, (0.1 * np.sin(2 * np.pi * reader * time) + noise).astype(np.float32), text)


def write_part(root: Path, part: str, speech: Iterable[Speech]) -> None:
    """root/<part>/<reader>/<chapter>/ with FLAC files and transcripts; chapters are numbered on through all readers."""
    by_reader: dict[int, list[Speech]] = {}
    for utterance in speech:
        by_reader.setdefault(utterance.reader, []).append(utterance)
    for reader, utterances in by_reader.items():
        for start in range(0, len(utterances), CHAPTER):
            chapter = f"{reader}-{1000 * reader + start // CHAPTER}"
            folder = root / part / str(reader) / chapter.split("-")[1]
            folder.mkdir(parents=True)
            lines = []
            for number, utterance in enumerate(utterances[start : start + CHAPTER]):
                id = f"{chapter}-{number:04d}"
                soundfile.write(folder / f"{id}.flac", utterance.samples, RATE, subtype="PCM_16")
                lines.append(f"{id} {utterance.text}\n")
            (folder / f"{chapter}.trans.txt").write_text("".join(lines))


def write_documents(root: Path, parts: dict[str, list[Speech]]) -> None:
    """SPEAKERS.TXT as LibriSpeech has it, and the other texts of its archives, in brief."""
    readers = {utterance.reader: part for part, speech in parts.items() for utterance in speech}
    rows = [
        f"{reader:<4} | {'FM'[reader % 2]} | {part:<16} | 25.00 | Reader {reader}\n" for reader, part in readers.items()
    ]
    for name in DOCUMENTS:
        text = ";ID  |SEX| SUBSET           |MINUTES| NAME\n" + "".join(rows) if "SPEAKERS" in name else f"{name}\n"
        (root / name).write_text(text)


def make_corpus(site: Path, parts: dict[str, list[Speech]], files: dict[str, str] | None = None) -> Path:
    """Archives of the parts and the given texts of other parts (lexicon, lm-…) in OpenSLR's places below `site`."""
    for part, speech in parts.items():
        write_part(site / CORPUS, part, speech)
    write_documents(site / CORPUS, parts)
    return offer_all(site, parts, files or {})


def copy_part(corpus: Path, root: Path, part: str, shortest: bool = False) -> None:
    """Chapters of a real part below `root`, files as they are; with `shortest` of each reader one utterance alone."""
    for transcripts in sorted((corpus / part).rglob("*.trans.txt")):
        lines = transcripts.read_text().splitlines(keepends=True)
        sizes = {line: transcripts.with_name(f"{line.split()[0]}.flac").stat().st_size for line in lines}
        folder = root / transcripts.parent.relative_to(corpus)
        if shortest and folder.parent.exists():  # another chapter of the reader
            continue
        folder.mkdir(parents=True)
        kept = [min(lines, key=sizes.__getitem__)] if shortest else lines
        (folder / transcripts.name).write_text("".join(kept))
        for line in kept:
            shutil.copyfile(transcripts.with_name(f"{line.split()[0]}.flac"), folder / f"{line.split()[0]}.flac")


def offer_all(site: Path, parts: Iterable[str], files: dict[str, str]) -> Path:
    """Archives of the parts below site/LibriSpeech and the given texts, where OpenSLR has them; returns the table."""
    known = read_parts()
    contents = {part: pack(site / CORPUS, part) for part in parts}
    for part, text in files.items():
        plain = text.encode()
        contents[part] = gzip.compress(plain, mtime=0) if known[part].file.endswith(".gz") else plain
    return offer(site, {known[part]: content for part, content in contents.items()})


def pack(root: Path, part: str) -> bytes:
    """The .tar.gz of a part: LibriSpeech/*.TXT and LibriSpeech/<part>/…; the same bytes each time."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for path in [*(root / name for name in DOCUMENTS), *sorted((root / part).rglob("*"))]:
            info = tar.gettarinfo(path, f"{CORPUS}/{path.relative_to(root)}")
            info.mtime = info.uid = info.gid = 0
            info.uname = info.gname = ""
            with open(path, "rb") if path.is_file() else io.BytesIO() as content:
                tar.addfile(info, content if path.is_file() else None)
    return gzip.compress(packed.getvalue(), compresslevel=1, mtime=0)


def offer(site: Path, contents: dict[Part, bytes]) -> Path:
    """Put files where OpenSLR has them below `site`; returns their table. Those of OpenSLR 11 get no md5, as there."""
    rows = ["part\tpath\tbytes\tmd5\n"]
    for part, content in contents.items():
        path = site / part.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        md5 = "-" if part.path.startswith("11/") else hashlib.md5(content).hexdigest()
        rows.append(f"{part.name}\t{part.path}\t{'-' if part.size is None else len(content)}\t{md5}\n")
    table = site / "librispeech.tsv"
    table.write_text("".join(rows))
    return table
