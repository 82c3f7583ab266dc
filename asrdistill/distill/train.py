"""Train teachers, baselines, students and specialists: from archives to a model folder."""

import dataclasses
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from asrdistill.config import build
from asrdistill.data.archive import FrameArchive, check_features, check_match
from asrdistill.distill.online import OnlineTeacher, TaughtTargets
from asrdistill.distill.specialists import Relabelled, Specialty, read_specialty
from asrdistill.distill.store import SoftTargets, StoredLogits, check_store
from asrdistill.errors import UserError, log
from asrdistill.features.statistics import global_stats
from asrdistill.files import write_json
from asrdistill.hmm.align import open_aligned
from asrdistill.hmm.senones import Senones, log_priors
from asrdistill.models.acoustic import AcousticModel
from asrdistill.models.device import choose_device, choose_precision
from asrdistill.models.io import load_network, save_model
from asrdistill.models.network import Network
from asrdistill.models.options import NetworkConfig
from asrdistill.models.registry import build_network
from asrdistill.reader import read_json
from asrdistill.training import distributed
from asrdistill.training.loop import BEST, HeldOut, best_epoch, train
from asrdistill.training.mmi import MmiTargets
from asrdistill.training.options import TrainOptions
from asrdistill.training.pool import FramePool
from asrdistill.training.targets import ChunkTargets, HardTargets, Targets, WeightedTargets


