"""Frame archives: shards, index, subsets, comparison, damage."""

import json
from pathlib import Path

import numpy as np
import pytest

from asrdistill.data.archive import FrameArchive, ShardWriter, check_match, finish, subset
from tests.refusals import refused

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
def test_written_frames_are_read_again(tmp_path, shards):
    archive = FrameArchive(make(tmp_path / "a", CONTENT, shards), kind="features")
    assert archive.utterances == list(archive) == sorted(CONTENT)
    assert archive.meta["kind"] == "features"
    assert len(archive) == 4
    assert archive.total_rows == 706
    assert "utt2" in archive
    assert "utt5" not in archive
    for utterance, rows in CONTENT.items():
        np.testing.assert_array_equal(archive[utterance], rows)
        assert archive.rows(utterance) == len(rows)


def test_index_is_sorted_in_any_order_of_writing(tmp_path):
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
def test_read_returns_a_copy_of_the_rows(tmp_path, shards):
    content = {f"u{i}": frames(rows, i) for i, rows in enumerate((3, 1, 40, 7, 2))}
    archive = FrameArchive(make(tmp_path / "a", content, shards))
    for order in ("u0 u1 u2 u3 u4", "u4 u0 u2", "u1 u1", "u3"):
        names = order.split()
        read = archive.read(names)
        np.testing.assert_array_equal(read, np.concatenate([archive[name] for name in names]))
        assert read.dtype == archive["u0"].dtype
        assert read.flags.owndata


def test_index_longer_than_its_shard_is_refused(tmp_path):
    folder = make(tmp_path / "a", {"u0": frames(3), "u1": frames(4)})
    index = folder / "index.tsv"
    index.write_text("u0\t0\t0\t3\nu1\t0\t3\t5\n")
    meta = json.loads((folder / "meta.json").read_text())
    del meta["index"]
    (folder / "meta.json").write_text(json.dumps(meta))
    with refused(folder, "shard 0", "index.tsv"):
        FrameArchive(folder).read(["u0", "u1"])


def test_writing_other_parts_or_shapes_is_refused(tmp_path):
    writer = ShardWriter(tmp_path, 0, PARTS)
    with pytest.raises(ValueError, match="parts"):
        writer.write("a", other=frames(2))
    with pytest.raises(ValueError, match="shape"):
        writer.write("a", frames=np.zeros((2, 4)))


def test_hash_depends_on_the_content_alone(tmp_path):
    same = [FrameArchive(make(tmp_path / name, CONTENT, made=name)).hash for name in "ab"]
    changed = {**CONTENT, "utt2": CONTENT["utt2"] + 1}
    renamed = {f"x{utterance}": rows for utterance, rows in CONTENT.items()}
    others = [FrameArchive(make(tmp_path / f"c{i}", content)).hash for i, content in enumerate((changed, renamed))]
    assert same[0] == same[1]
    assert len({same[0], *others}) == 3


def test_utterance_written_twice_is_refused(tmp_path):
    writers = [ShardWriter(tmp_path, number, PARTS) for number in range(2)]
    for writer in writers:
        writer.write("utt1", frames=frames(2))
    with refused("utt1", "twice"):
        finish(tmp_path, "features", PARTS, [writer.close() for writer in writers])


def test_other_folders_kinds_and_utterances_are_refused(tmp_path):
    with refused("meta.json"):
        FrameArchive(tmp_path)
    with refused(tmp_path / "a", "alignment", "features"):
        FrameArchive(make(tmp_path / "a", CONTENT, kind="alignment"), kind="features")
    with refused(tmp_path / "a", "utt9"):
        FrameArchive(tmp_path / "a")["utt9"]
    with refused(tmp_path / "a", "utt9"):
        FrameArchive(tmp_path / "a").rows("utt9")


def test_damaged_shards_are_refused(tmp_path):
    folder = make(tmp_path / "a", CONTENT)
    shard = folder / "frames.0.npy"
    whole = shard.read_bytes()
    for kept in (0, 50, 128, 1000):
        shard.write_bytes(whole[:kept])
        with refused(shard):
            FrameArchive(folder)["utt4"]
    np.save(shard, frames(10))
    with refused(folder, "shard 0", "utt4"):
        FrameArchive(folder)["utt4"]
    shard.unlink()
    with refused(shard, "missing"):
        FrameArchive(folder)["utt4"]


def test_a_shard_cannot_run_code(tmp_path):
    folder = make(tmp_path / "a", CONTENT)
    np.save(folder / "frames.0.npy", np.array([{"an": "object"}], dtype=object), allow_pickle=True)
    with refused(folder / "frames.0.npy"):
        FrameArchive(folder)["utt4"]


