"""recipes/librispeech in its smallest form: from a bad server to WER and a student that transcribes, mini and full.

Both run at once. Where the folder LIBRISPEECH_SAMPLE is there (without that variable shared/data/librispeech beside the
project), --mini gets its real books and --hours tones; elsewhere both get the speech of amazon_queen if it is there or
can be fetched, else tones.
"""

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

import asrdistill
from asrdistill.data.archive import FrameArchive
from asrdistill.data.directory import DataDirectory, read_table
from asrdistill.lang.lexicon import LINK
from asrdistill.results.plan import Results, read_results
from asrdistill.scoring.transcripts import read_vocabulary
from asrdistill.scoring.wer import read_transcripts
from tests.recipes.flaky_server import FlakyServer
from tests.recipes.librispeech_site import (
    FULL,
    MINI,
    RECIPE,
    SAMPLE,
    Site,
    book_site,
    make_site,
    queen_speech,
    small_conf,
    spoken_phones,
)

pytestmark = pytest.mark.slow

GMMS = {"mono", "tri", "lda_mllt", "sat"}
SYSTEMS = GMMS | {"single", "ensemble", "student"}
RESCORED = {f"{name}_rescored" for name in ("sat", "single", "ensemble", "student")}
READ = {"student_words", "student_subwords"}  # two vocabularies of the train text
STAGES = 19


@dataclass(frozen=True)
class Run:
    """A run of the recipe: its folders, what it printed, where it fetched from, the parts that it should have."""

    command: list[str]
    folder: Path
    printed: str
    site: Site
    parts: tuple[str, ...]

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def exp(self) -> Path:
        return self.folder / "exp"

    @property
    def results(self) -> Results:
        return read_results(self.exp / "results.json")


@pytest.fixture(scope="module")
def sites(tmp_path_factory) -> dict[str, Site]:
    folder = tmp_path_factory.mktemp("openslr")
    if SAMPLE.is_dir():
        return {"mini": book_site(folder / "books", SAMPLE), "full": make_site(folder / "tones", spoken_phones())}
    return dict.fromkeys(("mini", "full"), make_site(folder / "site", queen_speech(folder) or spoken_phones()))


@pytest.fixture(scope="module")
def servers(sites) -> Iterator[dict[str, FlakyServer]]:
    with ExitStack() as stack:
        bad = {"cut": 0.5, "ignore_range": 0.2, "busy": 0.2}
        yield {size: stack.enter_context(FlakyServer(site.folder, **bad)) for size, site in sites.items()}


@pytest.fixture(scope="module")
def runs(tmp_path_factory, sites, servers) -> dict[str, Run]:
    """The recipe's two sizes, side by side; the books take longer."""
    started = {}
    for size, parts, jobs in (("mini", MINI, 2 if SAMPLE.is_dir() else 1), ("full", FULL, 1)):
        folder, site = tmp_path_factory.mktemp(size), sites[size]
        command = [
            *(str(RECIPE / "run.sh"), "--mirror", servers[size].url, "--table", str(site.table)),
            *("--conf", str(small_conf(folder / "conf", size, site.sizes)), "--jobs", str(jobs), "--teachers", "2"),
            *("--data", str(folder / "data"), "--exp", str(folder / "exp"), *(["--mini"] if size == "mini" else [])),
        ]
        with open(folder / "log", "w") as log:
            process = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, env={**os.environ, "TERM": "dumb"}
            )
        started[size] = (process, command, folder, site, parts)
    runs = {}
    for process, *_ in started.values():
        process.wait()
    for size, (process, command, folder, site, parts) in started.items():
        printed = (folder / "log").read_text()
        assert process.returncode == 0, printed[-5000:]
        runs[size] = Run(command, folder, printed, site, parts)
    return runs


@pytest.fixture(params=["mini", "full"])
def run(request, runs) -> Run:
    return runs[request.param]


def test_every_stage_was_done(run):
    for number in range(1, STAGES + 1):
        assert f"== stage {number}/{STAGES}: " in run.printed


def test_what_is_needed_was_fetched_and_no_more(runs):
    for run, other in ((runs["mini"], "train-clean-100"), (runs["full"], "train-clean-5")):
        corpus = run.data / "download"
        assert {path.name for path in (corpus / "LibriSpeech").iterdir() if path.is_dir()} == set(run.parts)
        assert not (corpus / "LibriSpeech" / other).exists()
    assert (runs["full"].data / "download/4-gram.arpa.gz").is_file()
    assert not (runs["mini"].data / "download/4-gram.arpa.gz").exists()


