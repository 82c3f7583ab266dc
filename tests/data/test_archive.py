"""Frame archives: written in shards, read by memory map, divided, joined, compared; damaged ones told."""

import json
from pathlib import Path

import numpy as np
import pytest

from asrdistill.data.archive import FrameArchive, ShardWriter, check_match, combine, finish, subset
from asrdistill.errors import UserError

PARTS = {"frames": ("<f4", (3,))}


def frames(rows: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, 3)).astype(np.float32)


CONTENT = {"utt1": frames(5, 1), "utt2": frames(1, 2), "utt3": frames(0, 3), "utt4": frames(700, 4)}


def make(folder: Path, content: dict[str, np.ndarray], shards: int = 1, kind: str = "features", **meta) -> Path:
    """An archive whose utterances are dealt to the shards in turn."""
    folder.mkdir(parents=True)
    writers = [ShardWriter(folder, number, PARTS) for number in range(shards)]
    for i, (utterance, rows) in enumerate(content.items()):
        writers[i % shards].write(utterance, frames=rows)
    finish(folder, kind, PARTS, [writer.close() for writer in reversed(writers)], **{"frame_shift": 0.01, **meta})
    return folder


@pytest.mark.parametrize("shards", [1, 2, 3, 6])
def test_frames_come_back(tmp_path, shards):
    archive = FrameArchive(make(tmp_path / "a", CONTENT, shards), kind="features")
    assert archive.utterances == list(archive) == sorted(CONTENT)
    assert archive.kind == "features"
    assert len(archive) == 4
    assert archive.total_rows == 706
    assert "utt2" in archive
    assert "utt5" not in archive
    for utterance, rows in CONTENT.items():
        np.testing.assert_array_equal(archive[utterance], rows)
        assert archive.rows(utterance) == len(rows)


def test_the_index_is_sorted_whatever_the_order_of_writing(tmp_path):
    archive = FrameArchive(make(tmp_path / "a", dict(reversed(CONTENT.items())), 2))
    assert archive.utterances == sorted(CONTENT)
    np.testing.assert_array_equal(archive["utt4"], CONTENT["utt4"])


