"""From archives to a model folder: teacher and baseline on an alignment, student on soft targets too, specialists."""

import dataclasses
import logging
from pathlib import Path
from typing import Any

import torch

from asrdistill.config import build
from asrdistill.data.archive import FrameArchive, check_features, check_match
from asrdistill.distill.specialists import Relabelled, Specialty, read_specialty
from asrdistill.distill.store import SoftTargets, check_store
from asrdistill.errors import UserError
from asrdistill.features.statistics import global_stats
from asrdistill.files import read_json, write_json
from asrdistill.hmm.senones import Senones, log_priors
from asrdistill.models.dnn import Dnn
from asrdistill.models.folder import AcousticModel, load_model, save_model
from asrdistill.models.options import DnnOptions
from asrdistill.training import distributed
from asrdistill.training.device import choose_device, choose_precision
from asrdistill.training.loop import HeldOut, train
from asrdistill.training.options import TrainOptions
from asrdistill.training.pool import FramePool, HalfPool
from asrdistill.training.targets import HardTargets, Targets, WeightedTargets

log = logging.getLogger("asrdistill")


def train_model(
    features: Path,
    alignment: Path,
    soft_targets: Path | None,
    held_out: tuple[Path, Path] | None,
    options: TrainOptions,
    out: Path,
    start: Path | None = None,
    special: tuple[Path, int, bool] | None = None,
) -> None:
    """Train on archives and write a model folder into `out`, where checkpoints stand meanwhile.

    `start` is a model whose form and weights it begins with. `special` makes it a specialist: the folder of sets, the
    number of its own, and whether it has the full softmax.
    """
    check_options(options)
    inputs, labels, senones = open_aligned(features, alignment)
    generalist = _open_start(start, inputs, senones) if start else None
    if generalist:
        options = _with_form_of(generalist, options)
    specialty = read_specialty(*special, labels, senones) if special else None
    targets: Targets = specialty.targets(alignment) if specialty else HardTargets(labels)
    if soft_targets:
        store = FrameArchive(soft_targets)
        check_store(store, inputs, senones.hash, labels.utterances)
        targets = WeightedTargets([(1.0, SoftTargets(store, options.temperature)), (options.hard_weight, targets)])
    measured = _held_out(*held_out, specialty) if held_out else None

    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    model = Dnn(options, inputs[labels.utterances[0]].shape[1], specialty.outputs if specialty else senones.count)
    if generalist:
        model.load_state_dict(specialty.weights(generalist) if specialty else generalist.module.state_dict())
    else:
        mean, std = global_stats(inputs)
        model.mean.copy_(torch.from_numpy(mean))
        model.std.copy_(torch.from_numpy(std))
    device = choose_device(options.device)
    dtype = distributed.agree(lambda: _remembered_precision(out, options, device))
    settings = (inputs, targets, labels.utterances, model.context, options.pool_frames, options.batch, options.seed)
    pool = HalfPool(*settings, labels=labels, own=specialty.is_own) if specialty else FramePool(*settings)
    log.info("%s, %s, %d frames, %d updates", device, dtype, pool.frames, pool.updates(options.epochs))
    history = train(model, pool, options, dtype, device, out, measured)
    if distributed.rank() > 0:
        return
    save_model(
        out,
        model,
        options,
        senones,
        log_priors(labels, senones.count),
        features=inputs.meta["features"],
        frame_shift=inputs.meta["frame_shift"],
        updates=pool.updates(options.epochs),
        seed=options.seed,
        precision=str(dtype).removeprefix("torch."),
        history=history,
        **_origin(start, special, specialty),
    )
    (out / "checkpoint.safetensors").unlink()
    (out / "precision.json").unlink()


def _held_out(features: Path, alignment: Path, specialty: Specialty | None) -> HeldOut:
    inputs, labels, _ = open_aligned(features, alignment)
    return HeldOut(inputs, Relabelled(alignment, specialty.classes) if specialty else labels, labels.utterances)


def _open_start(folder: Path, inputs: FrameArchive, senones: Senones) -> AcousticModel:
    """The network to begin with; raises UserError unless it fits the features and the alignment."""
    model = load_model(folder)
    if not isinstance(model, AcousticModel):
        raise UserError(f"{folder} is a model of kind '{model.meta['kind']}'; training starts from a single DNN")
    check_features(inputs, model.meta["features"], folder)
    if model.senones.hash != senones.hash:
        raise UserError(f"{folder} predicts other senones than the alignment is over; align with its senones")
    return model


def _with_form_of(model: AcousticModel, options: TrainOptions) -> TrainOptions:
    """The options with the model's layers, width and context; how it is trained stays, dropout included."""
    form = build(DnnOptions, {**model.meta["options"], "dropout": options.dropout}, "the model to start from")
    return dataclasses.replace(options, **dataclasses.asdict(form))


def _origin(start: Path | None, special: tuple[Path, int, bool] | None, specialty: Specialty | None) -> dict[str, Any]:
    """What meta.json says of where a network comes from, and of what it is a specialist for."""
    origin: dict[str, Any] = {"start": start.name} if start else {}
    if special and specialty:
        sets, number, full = special
        own = {"sets": sets.name, "number": number, "share": specialty.share, "own": specialty.own.tolist()}
        origin |= {"kind": "dnn" if full else "specialist", "specialist": own}
    return origin


def check_options(options: TrainOptions) -> None:
    """Raise UserError for values that cannot work."""
    if options.temperature <= 0:
        raise UserError(f"the temperature must be above 0, not {options.temperature:g}")
    if options.hard_weight < 0:
        raise UserError(f"the weight of the hard targets must not be negative, but it is {options.hard_weight:g}")
    if not 0 <= options.dropout < 1:
        raise UserError(f"dropout must be at least 0 and below 1, not {options.dropout:g}")
    for name in ("epochs", "batch", "pool_frames", "threads", "layers", "width"):
        if getattr(options, name) < 1:
            raise UserError(f"{name} must be at least 1, not {getattr(options, name)}")


def open_aligned(features: Path, alignment: Path) -> tuple[FrameArchive, FrameArchive, Senones]:
    """Features with their alignment and its senones; raises UserError unless they fit frame by frame."""
    inputs, labels = FrameArchive(features, "features"), FrameArchive(alignment, "alignment")
    senones = Senones.read(alignment)
    if labels.meta["senones"] != senones.hash:
        raise UserError(f"{alignment}/senones.json is not the inventory that the alignment is over; align again")
    check_match(inputs, labels, labels.utterances)
    if len(labels) == 0:
        raise UserError(f"{alignment} holds no utterance")
    if len(labels) < len(inputs):
        log.info("%d utterances of %s have no alignment and are left out", len(inputs) - len(labels), features)
    return inputs, labels, senones


def _remembered_precision(folder: Path, options: TrainOptions, device: torch.device) -> torch.dtype:
    """The precision that the interrupted run measured, so that a resumed one computes the same."""
    note = folder / "precision.json"
    if note.is_file():
        return getattr(torch, read_json(note)["precision"])
    dtype = choose_precision(options.precision, device)
    write_json(note, {"precision": str(dtype).removeprefix("torch.")})
    return dtype
