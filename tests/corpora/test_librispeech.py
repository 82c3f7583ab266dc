"""A small corpus in LibriSpeech's format: download from a flaky server, resume, prepare, damage."""

import gzip
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from asrdistill import fetch
from asrdistill.cli import main
from asrdistill.corpora.librispeech import CORPUS, MIRROR, read_parts
from asrdistill.data.directory import DataDirectory
from asrdistill.lang.dictionary import read_dictionary
from tests.recipes.flaky_server import FlakyServer
from tests.recipes.librispeech_corpus import make_corpus, pack, tone
from tests.refusals import assert_refused

PARTS = {
    "train-clean-5": [tone(100 + i % 3, "HE " * (i // 3) + "SAID", 1.0 + i / 10) for i in range(12)],
    "dev-clean-2": [tone(110 + i % 2, "O'CLOCK IT IS", 0.4 + i / 10) for i in range(45)],
}
FILES = {"lexicon": "A\tAH0\n", "lm-3-small": "\\data\\\n", "lm-text": "HE SAID\n" * 9}
ALL = [*PARTS, *FILES]


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch):
    monkeypatch.setattr(fetch, "PAUSE", 0.0)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    site = tmp_path_factory.mktemp("site")
    make_corpus(site, PARTS, FILES)
    return site


@pytest.fixture
def site(made, tmp_path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copytree(made, tmp_path / "site"))


def download(out: Path, site: Path, url: str, *parts: str) -> list[str]:
    table = str(site / "librispeech.tsv")
    return ["data", "download", "librispeech", str(out), "--mirror", url, "--table", table, "--parts", *(parts or ALL)]


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".done"
    }


def expected(site: Path) -> dict[str, bytes]:
    """What a whole download leaves: the corpus, its documents in each part as well, the files as they are."""
    files = {f"{CORPUS}/{name}": content for name, content in contents(site / CORPUS).items()}
    documents = [name for name in files if name.endswith(".TXT")]
    for part in PARTS:
        files |= {name.replace(CORPUS, f"{CORPUS}/{part}"): files[name] for name in documents}
    return files | {path.name: path.read_bytes() for path in (site / "11").iterdir()}


def prepared(source: Path, out: Path, *options: str) -> list[object]:
    return ["data", "prepare", "librispeech", source, out, *options]


def downloaded(out: Path, *options: str) -> list[object]:
    return ["data", "download", "librispeech", out, *options]


# the table


def test_the_table_has_all_parts_with_md5_of_openslr():
    parts = read_parts()
    speech = [name for name in parts if name.startswith(("dev", "test", "train"))]
    assert len(speech) == 9
    assert all(len(part.md5) == 32 and part.size for part in parts.values() if part.is_archive)
    assert not any(part.md5 for part in parts.values() if not part.is_archive)
    assert sum(parts[f"train-{name}"].size for name in ("clean-100", "clean-360", "other-500")) == 60_030_288_990
    assert MIRROR.startswith("https://")
    assert parts["lm-3-small"].file == "3-gram.pruned.3e-7.arpa.gz"


def test_bad_table_is_refused(tmp_path):
    (tmp_path / "t.tsv").write_text("part\tpath\tbytes\tmd5\ndev\t12/dev\tmany\t-\n")
    table = tmp_path / "t.tsv"
    assert_refused(downloaded(tmp_path, "--table", str(table), "--parts", "dev"), table, "line 2", "many")


# download


@pytest.mark.parametrize("seed", range(3))
def test_download_from_a_bad_server(site, tmp_path, seed):
    with FlakyServer(site, cut=0.6, ignore_range=0.3, busy=0.3, seed=seed) as server:
        assert main(download(tmp_path / "out", site, server.url)) == 0
        assert contents(tmp_path / "out") == expected(site)
        before = server.requests
        assert main(download(tmp_path / "out", site, server.url)) == 0
        assert server.requests == before


def test_further_part_keeps_the_others(site, tmp_path):
    with FlakyServer(site) as server:
        assert main(download(tmp_path / "out", site, server.url, "dev-clean-2")) == 0
        assert main(download(tmp_path / "out", site, server.url, "dev-clean-2", "lexicon")) == 0
    assert [sent.name for sent in server.sent] == ["31/dev-clean-2.tar.gz", "11/librispeech-lexicon.txt"]
    assert not list((tmp_path / "out").rglob("*.tar.gz"))


@pytest.mark.slow
def test_killed_download_is_resumed(site, tmp_path):
    argv = [sys.executable, "-m", "asrdistill", *download(tmp_path / "out", site, "URL")]
    size = sum(path.stat().st_size for path in site.rglob("*.tar.gz"))
    clock, kills = random.Random(0), 0
    with FlakyServer(site, pace=0.1) as server:
        argv[argv.index("URL")] = server.url
        while True:
            process = subprocess.Popen(argv, stderr=subprocess.PIPE)
            if kills < 5:  # each lives on for a moment once bytes have come
                wait_for_request(server, process)
                time.sleep(clock.uniform(0, 0.3))
                process.send_signal(signal.SIGKILL)
            if process.wait() == 0:
                break
            assert process.returncode == -signal.SIGKILL, process.stderr.read()
            kills += 1
    assert contents(tmp_path / "out") == expected(site)
    assert kills >= 2
    assert sum(server.bytes_of(f"31/{part}.tar.gz") for part in PARTS) < size + 2 * kills * (1 << 17)  # in flight


def wait_for_request(server: FlakyServer, process: subprocess.Popen) -> None:
    seen, end = server.requests, time.monotonic() + 30
    while server.requests == seen and process.poll() is None:
        assert time.monotonic() < end
        time.sleep(0.01)


def test_fetched_archive_is_not_fetched_again_after_a_kill(site, tmp_path, monkeypatch):
    with FlakyServer(site) as server:
        with monkeypatch.context() as patch:
            patch.setattr(fetch, "extract", lambda *_: (_ for _ in ()).throw(SystemExit))
            with pytest.raises(SystemExit):
                main(download(tmp_path / "out", site, server.url, "dev-clean-2"))
        assert main(download(tmp_path / "out", site, server.url, "dev-clean-2")) == 0
    assert len(server.sent) == 1


def test_wrong_md5_is_refused_and_other_parts_are_complete(site, tmp_path):
    archive = site / "31" / "dev-clean-2.tar.gz"
    archive.write_bytes(archive.read_bytes()[:-1] + b"!")
    with FlakyServer(site) as server:
        wrong = tmp_path / "out" / CORPUS / "dev-clean-2.tar.gz.wrong"
        assert_refused(download(tmp_path / "out", site, server.url), "/dev-clean-2.tar.gz", wrong)
    assert not (tmp_path / "out" / CORPUS / "dev-clean-2").exists()
    assert (tmp_path / "out" / CORPUS / "dev-clean-2.tar.gz.wrong").is_file()
    assert (tmp_path / "out" / CORPUS / "train-clean-5" / "SPEAKERS.TXT").is_file()
    assert (tmp_path / "out" / "librispeech-lexicon.txt").is_file()


def test_other_version_of_the_lexicon_is_refused(site, tmp_path):
    (site / "11" / "librispeech-lexicon.txt").write_text("A\tAH0\nB\tB IY1\n")
    with FlakyServer(site) as server:
        assert_refused(download(tmp_path / "out", site, server.url, "lexicon"), "/librispeech-lexicon.txt", 14, 6)


def test_full_disk_is_refused_before_the_download(site, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=300_000))
    with FlakyServer(site) as server:
        assert_refused(download(tmp_path / "out", site, server.url, *PARTS), *PARTS, "0.01 GB", tmp_path / "out")
    assert not server.sent


