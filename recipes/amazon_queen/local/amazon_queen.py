"""Corpus from "Flight of the Amazon Queen", a freely distributable adventure game with English voices.

Example:
  python recipes/amazon_queen/local/amazon_queen.py download download
  python recipes/amazon_queen/local/amazon_queen.py prepare download/queen.1c corpus --minutes 24

queen.1c holds the clips as MP3 (11,025 Hz, mono) and, in the scripts of dialogues, cut scenes and rooms, the subtitle
of each clip. Integers are big-endian. The scripts name no clip: a sentence is split at its commands (*03: an
animation), each piece is one clip, and the clip's name is a prefix given by the place of the sentence, then the number
of the piece as one hexadecimal digit.

Licence: the game may be passed on and modified but not sold; none of it is shipped.
"""

import io
import re
import struct
import sys
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import soundfile

from asrdistill import parallel
from asrdistill.cli.command import JOBS, Args, Group, arg, make
from asrdistill.corpora import apt
from asrdistill.data.directory import DataDirectory, Utterance
from asrdistill.errors import UserError, log, shorten
from asrdistill.lang.normalize import normalize_english

group = Group("amazon_queen.py", __doc__)

PACKAGE = "flight-of-the-amazon-queen"
MAGIC = b"QTBL"
MP3 = 1
HEADER = 20  # bytes before the content of a .DOG, .CUT or .JAS file
VERBS, ANSWERS = 12, 40  # lines of these kinds in QUEEN2.JAS
COMMAND = re.compile(r"\*(?:XY.{11}|..)", re.DOTALL)

SETS = ("train", "dev", "test", "test_unseen")
UNSEEN = {"FAYE", "JIMMY", "LARIS", "NAOMI", "SECRETARY"}
SHORTEST = 0.5  # seconds
FEWEST_MATCHED = 0.95  # of the clips

JOE = "JOE"
NOT_PERSONS = {"APE", "BUTTONS", "DOG", "DOOR", "GORILLA", "GUARD DOG", "LILY PAD", "NOTE", "PATH", "ROCK", "SMOKE"}
NOT_PERSONS |= {"TELEPHONE", "TORCH", "VICIOUS DINOSAUR"}
# Names of one character in different files, and in QUEEN.JAS.
ALIASES = {
    "AND": "ANDERSON",
    "AZURA OBJ": "PRINCESS AZURA",
    "BOB": "TRADER BOB",
    "JIM": "JIMMY",
    "JOE KING": JOE,
    "LOU": "MARY-LOU",
    "PRIN": "PRINCESS AZURA",
    "SEC": "SECRETARY",
    "WEDGE": "WEDGEWOOD",
    "WITCH": "WITCH DOCTOR",
    "ZOMBIE": "ZOMBIE WOMAN",
}


@group.command(arg("out", help="folder for queen.1c and its copyright file"))
def download(args: Args) -> None:
    """Fetch queen.1c from the Debian or Ubuntu archive, with apt-get but without root"""
    make(args, _fetch, options={"corpus": "amazon_queen"})


def _fetch(out: Path) -> None:
    apt.fetch([PACKAGE], {"queen.1c": "queen.1c"}, out, "give your own file with --queen PATH")
    QueenFile(out / "queen.1c")


@group.command(
    arg("queen", help="the game's file queen.1c"),
    arg("out", help="folder for train, dev, test, test_unseen and clips"),
    arg("--minutes", type=float, help="minutes of all sets together to keep (default: all)"),
    JOBS,
)
def prepare(args: Args) -> None:
    """Make the data directories train, dev, test and test_unseen

    --minutes keeps the utterances whose ids have the smallest checksums, in the same proportion of each set.
    """
    if args.minutes is not None and args.minutes <= 0:
        raise UserError(f"--minutes must be above 0, not {args.minutes}")
    options = {"corpus": "amazon_queen", "minutes": args.minutes}
    make(args, lambda out: _prepare(args.queen, out, args.minutes, args.jobs), args.queen, options=options)


