"""LibriSpeech (OpenSLR 12): 960 hours of read English books in FLAC at 16 kHz, free to use (CC BY 4.0).

``data/librispeech.tsv`` lists its parts, those of mini_librispeech (OpenSLR 31), the lexicon and the language models
(OpenSLR 11) with sizes and checksums. Speech unpacks to
``LibriSpeech/<part>/<reader>/<chapter>/<reader>-<chapter>-<number>.flac`` with ``<reader>-<chapter>.trans.txt``; the
readers are in ``LibriSpeech/SPEAKERS.TXT``.

A speaker is a reader (Kaldi's recipe: a chapter): sets are divided by reader, and transforms have more data.
Words become lower case, and the lexicon loses its stress marks, as the shipped dictionary has none.
"""

import itertools
import logging
import os
import re
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from asrdistill import fetch, parallel, stage
from asrdistill.data.audio import flac_seconds
from asrdistill.data.directory import DataDirectory, Utterance, write_table
from asrdistill.errors import UserError, shorten
from asrdistill.files import TABLES, atomic, write_text
from asrdistill.progress import Meter
from asrdistill.reader import parse_lines

log = logging.getLogger("asrdistill")

TABLE = TABLES / "librispeech.tsv"
MIRROR = "https://www.openslr.org/resources"
CORPUS = "LibriSpeech"  # the folder in every archive
LEXICON = "librispeech-lexicon.txt"
DOCUMENTS = ("BOOKS.TXT", "CHAPTERS.TXT", "LICENSE.TXT", "README.TXT", "SPEAKERS.TXT")
ARCHIVE = ".tar.gz"
UNPACKED = 1.1  # size of the contents to that of the archive
CONNECTIONS = 3

STRESS = re.compile(r"(?<=[A-Z])[012]$")
CAPITALS = re.compile(r"[A-Z']+(?: [A-Z']+)*")


@dataclass(frozen=True)
class Part:
    """A line of the table: `path` below the mirror, `size` in bytes or None if unknown, `md5` or empty."""

    name: str
    path: str
    size: int | None
    md5: str

    @property
    def file(self) -> str:
        return PurePosixPath(self.path).name

    @property
    def is_archive(self) -> bool:
        return self.file.endswith(ARCHIVE)

    def home(self, out: Path) -> Path:
        """Final path of the part: a folder of speech or a file."""
        return out / CORPUS / self.name if self.is_archive else out / self.file

    def is_there(self, out: Path) -> bool:
        home = self.home(out)
        return bool(stage.marker(home)) if self.is_archive else home.is_file()


def download_librispeech(
    out: Path,
    parts: Sequence[str] = (),
    mirror: str = MIRROR,
    table: Path = TABLE,
    jobs: int = CONNECTIONS,
) -> None:
    """Fetch, verify and unpack parts: ``out/LibriSpeech/<part>``, ``out/<file>``; resumes what was interrupted.

    `jobs` parts are fetched at once. An error of one part lets the others finish first. Raises UserError for an unknown
    part, too little space, and as :func:`asrdistill.fetch.fetch` and :func:`asrdistill.fetch.extract` do.
    """
    known = read_parts(table)
    if not parts or set(parts) - known.keys():
        wrong = f"{table} has no part {shorten(sorted(set(parts) - known.keys()))}" if parts else "no part is named"
        raise UserError(f"{wrong}; give --parts, some of {', '.join(known)}")
    if urlsplit(mirror).scheme not in ("http", "https"):
        raise UserError(f"--mirror {mirror} is no address of a server; give one like {MIRROR}")
    wanted = [known[name] for name in dict.fromkeys(parts)]
    for part in wanted:
        if part.is_there(out):
            log.info("%s: up to date", part.home(out))
    wanted = [part for part in wanted if not part.is_there(out)]
    if wanted:
        remotes = [_remote(part, mirror) for part in wanted]
        (out / CORPUS if any(part.is_archive for part in wanted) else out).mkdir(parents=True, exist_ok=True)
        _require_space(out, wanted, remotes, jobs)
        _make_all(out, wanted, remotes, jobs)
    _write_documents(out)


def read_parts(table: Path = TABLE) -> dict[str, Part]:
    """The table of parts by name; raises UserError naming a bad line."""
    parts = (
        part for part in parse_lines(table, _parse_part, "part <tab> path <tab> bytes or - <tab> md5 or -") if part
    )
    return {part.name: part for part in parts}


def _parse_part(line: str) -> Part | None:
    name, path, size, md5 = line.split("\t")
    if size == "bytes":  # the header
        return None
    return Part(name, path, None if size == "-" else int(size), md5.strip("-"))


def _remote(part: Part, mirror: str) -> fetch.Remote:
    url = f"{mirror.rstrip('/')}/{part.path}"
    return fetch.Remote(url, fetch.size_of(url) if part.size is None else part.size, part.md5)


def _target(part: Part, out: Path) -> Path:
    """Where the part's file is fetched to."""
    return out / CORPUS / part.file if part.is_archive else part.home(out)


