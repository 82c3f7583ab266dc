"""Which frames the layers of a network take, by its configuration alone."""

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from asrdistill.errors import UserError
from asrdistill.models.options import NetworkConfig

EXPANSION = 2  # hidden units of a time-delay block for each of its channels
NARROW = 8  # a factored block's width is this many times that of its narrow map


class Place(NamedTuple):
    """Where a residual block takes its frames: (T + reach, C) -> (T, C); the sum adds those from `centre` on."""

    dilation: int
    centre: int
    reach: int


def lay_out(config: NetworkConfig) -> tuple[int, list[Place]]:
    """Frames that the first layer of a time-delay network spans, and the places of its blocks.

    Raises UserError if the blocks reach further than left + right.
    """
    factor = config.taps - 1 if config.architecture == "tdnn" else 2
    reaches = [factor * dilation for dilation in config.dilations]
    span = config.left + 1 + config.right - sum(reaches)
    if span < 1:
        raise UserError(
            f"dilations {config.dilations} reach over {sum(reaches)} frames, left + right are "
            f"{config.left + config.right}; raise left by {1 - span}"
        )
    ahead, places = config.right - min((span - 1) // 2, config.right), []
    for dilation, reach in zip(config.dilations, reaches, strict=True):
        after = min((reach + 1) // 2, ahead)
        ahead -= after
        places.append(Place(dilation, reach - after, reach))
    return span, places


def rates(step: int, blocks: Iterable[Any]) -> tuple[int, list[tuple[int, int]]]:
    """Frames from one output of the first layer to the next; of each block (rate of its inputs, inputs per output).

    Outputs that are `step` frames apart need no other inputs of a block whose dilation is a multiple of that.
    """
    found = []
    for block in reversed(list(blocks)):
        rate = math.gcd(step, block.dilation, block.centre)
        found.append((rate, step // rate))
        step = rate
    return step, found[::-1]


def pad(features: np.ndarray, context: tuple[int, int]) -> np.ndarray:
    """(T, F) -> (left + T + right, F): the first and last frame repeated."""
    return np.pad(np.asarray(features, dtype=np.float32), (context, (0, 0)), mode="edge")