def _prepare(queen: Path, out: Path, minutes: float | None, jobs: int) -> None:
    container = QueenFile(queen)
    clips = read_clips(container, jobs)
    sets = divide(clips)
    share = 1.0 if minutes is None else minutes * 60 / sum(clip.seconds for clips in sets.values() for clip in clips)
    (out / "clips").mkdir(exist_ok=True)
    for name in SETS:
        kept = [clip for clip in sets[name] if _checksum(clip.id) < share * 2**32]
        for clip in kept:
            (out / "clips" / f"{clip.name}.mp3").write_bytes(container[f"{clip.name}.SB"])
        DataDirectory(clip.utterance(out / "clips") for clip in kept).write_set(out / name)


@dataclass(frozen=True)
class Clip:
    """A clip with its subtitle: `name` in the container, `speaker` the character's full name."""

    name: str
    speaker: str
    subtitle: str
    seconds: float

    @property
    def id(self) -> str:
        """The speaker first, so that utterances sort as their speakers do."""
        return f"{self.speaker_id}-{self.name}"

    @property
    def speaker_id(self) -> str:
        return re.sub(r"\W", "_", self.speaker)

    @property
    def words(self) -> str:
        return normalize_english(self.subtitle)

    @property
    def key(self) -> str:
        """Key that decides the set: the subtitle without case, punctuation and numbers."""
        return re.sub(r"[^a-z']+", " ", self.subtitle.lower()).strip()

    def utterance(self, folder: Path) -> Utterance:
        audio = str(folder / f"{self.name}.mp3")
        return Utterance(self.id, audio, self.speaker_id, text=self.words, duration=self.seconds)


def read_clips(queen: "QueenFile", jobs: int = 1) -> list[Clip]:
    """Clips with a subtitle, sorted by name; logs the names of those without."""
    found: dict[str, tuple[str, str]] = {}
    for line in read_lines(queen):
        for name, subtitle in line.pieces():
            found.setdefault(name, (ALIASES.get(line.speaker, line.speaker), subtitle))
    names = [name.removesuffix(".SB") for name in queen.names(".SB")]
    blocks = parallel.split([(name, queen[f"{name}.SB"]) for name in names], 32)
    seconds = dict(
        pair for pairs in parallel.map_utterances(_measure, blocks, jobs, "decode", unit="clips") for pair in pairs
    )
    clips = [Clip(name, *found[name], seconds[name]) for name in names if name in found]
    without = [name for name in names if name not in found]
    matched = sum(clip.seconds for clip in clips) / 60
    log.info("%d clips, %.1f minutes in %s", len(names), sum(seconds.values()) / 60, queen.path)
    log.info("%d clips, %.1f minutes matched with their subtitles", len(clips), matched)
    if without:
        log.info("left out: %d clips without subtitle: %s", len(without), shorten(without))
    if len(clips) < FEWEST_MATCHED * len(names):
        raise UserError(
            f"{queen.path}: only {len(clips)} of {len(names)} clips have a subtitle; give the English file of Debian's "
            "package flight-of-the-amazon-queen"
        )
    return clips


def _measure(clips: parallel.Chunk[tuple[str, bytes]]) -> list[tuple[str, float]]:
    """Durations of clips in seconds, by decoding, which also verifies them."""
    lengths = []
    for name, content in clips:
        try:
            samples, rate = soundfile.read(io.BytesIO(content), dtype="float32")
        except soundfile.LibsndfileError:
            raise UserError(f"the clip {name} in queen.1c cannot be decoded; fetch the file again") from None
        lengths.append((name, len(samples) / rate))
    return lengths


def divide(clips: list[Clip]) -> dict[str, list[Clip]]:
    """Assign clips to sets; no sentence is in two sets. Logs how many are left out and why."""
    left_out = Counter(reason for clip in clips if (reason := _unfit(clip)))
    kept = [clip for clip in clips if not _unfit(clip)]
    unseen_keys = {clip.key for clip in kept if clip.speaker in UNSEEN}
    sets: dict[str, list[Clip]] = {name: [] for name in SETS}
    for clip in kept:
        if clip.speaker in UNSEEN:
            sets["test_unseen"].append(clip)
        elif clip.key in unseen_keys:
            left_out["with a sentence of test_unseen"] += 1
        else:
            rest = _checksum(clip.key) % 100
            sets["dev" if rest < 6 else "test" if rest < 14 else "train"].append(clip)
    for reason, count in left_out.most_common():
        log.info("left out: %d clips %s", count, reason)
    return sets


