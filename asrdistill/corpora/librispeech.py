"""LibriSpeech (OpenSLR 12): 960 hours of read English books in FLAC at 16 kHz, free to use (CC BY 4.0).

Its parts, those of mini_librispeech (OpenSLR 31), and the lexicon and language models that belong to it (OpenSLR
11) stand in ``data/librispeech.tsv`` with their sizes and checksums. Speech unpacks to
``LibriSpeech/<part>/<reader>/<chapter>/<reader>-<chapter>-<number>.flac``, each chapter with its
``<reader>-<chapter>.trans.txt``; the readers stand in ``LibriSpeech/SPEAKERS.TXT``.

A speaker is a reader. Kaldi's recipe takes each chapter for a speaker of its own, to have means by chapter; but
the sets are divided by reader, errors are counted by reader, and a transform that is estimated per speaker
has two or three times the speech. Who wants chapters finds them in the utterance ids.

LibriSpeech writes in capitals; asrdistill's words are in lower case. :func:`words_of` is the one place where the
one becomes the other. The lexicon marks the stress of vowels (AH0, AH1, AH2); as in the dictionary that asrdistill
ships, the marks go, and with them the pronunciations that differ in nothing else.
"""

import logging
import os
import re
import threading
from collections.abc import Iterable, Sequence
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

log = logging.getLogger("asrdistill")

TABLE = TABLES / "librispeech.tsv"
MIRROR = "https://www.openslr.org/resources"
CORPUS = "LibriSpeech"  # the folder in every archive
LEXICON = "librispeech-lexicon.txt"
DOCUMENTS = ("BOOKS.TXT", "CHAPTERS.TXT", "LICENSE.TXT", "README.TXT", "SPEAKERS.TXT")
ARCHIVE = ".tar.gz"
UNPACKED = 1.1  # size of what is in an archive to the archive's: FLAC and MP3 do not compress any more
CONNECTIONS = 3

STRESS = re.compile(r"(?<=[A-Z])[012]$")
CAPITALS = re.compile(r"[A-Z']+(?: [A-Z']+)*")


@dataclass(frozen=True)
class Part:
    """A line of the table: `path` below the mirror, `size` in bytes (None where it is not known), `md5` or empty."""

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
        """What the part is in the folder `out` in the end: a folder of speech or a file."""
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
    """Fetch parts, verify them and unpack those that are archives: ``out/LibriSpeech/<part>``, ``out/<file>``.

    `jobs` of them side by side, in threads: the network sets the pace, and checksums and unpacking leave Python's
    lock free. A part that is there is left alone; one that was interrupted goes on where it was. An error of one
    part lets the others end first. Raises UserError for an unknown part, too little room, and what
    :func:`asrdistill.fetch.fetch` and :func:`asrdistill.fetch.extract` raise.
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
    """The table of parts by their names; raises UserError naming a line that is wrong."""
    try:
        lines = Path(table).read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise UserError(f"the table of parts {table} cannot be read ({error.strerror})") from None
    parts: dict[str, Part] = {}
    for number, line in enumerate(lines[1:], 2):
        fields = line.split("\t")
        if len(fields) != 4 or not (fields[2] == "-" or fields[2].isdigit()):
            raise UserError(f"{table}, line {number}: '{line}' is not 'part, path, bytes, md5' with tabs between them")
        name, path, size, md5 = fields
        parts[name] = Part(name, path, None if size == "-" else int(size), md5.strip("-"))
    return parts


def _remote(part: Part, mirror: str) -> fetch.Remote:
    url = f"{mirror.rstrip('/')}/{part.path}"
    return fetch.Remote(url, fetch.size_of(url) if part.size is None else part.size, part.md5)


def _target(part: Part, out: Path) -> Path:
    """Where the part's file is fetched to."""
    return out / CORPUS / part.file if part.is_archive else part.home(out)


def _there(part: Part, out: Path) -> int:
    """Bytes of the part's file that earlier runs left."""
    target = _target(part, out)
    return sum(path.stat().st_size for path in (target, fetch.partial_of(target)) if path.is_file())


