"""Datasets of the library datasets, which is the oracle: in memory, on disk, as folders."""

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asrdistill.cli import main
from asrdistill.data.directory import DataDirectory
from tests.refusals import assert_refused

datasets = pytest.importorskip("datasets")

RATE = 16000
TEXTS = ["one", "two\nlines", 'a "quote"']


def samples_of(number: int) -> np.ndarray:
    return np.random.default_rng(number).integers(-3000, 3000, size=800 * (number + 1)).astype(np.int16)


def encoded(number: int, form: str = "WAV") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples_of(number), RATE, format=form)
    return file.getvalue()


def dataset(form: str = "WAV", **columns: list) -> "datasets.Dataset":
    audio = [{"bytes": encoded(n, form), "path": None} for n in range(3)]
    rows = {"audio": audio, "sentence": TEXTS, "speaker_id": [7, 7, 8], **columns}
    return datasets.Dataset.from_dict(rows).cast_column("audio", datasets.Audio(decode=False))


def prepare(source: Path, out: Path, *options: object) -> None:
    assert main(["data", "prepare", "huggingface", str(source), str(out), "--jobs", "1", *map(str, options)]) == 0


def assert_equal(data: DataDirectory, rows: "datasets.Dataset", text: str = "sentence") -> None:
    rows = rows.cast_column("audio", datasets.Audio(decode=False))
    assert [u.text for u in data] == [" ".join(row[text].split()) for row in rows]
    for utterance, row in zip(data, rows, strict=True):
        content = row["audio"]["bytes"] or Path(row["audio"]["path"]).read_bytes()
        wanted, rate = soundfile.read(io.BytesIO(content), dtype="float32")
        np.testing.assert_array_equal(utterance.samples(rate), wanted)


@pytest.mark.parametrize("form", ["WAV", "FLAC", "OGG"])
def test_rows_of_a_saved_dataset_are_those_of_the_library(tmp_path, form) -> None:
    rows = dataset(form)
    rows.save_to_disk(tmp_path / "saved")
    prepare(tmp_path / "saved", tmp_path / "out")
    data = DataDirectory.read(tmp_path / "out")
    assert_equal(data, datasets.load_from_disk(str(tmp_path / "saved")))
    assert sorted(map(len, data.speakers.values())) == [1, 2]
    assert {Path(u.audio).suffix for u in data} == {f".{form.lower()}"}


def test_splits_become_data_directories_and_ids_are_kept(tmp_path) -> None:
    splits = {"train": dataset(id=["a", "b", "c"]), "test": dataset(id=["d", "e", "f"])}
    datasets.DatasetDict(splits).save_to_disk(tmp_path / "saved")
    prepare(tmp_path / "saved", tmp_path / "out")
    for name, rows in splits.items():
        data = DataDirectory.read(tmp_path / "out" / name)
        assert_equal(data, rows)
        assert [u.id for u in data] == rows["id"][:]
    prepare(tmp_path / "saved", tmp_path / "one", "--parts", "test")
    assert len(DataDirectory.read(tmp_path / "one")) == 3
    assert_refused(["data", "prepare", "huggingface", tmp_path / "saved", tmp_path / "no", "--parts", "dev"], "dev")


def test_folder_of_audio_and_parquet_are_read_by_the_library(tmp_path) -> None:
    (tmp_path / "folder").mkdir()
    lines = ["file_name,transcription\n"]
    for number, text in enumerate(("one", "two", "three")):
        (tmp_path / "folder" / f"{number}.wav").write_bytes(encoded(number))
        lines.append(f"{number}.wav,{text}\n")
    (tmp_path / "folder" / "metadata.csv").write_text("".join(lines))
    prepare(tmp_path / "folder", tmp_path / "out")
    streamed = datasets.load_dataset(str(tmp_path / "folder"), split="train", streaming=True)
    found = streamed.cast_column("audio", datasets.Value("string"))  # the library's way to audio is torchcodec's
    rows = [{**row, "audio": {"bytes": None, "path": row["audio"]}} for row in found]
    assert_equal(DataDirectory.read(tmp_path / "out"), datasets.Dataset.from_list(rows), "transcription")
    (tmp_path / "parquet").mkdir()
    dataset().to_parquet(tmp_path / "parquet" / "train.parquet")
    prepare(tmp_path / "parquet", tmp_path / "table")
    assert_equal(DataDirectory.read(tmp_path / "table"), dataset())


@pytest.mark.parametrize(
    ("columns", "options", "named"),
    [
        ({"number": [1, 2, 3]}, ("--audio-column", "number"), ("number", "int64")),
        ({"number": [1, 2, 3]}, ("--audio-column", "sound"), ("sound", "number")),
        ({"sentence": [[1], [2], [3]]}, (), ("sentence",)),
        ({"sentence": [1, 2, 3]}, (), ("row 0", "1")),
        ({"id": ["a", "b", "a"]}, (), ("row 2", "a")),
        (
            {"audio": [{"bytes": encoded(0), "path": None}, {"bytes": b"noise" * 99, "path": None}, None]},
            (),
            ("row 1",),
        ),
        ({"audio": [{"bytes": encoded(0), "path": None}, None, None]}, (), ("row 1",)),
    ],
)
def test_bad_columns_and_rows_are_refused_in_one_sentence(tmp_path, columns, options, named) -> None:
    dataset(**columns).save_to_disk(tmp_path / "saved")
    command = ["data", "prepare", "huggingface", tmp_path / "saved", tmp_path / "out", "--jobs", "1"]
    assert_refused([*command, *options], *named)


@pytest.mark.parametrize("path", ["/etc/hostname", "touch hacked |", "gone.wav"])
def test_paths_in_a_dataset_that_lead_elsewhere_are_refused(tmp_path, path) -> None:
    from pyarrow import parquet

    rows = dataset(audio=[{"bytes": None, "path": path}] * 3)  # the library's own writers would read the file
    (tmp_path / "data").mkdir()
    parquet.write_table(rows.data.table, tmp_path / "data" / "train.parquet")
    assert_refused(["data", "prepare", "huggingface", tmp_path / "data", tmp_path / "out"], "row 0", path)


def test_what_is_no_dataset_is_refused(tmp_path) -> None:
    (tmp_path / "empty").mkdir()
    assert_refused(["data", "prepare", "huggingface", tmp_path / "empty", tmp_path / "out"], tmp_path / "empty")
