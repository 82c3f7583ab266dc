"""The guides of the documentation: every command and block is run, in order, on one small corpus of tones.

A letter is a chord. The first guide makes data, models and a recogniser; the others go on from there.
"""

import contextlib
import csv
import gzip
import importlib.util
import io
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from asrdistill.cli import main
from asrdistill.reader import read_json

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
RATE = 16000
WORDS = ("on", "off", "lamp", "door", "the", "kitchen", "open", "red")
MORE = {
    "words.txt": "kitchenlamp\tk i t c h e n l a m p\n",
    "phrases.txt": "lamp on\t3\n",
    "grammar.txt": "lamp on\ndoor off\n",
}
MORE |= {"more.txt": "open the kitchenlamp\nred door\n"}


def say(text: str, seed: int) -> np.ndarray:
    """float32 (N,) at 16 kHz: each letter is 0.09 s of two tones, in noise."""
    time = np.arange(round(0.09 * RATE)) / RATE
    letters = [
        sum(0.1 * np.sin(2 * np.pi * hertz * time) for hertz in (300 + 45 * (ord(c) - 97), 4300 - 110 * (ord(c) - 97)))
        if c.isalpha()
        else np.zeros(2 * len(time))
        for c in f" {text} "
    ]
    samples = np.concatenate(letters)
    return (samples + 0.003 * np.random.default_rng(seed).normal(size=len(samples))).astype(np.float32)


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Iterator[Path]:
    """A folder with corpus/metadata.csv and its audio, and small files that the guides name."""
    folder = tmp_path_factory.mktemp("guides")
    (folder / "corpus" / "wavs").mkdir(parents=True)
    rng = np.random.default_rng(0)
    with open(folder / "corpus" / "metadata.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("path", "text", "speaker"))
        for number in range(48):
            first, *rest = rng.choice(WORDS, size=3)
            name = f"s{number % 6}-{number}"
            soundfile.write(folder / "corpus" / "wavs" / f"{name}.wav", say(" ".join((first, *rest)), number), RATE)
            table.writerow((f"wavs/{name}.wav", f'"{first.capitalize()}",\n{" ".join(rest)}!', name[:2]))
    soundfile.write(folder / "speech.wav", say("the lamp on", 99), RATE)
    for name, text in MORE.items():
        (folder / name).write_text(text)
    before = Path.cwd()
    os.chdir(folder)
    yield folder
    os.chdir(before)


def blocks(page: str) -> list[tuple[str, str]]:
    """(language, text) of a page's blocks of code."""
    return re.findall(r"^```(\w+)\n(.*?)^```", (ROOT / "docs" / page).read_text(), re.MULTILINE | re.DOTALL)


def run_page(page: str, skip: str = "$^") -> str:
    """Run all blocks of a page in the current folder but for lines that match `skip`; returns what was printed.

    A block of YAML is written to the file that the text before it names.
    """
    printed, servers = [], []
    text = (ROOT / "docs" / page).read_text()
    for language, block in blocks(page):
        if language == "yaml":
            name = re.findall(r"`([\w/]+\.yaml)`", text[: text.index(block)])[-1]
            Path(name).write_text(block)
        elif language == "python":
            exec(compile(block, page, "exec"), {})
        else:
            for line in block.replace("\\\n", " ").splitlines():
                if not re.search(skip, line):
                    printed.append(run_line(line.split(" # ")[0], servers))
    for server in servers:
        server.terminate()
        server.wait(30)
    return "".join(printed)


def free_port(match: re.Match) -> str:
    """A port that nobody listens at, always the same for that of the page."""
    if match[2] not in PORTS:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            PORTS[match[2]] = free.getsockname()[1]
    return f"{match[1]}{PORTS[match[2]]}"


PORTS: dict[str, int] = {}


def run_line(line: str, servers: list) -> str:
    words = shlex.split(re.sub(r"(port |:|http\.server )(2700|8000|29511)\b", free_port, line))
    if words[0] == "pip":
        extra = re.search(r"asrdistill\[(\w+)\]", line)[1]
        assert f"\n{extra} =\n" in (ROOT / "setup.cfg").read_text()
    elif words[0] == "docker":
        for file in re.findall(r"-f (\S+)", line):
            assert (ROOT / file).is_file()
    elif words[0] in ("python3", "torchrun") or words[1] == "serve":
        module = {"python3": [], "torchrun": ["-m", "torch.distributed.run"], "asrdistill": ["-m", "asrdistill"]}[
            words[0]
        ]
        command = [sys.executable, *module, *words[1:]]
        if words[0] == "torchrun":
            done = subprocess.run(command, capture_output=True, text=True, timeout=600, env={**os.environ, **THREADS})
            assert done.returncode == 0, done.stderr[-3000:]
        else:
            servers.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
            wait_for(PORTS["8000" if words[0] == "python3" else "2700"])
    elif words[0] == "curl":
        if not shutil.which("curl"):
            pytest.skip("curl is not installed")
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout
    else:
        assert words[0] == "asrdistill", line
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = main(words[1:])
        assert status == 0, f"{line}\n{err.getvalue()}"
        return out.getvalue()
    return ""


THREADS = {"OMP_NUM_THREADS": "1"}


def wait_for(port: int) -> None:
    for _ in range(600):
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError(f"nobody listens at port {port}")


def words_of(recogniser: str, audio: str = "speech.wav") -> list[str]:
    import asrdistill

    return asrdistill.load(recogniser).transcribe(audio).words


@pytest.fixture(scope="module")
def made(world) -> SimpleNamespace:
    """The world after the first guide."""
    return SimpleNamespace(folder=world, printed=run_page("first-distillation.md"))


def test_first_distillation_makes_a_recogniser_that_knows_the_words(made) -> None:
    assert words_of("exp/student") == ["the", "lamp", "on"]
    assert "WER" in made.printed


def test_smaller_student_is_smaller_and_recognises(made) -> None:
    run_page("smaller-student.md")
    small, large = (read_json(Path(f"exp/{name}.0/meta.json"))["parameters"] for name in ("small", "student"))
    assert small < large / 2
    assert words_of("exp/int8") == ["the", "lamp", "on"]


def test_choosing_a_student_draws_size_and_error(made) -> None:
    if not Path("exp/small.0").exists():
        run_page("smaller-student.md")
    run_page("choosing-a-student.md")
    assert all(name in Path("exp/RESULTS.md").read_text() for name in ("small", "student"))
    assert Path("exp/results.png").stat().st_size > 1000


def test_added_words_are_recognised(made) -> None:
    soundfile.write("speech.wav", say("open the kitchenlamp", 98), RATE)
    assert "kitchenlamp" in run_page("add-words.md")
    assert "kitchenlamp" in words_of("exp/more")


def test_browser_and_server_give_the_words(made) -> None:
    pytest.importorskip("aiohttp")
    pytest.importorskip("ziglang")
    soundfile.write("speech.wav", say("the lamp on", 99), RATE)
    assert "the lamp on" in run_page("browser-and-server.md")


def test_networks_of_several_processes_are_trained(made) -> None:
    run_page("cluster.md", "$^" if importlib.util.find_spec("ray") else "--executor")
    assert all(Path(f"exp/teacher_{name}.0/model.safetensors").is_file() for name in ("gpu", "two", "nodes"))


def test_data_of_other_tools_become_data_directories(made) -> None:
    datasets, lhotse = pytest.importorskip("datasets"), pytest.importorskip("lhotse")
    rows = [{"audio": {"bytes": Path("speech.wav").read_bytes(), "path": None}, "text": "the lamp on"}]
    split = datasets.Dataset.from_list(rows).cast_column("audio", datasets.Audio(decode=False))
    datasets.DatasetDict(train=split, test=split).save_to_disk("saved")
    recording = lhotse.Recording.from_file("corpus/wavs/s0-0.wav")
    said = lhotse.SupervisionSegment("u", recording.id, 0.0, recording.duration, text="x")
    Path("manifests").mkdir()
    shutil.copy("corpus/wavs/s0-0.wav", "manifests")
    recording.sources[0].source = "s0-0.wav"
    recordings, supervisions = (
        lhotse.RecordingSet.from_recordings([recording]),
        lhotse.SupervisionSet.from_segments([said]),
    )
    recordings.to_file("manifests/recordings.jsonl")
    supervisions.to_file("manifests/supervisions.jsonl")
    recording.sources[0].source = str(Path("corpus/wavs/s0-0.wav").absolute())
    lhotse.CutSet.from_manifests(recordings, supervisions).to_file("cuts.jsonl.gz")
    run_page("data-in.md")
    assert Path("manifests_out/supervisions.jsonl").is_file()


def asrdistill(line: str) -> None:
    run_line(f"asrdistill {line}", [])


@pytest.fixture
def copied(made, tmp_path, monkeypatch) -> Path:
    """A copy of the world, whose folders a guide may make anew."""
    shutil.copytree(made.folder, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    return tmp_path / "copy"


def test_your_own_corpus_and_what_other_systems_made(copied) -> None:
    for name, text in {
        "novel.txt": "It was 2 o'clock.\n",
        "letters.txt": "Well!\n",
        "reference.txt": "u Œuvre, dit-il\n",
    }.items():
        Path(name).write_text(text)
    for old, new in {
        "all": "pieces",
        "data/train": "train",
        "data/dev": "one/train",
        "data/test": "other/train",
    }.items():
        (copied / new).parent.mkdir(exist_ok=True)
        asrdistill(f"data combine {old} {new}")
    asrdistill("convert alignment --to textgrid exp/ali/train mfa/train")
    asrdistill("convert feats data/fbank/train kaldi/feats.ark")
    write_posteriors("post")
    with gzip.open("lm.arpa.gz", "wb") as file:
        file.write(Path("data/lm/lm.arpa").read_bytes())
    run_page("your-own-corpus.md")
    assert Path("words.txt").read_text().splitlines() == ["it was two o'clock", "well"]
    assert Path("text").read_text() == "u œuvre dit il\n"
    assert all(Path(name, ".done").is_file() for name in ("both/train", "train_short", "sets", "exp/theirs"))


def write_posteriors(name: str) -> None:
    """NAME.ark and NAME.scp with any posteriors of the senones of an alignment from TextGrids."""
    import kaldiio

    from asrdistill.data.archive import FrameArchive
    from asrdistill.hmm.senones import Senones
    from asrdistill.lang.lexicon import Lang

    features, rng = FrameArchive(Path("data/fbank/train")), np.random.default_rng(0)
    senones = Senones.monophones(Lang.read(Path("data/lang"))).count
    with kaldiio.WriteHelper(f"ark,scp:{name}.ark,{name}.scp") as writer:
        for utterance in features.utterances:
            rows = rng.dirichlet(np.ones(senones), size=len(features[utterance]))
            writer(utterance, rows.astype(np.float32))


def test_features_of_kaldi_are_imported(copied) -> None:
    """Alignments of transition-ids, whose model Kaldi writes as text, are in tests/hmm."""
    asrdistill("convert feats data/fbank/train kaldi/data/train/feats.ark")
    run_page("kaldi.md", skip="--from kaldi|^ *--model|nnet train")
    asrdistill("nnet train data/mfcc/train exp/ali/train exp/of_kaldi.0 --epochs 1")


def test_notebook_distils_and_transcribes(tmp_path) -> None:
    """In a kernel of its own, in an empty folder; its commands are those of the guide."""
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    notebook = nbformat.read(ROOT / "docs/first-distillation.ipynb", as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    assert re.findall(r'^run\("(.*)"\)$', code, re.MULTILINE) == [
        line.removeprefix("asrdistill ")
        for language, block in blocks("first-distillation.md")
        if language == "sh"
        for line in block.splitlines()
    ]
    kernel = {"resources": {"metadata": {"path": str(tmp_path)}}, "timeout": 600}
    nbclient.NotebookClient(notebook, kernel_name="python3", **kernel).execute()
    assert notebook.cells[-1].outputs[-1].data["text/plain"] == "['the', 'lamp', 'on']"
