import numpy as np
import pytest

from asrdistill.data.archive import FrameArchive, subset
from asrdistill.features.paste import columns, has_columns, paste
from tests.conftest import write_archive
from tests.refusals import refused


@pytest.fixture
def both(corpus, tmp_path):
    """The corpus's features joined with others that were made for their frames: (archive, the others' frames)."""
    rng = np.random.default_rng(1)
    others = {u: rng.normal(size=(len(rows), 3)).astype(np.float16) for u, rows in corpus.labels.items()}
    fits = {"feature_hash": FrameArchive(corpus.features).hash, "frame_shift": 0.01}
    write_archive(tmp_path / "others", "features", others, "<f2", features={"type": "whisper"}, **fits)
    (tmp_path / "both").mkdir()
    paste([corpus.features, tmp_path / "others"], tmp_path / "both")
    return FrameArchive(tmp_path / "both", "features"), others


def test_rows_are_concatenated_without_a_copy_on_disk(both, corpus):
    archive, others = both
    plain = FrameArchive(corpus.features)
    for name in archive:
        np.testing.assert_array_equal(archive[name], np.concatenate([plain[name], others[name]], axis=1))
    names = archive.utterances[3:9]
    np.testing.assert_array_equal(archive.read(names), np.concatenate([archive[name] for name in names]))
    assert archive["utt004"].dtype == np.float32
    assert not list(archive.folder.glob("*.npy"))
    assert archive.frames_of == plain.hash


def test_each_feature_type_is_found_in_its_columns(both, corpus):
    archive, others = both
    settings = archive.meta["features"]
    np.testing.assert_array_equal(archive["utt002"][:, columns(settings, {"type": "whisper"})], others["utt002"])
    plain = FrameArchive(corpus.features)
    np.testing.assert_array_equal(archive["utt002"][:, columns(settings, corpus.settings)], plain["utt002"])
    assert columns(corpus.settings, corpus.settings) == slice(None)
    assert has_columns(settings, settings)
    assert not has_columns(settings, {"type": "mfcc"})


def test_archives_that_do_not_fit_are_refused(both, corpus, tmp_path):
    archive, others = both
    out = tmp_path / "out"
    out.mkdir()
    with refused(corpus.features):
        paste([corpus.features, corpus.features], out)
    with refused("two"):
        paste([corpus.features], out)
    with refused("two"):
        paste([archive.folder, tmp_path / "others"], out)
    fits = {"feature_hash": "another", "frame_shift": 0.01}
    write_archive(tmp_path / "stray", "features", others, "<f2", features={"type": "hubert"}, **fits)
    with refused(tmp_path / "stray", corpus.features):
        paste([corpus.features, tmp_path / "stray"], out)
    shorter = {u: rows[:-1] for u, rows in others.items()}
    fits["feature_hash"] = FrameArchive(corpus.features).hash
    write_archive(tmp_path / "shorter", "features", shorter, "<f2", features={"type": "hubert"}, **fits)
    with refused("utt000", 75, 74, tmp_path / "shorter"):
        paste([corpus.features, tmp_path / "shorter"], out)
    with refused(archive.folder):
        subset(archive.folder, out, archive)


def test_changed_source_is_refused(both, corpus, tmp_path):
    archive, others = both
    (tmp_path / "others").rename(tmp_path / "gone")
    changed = {u: rows + 1 for u, rows in others.items()}
    write_archive(tmp_path / "others", "features", changed, "<f2", features={"type": "whisper"}, frame_shift=0.01)
    with refused(archive.folder):
        FrameArchive(archive.folder)
