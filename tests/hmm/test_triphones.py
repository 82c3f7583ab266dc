"""Triphones, LDA and MLLT, and speaker adaptation on speech whose states depend on their neighbours."""

import itertools
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from asrdistill import cli
from asrdistill.data.archive import FrameArchive, alias
from asrdistill.hmm.align import PARTS
from asrdistill.hmm.gmm import load_gmm
from asrdistill.hmm.senones import Senones, leaves
from tests.refusals import assert_names, assert_refused
from tests.trees import between

from .conftest import write_data, write_features

SPEAKERS = 4


@pytest.fixture(scope="module")
def speech(lang, tmp_path_factory):
    """200 utterances of four speakers, each with a transform of their own; A's first state knows what stood before."""
    root = tmp_path_factory.mktemp("speech")
    rng = np.random.default_rng(7)
    monophones = Senones.monophones(lang)
    count = itertools.count(monophones.count)
    states = {phone: list(trees) for phone, trees in monophones.states.items()}
    for phone in ("A", "B", "D"):
        states[phone][0] = {"left": "SIL B", "yes": states[phone][0], "no": next(count)}
    senones = Senones(lang.phones, states, np.full(monophones.count + 3, np.log(0.6)))
    means = 4 * rng.standard_normal((senones.count, 4))
    means[senones.silence] = means[0]
    voices = [(np.eye(4) + 0.1 * rng.standard_normal((4, 4)), 1.0 * rng.standard_normal(4)) for _ in range(SPEAKERS)]
    truth, words, features, speakers = {}, {}, {}, {}
    for number in range(200):
        speaker = number // 50
        utterance = f"s{speaker}-{number:03d}"
        words[utterance] = [str(word) for word in rng.choice(lang.words, rng.integers(3, 7))]
        phones = [lang.silence]
        for word in words[utterance]:
            phones += lang.pronunciations[word][rng.integers(len(lang.pronunciations[word]))][1]
            phones += [lang.silence] * int(rng.integers(2))
        path = []
        for context in zip([lang.silence, *phones], phones, [*phones[1:], lang.silence], strict=False):
            path += [s for s in between(senones, *context) for _ in range(1 + rng.geometric(0.5))]
        turn, shift = voices[speaker]
        truth[utterance] = np.array(path)
        features[utterance] = (means[path] + rng.standard_normal((len(path), 4))) @ turn.T + shift
        speakers[utterance] = f"s{speaker}"
    for folder in ("cepstra", "data", "lang"):
        (root / folder).mkdir()
    write_features(root / "cepstra", features)
    write_data(root / "data", words)
    (root / "data" / "utt2spk").write_text("".join(f"{u} {speaker}\n" for u, speaker in sorted(speakers.items())))
    lang.write(root / "lang")
    return SimpleNamespace(root=root, truth=truth, senones=senones)


def verb(*arguments):
    assert cli.main([*map(str, arguments), "--jobs", "1"]) == 0


@pytest.fixture(scope="module")
def ladder(speech):
    """The recipe's way: monophones, triphones, LDA and MLLT, adapted features, triphones on these."""
    root = speech.root
    corpus = (root / "data", root / "lang")
    small = ("--leaves", 22, "--gaussians", 40, "--iterations", 14)
    verb("gmm", "mono", root / "cepstra", *corpus, root / "mono", "--gaussians", 40, "--iterations", 12)
    verb("ali", "make", root / "mono", root / "cepstra", *corpus, root / "ali_mono")
    verb("gmm", "tri", root / "cepstra", root / "ali_mono", *corpus, root / "tri", *small)
    verb("ali", "make", root / "tri", root / "cepstra", *corpus, root / "ali_tri")
    verb(
        *("gmm", "tri", root / "cepstra", root / "ali_tri", *corpus, root / "lda", *small, "--lda"),
        "--splice",
        1,
        "--dimension",
        6,
    )
    verb("ali", "make", root / "lda", root / "cepstra", *corpus, root / "ali_lda")
    verb(
        "feats",
        "fmllr",
        root / "lda",
        root / "cepstra",
        root / "ali_lda",
        root / "data",
        root / "fmllr",
        "--min-frames",
        200,
    )
    verb("gmm", "tri", root / "fmllr", root / "ali_lda", *corpus, root / "sat", *small)
    verb("ali", "make", root / "sat", root / "fmllr", *corpus, root / "ali_sat")
    return root