def _there(part: Part, out: Path) -> int:
    """Bytes of the part's file that earlier runs fetched."""
    target = _target(part, out)
    return sum(path.stat().st_size for path in (target, fetch.partial_of(target)) if path.is_file())


def _require_space(out: Path, parts: list[Part], remotes: list[fetch.Remote], jobs: int) -> None:
    """Space for what stays, and for the archives that exist beside what is unpacked from them."""
    archives = sorted(remote.size for part, remote in zip(parts, remotes, strict=True) if part.is_archive)
    files = sum(remote.size for part, remote in zip(parts, remotes, strict=True) if not part.is_archive)
    needed = files + int(UNPACKED * sum(archives)) + sum(archives[-jobs:]) - sum(_there(part, out) for part in parts)
    fetch.require_space(out, needed, f"{shorten(part.name for part in parts)} (fetched and unpacked)")


def _make_all(out: Path, parts: list[Part], remotes: list[fetch.Remote], jobs: int) -> None:
    total, there = sum(remote.size for remote in remotes), sum(_there(part, out) for part in parts)
    stop, lock = threading.Event(), threading.Lock()
    errors: list[UserError] = []
    with Meter("download", total=total / 1e6, unit="MB") as meter, ThreadPoolExecutor(jobs) as pool:
        meter.skip(there / 1e6)

        def advance(count: int) -> None:
            if stop.is_set():
                raise KeyboardInterrupt
            with lock:
                meter.advance(count / 1e6)

        try:
            for future in [pool.submit(_make, out, *pair, advance) for pair in zip(parts, remotes, strict=True)]:
                try:
                    future.result()
                except UserError as error:
                    log.error("%s", error)
                    errors.append(error)
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise
    if errors:
        more = f" (so did {len(errors) - 1} more of {len(parts)} parts, named above)" if len(errors) > 1 else ""
        raise UserError(f"{errors[0]}{more}")


def _make(out: Path, part: Part, remote: fetch.Remote, advance: fetch.Advance) -> None:
    """One part from the server to its folder or file; the archive goes once its folder is whole."""
    target, home = _target(part, out), part.home(out)
    if not part.is_archive:
        try:
            fetch.fetch(remote, target, advance)
        except OSError as error:
            raise UserError(f"{target} could not be written ({error.strerror}); make room and run it again") from error
        return

    def work(folder: Path) -> None:
        fetch.fetch(remote, target, advance)
        fetch.extract(target, folder, lambda name: _place(part, name), advance)

    stage.make(home, work, verb="download", options={"part": part.name, "md5": part.md5}, inputs=[])
    target.unlink(missing_ok=True)


def _place(part: Part, name: PurePosixPath) -> PurePosixPath:
    """LibriSpeech/dev-clean/84/… becomes 84/… in the part's folder, LibriSpeech/SPEAKERS.TXT becomes SPEAKERS.TXT."""
    for top in (PurePosixPath(CORPUS) / part.name, PurePosixPath(CORPUS)):
        if name.is_relative_to(top):
            return name.relative_to(top)
    return name


def _write_documents(out: Path) -> None:
    """LibriSpeech/SPEAKERS.TXT and so on, where other tools look for them: the longest of all parts."""
    for name in DOCUMENTS:
        copies = sorted(out.glob(f"{CORPUS}/*/{name}"), key=lambda path: (path.stat().st_size, path))
        here = out / CORPUS / name
        if copies and (not here.is_file() or here.stat().st_size < copies[-1].stat().st_size):
            with atomic(here, "wb") as handle:
                handle.write(copies[-1].read_bytes())


def folders_of(source: Path, parts: Sequence[str] = ()) -> list[Path]:
    """The folders of the parts (default: all); `source` is LibriSpeech or contains it.

    The part "lexicon" is a file, in `source` or beside LibriSpeech.
    """
    root = source / CORPUS if (source / CORPUS).is_dir() else source
    there = {path.name: path for path in sorted(root.iterdir()) if _holds_readers(path)} if root.is_dir() else {}
    if not there:
        raise UserError(f"{source} holds no LibriSpeech: no folder like {CORPUS}/dev-clean/84 in it; give its folder")
    lexica = [path for path in (root.parent / LEXICON, root / LEXICON) if path.is_file()]
    known = there | ({"lexicon": lexica[0]} if lexica else {})
    if missing := [part for part in parts if part not in known]:
        lacking = shorten(LEXICON if part == "lexicon" else part for part in missing)
        raise UserError(f"{root} lacks {lacking}; copy it there, or give --parts, some of {', '.join(known)}")
    return [known[part] for part in parts or there]


