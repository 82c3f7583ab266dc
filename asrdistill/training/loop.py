"""Training loop for any network and targets; a resumed run ends with the same bytes.

AdamW or Muon with linear warm-up and linear decay to zero. A checkpoint, one safetensors file, is written after each
epoch and after a pool when a minute has passed.
"""

import json
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from asrdistill.data.archive import FrameArchive
from asrdistill.errors import UserError, log
from asrdistill.models.dnn import Widths
from asrdistill.models.network import Network, cropped
from asrdistill.progress import Meter
from asrdistill.reader import Count, conform, reading
from asrdistill.training import distributed
from asrdistill.training.events import write_events
from asrdistill.training.muon import Muon
from asrdistill.training.options import TrainOptions
from asrdistill.training.pool import Batch, FramePool
from asrdistill.training.targets import UNLABELLED, ChunkTargets, Targets

CHECKPOINT_SECONDS = 60
BEST = "best.safetensors"  # weights of the best epoch so far, where training is to stop early


def train(
    model: Network,
    pool: FramePool,
    options: TrainOptions,
    dtype: torch.dtype,
    device: torch.device,
    folder: Path,
    held_out: "HeldOut | None",
    teach: Callable[[Batch, torch.dtype], Batch] | None = None,
) -> list[dict[str, float]]:
    """Train `model` in place; returns one record an epoch (loss, held-out accuracy, seconds).

    teach  fills in the targets of a batch whose windows are masked already

    Checkpoints go to `folder`; an existing one is resumed. Raises UserError if the loss is not finite.
    """
    model.to(device).train()
    optimiser: torch.optim.Optimizer
    if options.optimiser == "muon":
        optimiser = Muon(model, options.learning_rate, options.weight_decay, dtype)
    else:
        optimiser = torch.optim.AdamW(
            model.parameters(), options.learning_rate, weight_decay=options.weight_decay, fused=True
        )
    total = pool.updates(options.epochs)
    state = _State(model, optimiser, device, folder / "checkpoint.safetensors")
    state.load()
    network = distributed.parallel(Widths(model, options.widths) if options.widths else model)  # type: ignore[arg-type]
    name = folder.name.removesuffix(".partial").lstrip(".")
    with Meter(name, options.epochs * pool.frames, "frames", shown=distributed.rank() == 0) as meter:
        meter.skip(state.epoch * pool.frames)
        for batch in state.timed(pool.read(state.epoch, state.pool, options.epochs, device)):
            rate = _learning_rate(options, state.updates, total)
            batch = batch._replace(windows=masked(batch.windows, model.mean, (batch.first, batch.size), options))
            batch = teach(batch, dtype) if teach else batch
            batch = batch._replace(windows=cropped(batch.windows, pool.context, model.context))
            state.count(_update(network, optimiser, pool.targets, batch, rate, dtype), batch.frames or batch.size)
            model.after_update(state.updates)
            if options.max_norm:
                constrain(model, options.max_norm)
            waiting = f"{state.waits:.1f} % waiting for data"
            meter.advance(batch.frames or batch.size, f"epoch {state.epoch + 1}/{options.epochs}, {waiting}")
            if batch.ends_pool:
                state.finish_pool()
            if batch.ends_epoch:
                measured = held_out.measure(model, dtype, device) if held_out else {}
                is_best = options.early_stopping and best_epoch([*state.history, measured]) > len(state.history)
                if is_best and distributed.rank() == 0:
                    _save(folder / BEST, model.state_dict())  # before the epoch's checkpoint: a resumed run has both
                state.finish_epoch(measured)
                if distributed.rank() == 0:
                    write_events(folder, state.history, total / options.epochs)
    if distributed.rank() == 0:  # the last epoch's too, where a kill came between its checkpoint and its events
        write_events(folder, state.history, total / options.epochs)
    model.to("cpu").eval()
    if options.early_stopping and distributed.rank() == 0:
        model.load_state_dict(load_file(folder / BEST))
    return state.history


def best_epoch(history: Sequence[dict[str, float]]) -> int:
    """The first epoch, counted from 1, with the highest held-out frame accuracy."""
    accuracy = [record["held_out_accuracy"] for record in history]
    return 1 + accuracy.index(max(accuracy))


