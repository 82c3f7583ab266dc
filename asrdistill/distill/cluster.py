"""Cluster senones that the generalist confuses into the sets of specialists (Hinton, Vinyals and Dean 2015, 5.2).

On-line K-means on the columns of the covariance of its predictions, or on whole phones; see docs/internals.md.
``sets.json``: per set its senones (nearest to the centroid first), their names, inertia and probability mass.
"""

from functools import partial
from pathlib import Path
from typing import Any, TypedDict

import numpy as np

from asrdistill.data.archive import FrameArchive, check_features
from asrdistill.distill.options import ClusterOptions
from asrdistill.errors import UserError, log
from asrdistill.files import write_json
from asrdistill.hmm.senones import Senones
from asrdistill.models.inference import PLAIN, Compute, posteriors
from asrdistill.models.io import load_model, load_with
from asrdistill.parallel import Chunk, chunks, map_utterances
from asrdistill.reader import Count, read_json

SETS = "sets.json"
PASSES, STARTS = 20, 10  # over the columns; a single start may leave two groups in one cluster
NOTHING = 1e-15  # smaller probabilities count as 0: products of denormal numbers take ten times as long
JOINED = 16  # utterances per matrix product
CHUNK = 500  # utterances per job; fixed, so that sums do not depend on the number of jobs


def cluster_senones(
    model: Path,
    features: FrameArchive,
    out: Path,
    options: ClusterOptions,
    jobs: int,
    compute: Compute = PLAIN,
) -> None:
    """Cluster the senones that a model confuses on the features, and write ``sets.json`` into `out`.

    Raises UserError for sizes that the senones do not allow, and for features of another kind or without frames.
    """
    loaded = load_model(model)
    check_features(features, loaded.meta["features"], model)
    senones = loaded.senones
    check_sizes(options, senones)
    if features.total_rows == 0:
        raise UserError(f"{features.folder} holds no frames; make it again")
    mean, covariance = moments(model, features, jobs, compute)
    find = by_confusion if options.by == "confusion" else by_phones
    found = find(covariance, senones, options)
    names = senone_names(senones)
    sets = [
        {"inertia": inertia, "mass": mean[own].sum(), "senones": own.tolist(), "names": [names[s] for s in own]}
        for own, inertia in found
    ]
    covered = len({senone for part in sets for senone in part["senones"]})
    log.info("%d sets cover %d of %d senones", len(sets), covered, senones.count)
    made = {"by": options.by, "covered": covered, "generalist": model.name, "senones": senones.hash}
    write_json(out / SETS, {**made, "feature_hash": features.hash, "frames": features.total_rows, "sets": sets})


def check_sizes(options: ClusterOptions, senones: Senones) -> None:
    """Raise UserError for numbers and sizes of sets that the senones do not allow."""
    if options.clusters < 1 or options.size < 1:
        raise UserError(f"there must be at least 1 set of 1 senone, not {options.clusters} sets of {options.size}")
    if options.size > senones.count:
        raise UserError(f"a set cannot have {options.size} senones: the model has {senones.count}; lower --size")
    things, what = (senones.count, "senones") if options.by == "confusion" else (len(senones.states), "phones")
    if options.clusters > things:
        raise UserError(f"{things} {what} cannot be clustered into {options.clusters} sets; ask for fewer")


def read_sets(folder: Path) -> dict[str, Any]:
    """The record that :func:`cluster_senones` wrote; raises UserError for anything else."""
    if not (Path(folder) / SETS).is_file():
        raise UserError(f"{folder} holds no {SETS}; make it with asrdistill distill cluster-senones")
    return read_json(Path(folder) / SETS, _Sets)


class _Set(TypedDict, total=False):
    names: list[str]
    senones: list[Count]
    mass: float
    inertia: float


class _Sets(TypedDict, total=False):
    senones: str
    by: str
    generalist: str
    sets: list[_Set]


def read_set(folder: Path, number: int, senones: Senones) -> np.ndarray:
    """(m,) senones of one set; raises UserError for an unknown number, and for sets over other senones."""
    record = read_sets(folder)
    if record["senones"] != senones.hash:
        raise UserError(f"{folder} has sets of other senones than the alignment; make them with its generalist")
    if not 0 <= number < len(record["sets"]):
        raise UserError(f"{folder} has the sets 0 to {len(record['sets']) - 1}, not {number}; give one of these")
    chosen = np.array(record["sets"][number]["senones"])
    if not len(chosen) or chosen.max() >= senones.count or len(np.unique(chosen)) < len(chosen):
        raise UserError(f"{Path(folder) / SETS}: set {number} is empty or has unknown senones; make it again")
    return chosen


def moments(model: Path, features: FrameArchive, jobs: int, compute: Compute = PLAIN) -> tuple[np.ndarray, np.ndarray]:
    """Mean (S,) and covariance (S, S) of the model's predictions over all frames, float64."""
    total: Any = 0
    load = partial(load_with, model, features.folder, compute=compute)
    for sums in map_utterances(_sums, chunks(features.utterances, CHUNK), jobs, f"moments of {model.name}", load):
        total = total + sums
    mean, products = total[0] / features.total_rows, total[1:] / features.total_rows
    return mean, products - np.outer(mean, mean)


