"""MNIST from small IDX files: download, prepare, shift, damage."""

import gzip
from pathlib import Path

import mnist
import numpy as np
import pytest
import shift_images
from mnist import FILES, digit_senones, read_idx, write_idx

from asrdistill import fetch
from asrdistill.cli import main
from asrdistill.data.archive import FrameArchive
from asrdistill.features.statistics import global_stats
from tests.recipes.flaky_server import FlakyServer
from tests.refusals import assert_refused

ROWS, COLUMNS = 4, 5


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Four files of MNIST's names: 36 train images, 10 to test."""
    folder, rng = tmp_path / "source", np.random.default_rng(0)
    folder.mkdir()
    for part, count in (("train", 36), ("t10k", 10)):
        write_idx(folder / f"{part}-images-idx3-ubyte.gz", rng.integers(0, 256, (count, ROWS, COLUMNS)))
        write_idx(folder / f"{part}-labels-idx1-ubyte.gz", np.arange(count) % 10)
    return folder


def fails(names: list[object], *argv: object, program=mnist.group.main) -> None:
    assert_refused(argv, *names, program=program)


def test_idx_files_are_read_and_written(tmp_path):
    content = bytes([0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6])
    (tmp_path / "a.gz").write_bytes(gzip.compress(content))
    np.testing.assert_array_equal(read_idx(tmp_path / "a.gz"), [[1, 2, 3], [4, 5, 6]])
    write_idx(tmp_path / "b.gz", np.array([[1, 2, 3], [4, 5, 6]]))
    assert gzip.decompress((tmp_path / "b.gz").read_bytes()) == content


