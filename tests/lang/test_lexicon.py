import pytest

from asrdistill.lang.lexicon import Lang, root_of
from tests.refusals import refused


@pytest.fixture
def folder(tmp_path):
    entries = {"the": [(0.75, ("DH", "AH")), (0.25, ("DH", "IY"))], "a": [(1.0, ("AH",))]}
    Lang.build(entries, ["IY", "DH", "AH"]).write(tmp_path)
    return tmp_path


def test_round_trip(folder):
    lang = Lang.read(folder)
    assert lang.phones == ["SIL", "AH", "DH", "IY"]
    assert lang.words == ["a", "the"]
    assert lang.silence == "SIL"
    assert lang.pronunciations["the"] == [(0.75, ("DH", "AH")), (0.25, ("DH", "IY"))]
    assert (folder / "words.txt").read_text() == "<eps> 0\na 1\nthe 2\n"
    assert (folder / "lexicon.txt").read_text().splitlines()[0] == "a\t1\tAH"


@pytest.mark.parametrize(
    ("file", "text", "names"),
    [
        ("phones.txt", "<eps> 0\nSIL 1\nAH 3\n", ["line 3", "'AH 3'"]),
        ("phones.txt", "SIL 0\n", ["line 1", "'SIL 0'"]),
        ("silence.txt", "AH 0.5\n", ["phones.txt", "silence.txt"]),
        ("silence.txt", "SIL\n", []),
        ("silence.txt", "SIL 1.5\n", ["1.5"]),
        ("words.txt", "<eps> 0\na 1\n", ["words.txt", "lexicon.txt", "'the'"]),
        ("lexicon.txt", "a\t1\n", ["line 1", "<tab>"]),
        ("lexicon.txt", "a\thalf\tAH\n", ["line 1", "<tab>"]),
        ("lexicon.txt", "a\t1.5\tAH\n", ["line 1", "(0, 1]"]),
        ("lexicon.txt", "a\t0\tAH\n", ["line 1", "(0, 1]"]),
        ("lexicon.txt", "a\tnan\tAH\n", ["line 1", "(0, 1]"]),
        ("lexicon.txt", "a\t1\t\n", ["line 1", "phone"]),
        ("lexicon.txt", "a\t1\tZH\n", ["line 1", "'a'", "ZH", "phones.txt"]),
    ],
)
def test_bad_files_are_refused(folder, file, text, names):
    (folder / file).write_text(text)
    with refused(file, *names):
        Lang.read(folder)


def test_missing_files_are_refused(folder, tmp_path):
    with refused(tmp_path / "nowhere"):
        Lang.read(tmp_path / "nowhere")
    (folder / "lexicon.txt").unlink()
    with refused(folder / "lexicon.txt"):
        Lang.read(folder)


def test_phones_can_be_named_for_their_position():
    lang = Lang.build(
        {"a": [(1.0, ("AH",))], "tab": [(1.0, ("T", "AE", "B"))], "at": [(1.0, ("AE", "T"))]}, ["AE", "AH"]
    )
    placed = lang.positioned()
    assert placed.phones == ["SIL", "AE_B", "AE_I", "AE_E", "AE_S", "AH_B", "AH_I", "AH_E", "AH_S"]
    spoken = {word: entries[0][1] for word, entries in placed.pronunciations.items()}
    assert spoken == {"a": ("AH_S",), "at": ("AE_B", "T_E"), "tab": ("T_B", "AE_I", "B_E")}
    assert [root_of(phone) for phone in ("SIL", "AE_B", "AH_S", "T")] == ["SIL", "AE", "AH", "T"]


def test_phones_as_words(tmp_path):
    Lang.of_phones(["t", "aa", "t"], "sil").write(tmp_path)
    lang = Lang.read(tmp_path)
    assert (lang.phones, lang.words) == (["SIL", "aa", "t"], ["aa", "sil", "t"])
    assert {word: entries[0][1] for word, entries in lang.pronunciations.items()} == {
        "aa": ("aa",),
        "sil": ("SIL",),
        "t": ("t",),
    }
    assert 0 < lang.silence_probability < 1e-200  # silence stands only where it is a word
