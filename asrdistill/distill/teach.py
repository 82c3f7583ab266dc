"""From archives to a model folder: teacher and baseline on an alignment, student on soft targets too, specialists."""

import dataclasses
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from asrdistill.config import build
from asrdistill.data.archive import FrameArchive, check_features
from asrdistill.distill.specialists import Relabelled, Specialty, read_specialty
from asrdistill.distill.store import SoftTargets, StoredLogits, check_store
from asrdistill.errors import UserError
from asrdistill.features.statistics import global_stats
from asrdistill.files import read_json, write_json
from asrdistill.hmm.aligned import open_aligned
from asrdistill.hmm.senones import Senones, log_priors
from asrdistill.models.acoustic import AcousticModel
from asrdistill.models.io import load_model, save_model
from asrdistill.models.options import DnnOptions
from asrdistill.models.registry import build_network
from asrdistill.training import distributed
from asrdistill.training.device import choose_device, choose_precision
from asrdistill.training.loop import BEST, HeldOut, best_epoch, train
from asrdistill.training.options import TrainOptions
from asrdistill.training.pool import FramePool
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
    special: tuple[Path, int, str] | None = None,
) -> None:
    """Train on archives and write a model folder into `out`, where checkpoints stand meanwhile.

    `start` is a model whose form and weights it begins with. `special` makes it a specialist: the folder of sets, the
    number of its own, and which of SOFTMAXES it has.
    """
    check_options(options)
    if options.unlabelled and not soft_targets:
        raise UserError("utterances without an alignment can be learnt from only by soft targets; give --soft-targets")
    if options.early_stopping and not held_out:
        raise UserError("the epoch to stop at is chosen on data that is not trained on; give --held-out")
    if special and (options.omit or options.unlabelled or options.chunk > 1):
        raise UserError("a specialist draws single aligned frames of all phones; leave out omit, unlabelled and chunk")
    inputs, labels, senones = open_aligned(features, alignment)
    generalist = _open_start(start, inputs, senones) if start else None
    if generalist:
        options = _with_form_of(generalist, options)
    specialty = read_specialty(*special, labels, senones) if special else None
    utterances = labels.utterances
    targets: Targets = specialty.targets(alignment) if specialty else HardTargets(labels, inputs)
    if soft_targets:
        store = FrameArchive(soft_targets)
        utterances = store.utterances if options.unlabelled else utterances
        check_store(store, inputs, senones.hash, utterances)
        targets = _student_targets(store, targets, options, senones.count)
    measured = _held_out(*held_out, specialty) if held_out else None

    torch.set_num_threads(options.threads)
    torch.set_flush_denormal(True)  # a sure network's gradients hold many numbers like 1e-40, each as slow as a hundred
    torch.manual_seed(options.seed)
    model = build_network(
        options, inputs[labels.utterances[0]].shape[1], specialty.outputs if specialty else senones.count
    )
    if generalist:
        model.load_state_dict(specialty.weights(generalist) if specialty else generalist.module.state_dict())
    else:
        mean, std = global_stats(inputs)
        model.mean.copy_(torch.from_numpy(mean))
        model.std.copy_(torch.from_numpy(std))
    model.stride = options.stride
    device = choose_device(options.device)
    dtype = distributed.agree(lambda: _remembered_precision(out, options, device))
    settings: dict[str, Any] = {
        "features": inputs,
        "targets": targets,
        "utterances": utterances,
        "context": model.context,
        "pool_frames": options.pool_frames,
        "batch": options.batch,
        "seed": options.seed,
    }
    if specialty:
        pool = specialty.pool(labels, **settings)
    else:
        pool = FramePool(
            **settings, chunk=options.chunk, stride=options.stride, keep=_all_but(options.omit, labels, senones)
        )
    if options.omit:
        log.info("the frames of %s are left out", " ".join(options.omit))
    if options.unlabelled:
        unlabelled = sum(utterance not in labels for utterance in utterances)
        log.info("%d utterances without an alignment are learnt from by their soft targets alone", unlabelled)
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
        **({"kept_epoch": best_epoch(history)} if options.early_stopping else {}),
        **({"omitted": options.omit} if options.omit else {}),
        precision=str(dtype).removeprefix("torch."),
        history=history,
        **_origin(start, special, specialty),
    )
    (out / "checkpoint.safetensors").unlink()
    (out / BEST).unlink(missing_ok=True)
    (out / "precision.json").unlink()


