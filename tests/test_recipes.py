"""The recipes' scripts: options, --dry-run, logs, locks. CI runs amazon_queen for real."""

import fcntl
import importlib
import os
import re
import shlex
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from asrdistill.cli import find
from asrdistill.config import resolve
from asrdistill.reader import read_yaml

ROOT = Path(__file__).resolve().parents[1]
NEEDED = {"own_voice": ("--audio", "voices"), "timit": ("--timit", "TIMIT")}
RECIPES = sorted(path.parent.name for path in ROOT.glob("recipes/*/run.sh"))
FORMS = [
    *((name, ()) for name in RECIPES),
    ("amazon_queen", ("--small", "--open", "--seeds", "2", "--queen", "queen.1c")),
    ("amazon_queen_paper", ("--quick", "--seeds", "1")),
    ("amazon_queen_paper", ("--small",)),
    ("amazon_queen_whisper", ("--quick", "--seeds", "1")),
    ("librispeech", ("--mini", "--mirror", "http://here", "--table", "t.tsv")),
    ("librispeech", ("--hours", "960", "--paper")),
    ("librispeech", ("--hours", "460", "--lm-text", __file__)),
    ("librispeech", ("--lm-text", __file__, __file__, "--mini")),
    ("mnist", ("--digits", "--epochs", "1")),
    ("own_voice", ("--small", "--lexicon", "graphemes", "--transcripts", __file__, "--ref", __file__)),
]


def recipe(name: str, *options: str, root: Path = ROOT, **kwargs) -> subprocess.CompletedProcess:
    command = [root / "recipes" / name / "run.sh", *NEEDED.get(name, ()), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, **kwargs)


def commands(name: str, *options: str, **kwargs) -> list[list[str]]:
    """The commands that --dry-run prints, as words."""
    done = recipe(name, "--dry-run", "--jobs", "2", *options, **kwargs)
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line for line in done.stdout.splitlines() if line and not line.startswith(("#", "export "))]
    return [shlex.split(line) for line in lines]


@pytest.fixture
def project(tmp_path) -> Path:
    """A copy of the recipes in which asrdistill is a stub: it writes to both streams, and fails at $FAIL."""
    root = tmp_path / "project"
    shutil.copytree(ROOT / "recipes", root / "recipes", ignore=shutil.ignore_patterns("data", "exp", "*.png"))
    stub = """#!/bin/sh
case "$*" in *"$SLOW"*) sleep 60 ;; esac
echo "said $*"; echo "warned $1" >&2
case "$*" in *"$FAIL"*) exit 3 ;; esac
"""
    for program, text in {"tools/install.sh": "#!/bin/sh\n", ".venv/bin/asrdistill": stub}.items():
        (root / program).parent.mkdir(parents=True, exist_ok=True)
        (root / program).write_text(text)
        (root / program).chmod(0o755)
    return root


def environment(slow: str = "none", fail: str = "none") -> dict[str, str]:
    return {**os.environ, "SLOW": slow, "FAIL": fail}


