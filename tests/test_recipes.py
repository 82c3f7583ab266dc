"""What the recipes' scripts say before they do anything; CI runs them for real."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from asrdistill.cli import build_parser
from asrdistill.config import resolve
from asrdistill.training.options import TrainOptions

ROOT = Path(__file__).resolve().parents[1]
RUN = ROOT / "recipes/amazon_queen/run.sh"


def run(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([str(RUN), *arguments], capture_output=True, text=True, env={**os.environ, "TERM": "dumb"})


def test_help_lists_every_stage_with_its_time():
    done = run("--help")
    stages = [line for line in done.stdout.splitlines() if line.strip()[:1].isdigit() and "min" in line]
    assert done.returncode == 0
    assert len(stages) == 10


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--stages", "3"], "unknown option '--stages'"),
        (["--stage"], "--stage needs a value"),
        (["--seeds", "many"], "--seeds must be a whole number, not 'many'"),
    ],
)
def test_mistakes_are_one_sentence(arguments, message):
    done = run(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_stage_without_the_one_before_says_so(tmp_path):
    done = run("--stage", "7", "--data", str(tmp_path / "data"), "--exp", str(tmp_path / "exp"))
    assert done.returncode == 2
    assert "does not exist; run the stage that makes it first" in done.stderr
    assert "Traceback" not in done.stderr


def test_librispeech_lists_its_stages_and_refuses_mistakes():
    script = ROOT / "recipes/librispeech/run.sh"

    def run(*arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run([script, *arguments], capture_output=True, text=True)

    stages = [line for line in run("--help").stdout.splitlines() if line.startswith("  ") and line.split()[0].isdigit()]
    assert len(stages) == 15
    for arguments, message in (
        (["--hours", "200"], "run.sh: --hours must be 100, 460 or 960, not '200'\n"),
        (["--paper", "--mini"], "run.sh: --paper is for --hours, not for the 5 hours of --mini\n"),
        (["--teachers", "0"], "run.sh: --teachers must be a whole number above 0, not '0'\n"),
        (["--parts", "dev-clean"], "run.sh: unknown option '--parts'; see --help\n"),
    ):
        done = run(*arguments)
        assert (done.returncode, done.stderr) == (2, message)


def dry_run(folder: Path, gpus: int, *arguments: str, name: str = "librispeech") -> list[str]:
    """The commands of a recipe, in a project whose programs only write down how they were called."""
    recipe = folder / "recipes" / name
    shutil.copytree(ROOT / "recipes" / name, recipe, ignore=lambda *_: ["data", "exp"], dirs_exist_ok=True)
    shutil.copy(ROOT / "recipes/recipe.sh", recipe.parent)
    write_down = f"""#!/bin/sh
