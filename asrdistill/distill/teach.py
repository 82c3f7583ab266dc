"""From archives to a model folder: teacher and baseline on an alignment, student on soft targets too."""

import logging
from pathlib import Path

import torch

from asrdistill.data.archive import FrameArchive, check_match
from asrdistill.distill.store import SoftTargets, check_store
from asrdistill.errors import UserError
from asrdistill.features.statistics import global_stats
from asrdistill.files import read_json, write_json
from asrdistill.hmm.senones import Senones, log_priors
from asrdistill.models.build import build_network
from asrdistill.models.folder import save_model
from asrdistill.training import distributed
from asrdistill.training.device import choose_device, choose_precision
from asrdistill.training.loop import HeldOut, train
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
) -> None:
    """Train on archives and write a model folder into `out`, where checkpoints stand meanwhile."""
    check_options(options)
    inputs, labels, senones = open_aligned(features, alignment)
    targets: Targets = HardTargets(labels)
    if soft_targets:
        store = FrameArchive(soft_targets)
        check_store(store, inputs, senones.hash, labels.utterances)
        targets = WeightedTargets([(1.0, SoftTargets(store, options.temperature)), (options.hard_weight, targets)])
    measured = _held_out(*held_out) if held_out else None

    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    model = build_network(options, inputs[labels.utterances[0]].shape[1], senones.count)
    mean, std = global_stats(inputs)
    model.mean.copy_(torch.from_numpy(mean))
    model.std.copy_(torch.from_numpy(std))
    device = choose_device(options.device)
    dtype = distributed.agree(lambda: _remembered_precision(out, options, device))
    pool = FramePool(
        inputs,
        targets,
        labels.utterances,
        model.context,
        options.pool_frames,
        options.batch,
        options.seed,
        options.chunk,
    )
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
    )
    (out / "checkpoint.safetensors").unlink()
    (out / "precision.json").unlink()


def _held_out(features: Path, alignment: Path) -> HeldOut:
    inputs, labels, _ = open_aligned(features, alignment)
    return HeldOut(inputs, labels, labels.utterances)


def check_options(options: TrainOptions) -> None:
    """Raise UserError for values that cannot work."""
    if options.temperature <= 0:
        raise UserError(f"the temperature must be above 0, not {options.temperature:g}")
    if options.hard_weight < 0:
        raise UserError(f"the weight of the hard targets must not be negative, but it is {options.hard_weight:g}")
    if not 0 <= options.dropout < 1:
        raise UserError(f"dropout must be at least 0 and below 1, not {options.dropout:g}")
    if bad := [share for share in options.widths if not 0 < share <= 1]:
        raise UserError(f"widths are shares of the whole, above 0 and up to 1, not {bad[0]:g}")
    for name in ("time_masks", "time_mask", "frequency_masks", "frequency_mask"):
        if getattr(options, name) < 0:
            raise UserError(f"{name} must not be negative, but it is {getattr(options, name)}")
    for name in ("epochs", "batch", "chunk", "pool_frames", "threads", "layers", "width"):
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