def prepare_librispeech(source: Path, out: Path, jobs: int = 1, parts: Sequence[str] = ()) -> None:
    """Make a data directory for each part, with spk2gender, in the existing folder `out`; of the lexicon lexicon.txt.

    Utterances are called reader-chapter-number. Raises UserError naming the file for a reader who is not in
    SPEAKERS.TXT, readers without chapters, audio without transcript and the reverse, transcripts not in capitals,
    truncated FLAC. Hidden files (``._84-121123-0000.flac`` of macOS) are ignored.
    """
    for folder in folders_of(source, parts):
        if folder.name == LEXICON:
            write_lexicon(folder, out / "lexicon.txt")
            continue
        genders = read_genders(folder)
        readers = sorted(_subfolders(folder, "reader"))
        if unknown := [reader for reader in readers if reader not in genders]:
            raise UserError(f"{folder} has the reader {shorten(unknown)}, whom SPEAKERS.TXT lacks; copy it again")
        chapters = [str(folder / reader / c) for reader in readers for c in _subfolders(folder / reader, "chapter")]
        read = parallel.map_utterances(_read_chapter, chapters, jobs, folder.name, unit="chapters")
        data = DataDirectory(itertools.chain.from_iterable(read))
        data.write_set(out / folder.name)
        write_table(out / folder.name / "spk2gender", ((speaker, genders[speaker]) for speaker in data.speakers))


def write_lexicon(source: Path, path: Path) -> None:
    """Write LibriSpeech's lexicon as ``word <tab> phones``, in lower case and without stress.

    Raises UserError naming a line that is not a word in capitals with phones.
    """
    entries = parse_lines(source, _parse_entry, "a word in capitals with its phones")
    lines = dict.fromkeys(
        f"{word.lower()}\t{' '.join(STRESS.sub('', phone) for phone in phones)}\n" for word, phones in entries
    )
    write_text(path, "".join(lines))
    log.info("%s: %d pronunciations", source, len(lines))


def _parse_entry(line: str) -> tuple[str, list[str]]:
    word, *phones = line.split() or [""]
    if word != word.upper() or not phones:
        raise ValueError
    return word, phones


def read_genders(folder: Path) -> dict[str, str]:
    """reader -> m or f, from the SPEAKERS.TXT in the part's folder or beside it."""
    own, shared = folder / DOCUMENTS[-1], folder.parent / DOCUMENTS[-1]
    if not own.is_file() and not shared.is_file():
        raise UserError(f"{shared} is missing, which has the readers' genders; copy it from the corpus, or download it")
    rows = parse_lines(own if own.is_file() else shared, _parse_reader, "reader | F or M | part | minutes | name")
    return dict(row for row in rows if row)


def _parse_reader(line: str) -> tuple[str, str] | None:
    if line.startswith(";") or not line.strip():
        return None
    reader, gender, *rest = [field.strip() for field in line.split("|")]
    if len(rest) < 3 or not reader.isdigit() or gender not in ("F", "M"):
        raise ValueError
    return reader, gender.lower()


def _holds_readers(folder: Path) -> bool:
    if folder.name.startswith(".") or not folder.is_dir():
        return False
    return any(entry.is_dir() and entry.name.isdigit() for entry in os.scandir(folder))


def _subfolders(folder: Path, kind: str) -> list[str]:
    names = [entry.name for entry in os.scandir(folder) if entry.is_dir() and not entry.name.startswith(".")]
    if not names:
        raise UserError(f"{folder} has no folder of a {kind}; copy it again or delete it")
    if wrong := [name for name in names if not name.isdigit()]:
        raise UserError(f"{folder / min(wrong)} is not named by a number, as each {kind} is; move it away")
    return sorted(names)


def _read_chapter(folder: str) -> list[Utterance]:
    """The utterances of a chapter; the folder is READER/CHAPTER."""
    reader, number = folder.split(os.sep)[-2:]
    chapter = f"{reader}-{number}"
    path = Path(folder) / f"{chapter}.trans.txt"
    names = {name for name in os.listdir(folder) if not name.startswith(".")}
    if path.name not in names:
        raise UserError(f"{folder} has no {path.name}, its transcripts; copy the chapter again")
    transcripts = _read_transcripts(path, chapter)
    audio = {name.removesuffix(".flac") for name in names if name.endswith(".flac")}
    if silent := sorted(transcripts.keys() - audio):
        raise UserError(f"{path} has {shorten(silent)}, of which there is no audio; copy the chapter again")
    if unwritten := sorted(audio - transcripts.keys()):
        raise UserError(f"{path} lacks {shorten(unwritten)}, of which there is audio; copy the chapter again")
    files = {id: f"{folder}/{id}.flac" for id in transcripts}
    return [
        Utterance(id, files[id], reader, text=transcript.lower(), duration=flac_seconds(files[id]))
        for id, transcript in transcripts.items()
    ]


def _read_transcripts(path: Path, chapter: str) -> dict[str, str]:
    def parse(line: str) -> tuple[str, str]:
        id, _, transcript = line.partition(" ")
        if not id.startswith(f"{chapter}-") or not CAPITALS.fullmatch(transcript) or id in transcripts:
            raise ValueError
        return id, transcript

    transcripts: dict[str, str] = {}
    for id, transcript in parse_lines(path, parse, f"{chapter}-NUMBER (each once) and words in capitals"):
        transcripts[id] = transcript
    if not transcripts:
        raise UserError(f"{path} is empty; copy the chapter again")
    return transcripts
