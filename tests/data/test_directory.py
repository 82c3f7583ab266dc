"""Kaldi-style data directories: reading, checks, writing, subsets, unions."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asrdistill.data.directory import DataDirectory, Utterance, combine, read_speakers, read_table, write_table
from tests.refusals import refused

RATE = 8000


@pytest.fixture
def folder(tmp_path) -> Path:
    """Three utterances of two speakers, their audio beside the tables."""
    folder = tmp_path / "data"
    folder.mkdir()
    for i, name in enumerate(["ann-1", "ann-2", "bob-1"]):
        soundfile.write(folder / f"{name}.wav", np.full(RATE, i / 10), RATE)
    tables = {
        "wav.scp": "ann-1 ann-1.wav\nann-2 ann-2.wav\nbob-1 bob-1.wav\n",
        "text": "ann-1 hello there\nann-2 good bye\nbob-1 yes\n",
        "utt2spk": "ann-1 ann\nann-2 ann\nbob-1 bob\n",
        "spk2utt": "ann ann-1 ann-2\nbob bob-1\n",
        "utt2dur": "ann-1 1.0\nann-2 1.0\nbob-1 1.0\n",
    }
    for name, content in tables.items():
        (folder / name).write_text(content)
    return folder


def refuses(folder: Path, *names: object, **more) -> None:
    with refused(*names):
        DataDirectory.read(folder, **more)


def test_tables_are_read(folder):
    data = DataDirectory.read(folder)
    assert [u.id for u in data] == ["ann-1", "ann-2", "bob-1"]
    assert data["ann-2"].text == "good bye"
    assert data["ann-2"].duration == 1.0
    assert data.speakers == {"ann": ["ann-1", "ann-2"], "bob": ["bob-1"]}
    assert data.texts == {"ann-1": "hello there", "ann-2": "good bye", "bob-1": "yes"}
    assert len(data) == 3
    assert "bob-1" in data
    assert "bob-2" not in data
    np.testing.assert_allclose(data["ann-2"].samples(RATE), 0.1, atol=1e-4)


def test_only_wav_scp_is_needed(folder):
    for name in ("text", "utt2spk", "spk2utt", "utt2dur"):
        (folder / name).unlink()
    utterance = DataDirectory.read(folder)["ann-1"]
    assert (utterance.speaker, utterance.text, utterance.duration) == ("ann-1", None, None)


def test_tabs_and_empty_transcripts_are_read(folder):
    (folder / "text").write_text("ann-1\thello  there \nann-2\nbob-1 \n")
    assert DataDirectory.read(folder).texts == {"ann-1": "hello  there", "ann-2": "", "bob-1": ""}


def test_written_directory_reads_the_same_from_any_folder(folder, tmp_path):
    data = DataDirectory.read(folder)
    for target in (tmp_path / "copy", tmp_path / "deep" / "down" / "copy"):
        target.mkdir(parents=True)
        data.write(target)
        again = DataDirectory.read(target)
        assert [(u.id, u.speaker, u.text, u.duration) for u in again] == [
            (u.id, u.speaker, u.text, u.duration) for u in data
        ]
        assert [Path(u.audio).resolve() for u in again] == [Path(u.audio).resolve() for u in data]
    for name in ("text", "utt2spk", "spk2utt"):
        assert (tmp_path / "copy" / name).read_text() == (folder / name).read_text()


def test_audio_beside_the_folder_moves_with_it(folder, tmp_path):
    root = tmp_path / "root"
    (root / "clips").mkdir(parents=True)
    (root / "train").mkdir()
    (folder / "ann-1.wav").rename(root / "clips" / "ann-1.wav")
    DataDirectory([Utterance("ann-1", str(root / "clips" / "ann-1.wav"), "ann")]).write(root / "train")
    assert (root / "train" / "wav.scp").read_text() == "ann-1 ../clips/ann-1.wav\n"
    moved = root.rename(tmp_path / "elsewhere")
    assert len(DataDirectory.read(moved / "train")["ann-1"].samples(RATE)) == RATE


def test_relative_paths_hold_from_any_working_directory(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = DataDirectory.read(Path("data"))
    Path("copy").mkdir()
    data.write(Path("copy"))
    monkeypatch.chdir("/")
    assert len(DataDirectory.read(tmp_path / "copy")["ann-1"].samples(RATE)) == RATE


def test_tables_are_sorted_in_c_locale(tmp_path):
    ids = ["b", "A", "a", "B", "_", "ä", "a-1", "a1", "a_1"]
    (tmp_path / "x.wav").touch()
    DataDirectory(Utterance(id, str(tmp_path / "x.wav"), "s") for id in ids).write(tmp_path)
    found = [line.split()[0] for line in (tmp_path / "utt2spk").read_text().splitlines()]
    assert found == sorted(ids, key=lambda id: id.encode())
    assert len(DataDirectory.read(tmp_path)) == len(ids)


def test_missing_directory_and_table_are_refused(folder, tmp_path):
    refuses(tmp_path / "none", tmp_path / "none")
    (folder / "wav.scp").unlink()
    refuses(folder, folder / "wav.scp")


def test_text_without_audio_is_refused(folder):
    (folder / "text").write_text("ann-1 a\nann-2 b\nann-3 c\nbob-1 d\n")
    refuses(folder, folder / "text", "ann-3")


def test_audio_without_text_is_refused(folder):
    (folder / "text").write_text("ann-1 a\nbob-1 d\n")
    refuses(folder, folder / "text", "ann-2")


@pytest.mark.parametrize("table", ["wav.scp", "text", "utt2spk", "utt2dur", "spk2utt"])
def test_unsorted_and_doubled_ids_are_refused(folder, table):
    lines = (folder / table).read_text().splitlines(keepends=True)
    (folder / table).write_text("".join(reversed(lines)))
    refuses(folder, folder / table, "line 2", "LC_ALL=C sort")
    (folder / table).write_text(lines[0] + "".join(lines))
    refuses(folder, folder / table, "line 2", "twice")


def test_empty_lines_and_tables_are_refused(folder):
    (folder / "text").write_text("ann-1 a\n\nann-2 b\nbob-1 c\n")
    refuses(folder, folder / "text", "line 2")
    (folder / "text").write_text("")
    refuses(folder, folder / "text", "empty")


def test_table_that_is_not_utf8_is_refused(folder):
    (folder / "text").write_bytes(b"ann-1 caf\xe9\n")
    refuses(folder, folder / "text", "UTF-8", "line 1")


def test_missing_audio_is_refused(folder):
    (folder / "ann-2.wav").unlink()
    refuses(folder, folder / "wav.scp", "ann-2", "ann-2.wav")
    (folder / "wav.scp").write_text("ann-1 ann-1.wav\nann-2\nbob-1 bob-1.wav\n")
    refuses(folder, folder / "wav.scp", "ann-2")


def test_shell_commands_are_refused_unless_allowed(folder):
    (folder / "wav.scp").write_text(f"ann-1 ann-1.wav\nann-2 cat {folder}/ann-1.wav |\nbob-1 bob-1.wav\n")
    refuses(folder, folder / "wav.scp", "ann-2", "--pipes")
    data = DataDirectory.read(folder, pipes=True)
    with refused("ann-2", "--pipes"):
        data["ann-2"].samples(RATE)
    assert len(data["ann-2"].samples(RATE, pipes=True)) == RATE
    data.write(folder)
    assert f"ann-2 cat {folder}/ann-1.wav |" in (folder / "wav.scp").read_text()


def test_spk2utt_must_agree_with_utt2spk(folder):
    (folder / "spk2utt").write_text("ann ann-1\nbob ann-2 bob-1\n")
    refuses(folder, folder / "spk2utt", "utt2spk", "ann-2")


@pytest.mark.parametrize("duration", ["long", "nan", "inf"])
def test_a_duration_must_be_a_number(folder, duration):
    (folder / "utt2dur").write_text(f"ann-1 1.0\nann-2 {duration}\nbob-1 1.0\n")
    refuses(folder, folder / "utt2dur", "ann-2", f"'{duration}'")


def test_unreadable_audio_is_refused_with_its_utterance(folder):
    soundfile.write(folder / "ann-1.wav", np.zeros((RATE, 2)), RATE)
    with refused("ann-1", folder / "ann-1.wav", "2 channels"):
        DataDirectory.read(folder)["ann-1"].samples(RATE)


def test_audio_shorter_than_its_duration_is_refused(folder):
    """A cut MP3 without a Xing header looks like a whole shorter one: only utt2dur knows."""
    soundfile.write(folder / "ann-1.wav", np.zeros(RATE // 2), RATE)
    with refused("ann-1", "0.50", "1.00 s", "utt2dur"):
        DataDirectory.read(folder)["ann-1"].samples(RATE)


@pytest.fixture
def segmented(folder) -> Path:
    """Two utterances cut from one recording, one from another."""
    for name in ("text", "utt2spk", "spk2utt", "utt2dur"):
        (folder / name).unlink()
    soundfile.write(folder / "ann-1.wav", np.arange(RATE) / RATE, RATE, subtype="FLOAT")
    (folder / "segments").write_text("u1 ann-1 0.00 0.25\nu2 ann-1 0.50 0.75\nu3 bob-1 0.1 0.9\n")
    return folder


def test_segments_are_parts_of_recordings(segmented, tmp_path):
    data = DataDirectory.read(segmented)
    assert [u.id for u in data] == ["u1", "u2", "u3"]
    np.testing.assert_allclose(data["u2"].samples(RATE), np.arange(4000, 6000) / RATE, atol=1e-6)
    copy = tmp_path / "copy"
    copy.mkdir()
    data.subset(lambda u: u.id != "u3").write(copy)
    assert (copy / "segments").read_text() == "u1 ann-1 0.000 0.250\nu2 ann-1 0.500 0.750\n"
    assert [line.split()[0] for line in (copy / "wav.scp").read_text().splitlines()] == ["ann-1"]
    np.testing.assert_array_equal(DataDirectory.read(copy)["u2"].samples(RATE), data["u2"].samples(RATE))


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("u1 none 0.0 0.5", ["u1", "none", "wav.scp"]),
        ("u1 ann-1 0.5 0.5", ["u1", "0.5 to 0.5 s"]),
        ("u1 ann-1 -1 0.5", ["u1", "-1.0 to 0.5 s"]),
        ("u1 ann-1 0.5", ["u1", "'ann-1 0.5'"]),
        ("u1 ann-1 0.5 x", ["u1", "'x'"]),
        ("u1 ann-1 0.5 nan", ["u1", "'nan'"]),
    ],
)
def test_bad_segments_are_refused(segmented, line, names):
    (segmented / "segments").write_text(line + "\n")
    refuses(segmented, segmented / "segments", *names)


def test_subset_and_combine(folder):
    data = DataDirectory.read(folder)
    ann, bob = data.subset(lambda u: u.speaker == "ann"), data.subset(lambda u: u.speaker == "bob")
    assert [u.id for u in ann] == ["ann-1", "ann-2"]
    assert list(combine([bob, ann])) == list(data)
    with refused("ann-1", "two"):
        combine([ann, data])


def test_doubled_utterance_id_is_refused():
    with refused("a", "twice"):
        DataDirectory([Utterance("a", "x.wav", "s"), Utterance("b", "x.wav", "s"), Utterance("a", "y.wav", "s")])


def test_one_recording_id_for_two_files_is_refused(segmented, tmp_path):
    utterance = DataDirectory.read(segmented)["u1"]
    other = replace(utterance, id="u0", audio=str(segmented / "ann-2.wav"))
    with refused("ann-1", "two"):
        DataDirectory([utterance, other]).write(tmp_path)


def test_segment_without_end_is_refused(segmented, tmp_path):
    data = combine([DataDirectory.read(segmented), DataDirectory([Utterance("x", str(segmented / "ann-2.wav"), "s")])])
    with refused("utterance x", "end"):
        data.write(tmp_path)


def test_speakers_are_read_without_audio(folder):
    data = DataDirectory.read(folder)
    assert read_speakers(folder) == {u.id: u.speaker for u in data}
    (folder / "wav.scp").write_text("".join(f"{u.id} gone\n" for u in data))  # nobody asks for the audio
    assert list(read_speakers(folder)) == [u.id for u in data]
    lines = (folder / "utt2spk").read_text().splitlines(keepends=True)
    (folder / "utt2spk").write_text("".join(lines[1:]))
    with refused(folder / "utt2spk", "ann-1"):
        read_speakers(folder)
    (folder / "utt2spk").unlink()
    assert read_speakers(folder) == {u.id: u.id for u in data}
    with refused(folder / "nowhere"):
        read_speakers(folder / "nowhere")


def test_tables_are_read_without_a_directory(tmp_path):
    write_table(tmp_path / "table", [("b", "2"), ("a", "1 1"), ("c", "")])
    assert (tmp_path / "table").read_text() == "a 1 1\nb 2\nc\n"
    assert read_table(tmp_path / "table") == {"a": "1 1", "b": "2", "c": ""}


@pytest.mark.parametrize("speaker", ["", "x y"])
def test_an_utterance_has_one_speaker(folder, speaker):
    lines = [line.split() for line in (folder / "utt2spk").read_text().splitlines()]
    (folder / "utt2spk").write_text("".join(f"{utterance} {speaker}\n" for utterance, *_ in lines))
    (folder / "spk2utt").unlink(missing_ok=True)
    refuses(folder, folder / "utt2spk", lines[0][0])
    with refused(folder / "utt2spk", lines[0][0]):
        read_speakers(folder)


def test_labelled_and_unlabelled_sets_are_combined_without_transcripts(tmp_path, caplog):
    known, unknown = (DataDirectory([Utterance(name, "/a", "s", text)]) for name, text in (("a", "so"), ("b", None)))
    for data, has_text in ((combine([known, unknown]), False), (combine([known, DataDirectory([])]), True)):
        data.write(tmp_path)
        assert (tmp_path / "text").exists() == has_text
        assert bool(caplog.messages) != has_text
        caplog.clear()


def test_whole_files_are_combined_with_segments(segmented, tmp_path):
    whole = Utterance("x", str(segmented / "ann-2.wav"), "s", duration=0.5)
    combine([DataDirectory.read(segmented), DataDirectory([whole])]).write(tmp_path)
    found = DataDirectory.read(tmp_path)
    assert (found["x"].start, found["x"].end) == (0, 0.5)
    assert found["u1"].end == DataDirectory.read(segmented)["u1"].end
