"""amazon_queen on a small queen.1c with known sentences."""

import io
import os
import struct
import zlib
from pathlib import Path

import amazon_queen
import numpy as np
import pytest
import soundfile
from amazon_queen import QueenFile, read_clips, read_lines

from asrdistill.data.directory import DataDirectory
from tests.refusals import assert_names, assert_refused, refused

RATE = 11025


class Block:
    """Bytes in the making; offsets count from its beginning."""

    def __init__(self):
        self.bytes = b""

    def words(self, *values: int) -> "Block":
        self.bytes += struct.pack(f">{len(values)}h", *values)
        return self

    def string(self, text: str, alignment: int) -> "Block":
        self.bytes += bytes([len(text)]) + text.encode("latin-1")
        if text:
            self.bytes += bytes(-len(self.bytes) % alignment)
        return self

    def pad(self, to: int) -> "Block":
        self.bytes += bytes(to - len(self.bytes))
        return self


def dialogue(key: int, joe: list, other: list, again: tuple[str, str], levels: int = 1) -> bytes:
    """A .DOG file from (id, sentence) pairs; the sentence with id 0 is the first thing that Joe says."""
    block = Block().pad(32 + 96 * abs(levels))
    starts = []
    for lines in (joe, other):
        starts.append(len(block.bytes))
        for id, sentence in lines:
            block.words(7, id).string(sentence, 4)
    starts.append(len(block.bytes))
    for sentence in again:
        block.string(sentence, 2)
    header = Block().words(levels, 0, key, len(joe), len(other)).pad(22).words(starts[1], 0, starts[2])
    return bytes(20) + header.bytes + block.bytes[len(header.bytes) :]


def record(number: int, animations: int = 0, execute: int = 0, copied: int = 0, people: int = 0, frames: int = 0):
    values = [number, 0, 0, 0, animations, execute, *[0] * 6, copied, *[0] * 4, people, *[1] * people]
    block = Block().words(*values)
    for _ in range(frames):
        block.words(3, *[9] * 9)
    return block.words(-2).bytes if frames else block.bytes


def cut_scene(records: list[bytes], sentences: list[str], count: int | None = None) -> bytes:
    body = b"".join(records)
    strings = 12 + len(body)
    block = Block().words(0, len(records) if count is None else count, 0, strings, strings, 0)
    block.bytes += body
    block.string("on the screen", 2)
    for sentence in sentences:
        block.string(sentence, 2)
    return bytes(20) + block.bytes


def rooms(objects: list[tuple[int, int]], names: int, room_count: int, descriptions: int) -> bytes:
    block = Block().words(room_count, names, len(objects), descriptions)
    for name, image in objects:
        block.words(name, 0, 0, 0, 0, 0, 0, image)
    return bytes(20) + block.bytes


def text_lines(descriptions: list[str], names: list[str], room_names: list[str], answers: list[str]) -> bytes:
    lines = [
        *descriptions,
        *names,
        *room_names,
        *["verb"] * 12,
        *answers,
        *["an answer"] * (40 - len(answers)),
        "x.act",
    ]
    return "\r\n".join(lines).encode("latin-1")


def container(entries: dict[str, bytes], compression: int = 1) -> bytes:
    offset = 15 + 21 * len(entries)
    table = b""
    for name, content in entries.items():
        table += struct.pack(">12sBII", name.encode(), 0, offset, len(content))
        offset += len(content)
    head = b"QTBL" + b"CEM10\0" + b"\0\0" + struct.pack(">BH", compression, len(entries))
    return head + table + b"".join(entries.values())


def clip(seconds: float, seed: int) -> bytes:
    noise = 0.1 * np.random.default_rng(seed).standard_normal(round(seconds * RATE))
    file = io.BytesIO()
    soundfile.write(file, noise, RATE, format="MP3")
    return file.getvalue()


SCRIPTS = {
    "SEC2.DOG": dialogue(
        7,
        joe=[(0, "Hi there.*03What is the time?"), (0x1E, "It is 24 hours!")],
        other=[(1, "Who are you?*AOGo*XY0123456789ZGo away, please."), (0x2F, "Never say never.")],
        again=("Back so soon?", "It seems so."),
        levels=-2,
    ),
    "BOB1.DOG": dialogue(12, joe=[(3, "A nice day")], other=[(4, "Howdy there Joe")], again=("", "0")),
    "C1.CUT": cut_scene(
        [
            record(0, animations=0, execute=1),  # Joe: a person
            record(1, animations=0, execute=1),  # a person by image
            record(1, animations=5, execute=1, people=2, frames=3),  # the same, animated
            record(2, animations=0, execute=0),  # a thing at rest
            record(2, animations=0, execute=1, frames=2),  # a thing that moves
            record(-2),  # text alone
            record(2, execute=1, copied=1),  # no animation when it is a copy
            record(0, animations=4, execute=1, frames=1),
        ],
        [
            "Joe speaks here",
            "The wizard speaks",
            "The wizard moves*07and speaks",
            "The rock is still",
            "",
            "Nobody says this",
            "The rock again",
            "Joe is last",
        ],
        count=-8,
    ),
    "QUEEN.JAS": rooms([(1, -3), (2, 17)], names=2, room_count=1, descriptions=3),
    "QUEEN2.JAS": text_lines(
        ["I see nothing*24", "It looks nice*03", "(sigh)"], ["wizard", "rock"], ["hall"], ["Not now"]
    ),
}

