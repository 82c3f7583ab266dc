"""Subsets and unions of data directories, by commands."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from asrdistill.cli import main
from asrdistill.data.archive import FrameArchive
from asrdistill.data.directory import DataDirectory, Utterance, read_table, write_table
from asrdistill.data.options import SubsetOptions
from asrdistill.data.subset import select, write_rows
from tests.refusals import assert_refused, refused

RATE = 8000


def write(folder: Path, lengths: dict[str, float], genders: bool = True) -> Path:
    """A data directory of utterances SPEAKER-NUMBER with these lengths in seconds; audio beside it."""
    folder.mkdir()
    for name, seconds in lengths.items():
        soundfile.write(folder / f"{name}.wav", np.zeros(round(seconds * RATE)), RATE)
    utterances = [
        Utterance(name, str(folder / f"{name}.wav"), name[0], "word", duration=s) for name, s in lengths.items()
    ]
    data = DataDirectory(utterances)
    data.write(folder)
    if genders:
        write_table(folder / "spk2gender", ((speaker, "f") for speaker in data.speakers))
    return folder


@pytest.fixture
def data(tmp_path) -> Path:
    lengths = [0.5, 0.3, 0.9, 0.3, 0.2, 0.7, 0.3, 0.8]
    return write(tmp_path / "data", dict(zip([f"{s}-{i}" for s in "abcd" for i in (1, 2)], lengths, strict=True)))


def subset(data: Path, *options: object) -> list[str]:
    out = data.parent / "out"
    assert main(["data", "subset", str(data), str(out), *map(str, options)]) == 0
    found = DataDirectory.read(out)
    for utterance in found:
        assert utterance.samples(RATE).shape == (round(utterance.duration * RATE),)
    assert list(read_table(out / "spk2gender")) == list(found.speakers)
    return [utterance.id for utterance in found]


def test_shortest_utterances_are_taken_in_order(data):
    assert subset(data, "--shortest", 3) == ["a-2", "b-2", "c-1"]


def test_utterances_are_spread_over_the_speakers(data):
    assert subset(data, "--utterances", 4) == ["a-1", "b-1", "c-1", "d-1"]
    assert subset(data, "--utterances", 3) == ["a-1", "b-1", "c-2"]


def test_speakers_are_taken_with_all_their_utterances(data):
    assert subset(data, "--speakers", 2) == ["a-1", "a-2", "c-1", "c-2"]


@pytest.mark.parametrize("which", ["shortest", "utterances", "speakers"])
def test_wanting_more_than_there_are_takes_all_with_a_warning(data, which, caplog):
    with caplog.at_level("INFO", logger="asrdistill"):
        assert len(subset(data, f"--{which}", 8)) == 8
    assert any("8" in record.getMessage() and str(data) in record.getMessage() for record in caplog.records)


def test_options_come_from_a_file(data, tmp_path):
    (tmp_path / "set.yaml").write_text("shortest: 1\n")
    assert subset(data, "--config", tmp_path / "set.yaml") == ["c-1"]


@pytest.mark.parametrize("given", [{}, {"shortest": 3, "speakers": 2}, {"utterances": -1}])
def test_none_or_several_sizes_are_refused(given):
    with refused("--shortest", "--utterances", "--speakers", "--percent"):
        SubsetOptions(**given)


def test_shortest_of_unknown_lengths_is_refused(tmp_path):
    known = Utterance("a", "a.wav", "s", start=1.0, end=1.5)
    assert len(select(DataDirectory([known]), SubsetOptions(shortest=1), tmp_path)) == 1
    with refused("utt2dur", "b"):
        select(DataDirectory([known, Utterance("b", "b.wav", "s")]), SubsetOptions(shortest=1), tmp_path)


def test_a_union_has_all_utterances_and_tables(data, tmp_path):
    other = write(tmp_path / "other", {"e-1": 0.1})
    assert main(["data", "combine", str(data), str(other), str(tmp_path / "out")]) == 0
    out = DataDirectory.read(tmp_path / "out")
    assert [utterance.id for utterance in out] == [*(u.id for u in DataDirectory.read(data)), "e-1"]
    assert list(read_table(tmp_path / "out/spk2gender")) == ["a", "b", "c", "d", "e"]
    assert len(out["e-1"].samples(RATE)) == 800


def test_a_union_of_some_without_gender_has_none(data, tmp_path):
    other = write(tmp_path / "other", {"e-1": 0.1}, genders=False)
    assert main(["data", "combine", str(data), str(other), str(tmp_path / "out")]) == 0
    assert not (tmp_path / "out/spk2gender").exists()


def test_union_with_a_doubled_utterance_is_refused(data, tmp_path):
    assert_refused(["data", "combine", str(data), str(data), str(tmp_path / "out")], "utterance a-1")
    assert not (tmp_path / "out").exists()


def test_smaller_random_subsets_lie_in_larger_ones(corpus, tmp_path):
    shares = {}
    for percent, seed in ((10, 0), (50, 0), (50, 1)):
        out = tmp_path / f"{percent}.{seed}"
        command = ["data", "subset", str(corpus.alignment), str(out), "--percent", str(percent), "--seed", str(seed)]
        assert main(command) == 0
        shares[percent, seed] = set(FrameArchive(out))
    assert [len(share) for share in shares.values()] == [3, 15, 15]
    assert shares[10, 0] < shares[50, 0] != shares[50, 1]


def test_subset_of_an_archive_keeps_rows_and_senones(corpus, tmp_path):
    assert main(["data", "subset", str(corpus.alignment), str(tmp_path / "some"), "--shortest", "4"]) == 0
    some, whole = FrameArchive(tmp_path / "some", "alignment"), FrameArchive(corpus.alignment)
    assert max(map(some.rows, some)) <= min(whole.rows(u) for u in whole if u not in some)
    for utterance in some:
        np.testing.assert_array_equal(some[utterance], whole[utterance])
    assert (tmp_path / "some/senones.json").read_bytes() == (corpus.alignment / "senones.json").read_bytes()
    assert not list((tmp_path / "some").glob("*.npy"))
    assert some.hash != whole.hash


def test_speakers_of_an_archive_and_impossible_percentages_are_refused(corpus, tmp_path):
    for option, value, names in (
        ("--speakers", 2, [corpus.alignment, "speakers"]),
        ("--percent", 120, ["percent", 120]),
        ("--percent", -1, ["--percent"]),
    ):
        assert_refused(["data", "subset", corpus.alignment, tmp_path / "x", option, value], *names)


def test_ctms_of_a_subset_are_of_its_utterances(corpus, tmp_path):
    whole = FrameArchive(corpus.features)
    names = list(whole)
    (tmp_path / "whole").mkdir()
    write_rows(whole, tmp_path / "whole", names)
    (tmp_path / "whole/phones.ctm").write_text("".join(f"{name} 1 0.000 0.100 A\n" for name in names))
    (tmp_path / "part").mkdir()
    write_rows(FrameArchive(tmp_path / "whole"), tmp_path / "part", names[1:2])
    assert (tmp_path / "part/phones.ctm").read_text() == f"{names[1]} 1 0.000 0.100 A\n"
