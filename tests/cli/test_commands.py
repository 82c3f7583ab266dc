"""The command line: its help, its names, and how mistakes are answered."""

import subprocess
import sys

import pytest

from asrdistill.cli import GROUPS, OLD_NAMES, load, main
from asrdistill.cli.command import Command
from tests.refusals import assert_refused

COMMANDS = {command.name: command for name in ["top", *GROUPS] for command in load(name).commands.values()}
UNCHANGED = """cepstra combine download encode ensemble evaluate fmllr g2p lm phone-loop prepare rescore subset subwords
tune"""  # old names that only got a group
HEAVY = {"torch", "numba", "scipy", "librosa", "matplotlib", "soundfile", "rich"}


def test_there_are_at_most_46_commands():
    assert len(COMMANDS) <= 46


@pytest.mark.parametrize("words", [[], *([group] for group in GROUPS)])
def test_help_of_all_and_of_a_group_fits_one_screen(words, capsys):
    assert main([*words, "--help"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert len(shown) <= 40
    assert max(map(len, shown)) <= 100
    names = [*GROUPS, *load("top").commands] if not words else load(words[0]).commands
    assert {line.split()[0] for line in shown if line.startswith("  ")} >= set(names)


@pytest.mark.parametrize("words", [[], *([group] for group in GROUPS)])
def test_a_missing_command_prints_help_and_exits_with_2(words, capsys):
    assert main(words) == 2
    assert "usage: asrdistill" in capsys.readouterr().err


@pytest.mark.parametrize("command", COMMANDS.values(), ids=list(COMMANDS))
def test_help_of_a_command_has_a_runnable_example_and_explains_every_argument(command: Command, capsys):
    assert main([*command.name.split(), "--help"]) == 0
    example = capsys.readouterr().out.split("Example:\n")[1].splitlines()[0].strip()
    assert example.startswith(f"asrdistill {command.name} ")
    command.parser().parse(example.split()[1 + len(command.name.split()) :])
    for action in command.parser()._actions:
        assert action.help, action


@pytest.mark.parametrize(("old", "new"), OLD_NAMES.items())
def test_old_name_is_answered_with_the_new_one(old, new):
    words = new.split()
    name = next(name for name in (" ".join(words[:2]), words[0]) if name in COMMANDS)
    command, options = COMMANDS[name], words[len(name.split()) :]
    assert set(options) <= set(command.parser()._option_string_actions)
    assert_refused([old, "a/b", "c"], f"asrdistill {new}")  # a path tells old "lang DATA" from the group


@pytest.mark.parametrize("old", UNCHANGED.split())
def test_command_without_its_group_is_answered_with_its_group(old):
    new = [f"asrdistill {name}" for name in COMMANDS if name.split()[1:] == [old]]
    assert_refused([old, "a", "b"], *new)


@pytest.mark.parametrize(
    ("words", "near"),
    [
        (["trian"], "asrdistill nnet train"),
        (["fbank", "data"], "asrdistill feats fbank"),
        (["decoed"], "asrdistill decode"),
        (["scoer"], "asrdistill score"),
        (["decode-run"], "asrdistill decode run"),
        (["decode", "rescroe"], "asrdistill decode rescore"),
        (["gmm", "train-mono"], "asrdistill gmm mono"),
        (["zzz"], "asrdistill --help"),
        (["lang", "zzz"], "subwords"),
    ],
)
def test_mistyped_name_is_answered_with_the_nearest(words, near):
    assert_refused(words, near)


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["decode", "run", "m", "f", "l", "lm", "o", "--lm-wieght", "3"], ["--lm-wieght", "--lm-weight"]),
        (["nnet", "train", "--held_out", "a", "b"], ["--held_out", "--held-out"]),
        (["decode", "rescore", "a", "b", "--risk", "true"], ["true"]),
        (["decode", "rescore", "a"], ["OUT"]),
        (["ali", "make", "m", "f", "d", "l", "o", "--jobs", "0"], ["--jobs", "0"]),
        (["data", "prepare", "timmit", "a", "b"], ["timmit", "timit"]),
    ],
)
def test_bad_argument_is_refused_with_its_name(words, names):
    assert_refused(words, *names)


def test_version_is_printed(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.count(".") == 2


def loaded_by(*words: str) -> set[str]:
    """The heavy packages that a command loads."""
    code = f"import sys; from asrdistill.cli import main; main({list(words)!r}); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    return HEAVY & set(done.stderr.split())


@pytest.mark.parametrize("words", [["--help"], *([group, "--help"] for group in GROUPS)])
def test_help_loads_nothing_heavy(words):
    assert not loaded_by(*words)


def test_commands_without_networks_load_no_torch(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    for name, value in {"wav.scp": "true |", "text": "hello", "utt2spk": "a"}.items():
        (data / name).write_text(f"a-1 {value}\n")
    for words in (
        ["score", data / "text", data / "text"],
        ["info", data],
        ["data", "combine", data, tmp_path / "out"],
        ["data", "subset", tmp_path / "out", tmp_path / "some", "--utterances", "1"],
        ["data", "normalize-text", data / "text", tmp_path / "words", "--table"],
    ):
        assert loaded_by(*map(str, words)) <= {"soundfile"}
    assert (tmp_path / "some/text").is_file()
    assert (tmp_path / "words").is_file()
