"""Small folders in TIMIT's format: whole corpus, sample, damage."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from asrdistill.cli import main
from asrdistill.corpora import timit
from asrdistill.corpora.timit import find_recordings, read_fold, read_phones, read_words
from asrdistill.data.directory import DataDirectory, read_table
from tests.refusals import assert_names, assert_refused, refused

PHN = "0 1600 h#\n1600 3200 dh\n3200 4000 ax-h\n4000 4800 q\n4800 6400 kcl\n6400 7200 k\n7200 8000 ae\n8000 9600 h#\n"
PHONES = "sil dh ax cl k ae sil"
TRAIN = [f"F{letter}AA0" for letter in "ABCDEFG"]
TEST = ["MZZZ0", "FYYY1"]


def write_sentence(folder: Path, sentence: str, kind: str = "WAV", noise: int = 1) -> None:
    """Audio with its .PHN and .TXT; `kind` is how the audio's name ends, in the case that all names have."""
    folder.mkdir(parents=True, exist_ok=True)
    samples = np.random.default_rng(noise).integers(-3000, 3000, 9600).astype(np.int16)
    write = str.upper if kind.isupper() else str.lower
    name = write(sentence)
    format = "NIST" if kind.isupper() else "WAV"
    soundfile.write(folder / f"{name}.{kind}", samples, 16000, format=format, subtype="PCM_16")
    (folder / f"{name}.{write('phn')}").write_text(PHN)
    (folder / f"{name}.{write('txt')}").write_text("0 9600 The Cat?\n")


def write_corpus(root: Path, train: list[str], test: list[str], lower: bool = False) -> Path:
    for part, speakers in (("TRAIN", train), ("TEST", test)):
        for speaker in speakers:
            path = f"{part}/DR1/{speaker}"
            folder = root / (path.lower() if lower else path)
            for sentence in ("SA1", "SX10", "SI600"):
                write_sentence(folder, sentence, "wav" if lower else "WAV")
    return root


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    return write_corpus(tmp_path / "TIMIT", TRAIN, TEST)


def test_sample_makes_all_sets(sample: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert main(["data", "prepare", "timit", str(sample), str(tmp_path / "out")]) == 0
    assert_names(caplog.text, "9 of 630 speakers", "FCAA0")
    sets = {path.name: DataDirectory.read(path) for path in (tmp_path / "out").iterdir() if path.is_dir()}
    assert {name: len(data) for name, data in sets.items()} == {
        "train": 12,
        "dev": 2,
        "train_and_dev": 14,
        "test": 4,
        "test_complete": 4,
    }
    assert [utterance.id for utterance in sets["dev"]] == ["FCAA0_SI600", "FCAA0_SX10"]
    dev = sets["dev"].utterances[0]
    assert (dev.text, dev.speaker, dev.duration) == (PHONES, "FCAA0", 0.6)
    assert read_table(tmp_path / "out" / "dev" / "text.words")["FCAA0_SX10"] == "the cat"
    ctm = (tmp_path / "out" / "dev" / "phones.ctm").read_text().splitlines()
    assert ctm[2] == "FCAA0_SI600 1 0.2000 0.0500 ax"
    assert ctm[3] == "FCAA0_SI600 1 0.3000 0.1000 cl"  # q before it is gone, its time with it


def test_lower_case_and_riff(tmp_path: Path) -> None:
    root = write_corpus(tmp_path / "lower", TRAIN, TEST, lower=True)
    found = find_recordings(root)
    assert len(found) == 18
    assert (found[0].id, found[0].part, found[0].audio.name) == ("FAAA0_SI600", "TRAIN", "si600.wav")


def test_plain_audio_is_preferred(sample: Path) -> None:
    folder = sample / "TRAIN/DR1/FAAA0"
    (folder / "SX10.WAV.wav").write_bytes((folder / "SX10.WAV").read_bytes())
    assert find_recordings(sample)[1].audio.name == "SX10.WAV"


def test_whole_corpus_has_the_standard_sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timit, "ALL_SPEAKERS", 9)
    lists = tmp_path / "tables"
    lists.mkdir()
    (lists / "timit_dev.txt").write_text("FYYY1\n")
    (lists / "timit_core.txt").write_text("MZZZ0\n")
    monkeypatch.setattr(timit, "TABLES", lists)
    recordings = find_recordings(write_corpus(tmp_path / "TIMIT", TRAIN, TEST))
    wanted = {"train": (7, 14), "dev": (1, 2), "test": (1, 2), "test_complete": (2, 4)}
    monkeypatch.setattr(timit, "WHOLE", wanted)
    sets = timit.divide(tmp_path, recordings)
    assert {name: len(members) for name, members in sets.items()} == {name: n for name, (_, n) in wanted.items()}
    assert {recording.speaker for recording in sets["dev"]} == {"FYYY1"}
    with refused("train", "7 speakers", "13 utterances", 14):
        timit.divide(tmp_path, recordings[1:])


