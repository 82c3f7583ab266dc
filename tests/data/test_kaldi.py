"""Kaldi archives, compared with kaldiio."""

import gzip
import pickle
from pathlib import Path

import kaldiio
import numpy as np
import pytest

from asrdistill.cli import main
from asrdistill.data import kaldi
from asrdistill.data.archive import FrameArchive
from asrdistill.errors import UserError
from tests.refusals import assert_refused, refused


@pytest.fixture
def matrices() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {f"utt{i}": rng.normal(size=(5 + i, 4)).astype(np.float32) for i in range(4)}


@pytest.fixture
def ark(tmp_path: Path, matrices: dict[str, np.ndarray]) -> Path:
    kaldiio.save_ark(str(tmp_path / "feats.ark"), matrices, scp=str(tmp_path / "feats.scp"))
    return tmp_path / "feats.ark"


def same(found: dict[str, np.ndarray], wanted: dict[str, np.ndarray], tolerance: float = 0) -> bool:
    return list(found) == list(wanted) and all(
        np.allclose(found[name], wanted[name], rtol=0, atol=tolerance) for name in wanted
    )


def test_written_for_kaldiio(tmp_path: Path, matrices: dict[str, np.ndarray]) -> None:
    assert kaldi.write(tmp_path / "a.ark", matrices.items()) == 4
    assert same(dict(kaldiio.load_ark(str(tmp_path / "a.ark"))), matrices)
    assert same(dict(kaldiio.load_scp(str(tmp_path / "a.scp"))), matrices)


def test_features_there_and_back(tmp_path: Path, ark: Path, matrices: dict[str, np.ndarray]) -> None:
    for source in (ark, ark.with_suffix(".scp")):
        out = tmp_path / source.suffix[1:]
        assert main(["convert", "feats", str(source), str(out), "--name", "fbank", "--frame-shift", "0.02"]) == 0
        archive = FrameArchive(out, "features")
        assert same({name: archive[name] for name in archive}, matrices)
        assert archive.meta["features"] == {"type": "kaldi", "name": "fbank", "dimension": 4}
        assert archive.meta["frame_shift"] == 0.02
    assert main(["convert", "feats", str(out), str(tmp_path / "back" / "feats.ark")]) == 0
    assert (tmp_path / "back" / "feats.ark").read_bytes() == ark.read_bytes()


@pytest.mark.parametrize("form", ["compressed 2", "compressed 3", "compressed 5", "double", "text", "gzip"])
def test_text_binary_and_compressed_forms_are_read(tmp_path: Path, matrices: dict[str, np.ndarray], form: str) -> None:
    path = tmp_path / "a.ark"
    if form == "double":
        matrices = {name: matrix.astype(np.float64) for name, matrix in matrices.items()}
    method = int(form.split()[1]) if form.startswith("compressed") else None
    kaldiio.save_ark(str(path), matrices, compression_method=method, text=form == "text")
    if form == "gzip":
        path = tmp_path / "a.ark.gz"
        path.write_bytes(gzip.compress((tmp_path / "a.ark").read_bytes()))
    assert same(dict(kaldi.read(path)), matrices, 0.05 if method else 1e-6)


@pytest.mark.parametrize("text", [False, True])
def test_integers(tmp_path: Path, text: bool) -> None:
    numbers = {"a": np.arange(5, dtype=np.int32), "b": np.array([70000, -1], np.int32), "c": np.array([7], np.int32)}
    if text:
        lines = (f"{name} {' '.join(map(str, vector))}\n" for name, vector in numbers.items())
        (tmp_path / "a.ark").write_text("".join(lines))
    else:
        kaldi.write(tmp_path / "a.ark", numbers.items())
        assert same(dict(kaldiio.load_ark(str(tmp_path / "a.ark"))), numbers)
    assert same(dict(kaldi.read(tmp_path / "a.ark")), numbers)


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("kind", ["float", "integer"])
def test_truncated_archive_is_refused(tmp_path: Path, ark: Path, kind: str, compress: bool) -> None:
    """Every cut is an error that names the file, or lies between two utterances."""
    if kind == "integer":
        kaldi.write(ark, [("utt0", np.arange(9, dtype=np.int32)), ("utt1", np.arange(5, dtype=np.int32))])
    whole = gzip.compress(ark.read_bytes()) if compress else ark.read_bytes()
    cut = tmp_path / ("cut.gz" if compress else "cut.ark")
    complete, errors = [], []
    for size in range(len(whole)):
        cut.write_bytes(whole[:size])
        try:
            complete.append(len(list(kaldi.read(cut))))
        except UserError as error:
            errors.append(str(error))
    assert all(str(cut) in error for error in errors)
    assert f"utterance utt{3 if kind == 'float' else 1}" in errors[-1] or compress
    assert complete == ([0] if compress else list(range(4 if kind == "float" else 2)))


