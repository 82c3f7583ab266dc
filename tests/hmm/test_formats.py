"""Alignments exported and imported in every format; alignments that do not fit."""

import gzip
import itertools
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from asrdistill.cli import main
from asrdistill.data import kaldi
from asrdistill.data.archive import FrameArchive, ShardWriter, finish
from asrdistill.data.ctm import Interval, read_ctm
from asrdistill.hmm.align import PARTS, ctm
from asrdistill.hmm.formats.kaldi import read_transitions, senones_of
from asrdistill.hmm.formats.times import read_textgrid, textgrid_transcription, write_textgrid
from asrdistill.hmm.senones import Senones
from asrdistill.hmm.viterbi import Segment
from asrdistill.lang.lexicon import Lang
from tests.refusals import assert_names, assert_refused, refused
from tests.trees import between

FORMATS = {"ctm": [], "textgrid": [], "phn": ["--rate", "16000"], "kaldi": ["--model", "OURS"]}
TREES = {  # the last state of each speech phone asks about its neighbours
    "A": [5, 6, {"left": "B D", "yes": 7, "no": {"right": "SIL A", "yes": 8, "no": 9}}],
    "B": [10, 11, 12],
    "C": [13, 14, {"right": "C", "yes": 15, "no": 16}],
    "D": [17, 18, {"left": "SIL", "yes": 19, "no": 20}],
}


@pytest.fixture
def tied(lang: Lang) -> Senones:
    states = {"SIL": [0, 1, 2, 3, 4], **TREES}
    return Senones(list(lang.phones), states, np.full(21, np.log(0.5)))


def make_world(root: Path, lang: Lang, senones: Senones, shift: float = 0.01) -> SimpleNamespace:
    """Six utterances with known states: `features`, `ali`, `lang` folders, and the phones' segments of each."""
    rng = np.random.default_rng(3)
    for name in ("features", "ali", "lang"):
        (root / name).mkdir(parents=True)
    lang.write(root / "lang")
    senones.write(root / "ali")
    features, alignment = (
        ShardWriter(root / name, 0, parts) for name, parts in (("features", {"frames": ("<f4", (2,))}), ("ali", PARTS))
    )
    segments, states, phone_lines, word_lines = {}, {}, [], []
    for number in range(6):
        utterance = f"Speaker{number // 2}_utt{number}"
        names = [0, *rng.integers(1, 5, 6).tolist(), 2, 2, 0] if number else [0]  # the first says nothing
        names = [*names, *([3, 0] if number % 2 else [])]
        path, begin, segments[utterance] = [], 0, []
        for left, phone, right in zip([0, *names], names, [*names[1:], 0], strict=False):
            tied = between(senones, *(lang.phones[index] for index in (left, phone, right)))
            counts = rng.integers(1, 4, len(tied))
            path += [(phone, state, senone) for state, senone in enumerate(tied) for _ in range(counts[state])]
            segments[utterance].append(Segment(begin, len(path), phone))
            begin = len(path)
        states[utterance] = path
        phones, _, frames = np.array(path).T
        features.write(utterance, frames=rng.normal(size=(len(path), 2)))
        alignment.write(utterance, frames=frames, phones=phones)
        phone_lines += ctm(utterance, segments[utterance], lang.phones, shift)
        spoken = [Segment(part.begin, part.end, 0) for part in segments[utterance] if part.name]
        word_lines += ctm(utterance, spoken, ['wo"rd'], shift)
    (root / "ali" / "phones.ctm").write_text("".join(phone_lines))
    (root / "ali" / "words.ctm").write_text("".join(word_lines))
    finish(root / "features", "features", features.parts, [features.close()], frame_shift=shift, features={"type": "x"})
    finish(root / "ali", "alignment", PARTS, [alignment.close()], frame_shift=shift, senones=senones.hash)
    return SimpleNamespace(root=root, senones=senones, segments=segments, states=states, lang=lang)


@pytest.fixture
def world(tmp_path: Path, lang: Lang) -> SimpleNamespace:
    return make_world(tmp_path / "world", lang, Senones.monophones(lang))


