"""The command ``info`` on every kind of folder."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asrdistill.cli import main
from asrdistill.data.archive import ShardWriter, finish
from asrdistill.hmm.senones import Senones
from asrdistill.results.info import describe, phone_trees, show
from tests.refusals import assert_refused, refused


def facts(path: Path) -> dict[str, Any]:
    return dict(describe(path))


def test_data_directory(tmp_path: Path) -> None:
    (tmp_path / "wav.scp").write_text("u1 cat u1.wav |\nu2 cat u2.wav |\n")  # named, not run
    (tmp_path / "text").write_text("u1 a b\nu2 b\n")
    (tmp_path / "utt2spk").write_text("u1 ann\nu2 ann\n")
    found = facts(tmp_path)
    assert found["kind"] == "data directory"
    assert (found["utterances"], found["speakers"], found["words"]) == (2, 1, "3 (2 different)")
    assert found["minutes"] == "unknown (no utt2dur)"
    (tmp_path / "utt2dur").write_text("u1 30.0\nu2 60.0\n")
    assert facts(tmp_path)["minutes"] == "1.5"


def write_store(folder: Path) -> None:
    parts = {"ids": ("<u2", (2,)), "logp": ("<f2", (2,)), "rest": ("<f4", (1,))}
    writer = ShardWriter(folder, 0, parts)
    writer.write("u1", ids=np.zeros((600, 2)), logp=np.zeros((600, 2)), rest=np.zeros((600, 1)))
    meta = {"temperatures": [2.0], "teachers": ["exp/teacher.0"], "kept_mass": [0.87], "frame_shift": 0.01}
    finish(folder, "soft-targets", parts, [writer.close()], **meta)


def test_archive(tmp_path: Path) -> None:
    write_store(tmp_path)
    found = facts(tmp_path)
    assert found["kind"] == "frame archive of soft-targets"
    assert (found["utterances"], found["frames"], found["minutes"]) == (1, "600", "0.1 at 10 ms a frame")
    assert (found["temperatures"], found["teachers"]) == ([2.0], ["exp/teacher.0"])
    assert "kept_mass     0.87" in show(describe(tmp_path))


def test_models(world: Any) -> None:
    mono, ensemble = facts(world.exp / "mono"), facts(world.exp / "ensemble")
    assert mono["kind"] == "acoustic model: GMM"
    assert (mono["parameters"], mono["senones"]) == ("50", "5 of 1 phones")
    assert ensemble["kind"] == "acoustic model: ensemble of DNNs"
    assert ensemble["members"] == ["../teacher.0", "../teacher.1"]
    assert ensemble["made by"].startswith("asrdistill train, ")


def test_lexicon_and_language_model(world: Any, tmp_path: Path) -> None:
    lexicon = facts(world.data / "lang")
    assert (lexicon["kind"], lexicon["words"], lexicon["phones"]) == ("lexicon", 5, "2 with silence (SIL)")
    folder = tmp_path / "lm"
    folder.mkdir()
    (folder / "lm.arpa").write_text("\\data\\\nngram 1=7\nngram 2=12\n\n\\1-grams:\n-1 a -1\n")
    for path in (folder, folder / "lm.arpa"):
        found = facts(path)
        assert found["kind"] == "language model of order 2 (ARPA)"
        assert (found["1-grams"], found["2-grams"]) == (7, 12)
    (folder / "lm.arpa").write_text("nothing")
    with refused("lm/lm.arpa"):
        describe(folder)


def test_measurements(world: Any) -> None:
    hypotheses = facts(world.exp / "decode/mono/dev")
    assert (hypotheses["kind"], hypotheses["utterances"], hypotheses["lm_weight"]) == ("hypotheses", 1, 8.0)
    assert facts(world.exp / "frames/ensemble/dev")["correct"] == 40
    world.json(world.exp / "tune/mono/tuned.json", {"lm_weight": 8, "grid": [[1, 2]]})
    assert facts(world.exp / "tune/mono") == {"kind": "decoding scales", "lm_weight": 8}


def test_any_other_made_folder(world: Any) -> None:
    world.mark(world.root / "download", "corpus", 0, 75, 80)
    (world.root / "download" / "queen.1c").write_text("")
    found = facts(world.root / "download")
    assert (found["kind"], found["holds"]) == ("folder that asrdistill made", "queen.1c")
    assert found["made by"].endswith("in 1 min 15 s")


@pytest.mark.parametrize("name", ["empty", "file"])
def test_other_path_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("hello\n")
    assert_refused(["info", tmp_path / name], name)


def test_info_starts_without_torch_and_numba(world: Any) -> None:
    code = f"import sys; from asrdistill.cli import main; main(['info', {str(world.exp / 'decode/mono/dev')!r}]); "
    done = subprocess.run([sys.executable, "-c", f"{code}print(*sys.modules)"], capture_output=True, text=True)
    assert not {"torch", "numba", "matplotlib", "rich"} & set(done.stdout.splitlines()[-1].split())


def test_missing_and_damaged(world: Any) -> None:
    with refused(world.root / "nowhere"):
        describe(world.root / "nowhere")
    world.json(world.exp / "mono" / "meta.json", {"kind": "gmm"})
    with refused("mono", "parameters"):
        describe(world.exp / "mono")


def test_command_prints_a_fact_a_line(world: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(world.exp / "teacher.1")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "kind         acoustic model: DNN"
    assert "seed         1" in lines


def test_trees_of_a_phone_can_be_read(tmp_path: Path) -> None:
    tree = {"left": "B D", "yes": 6, "no": {"right": "SIL", "yes": 7, "no": 8}}
    states = {"SIL": [0, 1, 2, 3, 4], "A": [5, tree, 9], "B": [10, 11, 12], "D": [13, 14, 15]}
    Senones(["SIL", "A", "B", "D"], states, np.full(16, -0.3)).write(tmp_path)
    assert phone_trees(tmp_path, "A").splitlines()[1:] == [
        "state 0",
        "  senone 5",
        "state 1",
        "  left one of B D?",
        "  yes senone 6",
        "  no  right one of SIL?",
        "      yes senone 7",
        "      no  senone 8",
        "state 2",
        "  senone 9",
    ]
    with refused("X", "SIL A B D"):
        phone_trees(tmp_path, "X")