def _require_space(out: Path, parts: list[Part], remotes: list[fetch.Remote], jobs: int) -> None:
    """Room for all that stays, and for as many archives as may stand beside what is unpacked from them."""
    archives = sorted(remote.size for part, remote in zip(parts, remotes, strict=True) if part.is_archive)
    files = sum(remote.size for part, remote in zip(parts, remotes, strict=True) if not part.is_archive)
    needed = files + int(UNPACKED * sum(archives)) + sum(archives[-jobs:]) - sum(_there(part, out) for part in parts)
    fetch.require_space(out, needed, f"{shorten(part.name for part in parts)} (what is fetched and what is unpacked)")


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
    """LibriSpeech/dev-clean/84/… stands in the part's folder as 84/…, LibriSpeech/SPEAKERS.TXT as SPEAKERS.TXT."""
    for top in (PurePosixPath(CORPUS) / part.name, PurePosixPath(CORPUS)):
        if name.is_relative_to(top):
            return name.relative_to(top)
    return name


def _write_documents(out: Path) -> None:
    """LibriSpeech/SPEAKERS.TXT and so on, where other tools look for them: the longest that an archive had."""
    for name in DOCUMENTS:
        copies = sorted(out.glob(f"{CORPUS}/*/{name}"), key=lambda path: (path.stat().st_size, path))
        here = out / CORPUS / name
        if copies and (not here.is_file() or here.stat().st_size < copies[-1].stat().st_size):
            with atomic(here, "wb") as handle:
                handle.write(copies[-1].read_bytes())


def folders_of(source: Path, parts: Sequence[str] = ()) -> list[Path]:
    """The folders of the parts, all that are there unless some are named; `source` is LibriSpeech or holds it.

    The part "lexicon" is a file, in `source` or beside LibriSpeech.
    """
    root = source / CORPUS if (source / CORPUS).is_dir() else source
    there = {path.name: path for path in sorted(root.iterdir()) if _holds_readers(path)} if root.is_dir() else {}
    if not there:
        raise UserError(f"{source} holds no LibriSpeech: no folder like {CORPUS}/dev-clean/84 in it; give its folder")
    lexica = [path for path in (root.parent / LEXICON, root / LEXICON) if path.is_file()]
    known = there | ({"lexicon": lexica[0]} if lexica else {})
    if missing := [part for part in parts if part not in known]:
        raise UserError(f"{root} has no part {shorten(missing)}; it has {', '.join(known)}")
    return [known[part] for part in parts or there]