def run(*words: object) -> int:
    return main([str(word) for word in words])


def bring_in(world: SimpleNamespace, form: str, source: Path, out: str = "in", *options: object) -> FrameArchive:
    root = world.root
    assert (
        run("convert", "alignment", "--from", form, source, root / "features", root / "lang", root / out, *options) == 0
    )
    return FrameArchive(root / out, "alignment")


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("shift", [0.01, 0.0125])
def test_alignment_survives_export_and_import(tmp_path: Path, lang: Lang, form: str, shift: float) -> None:
    world = make_world(tmp_path / "world", lang, Senones.monophones(lang), shift)
    ours = world.root / "ali"
    options = [ours if word == "OURS" else word for word in FORMATS[form]]
    assert run("convert", "alignment", "--to", form, ours, tmp_path / "out", *(options if form == "phn" else [])) == 0
    found = bring_in(world, form, tmp_path / "out", "in", *options)
    source = FrameArchive(ours)
    assert list(found) == list(source)
    for utterance in source:
        assert found.part(utterance, "phones").tolist() == source.part(utterance, "phones").tolist()
        if form == "kaldi":
            assert found[utterance].tolist() == source[utterance].tolist()
    assert (found.folder / "phones.ctm").read_bytes() == (ours / "phones.ctm").read_bytes()
    if form != "kaldi":
        assert (found.folder / "words.ctm").read_bytes() == (ours / "words.ctm").read_bytes()
    assert Senones.read(found.folder).hash == world.senones.hash == found.meta["senones"]


def test_handwritten_textgrid_is_read(tmp_path: Path) -> None:
    write_textgrid(tmp_path / "a", 0.5, {"words": [Interval(0.1, 0.4, 'say "oh"')], "phones": []})
    assert (tmp_path / "a").read_text() == (
        'File type = "ooTextFile"\nObject class = "TextGrid"\n\nxmin = 0\nxmax = 0.5\ntiers? <exists>\nsize = 2\n'
        'item []:\n    item [1]:\n        class = "IntervalTier"\n        name = "words"\n        xmin = 0\n'
        "        xmax = 0.5\n        intervals: size = 3\n"
        '        intervals [1]:\n            xmin = 0\n            xmax = 0.1\n            text = ""\n'
        '        intervals [2]:\n            xmin = 0.1\n            xmax = 0.4\n            text = "say ""oh"""\n'
        '        intervals [3]:\n            xmin = 0.4\n            xmax = 0.5\n            text = ""\n'
        '    item [2]:\n        class = "IntervalTier"\n        name = "phones"\n        xmin = 0\n'
        "        xmax = 0.5\n        intervals: size = 1\n"
        '        intervals [1]:\n            xmin = 0\n            xmax = 0.5\n            text = ""\n'
    )
    end, tiers = read_textgrid(tmp_path / "a")
    assert end == 0.5
    assert [label for _, _, label in tiers["words"]] == ["", 'say "oh"', ""]


SHORT = """File type = "ooTextFile"
Object class = "TextGrid"

0
0.3
<exists>
3
"TextTier"
"notes"
0
0.3
1
0.1
"a [1] note"
"IntervalTier"
"ann - phones"
0
0.3
2
0
0.1
"ə"
0.1
0.3
"B"
"IntervalTier"
"ann - words"
0
0.3
1
0
0.3
"ab"
"""


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-8-sig"])
def test_textgrids_of_praat_and_mfa_are_read(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "a").write_text(SHORT, encoding=encoding)
    found = textgrid_transcription(tmp_path / "a", "u")
    assert found.phones == [Interval(0, 0.1, "ə"), Interval(0.1, 0.3, "B")]
    assert found.words == [Interval(0, 0.3, "ab")]


