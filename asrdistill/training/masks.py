"""SpecAugment (Park et al. 2019): masks over time and frequency in each chunk, filled with the features' mean."""

import torch
from torch import Tensor

from asrdistill.training.options import TrainOptions


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
