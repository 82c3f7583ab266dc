import pytest
import soundfile

from asrdistill.cli import main
from asrdistill.data.directory import DataDirectory, Utterance
from tests.refusals import assert_refused


@pytest.fixture
def cut(tmp_path):
    """One recording in two segments, whose ids are not in the order of their starts, and one in one."""
    soundfile.write(tmp_path / "x.wav", [0.0] * 80, 8)
    folder = tmp_path / "data"
    folder.mkdir()
    spans = {"a-2": ("a", 0.0, 1.0), "a-1": ("a", 1.0, 2.0), "b-1": ("b", 0.0, 2.0)}
    audio = {"a": tmp_path / "x.wav", "b": tmp_path / "y.wav"}
    soundfile.write(audio["b"], [0.0] * 80, 8)
    DataDirectory(
        Utterance(n, str(audio[r]), "s", recording=r, start=s, end=e) for n, (r, s, e) in spans.items()
    ).write(folder)
    return folder


def test_words_of_segments_are_joined_in_the_order_of_time(cut, tmp_path, capsys):
    (tmp_path / "ref").write_text("a one two three\nnot_cut four\n")
    (tmp_path / "hyp").write_text("a-1 three\na-2 one too\nb-1 five\n")
    assert main(["score", str(tmp_path / "ref"), str(tmp_path / "hyp"), "--recordings", str(cut)]) == 0
    assert "[ 1 / 3, 0 ins, 0 del, 1 sub ]" in capsys.readouterr().out


def test_reference_of_other_recordings_is_refused(cut, tmp_path):
    (tmp_path / "ref").write_text("c one\n")
    (tmp_path / "hyp").write_text("a-1 one\n")
    assert_refused(["score", tmp_path / "ref", tmp_path / "hyp", "--recordings", cut], tmp_path / "ref", "a", "b")


def test_hypothesis_of_other_segments_is_refused(cut, tmp_path):
    (tmp_path / "ref").write_text("a one\n")
    (tmp_path / "hyp").write_text("c-1 one\n")
    assert_refused(["score", tmp_path / "ref", tmp_path / "hyp", "--recordings", cut], tmp_path / "hyp", "c-1")