def test_states_share_frames_and_gaps_are_silence(world: SimpleNamespace, caplog: pytest.LogCaptureFixture) -> None:
    """A phone of seven frames, a gap, phones that are shorter than their states, one that is shorter than a frame."""
    utterance = "Speaker0_utt1"
    rows = FrameArchive(world.root / "features").rows(utterance)
    spoken = [(0.0, 0.07, "A0"), (0.10, 0.12, "B"), (0.12, 0.124, "C"), (0.124, 0.13, "D2"), (0.13, 0.17, "sp")]
    source = world.root / "phones.ctm"
    others = (world.root / "ali" / "phones.ctm").read_text().splitlines(keepends=True)
    lines = [f"{utterance} 1 {begin} {end - begin} {phone}\n" for begin, end, phone in spoken]
    source.write_text("".join([*lines, *(line for line in others if not line.startswith(utterance))]))
    found = bring_in(world, "ctm", source, "in", "--strip-stress")
    a, b, d = (world.senones.states[phone] for phone in "ABD")
    assert found[utterance][:7].tolist() == [a[0]] * 2 + [a[1]] * 3 + [a[2]] * 2
    assert found[utterance][7:10].tolist() == [0, 2, 4]
    assert found[utterance][10:13].tolist() == [b[0], b[2], d[1]]
    rest = found[utterance][13:]
    assert np.bincount(rest, minlength=5).tolist() == pytest.approx([(rows - 13) / 5] * 5, abs=1)
    assert found.part(utterance, "phones").tolist() == [1] * 7 + [0] * 3 + [2] * 2 + [4] + [0] * (rows - 13)
    assert_names(caplog.text, 3, 1, utterance)


def test_self_loops_are_counted(world: SimpleNamespace) -> None:
    bring_in(world, "ctm", world.root / "ali")
    senones, found = Senones.read(world.root / "in"), FrameArchive(world.root / "in")
    senone = world.senones.states["A"][1]
    runs = [list(group) for name in found for value, group in itertools.groupby(found[name]) if value == senone]
    frames = sum(map(len, runs))
    assert senones.self_loop[senone] == pytest.approx(np.log((frames - len(runs) + 3) / (frames + 4)))
    assert np.all(senones.self_loop < 0)


def test_timit_file_names_are_matched(world: SimpleNamespace) -> None:
    assert run("convert", "alignment", "--to", "phn", world.root / "ali", world.root / "out", "--rate", 16000) == 0
    for path in (world.root / "out").glob("Speaker*"):
        speaker, name = path.stem.split("_")
        (world.root / "timit" / speaker.lower()).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, world.root / "timit" / speaker.lower() / f"{name}{path.suffix}".lower())
    found = bring_in(world, "phn", world.root / "timit", "in", "--rate", 16000)
    assert (found.folder / "words.ctm").read_bytes() == (world.root / "ali" / "words.ctm").read_bytes()
    made = found.folder.stat().st_ino
    bring_in(world, "phn", world.root / "timit", "in", "--rate", 16000)
    assert found.folder.stat().st_ino == made
    (world.root / "timit" / "speaker1" / "utt3.wrd").write_text("")  # in a folder of the folder
    bring_in(world, "phn", world.root / "timit", "in", "--rate", 16000)
    assert found.folder.stat().st_ino != made
    assert found.part("Speaker1_utt3", "phones").tolist() == [phone for phone, _, _ in world.states["Speaker1_utt3"]]


def test_words_may_overlap(world: SimpleNamespace) -> None:
    """As TIMIT's do where two words share a sound; a tier of a TextGrid cannot show it."""
    assert run("convert", "alignment", "--to", "phn", world.root / "ali", world.root / "out", "--rate", 16000) == 0
    (world.root / "out" / "Speaker1_utt3.WRD").write_text("0 3200 was\n2400 6400 saw\n")
    found = bring_in(world, "phn", world.root / "out", "in", "--rate", 16000)
    lines = [line for line in (found.folder / "words.ctm").read_text().splitlines() if "Speaker1_utt3" in line]
    assert lines == ["Speaker1_utt3 1 0.000 0.200 was", "Speaker1_utt3 1 0.150 0.250 saw"]
    assert run("convert", "alignment", "--to", "textgrid", found.folder, world.root / "grids") == 0
    _, tiers = read_textgrid(world.root / "grids" / "Speaker1_utt3.TextGrid")
    assert tiers["words"][:2] == [Interval(0, 0.2, "was"), Interval(0.2, 0.4, "saw")]


