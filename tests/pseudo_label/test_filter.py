"""Filtering of pseudo-labels: each limit alone, and a phone loop."""

from pathlib import Path

import pytest
import soundfile

from asrdistill.cli import main
from asrdistill.data.directory import DataDirectory, Utterance
from asrdistill.lang.lexicon import Lang
from asrdistill.lang.ngram import read_arpa
from asrdistill.pseudo_label.run import HEADER, TABLE, PseudoLabel
from tests.refusals import assert_names, assert_refused, only_line

GOOD = (-0.3, 0.02, 0.9)
LINES = {
    "u0": ("a good one", GOOD),
    "u1": ("surely not said", (-1.4, 0.02, 0.9)),
    "u2": ("you", (-0.3, 0.9, 0.9)),
    "u3": ("again and again and again", (-0.3, 0.02, 3.1)),
    "u4": ("", GOOD),
    "u5": ("far too many letters for a single second of speech", GOOD),
    "u6": ("another good one", GOOD),
}


@pytest.fixture
def heard(tmp_path) -> Path:
    folder = tmp_path / "heard"
    folder.mkdir()
    soundfile.write(folder / "x.wav", [0.0] * 8000, 8000)
    audio = str(folder / "x.wav")
    DataDirectory(
        Utterance(name, audio, "s", text, recording="x", start=0.0, end=1.0, duration=1.0)
        for name, (text, _) in LINES.items()
    ).write(folder)
    rows = (PseudoLabel(name, *figures, text=text).line() for name, (text, figures) in LINES.items())
    (folder / TABLE).write_text("\t".join(HEADER) + "\n" + "".join(rows))
    return folder


def reasons(folder: Path) -> dict[str, str]:
    return dict(line.split("\t") for line in (folder / "left_out.tsv").read_text().splitlines())


def test_each_limit_leaves_out_one_utterance(heard, tmp_path, caplog):
    assert main(["pseudo-label", "filter", str(heard), str(tmp_path / "out")]) == 0
    assert [u.id for u in DataDirectory.read(tmp_path / "out")] == ["u0", "u6"]
    found = reasons(tmp_path / "out")
    for name, part in {
        "u1": "log-probability below -1",
        "u2": "speech",
        "u3": "repeated",
        "u4": "without words",
        "u5": "25 letters",
    }.items():
        assert_names(found.pop(name), part)
        assert_names(caplog.text, f"({name})", reasons(tmp_path / "out")[name])
    assert not found
    assert_names(caplog.text, "2 of 7 utterances")


def test_limits_are_options(heard, tmp_path):
    given = ["--logprob", "-2", "--no-speech", "1", "--compression", "9", "--pace", "100"]
    assert main(["pseudo-label", "filter", str(heard), str(tmp_path / "out"), *given]) == 0
    assert reasons(tmp_path / "out") == {"u4": "without words"}


def test_no_utterance_within_the_limits_is_refused(heard, tmp_path, capsys):
    assert main(["pseudo-label", "filter", str(heard), str(tmp_path / "out"), "--logprob", "0"]) == 2
    assert_names(only_line(capsys.readouterr().err), "7 utterances", heard, 5, "log-probability", 0)
    assert not (tmp_path / "out").exists()


def test_data_directory_without_confidences_is_refused(heard, tmp_path):
    (heard / TABLE).unlink()
    assert_refused(["pseudo-label", "filter", heard, tmp_path / "out"], heard / TABLE)


def test_disagreement_with_a_phone_loop_is_left_out(heard, tmp_path):
    ali = tmp_path / "ali"
    ali.mkdir()
    spoken = {"u0": "SIL A B C SIL", "u1": "A B C", "u6": "A B C D"}
    lines = (
        f"{name} 1 {0.1 * i:.2f} 0.1 {phone}\n"
        for name, phones in spoken.items()
        for i, phone in enumerate(phones.split())
    )
    (ali / "phones.ctm").write_text("".join(lines))
    (tmp_path / "hyp.txt").write_text("u0 A SIL B C\nu1 A B C\nu6 E F SIL D\n")
    loop = ["--loop", str(ali), str(tmp_path / "hyp.txt")]
    assert main(["pseudo-label", "filter", str(heard), str(tmp_path / "out"), *loop]) == 0
    assert [u.id for u in DataDirectory.read(tmp_path / "out")] == ["u0"]  # no insertion, no silence counts as an error
    assert "phone loop" in reasons(tmp_path / "out")["u6"]
    loose = ["--disagreement", "80", "--no-speech", "1"]
    assert main(["pseudo-label", "filter", str(heard), str(tmp_path / "loose"), *loop, *loose]) == 0
    assert [u.id for u in DataDirectory.read(tmp_path / "loose")] == ["u0", "u6"]
    assert "could not be aligned" in reasons(tmp_path / "loose")["u2"]


def test_phone_loop_has_phones_and_no_words(corpus, tmp_path):
    said = ["SIL P1 P2 SIL", "P2 P1 SIL P1 P2"]
    lines = (f"u{n} 1 {0.1 * i:.2f} 0.1 {p}\n" for n, phones in enumerate(said) for i, p in enumerate(phones.split()))
    (corpus.alignment / "phones.ctm").write_text("".join(lines))
    assert main(["lang", "phone-loop", str(corpus.alignment), str(tmp_path / "loop")]) == 0
    lang = Lang.read(tmp_path / "loop/lang")
    assert lang.phones == corpus.senones.phones
    assert lang.words == ["P1", "P2", "SIL"]
    assert lang.pronunciations["P1"] == [(1.0, ("P1",))]
    model = read_arpa(tmp_path / "loop/lm/lm.arpa")
    assert model.order == 2
    assert model.logprob("P2", ["P1"]) > model.logprob("P1", ["P1"])


def test_known_transcripts_replace_pseudo_labels(heard, tmp_path, caplog):
    """Where a recording is one utterance: pieces of one do not say which of its words are theirs."""
    lines = (heard / "segments").read_text().splitlines()
    alone = [line.replace(" x ", " y ") if line.startswith("u1 ") else line for line in lines]
    (heard / "segments").write_text("\n".join(alone) + "\n")
    scp = (heard / "wav.scp").read_text()
    (heard / "wav.scp").write_text(scp + scp.replace("x ", "y ", 1))
    (tmp_path / "known").write_text("x the words of all pieces\ny what was said\nz of another folder\n")
    assert main(["pseudo-label", "filter", str(heard), str(tmp_path / "out"), "--known", str(tmp_path / "known")]) == 0
    found = {u.id: u.text for u in DataDirectory.read(tmp_path / "out")}
    assert found == {"u0": "a good one", "u1": "what was said", "u6": "another good one"}
    assert_names(caplog.text, "1 of 7 utterances")