@pytest.mark.parametrize("name", RECIPES)
def test_help_has_every_option_and_stage(name):
    done = recipe(name, "--help")
    text = (ROOT / "recipes" / name / "run.sh").read_text()
    assert done.returncode == 0
    numbers = [int(number) for number in re.findall(r"^if stage (\d+) ", text, re.MULTILINE)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(re.findall(r"^ {2,3}\d+  ", done.stdout, re.MULTILINE)) == len(numbers)
    for option in (*re.findall(r"^#   (--[a-z-]+)", text, re.MULTILINE), "--stop-stage", "--dry-run"):
        assert re.search(rf"^  {option} ", done.stdout, re.MULTILINE)


@pytest.mark.parametrize(
    ("name", "options", "named"),
    [
        ("amazon_queen", ["--stages", "3"], ["--stages", "--stage ", "--small"]),
        ("amazon_queen", ["--paper"], ["--paper"]),
        ("amazon_queen", ["stage"], ["stage"]),
        ("amazon_queen", ["--stage"], ["--stage"]),
        ("amazon_queen", ["--stage", "14"], ["12", "14"]),
        ("amazon_queen", ["--stop-stage", "0"], ["--stop-stage", "0"]),
        ("amazon_queen", ["--stage", "5", "--stop-stage", "3"], ["--stage 5", "--stop-stage 3"]),
        ("amazon_queen", ["--seeds", "many"], ["--seeds", "many"]),
        ("amazon_queen", ["--seeds", "0"], ["--seeds"]),
        ("amazon_queen", ["--jobs", "0", "--dry-run"], ["--jobs"]),
        ("librispeech", ["--hours", "200"], ["--hours", "200"]),
        ("librispeech", ["--paper", "--mini"], ["--paper", "--mini"]),
        ("librispeech", ["--teachers", "0"], ["--teachers"]),
        ("librispeech", ["--lm-text", "missing.txt"], ["missing.txt"]),
        ("librispeech", ["--lm-text", "--mini"], ["--lm-text"]),
        ("timit", ["--timit", ""], ["--timit"]),
        ("own_voice", ["--audio", ""], ["--audio"]),
        ("own_voice", ["--text", "missing.txt"], ["missing.txt"]),
        ("own_voice", ["--lexicon", "letters"], ["--lexicon", "letters"]),
    ],
)
def test_a_mistake_is_refused_in_one_line(name, options, named):
    done = recipe(name, *options)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert all(part in done.stderr for part in named)


@pytest.mark.parametrize(("name", "options"), FORMS)
def test_printed_commands_parse(tmp_path, name, options):
    """Of asrdistill by its own parser, of local scripts by theirs, with configurations that are there."""
    folders = ("--data", str(tmp_path / "data"), "--exp", str(tmp_path / "exp"))
    printed = commands(name, *options, *folders)
    assert len(printed) > 10
    for words in printed:
        if words[0] in ("asrdistill", "nice", "torchrun"):
            words = words[words.index("asrdistill") + 1 :]
            command, rest = find(words)
            args = command.parser().parse(rest)
            if cls := command.options_class():
                resolve(cls, args)  # of --config too
            elif config := getattr(args, "config", None):
                assert read_yaml(config)
        elif words[0] == "python":
            assert Path(words[1]).is_file()
            command, rest = importlib.import_module(Path(words[1]).stem).group.find(words[2:])
            command.parser().parse(rest)
    assert not list(tmp_path.iterdir())  # nothing was made


@pytest.mark.parametrize("name", RECIPES)
def test_odd_paths_are_quoted(tmp_path, name):
    """What --dry-run prints can be pasted: bash sees each path as one word."""
    folder = tmp_path / 'o\'dd "data" & $more'
    done = recipe(name, "--dry-run", "--data", f"{folder}/data", "--exp", f"{folder}/exp")
    show = 'asrdistill() { printf \'%s\\n\' "$@"; }; python() { asrdistill "$@"; }; torchrun() { asrdistill "$@"; }\n'
    pasted = subprocess.run(["bash"], input=show + done.stdout, capture_output=True, text=True, check=True)
    words = pasted.stdout.splitlines()
    assert sum(word.startswith(f"{folder}/") for word in words) > 20
    assert not {"data&", "&", "$more/data", "$more/exp"} & set(words)


def test_relative_folders_are_those_of_the_caller(tmp_path):
    printed = commands("amazon_queen", "--data", "here", "--stage", "2", cwd=tmp_path)
    assert any(f"{tmp_path}/here/corpus" in words for words in printed)


def test_output_goes_to_the_screen_and_to_the_stages_log(tmp_path, project):
    exp = tmp_path / "a b's"
    done = recipe(
        "amazon_queen", "--stage", "9", "--stop-stage", "9", "--exp", str(exp), root=project, env=environment()
    )
    assert done.returncode == 0
    log = (exp / "log/09-teachers.log").read_text()
    for line in ("said nnet train", "warned nnet", "$ asrdistill nnet train"):
        assert line in log
    assert "said nnet train" in done.stdout
    assert "warned nnet" in done.stderr


def test_a_failed_command_ends_the_recipe_with_its_status(tmp_path, project):
    folders = ("--exp", str(tmp_path / "exp"), "--data", str(tmp_path / "data"))
    done = recipe("amazon_queen", "--stage", "5", *folders, root=project, env=environment(fail="ali make"))
    assert done.returncode == 3
    assert "pron-probs" not in done.stdout


@pytest.mark.parametrize(("slow", "fail"), [("nnet train", "decode tune"), ("none", "nnet train")])
def test_a_failure_beside_a_command_in_the_background_ends_both(tmp_path, project, slow, fail):
    start, folders = time.monotonic(), ("--exp", str(tmp_path / "exp"), "--data", str(tmp_path / "data"))
    done = recipe("amazon_queen", "--stage", "10", *folders, root=project, env=environment(slow, fail))
    assert done.returncode == 3
    assert "stage 11" not in done.stdout
    assert time.monotonic() - start < 30


def test_two_runs_on_one_folder_are_refused(tmp_path, project):
    exp = tmp_path / "exp"
    exp.mkdir()
    with open(exp / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = recipe("amazon_queen", "--stage", "10", "--exp", str(exp), root=project, env=environment())
    assert done.returncode == 2
    assert str(exp) in done.stderr
    assert "said" not in done.stdout


def test_a_stage_without_the_one_before_is_refused(tmp_path):
    done = recipe("amazon_queen", "--stage", "11", "--data", str(tmp_path / "data"), "--exp", str(tmp_path / "exp"))
    assert done.returncode == 2
    assert "corpus/dev" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("options", "sets"),
    [([], ["dev-clean-2", "test-clean"]), (["--sets", "dev-clean test-other"], ["dev-clean", "test-other"])],
)
def test_sets_of_librispeech_are_those_of_mini_or_chosen(options, sets):
    printed = commands("librispeech", "--mini", *options)
    (fetched,) = (words for words in printed if words[1:3] == ["data", "download"])
    assert fetched[fetched.index("--parts") + 1 :][:3] == ["train-clean-5", *sets]
    for words in printed:
        if "--sets" in words and "mono" not in " ".join(words) and "/tri" not in " ".join(words):
            assert words[words.index("--sets") + 1 :][:2] == sets
        if words[1:3] == ["decode", "tune"]:
            assert words[4].endswith(f"/{sets[0]}")
    assert printed[-3][1] == "report"


@pytest.mark.parametrize("gpus", [0, 8])
def test_networks_of_the_papers_size_are_trained_on_all_gpus(tmp_path, gpus):
    smi = tmp_path / "nvidia-smi"
    smi.write_text("#!/bin/sh\n" + "echo GPU\n" * gpus)
    smi.chmod(0o755)
    options = ("--paper", "--hours", "460", "--teachers", "3", "--seeds", "2", "--exp", str(tmp_path / "exp"))
    printed = commands("librispeech", *options, env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"})
    networks = [words for words in printed if "train" in words and "nnet" in words]
    torchrun = ["torchrun", "--standalone", "--nproc-per-node", str(gpus), "-m"] if gpus else []
    for words, seeds in zip(networks, (["0", "1", "2"], ["0", "1"]), strict=True):
        assert words[: len(torchrun) + 3] == [*torchrun, "asrdistill", "nnet", "train"]
        assert words[words.index("--seeds") + 1 :][: len(seeds) + 1] == [*seeds, "--config"]
        assert words[words.index("--config") + 1].endswith("conf/paper.yaml")
    (last,) = (words for words in printed if "--leaves" in words)
    assert str(tmp_path / "exp/sat") in last


def test_language_models_of_own_text_are_trained_instead_of_fetched(tmp_path):
    texts = [tmp_path / name for name in ("a book.txt", "b.txt.xz", "c.txt")]
    for path in texts:
        path.touch()
    options = ("--mini", "--lm-text", str(texts[0]), str(texts[1]), "--seeds", "1", "--lm-text", str(texts[2]))
    printed = commands("librispeech", *options, "--data", str(tmp_path / "data"))
    (fetched,) = (words for words in printed if "download" in words)
    assert {"lexicon", "dev-clean-2"} <= set(fetched)
    assert not any(word.startswith("lm-") for word in fetched)
    assert not any(words[1:3] == ["convert", "lm"] for words in printed)
    trained = [words for words in printed if words[1:3] == ["lang", "lm"] and "--config" in words]
    assert [words[4] for words in trained] == [f"{tmp_path}/data/lm", f"{tmp_path}/data/lm_large"]
    for words in trained:
        first = words.index("--text") + 1
        assert words[first : first + 4] == [*map(str, texts), "--config"]
        assert f"{tmp_path}/data/corpus/dev-clean-2" in words[words.index("--test") + 1 :]
    sizes = [read_yaml(words[words.index("--config") + 1])["ngrams"] for words in trained]
    assert sizes == sorted(sizes)


def test_only_language_models_that_the_corpus_folder_lacks_are_trained(tmp_path):
    small, text = tmp_path / "3-gram.pruned.3e-7.arpa.gz", tmp_path / "text"
    small.touch()
    text.touch()
    folders = ("--corpus", str(tmp_path), "--data", f"{tmp_path}/data")
    printed = commands("librispeech", "--mini", "--lm-text", str(text), *folders)
    (converted,) = (words for words in printed if words[1:3] == ["convert", "lm"])
    assert converted[3:5] == [str(small), f"{tmp_path}/data/lm"]
    trained = [words for words in printed if words[1:3] == ["lang", "lm"] and "--config" in words]
    assert [words[4] for words in trained] == [f"{tmp_path}/data/lm_large"]


def test_own_voice_in_a_language_without_a_dictionary(tmp_path):
    text = tmp_path / "more.txt"
    text.write_text("et cetera")
    printed = commands("own_voice", "--language", "fr", "--whisper", "base", "--text", str(text), "--data", "/d")
    by_name = {" ".join(words[1:3]): words for words in printed}
    assert "lang g2p" not in by_name
    assert by_name["lang build"][-3:] == ["--graphemes", "--text", "/d/text"]
    assert {"base", "fr"} <= set(by_name["pseudo-label run"])
    assert sum("whisper:base@2+0.5" in words for words in printed) == 4  # three sets and the export
