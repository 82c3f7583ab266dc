"""lhotse manifests in and out; lhotse itself is the oracle."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asrdistill.cli import main
from asrdistill.data.directory import DataDirectory, Utterance
from tests.refusals import assert_refused

lhotse = pytest.importorskip("lhotse")

RATE = 16000


@pytest.fixture
def manifests(tmp_path) -> Path:
    """A folder of two recordings and three supervisions, the last one of its whole recording."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    for number, name in enumerate("xy", 1):
        soundfile.write(
            folder / f"{name}.wav", np.random.default_rng(number).normal(scale=0.1, size=number * RATE), RATE
        )
    recordings = lhotse.RecordingSet.from_recordings(lhotse.Recording.from_file(folder / f"{n}.wav") for n in "xy")
    segment = lhotse.SupervisionSegment
    supervisions = lhotse.SupervisionSet.from_segments(
        [
            segment("u1", "y", 0.25, 0.5, text="one  word", speaker="s1"),
            segment("u2", "y", 1.0, 0.75, text="zwei\nWörter", speaker="s2"),
            segment("u3", "x", 0.0, 1.0, text="", speaker="s1"),
        ]
    )
    recordings.to_file(folder / "my_recordings_train.jsonl.gz")
    supervisions.to_file(folder / "my_supervisions_train.jsonl.gz")
    return folder


def prepare(source: Path, out: Path, *options: object) -> DataDirectory:
    assert main(["data", "prepare", "lhotse", str(source), str(out), "--jobs", "1", *map(str, options)]) == 0
    return DataDirectory.read(out)


def cuts_of(manifests: Path) -> "lhotse.CutSet":
    files = [lhotse.load_manifest(manifests / f"my_{kind}_train.jsonl.gz") for kind in ("recordings", "supervisions")]
    return lhotse.CutSet.from_manifests(*files)


def assert_equal(data: DataDirectory, cuts: "lhotse.CutSet") -> None:
    """Ids, words, speakers and samples of utterances are those that lhotse loads for its supervisions."""
    trimmed = {cut.supervisions[0].id: cut for cut in cuts.trim_to_supervisions(keep_overlapping=False)}
    assert [u.id for u in data] == sorted(trimmed)
    for utterance in data:
        cut = trimmed[utterance.id]
        said = cut.supervisions[0]
        assert (utterance.text, utterance.speaker) == (" ".join(said.text.split()), said.speaker)
        assert utterance.seconds == pytest.approx(cut.duration)
        np.testing.assert_allclose(utterance.samples(RATE), cut.load_audio()[0], atol=1e-4)


def test_recordings_and_supervisions_are_those_of_lhotse(manifests, tmp_path) -> None:
    assert_equal(prepare(manifests, tmp_path / "out"), cuts_of(manifests))


def test_cuts_are_those_of_lhotse(manifests, tmp_path) -> None:
    cuts = cuts_of(manifests).cut_into_windows(0.9).filter(lambda cut: len(cut.supervisions) == 1)
    cuts = cuts.filter(
        lambda cut: cut.supervisions[0].start >= 0 and cut.supervisions[0].end <= cut.duration
    ).to_eager()
    assert len(cuts) > 0
    cuts.to_file(tmp_path / "cuts.jsonl.gz")
    assert_equal(prepare(tmp_path / "cuts.jsonl.gz", tmp_path / "out", "--root", manifests), cuts)


def test_cuts_without_supervisions_are_utterances_without_words(manifests, tmp_path) -> None:
    windows = cuts_of(manifests).drop_supervisions().cut_into_windows(0.5).to_eager()
    windows.to_file(manifests / "cuts.jsonl.gz")
    data = prepare(manifests / "cuts.jsonl.gz", tmp_path / "out")
    assert (len(data), data.texts) == (len(windows), {})


def test_parts_become_folders(manifests, tmp_path) -> None:
    for kind in ("recordings", "supervisions"):
        (manifests / f"my_{kind}_dev.jsonl.gz").write_bytes((manifests / f"my_{kind}_train.jsonl.gz").read_bytes())
    assert main(["data", "prepare", "lhotse", str(manifests), str(tmp_path / "out"), "--jobs", "1"]) == 0
    assert {path.name for path in (tmp_path / "out").iterdir() if path.is_dir()} == {"my_dev", "my_train"}
    assert len(prepare(manifests, tmp_path / "one", "--parts", "my_dev")) == 3
    assert_refused(["data", "prepare", "lhotse", manifests, tmp_path / "no", "--parts", "test"], "test", "my_dev")


