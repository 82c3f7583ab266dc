"""Accuracy of specialists on their own senones and by coverage (the paper's Tables 3 and 4)."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from asrdistill.data.archive import FrameArchive
from asrdistill.errors import UserError
from asrdistill.files import write_json, write_text
from asrdistill.models.inference import PLAIN, Compute
from asrdistill.models.io import load_model, load_with, open_for
from asrdistill.models.specialists import Specialists
from asrdistill.parallel import Chunk, chunks, map_utterances
from asrdistill.results.tables import NOTHING, Table

Pairs = Sequence[Sequence[Path]]  # features and their alignment

GENERALIST = "generalist"


def measure(model: Path, against: Sequence[Path], on: Pairs, out: Path, jobs: int, compute: Compute = PLAIN) -> None:
    """Write ``specialists.json`` and ``specialists.md`` on a generalist with specialists, and on other models."""
    together = load_model(model)
    if not isinstance(together, Specialists):
        raise UserError(f"{model} is no generalist with specialists; make one with nnet ensemble --generalist")
    for other in (model, *against):
        loaded = load_model(other)
        for features, alignment in on:
            open_for(loaded, other, features, alignment)
    names = [GENERALIST, model.name, *(other.name for other in against)]
    if twice := [name for name in names if names.count(name) > 1]:
        raise UserError(f"two models would both be called {twice[0]} in the tables; give one another name")
    sums = np.zeros((2 + 1 + len(against), 2 * len(together.members) + 1), np.int64)
    for features, alignment in on:
        load = partial(_load, model, against, features, alignment, compute)
        utterances = chunks(FrameArchive(alignment).utterances, 100)
        for counts in map_utterances(_measure, utterances, jobs, f"frames of {model.name}", load):
            sums += counts
    record = describe(names, sums, len(together.members))
    write_json(out / "specialists.json", record)
    write_text(out / "specialists.md", tables(record))


def _load(model: Path, against: Sequence[Path], features: Path, alignment: Path, compute: Compute) -> tuple[Any, ...]:
    together, features, labels = load_with(model, features, alignment, compute=compute)
    others = [load_model(other, compute=compute) for other in against]
    return [together.generalist, together, *others], together.covers.numpy(), features, labels


def _measure(state: tuple[Any, ...], utterances: Chunk[str]) -> np.ndarray:
    """Counts (1 + models, M + 1 + M) over utterances: frames, then correct frames of each model; see :func:`count`."""
    models, covers, features, alignment = state  # covers (M, S)
    counts = np.zeros((1 + len(models), 2 * len(covers) + 1), np.int64)
    for utterance in utterances:
        labels = np.asarray(alignment[utterance])[:: models[0].senones.subsampling]
        counts[0] += count(covers, labels, np.ones(len(labels), bool), np.ones((len(covers), len(labels)), bool))
        for row, model in zip(counts[1:], models, strict=True):
            log_p = model.log_posteriors(features[utterance])
            within = np.stack([np.where(own, log_p, -np.inf).argmax(-1) == labels for own in covers])
            row += count(covers, labels, log_p.argmax(-1) == labels, within)
    return counts


def count(covers: np.ndarray, labels: np.ndarray, right: np.ndarray, within: np.ndarray) -> np.ndarray:
    """(M + 1 + M,) frames that are right (T,), by number of covering specialists; and within each one's own (M, T)."""
    mine = covers[:, labels]  # (M, T)
    return np.concatenate([np.bincount(mine.sum(0)[right], minlength=len(covers) + 1), (mine & within).sum(1)])


def describe(names: Sequence[str], sums: np.ndarray, specialists: int) -> dict[str, Any]:
    """The counts of :func:`_measure` as what stands in specialists.json; `relative` is against the generalist."""
    covering, within = sums[:, : specialists + 1], sums[:, specialists + 1 :]

    def entry(part: np.ndarray) -> dict[str, Any]:
        frames, base, *_ = counts = part.tolist()
        systems = {
            name: {
                "correct": right,
                "percent": 100 * right / frames if frames else None,
                "relative": 100 * (right - base) / base if base else None,
            }
            for name, right in zip(names, counts[1:], strict=True)
        }
        return {"frames": frames, "systems": systems}

    return {
        "all": entry(covering.sum(1)),
        "conditional": entry(within.sum(1)),
        "by_specialist": [{"specialist": m, **entry(within[:, m])} for m in range(specialists)],
        "by_coverage": [{"specialists": c, **entry(covering[:, c])} for c in range(specialists + 1) if covering[0, c]],
    }


def tables(record: dict[str, Any]) -> str:
    """The paper's Tables 3 and 4, and Table 3 by specialist, in Markdown."""
    names = list(record["all"]["systems"])

    def table(what: str, entries: dict[Any, dict[str, Any]]) -> str:
        rows = [
            [f"{label}", f"{entry['frames']:,}", *(_cell(name, entry["systems"][name]) for name in names)]
            for label, entry in entries.items()
        ]
        return Table([what, "frames", *names], rows).markdown()

    third = {"all frames": record["all"], "own senones, among them alone": record["conditional"]}
    covering, each = record["by_coverage"], record["by_specialist"]
    return (
        "Frame accuracy in percent; in brackets the change of correct frames relative to the generalist.\n\n"
        f"{table('accuracy on', third)}\n\nBy the number of specialists that cover the true senone:\n\n"
        f"{table('specialists that cover the senone', {entry['specialists']: entry for entry in covering})}\n\n"
        f"Within each specialist's own senones:\n\n{table('specialist', dict(enumerate(each)))}\n"
    )


def _cell(name: str, system: dict[str, Any]) -> str:
    if system["percent"] is None:
        return NOTHING
    change = "" if name == GENERALIST or system["relative"] is None else f" ({system['relative']:+.1f} %)"
    return f"{system['percent']:.1f}{change}"
