"""Entropy pruning of back-off models (Stolcke 1998).

The loss of an n-gram is P(h) · D(p(·|h) ‖ p'(·|h)), in nats a word, where p' backs off to it. P(h) is the frequency of
the history in the text: Kneser-Ney's lower orders are no marginals (Chelba, Brants, Neveitt, Xu 2010).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

Arrays = list[np.ndarray]  # (G,) for each order


def prune(counts: Sequence[Any], p: Arrays, weights: Arrays, kept: Arrays, most: int) -> tuple[Arrays, Arrays]:
    """(back-off weights, kept n-grams) of a model with at most `most` n-grams above unigrams.

    Those with the largest losses stay, each with its n-grams of the next lower order. Arguments are as in
    :func:`asrdistill.lang.ngram.estimate`, `p` the probabilities.
    """
    worth = losses(counts, p, weights, kept)
    for grams, shorter, longer in zip(counts[:1:-1], worth[-2::-1], worth[::-1], strict=False):
        np.maximum.at(shorter, grams.prefix, longer)
        np.maximum.at(shorter, grams.suffix, longer)  # KenLM reads no model without
    falling = np.sort(np.concatenate([[-np.inf], *worth]))[::-1]
    threshold = falling[min(len(p[0]) + most, len(falling) - 1)]
    kept = [each > threshold for each in worth]
    low, found = p[0], []
    for grams, own, weight, keep in zip(counts[1:], p[1:], weights, kept[1:], strict=False):
        low = low[grams.suffix]
        left, left_low = (1 - np.bincount(grams.prefix[keep], mass[keep], len(weight)) for mass in (own, low))
        found.append(np.where(left_low > 1e-9, left / np.maximum(left_low, 1e-9), weight))  # less is rounding
        low = np.where(keep, own, found[-1][grams.prefix] * low)
    return [*found, weights[-1]], kept


def losses(counts: Sequence[Any], p: Arrays, weights: Arrays, kept: Arrays) -> Arrays:
    """Loss of each n-gram if it alone is left out: ∞ for unigrams, −∞ for those that are not kept."""
    found = [np.full(len(p[0]), np.inf)]
    for grams, own, shorter, weight, keep in zip(counts[1:], p[1:], p, weights, kept[1:], strict=False):
        low, history = shorter[grams.suffix], grams.prefix
        frequency = np.bincount(history, grams.times, len(weight))[history] / grams.times.sum()
        left_low = np.maximum(1 - np.bincount(history[keep], low[keep], len(weight)), 0)[history]
        left, before = weight[history] * left_low, np.log(weight)[history]
        after = np.log((left + own) / (left_low + low))
        loss = frequency * (own * (np.log(own / low) - after) + left * (before - after))
        found.append(np.where(keep, loss, -np.inf))
    return found