def _sums(state: tuple[Any, FrameArchive], chunk: Chunk[str]) -> np.ndarray:
    """(1 + S, S) float64: the sum of predictions p over frames, then that of p pᵀ."""
    model, features = state
    sums = np.zeros((1 + model.senones.count, model.senones.count))
    for utterances in chunks(chunk.utterances, JOINED):
        p = np.exp(np.concatenate(list(posteriors(model, map(features.__getitem__, utterances)))))
        p[p < NOTHING] = 0
        sums[0] += p.sum(0, dtype=np.float64)
        sums[1:] += p.T @ p
    return sums


def by_confusion(covariance: np.ndarray, senones: Senones, options: ClusterOptions) -> list[tuple[np.ndarray, float]]:
    """The senones (m,) of each set, nearest to the centroid first, and the centroid's inertia."""
    distances, inertia = _clustered(covariance, options)
    order = distances.argsort(0, kind="stable")[: options.size]
    return list(zip(order.T, inertia, strict=True))


def by_phones(covariance: np.ndarray, senones: Senones, options: ClusterOptions) -> list[tuple[np.ndarray, float]]:
    """As :func:`by_confusion`, for sets of whole phones: their m senones of largest variance, largest first."""
    phone = senones.phone
    member = (phone == np.arange(len(senones.states))[:, None]).astype(float)  # (P, S)
    distances, inertia = _clustered(member @ covariance @ member.T, options)
    nearest = distances.argmin(1)
    if len(groups := np.unique(nearest)) < options.clusters:
        raise UserError(f"the phones fall into {len(groups)} groups, not into {options.clusters}; ask for fewer sets")
    variable = (-covariance.diagonal()).argsort(kind="stable")
    sets = [variable[nearest[phone[variable]] == k][: options.size] for k in groups]
    return list(zip(sets, inertia, strict=True))


def _clustered(covariance: np.ndarray, options: ClusterOptions) -> tuple[np.ndarray, list[float]]:
    """Squared distances (N, K) of the columns (N, N) from the centroids, and the inertia of each centroid."""
    columns = unit(covariance)
    distances = squared_distances(columns, cluster(columns, options.clusters, options.seed))
    nearest = distances.argmin(1)
    return distances, [float(distances[nearest == k, k].sum()) for k in range(options.clusters)]


def unit(covariance: np.ndarray) -> np.ndarray:
    """The columns, as rows, scaled to length one; one without variance stays 0."""
    norms = np.linalg.norm(covariance, axis=0)
    return (covariance / np.maximum(norms, np.finfo(float).tiny)).T


def cluster(rows: np.ndarray, clusters: int, seed: int) -> np.ndarray:
    """Centroids (K, D) of unit length by on-line K-means (MacQueen 1967) over rows (N, D); see docs/internals.md.

    The best of STARTS runs, each initialised by k-means++ (Arthur and Vassilvitskii 2007).
    """
    rng = np.random.default_rng(seed)
    found = [_cluster_once(rows, clusters, rng) for _ in range(STARTS)]
    return min(found, key=lambda centroids: squared_distances(rows, centroids).min(1).sum())


def _cluster_once(rows: np.ndarray, clusters: int, rng: np.random.Generator) -> np.ndarray:
    centroids = rows[_spread(rows, clusters, rng)].copy()
    for _ in range(PASSES):
        seen = np.ones(clusters)
        for row in rows[rng.permutation(len(rows))]:
            nearest = (centroids @ row).argmax()
            seen[nearest] += 1
            moved = centroids[nearest] + (row - centroids[nearest]) / seen[nearest]
            centroids[nearest] = moved / max(np.linalg.norm(moved), np.finfo(float).tiny)
    return centroids


def _spread(rows: np.ndarray, count: int, rng: np.random.Generator) -> list[int]:
    """Rows drawn in proportion to their squared distance from the rows drawn before."""
    chosen = [int(rng.integers(len(rows)))]
    distance = np.full(len(rows), np.inf)
    while len(chosen) < count:
        distance = np.minimum(distance, squared_distances(rows, rows[chosen[-1:]])[:, 0])
        distance[chosen] = 0
        weight = distance
        if distance.sum() == 0:  # all other rows equal a chosen one
            weight = np.ones(len(rows))
            weight[chosen] = 0
        chosen.append(int(rng.choice(len(rows), p=weight / weight.sum())))
    return chosen


def squared_distances(rows: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """(N, K) of rows (N, D) from centroids (K, D)."""
    products = rows @ centroids.T
    return np.maximum((rows**2).sum(1)[:, None] - 2 * products + (centroids**2).sum(1), 0)


def senone_names(senones: Senones) -> list[str]:
    """Phone and state of each senone: AA.1"""
    roots = list(senones.states)
    return [f"{roots[phone]}.{state}" for phone, state in zip(senones.phone, senones.state, strict=True)]