@pytest.mark.parametrize(("part", "size"), [("dev-clean-2", 60_000), ("lm-text", 20)])
def test_disk_filled_during_the_download_is_refused(site, tmp_path, part, size):
    """The kernel refuses to let files grow, as on a full disk; with room again the same command ends."""
    with FlakyServer(site) as server:
        argv = download(tmp_path / "out", site, server.url, part)
        script = f"import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size}))\n"
        script += "from asrdistill.cli import main; sys.exit(main(sys.argv[1:]))"
        done = subprocess.run([sys.executable, "-c", script, *argv], capture_output=True, text=True)
        assert done.returncode == 2, done.stderr
        assert "could not be" in done.stderr.splitlines()[-1]
        assert "File too large" in done.stderr.splitlines()[-1]
        assert main(argv) == 0
    assert server.sent[-1].start == size  # what had come is not fetched again


@pytest.mark.parametrize(
    ("extra", "names"),
    [
        ([], ["--parts", "dev-clean"]),
        (["--parts", "dev-clear"], ["dev-clear", "--parts", "dev-clean"]),
        (["--parts", "dev-clean", "--mirror", "here"], ["--mirror here"]),
        (["--parts", "dev-clean", "--table", "none"], ["none"]),
    ],
)
def test_bad_options_of_a_download_are_refused(tmp_path, extra, names):
    assert_refused(downloaded(tmp_path / "out", *extra), *names)


