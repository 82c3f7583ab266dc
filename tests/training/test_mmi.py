"""LF-MMI: phone n-gram and graph against slow counting, forward-backward against all paths, planted corpora."""

import dataclasses
import itertools
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from asrdistill.cli import main
from asrdistill.data.archive import FrameArchive, ShardWriter, finish
from asrdistill.decode.acoustic import load_scorer
from asrdistill.distill.train import train_model
from asrdistill.hmm.align import PARTS
from asrdistill.hmm.denominator import DenominatorGraph, PhoneNgram
from asrdistill.hmm.senones import Senones
from asrdistill.models.io import load_network, load_with
from asrdistill.reader import read_json
from asrdistill.scoring.edit_distance import count_errors
from asrdistill.training import loop
from asrdistill.training.mmi import Denominator, MmiTargets, numerator
from asrdistill.training.options import TrainOptions
from tests.refusals import refused

from .test_distributed import torchrun

PHONES = ["SIL", "A", "B", "C", "D"]
OPTIONS = TrainOptions(architecture="tdnn", width=24, left=6, right=2, dilations=[1, 2], epochs=4, batch=200, chunk=20)
OPTIONS = dataclasses.replace(OPTIONS, loss="mmi", learning_rate=5e-3, precision="float32", phone_order=3, tolerance=2)
NEXT = {0: [1, 3], 1: [2, 3], 2: [0, 1, 2, 4], 3: [4], 4: [0, 1]}  # phones that follow a phone


def inventory(kind: str) -> Senones:
    """Trees that ask about neither, the left or both neighbours; or phones of two states for every third frame."""
    ids = itertools.count()
    left = {"left": "A C", "yes": 0, "no": 0}
    right = {"right": "B SIL", "yes": 0, "no": 0}

    def numbered(tree):
        return {**tree, "yes": next(ids), "no": next(ids)} if isinstance(tree, dict) else next(ids)

    trees = {"monophones": [0, 0, 0], "left": [left, 0, left], "both": [left, 0, right], "low": [left, 0]}[kind]
    states = {phone: [numbered(tree if phone != "SIL" else 0) for tree in trees] for phone in PHONES}
    loops = np.log(np.random.default_rng(2).uniform(0.3, 0.8, next(ids)))
    return Senones(PHONES, states, loops, subsampling=3 if kind == "low" else 1)