# Kaldi


def kaldi_tree(tree, index: dict[str, int]) -> str:
    if isinstance(tree, int):
        return f"CE {tree}"
    side = next(side for side in ("left", "right") if side in tree)
    asked = " ".join(str(number) for number in sorted(index[phone] for phone in tree[side].split()))
    yes, no = (kaldi_tree(tree[answer], index) for answer in ("yes", "no"))
    return f"SE {0 if side == 'left' else 2} [ {asked} ]\n{{ {yes} {no} }}"


def write_kaldi(folder: Path, senones: Senones) -> list[tuple[int, int, int]]:
    """final.txt, tree.txt and phones.txt as Kaldi would write them; returns its (phone, state, pdf)."""
    folder.mkdir(exist_ok=True)
    index = {phone: number for number, phone in enumerate(senones.phones, 1)}
    symbols = ["<eps>", *senones.phones, "#0", "#1"]
    (folder / "phones.txt").write_text("".join(f"{symbol} {number}\n" for number, symbol in enumerate(symbols)))
    entries = []
    for phones, length in ((senones.phones[1:], 3), (senones.phones[:1], 5)):
        states = "".join(
            f"<State> {n} <PdfClass> {n} <Transition> {n} 0.75 <Transition> {n + 1} 0.25 </State> \n"
            for n in range(length)
        )
        numbers = " ".join(str(index[phone]) for phone in phones)
        head = f"<TopologyEntry> \n<ForPhones> \n{numbers} \n</ForPhones> \n"
        entries.append(f"{head}{states}<State> {length} </State> \n</TopologyEntry> \n")
    contexts = itertools.product(senones.phones, repeat=3)
    pdfs = ((b, between(senones, a, b, c)) for a, b, c in contexts)
    triples = sorted({(index[b], state, pdf) for b, some in pdfs for state, pdf in enumerate(some)})
    listed = "".join(f"{phone} {state} {pdf} \n" for phone, state, pdf in triples)
    (folder / "final.txt").write_text(
        f"<TransitionModel> \n<Topology> \n{''.join(entries)}</Topology> \n"
        f"<Triples> {len(triples)} \n{listed}</Triples> \n<LogProbs> \n [ 0 -0.287682 -1.38629 ]\n</LogProbs> \n"
        "</TransitionModel> \n<DIMENSION> 39 <NUMPDFS> 21 <DiagGMM> \n"
    )
    roots = []
    for phone in senones.phones:
        classes = [kaldi_tree(tree, index) for tree in senones.states[phone]]
        roots.append(f"TE -1 {len(classes)} ( {' '.join(classes)} ) \n")
    (folder / "tree.txt").write_text(
        f"ContextDependency 3 1 ToPdf TE 1 {len(roots) + 1} ( NULL {''.join(roots)}) \nEndContextDependency "
    )
    return triples


def transition_ids(path: list[tuple[int, int, int]], triples: list[tuple[int, int, int]], reorder: bool) -> np.ndarray:
    """Kaldi's numbers of a path of (phone index, state, pdf): of each state a self loop and a way out, in turn."""
    ids: list[int] = []
    steps = [(phone + 1, state, pdf) for phone, state, pdf in path]
    for triple, group in itertools.groupby(steps):
        loop, out = 2 * triples.index(triple) + 1, 2 * triples.index(triple) + 2
        loops = [loop] * (len(list(group)) - 1)
        ids += [out, *loops] if reorder else [*loops, out]
    return np.array(ids, np.int32)


def write_ali(world: SimpleNamespace, folder: Path, reorder: bool = True, model: Senones | None = None) -> Path:
    """Kaldi's model of `model` with the world's alignment over two gzipped archives, the second numbered 10."""
    triples = write_kaldi(folder, model or world.senones)
    ids = {name: transition_ids(path, triples, reorder) for name, path in world.states.items()}
    for number, names in ((2, list(ids)[:2]), (10, list(ids)[2:])):
        kaldi.write(folder / "a.ark", ((name, ids[name]) for name in names))
        (folder / f"ali.{number}.gz").write_bytes(gzip.compress((folder / "a.ark").read_bytes()))
    return folder