def test_frames_are_a_read_only_view_of_the_file(tmp_path):
    rows = FrameArchive(make(tmp_path / "a", CONTENT))["utt4"]
    assert isinstance(rows, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        rows[0] = 0


def test_shards_are_plain_npy_files(tmp_path):
    """As numpy itself writes them: any tool reads them."""
    make(tmp_path / "a", CONTENT)
    np.testing.assert_array_equal(np.load(tmp_path / "a" / "frames.0.npy"), np.concatenate(list(CONTENT.values())))


def test_several_parts(tmp_path):
    parts = {"ids": ("<u2", (4,)), "logs": ("<f2", (4,)), "tail": ("<f4", ())}
    writer = ShardWriter(tmp_path, 0, parts)
    ids, logs, tail = np.arange(8).reshape(2, 4), np.ones((2, 4)), np.array([0.5, 0.25])
    writer.write("a", ids=ids, logs=logs, tail=tail)
    finish(tmp_path, "soft-targets", parts, [writer.close()])
    archive = FrameArchive(tmp_path)
    for name, array in {"ids": ids, "logs": logs, "tail": tail}.items():
        np.testing.assert_array_equal(archive.part("a", name), array)
        assert archive.part("a", name).dtype == np.dtype(parts[name][0])


@pytest.mark.parametrize("shards", [1, 3])
def test_reading_copies_what_the_parts_show(tmp_path, shards):
    content = {f"u{i}": frames(rows, i) for i, rows in enumerate((3, 1, 40, 7, 2))}
    archive = FrameArchive(make(tmp_path / "a", content, shards))
    for order in ("u0 u1 u2 u3 u4", "u4 u0 u2", "u1 u1", "u3"):
        names = order.split()
        read = archive.read(names)
        np.testing.assert_array_equal(read, np.concatenate([archive[name] for name in names]))
        assert read.dtype == archive["u0"].dtype
        assert read.flags.owndata


def test_an_index_that_names_more_rows_than_there_are(tmp_path):
    folder = make(tmp_path / "a", {"u0": frames(3), "u1": frames(4)})
    index = folder / "index.tsv"
    index.write_text(index.read_text().replace("u1\t0\t3\t4", "u1\t0\t3\t5"))
    with pytest.raises(UserError, match=r"shard 0 is shorter than index\.tsv says"):
        FrameArchive(folder).read(["u0", "u1"])


def test_writing_what_does_not_fit_is_an_error(tmp_path):
    writer = ShardWriter(tmp_path, 0, PARTS)
    with pytest.raises(ValueError, match="parts"):
        writer.write("a", other=frames(2))
    with pytest.raises(ValueError, match="shape"):
        writer.write("a", frames=np.zeros((2, 4)))


def test_the_hash_is_that_of_the_content(tmp_path):
    same = [FrameArchive(make(tmp_path / name, CONTENT, made=name)).hash for name in "ab"]
    changed = {**CONTENT, "utt2": CONTENT["utt2"] + 1}
    renamed = {f"x{utterance}": rows for utterance, rows in CONTENT.items()}
    others = [FrameArchive(make(tmp_path / f"c{i}", content)).hash for i, content in enumerate((changed, renamed))]
    assert same[0] == same[1]
    assert len({same[0], *others}) == 3


def test_an_utterance_written_twice_is_named(tmp_path):
    writers = [ShardWriter(tmp_path, number, PARTS) for number in range(2)]
    for writer in writers:
        writer.write("utt1", frames=frames(2))
    with pytest.raises(UserError, match="utt1 was written twice"):
        finish(tmp_path, "features", PARTS, [writer.close() for writer in writers])


def test_what_is_no_archive(tmp_path):
    with pytest.raises(UserError, match="is not a frame archive"):
        FrameArchive(tmp_path)
    with pytest.raises(UserError, match="holds alignment, but features were wanted"):
        FrameArchive(make(tmp_path / "a", CONTENT, kind="alignment"), kind="features")
    with pytest.raises(UserError, match="has no utterance utt9"):
        FrameArchive(tmp_path / "a")["utt9"]
    with pytest.raises(UserError, match="has no utterance utt9"):
        FrameArchive(tmp_path / "a").rows("utt9")


def test_damaged_archives_are_told(tmp_path):
    folder = make(tmp_path / "a", CONTENT)
    shard = folder / "frames.0.npy"
    whole = shard.read_bytes()
    for kept in (0, 50, 128, 1000):
        shard.write_bytes(whole[:kept])
        with pytest.raises(UserError, match=r"frames\.0\.npy is damaged"):
            FrameArchive(folder)["utt4"]
    np.save(shard, frames(10))
    with pytest.raises(UserError, match="ends within utterance utt4"):
        FrameArchive(folder)["utt4"]
    shard.unlink()
    with pytest.raises(UserError, match=r"frames\.0\.npy is missing"):
        FrameArchive(folder)["utt4"]


def test_a_shard_cannot_run_code(tmp_path):
    folder = make(tmp_path / "a", CONTENT)
    np.save(folder / "frames.0.npy", np.array([{"an": "object"}], dtype=object), allow_pickle=True)
    with pytest.raises(UserError, match="is damaged"):
        FrameArchive(folder)["utt4"]


def test_damaged_index_and_meta_are_told(tmp_path):
    folder = make(tmp_path / "a", CONTENT)
    (folder / "index.tsv").write_text("utt1\t0\t0\t5\nutt2\t0\tx\t1\n")
    with pytest.raises(UserError, match=r"index\.tsv, line 2"):
        FrameArchive(folder)
    (folder / "index.tsv").unlink()
    with pytest.raises(UserError, match=r"index\.tsv is missing"):
        FrameArchive(folder)
    (folder / "meta.json").write_text('{"kind": ')
    with pytest.raises(UserError, match=r"meta\.json is not valid JSON"):
        FrameArchive(folder)


def test_an_archive_that_was_not_finished_is_none(tmp_path):
    writer = ShardWriter(tmp_path, 0, PARTS)
    writer.write("utt1", frames=frames(5))
    with pytest.raises(UserError, match="is not a frame archive"):
        FrameArchive(tmp_path)


def test_a_subset_names_the_shards_of_its_source(tmp_path):
    source = make(tmp_path / "a", CONTENT, 2)
    (tmp_path / "deep" / "b").mkdir(parents=True)
    (tmp_path / "c").mkdir()
    subset(source, tmp_path / "deep" / "b", ["utt4", "utt1"])
    subset(tmp_path / "deep" / "b", tmp_path / "c", ["utt4"])  # a subset of a subset
    for folder, utterances in ((tmp_path / "deep" / "b", ["utt1", "utt4"]), (tmp_path / "c", ["utt4"])):
        archive = FrameArchive(folder)
        assert archive.utterances == utterances
        assert sorted(path.name for path in folder.iterdir()) == ["index.tsv", "meta.json"]
        for utterance in utterances:
            np.testing.assert_array_equal(archive[utterance], CONTENT[utterance])
        assert archive.meta["frame_shift"] == 0.01
    hashes = {FrameArchive(folder).hash for folder in (source, tmp_path / "deep" / "b", tmp_path / "c")}
    assert len(hashes) == 3
    with pytest.raises(UserError, match="lack 2 utterances: utt8, utt9"):
        subset(source, tmp_path / "c", ["utt1", "utt8", "utt9"])


def test_a_union_over_the_shards_of_several(tmp_path):
    other = {"utt0": frames(4, 7), "utt9": frames(2, 8)}
    sources = [make(tmp_path / "a", CONTENT, 2), make(tmp_path / "b", other)]
    (tmp_path / "c").mkdir()
    combine(sources, tmp_path / "c")
    archive = FrameArchive(tmp_path / "c")
    assert archive.utterances == ["utt0", "utt1", "utt2", "utt3", "utt4", "utt9"]
    for utterance, rows in {**CONTENT, **other}.items():
        np.testing.assert_array_equal(archive[utterance], rows)


def test_what_cannot_be_combined(tmp_path):
    (tmp_path / "c").mkdir()
    first = make(tmp_path / "a", CONTENT, features={"rate": 8000})
    with pytest.raises(UserError, match="utt1 stands in more than one archive"):
        combine([first, make(tmp_path / "b", CONTENT, features={"rate": 8000})], tmp_path / "c")
    with pytest.raises(UserError, match="differ in kind"):
        combine([first, make(tmp_path / "d", {"x": frames(1)}, kind="other", features={"rate": 8000})], tmp_path / "c")
    with pytest.raises(UserError, match="differ in features"):
        combine([first, make(tmp_path / "e", {"x": frames(1)}, features={"rate": 16000})], tmp_path / "c")
    assert not (tmp_path / "c" / "meta.json").exists()


def test_archives_that_match_and_do_not(tmp_path):
    a = FrameArchive(make(tmp_path / "a", CONTENT))
    check_match(a, FrameArchive(make(tmp_path / "same", CONTENT, 3)))
    longer = FrameArchive(make(tmp_path / "longer", {**CONTENT, "utt2": frames(4)}))
    with pytest.raises(UserError, match=r"utterance utt2 has 1 frames in .*/a but 4 in .*/longer"):
        check_match(a, longer)
    check_match(a, longer, ["utt1", "utt4"])
    fewer = FrameArchive(make(tmp_path / "fewer", {k: v for k, v in CONTENT.items() if k != "utt3"}))
    for pair in ((a, fewer), (fewer, a)):
        with pytest.raises(UserError, match=r"utterance utt3 is in .*/a but not in .*/fewer"):
            check_match(*pair)


def test_meta_says_what_it_holds(tmp_path):
    folder = make(tmp_path / "a", CONTENT, features={"bins": 3})
    meta = json.loads((folder / "meta.json").read_text())
    assert meta["kind"] == "features"
    assert meta["parts"] == {"frames": {"dtype": "<f4", "shape": [3]}}
    assert meta["features"] == {"bins": 3}