def test_parts_of_a_corpus_without_parts_are_refused(tmp_path):
    assert_refused(["data", "prepare", "timit", tmp_path, tmp_path / "out", "--parts", "x"], "--parts")


# prepare


def test_prepare_makes_a_data_directory_of_each_part(site, tmp_path):
    assert main(["data", "prepare", "librispeech", str(site), str(tmp_path / "data"), "--jobs", "2"]) == 0
    for part, speech in PARTS.items():
        data = DataDirectory.read(tmp_path / "data" / part)
        assert sorted(u.text for u in data) == sorted(s.text.lower() for s in speech)
        assert list(data.speakers) == sorted({str(s.reader) for s in speech})
        for utterance in data:
            assert utterance.id == f"{utterance.speaker}-{Path(utterance.audio).parent.name}-{utterance.id[-4:]}"
            assert len(utterance.samples(16000)) == round(utterance.duration * 16000)
        assert (tmp_path / "data" / part / "spk2gender").read_text().split()[:2] == [str(speech[0].reader), "f"]


def test_parts_are_chosen_and_other_folders_do_not_matter(site, tmp_path):
    argv = ["data", "prepare", "librispeech", str(site / CORPUS), str(tmp_path / "data"), "--parts", "dev-clean-2"]
    assert main(argv) == 0
    stamp = (tmp_path / "data" / ".done").stat().st_mtime_ns
    shutil.rmtree(site / CORPUS / "train-clean-5")
    assert main(argv) == 0
    assert (tmp_path / "data" / ".done").stat().st_mtime_ns == stamp
    assert [path.name for path in (tmp_path / "data").iterdir() if path.is_dir()] == ["dev-clean-2"]


def spoil(site: Path, what: str) -> Path:
    part = site / CORPUS / "train-clean-5"
    chapter = part / "101" / "101000"
    transcripts, flac = chapter / "101-101000.trans.txt", chapter / "101-101000-0002.flac"
    lines = transcripts.read_text().splitlines(keepends=True)
    if what == "no transcripts":
        transcripts.unlink()
    elif what == "empty":
        transcripts.write_text("")
    elif what == "no audio":
        flac.unlink()
    elif what == "no transcript":
        transcripts.write_text("".join(lines[:2] + lines[3:]))
    elif what == "twice":
        transcripts.write_text("".join([*lines, lines[2]]))
    elif what == "foreign":
        transcripts.write_text("".join([*lines, "102-1-0000 HE SAID\n"]))
    elif what == "lower":
        transcripts.write_text("".join([*lines[:2], lines[2].lower(), *lines[3:]]))
    elif what == "digits":
        transcripts.write_text("".join([*lines[:2], lines[2].replace("SAID", "24 MR."), *lines[3:]]))
    elif what == "cut":
        flac.write_bytes(flac.read_bytes()[:-5000])
    elif what == "unknown reader":
        shutil.copytree(part / "101", part / "999")
    elif what == "no readers":
        (part.parent / "SPEAKERS.TXT").unlink()
    elif what == "wrong readers":
        (part.parent / "SPEAKERS.TXT").write_text("101 | X | train | 1.0 | R\n")
    elif what == "nothing read":
        (part / "999").mkdir()
        with open(part.parent / "SPEAKERS.TXT", "a") as readers:
            readers.write("999 | F | train-clean-5 | 1.0 | R\n")
    elif what.startswith("first bytes"):
        flac.write_bytes(flac.read_bytes()[: int(what.split()[-1])])
    elif what == "odd folder":
        (part / "101" / "old").mkdir()
    return flac