def _unfit(clip: Clip) -> str:
    """Reason to leave a clip out, or an empty string."""
    words = len(clip.words.split())
    if not clip.speaker:  # some belong to the speakers of test_unseen
        return "whose speaker is not known"
    if clip.speaker in NOT_PERSONS:
        return "spoken by no person"
    if words < 2:
        return "of one word or none"
    if clip.seconds < SHORTEST:
        return f"shorter than {SHORTEST} s"
    return ""


def _checksum(text: str) -> int:
    return zlib.crc32(text.encode())


class QueenFile:
    """The container `queen.1c`: maps names of entries to bytes. Raises UserError for another or truncated file."""

    def __init__(self, path: Path):
        self.path = Path(path)
        try:
            self._bytes = self.path.read_bytes()
        except OSError as error:
            raise UserError(f"{path} cannot be read ({error.strerror}); give the path of the file queen.1c") from None
        if not self._bytes.startswith(MAGIC):
            raise UserError(
                f"{path} is not a queen.1c of the talkie Flight of the Amazon Queen (it must begin with QTBL)"
            )
        self._entries = dict(self._directory())

    def _directory(self) -> Iterator[tuple[str, tuple[int, int]]]:
        table = struct.Struct(">12sBII")
        _, compression, count = struct.unpack(">12sBH", self._bytes[:15].ljust(15, b"\0"))
        rows = self._bytes[15 : 15 + count * table.size]
        if len(self._bytes) < 15 or len(rows) < count * table.size:
            raise UserError(f"{self.path} is cut short; fetch it again")
        if compression != MP3:
            raise UserError(f"{self.path} holds no MP3 voices; give the file of Debian's package")
        for name, _bundle, offset, size in table.iter_unpack(rows):
            name = name.rstrip(b"\0").decode("latin-1")
            if not re.fullmatch(r"[\w.]+", name, re.ASCII):  # names become file names
                raise UserError(f"{self.path} is damaged: it has an entry {name!r}; fetch it again")
            if offset + size > len(self._bytes):
                raise UserError(f"{self.path} is cut short: {name} should end at byte {offset + size}; fetch it again")
            yield name, (offset, size)

    def __getitem__(self, name: str) -> bytes:
        if name not in self._entries:
            raise UserError(f"{self.path} has no entry {name}; give the file of Debian's package")
        offset, size = self._entries[name]
        return self._bytes[offset : offset + size]

    def names(self, suffix: str) -> list[str]:
        """Names of the entries that end so, sorted."""
        return sorted(name for name in self._entries if name.endswith(suffix))


@dataclass(frozen=True)
class Line:
    """A sentence of a script: prefix of its clips' names, speaker, subtitle with commands."""

    prefix: str
    speaker: str
    sentence: str

    def pieces(self) -> Iterator[tuple[str, str]]:
        """Yield (clip name, subtitle) of each piece that has a subtitle."""
        prefix = self.prefix.replace(" ", "0").upper()
        for number, piece in enumerate(COMMAND.split(self.sentence), 1):
            if piece.strip():
                yield f"{prefix}{number:X}", piece.strip()


def read_lines(queen: QueenFile) -> Iterator[Line]:
    """Yield the spoken sentences; dialogues first, because their speakers are certain."""
    objects = read_objects(queen)
    for suffix in (".DOG", ".CUT"):
        for name in queen.names(suffix):
            base, data = name.removesuffix(suffix), queen[name][HEADER:]
            try:
                yield from read_dialogue(base, data) if suffix == ".DOG" else read_cut_scene(base, data, objects)
            except (struct.error, IndexError):
                raise UserError(f"{queen.path}: its entry {name} is damaged; fetch the file again") from None
    yield from read_descriptions(queen)