def right(speech, alignment):
    """Share of the frames whose phone is the true one."""
    archive = FrameArchive(alignment)
    phone = np.zeros(speech.senones.count, int)
    for number, trees in enumerate(speech.senones.states.values()):
        for tree in trees:
            phone[leaves(tree)] = number
    return np.mean(np.concatenate([archive.part(u, "phones") == phone[truth] for u, truth in speech.truth.items()]))


def test_each_step_finds_the_planted_states(speech, ladder):
    found = {name: right(speech, ladder / f"ali_{name}") for name in ("mono", "tri", "lda", "sat")}
    print(found)
    assert found["sat"] > 0.85
    assert found["sat"] > found["mono"]
    loglikes = [load_gmm(ladder / name).meta["loglike_per_frame"] for name in ("lda", "sat")]
    assert loglikes[1] > loglikes[0]  # the same vectors, but for the speakers' transforms


def test_tree_asks_the_planted_questions(speech, ladder):
    senones = Senones.read(ladder / "sat")
    asked = {name for name, trees in senones.states.items() if isinstance(trees[0], dict)}
    assert {"A", "B", "D"} & asked
    assert senones.count == 22


def test_alignment_of_other_senones_is_converted_exactly(speech, ladder):
    archive, mono = FrameArchive(ladder / "ali_mono"), Senones.read(ladder / "ali_mono")
    tri = Senones.read(ladder / "tri")
    utterance = archive.utterances[0]
    senone, phone = archive[utterance], archive.part(utterance, "phones")
    found = tri.find(mono.triphones(senone, phone))
    names = [mono.phones[p] for p in phone]
    begins = [
        t
        for t in range(len(senone))
        if t == 0 or names[t] != names[t - 1] or mono.state[senone[t]] < mono.state[senone[t - 1]]
    ]
    said = ["SIL", *(names[t] for t in begins), "SIL"]
    for k, (begin, end) in enumerate(zip(begins, [*begins[1:], len(senone)], strict=True)):
        expected = between(tri, *said[k : k + 3])
        assert [expected[mono.state[s]] for s in senone[begin:end]] == found[begin:end].tolist()


@pytest.mark.slow
def test_jobs_do_not_change_the_bytes(ladder, tmp_path):
    again = tmp_path / "sat"
    inputs = [ladder / "fmllr", ladder / "ali_lda", ladder / "data", ladder / "lang", again]
    small = ["--leaves", "22", "--gaussians", "40", "--iterations", "14", "--jobs", "2"]
    assert cli.main(["gmm", "tri", *map(str, inputs), *small]) == 0
    for name in ("gmm.safetensors", "senones.json", "front.safetensors"):
        assert (again / name).read_bytes() == (ladder / "sat" / name).read_bytes()


def test_speakers_of_few_frames_are_not_adapted(ladder, tmp_path, caplog):
    inputs = [ladder / "lda", ladder / "cepstra", ladder / "ali_lda", ladder / "data", tmp_path / "fmllr"]
    assert cli.main(["feats", "fmllr", *map(str, inputs), "--min-frames", "1000000", "--jobs", "1"]) == 0
    assert_names(caplog.text, "4 of 4 speakers", 1000000, "s0")
    utterance = "s0-000"
    front = load_gmm(ladder / "lda").transform
    plain = front.vectors(FrameArchive(ladder / "cepstra")[utterance])
    np.testing.assert_allclose(FrameArchive(tmp_path / "fmllr")[utterance], plain, rtol=1e-5, atol=1e-5)