@pytest.mark.parametrize("reorder", [True, False])
def test_transition_ids(tmp_path: Path, lang: Lang, tied: Senones, reorder: bool) -> None:
    world = make_world(tmp_path / "world", lang, tied)
    ali = write_ali(world, tmp_path / "kaldi", reorder)
    found = bring_in(world, "kaldi", ali, "in", "--model", ali / "final.txt", "--tree", ali / "tree.txt")
    for utterance, path in world.states.items():
        assert found[utterance].tolist() == [pdf for _, _, pdf in path]
        assert found.part(utterance, "phones").tolist() == [phone for phone, _, _ in path]
    assert (found.folder / "phones.ctm").read_text() == (world.root / "ali" / "phones.ctm").read_text()
    senones = Senones.read(found.folder)
    for left, phone, right in itertools.product(tied.phones, repeat=3):
        assert between(senones, left, phone, right) == between(tied, left, phone, right)


def test_monophones_need_no_tree(world: SimpleNamespace) -> None:
    ali = write_ali(world, world.root / "kaldi")
    bring_in(world, "kaldi", ali, "in", "--model", ali / "final.txt")
    assert Senones.read(world.root / "in").hash == world.senones.hash


def test_transition_ids_are_those_of_kaldi(tmp_path: Path) -> None:
    """Silence's HMM has jumps and shares its pdfs with noise; places in the word share a tree, or do not.

    Numbers as Kaldi gives them: transition-ids 1 to 18 leave SIL, 19 to 36 leave SPN.
    """
    jumps = " ".join(f"<Transition> {target} 0.25" for target in range(4))
    middle = " ".join(f"<Transition> {target} 0.25" for target in range(1, 5))
    silence = [f"0 <PdfClass> 0 {jumps}", *(f"{n} <PdfClass> {n} {middle}" for n in (1, 2, 3))]
    silence += ["4 <PdfClass> 4 <Transition> 4 0.75 <Transition> 5 0.25", "5"]
    speech = [*(f"{n} <PdfClass> {n} <Transition> {n} 0.75 <Transition> {n + 1} 0.25" for n in range(3)), "3"]
    entries = [("3 4 5", speech), ("1 2", silence)]
    topology = " ".join(
        f"<TopologyEntry> <ForPhones> {phones} </ForPhones> {' '.join(f'<State> {s} </State>' for s in states)} "
        "</TopologyEntry>"
        for phones, states in entries
    )
    pdfs = {1: range(5), 2: range(5), 3: [5, 6, 7], 4: [8, 9, 10], 5: [8, 9, 10]}
    triples = [f"{phone} {state} {pdf}" for phone, states in pdfs.items() for state, pdf in enumerate(states)]
    (tmp_path / "final.txt").write_text(
        f"<TransitionModel> <Topology> {topology} </Topology> <Triples> {len(triples)} {' '.join(triples)} </Triples>"
    )
    model = read_transitions(tmp_path / "final.txt")
    assert len(model.phone) - 1 == 54
    assert np.flatnonzero(model.loop).tolist() == [1, 5, 10, 15, 17, 19, 23, 28, 33, 35, *range(37, 54, 2)]
    assert np.flatnonzero(model.target < 0).tolist() == [18, 36, 42, 48, 54]
    assert model.pdf[[16, 34, 37, 43, 49]].tolist() == [3, 3, 5, 8, 8]
    found = senones_of(model, {1: "SIL", 2: "SPN", 3: "A_B", 4: "A_E", 5: "B_S"}, "SIL", None)
    assert between(found, "SIL", "A_B", "SIL") == [5, 6, 7]
    assert between(found, "SIL", "A_E", "SIL") == between(found, "SIL", "B_S", "SIL") == [8, 9, 10]
    assert between(found, "A_B", "SPN", "SIL") == found.silence == [0, 1, 2, 3, 4]
    # SIL by 0 → 2 → 1 → 4, then A_B in three frames, self loops last
    path = np.array([3, 1, 9, 8, 18, 17, 38, 40, 42])
    assert model.segments(path, "u", tmp_path).tolist() == [0, 6]