def _save(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    """Write a safetensors file that gets its name once it is whole."""
    partial = path.with_suffix(".partial")
    save_file({name: value.contiguous().cpu() for name, value in tensors.items()}, partial, metadata)
    os.replace(partial, path)


def _update(
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    targets: Targets | ChunkTargets,
    batch: Batch,
    rate: float,
    dtype: torch.dtype,
) -> Tensor:
    """One step on a batch; returns what this process's frames add to the batch's mean loss."""
    for group in optimiser.param_groups:
        group["lr"] = rate
    with torch.autocast(batch.windows.device.type, dtype, enabled=dtype != torch.float32):
        logits = network(batch.windows, (batch.first, batch.size)).float()
    loss = _loss(logits, targets, batch)
    optimiser.zero_grad(set_to_none=True)
    (loss * distributed.size()).backward()  # the gradient is the mean over the processes, the loss their sum
    optimiser.step()
    return loss.detach()


@torch.no_grad()
def constrain(model: nn.Module, limit: float) -> None:
    """Scale the incoming weights of each unit of the linear layers down to the norm `limit`, where they are above.

    Hinton et al. (2012), "Improving neural networks by preventing co-adaptation of feature detectors".
    """
    for layer in model.modules():
        if isinstance(layer, nn.Linear):
            layer.weight.renorm_(2, 0, limit)


def _loss(logits: Tensor, targets: Targets | ChunkTargets, batch: Batch) -> Tensor:
    """What logits (b, L, S) add to the batch's mean loss; of logits at W widths (W, b, L, S), the mean over them."""
    if logits.dim() == 4:
        return torch.stack([_loss(each, targets, batch) for each in logits]).mean()
    if isinstance(targets, ChunkTargets):
        assert batch.inside is not None  # these chunks have more than one frame
        whole = targets.chunk_loss(logits, batch.rows, batch.inside) if len(logits) else logits.sum()
        return whole / batch.frames
    logits = logits[:, 0] if batch.inside is None else logits[batch.inside]
    count = len(logits)
    return targets.loss(logits, batch.rows) * (count / (batch.frames or batch.size)) if count else logits.sum()


def _learning_rate(options: TrainOptions, update: int, total: int) -> float:
    """Linear rise over the warm-up, then linear fall to zero."""
    warm = max(1, round(options.warmup * total))
    return options.learning_rate * min((update + 1) / warm, (total - update) / max(1, total - warm))


class HeldOut:
    """Frame accuracy and cross-entropy on held-out data, of the last `outputs` logits."""

    def __init__(self, features: FrameArchive, alignment: FrameArchive, utterances: Sequence[str], outputs: int = 0):
        self.features, self.alignment, self.utterances = features, alignment, list(utterances)
        self.outputs = outputs  # 0: all

    @torch.no_grad()
    def measure(self, model: Network, dtype: torch.dtype, device: torch.device) -> dict[str, float]:
        model.eval()
        frames, right, nats = 0, 0, 0.0
        for name in self.utterances[distributed.rank_slice(len(self.utterances))]:
            inputs = model.padded(self.features[name]).to(device)
            labels = torch.from_numpy(np.array(self.alignment[name], dtype=np.int64)[:: model.subsampling]).to(device)
            with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
                logits = model(inputs)[0, :, -self.outputs :]
            nats += functional.cross_entropy(logits.float(), labels, ignore_index=UNLABELLED, reduction="sum").item()
            right += int((logits.argmax(-1) == labels).sum())
            frames += int((labels != UNLABELLED).sum())
        model.train()
        sums = distributed.total(torch.tensor([frames, right, nats], dtype=torch.float64)).tolist()
        return {"held_out_accuracy": 100 * sums[1] / sums[0], "held_out_cross_entropy": sums[2] / sums[0]}


class _Counters(TypedDict):
    """Where training stands."""

    epoch: Count
    pool: Count
    updates: Count
    loss_sum: float
    frames: Count
    history: list[dict[str, Any]]


class _State:
    """Training state: everything that a checkpoint holds."""

    def __init__(self, model: Network, optimiser: torch.optim.Optimizer, device: torch.device, path: Path):
        self.model, self.optimiser, self.device, self.path = model, optimiser, device, path
        self.epoch = self.pool = self.updates = self.frames = 0
        self.loss_sum = 0.0  # of the epoch up to its last finished pool
        self.losses = torch.zeros((), dtype=torch.float64, device=device)  # of the epoch so far, in this process
        self.history: list[dict[str, float]] = []
        self.saved = self.begun = time.monotonic()
        self.waited = 0.0

    def timed(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """The batches; measures the time spent waiting for them."""
        begin = time.monotonic()
        for batch in batches:
            self.waited += time.monotonic() - begin
            yield batch
            begin = time.monotonic()

    @property
    def waits(self) -> float:
        """Percent of the epoch's time so far that was spent waiting for data."""
        return 100 * self.waited / max(time.monotonic() - self.begun, 1e-9)

    def count(self, loss: Tensor, frames: int) -> None:
        self.updates += 1
        self.losses += loss.double() * frames  # stays on the device: .item() would wait for the GPU
        self.frames += frames

    def finish_pool(self) -> None:
        self.pool += 1
        self.loss_sum = distributed.total(self.losses).item()
        if not math.isfinite(self.loss_sum):
            raise UserError(f"the loss is {self.loss_sum} after {self.updates} updates; lower the learning rate")
        self._continue_losses()
        if time.monotonic() - self.saved > CHECKPOINT_SECONDS:
            self.save()

    def _continue_losses(self) -> None:
        self.losses.fill_(self.loss_sum if distributed.rank() == 0 else 0)

    def finish_epoch(self, held_out: dict[str, float]) -> None:
        record = {"epoch": self.epoch + 1, "loss": self.loss_sum / max(1, self.frames), **held_out}
        self.history.append(record)
        shown = {**record, "waiting for data, percent": self.waits}  # how long it took is no part of the result
        log.info("  ".join(f"{key} {value:.4g}" for key, value in shown.items()))
        self.epoch, self.pool, self.loss_sum, self.frames = self.epoch + 1, 0, 0.0, 0
        self.begun, self.waited = time.monotonic(), 0.0
        self._continue_losses()
        self.save()

    def save(self) -> None:
        if distributed.rank() > 0:
            return
        tensors = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        for index, moments in self.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{index}.{name}": value for name, value in moments.items()}
        tensors["random"] = torch.get_rng_state()
        if self.device.type == "cuda":
            tensors["random.cuda"] = torch.cuda.get_rng_state(self.device)
        counters = {key: getattr(self, key) for key in _Counters.__annotations__}
        _save(self.path, tensors, {"counters": json.dumps(counters)})
        self.saved = time.monotonic()

    def load(self) -> None:
        """Resume from the checkpoint, if any; raises UserError if it is damaged."""
        if not self.path.is_file():
            return
        with reading(self.path, "delete it to train from the start"):
            with safe_open(self.path, "pt") as file:
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
                counters = conform(json.loads(file.metadata()["counters"]), _Counters, str(self.path))
            self._restore(tensors, counters)
        self._continue_losses()
        log.info("resuming after %d updates (epoch %d)", self.updates, self.epoch + 1)

    def _restore(self, tensors: dict[str, Tensor], counters: dict[str, Any]) -> None:
        self.model.load_state_dict({k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")})
        moments: dict[int, dict[str, Tensor]] = {}
        for key in [key for key in tensors if key.startswith("optimiser.")]:
            _, index, name = key.split(".", 2)
            moments.setdefault(int(index), {})[name] = tensors[key]
        groups = self.optimiser.state_dict()["param_groups"]
        self.optimiser.load_state_dict({"state": moments, "param_groups": groups})
        torch.set_rng_state(tensors["random"])
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(tensors["random.cuda"], self.device)
        for key in _Counters.__annotations__:
            setattr(self, key, counters[key])


def masked(windows: Tensor, fill: Tensor, part: tuple[int, int], options: TrainOptions) -> Tensor:
    """Windows (b, W, F) with masks of `fill` (F,).

    `part` = (first, B): they are rows first, … of a batch of B that processes share, and each draws for all of it.
    The random numbers are torch's own, whose state a checkpoint keeps.
    """
    if options.time_masks:
        hidden = covered(options.time_masks, options.time_mask, windows.shape[1], part, len(windows), windows.device)
        windows = torch.where(hidden[:, :, None], fill, windows)
    if options.frequency_masks:
        sizes = (options.frequency_masks, options.frequency_mask, windows.shape[2])
        windows = torch.where(covered(*sizes, part, len(windows), windows.device)[:, None], fill, windows)
    return windows


def covered(masks: int, largest: int, length: int, part: tuple[int, int], rows: int, device: torch.device) -> Tensor:
    """(rows, length) which places some masks of 0 to `largest` places, and no more than there are, cover."""
    first, size = part
    draws = torch.rand(2, size, masks, device=device)[:, first : first + rows]
    sizes = (draws[0] * (min(largest, length) + 1)).floor()
    begins = (draws[1] * (length - sizes + 1)).floor()
    places = torch.arange(length, device=device)[None, None]
    return ((places >= begins[..., None]) & (places < (begins + sizes)[..., None])).any(1)
