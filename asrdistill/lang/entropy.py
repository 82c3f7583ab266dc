"""Entropy pruning of back-off models (Stolcke 1998).

The loss of an n-gram is what the model's entropy grows by if the n-gram is left out, P(h) · D(p(·|h) ‖ p'(·|h)), in
nats. P(h) is the relative frequency of the history h in the text: the lower orders of Kneser-Ney are made to be backed
off to and give no marginals (Chelba, Brants, Neveitt, Xu 2010).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from asrdistill.lang.ngram import Counts

log = logging.getLogger("asrdistill")

Arrays = list[np.ndarray]  # one for each order, (G,) each
ROUNDING = 1e-9  # of sums of probabilities; a back-off to less mass is never needed


def prune(
    counts: list[Counts], probabilities: Arrays, weights: Arrays, kept: Arrays, most: int
) -> tuple[Arrays, Arrays]:
    """(back-off weights, which n-grams stay) of a model that keeps `most` n-grams above unigrams.

    Those with the largest losses stay, and with each also the n-grams without its last and without its first word.
    Arguments as in :func:`asrdistill.lang.ngram.estimate`.
    """
    worth = losses(counts, probabilities, weights, kept)
    for grams, shorter, longer in zip(counts[:1:-1], worth[-2::-1], worth[::-1], strict=False):
        np.maximum.at(shorter, grams.prefix, longer)  # is worth what follows it
        np.maximum.at(shorter, grams.suffix, longer)  # KenLM reads no model that lacks many of these
    everything = np.concatenate(worth[1:]) if len(worth) > 1 else np.zeros(0)
    if np.count_nonzero(everything > -np.inf) <= most:
        return weights, kept
    rank = len(everything) - most - 1
    threshold = np.partition(everything, rank)[rank]
    log.info("entropy pruning: n-grams stay if they lose more than %.3g nats a word", threshold)
    kept = [kept[0], *(each > threshold for each in worth[1:])]
    return renormalise(counts, probabilities, weights, kept), kept


def losses(counts: list[Counts], probabilities: Arrays, weights: Arrays, kept: Arrays) -> Arrays:
    """Loss of each n-gram alone, in nats a word; −∞ if it is not kept. Unigrams have no losses."""
    found = [np.full(len(counts[0].last), np.inf)]
    for grams, p, shorter, weight, keep in zip(
        counts[1:], probabilities[1:], probabilities, weights, kept[1:], strict=False
    ):
        low, prefix, contexts = shorter[grams.suffix], grams.prefix, len(weight)
        frequency = np.bincount(prefix, grams.times, contexts) / grams.times.sum()
        left_low = np.maximum(1 - np.bincount(prefix[keep], low[keep], contexts), 0)  # of what is backed off to
        left = weight * left_low
        after = np.log((left[prefix] + p) / (left_low[prefix] + low))  # ln weight without the n-gram
        loss = p * (np.log(p / low) - after) + left[prefix] * (np.log(weight)[prefix] - after)
        found.append(np.where(keep, frequency[prefix] * loss, -np.inf))
    return found


def renormalise(counts: list[Counts], probabilities: Arrays, weights: Arrays, kept: Arrays) -> Arrays:
    """Back-off weights with which the probabilities of the kept n-grams and their back-offs sum to one."""
    shorter, found = probabilities[0], []
    for grams, p, weight, keep in zip(counts[1:], probabilities[1:], weights, kept[1:], strict=False):
        low, prefix = shorter[grams.suffix], grams.prefix
        left, left_low = (1 - np.bincount(prefix[keep], mass[keep], len(weight)) for mass in (p, low))
        found.append(np.where(left_low > ROUNDING, left / np.maximum(left_low, ROUNDING), weight))
        shorter = np.where(keep, p, found[-1][prefix] * low)
    return [*found, weights[-1]]