EXPECTED = {
    "07SSSSJ1": ("JOE", "Hi there."),
    "07SSSSJ2": ("JOE", "What is the time?"),
    "07001EJ1": ("JOE", "It is 24 hours!"),
    "070001P1": ("SECRETARY", "Who are you?"),
    "070001P2": ("SECRETARY", "Go"),
    "070001P3": ("SECRETARY", "Go away, please."),
    "07002FP1": ("SECRETARY", "Never say never."),
    "07XXXXP1": ("SECRETARY", "Back so soon?"),
    "07XXXXJ1": ("JOE", "It seems so."),
    "120003J1": ("JOE", "A nice day"),
    "120004P1": ("TRADER BOB", "Howdy there Joe"),
    "C1___011": ("JOE", "Joe speaks here"),
    "C1___021": ("WIZARD", "The wizard speaks"),
    "C1___031": ("WIZARD", "The wizard moves"),
    "C1___032": ("WIZARD", "and speaks"),
    "C1___041": ("ROCK", "The rock is still"),
    "C1___061": ("", "Nobody says this"),
    "C1___071": ("ROCK", "The rock again"),
    "C1___081": ("JOE", "Joe is last"),
    "JOE00411": ("JOE", "I see nothing"),
    "JOE00421": ("JOE", "It looks nice"),
    "JOE00431": ("JOE", "(sigh)"),
    "JOE00011": ("JOE", "Not now"),
}


def write_queen(path: Path, scripts: dict[str, bytes], lengths: dict[str, float]) -> Path:
    clips = {f"{name}.SB": clip(seconds, seed) for seed, (name, seconds) in enumerate(lengths.items())}
    path.write_bytes(container({**scripts, **clips}))
    return path


@pytest.fixture(scope="module")
def queen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    lengths = dict.fromkeys(EXPECTED, 0.8) | {"UNTITLED": 1.0, "C1___081": 0.3}
    return write_queen(tmp_path_factory.mktemp("game") / "queen.1c", SCRIPTS, lengths)


def test_every_clip_gets_its_speaker_and_subtitle(queen):
    clips = read_clips(QueenFile(queen))
    assert {clip.name: (clip.speaker, clip.subtitle) for clip in clips} == EXPECTED
    assert {clip.name: clip.seconds for clip in clips}["07001EJ1"] == pytest.approx(0.8, abs=0.06)


def test_sentence_is_listed_once_for_each_place(queen):
    prefixes = [line.prefix for line in read_lines(QueenFile(queen)) if line.sentence == "It is 24 hours!"]
    assert prefixes == [" 7  1eJ"]


def test_first_of_two_sentences_for_a_clip_is_used(tmp_path):
    scripts = dict(SCRIPTS)
    scripts["BOB1.DOG"] = dialogue(12, joe=[(3, "The first one"), (3, "The second one")], other=[], again=("", ""))
    path = write_queen(tmp_path / "queen.1c", scripts, {"120003J1": 0.6})
    assert [clip.subtitle for clip in read_clips(QueenFile(path))] == ["The first one"]