@pytest.mark.parametrize(
    ("what", "names"),
    [
        ("no transcripts", ["/101/101000", "101-101000.trans.txt"]),
        ("empty", ["/101-101000.trans.txt", "empty"]),
        ("no audio", ["/101-101000.trans.txt", "101-101000-0002", "audio"]),
        ("no transcript", ["/101-101000.trans.txt", "101-101000-0002", "audio"]),
        ("twice", ["line 5", "'101-101000-0002"]),
        ("foreign", ["line 5", "'102-1-0000"]),
        ("lower", ["line 3", "'101-101000-0002"]),
        ("digits", ["line 3", "'101-101000-0002"]),
        ("cut", ["101-101000-0002.flac"]),
        ("first bytes 0", ["101-101000-0002.flac"]),
        ("first bytes 30", ["101-101000-0002.flac"]),
        ("first bytes 9000", ["101-101000-0002.flac"]),
        ("nothing read", ["train-clean-5/999", "chapter"]),
        ("unknown reader", ["train-clean-5", "reader 999", "SPEAKERS.TXT"]),
        ("no readers", ["/SPEAKERS.TXT"]),
        ("wrong readers", ["/SPEAKERS.TXT", "line 1", "'101 | X"]),
        ("odd folder", ["/101/old"]),
    ],
)
def test_damaged_corpus_is_refused(site, tmp_path, what, names):
    spoil(site, what)
    assert_refused(prepared(site, tmp_path / "data", "--jobs", "1"), *names)
    assert not (tmp_path / "data").exists()


def test_hidden_files_and_line_ends_of_other_systems_change_nothing(site, tmp_path):
    assert main([str(word) for word in prepared(site, tmp_path / "before")]) == 0
    for path in [path for path in (site / CORPUS).rglob("*") if path.suffix in (".flac", ".txt", ".TXT")]:
        path.with_name(f"._{path.name}").write_bytes(b"\0\5\26\7")
        (path.parent / ".AppleDouble").mkdir(exist_ok=True)
        if path.suffix != ".flac":
            path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert main([str(word) for word in prepared(site, tmp_path / "after")]) == 0
    before, after = (contents(tmp_path / name) for name in ("before", "after"))
    assert before == after


def test_missing_corpus_parts_and_minutes_are_refused(site, tmp_path):
    (tmp_path / "empty").mkdir()
    out = tmp_path / "data"
    for folder in (tmp_path / "none", tmp_path / "empty"):
        assert_refused(prepared(folder, out), folder)
    assert_refused(prepared(site, out, "--parts", "dev-clean"), "dev-clean", "dev-clean-2")
    (site / CORPUS / "dev-clean").mkdir()
    assert_refused(prepared(site, out, "--parts", "dev-clean"), "dev-clean", "dev-clean-2")


LEXICON = "A\tAH0\nA\tEY1\nA''S EY1 Z\nREAD  R EH1 D\nREAD  R IY1 D\nREAD  R IY0 D\n"  # with tabs and with blanks


def test_lexicon_is_in_lower_case_without_stress(site, tmp_path):
    (site / "librispeech-lexicon.txt").write_text(LEXICON)
    argv = ["data", "prepare", "librispeech", str(site), str(tmp_path / "data"), "--parts", "dev-clean-2", "lexicon"]
    assert main(argv) == 0
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == [".done", "dev-clean-2", "lexicon.txt"]
    assert read_dictionary(tmp_path / "data" / "lexicon.txt") == {
        "a": [("AH",), ("EY",)],
        "a''s": [("EY", "Z")],
        "read": [("R", "EH", "D"), ("R", "IY", "D")],
    }
    (site / "librispeech-lexicon.txt").write_text(LEXICON + "SEA  S IY1\n")
    assert main(argv) == 0
    assert "sea" in read_dictionary(tmp_path / "data" / "lexicon.txt")


@pytest.mark.parametrize("line", ["said\tS EH1 D", "SAID", ""])
def test_bad_lexicon_is_refused(site, tmp_path, line):
    (site / "librispeech-lexicon.txt").write_text(LEXICON + line + "\n")
    command = prepared(site, tmp_path / "data", "--parts", "lexicon")
    assert_refused(command, site / "librispeech-lexicon.txt", "line 7", f"'{line}'")


def test_missing_lexicon_is_refused(site, tmp_path):
    command = prepared(site, tmp_path / "data", "--parts", "lexicon")
    assert_refused(command, "librispeech-lexicon.txt", "dev-clean-2", "train-clean-5")


# the corpus itself


def test_the_archives_are_the_same_bytes_each_time(site):
    packed = pack(site / CORPUS, "dev-clean-2")
    assert packed == (site / "31" / "dev-clean-2.tar.gz").read_bytes()
    assert gzip.decompress((site / "11" / "librispeech-lm-norm.txt.gz").read_bytes()) == FILES["lm-text"].encode()
