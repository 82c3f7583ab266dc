"""Teachers that are run on the batches of their student."""

import dataclasses

import numpy as np
import pytest
import torch

from asrdistill.cli import main
from asrdistill.data.archive import FrameArchive
from asrdistill.distill.online import OnlineTeacher, TaughtTargets
from asrdistill.distill.train import train_model
from asrdistill.hmm.senones import Senones
from asrdistill.models.io import load_model
from asrdistill.reader import read_json
from asrdistill.training.loop import masked
from asrdistill.training.options import TrainOptions
from asrdistill.training.pool import FramePool
from tests.conftest import write_archive
from tests.refusals import refused

OPTIONS = TrainOptions(layers=1, width=16, left=2, right=1, epochs=2, batch=64, learning_rate=5e-3, precision="float32")
TDNN = dataclasses.replace(OPTIONS, architecture="tdnn", left=7, right=4, dilations=[1, 3], chunk=10, stride=3)
CPU = torch.device("cpu")


def train(corpus, out, options=OPTIONS, **others):
    out.mkdir()
    held_out = (corpus.features, corpus.alignment)
    train_model(corpus.features, corpus.alignment, others.pop("store", None), held_out, options, out, **others)
    return read_json(out / "meta.json")


@pytest.fixture
def teacher(corpus, tmp_path):
    """Two networks of other sizes and contexts than their student's."""
    train(corpus, tmp_path / "t.0", dataclasses.replace(OPTIONS, left=4, right=0))
    train(corpus, tmp_path / "t.1", dataclasses.replace(TDNN, seed=1))
    members = [str(tmp_path / "t.0"), str(tmp_path / "t.1")]
    assert main(["nnet", "ensemble", *members, str(tmp_path / "teacher"), "--combine", "geometric"]) == 0
    return tmp_path / "teacher"


def test_student_is_that_of_a_store_with_all_senones(corpus, teacher, tmp_path):
    senones = str(Senones.read(corpus.alignment).count)
    make = ["distill", "targets", str(teacher), str(corpus.features), str(tmp_path / "store"), "--keep", senones]
    assert main([*make, "--jobs", "1"]) == 0
    stored = train(corpus, tmp_path / "stored", store=tmp_path / "store")["history"]
    online = train(corpus, tmp_path / "online", teacher=teacher)["history"]
    plain = train(corpus, tmp_path / "plain")["history"]
    for one, other, third in zip(stored, online, plain, strict=True):
        assert one["loss"] == pytest.approx(other["loss"], rel=2e-3)
        assert one["held_out_cross_entropy"] == pytest.approx(other["held_out_cross_entropy"], rel=2e-3)
        assert one["loss"] != pytest.approx(third["loss"], rel=0.05)


@pytest.mark.parametrize("options", [OPTIONS, TDNN], ids=["frames", "chunks"])
def test_targets_are_of_the_masked_frames(corpus, teacher, options):
    """Each target against the members run on the one masked window of its frame."""
    features, senones = FrameArchive(corpus.features), Senones.read(corpus.alignment)
    options = dataclasses.replace(options, time_masks=1, time_mask=4)
    online = OnlineTeacher(teacher, features, senones, options.stride)
    context = online.context((options.left, options.right))
    assert context == (7, 4)
    targets = TaughtTargets(features, options)
    size = {"chunk": options.chunk, "stride": options.stride}
    pool = FramePool(features, targets, features.utterances, context, 10**6, 60, 0, **size)
    batch = next(pool.read(0, 0, 1, CPU))
    windows = masked(batch.windows, online.networks[0].mean, (0, batch.size), options)
    batch = batch._replace(windows=windows)
    found = online.teach(batch, torch.float32, context).rows[0]
    members, wanted = load_model(teacher).members, []
    for row, window in enumerate(batch.windows):
        for at in range(options.chunk):
            if batch.inside is not None and not batch.inside[row, at]:
                continue
            frame = 7 + at * options.stride
            each = []
            for member in members:
                left, right = member.context
                with torch.inference_mode():
                    each.append(member.module(window[None, frame - left : frame + right + 1])[0, 0].log_softmax(-1))
            wanted.append(torch.stack(each).mean(0).log_softmax(-1))
    np.testing.assert_allclose(found.numpy(), torch.stack(wanted).numpy(), atol=1e-4)


def test_teacher_reads_features_of_its_own(corpus, teacher, tmp_path):
    """The student's are others, and masked; the teacher's posteriors are those of the unmasked frames that it reads."""
    rng, features = np.random.default_rng(1), FrameArchive(corpus.features)
    other = {name: rng.normal(size=(len(labels), 3)) for name, labels in corpus.labels.items()}
    settings = {"type": "cepstra", "coefficients": 3}
    write_archive(tmp_path / "other", "features", other, "<f4", features=settings, frame_shift=0.01)
    student, senones = FrameArchive(tmp_path / "other"), Senones.read(corpus.alignment)
    rows = []
    for inputs, beside in ((student, features), (features, None)):
        online = OnlineTeacher(teacher, inputs, senones, 1, beside=beside)
        context = online.context((0, 0))
        targets = TaughtTargets(inputs, OPTIONS)
        pool = FramePool(inputs, targets, inputs.utterances, context, 10**6, 60, 0, beside=beside)
        batch = next(pool.read(0, 0, 1, CPU))
        if beside:
            batch = batch._replace(windows=torch.zeros_like(batch.windows))
        rows.append(online.teach(batch, torch.float32, context).rows[0])
    torch.testing.assert_close(*rows)
    with refused(tmp_path / "other"):
        OnlineTeacher(teacher, student, senones, 1)
    with refused(student.folder):
        OnlineTeacher(teacher, features, senones, 1, beside=student)
    short = {name: rows[: 20 if name == "utt003" else None] for name, rows in other.items()}
    write_archive(tmp_path / "short", "features", short, "<f4", features=settings, frame_shift=0.01)
    (tmp_path / "model").mkdir()
    with refused("utt003"):
        train_model(
            tmp_path / "short",
            *(corpus.alignment, None, None, OPTIONS, tmp_path / "model"),
            teacher=teacher,
            teacher_features=corpus.features,
        )


def test_teachers_that_do_not_fit_are_refused(corpus, teacher, tmp_path):
    features, senones = FrameArchive(corpus.features), Senones.read(corpus.alignment)
    recurrent = dataclasses.replace(OPTIONS, architecture="gru", chunk=8, epochs=1)
    train(corpus, tmp_path / "gru", recurrent)
    with refused(tmp_path / "gru"):
        OnlineTeacher(tmp_path / "gru", features, senones, 1)
    other = Senones(senones.phones, senones.states, senones.self_loop, subsampling=3)
    with refused(teacher):
        OnlineTeacher(teacher, features, other, 1)
    with refused("teacher"):
        train(corpus, tmp_path / "both", store=tmp_path / "store", teacher=teacher)