def test_prepare_writes_data_directories(queen, tmp_path, caplog):
    out = tmp_path / "data"
    assert amazon_queen.group.main(["prepare", str(queen), str(out), "--jobs", "1"]) == 0
    sets = {name: DataDirectory.read(out / name) for name in ("test_unseen",)}
    unseen = {u.id: u for u in sets["test_unseen"]}
    assert sorted(unseen) == [
        "SECRETARY-070001P1",
        "SECRETARY-070001P3",
        "SECRETARY-07002FP1",
        "SECRETARY-07XXXXP1",
    ]
    utterance = unseen["SECRETARY-070001P3"]
    assert (utterance.speaker, utterance.text) == ("SECRETARY", "go away please")
    assert (out / "test_unseen" / "wav.scp").read_text().splitlines()[0] == "SECRETARY-070001P1 ../clips/070001P1.mp3"
    assert (out / "clips" / "070001P3.mp3").read_bytes() == QueenFile(queen)["070001P3.SB"]
    assert len(utterance.samples(8000)) == pytest.approx(utterance.duration * 8000, abs=8)
    assert_names(caplog.text, "23 clips", "UNTITLED", "0.5 s")
    assert [caplog.text.count(f"left out: {count} clips") for count in (1, 2)] == [3, 2]


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """200 sentences of Joe's, some said twice, 30 of them by an unseen speaker, too."""
    sentences = [
        f"Sentence {'abcdefghij'[i % 10]} of {'klmnopqrst'[i // 10 % 10]}, part {i // 100}!" for i in range(200)
    ]
    again = [sentence.upper().replace(",", " --") for sentence in sentences[:40]]
    joe = list(enumerate(sentences + again, 1))
    faye = list(enumerate(sentences[170:], 1))
    scripts = dict(SCRIPTS) | {"FAYE1.DOG": dialogue(33, joe, faye, again=("", ""))}
    lengths = {f"33{id:4x}J1".replace(" ", "0").upper(): 0.6 for id, _ in joe}
    lengths |= {f"33{id:4x}P1".replace(" ", "0").upper(): 0.6 for id, _ in faye}
    return write_queen(tmp_path_factory.mktemp("many") / "queen.1c", scripts, lengths)


def prepare(queen: Path, out: Path, *flags: str) -> dict[str, DataDirectory]:
    assert amazon_queen.group.main(["prepare", str(queen), str(out), "--jobs", "1", *flags]) == 0
    return {name: DataDirectory.read(out / name) for name in ("train", "dev", "test", "test_unseen")}


def test_sets_share_no_sentence_and_no_unseen_speaker(many, tmp_path):
    sets = prepare(many, tmp_path / "data")
    assert {u.speaker for u in sets["test_unseen"]} == {"FAYE"}
    assert {u.speaker for name in ("train", "dev", "test") for u in sets[name]} == {"JOE"}
    subtitles = {clip.id: clip.subtitle for clip in read_clips(QueenFile(many))}
    unseen = {subtitles[u.id].lower() for u in sets["test_unseen"]}
    placed = {}
    for name in ("train", "dev", "test"):
        for utterance in sets[name]:
            letters = "".join(c if c in "abcdefghijklmnopqrstuvwxyz'" else " " for c in subtitles[utterance.id].lower())
            key = " ".join(letters.split())
            rest = zlib.crc32(key.encode()) % 100
            assert name == ("dev" if rest < 6 else "test" if rest < 14 else "train")
            assert placed.setdefault(key, name) == name
            assert subtitles[utterance.id].lower() not in unseen
    assert len(sets["test_unseen"]) == 30
    # the sentence without its number: all parts share a key, so that the unseen ones take part 0 with them
    assert sum(len(sets[name]) for name in ("train", "dev", "test")) == 240 - 2 * 30


def test_minutes_keep_the_same_few_of_every_set(many, tmp_path):
    whole = prepare(many, tmp_path / "whole")
    total = sum(u.duration for data in whole.values() for u in data) / 60
    half = prepare(many, tmp_path / "half", "--minutes", f"{total / 2:.4f}")
    quarter = prepare(many, tmp_path / "quarter", "--minutes", f"{total / 4:.4f}")
    for name in whole:
        ids = [{u.id for u in sets[name]} for sets in (quarter, half, whole)]
        assert ids[0] <= ids[1] <= ids[2]
    kept = sum(u.duration for data in half.values() for u in data) / 60
    assert kept == pytest.approx(total / 2, rel=0.25)
    files = {path.stem for path in (tmp_path / "half" / "clips").iterdir()}
    assert files == {u.id.split("-")[1] for data in half.values() for u in data}


def test_prepare_is_skipped_when_nothing_changed(many, tmp_path):
    prepare(many, tmp_path / "data")
    made = (tmp_path / "data").stat().st_ino
    prepare(many, tmp_path / "data")
    assert (tmp_path / "data").stat().st_ino == made


def fails(argv: list[object], *names: object) -> None:
    assert_refused(argv, *names, program=amazon_queen.group.main)


@pytest.mark.parametrize("share", [0.0001, 0.01, 0.5, 0.99])
def test_truncated_file_is_refused(queen, tmp_path, share):
    content = queen.read_bytes()
    cut = tmp_path / "cut.1c"
    cut.write_bytes(content[: max(5, int(len(content) * share))])
    fails(["prepare", cut, tmp_path / "data"], cut)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("content", [b"", b"some text\n", b"RIFF" + bytes(1000)])