def read_dialogue(name: str, data: bytes) -> Iterator[Line]:
    """Lines of a .DOG file: a conversation between Joe and the character who names the file."""
    levels, key, joe_lines, other_lines = (_int16(data, at) for at in (0, 4, 6, 8))
    other_start, again_start = _int16(data, 22), _int16(data, 26)
    other = name.rstrip("0123456789")
    joe_start = 32 + 96 * abs(levels)
    for speaker, letter, start, count in ((JOE, "J", joe_start, joe_lines), (other, "P", other_start, other_lines)):
        at = start
        for _ in range(count):
            (id,) = struct.unpack_from(">H", data, at + 2)
            sentence, at = _string(data, at + 4, 4)
            yield Line(f"{key:2d}{id:4x}{letter}", speaker, sentence)
    if _int16(data, joe_start + 2) == 0:
        yield Line(f"{key:2d}SSSSJ", JOE, _string(data, joe_start + 4, 4)[0])
    sentence, at = _string(data, again_start, 2)
    yield Line(f"{key:2d}XXXXP", other, sentence)
    yield Line(f"{key:2d}XXXXJ", JOE, _string(data, at, 2)[0])


def read_cut_scene(name: str, data: bytes, objects: list[tuple[str, int]]) -> Iterator[Line]:
    """Lines of a .CUT file; `objects` are (name, image) of the game's objects, counted from 1."""
    count = abs(_int16(data, 2))
    _, strings = _string(data, _int16(data, 8), 2)  # text on the screen at the start
    at = 12
    for number in range(1, count + 1):
        record = struct.unpack_from(">18h", data, at)
        at += 2 * (18 + record[17])
        if _is_animated(record, objects):
            while struct.unpack_from(">h", data, at)[0] != -2:
                at += 20
            at += 2
        sentence, strings = _string(data, strings, 2)
        who = JOE if record[0] == 0 else objects[record[0]][0] if record[0] > 0 else ""
        yield Line(f"{name:_<5}{number:02d}", who, sentence)


def _is_animated(record: tuple[int, ...], objects: list[tuple[str, int]]) -> bool:
    """Whether animation frames follow a cut scene's record."""
    number, animations, execute, copied_from = record[0], record[4], record[5], record[12]
    person = number == 0 or (number > 0 and objects[number][1] in (-3, -4))
    return bool(execute) and not (person and animations == 0) and copied_from <= 0 and number not in (-2, -3, -4)


def read_objects(queen: QueenFile) -> list[tuple[str, int]]:
    """(name, image) of each object in the rooms; an image of -3 or -4 is a person. Number 0 is nothing."""
    data, lines = queen["QUEEN.JAS"][HEADER:], _text_lines(queen)
    try:
        _, name_count, object_count, description_count = struct.unpack_from(">4h", data)
        records = [struct.unpack_from(">8h", data, 8 + 16 * i) for i in range(object_count)]
        names = ["", *lines[description_count : description_count + name_count]]
        return [("", 0)] + [(names[abs(record[0])].upper(), record[7]) for record in records]
    except (struct.error, IndexError):
        raise UserError(f"{queen.path}: its entry QUEEN.JAS is damaged; fetch the file again") from None


def read_descriptions(queen: QueenFile) -> Iterator[Line]:
    """Joe's descriptions of objects, and his stock answers."""
    lines = _text_lines(queen)
    rooms, names, _, descriptions = struct.unpack_from(">4h", queen["QUEEN.JAS"], HEADER)
    answers = descriptions + names + rooms + VERBS
    for number, sentence in enumerate(lines[:descriptions], ANSWERS + 1):
        yield Line(f"JOE{number:04d}", JOE, sentence)
    for number, sentence in enumerate(lines[answers : answers + ANSWERS], 1):
        yield Line(f"JOE{number:04d}", JOE, sentence)


def _text_lines(queen: QueenFile) -> list[str]:
    return queen["QUEEN2.JAS"].decode("latin-1").splitlines()


def _int16(data: bytes, at: int) -> int:
    return struct.unpack_from(">h", data, at)[0]


def _string(data: bytes, at: int, alignment: int) -> tuple[str, int]:
    """(text, next offset) of a string stored as a length byte and Latin-1 bytes."""
    length = data[at]
    end = at + 1 + length
    if end > len(data):
        raise IndexError("a string runs over the end")
    if length:
        end = -(-end // alignment) * alignment
    return data[at + 1 : at + 1 + length].decode("latin-1"), end


if __name__ == "__main__":
    sys.exit(group.main())