def test_copies_are_adapted_as_another_speakers(ladder, tmp_path):
    """Copies that are louder and elsewhere are adapted to where their originals are: their own transform undoes it."""
    cepstra, ali = tmp_path / "cepstra", tmp_path / "ali"
    plain, aligned = FrameArchive(ladder / "cepstra"), FrameArchive(ladder / "ali_lda")
    own = [u for u in plain if u.startswith("s1")]
    cepstra.mkdir()
    write_features(cepstra, {**{u: plain[u] for u in plain}, **{f"speed0.9-{u}": 1.5 * plain[u] + 2 for u in own}})
    ali.mkdir()
    alias(ladder / "ali_lda", ali, {**{u: u for u in aligned}, **{f"speed0.9-{u}": u for u in own if u in aligned}})
    Senones.read(ladder / "ali_lda").write(ali)

    def distance(rounds: int) -> float:
        """How far the copies end from their originals, which no copy moves."""
        out, alone = tmp_path / f"copies.{rounds}", tmp_path / f"alone.{rounds}"
        options = ("--min-frames", 200, "--rounds", rounds)
        verb("feats", "fmllr", ladder / "lda", cepstra, ali, ladder / "data", out, *options)
        verb("feats", "fmllr", ladder / "lda", ladder / "cepstra", ali, ladder / "data", alone, *options)
        adapted, before = FrameArchive(out), FrameArchive(alone)
        assert set(adapted) == set(FrameArchive(cepstra))
        for utterance in before:
            np.testing.assert_array_equal(adapted[utterance], before[utterance])
        return max(np.abs(adapted[f"speed0.9-{u}"] - before[u]).mean() for u in own)

    assert distance(1) < 0.2
    assert distance(4) < distance(1) / 2  # the Gaussians' posteriors improve with the transform


def test_no_round_is_refused(ladder, tmp_path):
    inputs = (ladder / "lda", ladder / "cepstra", ladder / "ali_lda", ladder / "data", tmp_path / "out")
    assert_refused(["feats", "fmllr", *inputs, "--rounds", "0"], "--rounds", "0")


def test_silence_does_not_count_where_it_is_left_out(ladder, tmp_path, caplog):
    """A speaker whose speech alone is too little keeps his features."""
    aligned = FrameArchive(ladder / "ali_lda")
    frames = sum(int((aligned.part(u, "phones") > 0).sum()) for u in aligned if u.startswith("s1"))
    inputs = (ladder / "lda", ladder / "cepstra", ladder / "ali_lda", ladder / "data")
    verb("feats", "fmllr", *inputs, tmp_path / "all", "--min-frames", frames + 1)
    assert "s1" not in caplog.text
    verb("feats", "fmllr", *inputs, tmp_path / "speech", "--min-frames", frames + 1, "--no-silence")
    assert_names(caplog.text, "s1")


def test_one_speaker_of_few_frames_is_not_adapted(ladder, tmp_path, caplog):
    """The others are adapted, he is not; the features that come of it train."""
    cepstra, data, ali, out = (tmp_path / name for name in ("cepstra", "data", "ali", "fmllr"))
    plain = FrameArchive(ladder / "cepstra")
    short = "s9-000"
    for folder in (cepstra, data):
        folder.mkdir()
    write_features(cepstra, {**{u: plain[u] for u in plain}, short: plain["s0-000"][:3]})
    lines = {name: (ladder / "data" / name).read_text().splitlines() for name in ("wav.scp", "text", "utt2spk")}
    for name, rest in (("wav.scp", lines["wav.scp"][0].split()[1]), ("text", lines["text"][0].split()[1])):
        (data / name).write_text("\n".join([*lines[name], f"{short} {rest}"]) + "\n")
    (data / "utt2spk").write_text("\n".join([*lines["utt2spk"], f"{short} s9"]) + "\n")
    corpus = (data, ladder / "lang")
    verb("ali", "make", ladder / "lda", cepstra, *corpus, ali, "--max-left-out", 5)
    verb("feats", "fmllr", ladder / "lda", cepstra, ali, data, out, "--min-frames", 200)
    assert_names(caplog.text, "1 of 5 speakers", 200, "s9")
    assert FrameArchive(out).rows(short) == 3
    verb("gmm", "tri", out, ali, *corpus, tmp_path / "sat", "--leaves", 22, "--gaussians", 40, "--iterations", 3)