# What does not fit


def command(world: SimpleNamespace, form: str, source: Path, *options: object) -> list[object]:
    return [
        "convert",
        "alignment",
        "--from",
        form,
        source,
        world.root / "features",
        world.root / "lang",
        world.root / "in",
        *options,
    ]


def test_other_utterances_are_refused(world: SimpleNamespace, capsys: pytest.CaptureFixture) -> None:
    lines = (world.root / "ali" / "phones.ctm").read_text().splitlines(keepends=True)
    source = world.root / "phones.ctm"
    source.write_text("".join(f"x{line}" for line in lines))
    assert_refused(command(world, "ctm", source), source, "xSpeaker0_utt0", world.root / "features", "Speaker0_utt0")
    source.write_text("".join(line for line in lines if not line.startswith("Speaker2_utt5")) + "stranger 1 0 1 A\n")
    assert_refused(command(world, "ctm", source), source, "1 of", "16.7 %", "Speaker2_utt5", "--max-left-out")
    assert run(*command(world, "ctm", source, "--max-left-out", 20)) == 0
    printed = capsys.readouterr()
    assert FrameArchive(world.root / "in").meta["left_out"] == ["Speaker2_utt5"]
    assert not (world.root / "in").joinpath("phones.ctm").read_text().count("stranger"), printed


@pytest.mark.parametrize(
    ("old", "new", "names"),
    [
        (" A\n", " ZH\n", ["utterance Speaker1_utt3", "'ZH'"]),
        (" A\n", " A1\n", ["utterance Speaker1_utt3", "'A1'", "--strip-stress"]),
        ("utt3 1 0.000 0.", "utt3 1 0.000 1.", ["utterance Speaker1_utt3", "'A'", "0.090", "0.160 s", "1.090 s"]),
        ("utt3 1 0.000", "utt3 1 zero", ["line 24"]),
        ("Speaker0_utt1 1 0.000", "Speaker2_utt5 1 0.000", ["utterance Speaker2_utt5", "twice"]),
    ],
)
def test_bad_ctm_is_refused(world: SimpleNamespace, old: str, new: str, names: list[str]) -> None:
    source = world.root / "phones.ctm"
    source.write_text((world.root / "ali" / "phones.ctm").read_text().replace(old, new))
    assert_refused(command(world, "ctm", source), source, *names)


def textgrids(world: SimpleNamespace, **phones: list[Interval]) -> Path:
    """The world's TextGrids, some with other phones."""
    out = world.root / "grids"
    assert run("convert", "alignment", "--to", "textgrid", world.root / "ali", out) == 0
    for utterance, intervals in phones.items():
        write_textgrid(out / f"{utterance}.TextGrid", 0.5, {"words": [], "phones": intervals})
    return out


@pytest.mark.parametrize(
    ("intervals", "names"),
    [
        ([], ["'phones'", "empty"]),
        ([Interval(0, 0.3, "A"), Interval(0.3, 0.5, "B")], ["'B'", "0.200", "0.500 s", "0.300 s"]),
        ([Interval(0, 0.3, "Ä")], ["0.000 s", "'Ä'"]),
        ([Interval(0, 0.3, "A")], ["0.500 s", "50 frames", "66 frames"]),
    ],
)
def test_bad_textgrid_is_refused(world: SimpleNamespace, intervals: list[Interval], names: list[str]) -> None:
    rows = FrameArchive(world.root / "features").rows("Speaker1_utt2")
    source = textgrids(world, Speaker1_utt2=intervals)
    assert rows == 66
    if "50 frames" not in names:
        path = source / "Speaker1_utt2.TextGrid"
        write_textgrid(path, max(0.5, rows * 0.01), {"phones": intervals})
    if "'B'" in names:
        path.write_text(path.read_text().replace("xmin = 0.3\n", "xmin = 0.2\n"))
    path = source / "Speaker1_utt2.TextGrid"
    assert_refused(command(world, "textgrid", source), path, "utterance Speaker1_utt2", *names)


