"""Searches random problems, and graphs with random changes that pass the check of bounds, with a library of choice.

    python tests/core/fuzz.py LIBRARY FIRST COUNT

prints how many changed graphs were refused and how many were searched. For a library that was compiled with sanitizers
(:mod:`tests.core.test_sanitised` shows how); what it finds ends this process.
"""

import contextlib
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from asrdistill import core
from asrdistill.decode import search
from asrdistill.decode.bounds import check_bounds
from asrdistill.decode.confusion import minimum_risk
from asrdistill.decode.decoder import Decoder
from asrdistill.decode.graph import PARTS, SearchGraph, compile_graph
from asrdistill.decode.lm import compile_grammar
from asrdistill.decode.options import DecodeOptions
from asrdistill.errors import UserError
from asrdistill.features.cepstra import CepstraOptions
from asrdistill.features.options import FbankOptions, frames
from asrdistill.lang.ngram import train
from asrdistill.runtime.frontend import frontend_of
from tests.decode.test_search import low_frame_rate, random_problem


def problem(seed: int) -> tuple[SearchGraph, np.ndarray]:
    """A graph and scores, some of them -inf."""
    rng = np.random.default_rng(seed)
    lang, lm, senones, scores = random_problem(seed, 1 + seed % 3, contexts=bool(seed % 2))
    if seed % 5 == 4:
        senones = low_frame_rate(lang, rng, 1 + seed // 5 % 2)
    scores = rng.normal(0, 3, (int(rng.integers(1, 200)), senones.count)).astype(np.float32)
    scores[:, 1:][rng.random((len(scores), senones.count - 1)) < 0.05] = -np.inf
    return compile_graph(lang, lm, senones), scores


def options(rng: np.random.Generator) -> DecodeOptions:
    beam = float(rng.choice([0.1, 3, 8, 1e4]))
    kept = int(rng.choice([1, 20, 10**6]))
    lattice = float(rng.choice([0, 0, 2, 8]))
    return DecodeOptions(lm_weight=2.0, beam=beam, word_end_beam=beam, max_active=kept, lattice_beam=min(lattice, beam))


def changed(graph: SearchGraph, rng: np.random.Generator) -> SearchGraph:
    """The graph with a few elements of one array replaced, or its elements in another order."""
    part = str(rng.choice(sorted(PARTS)))
    arrays = {name: value for name, value in getattr(graph, part)._asdict().items() if isinstance(value, np.ndarray)}
    name = str(rng.choice(sorted(arrays)))
    array = arrays[name].copy()
    column = array[str(rng.choice(array.dtype.names))] if array.dtype.names else array
    if len(column):
        whole = [0, 1, -1, 2, 7, len(column), len(column) - 1, 2**31 - 1, -(2**31), int(rng.integers(-20, 200))]
        for _ in range(int(rng.integers(1, 4))):
            value = rng.choice([5.0, -9e5, -np.inf, np.nan]) if column.dtype.kind == "f" else whole[rng.integers(10)]
            column[rng.integers(len(column))] = np.array(value).astype(column.dtype)
        if rng.random() < 0.2:
            column[:] = rng.permutation(column)
    return replace(graph, **{part: getattr(graph, part)._replace(**{name: array})})


def run(graph: SearchGraph, scores: np.ndarray, rng: np.random.Generator) -> None:
    """Decode at once and in chunks; take lattices apart."""
    chosen = options(rng)
    decoder = Decoder.of(graph, chosen)
    found = decoder.decode(scores)
    going, size = decoder.start(), int(rng.integers(1, 40))
    for begin in range(0, len(scores), size):
        going.accept(scores[begin : begin + size])
        going.partial_traceback()
        assert going.partial is not None
    going.finish()
    if found.lattice is not None:
        minimum_risk(found.lattice, chosen.lm_weight, 0.0)
        words = sorted(set(graph.words))
        lm = train([" ".join(rng.choice(words, size=20))], words, 2)
        found.lattice.rescored(compile_grammar(lm), lm.levels[0].number)


def make_features(rng: np.random.Generator) -> None:
    """Filterbanks and cepstra of samples that come in pieces, some of them NaN or infinite."""
    size = {"frame_length": float(rng.integers(2, 60)), "frame_shift": float(rng.integers(1, 90))}
    of = FbankOptions(bins=int(rng.integers(1, 5)), low=0.0, high=0.0, snip_edges=bool(rng.integers(2)), **size)
    meta: dict[str, Any] = {"features": of.describe()}
    if rng.random() < 0.5:
        own = CepstraOptions(coefficients=int(rng.integers(1, 9)), normalise=str(rng.choice(["none", "speaker"])))
        meta["features"] = {"type": "cepstra", **own.__dict__, "fbank": of.describe()}
        meta["level"] = {"mean": [1.0] * own.coefficients, "std": [2.0] * own.coefficients}
    samples = rng.normal(size=int(rng.integers(0, 5000))).astype(np.float32)
    samples[rng.random(len(samples)) < 0.01] = rng.choice([np.nan, np.inf, 1e38])
    stream, begin, count = frontend_of(meta, Path("model")).stream(), 0, 0
    while begin < len(samples):
        size = int(rng.integers(0, 700))
        count += len(stream.accept(samples[begin : begin + size]))
        begin += size
    assert count + len(stream.finish()) == frames(len(samples), of)


def main(library: str, first: str, count: str) -> None:
    core.LIBRARY = Path(library)
    outcomes = {"refused": 0, "searched": 0}
    for seed in range(int(first), int(first) + int(count)):
        print(seed, file=sys.stderr, flush=True)
        rng = np.random.default_rng(seed)
        for _ in range(10):
            with contextlib.suppress(UserError):  # filters that are empty
                make_features(rng)
        search.ROOM = int(rng.choice([1, 64]))
        graph, scores = problem(seed)
        run(graph, scores, rng)
        for _ in range(10):
            other = changed(graph, rng)
            try:
                check_bounds({part: getattr(other, part) for part in PARTS}, len(other.words), other.senones)
            except (ValueError, OverflowError):
                outcomes["refused"] += 1
                continue
            with contextlib.suppress(UserError, ValueError):  # no path is left
                run(other, scores, rng)
            outcomes["searched"] += 1
    print(json.dumps(outcomes))


if __name__ == "__main__":
    main(*sys.argv[1:])