def test_the_utterances_of_a_smaller_data_directory_are_adapted(ladder, tmp_path):
    some, out = tmp_path / "some", tmp_path / "fmllr"
    assert cli.main(["data", "subset", str(ladder / "data"), str(some), "--speakers", "2"]) == 0
    inputs = [ladder / "lda", ladder / "cepstra", ladder / "ali_lda", some, out]
    assert cli.main(["feats", "fmllr", *map(str, inputs), "--min-frames", "200", "--jobs", "1"]) == 0
    adapted, whole = FrameArchive(out), FrameArchive(ladder / "fmllr")
    assert adapted.utterances == [utterance for utterance in whole if utterance[:2] in ("s0", "s2")]
    for utterance in adapted:
        np.testing.assert_array_equal(adapted[utterance], whole[utterance])


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (("feats", "fmllr", "lda", "fmllr", "ali_lda", "data"), ["/lda", "/fmllr"]),
        (("gmm", "tri", "cepstra", "ali_tri", "data", "lang", "--leaves", "30"), ["30 senones", 25]),
        (("gmm", "tri", "cepstra", "ali_tri", "data", "lang", "--lda", "--dimension", "90"), ["90 dimensions", 7, 4]),
        (("gmm", "tri", "cepstra", "cepstra", "data", "lang"), ["/cepstra", "alignment"]),
    ],
)
def test_inputs_that_do_not_fit_are_refused(ladder, tmp_path, arguments, names):
    group, command, *rest = arguments
    folders = [str(ladder / argument) if (ladder / argument).exists() else argument for argument in rest]
    places = len([f for f in folders if "/" in f])
    folders.insert(places, str(tmp_path / "out"))
    extra = ["--gaussians", "25"] if command == "tri" else []
    assert_refused([group, command, *folders, *extra, "--jobs", "1"], *names)
    assert PARTS.keys() == {"frames", "phones"}


def test_phone_missing_from_the_trees_is_refused(ladder, lang, tmp_path):
    wider = replace(
        lang,
        phones=[*lang.phones, "Z"],
        words=[*lang.words, "zzz"],
        pronunciations={**lang.pronunciations, "zzz": [(1.0, ("Z",))]},
    )
    (tmp_path / "lang").mkdir()
    wider.write(tmp_path / "lang")
    corpus = (str(ladder / "data"), str(tmp_path / "lang"))
    align = ["ali", "make", str(ladder / "sat"), str(ladder / "fmllr"), *corpus, str(tmp_path / "ali")]
    for jobs in ("1", "2"):
        assert_refused([*align, "--jobs", jobs], "Z")
    train = ["gmm", "tri", str(ladder / "cepstra"), str(ladder / "ali_tri"), *corpus, str(tmp_path / "tri")]
    assert_refused(train, ladder / "ali_tri", "phones")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lang"]


def test_fewer_leaves_than_wanted_are_a_warning(ladder, tmp_path, caplog):
    inputs = [ladder / "cepstra", ladder / "ali_tri", ladder / "data", ladder / "lang", tmp_path / "tri"]
    verb("gmm", "tri", *inputs, "--leaves", 5000, "--gaussians", 5000, "--iterations", 2)
    reached = Senones.read(tmp_path / "tri").count
    assert_names(caplog.text, reached, 5000)
    assert reached < 5000
