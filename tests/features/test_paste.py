import numpy as np
import pytest

from asrdistill.data.archive import FrameArchive, combine
from asrdistill.errors import UserError
from asrdistill.features.paste import columns, has_columns, paste
from tests.conftest import write_archive


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


def test_rows_stand_side_by_side_and_take_no_room(both, corpus):
    archive, others = both
    plain = FrameArchive(corpus.features)
    for name in archive:
        np.testing.assert_array_equal(archive[name], np.concatenate([plain[name], others[name]], axis=1))
    names = archive.utterances[3:9]
    np.testing.assert_array_equal(archive.read(names), np.concatenate([archive[name] for name in names]))
    assert archive["utt004"].dtype == np.float32
    assert not list(archive.folder.glob("*.npy"))
    assert archive.frames_of == plain.hash


def test_each_kind_finds_its_columns(both, corpus):
    archive, others = both
    settings = archive.meta["features"]
    np.testing.assert_array_equal(archive["utt002"][:, columns(settings, {"type": "whisper"})], others["utt002"])
    plain = FrameArchive(corpus.features)
    np.testing.assert_array_equal(archive["utt002"][:, columns(settings, corpus.settings)], plain["utt002"])
    assert columns(corpus.settings, corpus.settings) == slice(None)
    assert has_columns(settings, settings)
    assert not has_columns(settings, {"type": "mfcc"})


def test_what_does_not_belong_together_is_refused(both, corpus, tmp_path):
    archive, others = both
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(UserError, match="only different ones are joined"):
        paste([corpus.features, corpus.features], out)
    with pytest.raises(UserError, match="two or more archives that are not joined themselves"):
        paste([corpus.features], out)
    with pytest.raises(UserError, match="two or more archives that are not joined themselves"):
        paste([archive.folder, tmp_path / "others"], out)
    fits = {"feature_hash": "another", "frame_shift": 0.01}
    write_archive(tmp_path / "stray", "features", others, "<f2", features={"type": "hubert"}, **fits)
    with pytest.raises(UserError, match="stray was not made for the frames of"):
        paste([corpus.features, tmp_path / "stray"], out)
    shorter = {u: rows[:-1] for u, rows in others.items()}
    fits["feature_hash"] = FrameArchive(corpus.features).hash
    write_archive(tmp_path / "shorter", "features", shorter, "<f2", features={"type": "hubert"}, **fits)
    with pytest.raises(UserError, match=r"utterance utt000 has \d+ frames"):
        paste([corpus.features, tmp_path / "shorter"], out)
    with pytest.raises(UserError, match="joins other archives"):
        combine([archive.folder], out)


def test_a_part_that_was_made_again_is_noticed(both, corpus, tmp_path):
    archive, others = both
    (tmp_path / "others").rename(tmp_path / "gone")
    changed = {u: rows + 1 for u, rows in others.items()}
    write_archive(tmp_path / "others", "features", changed, "<f2", features={"type": "whisper"}, frame_shift=0.01)
    with pytest.raises(UserError, match="one was made again since; join them again"):
        FrameArchive(archive.folder)
