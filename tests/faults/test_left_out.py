"""One bad utterance among many is named, counted and left out by every command, those that come later included."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from asrdistill.cli import main
from asrdistill.data.archive import FrameArchive
from asrdistill.data.directory import DataDirectory, Utterance
from asrdistill.files import write_json
from asrdistill.reader import read_json
from tests.export.test_recogniser import TEXTS
from tests.refusals import assert_refused

COPIES = 10
COMMANDS = """
feats cepstra fbank data cepstra
gmm mono cepstra data lang mono --iterations 2 --gaussians 30
ali make mono cepstra data lang ali
feats fmllr mono cepstra ali data fmllr
feats paste fbank cepstra pasted
nnet evaluate model fbank given frames
distill targets model fbank targets --keep 4 --temperatures 1 2
decode run model fbank lang lm decoded
"""


@pytest.fixture
def many(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A world of 40 utterances, their alignment `given`, and filterbanks without w0-u3, whose audio is bad."""
    here = tmp_path / "many"
    shutil.copytree(world, here)
    monkeypatch.chdir(here)
    for name in ("data", "fbank", "cepstra", "mono", "ali"):
        shutil.rmtree(name)
    names = {f"w{n}-{utterance}": utterance for n in range(COPIES) for utterance in TEXTS}
    utterances = []
    for name, utterance in names.items():
        shutil.copyfile(f"{utterance}.wav", f"{name}.wav")
        utterances.append(Utterance(name, str(here / f"{name}.wav"), name[:2], TEXTS[utterance]))
    (here / "data").mkdir()
    DataDirectory(utterances).write(here / "data")
    run("feats fbank data whole --bins 20 --low 60 --high 3800")
    run("ali make model whole data lang given")
    (here / "w0-u3.wav").write_bytes(b"")
    run("feats fbank data fbank --bins 20 --low 60 --high 3800")
    return here


def run(line: str) -> None:
    jobs = [] if "feats paste" in line or "nnet train" in line else ["--jobs", "1"]
    assert main([*line.split(), *jobs]) == 0, line


def held(folder: str) -> set[str]:
    """The utterances that a folder is of."""
    if folder == "decoded":
        return {line.split()[0] for line in Path("decoded/hyp.txt").read_text().splitlines()}
    return set(FrameArchive(Path(folder)))


@pytest.mark.slow
def test_missing_and_damaged_utterances_are_left_out_by_all_that_follows(many, caplog):
    names = {f"w{n}-{utterance}" for n in range(COPIES) for utterance in TEXTS}
    assert held("fbank") == names - {"w0-u3"}
    assert any("w0-u3.wav" in record.getMessage() for record in caplog.get_records("setup"))
    archive = FrameArchive(Path("fbank"))
    shard, first, _, _ = archive._place("w5-u2")
    frames = np.load(f"fbank/frames.{shard}.npy", mmap_mode="r+")
    before = frames[first, 0].copy()
    frames[first, 0] += 1
    frames.flush()
    for line in COMMANDS.strip().splitlines():
        caplog.clear()
        run(line)
        if line.startswith("feats cepstra"):
            assert "w5-u2" in caplog.text
            meta = read_json(Path("cepstra/meta.json"))
            write_json(Path("cepstra/meta.json"), meta | {"feature_hash": archive.hash})  # as of an encoder
    for folder in ("cepstra", "ali", "fmllr", "pasted", "targets", "decoded"):
        assert held(folder) == names - {"w0-u3", "w5-u2"}, folder
    assert "w5-u2" in caplog.text
    frames[first, 0] = before
    frames.flush()
    run("nnet train fbank given student --soft-targets targets --config train.yaml --epochs 1")
    assert "w0-u3" in caplog.text


LINES = ["feats cepstra fbank data x", "nnet evaluate model fbank given x", "ali make model fbank data lang x"]


@pytest.mark.parametrize("line", LINES)
def test_more_than_the_limit_are_refused(many, line):
    assert_refused([*line.split(), "--max-left-out", "1"], "w0-u3", "--max-left-out")
