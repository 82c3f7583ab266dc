"""Which transcripts are believed: every reason against one, alone; and what a phone loop says."""

from pathlib import Path

import pytest
import soundfile

from asrdistill.cli import main
from asrdistill.data.directory import DataDirectory, Utterance
from asrdistill.lang.lexicon import Lang
from asrdistill.lang.ngram import read_arpa
from asrdistill.pseudo_label.run import HEADER, TABLE, PseudoLabel

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


def test_each_reason_leaves_one_out_and_is_named(heard, tmp_path, caplog):
    assert main(["pseudo-label", "filter", str(heard), str(tmp_path / "out")]) == 0
    assert [u.id for u in DataDirectory.read(tmp_path / "out")] == ["u0", "u6"]
    found = reasons(tmp_path / "out")
    for name, part in {
        "u1": "log-probability below -1",
        "u2": "without speech",
        "u3": "repeated words",
        "u4": "without words",
        "u5": "25 letters",
    }.items():
        assert part in found.pop(name)
        assert f"left out: 1 utterances {reasons(tmp_path / 'out')[name]} ({name})" in caplog.text
    assert not found
    assert "2 of 7 utterances" in caplog.text


def test_limits_are_options(heard, tmp_path):
    given = ["--logprob", "-2", "--no-speech", "1", "--compression", "9", "--pace", "100"]
    assert main(["pseudo-label", "filter", str(heard), str(tmp_path / "out"), *given]) == 0
    assert reasons(tmp_path / "out") == {"u4": "without words"}


def test_no_confident_utterance_at_all_is_one_sentence(heard, tmp_path, capsys):
    assert main(["pseudo-label", "filter", str(heard), str(tmp_path / "out"), "--logprob", "0"]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert "none of the 7 utterances" in error
    assert "5 with a mean log-probability below 0" in error
    assert not (tmp_path / "out").exists()


def test_a_data_directory_that_was_not_heard(heard, tmp_path, capsys):
    (heard / TABLE).unlink()
    assert main(["pseudo-label", "filter", str(heard), str(tmp_path / "out")]) == 2
    assert TABLE in capsys.readouterr().err


def test_what_a_phone_loop_hears_otherwise_is_left_out(heard, tmp_path):
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


def test_a_phone_loop_knows_phones_and_no_words(corpus, tmp_path):
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


def test_known_words_take_the_place_of_what_was_heard(heard, tmp_path, caplog):
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
    assert "1 of 7 utterances" in caplog.text