def test_damaged_index_and_meta_are_refused(tmp_path):
    folder = make(tmp_path / "a", CONTENT)
    (folder / "index.tsv").write_text("utt1\t0\t0\t5\nutt2\t0\tx\t1\n")
    with refused(folder / "index.tsv", "line 2"):
        FrameArchive(folder)
    (folder / "index.tsv").unlink()
    with refused(folder / "index.tsv", "index.tsv"):
        FrameArchive(folder)
    meta = json.loads((folder / "meta.json").read_text())
    (folder / "meta.json").write_text(json.dumps(meta | {"parts": {}}))
    with refused(folder / "meta.json", "parts"):
        FrameArchive(folder)
    (folder / "meta.json").write_text('{"kind": ')
    with refused(folder / "meta.json", "JSON"):
        FrameArchive(folder)


def test_unfinished_archive_is_refused(tmp_path):
    writer = ShardWriter(tmp_path, 0, PARTS)
    writer.write("utt1", frames=frames(5))
    with refused("meta.json"):
        FrameArchive(tmp_path)


def test_subset_refers_to_the_shards_of_its_source(tmp_path):
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
    with refused(source, "utt8", "utt9"):
        subset(source, tmp_path / "c", ["utt1", "utt8", "utt9"])


def test_archives_of_other_utterances_or_lengths_are_refused(tmp_path):
    a = FrameArchive(make(tmp_path / "a", CONTENT))
    check_match(a, FrameArchive(make(tmp_path / "same", CONTENT, 3)))
    longer = FrameArchive(make(tmp_path / "longer", {**CONTENT, "utt2": frames(4)}))
    with refused("utt2", "1", tmp_path / "a", "4", tmp_path / "longer"):
        check_match(a, longer)
    check_match(a, longer, ["utt1", "utt4"])
    fewer = FrameArchive(make(tmp_path / "fewer", {k: v for k, v in CONTENT.items() if k != "utt3"}))
    for pair in ((a, fewer), (fewer, a)):
        with refused("utt3", tmp_path / "a", tmp_path / "fewer"):
            check_match(*pair)


def test_meta_describes_the_parts(tmp_path):
    folder = make(tmp_path / "a", CONTENT, features={"bins": 3})
    meta = json.loads((folder / "meta.json").read_text())
    assert meta["kind"] == "features"
    assert meta["parts"] == {"frames": {"dtype": "<f4", "shape": [3]}}
    assert meta["features"] == {"bins": 3}


@pytest.mark.parametrize(("dtype", "value"), [("<u2", 65536), ("<u2", -1), ("<i4", 2**31), ("<f4", np.nan)])
def test_numbers_that_do_not_fit_are_refused_when_written(tmp_path, dtype, value):
    writer = ShardWriter(tmp_path, 0, {"frames": (dtype, ())})
    with refused("utterance utt1", "frames"):
        writer.write("utt1", frames=np.array([0, value]))


@pytest.mark.parametrize("form", ["integers", "complex", "wider", "transposed", "npz"])
def test_shards_of_other_numbers_are_refused(tmp_path, form):
    archive = make(tmp_path / "a", {"utt1": frames(5)})
    path, rows = archive / "frames.0.npy", frames(5)
    others = {"integers": rows.astype(np.int32), "complex": rows.astype(np.complex64), "wider": np.ones((5, 4), "f4")}
    np.save(path, others.get(form, np.asfortranarray(rows)))
    if form == "npz":
        np.savez(path.with_suffix(""), frames=rows)
        path.with_suffix(".npz").replace(path)
    with refused(path):
        FrameArchive(archive)["utt1"]
    with refused(path):
        FrameArchive(archive).read(["utt1"])


def test_negative_places_in_an_index_are_refused(tmp_path):
    archive = make(tmp_path / "a", {"utt1": frames(5)})
    (archive / "index.tsv").write_text("utt1\t0\t-2\t2\n")
    with refused(archive / "index.tsv", "line 1"):
        FrameArchive(archive)


def test_changed_bytes_and_indices_are_named(tmp_path):
    archive = make(tmp_path / "a", {"utt1": frames(5), "utt2": frames(5)})
    path = archive / "frames.0.npy"
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    FrameArchive(archive)["utt1"]
    for read in (lambda found: found["utt2"], lambda found: found.read(["utt1", "utt2"]), lambda found: found.verify()):
        with refused(archive, "utt2", "frames"):
            read(FrameArchive(archive))
    index = archive / "index.tsv"
    index.write_text(index.read_text().splitlines()[0] + "\n")
    with refused(index):
        FrameArchive(archive)