@pytest.mark.parametrize(
    ("content", "names"),
    [
        (bytes([0, 0, 13, 1, 0, 0, 0, 1, 7]), ["00 00 0d 01"]),
        (bytes([0, 0, 8, 3, 0, 0]), ["00 00 08 03"]),
        (bytes([0, 0, 8, 1, 0, 0, 0, 36] + [1] * 35), ["35 values", "(36,)"]),
        (bytes([0, 0, 8, 1, 0, 0, 0, 35] + [1] * 35), ["36 images", "35 digits"]),
        (bytes([0, 0, 8, 1, 0, 0, 0, 36] + [11] * 36), ["11"]),
        (bytes([0, 0, 8, 2, 0, 0, 0, 6, 0, 0, 0, 6] + [1] * 36), ["2 dimensions"]),
        (None, []),
    ],
)
def test_bad_files_are_refused(source, tmp_path, content, names):
    path = source / "train-labels-idx1-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-9] if content is None else gzip.compress(content))
    fails([path, *names], "prepare", source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_missing_files_and_other_sizes_are_refused(source, tmp_path):
    write_idx(source / "t10k-images-idx3-ubyte.gz", np.zeros((10, 5, 5)))
    fails([source, "(5, 5)", "pixels"], "prepare", source, tmp_path / "out")
    (source / "t10k-images-idx3-ubyte.gz").unlink()
    fails([source / "t10k-images-idx3-ubyte.gz"], "prepare", source, tmp_path / "out")


def test_images_become_utterances_of_one_frame(source, tmp_path):
    out = tmp_path / "out"
    assert mnist.group.main(["prepare", str(source), str(out)]) == 0
    sets = {name: FrameArchive(out / "features" / name, "features") for name in ("train", "validation", "test")}
    assert {name: len(archive) for name, archive in sets.items()} == {"train": 30, "validation": 6, "test": 10}
    images, digits = (read_idx(source / f"train-{what}-ubyte.gz") for what in ("images-idx3", "labels-idx1"))
    seen = []
    for name in ("train", "validation"):
        ali = FrameArchive(out / "ali" / name, "alignment")
        for utterance in sets[name]:
            number = int(utterance.split("-")[1])
            np.testing.assert_array_equal(sets[name][utterance], images[number].reshape(1, -1))
            assert ali[utterance].tolist() == [digits[number]]
            seen.append(number)
    assert sorted(seen) == list(range(36))
    assert digit_senones().of_phones(["3", "7"]).nonzero()[0].tolist() == [3, 7]


def test_pixels_are_normalised_by_common_statistics(source, tmp_path):
    assert mnist.group.main(["prepare", str(source), str(tmp_path / "out")]) == 0
    archive = FrameArchive(tmp_path / "out/features/train")
    mean, std = global_stats(archive)
    everything = archive.read(archive.utterances).astype(float)
    np.testing.assert_allclose(mean, np.full(ROWS * COLUMNS, everything.mean()))
    np.testing.assert_allclose(std, np.full(ROWS * COLUMNS, everything.std()))


def test_shifted_images_keep_their_digits(source, tmp_path):
    out = tmp_path / "out"
    assert mnist.group.main(["prepare", str(source), str(out)]) == 0
    train = FrameArchive(out / "features/train")
    assert shift_images.group.main([str(train.folder), str(tmp_path / "all"), "--pixels", "1"]) == 0
    moved = FrameArchive(tmp_path / "all")
    assert len(moved) == 9 * len(train)
    name = train.utterances[0]
    image, blank = train[name].reshape(ROWS, COLUMNS), np.zeros((ROWS, COLUMNS), np.uint8)
    down_left = blank.copy()
    down_left[1:, :-1] = image[:-1, 1:]
    np.testing.assert_array_equal(moved[f"shift+1-1-{name}"].reshape(ROWS, COLUMNS), down_left)
    up = blank.copy()
    up[:-1] = image[1:]
    np.testing.assert_array_equal(moved[f"shift-1+0-{name}"].reshape(ROWS, COLUMNS), up)
    assert main(["ali", "expand", str(out / "ali/train"), str(moved.folder), str(tmp_path / "ali")]) == 0
    digits, copied = FrameArchive(out / "ali/train"), FrameArchive(tmp_path / "ali")
    assert all(copied[copy] == digits[copy[-len(name) :]] for copy in moved)
    assert shift_images.group.main([str(train.folder), str(tmp_path / "some"), "--pixels", "2", "--copies", "3"]) == 0
    assert len(FrameArchive(tmp_path / "some")) == 4 * len(train)
    fails(["8 copies", 9], train.folder, tmp_path / "x", "--pixels", 1, "--copies", 9, program=shift_images.group.main)


def test_shift_of_other_features_is_refused(corpus, tmp_path):
    fails([corpus.features, "fbank"], corpus.features, tmp_path / "out", program=shift_images.group.main)


def test_the_checksums_are_md5():
    assert all(len(bytes.fromhex(md5)) == 16 and size for size, md5 in FILES.values())


def test_download_from_a_bad_server(source, tmp_path, monkeypatch):
    monkeypatch.setattr(fetch, "PAUSE", 0.0)
    known = {path.name: (path.stat().st_size, fetch.md5_of(path)) for path in source.iterdir()}
    monkeypatch.setattr(mnist, "FILES", known)
    with FlakyServer(source, cut=0.5, ignore_range=0.2, seed=1) as server:
        assert mnist.group.main(["download", str(tmp_path / "out"), "--mirror", server.url]) == 0
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == {
        path.name: path.read_bytes() for path in source.iterdir()
    }
    fails([server.url, "--mirror"], "download", tmp_path / "b", "--mirror", server.url)  # it is closed
    fails(["--mirror ftp://x"], "download", tmp_path / "b", "--mirror", "ftp://x")
    name = "t10k-labels-idx1-ubyte.gz"
    monkeypatch.setattr(mnist, "FILES", {**known, name: (known[name][0], "0" * 32)})
    with FlakyServer(source) as server:
        fails([f"{server.url}/{name}", "0" * 32], "download", tmp_path / "c", "--mirror", server.url)


def test_small_digits_have_the_same_format(tmp_path):
    pytest.importorskip("sklearn")
    assert mnist.group.main(["digits", str(tmp_path / "digits")]) == 0
    assert mnist.group.main(["prepare", str(tmp_path / "digits"), str(tmp_path / "out")]) == 0
    sets = {name: len(FrameArchive(tmp_path / "out/features" / name)) for name in ("train", "validation", "test")}
    assert sets == {"train": 1048, "validation": 209, "test": 540}
