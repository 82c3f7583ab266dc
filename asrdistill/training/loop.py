"""The training loop: any model, any targets, resumable to the same bytes.

AdamW with a linear warm-up and a linear decay to zero; a checkpoint after a pool of frames when a
minute has passed, and after each epoch. A checkpoint is one safetensors file (weights, optimiser
moments, random state) with its counters in the file's metadata, so that it is whole or not there.
"""

import json
import logging
import math
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from asrdistill.data.archive import FrameArchive
from asrdistill.errors import UserError
from asrdistill.models.dnn import Dnn
from asrdistill.models.folder import pad
from asrdistill.progress import Meter
from asrdistill.training.options import TrainOptions
from asrdistill.training.pool import FramePool

log = logging.getLogger("asrdistill")

CHECKPOINT_SECONDS = 60


def train(
    model: Dnn,
    pool: FramePool,
    options: TrainOptions,
    dtype: torch.dtype,
    device: torch.device,
    folder: Path,
    held_out: "HeldOut | None",
) -> list[dict[str, float]]:
    """Train `model` in place; returns one record an epoch (loss, held-out accuracy, seconds).

    Checkpoints go to `folder`; training goes on from the one that is there. Raises UserError when
    the loss is no longer finite.
    """
    model.to(device).train()
    optimiser = torch.optim.AdamW(
        model.parameters(), options.learning_rate, weight_decay=options.weight_decay, fused=True
    )
    total = pool.updates(options.epochs)
    state = _State(model, optimiser, folder / "checkpoint.safetensors")
    state.load()
    with Meter(folder.name.removesuffix(".partial").lstrip("."), options.epochs * pool.frames, "frames") as meter:
        meter.skip(state.epoch * pool.frames)
        while state.epoch < options.epochs:
            plan = pool.plan(state.epoch)
            while state.pool < len(plan):
                for windows, rows in pool.read(state.epoch, state.pool):
                    rate = _learning_rate(options, state.updates, total)
                    loss = _update(
                        model, optimiser, pool, windows.to(device), [r.to(device) for r in rows], rate, dtype
                    )
                    state.count(loss, len(windows))
                    meter.advance(len(windows), f"epoch {state.epoch + 1}/{options.epochs}")
                state.finish_pool(folder)
            state.finish_epoch(held_out.measure(model, dtype, device) if held_out else {})
    model.to("cpu").eval()
    return state.history


def _update(
    model: Dnn,
    optimiser: torch.optim.Optimizer,
    pool: FramePool,
    windows: Tensor,
    rows: list[Tensor],
    rate: float,
    dtype: torch.dtype,
) -> float:
    """One step on a batch; returns its loss."""
    for group in optimiser.param_groups:
        group["lr"] = rate
    with torch.autocast(windows.device.type, dtype, enabled=dtype != torch.float32):
        logits = model(windows)[:, 0]
    loss = pool.targets.loss(logits.float(), rows)
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    optimiser.step()
    return loss.item()


def _learning_rate(options: TrainOptions, update: int, total: int) -> float:
    """Linear rise over the warm-up, then linear fall to zero."""
    warm = max(1, round(options.warmup * total))
    return options.learning_rate * min((update + 1) / warm, (total - update) / max(1, total - warm))


class HeldOut:
    """Frame accuracy and cross-entropy on data that is not trained on."""

    def __init__(self, features: FrameArchive, alignment: FrameArchive, utterances: Sequence[str]):
        self.features, self.alignment, self.utterances = features, alignment, list(utterances)

    @torch.no_grad()
    def measure(self, model: Dnn, dtype: torch.dtype, device: torch.device) -> dict[str, float]:
        model.eval()
        frames, right, nats = 0, 0, 0.0
        for name in self.utterances:
            inputs = torch.from_numpy(pad(self.features[name], model.context))[None].to(device)
            labels = torch.from_numpy(np.array(self.alignment[name], dtype=np.int64)).to(device)
            with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
                logits = model(inputs)[0]
            nats += functional.cross_entropy(logits.float(), labels, reduction="sum").item()
            right += int((logits.argmax(-1) == labels).sum())
            frames += len(labels)
        model.train()
        return {"held_out_accuracy": 100 * right / frames, "held_out_cross_entropy": nats / frames}


class _State:
    """Where training stands: everything that a checkpoint holds."""

    def __init__(self, model: Dnn, optimiser: torch.optim.Optimizer, path: Path):
        self.model, self.optimiser, self.path = model, optimiser, path
        self.epoch = self.pool = self.updates = 0
        self.loss_sum, self.frames, self.seconds = 0.0, 0, 0.0
        self.history: list[dict[str, float]] = []
        self.saved = time.monotonic()

    def count(self, loss: float, frames: int) -> None:
        if not math.isfinite(loss):
            raise UserError(f"the loss became {loss} after {self.updates} updates; lower the learning rate")
        self.updates += 1
        self.loss_sum += loss * frames
        self.frames += frames

    def finish_pool(self, folder: Path) -> None:
        self.pool += 1
        if time.monotonic() - self.saved > CHECKPOINT_SECONDS:
            self.save()

    def finish_epoch(self, held_out: dict[str, float]) -> None:
        record = {"epoch": self.epoch + 1, "loss": self.loss_sum / max(1, self.frames), **held_out}
        self.history.append(record)
        log.info("  ".join(f"{key} {value:.4g}" for key, value in record.items()))
        self.epoch, self.pool, self.loss_sum, self.frames = self.epoch + 1, 0, 0.0, 0
        self.save()

    def save(self) -> None:
        tensors = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        for index, moments in self.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{index}.{name}": value for name, value in moments.items()}
        tensors["random"] = torch.get_rng_state()
        counters = {key: getattr(self, key) for key in ("epoch", "pool", "updates", "loss_sum", "frames", "history")}
        partial = self.path.with_suffix(".partial")
        save_file({k: v.contiguous().cpu() for k, v in tensors.items()}, partial, {"counters": json.dumps(counters)})
        os.replace(partial, self.path)
        self.saved = time.monotonic()

    def load(self) -> None:
        """Go on from the checkpoint, if there is one; raises UserError when it is damaged."""
        if not self.path.is_file():
            return
        try:
            with safe_open(self.path, "pt") as file:
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
                counters: dict[str, Any] = json.loads(file.metadata()["counters"])
        except (SafetensorError, KeyError, TypeError, ValueError) as error:
            raise UserError(f"checkpoint {self.path} is damaged ({error}); delete it to train from the start") from None
        self.model.load_state_dict({k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")})
        moments: dict[int, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            if key.startswith("optimiser."):
                _, index, name = key.split(".", 2)
                moments.setdefault(int(index), {})[name] = value
        groups = self.optimiser.state_dict()["param_groups"]
        self.optimiser.load_state_dict({"state": moments, "param_groups": groups})
        torch.set_rng_state(tensors["random"])
        for key, value in counters.items():
            setattr(self, key, value)
        log.info("going on after %d updates (epoch %d)", self.updates, self.epoch + 1)