def train_model(
    features: Path,
    alignment: Path,
    soft_targets: Path | None,
    held_out: tuple[Path, Path] | None,
    options: TrainOptions,
    out: Path,
    start: Path | None = None,
    special: tuple[Path, int, str] | None = None,
    teacher: Path | None = None,
    teacher_features: Path | None = None,
) -> None:
    """Train on archives and write a model folder into `out`, which holds the checkpoints meanwhile.

    teacher           model to run on the batches, instead of soft targets
    teacher_features  archive for members of the teacher that read other features
    start             model to initialise from, architecture included
    special           makes a specialist: folder of sets, number of the set, and one of SOFTMAXES

    Raises UserError for inputs or options that do not fit together.
    """
    _check_inputs(options, soft_targets, teacher, held_out, special)
    if teacher_features and not teacher:
        raise UserError(f"{teacher_features} is for a teacher; name it with --teacher")
    inputs, labels, senones = open_aligned(features, alignment, options.unlabelled)
    store = FrameArchive(soft_targets, "soft-targets") if soft_targets else None
    if store and not options.unlabelled:
        labels.restrict(store)
    generalist = _open_start(start, inputs, senones) if start else None
    if generalist:
        own = {**generalist.meta["options"], "dropout": options.dropout}  # that and all training options stay
        config = build(NetworkConfig, own, "the model to start from")
        options = dataclasses.replace(options, **dataclasses.asdict(config))
    specialty = read_specialty(*special, labels, senones) if special else None
    utterances = labels.utterances
    targets: Targets | ChunkTargets
    targets = hard = specialty.targets(alignment) if specialty else HardTargets(labels, inputs)
    mmi = MmiTargets(labels, senones, options, inputs) if options.loss == "mmi" else None
    if mmi:
        targets, utterances = mmi, mmi.utterances
    if store:
        utterances = store.utterances if options.unlabelled else utterances
        check_store(store, inputs, senones.hash, utterances)
        targets = _student_targets(store, hard, options, senones.count)
    beside = FrameArchive(teacher_features, "features") if teacher_features else None
    taught = OnlineTeacher(teacher, inputs, senones, options.stride, mmi, beside) if teacher else None
    if taught and options.loss in ("soft", "logits"):
        targets = WeightedTargets([(1.0, TaughtTargets(inputs, options)), (options.hard_weight, hard)])
    if taught and options.unlabelled:
        lacking = set(mmi.lacking if mmi else ())
        utterances = [utterance for utterance in inputs.utterances if utterance not in lacking]
    if options.unlabelled:
        unlabelled = sum(utterance not in labels for utterance in utterances)
        log.info("%d of %d utterances have no alignment and learn from the teacher only", unlabelled, len(utterances))
    if beside:
        check_match(inputs, beside, utterances)
    measured = _held_out(*held_out, specialty, senones) if held_out else None
    has_branch = mmi is not None and options.cross_entropy_weight > 0
    if measured and has_branch:
        measured.outputs = senones.count
    model = _initial_network(options, inputs, senones.count, generalist, specialty)
    model.subsampling = senones.subsampling
    if has_branch:
        model.output = _stacked(model.output, model.output)
    if mmi and generalist:  # without priors from the beginning
        model.output.bias.data[: senones.count] -= torch.from_numpy(np.log(generalist.priors))
    device = choose_device(options.device)
    dtype = distributed.agree(lambda: _remembered_precision(out, options, device))
    context = taught.context(model.context) if taught else model.context
    frames = {"features": inputs, "targets": targets, "utterances": utterances, "context": context, "beside": beside}
    settings: dict[str, Any] = {key: getattr(options, key) for key in ("pool_frames", "batch", "seed")} | frames
    pool = _pool(settings, options, labels, senones, specialty)
    log.info("%s, %s, %d frames, %d updates", device, dtype, pool.frames, pool.updates(options.epochs))
    teach = partial(taught.teach, context=pool.context) if taught else None
    history = train(model, pool, options, dtype, device, out, measured, teach)
    if mmi and (pathless := int(distributed.total(mmi.pathless))):
        log.warning("%d chunks had no path and were left out", pathless)
    if distributed.rank() > 0:
        return
    meta: dict[str, Any] = {
        "features": inputs.meta["features"],
        "frame_shift": inputs.meta["frame_shift"],
        "updates": pool.updates(options.epochs),
        "seed": options.seed,
    }
    meta |= {"level": inputs.meta["level"]} if "level" in inputs.meta else {}
    meta |= {"teacher": teacher.name} if teacher else {}
    meta |= {"kept_epoch": best_epoch(history)} if options.early_stopping else {}
    meta |= {"omitted": options.omit} if options.omit else {}
    meta |= {"precision": str(dtype).removeprefix("torch."), "history": history}
    meta |= _origin(start, special, specialty)
    priors = log_priors(labels, senones.count)
    if mmi:
        model.output = _stacked(model.output, rows=senones.count)
        priors = np.zeros_like(priors)  # decoding divides by them, and these outputs are to be as they are
        meta |= {"loss": "mmi", "denominator": mmi.graph.summary}
    save_model(out, model, options, senones, priors, **meta)
    (out / "checkpoint.safetensors").unlink()
    (out / BEST).unlink(missing_ok=True)
    (out / "precision.json").unlink()


def _check_inputs(
    options: TrainOptions, soft_targets: Path | None, teacher: Path | None, held_out: Any, special: Any
) -> None:
    if soft_targets and teacher:
        raise UserError("a student learns from stored soft targets or from a teacher; give one of them")
    if options.unlabelled and not (soft_targets or teacher):
        raise UserError("unlabelled utterances need soft targets; give --soft-targets or --teacher")
    if options.early_stopping and not held_out:
        raise UserError("early stopping needs held-out data; give --held-out")
    if options.omit and options.unlabelled:
        raise UserError("omit needs to know the phones of each utterance; leave it or unlabelled out")
    if options.loss == "mmi" and (options.omit or special or soft_targets or options.widths):
        raise UserError("loss mmi does not go with omit, widths, stored soft targets or specialists; leave them out")
    if special and (options.omit or options.unlabelled or options.chunk > 1):
        raise UserError("a specialist cannot be trained with omit, unlabelled or chunk; leave them out")