def test_data_directories_are_as_kaldi_wants_them(run):
    (train,) = (run.data / "rung").iterdir()
    folders = [train, *(run.data / "subset").iterdir(), *(run.data / "corpus" / part for part in run.parts)]
    for folder in folders:
        tables = {name: read_table(folder / name) for name in ("wav.scp", "text", "utt2spk", "utt2dur")}
        assert len({tuple(table) for table in tables.values()}) == 1
        assert read_table(folder / "spk2utt").keys() == read_table(folder / "spk2gender").keys()
    assert len(DataDirectory.read(train)) == run.site.utterances[run.parts[0]]
    seconds = sorted(utterance.duration for utterance in DataDirectory.read(train))
    short = DataDirectory.read(run.data / "subset/mono")
    assert sorted(utterance.duration for utterance in short) == seconds[: run.site.sizes["mono_set"]["shortest"]]
    assert len(DataDirectory.read(run.data / "subset/tri")) == run.site.sizes["tri_set"]["utterances"]


def test_networks_learn_the_alignment_of_the_last_triphones(run):
    train = FrameArchive(run.exp / "ali/low/train")
    assert len(train) > 0.95 * len(FrameArchive(run.data / "fbank/train"))
    if "train-clean-5" in run.parts:
        assert len(FrameArchive(run.exp / "ali/low/train_copies")) == 3 * len(train)


def test_results_have_every_system_and_set(run):
    results, sets = run.results, run.parts[1:]
    assert results.plan.systems.keys() == SYSTEMS | RESCORED | READ
    assert results.plan.sets == list(sets)
    for name in results.plan.systems:
        decoded = [part for part in sets if results.table.values(name, "wer", part)]
        assert decoded == list(sets[:1] if name in ("mono", "tri") else sets)
    assert not results.table.systems("frame_accuracy")  # the networks learn sequences
    stages = results.table.systems("stage_seconds")
    assert len(stages) == STAGES - 1  # the student is exported after the report
    assert "RESULTS.md" in {path.name for path in run.exp.iterdir()}
    assert (run.exp / "results.png").read_bytes()[:4] == b"\x89PNG"


def test_the_student_recognises_words(run):
    table, sets, measures = run.results.table, run.parts[1:], run.site.measures

    def wrong(name: str) -> float:
        decoded = [part for part in sets if table.values(name, "wer", part)]
        return sum(table.mean(name, key, *decoded) for key in measures)

    for name, most in run.site.most.items():
        assert wrong(name) <= most, name
    for name in ("student", "ensemble"):  # both passes together: the ensemble's scales are tuned on 32 words
        assert (wrong(name) + wrong(f"{name}_rescored")) / 2 <= 65, name
    for name in ("student", "ensemble"):  # the larger language model is the better one
        assert table.mean(f"{name}_rescored", "wer", *sets) <= table.mean(name, "wer", *sets)


def test_words_that_the_text_lacks_are_counted_for_both_vocabularies(run):
    """None of them is right where they cannot be spelled."""
    closed, opened = (read_vocabulary(run.data / "read" / units / "words.txt") for units in ("words", "subwords"))
    assert closed < opened
    assert all(LINK in piece for piece in opened - closed)
    for part in run.parts[1:]:
        said = read_transcripts(run.data / "corpus" / part / "text")
        lacking = sum(word not in closed for words in said.values() for word in words)
        assert f"words outside the vocabulary: {lacking} of {lacking} wrong" in run.printed
        for units in ("words", "subwords"):
            heard = read_transcripts(run.exp / units / "student.0" / part / "hyp.txt")
            assert heard.keys() == said.keys()
            assert not any(LINK in word for words in heard.values() for word in words)


def test_the_exported_student_transcribes(run):
    heard = run.printed.strip().splitlines()[-1]
    (path,) = re.findall(r"^\$ asrdistill transcribe \S+ (\S+)", (run.exp / "log/19-export.log").read_text(), re.M)
    said = DataDirectory.read(run.data / "corpus" / run.parts[-1])
    (utterance,) = (one for one in said if one.audio == path)
    recogniser = asrdistill.load(run.exp / "student")
    frames = recogniser.front.frames(utterance.samples(recogniser.front.rate))  # less a running mean, not the speaker's
    assert heard.split() == recogniser.decoder.decode(recogniser.scorer.loglikes(frames)).words


def test_a_second_run_fetches_nothing(runs, servers):
    before = servers["mini"].requests
    done = subprocess.run([*runs["mini"].command, "--stop-stage", "2"], capture_output=True, text=True)
    assert done.returncode == 0
    assert servers["mini"].requests == before
    assert "done in" not in done.stderr