def _student_targets(store: FrameArchive, hard: Targets, options: TrainOptions, senones: int) -> Targets:
    """What a student learns of the store by the loss of the options, beside the hard targets with their weight."""
    if options.loss == "hard":
        return hard
    soft: Targets
    if options.loss == "soft":
        soft = SoftTargets(store, options.temperature, options.rest)
    else:
        soft = StoredLogits(store, senones)
    return WeightedTargets([(1.0, soft), (options.hard_weight, hard)])


def _all_but(
    phones: Sequence[str], alignment: FrameArchive, senones: Senones
) -> Callable[[Sequence[str]], np.ndarray] | None:
    """Which of some utterances' frames are aligned to none of the phones; None where no phone is named."""
    if not phones:
        return None
    kept = ~senones.of_phones(phones)
    if not kept.any():
        raise UserError("every phone is to be left out, so that nothing remains to be learnt")
    return lambda utterances: kept[alignment.read(utterances)]


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


def _origin(start: Path | None, special: tuple[Path, int, str] | None, specialty: Specialty | None) -> dict[str, Any]:
    """What meta.json says of where a network comes from, and of what it is a specialist for."""
    origin: dict[str, Any] = {"start": start.name} if start else {}
    if special and specialty:
        own = {"sets": special[0].name, "number": special[1], "share": specialty.share, "own": specialty.own.tolist()}
        kind = "dnn" if specialty.softmax == "full" else "specialist"
        origin |= {"kind": kind, "specialist": {**own, "softmax": specialty.softmax}}
    return origin


def check_options(options: TrainOptions) -> None:
    """Raise UserError for values that cannot work."""
    if options.temperature <= 0:
        raise UserError(f"the temperature must be above 0, not {options.temperature:g}")
    if options.hard_weight < 0:
        raise UserError(f"the weight of the hard targets must not be negative, but it is {options.hard_weight:g}")
    if options.max_norm < 0:
        raise UserError(f"the largest norm of a unit's weights must not be negative, but it is {options.max_norm:g}")
    if not 0 <= options.dropout < 1:
        raise UserError(f"dropout must be at least 0 and below 1, not {options.dropout:g}")
    if bad := [share for share in options.widths if not 0 < share <= 1]:
        raise UserError(f"widths are shares of the whole, above 0 and up to 1, not {bad[0]:g}")
    for name in ("time_masks", "time_mask", "frequency_masks", "frequency_mask"):
        if getattr(options, name) < 0:
            raise UserError(f"{name} must not be negative, but it is {getattr(options, name)}")
    if options.stride > 1 and (options.architecture != "tdnn" or options.chunk == 1):
        raise UserError("only a tdnn that is trained on chunks can have a stride above 1; set chunk, or stride to 1")
    for name in ("epochs", "batch", "chunk", "stride", "pool_frames", "threads", "layers", "width"):
        if getattr(options, name) < 1:
            raise UserError(f"{name} must be at least 1, not {getattr(options, name)}")


def _remembered_precision(folder: Path, options: TrainOptions, device: torch.device) -> torch.dtype:
    """The precision that the interrupted run measured, so that a resumed one computes the same."""
    note = folder / "precision.json"
    if note.is_file():
        return getattr(torch, read_json(note)["precision"])
    dtype = choose_precision(options.precision, device)
    write_json(note, {"precision": str(dtype).removeprefix("torch.")})
    return dtype
