"""Asterisk's prompts: rules on made-up ones, recognition of real Russian ones."""

import random

import asterisk
import numpy as np
import pytest
import soundfile

from asrdistill.cli import main
from asrdistill.data.directory import DataDirectory
from asrdistill.scoring.wer import read_transcripts, score
from tests.refusals import assert_names

PROMPTS = {
    "hello": "Bonjour, Jean.",
    "digits/five": "cinq",
    "press-1": "Appuyez sur 1.",
    "tone": "[un timbre]",
    "gone": "nulle part",
    "short": "oui",
    "vm-Ça_va": "l'été",
}


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "source/fr"
    (folder / "sounds/digits").mkdir(parents=True)
    lines = ["; Core Sounds", "", *(f"{name}: {words}" for name, words in PROMPTS.items())]
    (folder / "core-sounds-fr.txt").write_text("\n".join(lines) + "\n")
    for name in PROMPTS.keys() - {"gone"}:
        soundfile.write(folder / f"sounds/{name}.wav", np.zeros(800 if name == "short" else 8000), 8000)
    return tmp_path / "source"


def test_prompts_with_known_words_become_utterances(source, tmp_path, caplog):
    assert asterisk.group.main(["prepare", str(source), str(tmp_path / "out")]) == 0
    sets = {name: DataDirectory.read(tmp_path / "out/fr" / name) for name in ("train",)}
    found = {u.id: u.text for u in sets["train"]}
    for name in ("dev", "test"):
        table = tmp_path / "out/fr" / name / "text"
        if table.stat().st_size:
            found |= dict(line.split(" ", 1) for line in table.read_text().splitlines())
    assert found == {"fr-hello": "bonjour jean", "fr-digits_five": "cinq", "fr-vm_a_va": "l'été"}
    assert_names(caplog.text, "digits", "without words", "audio", "0.3 s")
    assert caplog.text.count("left out: 1 ") == 4


def test_missing_prompts_and_unknown_languages_are_refused(source, tmp_path, capsys):
    assert asterisk.group.main(["prepare", str(source), str(tmp_path / "o"), "--languages", "ru"]) == 2
    assert "ru/core-sounds-ru.txt" in capsys.readouterr().err
    assert asterisk.group.main(["download", str(tmp_path / "o"), "--languages", "tlh"]) == 2
    assert "tlh" in capsys.readouterr().err


@pytest.mark.slow
def test_russian_is_recognised_by_graphemes(prompts, tmp_path):
    """Real Russian speech, pronounced as it is spelled: monophones know most words of prompts that they never heard."""
    prepared = prompts("ru")
    # the shorter half of train, and of what is kept back some of many words
    train = sorted(DataDirectory.read(prepared / "train"), key=lambda u: u.duration)
    test = [u for u in DataDirectory.read(prepared / "test") if len(u.text.split()) > 2]
    for name, some in (("train", train[: len(train) * 2 // 3]), ("test", test[:25])):
        (tmp_path / name).mkdir()
        DataDirectory(some).write(tmp_path / name)

    def run(group: str, command: str, *arguments: str) -> None:
        argv = [str(tmp_path / a[1:]) if a.startswith("@") else a for a in arguments]
        assert main([group, command, *argv]) == 0

    for name in ("train", "test"):
        run("feats", "fbank", f"@{name}", f"@fbank/{name}", "--jobs", "1")
        run("feats", "cepstra", f"@fbank/{name}", f"@{name}", f"@cepstra/{name}", "--jobs", "1")
    run("lang", "build", "@train", "@test", "@lang", "--graphemes")
    run("lang", "lm", "@train", "@lang", "@lm", "--order", "2")
    size = ("--gaussians", "300", "--iterations", "12")
    run("gmm", "mono", "@cepstra/train", "@train", "@lang", "@mono", *size, "--jobs", "1")
    run("decode", "run", "@mono", "@cepstra/test", "@lang", "@lm", "@decode", "--jobs", "1", "--beam", "11")
    said, heard = (read_transcripts(tmp_path / name) for name in ("test/text", "decode/hyp.txt"))
    others = random.Random(0).sample(list(heard), len(heard))
    chance = score(said, dict(zip(heard, (heard[name] for name in others), strict=True))).total.percent
    learnt = score(said, heard).total.percent
    assert learnt < 45 < 85 < chance