def test_tables_are_those_of_the_literature() -> None:
    fold = read_fold()
    assert len(fold) == 61
    assert len({phone for phone in fold.values() if phone}) == 48
    assert [phone for phone, folded in fold.items() if folded is None] == ["q"]
    dev, core = ((timit.TABLES / f"timit_{name}.txt").read_text().split() for name in ("dev", "core"))
    assert (len(set(dev)), len(set(core)), set(dev) & set(core)) == (50, 24, set())


def test_damaged_audio_is_restored(sample: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    time = np.arange(9600) / 16000
    whole = (6000 * np.sin(2 * np.pi * 300 * time) + 3000 * np.sin(2 * np.pi * 410 * time + 1)).astype("<i2")
    octets = whole.tobytes()
    at = len(octets) // 3 & ~1
    octets = octets[:at] + b"\r\n" + octets[at + 2 :]
    octets = octets.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    shorter = np.frombuffer(octets[: len(octets) // 2 * 2], "<i2")
    soundfile.write(sample / "TEST/DR1/MZZZ0/SX10.WAV", shorter, 16000, format="NIST", subtype="PCM_16")
    assert main(["data", "prepare", "timit", str(sample), str(tmp_path / "out")]) == 0
    assert_names(caplog.text, "1 of 18 recordings")
    restored = DataDirectory.read(tmp_path / "out/test").utterances[3]
    assert restored.id == "MZZZ0_SX10"
    found = (restored.samples(16000) * 32768).round().astype(int)
    assert len(found) >= len(whole) - 1
    assert np.mean(np.abs(found - whole[: len(found)]) > 3) < 0.02  # clicks where 13 was the upper byte of a sample


@pytest.mark.parametrize("name", ["PHN", "TXT", "WAV"])
def test_missing_file_is_refused(sample: Path, tmp_path: Path, name: str) -> None:
    (sample / f"TRAIN/DR1/FAAA0/SX10.{name}").unlink()
    command = ["data", "prepare", "timit", sample, tmp_path / "out"]
    assert_refused(command, sample / "TRAIN/DR1/FAAA0/SX10", f".{name}")
    assert not (tmp_path / "out").exists()


def test_unknown_phone_is_refused(sample: Path, tmp_path: Path) -> None:
    path = sample / "TEST/DR1/MZZZ0/SX10.PHN"
    path.write_text(PHN.replace("ae", "AE"))
    assert_refused(["data", "prepare", "timit", sample, tmp_path / "out"], path, "line 7", "'AE'")


def test_folder_without_timit_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    empty = tmp_path / "empty"
    assert_refused(["data", "prepare", "timit", empty, tmp_path / "out"], empty, "TRAIN", "TEST")


def test_bad_phones_doubled_sentences_and_tiny_samples_are_refused(sample: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.PHN"
    for text, names in (
        ("0 1600\n", ["line 1", "'0 1600'"]),
        ("", ["phones"]),
        ("0 100 q\n", ["phones"]),
    ):
        bad.write_text(text)
        with refused(bad, *names):
            read_phones(bad, read_fold())
    write_sentence(sample / "again/TRAIN/DR1/FAAA0", "SX10")
    with refused(sample / "again/TRAIN/DR1/FAAA0/SX10.PHN", sample / "TRAIN/DR1/FAAA0/SX10.PHN"):
        find_recordings(sample)
    with refused("2 speakers", "TRAIN", "TEST"):
        timit.divide(tmp_path, find_recordings(write_corpus(tmp_path / "tiny", TRAIN[:2], TEST)))


def test_words(tmp_path: Path) -> None:
    (tmp_path / "a.TXT").write_text("0 42 She had 2 suits.\n")
    assert read_words(tmp_path / "a.TXT") == "she had two suits"