def test_other_file_is_refused(tmp_path, content):
    path = tmp_path / "other.bin"
    path.write_bytes(content)
    fails(["prepare", path, tmp_path / "data"], path, "queen.1c")


def test_missing_file_and_folder_are_refused(tmp_path):
    fails(["prepare", tmp_path / "queen.1c", tmp_path / "data"], tmp_path / "queen.1c")
    (tmp_path / "folder").mkdir()
    fails(["prepare", tmp_path / "folder", tmp_path / "data"], tmp_path / "folder", "queen.1c")


def test_minutes_below_zero_are_refused(queen, tmp_path):
    fails(["prepare", queen, tmp_path / "d", "--minutes", "-3"], "--minutes", "-3.0")


def test_edition_without_mp3_is_refused(tmp_path):
    path = tmp_path / "queen.1c"
    path.write_bytes(container(SCRIPTS, compression=3))
    with refused(path, "MP3"):
        QueenFile(path)


def test_too_many_clips_without_subtitle_are_refused(tmp_path):
    path = write_queen(tmp_path / "queen.1c", SCRIPTS, {"07001EJ1": 0.6, "UNTITLED": 0.6})
    with refused(path, "1 of 2 clips"):
        read_clips(QueenFile(path))


@pytest.mark.parametrize("name", ["SEC2.DOG", "C1.CUT", "QUEEN.JAS"])
def test_damaged_script_is_refused(tmp_path, name):
    path = write_queen(tmp_path / "queen.1c", {**SCRIPTS, name: SCRIPTS[name][:50]}, {"07001EJ1": 0.6})
    with refused(path, name):
        read_clips(QueenFile(path))


def test_damaged_clip_is_refused(tmp_path):
    path = tmp_path / "queen.1c"
    path.write_bytes(container({**SCRIPTS, "07001EJ1.SB": b"no sound at all"}))
    with refused("07001EJ1", "queen.1c"):
        read_clips(QueenFile(path))


def test_missing_entry_is_refused(tmp_path):
    path = tmp_path / "queen.1c"
    path.write_bytes(container({"SEC2.DOG": SCRIPTS["SEC2.DOG"]}))
    with refused(path, "QUEEN.JAS"):
        read_clips(QueenFile(path))


def test_names_that_leave_the_folder_are_refused(tmp_path):
    path = tmp_path / "queen.1c"
    path.write_bytes(container({**SCRIPTS, "../evil.SB": b""}))
    with refused(path, "'../evil.SB'"):
        QueenFile(path)


def program(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


@pytest.fixture
def programs(tmp_path, monkeypatch) -> Path:
    """A folder of programs that stands first in PATH."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


def unpacker(folder: Path, queen: Path) -> None:
    game, licence = '"$3/usr/share/game"', '"$3/usr/share/doc/flight-of-the-amazon-queen"'
    program(
        folder, "dpkg-deb", f'mkdir -p {game} {licence}; cp "{queen}" {game}/queen.1c; echo free > {licence}/copyright'
    )


def test_download_fetches_and_unpacks(programs, queen, tmp_path):
    program(programs, "apt-get", "touch flight-of-the-amazon-queen_1.deb")
    unpacker(programs, queen)
    out = tmp_path / "download"
    assert amazon_queen.group.main(["download", str(out)]) == 0
    assert (out / "queen.1c").read_bytes() == queen.read_bytes()
    assert sorted(path.name for path in out.iterdir()) == [".done", "copyright", "queen.1c"]


def test_download_with_old_package_lists_fetches_its_own(programs, queen, tmp_path):
    """The first call of apt-get fails as on a machine that never ran `apt-get update`."""
    count = tmp_path / "count"
    program(
        programs,
        "apt-get",
        f'echo "$@" >> "{count}"\n'
        f'[ $(wc -l < "{count}") -gt 1 ] || {{ echo "E: Unable to locate package" >&2; exit 100; }}\n'
        "touch flight-of-the-amazon-queen_1.deb",
    )
    unpacker(programs, queen)
    assert amazon_queen.group.main(["download", str(tmp_path / "download")]) == 0
    assert [line.split()[-1] for line in count.read_text().splitlines()] == [
        "flight-of-the-amazon-queen",
        "update",
        "flight-of-the-amazon-queen",
    ]


def test_download_without_network_is_refused(programs, tmp_path):
    program(programs, "apt-get", "echo 'E: Could not resolve host' >&2; exit 100")
    unpacker(programs, tmp_path)
    argv = ["download", str(tmp_path / "download")]
    fails(argv, "Could not resolve host", "--queen PATH")
    assert not (tmp_path / "download").exists()


def test_download_without_apt_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    fails(["download", tmp_path / "download"], "apt-get", "--queen PATH")