def test_export_is_read_by_lhotse_and_by_us(manifests, tmp_path) -> None:
    data = prepare(manifests, tmp_path / "data")
    assert main(["data", "combine", str(tmp_path / "data"), str(tmp_path / "back"), "--to", "lhotse"]) == 0
    read = [lhotse.load_manifest(tmp_path / "back" / f"{kind}.jsonl") for kind in ("recordings", "supervisions")]
    lhotse.qa.validate_recordings_and_supervisions(*read, read_data=True)
    assert_equal(data, lhotse.CutSet.from_manifests(*read))
    assert prepare(tmp_path / "back", tmp_path / "again", "--root", manifests).texts == data.texts


def test_export_of_utterances_without_segments_and_words(tmp_path) -> None:
    (tmp_path / "data").mkdir()
    soundfile.write(tmp_path / "x.wav", np.zeros(800), 8000)
    DataDirectory([Utterance("x", str(tmp_path / "x.wav"), "s")]).write(tmp_path / "data")
    assert main(["data", "combine", str(tmp_path / "data"), str(tmp_path / "out"), "--to", "lhotse"]) == 0
    (said,) = lhotse.load_manifest(tmp_path / "out" / "supervisions.jsonl")
    assert (said.duration, said.text, said.speaker) == (0.1, None, "s")


def edit(path: Path, change) -> None:
    """Change the first record of a manifest."""
    first, *rest = gzip.decompress(path.read_bytes()).decode().splitlines()
    record = json.loads(first)
    change(record)
    path.write_bytes(gzip.compress("\n".join([json.dumps(record), *rest]).encode()))


CHANGES = {
    "gone": ("recordings", lambda r: r["sources"][0].update(source=r["sources"][0]["source"] + "x"), ("line 3", "x")),
    "outside": ("recordings", lambda r: r["sources"][0].update(source="/etc/hostname"), ("line 3", "/etc/hostname")),
    "command": ("recordings", lambda r: r["sources"][0].update(type="command"), ("line 3", "command")),
    "changed": ("recordings", lambda r: r.update(transforms=[{"name": "Speed", "kwargs": {}}]), ("line 3", "x")),
    "renamed": ("recordings", lambda r: r.update(id="z"), ("line 3", "x", "my_recordings_train.jsonl.gz")),
    "no source": ("recordings", lambda r: r.update(sources=[]), ("line 3", "x")),
    "no id": ("supervisions", lambda s: s.pop("id"), ("line 1", "id")),
    "text": ("supervisions", lambda s: s.update(text=3), ("line 1",)),
    "start": ("supervisions", lambda s: s.update(start="soon"), ("line 1", "start")),
    "length": ("supervisions", lambda s: s.update(duration=0), ("line 1", "u1")),
    "too long": ("supervisions", lambda s: s.update(duration=9.0), ("u1", "y.wav")),
}


@pytest.mark.parametrize("name", CHANGES)
def test_bad_manifests_are_refused_in_one_sentence(manifests, tmp_path, name) -> None:
    kind, change, named = CHANGES[name]
    edit(manifests / f"my_{kind}_train.jsonl.gz", change)
    assert_refused(["data", "prepare", "lhotse", manifests, tmp_path / "out", "--jobs", "1"], *named)


def test_manifests_alone_padded_cuts_and_other_files_are_refused(manifests, tmp_path) -> None:
    command, out = ["data", "prepare", "lhotse"], tmp_path / "out"
    assert_refused([*command, manifests / "x.wav", out], "x.wav")
    assert_refused([*command, manifests / "my_recordings_train.jsonl.gz", out], "my_recordings_train.jsonl.gz")
    cuts_of(manifests).pad(3.0).to_file(manifests / "cuts.jsonl")
    assert_refused([*command, manifests / "cuts.jsonl", out], "line 1", "MixedCut")
    (manifests / "cuts.jsonl").write_text("{")
    assert_refused([*command, manifests / "cuts.jsonl", out], "line 1")
