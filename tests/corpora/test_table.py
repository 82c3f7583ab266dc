"""Folders of audio with one transcript file, in each form; what is wrong in one is named by its line."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asrdistill.cli import main
from asrdistill.data.directory import DataDirectory
from tests.refusals import assert_refused

TEXTS = {  # with what a CSV must quote
    "a1": 'She said "well, well"',
    "a2": "two lines\nof text, and a comma",
    "b1": "semi;colon | bar\ttab",
    "b2": "it's Łódź",
}


def write_audio(folder: Path, names=tuple(TEXTS), suffix: str = "wav") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names, 1):
        samples = np.random.default_rng(number).normal(scale=0.1, size=1600 * number)
        soundfile.write(folder / f"{name}.{suffix}", samples, 16000)


def prepare(*arguments: object) -> DataDirectory:
    out = Path(arguments[1])
    assert main(["data", "prepare", "table", *map(str, arguments), "--jobs", "1"]) == 0
    return DataDirectory.read(out)


def plain(text: str) -> str:
    return " ".join(text.split())


@pytest.fixture
def folder(tmp_path) -> Path:
    write_audio(tmp_path / "corpus")
    return tmp_path / "corpus"


def write_csv(path: Path, texts=TEXTS, delimiter: str = ",", header=("file_name", "text", "speaker"), **rest) -> Path:
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=delimiter, **rest)
        writer.writerow(header)
        writer.writerows((f"{name}.wav", text, f"voice {name[0]}") for name, text in texts.items())
    return path


@pytest.mark.parametrize("delimiter", [",", ";", "|"])
@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
def test_csv_has_the_rows_that_the_csv_module_wrote(folder, tmp_path, delimiter, quoting) -> None:
    data = prepare(write_csv(folder / "x.csv", delimiter=delimiter, quoting=quoting), tmp_path / "out")
    assert data.texts == {name: plain(text) for name, text in TEXTS.items()}
    assert data.speakers == {"voice_a": ["a1", "a2"], "voice_b": ["b1", "b2"]}
    assert [u.duration for u in data] == pytest.approx([0.1, 0.2, 0.3, 0.4])
    assert [Path(u.audio).resolve() for u in data] == [(folder / f"{name}.wav").resolve() for name in TEXTS]


def test_common_voice_has_literal_quotes_and_clips(tmp_path) -> None:
    write_audio(tmp_path / "en" / "clips", ("c1", "c2", "c3"), "mp3")
    rows = ['"never closed', '"She said ""well"""', 'a "word" within']
    lines = [f"{'f' * 128}\tc{n}.mp3\t{text}\t2\n" for n, text in enumerate(rows, 1)]
    (tmp_path / "en" / "train.tsv").write_text("client_id\tpath\tsentence\tup_votes\n" + "".join(lines))
    data = prepare(tmp_path / "en" / "train.tsv", tmp_path / "out")
    assert list(data.texts.values()) == ['"never closed', 'She said "well"', 'a "word" within']
    assert list(data.speakers) == ["f" * 128]


def test_ljspeech_takes_the_normalised_text_and_one_speaker(tmp_path) -> None:
    write_audio(tmp_path / "LJ" / "wavs", ("LJ001-0001", "LJ001-0002"))
    text = 'LJ001-0001|Dr. A, "x"|Doctor A, "x"\nLJ001-0002|1 cat|one cat\n'
    (tmp_path / "LJ" / "metadata.csv").write_text(text)
    data = prepare(tmp_path / "LJ", tmp_path / "out", "--language", "en")
    assert data.texts == {"LJ001-0001": "doctor a x", "LJ001-0002": "one cat"}
    assert len(data.speakers) == 1


def test_json_lines_of_nemo_name_absolute_paths(folder, tmp_path) -> None:
    rows = [{"audio_filepath": str(folder / f"{name}.wav"), "text": text} for name, text in TEXTS.items()]
    (tmp_path / "m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = prepare(tmp_path / "m.jsonl", tmp_path / "out", "--root", folder)
    assert data.texts == {name: plain(text) for name, text in TEXTS.items()}
    assert_refused(
        ["data", "prepare", "table", tmp_path / "m.jsonl", tmp_path / "n", "--root", tmp_path / "out"], "line 1"
    )


def test_columns_are_named_by_options(folder, tmp_path) -> None:
    path = write_csv(folder / "x.csv", header=("clip", "said", "by"))
    data = prepare(path, tmp_path / "out", "--audio-column", "clip", "--text-column", "said", "--speaker-column", "by")
    assert len(data.speakers) == 2
    assert_refused(
        ["data", "prepare", "table", path, tmp_path / "n", "--audio-column", "clip"], "--text-column", "said"
    )


BAD = {
    "missing.csv": ("file_name,text\na1.wav,x\ngone.wav,y\n", ("line 3", "gone.wav")),
    "outside.csv": ("file_name,text\n../secret.wav,x\n", ("line 2", "../secret.wav")),
    "absolute.csv": ("file_name,text\n/etc/hostname,x\n", ("line 2", "/etc/hostname")),
    "pipe.csv": ("file_name,text\ntouch hacked |,x\n", ("line 2", "touch hacked |")),
    "fields.csv": ('file_name,text\na1.wav,"x\ny"\na2.wav,x,y\n', ("line 4", "3 fields")),
    "quote.csv": ('file_name,text\na1.wav,x\na2.wav,"x\n', ("line 3",)),
    "tabs.tsv": ("path\tsentence\na1.wav\tx\ty\n", ("line 2", "3 fields")),
    "twice.csv": ("file_name,text\na1.wav,x\na1.wav,y\n", ("twice.csv", "a1")),
    "headless.csv": ("a1.wav,x\n", ("line 1", "--audio-column")),
    "columns.csv": ("text,file_name,text\na1.wav,x,y\n", ("line 1", "twice")),
    "empty.csv": ("file_name,text\n", ("empty.csv",)),
    "stereo.csv": ("file_name,text\nstereo.wav,x\n", ("stereo.wav", "2 channels")),
    "noise.csv": ("file_name,text\nnoise.wav,x\n", ("noise.wav",)),
    "number.jsonl": ('{"audio": "a1.wav", "text": 3}\n', ("line 1", "3")),
    "broken.jsonl": ('{"audio": "a1.wav", "text": "x"}\n{"audio"\n', ("line 2",)),
    "part.jsonl": ('{"audio": "a1.wav", "text": "x", "offset": 1.5}\n', ("line 1", "offset")),
    "latin.csv": (b"file_name,text\na1.wav,\xe9\n", ("latin.csv",)),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_tables_are_refused_in_one_sentence(folder, tmp_path, name) -> None:
    content, named = BAD[name]
    write_audio(tmp_path, ("secret",))
    soundfile.write(folder / "stereo.wav", np.zeros((800, 2)), 16000)
    (folder / "noise.wav").write_bytes(b"no audio" * 100)
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    assert_refused(["data", "prepare", "table", folder / name, tmp_path / "out", "--jobs", "1"], *named)
    assert not (tmp_path / "out").exists()
    assert not Path("hacked").exists()


def test_several_tables_in_a_folder_are_named(folder, tmp_path) -> None:
    write_csv(folder / "dev.csv")
    write_csv(folder / "train.csv")
    assert_refused(["data", "prepare", "table", folder, tmp_path / "out"], folder, "dev.csv")


def test_options_of_other_sources_are_refused(folder, tmp_path) -> None:
    assert_refused(["data", "prepare", "table", folder, tmp_path / "out", "--parts", "a"], "--parts")
    assert_refused(["data", "prepare", "timit", folder, tmp_path / "out", "--root", "a"], "--root")