def test_damaged_textgrid_is_refused(world: SimpleNamespace) -> None:
    source = textgrids(world)
    path = source / "Speaker1_utt2.TextGrid"
    whole = path.read_text()
    for content, names in [
        (whole[: len(whole) // 2], ["TextGrid"]),
        ("ooBinaryFile", ["TextGrid"]),
        (whole.replace('"phones"', '"sounds"'), ["'phones'", "words", "sounds"]),
    ]:
        path.write_text(content)
        assert_refused(command(world, "textgrid", source), path, *names)


def test_bad_phn_is_refused(world: SimpleNamespace) -> None:
    assert_refused(command(world, "phn", world.root), "--rate")
    assert run("convert", "alignment", "--to", "phn", world.root / "ali", world.root / "out", "--rate", 16000) == 0
    names = ["utterance Speaker0_utt0", "14 frames", "7 frames"]
    assert_refused(command(world, "phn", world.root / "out", "--rate", 8000), *names)
    (world.root / "out" / "Speaker1_utt2.PHN").write_text("0 100\n")
    names = [world.root / "out" / "Speaker1_utt2.PHN", "line 1"]
    assert_refused(command(world, "phn", world.root / "out", "--rate", 16000), *names)


def test_bad_kaldi_alignment_is_refused(tmp_path: Path, lang: Lang, tied: Senones) -> None:
    world = make_world(tmp_path / "world", lang, tied)
    ali = write_ali(world, tmp_path / "kaldi")
    model, tree = ["--model", ali / "final.txt"], ["--tree", ali / "tree.txt"]
    assert_refused(command(world, "kaldi", ali, *model), ali / "final.txt", "A", "--tree")
    assert_refused(command(world, "kaldi", ali), "--model")

    archive = ali / "ali.10.gz"
    whole = archive.read_bytes()
    archive.write_bytes(whole[:-20])
    assert_refused(command(world, "kaldi", ali, *model, *tree), archive, "utterance Speaker2_utt5")

    longer = [(name, np.append(ids, ids[-1])) for name, ids in kaldi.read(ali / "ali.2.gz")]
    kaldi.write(ali / "b.ark", longer)
    rows = len(world.states["Speaker0_utt0"])
    names = [ali / "b.ark", "utterance Speaker0_utt0", f"{rows + 1} frames", rows, world.root / "features"]
    assert_refused(command(world, "kaldi", ali / "b.ark", *model, *tree), *names)

    archive.write_bytes(whole)
    (ali / "phones.txt").write_text((ali / "phones.txt").read_text().replace("D 5", "D 9"))
    (world.root / "lang" / "phones.txt").write_text((ali / "phones.txt").read_text())
    assert_refused(command(world, "kaldi", ali, *model, *tree), ali / "final.txt", "phones.txt", 5)


def test_another_model_or_tree_is_refused(tmp_path: Path, lang: Lang, tied: Senones) -> None:
    world = make_world(tmp_path / "world", lang, tied)
    ali = write_ali(world, tmp_path / "kaldi")
    other = tmp_path / "other"
    write_kaldi(other, Senones.monophones(lang))
    model, tree = ["--model", ali / "final.txt"], ["--tree", ali / "tree.txt"]
    foreign = other / "tree.txt"
    assert_refused(command(world, "kaldi", ali, *model, "--tree", foreign), foreign, ali / "final.txt", "A")
    names = [ali / "ali.2.gz", "utterance Speaker0_utt1", 42, other / "final.txt", 34]
    assert_refused(command(world, "kaldi", ali, "--model", other / "final.txt"), *names)

    text = (ali / "final.txt").read_text()
    for content, name in [(text[: text.index("</Triples>") - 9], "text"), ("\0B" + text, "gmm-copy")]:
        (ali / "final.txt").write_text(content)
        assert_refused(command(world, "kaldi", ali, *model, *tree), ali / "final.txt", name)
    (ali / "final.txt").write_text(text)
    (ali / "tree.txt").write_text((ali / "tree.txt").read_text()[:-40])
    assert_refused(command(world, "kaldi", ali, *model, *tree), ali / "tree.txt")


def test_chain_models_are_refused(tmp_path: Path) -> None:
    (tmp_path / "final.txt").write_text(
        "<TransitionModel> <Topology> <TopologyEntry> <ForPhones> 1 2 </ForPhones> <State> 0 <ForwardPdfClass> 0 "
        "<SelfLoopPdfClass> 1 <Transition> 0 0.5 <Transition> 1 0.5 </State> <State> 1 </State> </TopologyEntry> "
        "</Topology> <Tuples> 2 1 0 0 1 2 0 2 3 </Tuples>"
    )
    model = read_transitions(tmp_path / "final.txt")
    assert model.pdf.tolist()[1:] == [1, 0, 3, 2]
    with refused(tmp_path / "final.txt", "chain"):
        senones_of(model, {1: "SIL", 2: "A"}, "SIL", None)


def test_senones_of_another_inventory_are_refused(world: SimpleNamespace) -> None:
    ours, out = world.root / "ali", world.root / "out"
    assert run("convert", "alignment", "--to", "kaldi", ours, out) == 0
    whole = list(kaldi.read(out / "ali.ark"))
    kaldi.write(out / "ali.ark", [(name, frames[::-1]) for name, frames in whole])
    names = [out / "ali.ark", "utterance Speaker0_utt1", out / "phones.ark"]
    assert_refused(command(world, "kaldi", out, "--model", ours), *names)
    kaldi.write(out / "ali.ark", whole[:-1])
    assert_refused(command(world, "kaldi", out, "--model", ours), out / "phones.ark", "utterance Speaker2_utt5")


def test_export_without_all_phones_is_refused(world: SimpleNamespace) -> None:
    ours, out = world.root / "ali", world.root / "out"
    lines = (ours / "phones.ctm").read_text().splitlines(keepends=True)
    (ours / "phones.ctm").write_text("".join(lines[:-1]))
    assert_refused(["convert", "alignment", "--to", "textgrid", ours, out], "Speaker2_utt5", "phones.ctm", "frame")
    (ours / "phones.ctm").unlink()
    assert_refused(["convert", "alignment", "--to", "ctm", ours, out], ours, "phones.ctm")
    assert run("convert", "alignment", "--to", "kaldi", ours, out) == 0


@pytest.mark.slow
def test_network_trains_on_an_imported_alignment(world: SimpleNamespace) -> None:
    bring_in(world, "ctm", world.root / "ali")
    size = ["--layers", 1, "--width", 8, "--epochs", 1]
    assert run("nnet", "train", world.root / "features", world.root / "in", world.root / "model", *size) == 0


@pytest.mark.parametrize(("tier", "size"), [("notes", 1), ("ann - phones", 2), ("ann - words", 1)])
@pytest.mark.parametrize("more", [-1, 1])
def test_wrong_sizes_of_tiers_are_refused(tmp_path: Path, tier: str, size: int, more: int) -> None:
    head = f'"{tier}"\n0\n0.3\n'
    (tmp_path / "a").write_text(SHORT.replace(f"{head}{size}\n", f"{head}{size + more}\n"))
    with refused(tmp_path / "a", tier, size, size + more):
        read_textgrid(tmp_path / "a")


def test_blanks_in_words_do_not_reach_a_ctm(tmp_path: Path) -> None:
    (tmp_path / "a").write_text(SHORT.replace('"ab"', '"gas\nto  go"'))
    assert [word.label for word in textgrid_transcription(tmp_path / "a", "u").words] == ["gas_to_go"]


@pytest.mark.parametrize(
    "line", ["u 1 0.0 nan A", "u 1 inf 0.1 A", "u 1 -1 0.1 A", "u 1 0.1 -0.1 A", "my u 1 0.0 0.1 A"]
)
def test_impossible_lines_of_a_ctm_are_refused(tmp_path: Path, line: str) -> None:
    (tmp_path / "a.ctm").write_text(f"u 1 0.0 0.1 B\n{line}\n")
    with refused(tmp_path / "a.ctm", "line 2"):
        list(read_ctm(tmp_path / "a.ctm"))