def test_truncated_archive_behind_scp_is_refused(ark: Path) -> None:
    ark.write_bytes(ark.read_bytes()[:-3])
    with refused(ark, "utt3"):
        list(kaldi.read(ark.with_suffix(".scp")))


@pytest.mark.parametrize("entry", ["touch SENTINEL |", "|touch SENTINEL", "touch SENTINEL |  "])
def test_shell_commands_in_scp_are_refused(tmp_path: Path, entry: str) -> None:
    sentinel = tmp_path / "ran"
    (tmp_path / "a.scp").write_text(f"utt0 {entry.replace('SENTINEL', str(sentinel))}\n")
    with refused(tmp_path / "a.scp", "utt0"):
        list(kaldi.read(tmp_path / "a.scp"))
    assert not sentinel.exists()


class Bomb:
    def __reduce__(self):
        return Path.touch, (Path("ran"),)


def test_pickles_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.ark").write_bytes(b"utt0 PKL" + pickle.dumps(Bomb()))
    Path("a.scp").write_text("utt0 a.ark:5\n")
    for name in ("a.ark", "a.scp"):
        with refused("a.ark", "utt0"):
            list(kaldi.read(Path(name)))
    assert not Path("ran").exists()


def test_scp_names_files_beside_it(tmp_path: Path, ark: Path, matrices: dict[str, np.ndarray]) -> None:
    scp = ark.with_suffix(".scp")
    scp.write_text(scp.read_text().replace(f"{tmp_path}/", ""))
    assert same(dict(kaldi.read(scp)), matrices)
    scp.write_text("utt0 feats.ark:5[0:3]\n")
    with refused(scp, "utt0", "copy-feats"):
        list(kaldi.read(scp))
    scp.write_text("utt0 nothing.ark:5\n")
    with refused(tmp_path / "nothing.ark"):
        list(kaldi.read(scp))


def test_bad_features_are_refused(tmp_path: Path, matrices: dict[str, np.ndarray]) -> None:
    bad = {
        "5 numbers": np.zeros((3, 5), np.float32),
        "finite": np.full((3, 4), np.nan, np.float32),
        "(3,)": np.zeros(3, np.float32),
    }
    for number, (name, matrix) in enumerate(bad.items()):
        kaldi.write(tmp_path / "a.ark", {**matrices, "utt9": matrix}.items())
        import_features = ["convert", "feats", tmp_path / "a.ark", tmp_path / f"out{number}"]
        assert_refused(import_features, tmp_path / "a.ark", "utterance utt9", name)
    (tmp_path / "a.ark").write_bytes(b"")
    assert_refused(["convert", "feats", str(tmp_path / "a.ark"), str(tmp_path / "out9")], tmp_path / "a.ark")


def test_only_features_are_exported(tmp_path: Path, corpus) -> None:
    assert_refused(["convert", "feats", str(corpus.alignment), str(tmp_path / "a.ark")], corpus.alignment, "alignment")
    assert main(["convert", "feats", str(corpus.features), str(tmp_path / "a.txt")]) == 2


@pytest.mark.slow
def test_kaldi_features_train(tmp_path: Path, corpus) -> None:
    """Another system's features train our network on our alignment."""
    assert main(["convert", "feats", str(corpus.features), str(tmp_path / "a.ark")]) == 0
    assert main(["convert", "feats", str(tmp_path / "a.scp"), str(tmp_path / "features")]) == 0
    size = ["--layers", "1", "--width", "8", "--epochs", "1"]
    trained = ["nnet", "train", str(tmp_path / "features"), str(corpus.alignment), str(tmp_path / "model"), *size]
    assert main(trained) == 0
    evaluated = ["nnet", "evaluate", str(tmp_path / "model"), str(corpus.features), str(corpus.alignment)]
    assert main([*evaluated, str(tmp_path / "out")]) == 2  # fbank of the same dimension is something else


def test_byte_order_mark_of_an_scp_is_no_part_of_the_name(ark: Path, matrices: dict[str, np.ndarray]) -> None:
    scp = ark.with_suffix(".scp")
    scp.write_text(scp.read_text(), encoding="utf-8-sig")
    assert same(dict(kaldi.read(scp)), matrices)