class Spoken:
    """Utterances of phones of random lengths, in the order that NEXT allows; frame = mean of its senone + noise."""

    def __init__(self, folder: Path, kind: str = "left", utterances: int = 40, noise: float = 0.8, longest: int = 8):
        self.senones, rng = inventory(kind), np.random.default_rng(1)
        self.features, self.alignment, self.phones = folder / "features", folder / "alignment", {}
        means, labels, frames = rng.normal(size=(self.senones.count, 6)), {}, {}
        for name in (f"utt{i:03d}" for i in range(utterances)):
            said = [0]
            while len(said) < 12 or said[-1] != 0:
                said.append(int(rng.choice(NEXT[said[-1]])))
            lengths = rng.integers(4, longest + 1, len(said))
            beside = [0, *said, 0]
            last = int(self.senones.lengths[0]) - 1
            rows = [
                (beside[i], phone, beside[i + 2], min(t // 3 if kind == "low" else t, last))
                for i, phone in enumerate(said)
                for t in range(lengths[i])
            ]
            labels[name] = (self.senones.find(np.array(rows)), np.repeat(said, lengths).astype(np.int16))
            frames[name] = means[labels[name][0]] + noise * rng.normal(size=(len(rows), 6))
            self.phones[name] = said
        write(self.features, "features", {"frames": ("<f4", (6,))}, {u: (x,) for u, x in frames.items()})
        self.align(self.alignment, labels)

    def align(self, folder: Path, labels: dict, parts: dict = PARTS) -> None:
        write(folder, "alignment", parts, labels, senones=self.senones.hash)
        self.senones.write(folder)

    def labels(self) -> dict:
        archive = FrameArchive(self.alignment)
        return {name: (np.array(archive[name]), np.array(archive.part(name, "phones"))) for name in archive}

    def targets(self, **options) -> MmiTargets:
        options = dataclasses.replace(OPTIONS, stride=self.senones.subsampling, **options)
        return MmiTargets(FrameArchive(self.alignment), self.senones, options)


def write(folder: Path, kind: str, parts: dict, rows: dict, **meta) -> None:
    folder.mkdir(parents=True)
    writer = ShardWriter(folder, 0, parts)
    for name, arrays in rows.items():
        writer.write(name, **dict(zip(parts, arrays, strict=True)))
    features = {"features": {"type": "fbank", "rate": 8000, "bins": 6}} if kind == "features" else {}
    finish(folder, kind, parts, [writer.close()], frame_shift=0.01, **features, **meta)


def chunks(targets: MmiTargets, frames: int, count: int = 6, seed: int = 0) -> tuple[list, torch.Tensor]:
    """Rows of some chunks of `frames` outputs, and which of these are within their utterance."""
    rng, stride = np.random.default_rng(seed), targets.options.stride
    rows = targets.gather(targets.utterances)
    lengths = [targets.alignment.rows(name) for name in targets.utterances]
    ends = np.cumsum(lengths)
    first = rng.integers(0, ends[-1], count)
    places = torch.from_numpy(first)[:, None] + stride * torch.arange(frames)
    inside = places < torch.from_numpy(ends[np.searchsorted(ends, first, "right")])[:, None]
    return [row[places[inside]] for row in rows], inside


KINDS = ["monophones", "left", "both", "low"]


@pytest.fixture(params=KINDS)
def spoken(request, tmp_path):
    return Spoken(tmp_path, request.param)


# ---- phone n-gram and graph


@pytest.mark.parametrize("histories", [0, 5, 1000])
def test_phone_ngram_is_relative_frequencies_after_the_longest_kept_history(histories):
    rng = np.random.default_rng(0)
    sequences = [rng.integers(0, 4, rng.integers(1, 9)) for _ in range(60)]
    model = PhoneNgram(iter(sequences), 4, 4, histories)
    padded = [("#", "#", "#", *map(int, said), "#") for said in sequences]
    seen = Counter(said[t - n : t] for said in padded for t in range(3, len(said)) for n in (1, 2, 3))
    longer = sorted((count for history, count in seen.items() if len(history) > 1), reverse=True)
    least = 1 if histories >= len(longer) else longer[histories] + 1
    kept = {history for history, count in seen.items() if len(history) == 1 or count >= least}
    assert len(model.last) == len(kept)
    counts: dict = {}
    for said in padded:
        for t in range(3, len(said)):
            history = next(said[t - n : t] for n in (3, 2, 1) if said[t - n : t] in kept)
            counts.setdefault(history, Counter())[said[t]] += 1
    number = {}
    for said, plain in zip(padded, sequences, strict=True):
        for t, found in enumerate(model.histories(plain), 3):
            history = next(said[t - n : t] for n in (3, 2, 1) if said[t - n : t] in kept)
            assert number.setdefault(history, found) == found
    for history, after in counts.items():
        for phone, count in after.items():
            expected = count / sum(after.values())
            arc = (model.source == number[history]) & (model.phone == phone)
            found = model.end[number[history]] if phone == "#" else model.probability[arc].item()
            assert found == pytest.approx(expected)
    assert len(model.source) == sum(phone != "#" for after in counts.values() for phone in after)
    total = np.bincount(model.source, model.probability, len(model.last)) + model.end
    np.testing.assert_allclose(total[sorted(set(number.values()))], 1)
    np.testing.assert_array_equal(model.histories(np.array([0, 1, 2]))[0], model.start)


def test_graph_has_the_senones_and_the_probability_of_every_utterance(spoken):
    targets = spoken.targets()
    graph, ngram = targets.graph, targets.graph.ngram
    arcs = dict(zip(zip(graph.source, graph.target, strict=True), graph.weight, strict=True))
    assert len(arcs) == len(graph.source)
    np.testing.assert_allclose(graph.initial.sum(), 1)
    out = graph.stay + np.bincount(graph.source, graph.weight, len(graph.senone))
    assert (out <= 1 + 1e-9).all()  # the rest: the utterance ends
    for name, (senone, _) in spoken.labels().items():
        phones, bounds = targets._phones(name)
        assert phones.tolist() == spoken.phones[name]
        instance = graph.instances(phones)
        number = np.repeat(np.arange(len(phones)), np.diff(bounds))
        node = graph.base[instance[number]] + spoken.senones.state[senone]
        np.testing.assert_array_equal(graph.senone[node], senone)
        links = [
            graph.link_weight[graph.links == a * len(graph.base) + b].item() for a, b in itertools.pairwise(instance)
        ]
        history = ngram.histories(phones)
        spoken_next = [
            ngram.probability[(ngram.source == h) & (ngram.phone == p)].item()
            for h, p in zip(history, phones, strict=False)
        ]
        share = [
            right_share(ngram, spoken.senones, history[i + 1], p, [*phones, 0][i + 1]) for i, p in enumerate(phones)
        ]
        assert np.prod(links) == pytest.approx(np.prod(spoken_next[1:]) * share[-1] / share[0])


def right_share(ngram, senones, history, phone, following) -> float:
    """Probability that one of the phones follows which give `phone` the senones that `following` does."""
    table, classes = senones.table, senones.contexts
    alike = [
        p for p in range(len(PHONES)) if (table[phone, :, classes[p]] == table[phone, :, classes[following]]).all()
    ]
    arcs = (ngram.source == history) & np.isin(ngram.phone, alike)
    return ngram.probability[arcs].sum() + (ngram.end[history] if 0 in alike else 0)


# ---- forward-backward


def by_all_paths(graph: DenominatorGraph, logits: np.ndarray, leak: float) -> float:
    """ln of the sum over all state sequences of initial · arcs · exp(logits), one after the other."""
    states = range(len(graph.senone))
    matrix = np.diag(graph.stay) + leak * graph.initial
    np.add.at(matrix, (graph.source, graph.target), graph.weight)
    total = 0.0
    for path in itertools.product(states, repeat=len(logits)):
        weight = graph.initial[path[0]]
        for a, b in itertools.pairwise(path):
            weight *= matrix[a, b]
        total += weight * np.exp(logits[np.arange(len(path)), graph.senone[list(path)]].sum()) if weight else 0
    return float(np.log(total))


@pytest.mark.parametrize("leak", [0.0, 0.1])
def test_denominator_is_the_sum_over_all_paths(leak):
    ngram = PhoneNgram(iter([np.array([0, 1, 0]), np.array([0, 1, 1])]), 2, 2, 0)
    graph = DenominatorGraph(ngram, Senones(["SIL", "A"], {"SIL": [0, 1], "A": [2, 3]}, np.log([0.2, 0.5, 0.6, 0.7])))
    logits = torch.randn(3, 5, 4, dtype=torch.float64)
    inside = torch.arange(5) < torch.tensor([5, 3, 1])[:, None]
    expected = [by_all_paths(graph, x[: int(n)].numpy(), leak) for x, n in zip(logits, inside.sum(1), strict=True)]
    for compute in (Denominator(graph, leak), Denominator(graph, leak).by_torch):
        np.testing.assert_allclose(compute(logits, inside), expected, rtol=1e-10)


def test_numerator_is_the_sum_over_paths_near_the_alignment(spoken):
    targets = spoken.targets()
    graph, stride = targets.graph, targets.options.stride
    arcs = dict(zip(zip(graph.source, graph.target, strict=True), graph.weight, strict=True))
    _, first, near = targets.gather(targets.utterances[:1])
    phones, bounds = targets._phones(targets.utterances[0])
    instance = graph.instances(phones)
    chain = [(i, j) for i in range(len(phones)) for j in range(graph.lengths[instance[i]])]
    for begin in (0, 4, len(first) - 1 - 3 * stride):
        at = [begin + k * stride for k in range(4)]
        logits = np.random.default_rng(begin).normal(size=(4, spoken.senones.count))
        allowed = [[(i, j) for i, j in chain if bounds[i] - 2 <= t < bounds[i + 1] + 2] for t in at]
        total = 0.0
        for path in itertools.product(*allowed):
            nodes = [graph.base[instance[i]] + j for i, j in path]
            weight = graph.initial[nodes[0]] * np.exp(logits[np.arange(4), graph.senone[nodes]].sum())
            for (i, j), (k, m), a, b in zip(path, path[1:], nodes, nodes[1:], strict=False):
                goes_on = (k == i and m == j + 1) or (k == i + 1 and m == 0)
                weight *= graph.stay[a] if (k, m) == (i, j) else arcs.get((a, b), 0) if goes_on else 0
            total += weight
        inside = torch.ones(1, 4, dtype=torch.bool)
        inputs = torch.from_numpy(logits)[None], first[at], near[at], inside
        found, exists = numerator(Denominator(graph, 0), *inputs)
        assert exists.item() == (total > 0)
        if total:
            assert found.item() == pytest.approx(np.log(total), rel=1e-9)


def test_both_ways_agree_in_value_and_gradient(spoken):
    for leak, dtype, tolerance in ((0.0, torch.float64, 1e-9), (1e-3, torch.float32, 2e-4)):
        targets = spoken.targets(leak=leak)
        _, inside = chunks(targets, 12, count=70)  # of which 32 are computed at a time
        logits = (3 * torch.randn(*inside.shape, spoken.senones.count, dtype=dtype)).requires_grad_()
        found = []
        for compute in (targets._denominator, targets._denominator.by_torch):
            values = compute(logits, inside)
            (gradient,) = torch.autograd.grad((values * torch.arange(70)).sum(), logits)
            found.append((values, gradient))
            posteriors = torch.autograd.grad(compute(logits, inside).sum(), logits)[0].sum(-1)
            torch.testing.assert_close(posteriors, inside.to(dtype), atol=tolerance, rtol=0)
        for one, other in zip(*found, strict=True):
            torch.testing.assert_close(one, other, atol=tolerance * 70, rtol=tolerance)


def test_gradient_is_that_of_finite_differences(spoken):
    targets = spoken.targets(leak=1e-3, cross_entropy_weight=0.3, output_l2=0.01)
    rows, inside = chunks(targets, 6, count=3)
    logits = torch.randn(*inside.shape, 2 * spoken.senones.count, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(targets.chunk_loss(logits, rows, inside), logits)
    for _ in range(20):
        step = 1e-5 * torch.randn_like(logits)
        with torch.no_grad():
            up, down = (targets.chunk_loss(logits + sign * step, rows, inside) for sign in (1, -1))
        assert (gradient * step).sum().item() == pytest.approx((up - down).item() / 2, rel=1e-5, abs=1e-10)
    assert targets.pathless == 0


def test_taught_by_itself_a_student_has_no_gradient_and_the_least_loss(spoken):
    """Without a hard weight the gradient is that of a cross-entropy: the student's posteriors less the teacher's."""
    targets = spoken.targets(cross_entropy_weight=0, output_l2=0, hard_weight=0)
    targets.taught = True
    rows, inside = chunks(targets, 6, count=3)
    shape = (*inside.shape, spoken.senones.count)
    teacher, other = torch.randn(shape, dtype=torch.float64), torch.randn(shape, dtype=torch.float64)
    rows[3] = targets.posteriors(teacher, inside)
    assert rows[3].sum(1).allclose(torch.ones_like(rows[3][:, 0]))

    def loss(logits: torch.Tensor) -> tuple[float, torch.Tensor]:
        logits = logits.clone().requires_grad_()
        value = targets.chunk_loss(logits, rows, inside)
        return value.item(), torch.autograd.grad(value, logits)[0][inside]

    least, none = loss(teacher)
    assert none.abs().max() < 1e-9
    torch.testing.assert_close(loss(other)[1], targets.posteriors(other, inside) - rows[3])
    for seed in range(20):
        torch.manual_seed(seed)
        assert loss(teacher + 0.3 * torch.randn(shape, dtype=torch.float64))[0] > least


def test_utterances_without_an_alignment_have_the_teacher_alone(tmp_path):
    spoken = Spoken(tmp_path)
    labels = spoken.labels()
    spoken.align(tmp_path / "some", {name: labels[name] for name in list(labels)[5:]})
    options = dataclasses.replace(OPTIONS, output_l2=0, hard_weight=3.0)
    targets = MmiTargets(FrameArchive(tmp_path / "some"), spoken.senones, options, FrameArchive(spoken.features))
    targets.taught = True
    inside = torch.ones(2, 10, dtype=torch.bool)
    for names, alone in ((list(labels)[:5], True), (list(labels)[5:], False)):
        rows = [row[:20] for row in targets.gather(names)]
        logits, teacher = torch.randn(2, 2, 10, spoken.senones.count, dtype=torch.float64)
        rows[3] = targets.posteriors(teacher, inside)
        whole = torch.cat([logits, logits], -1).requires_grad_()
        (gradient,) = torch.autograd.grad(targets.chunk_loss(whole, rows, inside), whole)
        expected = torch.nn.functional.pad(targets.posteriors(logits, inside) - rows[3], (0, spoken.senones.count))
        assert gradient[inside].allclose(expected) == alone
    assert targets.pathless == 0


@pytest.mark.parametrize("scale", [0.0, 1.0, 10.0])
@pytest.mark.parametrize("leak", [0.0, 1e-5])
def test_objective_is_never_above_zero(spoken, scale, leak):
    targets = spoken.targets(cross_entropy_weight=0, output_l2=0, leak=leak, tolerance=4)
    for seed in range(3):
        rows, inside = chunks(targets, 15, count=40, seed=seed)
        noise = scale * torch.randn(*inside.shape, spoken.senones.count)
        aligned = torch.zeros_like(noise)
        aligned[inside] = 2 * scale * torch.nn.functional.one_hot(rows[0], spoken.senones.count).float()
        for logits in (noise, noise + aligned):
            top, found = numerator(targets._denominator, logits, rows[1], rows[2], inside)
            assert found.all()
            assert (top - targets._denominator(logits, inside)).max() <= 1e-4


def test_sure_and_right_outputs_have_no_gradient(spoken):
    """All else ruled out, only the alignment's neighbours are left: nearly all of the denominator's mass."""
    targets = spoken.targets(tolerance=8, cross_entropy_weight=0, output_l2=0)
    rows, inside = chunks(targets, 15, count=20)
    logits, gradients = torch.zeros(*inside.shape, spoken.senones.count, requires_grad=True), []
    sure = torch.zeros_like(logits)
    sure[inside] += 40 * torch.nn.functional.one_hot(rows[0], spoken.senones.count)
    for offset in (0, sure):
        loss = targets.chunk_loss(logits + offset, rows, inside)
        gradients.append(torch.autograd.grad(loss, logits)[0].abs().sum())
    assert gradients[1] < 0.02 * gradients[0]


def test_repeated_phones_do_not_count_twice(tmp_path):
    """A B A B … of one frame each: a shift by two phones is the same path."""
    senones = Senones(["SIL", "A", "B"], {"SIL": [0], "A": [1], "B": [2]}, np.log([0.5, 0.3, 0.4]))
    spoken = Spoken.__new__(Spoken)
    spoken.senones, spoken.alignment = senones, tmp_path / "alignment"
    said = np.array([0, *[1, 2] * 10, 0])
    spoken.align(spoken.alignment, {"utt": (said.astype(np.int32), said.astype(np.int16))})
    targets = spoken.targets(phone_order=2, tolerance=6)
    rows = [row[8:14] for row in targets.gather(["utt"])]
    inside = torch.ones(1, 6, dtype=torch.bool)
    logits = torch.zeros(1, 6, 3)
    logits[0, torch.arange(6), torch.from_numpy(said[8:14])] = 30
    top, _ = numerator(targets._denominator, logits, rows[1], rows[2], inside)
    assert (top - targets._denominator(logits, inside)).item() <= 1e-5


# ---- training


def fit(spoken: Spoken, out: Path, options: TrainOptions = OPTIONS, held_out: bool = True, **more) -> dict:
    out.mkdir(exist_ok=True)
    options = dataclasses.replace(options, stride=spoken.senones.subsampling)
    both = (spoken.features, spoken.alignment)
    train_model(*both, None, both if held_out else None, options, out, **more)
    return read_json(out / "meta.json")


def phone_error_rate(spoken: Spoken, model: Path, targets: MmiTargets) -> float:
    """Percent: the best path through the denominator graph, outputs as they are."""
    scorer, features, graph = load_scorer(model), FrameArchive(spoken.features), targets.graph
    with np.errstate(divide="ignore"):
        start, stay, weight = np.log(graph.initial), np.log(graph.stay), np.log(graph.weight)
    first_of = np.isin(np.arange(len(graph.senone)), graph.base)
    owner = np.repeat(np.arange(len(graph.base)), graph.lengths)
    phone_of = graph.ngram.last[graph._rights[graph._instances // graph._classes] // graph._classes][owner]
    errors = words = 0
    for name, said in spoken.phones.items():
        score, origins = start, []
        loglikes = scorer.loglikes(features[name])
        for k, row in enumerate(loglikes):
            origin = np.arange(len(score))
            if k:
                came = score[graph.source] + weight
                best = np.full(len(score), -np.inf)
                np.maximum.at(best, graph.target, came)
                won = came == best[graph.target]
                origin[graph.target[won]] = graph.source[won]
                stays = score + stay >= best
                origin[stays] = np.flatnonzero(stays)
                score = np.maximum(score + stay, best)
            score = score + row[graph.senone]
            origins.append(origin)
        path = [int(np.argmax(score))]
        for origin in origins[:0:-1]:
            path.append(int(origin[path[-1]]))
        path = path[::-1]
        found = [path[0], *(b for a, b in itertools.pairwise(path) if b != a and first_of[b])]
        errors += sum(count_errors([str(p) for p in said], [str(phone_of[n]) for n in found]))
        words += len(said)
    return 100 * errors / words


@pytest.mark.parametrize("kind", ["left", "low"])
def test_training_learns_the_phones_and_goes_on_from_a_frame_classifier(kind, tmp_path):
    spoken = Spoken(tmp_path, kind, utterances=60, noise=1.2)
    targets = spoken.targets()
    frames = dataclasses.replace(OPTIONS, loss="soft", epochs=1, learning_rate=2e-3)
    fit(spoken, tmp_path / "untrained", dataclasses.replace(frames, learning_rate=0.0))
    fit(spoken, tmp_path / "frames", frames)
    meta = fit(spoken, tmp_path / "scratch", dataclasses.replace(OPTIONS, epochs=8))
    fit(spoken, tmp_path / "further", start=tmp_path / "frames")
    error = {n: phone_error_rate(spoken, tmp_path / n, targets) for n in ("untrained", "frames", "scratch", "further")}
    assert error["scratch"] < 0.2 * error["untrained"]
    assert error["further"] < 0.5 * error["frames"]
    losses = [record["loss"] for record in meta["history"]]
    assert losses[-1] < losses[0]
    assert meta["history"][-1]["held_out_accuracy"] > 2 * 100 / spoken.senones.count  # of the cross-entropy branch
    assert meta["loss"] == "mmi"
    assert meta["denominator"]["arcs"] == len(targets.graph.source)


@pytest.mark.parametrize("combine", ["arithmetic", "geometric"])
def test_student_learns_the_sequences_of_an_ensemble(combine, tmp_path):
    """With hardly a weight on the alignment, it learns the phones from teachers of frames and of sequences."""
    spoken = Spoken(tmp_path, "low", utterances=60, noise=1.2)
    fit(spoken, tmp_path / "t.0", dataclasses.replace(OPTIONS, epochs=8))
    fit(spoken, tmp_path / "t.1", dataclasses.replace(OPTIONS, epochs=8, loss="soft"))
    members = [str(tmp_path / "t.0"), str(tmp_path / "t.1")]
    assert main(["nnet", "ensemble", *members, str(tmp_path / "teacher"), "--combine", combine]) == 0
    student = dataclasses.replace(OPTIONS, epochs=8, hard_weight=0.0, cross_entropy_weight=0.0)
    fit(spoken, tmp_path / "untrained", dataclasses.replace(OPTIONS, epochs=1, loss="soft", learning_rate=0.0))
    history = fit(spoken, tmp_path / "student", student, teacher=tmp_path / "teacher")["history"]
    assert history[-1]["loss"] < history[0]["loss"]
    targets = spoken.targets()
    error = {name: phone_error_rate(spoken, tmp_path / name, targets) for name in ("untrained", "student")}
    assert error["student"] < 0.3 * error["untrained"]


def test_model_folder_holds_the_main_output_and_decodes_without_priors(tmp_path):
    spoken = Spoken(tmp_path)
    fit(spoken, tmp_path / "model")
    model, features = load_network(tmp_path / "model"), FrameArchive(spoken.features)
    assert model.module.output.out_features == spoken.senones.count
    frames = features[features.utterances[0]]
    wanted = model.log_posteriors(frames)
    np.testing.assert_allclose(load_scorer(tmp_path / "model").loglikes(frames), wanted, atol=1e-4)
    assert load_with(tmp_path / "model")[0].priors.tolist() == [1.0] * spoken.senones.count


def test_killed_training_is_resumed_to_the_same_bytes(tmp_path, monkeypatch):
    spoken = Spoken(tmp_path)
    options = dataclasses.replace(OPTIONS, dropout=0.1, pool_frames=2200)
    fit(spoken, tmp_path / "whole", options)
    finish_pool = loop._State.finish_pool

    def killed(self):
        finish_pool(self)
        if (self.epoch, self.pool) == (2, 1):
            raise KeyboardInterrupt

    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", -1)
    monkeypatch.setattr(loop._State, "finish_pool", killed)
    with pytest.raises(KeyboardInterrupt):
        fit(spoken, tmp_path / "cut", options)
    monkeypatch.setattr(loop._State, "finish_pool", finish_pool)
    fit(spoken, tmp_path / "cut", options)
    for name in ("model.safetensors", "meta.json"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_loss_that_is_not_finite_leaves_the_checkpoint(tmp_path, monkeypatch):
    spoken = Spoken(tmp_path)
    loss, seen = MmiTargets.chunk_loss, []

    def broken(self, logits, rows, inside):
        seen.append(len(logits))
        return loss(self, logits * (torch.nan if len(seen) > 30 else 1), rows, inside)

    monkeypatch.setattr(MmiTargets, "chunk_loss", broken)
    with refused("updates"):
        fit(spoken, tmp_path / "model")
    assert len(seen) > 30
    assert (tmp_path / "model/checkpoint.safetensors").is_file()


@pytest.mark.slow
def test_two_processes_make_the_model_of_one(tmp_path):
    spoken = Spoken(tmp_path)
    conf = tmp_path / "conf.yaml"
    values = {"architecture": "tdnn", "width": 24, "left": 6, "right": 2, "epochs": 2, "batch": 140, "chunk": 20}
    values |= {"loss": "mmi", "dropout": 0.2, "precision": "float32", "dilations": [1, 2], "tolerance": 2}
    conf.write_text("".join(f"{key}: {value}\n" for key, value in values.items()))
    inputs = [str(spoken.features), str(spoken.alignment)]
    made = {name: ["nnet", "train", *inputs, str(tmp_path / name), "--config", str(conf)] for name in ("one", "two")}
    made["start"] = [*made["one"][:4], str(tmp_path / "start"), "--config", str(conf), "--learning-rate", "0"]
    done = torchrun(2, "-m", "asrdistill", *made.pop("two"))
    assert done.returncode == 0, done.stderr
    assert all(main(command) == 0 for command in made.values())
    one, start, two = (load_network(tmp_path / name).module.state_dict() for name in ("one", "start", "two"))
    moved = torch.cat([(one[name] - start[name]).flatten() for name in one])
    differ = torch.cat([(one[name] - two[name]).flatten() for name in one])
    assert differ.norm() <= 5e-4 * moved.norm()
    histories = [read_json(tmp_path / name / "meta.json")["history"] for name in ("two", "one")]
    for found, expected in zip(*histories, strict=True):
        assert found == pytest.approx(expected, rel=5e-3)


# ---- inputs that do not fit


def test_utterance_too_short_for_its_phones_is_named_and_left_out(tmp_path, caplog):
    spoken = Spoken(tmp_path)
    labels = spoken.labels()
    senone, phone = labels["utt007"]
    keep = np.unique(np.cumsum(np.append(1, np.diff(phone) != 0)), return_index=True)[1]  # a frame for each phone
    labels["utt007"] = senone[keep], phone[keep]
    features = FrameArchive(spoken.features)
    frames = {name: (features[name][: len(labels[name][0])],) for name in features}
    short = Spoken.__new__(Spoken)
    short.senones, short.features, short.alignment = spoken.senones, tmp_path / "short", tmp_path / "short_ali"
    write(short.features, "features", {"frames": ("<f4", (6,))}, frames)
    short.align(short.alignment, labels)
    with caplog.at_level("WARNING", "asrdistill"):
        targets = short.targets()
    assert "utt007" in caplog.text
    assert set(labels) - set(targets.utterances) == {"utt007"}
    fit(short, tmp_path / "model")
    names = sorted(labels)[:8]  # an eighth of these is too much
    eighth = Spoken.__new__(Spoken)
    eighth.senones, eighth.alignment = spoken.senones, tmp_path / "eighth"
    eighth.align(eighth.alignment, {name: labels[name] for name in names})
    with refused("utt007"):
        eighth.targets()


def test_phones_that_the_graph_lacks_have_no_path_and_no_gradient(tmp_path):
    spoken = Spoken(tmp_path)
    targets = spoken.targets()
    targets._phones = lambda utterance: (np.array([4, 4, 4]), np.array([0, 10, 20, 30]))  # D D was never seen
    _, first, near = (row[:30] for row in MmiTargets.gather(targets, targets.utterances[:1]))
    labels = torch.from_numpy(spoken.labels()[targets.utterances[0]][0][:30]).long()
    logits = torch.randn(1, 30, 2 * spoken.senones.count, requires_grad=True)
    loss = targets.chunk_loss(logits, [labels, first, near], torch.ones(1, 30, dtype=torch.bool))
    loss.backward()
    assert targets.pathless == 1
    main_output = logits.detach()[..., : spoken.senones.count]
    torch.testing.assert_close(logits.grad[..., : spoken.senones.count], OPTIONS.output_l2 * main_output)
    assert logits.grad[..., spoken.senones.count :].abs().min() > 0


def test_silence_alone_is_a_chunk_like_any_other(tmp_path):
    spoken = Spoken(tmp_path, longest=30)
    targets = spoken.targets()
    rows = targets.gather(["utt000"])
    length = int(np.flatnonzero(spoken.labels()["utt000"][1])[0])
    inside = torch.ones(1, length, dtype=torch.bool)
    logits = torch.randn(1, length, 2 * spoken.senones.count)
    assert targets.chunk_loss(logits, [row[:length] for row in rows], inside).isfinite()
    assert targets.pathless == 0


def test_inputs_and_options_that_do_not_fit_are_refused(tmp_path):
    spoken = Spoken(tmp_path)
    with refused("chunk"):
        dataclasses.replace(OPTIONS, chunk=1)
    with refused("tolerance"):
        dataclasses.replace(OPTIONS, tolerance=-1)
    with refused("stride"):
        MmiTargets(FrameArchive(spoken.alignment), spoken.senones, dataclasses.replace(OPTIONS, stride=3))
    with refused("phone_order"):
        spoken.targets(phone_order=1)
    with refused("omit"):
        fit(spoken, tmp_path / "omit", dataclasses.replace(OPTIONS, omit=["A"]))
    plain = Spoken.__new__(Spoken)
    plain.senones, plain.alignment = spoken.senones, tmp_path / "plain"
    labels = {name: (senone,) for name, (senone, _) in spoken.labels().items()}
    plain.align(plain.alignment, labels, {"frames": PARTS["frames"]})
    with refused(plain.alignment):
        plain.targets()
    other = Spoken.__new__(Spoken)  # senones of another tree
    other.senones, other.features, other.alignment = inventory("both"), spoken.features, tmp_path / "other"
    other.align(other.alignment, spoken.labels())
    spoken.senones.write(other.alignment)
    with refused(other.alignment):
        fit(other, tmp_path / "model")


@pytest.mark.parametrize("flags", [[], ["--lm-weight", "2.5"]])
def test_decoding_starts_from_a_language_model_weight_of_one(flags, tmp_path, monkeypatch):
    from asrdistill.cli import decode

    spoken, seen = Spoken(tmp_path), []
    fit(spoken, tmp_path / "mmi")
    fit(spoken, tmp_path / "frames", dataclasses.replace(OPTIONS, loss="soft", epochs=1))
    monkeypatch.setattr(decode, "make", lambda *_, options: seen.append(options.lm_weight))
    members = [str(tmp_path / "mmi"), str(tmp_path / "again")]
    shutil.copytree(*members)
    assert main(["nnet", "ensemble", *members, str(tmp_path / "ensemble")]) == 0
    for model in ("mmi", "ensemble", "frames"):
        paths = [str(tmp_path / model), str(spoken.features), *(str(tmp_path / name) for name in ("lang", "lm", "out"))]
        assert main(["decode", "run", *paths, *flags]) == 0
    assert seen == ([2.5, 2.5, 2.5] if flags else [1.0, 1.0, 10.0])
