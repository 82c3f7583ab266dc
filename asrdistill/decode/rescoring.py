"""New words, n-best lists and confidences from the lattices of a decode folder, without a new search."""

from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from asrdistill.decode.confusion import confidences, minimum_risk
from asrdistill.decode.graph import keep_grammar, read_grammar
from asrdistill.decode.lattice import Lattice
from asrdistill.decode.lattice_files import kaldi_text, lattice_path, packed, read_slf
from asrdistill.decode.lm import Grammar
from asrdistill.decode.options import RescoreOptions
from asrdistill.decode.words import Word, join
from asrdistill.errors import UserError
from asrdistill.files import atomic, read_json, write_json
from asrdistill.parallel import map_utterances
from asrdistill.scoring.calibration import NONE, Calibration, read_calibration
from asrdistill.scoring.wer import read_transcripts


class Rescored(NamedTuple):
    utterance: str
    words: list[Word]
    n_best: list[tuple[float, list[str]]]
    kaldi: str


def rescore(
    decoded: Path,
    lm: Path | None,
    graph: Path,
    calibration: Path | None,
    options: RescoreOptions,
    out: Path,
    jobs: int,
) -> None:
    """Write hyp.txt, words.ctm and rescore.json into the folder `out`, from a folder that decode made with lattices.

    The language model is compiled once, into the folder `graph`, from which all processes map it. Raises UserError
    where there are no lattices, and for one that is damaged or that the language model leaves empty.
    """
    searched = read_json(Path(decoded) / "decode.json")
    if not (Path(decoded) / "lattices").is_dir():
        raise UserError(f"{decoded} has no lattices; decode again with --lattice-beam 5")
    penalty = searched["insertion_penalty"] if np.isnan(options.insertion_penalty) else options.insertion_penalty
    scales = (options.lm_weight or searched["lm_weight"], penalty)
    if scales[0] <= 0:
        raise UserError(f"the language model's weight must be above 0, not {scales[0]:g}")
    utterances = list(read_transcripts(Path(decoded) / "hyp.txt"))
    shift = searched["frame_shift"]
    if lm:
        keep_grammar(graph, lm)
    load = partial(_load, Path(decoded) / "lattices", graph if lm else None, calibration, options, scales, shift)
    results = map_utterances(_rescore, utterances, jobs, "rescore", load)
    with ExitStack() as files:
        text, ctm = (files.enter_context(atomic(out / name)) for name in ("hyp.txt", "words.ctm"))
        n_best = files.enter_context(atomic(out / "nbest.txt")) if options.n_best else None
        kaldi = files.enter_context(packed(out / "lat.gz")) if options.kaldi else None
        for result in results:
            text.write(" ".join([result.utterance, *(word.word for word in result.words)]) + "\n")
            ctm.writelines(word.ctm(result.utterance, shift) + "\n" for word in result.words)
            if n_best:
                n_best.writelines(f"{result.utterance} {score:.3f} {' '.join(w)}\n" for score, w in result.n_best)
            if kaldi:
                kaldi.write(result.kaldi.encode())
    record = {"lm_weight": scales[0], "insertion_penalty": scales[1], "utterances": len(utterances)}
    write_json(out / "rescore.json", record)


class _State(NamedTuple):
    """What a process needs to rescore lattices."""

    lattices: Path
    model: tuple[Grammar, dict[str, int]] | None
    calibration: Calibration
    options: RescoreOptions
    scales: tuple[float, float]
    shift: float


def _load(lattices: Path, graph: Path | None, calibration: Path | None, *rest: Any) -> _State:
    model = read_grammar(graph) if graph else None
    return _State(lattices, model, read_calibration(calibration) if calibration else NONE, *rest)


def _rescore(state: _State, utterance: str) -> Rescored:
    lattice = read_slf(lattice_path(state.lattices, utterance), state.shift)
    if state.model:
        try:
            lattice = lattice.rescored(*state.model)
        except ValueError:
            raise UserError(
                f"utterance {utterance}: the language model accepts no path of the lattice and has no <unk>"
            ) from None
    options = state.options
    n_best = lattice.n_best(*state.scales, options.n_best) if options.n_best else []
    n_best = [(score, [word.word for word in join(Word(unit, 0, 0, 0.0) for unit in units)]) for score, units in n_best]
    return Rescored(utterance, _words(state, lattice), n_best, kaldi_text(utterance, lattice) if options.kaldi else "")


def _words(state: _State, lattice: Lattice) -> list[Word]:
    """The best words with their calibrated confidences."""
    if state.options.risk:
        found = minimum_risk(lattice, *state.scales)
        words = [Word(word, *times, 0.0) for word, times in zip(found.words, found.times, strict=True)]
    else:
        _, words = lattice.best(*state.scales)
        found = confidences(lattice, *state.scales, [word.word for word in words])
    calibrated = state.calibration(np.array(found.confidences))
    return join(word._replace(confidence=float(c)) for word, c in zip(words, calibrated, strict=True))