if [ "$1" = batch ]; then sed "s/'//g; s/ *$//; s/^/asrdistill /"; else echo "${{0##*/}} $*"; fi >> {folder}/commands
"""
    programs = {
        "tools/install.sh": "#!/bin/sh\n",
        ".venv/bin/asrdistill": write_down,
        ".venv/bin/torchrun": write_down,
        ".venv/bin/nvidia-smi": "#!/bin/sh\n" + "echo GPU\n" * gpus,
    }
    for program, text in programs.items():
        (folder / program).parent.mkdir(parents=True, exist_ok=True)
        (folder / program).write_text(text)
        (folder / program).chmod(0o755)
    subprocess.run([recipe / "run.sh", "--jobs", "2", *arguments], check=True, capture_output=True)
    return (folder / "commands").read_text().splitlines()


@pytest.mark.parametrize("gpus", [0, 8])
def test_networks_of_the_papers_size_are_trained_on_all_gpus(tmp_path, gpus):
    options = ("--paper", "--hours", "460", "--teachers", "3", "--seeds", "2")
    commands = dry_run(tmp_path, gpus, *options, "--stage", "7", "--stop-stage", "10")
    by = f"torchrun --standalone --nproc-per-node {gpus} -m asrdistill" if gpus else "asrdistill"
    exp = tmp_path / "recipes/librispeech/exp/460_paper"
    networks = [command for command in commands if command.startswith(f"{by} train ")]
    assert [f"--seed {number} " in command for command, number in zip(networks, (0, 1, 2, 0, 1), strict=True)] == [
        True
    ] * 5
    assert all(f"--config {tmp_path}/recipes/librispeech/conf/paper.yaml " in command for command in networks)
    assert sum(f" --soft-targets {exp}/targets " in command for command in networks) == 2
    leaves = [command for command in commands if "train-tri" in command and "--leaves 8000" in command]
    assert len(leaves) == 1  # the last tree alone
    assert f" {exp}/sat --config" in leaves[0]


@pytest.mark.parametrize(
    "options", ["--paper", "--paper --whisper --quick", "--paper --small", "--whisper --small --quick"]
)
def test_the_parts_beyond_amazon_queens_stages_ask_for_what_there_is(tmp_path, options):
    """Each command is one that the command line takes, with configurations that are there and can be read."""
    variant = "small" if "--small" in options else "default"
    folder = tmp_path / "recipes/amazon_queen/exp" / variant / "paper/specialists"
    for name, text in {
        "specialists.members/0/meta.json": ' "updates": 40,',
        "sets/sets.json": ' "frames": 100,',
        "tables/pooled/specialists.md": "",
    }.items():
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text(text)
    commands = dry_run(tmp_path, 0, *options.split(), "--stage", "11", name="amazon_queen")
    parts = [part.split()[1:] for command in commands for part in command.split(" && ")]
    assert len(parts) > 50
    wanted = "1" if "--quick" in options else "3"  # a comparison of the whole form has three seeds
    assert all(words[words.index("--seeds") + 1] == wanted for words in parts if words[0] == "sweep")
    for words in parts:
        args = build_parser(words[0]).parse_args(words)
        if config := getattr(args, "config", None):
            assert config.is_file()
        if words[0] == "train":
            resolve(TrainOptions, args)


def test_timit_says_what_it_needs():
    script = ROOT / "recipes/timit/run.sh"
    done = subprocess.run([script, "--help"], capture_output=True, text=True)
    stages = [line for line in done.stdout.splitlines() if line.strip()[:1].isdigit() and "min" in line]
    assert (done.returncode, len(stages)) == (0, 11)
    done = subprocess.run([script], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (2, "run.sh: give the folder of TIMIT with --timit PATH\n")


def test_own_voice_says_what_it_needs(tmp_path):
    script = ROOT / "recipes/own_voice/run.sh"

    def run(*arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run([script, *arguments], capture_output=True, text=True)

    stages = [line for line in run("--help").stdout.splitlines() if line.startswith("  ") and line.split()[0].isdigit()]
    assert len(stages) == 10
    for arguments, message in (
        ([], "run.sh: give the folder of recordings with --audio FOLDER\n"),
        (["--audio", str(tmp_path), "--text", f"{tmp_path}/a"], f"run.sh: {tmp_path}/a does not exist\n"),
        (
            ["--audio", str(tmp_path), "--lexicon", "letters"],
            "run.sh: --lexicon must be cmudict, graphemes or a file, not 'letters'\n",
        ),
    ):
        done = run(*arguments)
        assert (done.returncode, done.stderr) == (2, message)
    done = run("--audio", str(tmp_path), "--data", str(tmp_path / "data"), "--exp", str(tmp_path / "exp"))
    assert done.returncode == 2
    assert f"there is no file in {tmp_path}" in done.stderr
    assert "Traceback" not in done.stderr


def test_own_voice_in_a_language_without_a_dictionary(tmp_path):
    (tmp_path / "more.txt").write_text("et cetera")
    pieces = tmp_path / "data/pieces"
    pieces.mkdir(parents=True)
    (pieces / "rate").write_text("16000\n")
    options = ("--audio", "voices", "--language", "fr", "--whisper", "base", "--text", str(tmp_path / "more.txt"))
    folders = ("--data", str(tmp_path / "data"), "--exp", str(tmp_path / "exp"))
    commands = dry_run(tmp_path, 0, *options, *folders, name="own_voice")
    verbs = [command.split()[1] for command in commands]
    assert verbs.count("hear") == verbs.count("confident") - 1 == 3  # what is heard is asked of a phone loop once more
    assert all("--whisper base --language fr" in command for command in commands if " hear " in command)
    assert "g2p" not in verbs
    (lang,) = [command for command in commands if " lang " in command]
    assert lang.endswith(f"--graphemes --text {tmp_path}/data/text")
    (student,) = [command for command in commands if "student.yaml" in command]
    assert "--unlabelled" in student
    assert sum(" encode whisper:base@2+0.5 " in command for command in commands) == 3
    assert verbs[-2:] == ["export", "report"]
    assert "--encoder whisper:base@2+0.5" in commands[-2]
    assert sum("conf/fbank_16000.yaml" in command for command in commands) == 3