def _initial_network(
    options: TrainOptions, inputs: FrameArchive, senones: int, start: AcousticModel | None, specialty: Specialty | None
) -> Network:
    """The network before training: random weights of the seed, or those of the model to start from."""
    torch.set_num_threads(options.threads)
    torch.set_flush_denormal(True)  # confident networks have many gradients near 1e-40, each 100 times slower
    torch.manual_seed(options.seed)
    outputs = specialty.outputs if specialty else senones
    model = build_network(options, inputs[inputs.utterances[0]].shape[1], outputs)
    if start:
        model.load_state_dict(specialty.weights(start) if specialty else start.module.state_dict())
    else:
        mean, std = global_stats(inputs)
        model.mean.copy_(torch.from_numpy(mean))
        model.std.copy_(torch.from_numpy(std))
    model.stride = options.stride
    return model


def _stacked(*layers: nn.Linear, rows: int | None = None) -> nn.Linear:
    """A layer with the outputs of all of them, or the first `rows` of these."""
    tensors = {name: torch.cat([layer.state_dict()[name] for layer in layers])[:rows] for name in ("weight", "bias")}
    whole = nn.Linear(layers[0].in_features, len(tensors["bias"]))
    whole.load_state_dict(tensors)
    return whole


def _pool(
    settings: dict[str, Any], options: TrainOptions, labels: FrameArchive, senones: Senones, own: Specialty | None
) -> FramePool:
    """The frames to train on; logs what is left out."""
    if own:
        return own.pool(labels, **settings)
    if not options.omit:
        return FramePool(**settings, chunk=options.chunk, stride=options.stride)
    log.info("frames of %s are left out", " ".join(options.omit))
    kept = ~senones.of_phones(options.omit)
    if not kept.any():
        raise UserError("omit names every phone, so no frame is left to train on; omit fewer")
    return FramePool(**settings, chunk=options.chunk, keep=lambda names: kept[labels.read(names)])  # stride is 1


def _student_targets(store: FrameArchive, hard: Targets, options: TrainOptions, senones: int) -> Targets:
    """The targets of a student: those of the store by `options.loss`, and weighted hard targets."""
    if options.loss == "hard":
        return hard
    soft: Targets
    if options.loss == "soft":
        soft = SoftTargets(store, options.temperature, options.tail_mode)
    else:
        soft = StoredLogits(store, senones)
    return WeightedTargets([(1.0, soft), (options.hard_weight, hard)])


def _held_out(features: Path, alignment: Path, specialty: Specialty | None, senones: Senones) -> HeldOut:
    inputs, labels, found = open_aligned(features, alignment)
    if found.hash != senones.hash:
        raise UserError(f"{alignment} is over other senones than the training alignment; align it with their model")
    return HeldOut(inputs, Relabelled(alignment, specialty.classes) if specialty else labels, labels.utterances)


def _open_start(folder: Path, inputs: FrameArchive, senones: Senones) -> AcousticModel:
    """The network to start from; raises UserError unless it fits the features and the alignment."""
    model = load_network(folder)
    check_features(inputs, model.meta["features"], folder)
    if model.senones.hash != senones.hash:
        raise UserError(f"{folder} predicts other senones than the alignment is over; align with its senones")
    return model


def _origin(start: Path | None, special: tuple[Path, int, str] | None, specialty: Specialty | None) -> dict[str, Any]:
    """Fields of meta.json: the initial model, and the specialist's set."""
    origin: dict[str, Any] = {"start": start.name} if start else {}
    if special and specialty:
        sets, number, softmax = special
        own = {"sets": sets.name, "number": number, "share": specialty.share, "own": specialty.own.tolist()}
        kind = "dnn" if softmax == "full" else "specialist"
        origin |= {"kind": kind, "specialist": {**own, "softmax": softmax}}
    return origin


def _remembered_precision(folder: Path, options: TrainOptions, device: torch.device) -> torch.dtype:
    """The precision that an interrupted run chose, so that the resumed run computes the same."""
    note = folder / "precision.json"
    if note.is_file():
        return getattr(torch, read_json(note)["precision"])
    dtype = choose_precision(options.precision, device)
    write_json(note, {"precision": str(dtype).removeprefix("torch.")})
    return dtype