def prepare_librispeech(
    source: Path, out: Path, minutes: float | None = None, jobs: int = 1, parts: Sequence[str] = ()
) -> None:
    """Make a data directory for each part, with spk2gender, in the existing folder `out`; of the lexicon lexicon.txt.

    Utterances are named reader-chapter-number, speakers are readers. Lengths come from the FLAC headers. Raises
    UserError naming the file for a reader who is not in SPEAKERS.TXT, a chapter without transcripts, audio without
    transcript and the reverse, a transcript that is not in capitals, a FLAC file that was cut.
    """
    if minutes is not None:
        raise UserError("LibriSpeech's parts are standard, so none is cut down; leave --minutes out")
    for folder in folders_of(source, parts):
        if folder.name == LEXICON:
            write_lexicon(folder, out / "lexicon.txt")
            continue
        genders = read_genders(folder)
        readers = sorted(_subfolders(folder, "reader"))
        if unknown := [reader for reader in readers if reader not in genders]:
            raise UserError(f"{folder} has the reader {shorten(unknown)}, whom SPEAKERS.TXT lacks; copy it again")
        chapters = [str(folder / reader / c) for reader in readers for c in _subfolders(folder / reader, "chapter")]
        tasks = parallel.split(chapters, max(1, len(chapters) // 16))
        read = parallel.map_utterances(_read_chapters, tasks, jobs, folder.name, unit="chapters")
        data = DataDirectory(
            Utterance(id, audio, id.split("-")[0], text=words, duration=seconds)
            for rows in read
            for id, audio, words, seconds in rows
        )
        (out / folder.name).mkdir(exist_ok=True)
        data.write(out / folder.name)
        write_table(out / folder.name / "spk2gender", ((speaker, genders[speaker]) for speaker in data.speakers))
        hours, words = sum(u.duration or 0 for u in data) / 3600, sum((u.text or "").count(" ") + 1 for u in data)
        log.info(
            "%s: %d utterances, %.2f hours, %d words, %d speakers",
            *(folder.name, len(data), hours, words, len(readers)),
        )


def words_of(transcript: str) -> str:
    """LibriSpeech's transcript, lexicon entry or LM word, which are in capitals, as asrdistill writes words."""
    return transcript.lower()


def write_lexicon(source: Path, path: Path) -> None:
    """Write LibriSpeech's lexicon as asrdistill's dictionaries are: ``word <tab> phones``, without stress.

    Raises UserError naming the line for a word that is not in capitals, and for one without phones.
    """
    entries: dict[str, None] = {}  # in the order of the file, each once
    for number, line in enumerate(_lines(source), 1):
        word, *phones = line.split() or [""]
        if word != word.upper() or not phones:
            raise UserError(
                f"{source}, line {number}: '{line}' is not a word in capitals with its phones; take the original"
            )
        entries[f"{words_of(word)}\t{' '.join(STRESS.sub('', phone) for phone in phones)}\n"] = None
    write_text(path, "".join(entries))
    log.info("%s: %d pronunciations", source, len(entries))


def read_genders(folder: Path) -> dict[str, str]:
    """reader -> m or f, from the SPEAKERS.TXT in the part's folder or beside it."""
    path = next((path for path in (folder / DOCUMENTS[-1], folder.parent / DOCUMENTS[-1]) if path.is_file()), None)
    if path is None:
        raise UserError(f"{folder.parent / DOCUMENTS[-1]} does not exist; copy it from LibriSpeech")
    genders = {}
    for number, line in enumerate(_lines(path), 1):
        fields = [field.strip() for field in line.split("|")]
        if line.startswith(";") or not line.strip():
            continue
        if len(fields) < 5 or not fields[0].isdigit() or fields[1] not in ("F", "M"):
            raise UserError(f"{path}, line {number}: '{line}' is not 'reader | F or M | part | minutes | name'")
        genders[fields[0]] = fields[1].lower()
    return genders


def _holds_readers(folder: Path) -> bool:
    return (
        not folder.name.startswith(".")
        and folder.is_dir()
        and any(entry.is_dir() and entry.name.isdigit() for entry in os.scandir(folder))
    )


def _subfolders(folder: Path, kind: str) -> list[str]:
    names = [entry.name for entry in os.scandir(folder) if entry.is_dir()]
    if wrong := [name for name in names if not name.isdigit()]:
        raise UserError(f"{folder / min(wrong)} is not named by a number, as each {kind} is; move it away")
    return sorted(names)


def _read_chapters(folders: parallel.Chunk[str]) -> list[tuple[str, str, str, float]]:
    return [row for folder in folders for row in _read_chapter(folder)]


def _read_chapter(folder: str) -> Iterable[tuple[str, str, str, float]]:
    """(utterance, path of its audio, words, seconds) of a chapter's utterances."""
    chapter = "-".join(folder.split(os.sep)[-2:])
    path = Path(folder) / f"{chapter}.trans.txt"
    names = set(os.listdir(folder))
    if path.name not in names:
        raise UserError(f"{folder} has no {path.name}, its transcripts; copy the chapter again")
    transcripts = _read_transcripts(path, chapter)
    audio = {name.removesuffix(".flac") for name in names if name.endswith(".flac")}
    if silent := sorted(transcripts.keys() - audio):
        raise UserError(f"{path} has {shorten(silent)}, of which there is no audio; copy the chapter again")
    if unwritten := sorted(audio - transcripts.keys()):
        raise UserError(f"{path} lacks {shorten(unwritten)}, of which there is audio; copy the chapter again")
    for id, transcript in transcripts.items():
        file = f"{folder}/{id}.flac"
        yield id, file, words_of(transcript), flac_seconds(file)


def _read_transcripts(path: Path, chapter: str) -> dict[str, str]:
    transcripts: dict[str, str] = {}
    for number, line in enumerate(_lines(path), 1):
        id, _, transcript = line.partition(" ")
        if not id.startswith(f"{chapter}-") or id in transcripts:
            wrong = "stands there twice" if id in transcripts else f"is not of the form {chapter}-NUMBER"
            raise UserError(f"{path}, line {number}: '{id}' {wrong}; copy the chapter again")
        if not CAPITALS.fullmatch(transcript):
            wrong = "is in lower case" if transcript != transcript.upper() else "is no row of words"
            raise UserError(
                f"{path}: the transcript of {id} {wrong}, but LibriSpeech has capitals and apostrophes alone: "
                "take the original"
            )
        transcripts[id] = transcript
    if not transcripts:
        raise UserError(f"{path} is empty; copy the chapter again")
    return transcripts


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        raise UserError(f"{path} cannot be read as text; copy it again") from None
