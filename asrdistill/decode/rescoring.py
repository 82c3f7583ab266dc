"""New words, n-best lists and confidences from the lattices of a decode folder, without a new search."""

from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, TypedDict

import numpy as np

from asrdistill.decode.confusion import confidences, minimum_risk
from asrdistill.decode.graph import keep_grammar, read_grammar
from asrdistill.decode.lattice_formats import kaldi_text, lattice_path, packed, read_slf
from asrdistill.decode.lm import Grammar
from asrdistill.decode.options import RescoreOptions, check_scales
from asrdistill.decode.words import Word, join
from asrdistill.errors import UserError
from asrdistill.files import atomic, write_json
from asrdistill.parallel import map_utterances
from asrdistill.reader import Positive, read_json
from asrdistill.scoring.calibration import NONE, Calibration, read_calibration
from asrdistill.scoring.wer import read_transcripts

State = tuple[tuple[Grammar, dict[str, int]] | None, Calibration]  # of a worker process


class _Searched(TypedDict):
    lm_weight: float
    insertion_penalty: float
    frame_shift: Positive


def rescore(
    decoded: Path, lm: Path | None, graph: Path, calibration: Path | None, options: RescoreOptions, out: Path, jobs: int
) -> None:
    """Write hyp.txt, words.ctm and rescore.json into the folder `out`, from a folder that decode made with lattices.

    The language model is compiled into the folder `graph`, from which all processes map it. Raises UserError if there
    are no lattices, and for a lattice that is damaged or that the language model leaves empty.
    """
    searched = read_json(Path(decoded) / "decode.json", _Searched)
    if not (Path(decoded) / "lattices").is_dir():
        raise UserError(f"{decoded} has no lattices; decode again with --lattice-beam 5")
    penalty = searched["insertion_penalty"] if np.isnan(options.insertion_penalty) else options.insertion_penalty
    scales = (options.lm_weight or searched["lm_weight"], penalty)
    check_scales(*scales)
    utterances = list(read_transcripts(Path(decoded) / "hyp.txt"))
    if lm:
        keep_grammar(graph, lm)
    names = ["hyp.txt", "words.ctm", *["nbest.txt"] * (options.n_best > 0), *["lat.gz"] * options.kaldi]
    work = partial(_rescore, Path(decoded) / "lattices", searched["frame_shift"], scales, options)
    load = partial(_load, graph if lm else None, calibration)
    with ExitStack() as stack:
        files: dict[str, Any] = {
            name: stack.enter_context(packed(out / name) if name == "lat.gz" else atomic(out / name, "wb"))
            for name in names
        }
        for texts in map_utterances(work, utterances, jobs, "rescore", load):
            for name, text in texts.items():
                files[name].write(text.encode())
    record = {"lm_weight": scales[0], "insertion_penalty": scales[1], "utterances": len(utterances)}
    write_json(out / "rescore.json", record)


def _load(graph: Path | None, calibration: Path | None) -> State:
    return read_grammar(graph) if graph else None, read_calibration(calibration) if calibration else NONE


def _rescore(
    lattices: Path, shift: float, scales: tuple[float, float], options: RescoreOptions, state: State, utterance: str
) -> dict[str, str]:
    """What each file of :func:`rescore` holds of an utterance."""
    model, calibration = state
    lattice = read_slf(lattice_path(lattices, utterance), shift)
    if model:
        try:
            lattice = lattice.rescored(*model)
        except ValueError:
            raise UserError(f"{utterance}: its paths and <unk> are not in the language model; add words") from None
    if options.risk:
        found = minimum_risk(lattice, *scales)
        words = [Word(word, *times, 0.0) for word, times in zip(found.words, found.times, strict=True)]
    else:
        _, words = lattice.best(*scales)
        found = confidences(lattice, *scales, [word.word for word in words])
    calibrated = calibration(np.array(found.confidences))
    words = join(word._replace(confidence=float(c)) for word, c in zip(words, calibrated, strict=True))
    texts = {
        "hyp.txt": " ".join([utterance, *(word.word for word in words)]) + "\n",
        "words.ctm": "".join(word.ctm(utterance, shift) + "\n" for word in words),
    }
    if options.n_best:
        best = lattice.n_best(*scales, options.n_best)
        texts["nbest.txt"] = "".join(f"{utterance} {score:.3f} {_joined(units)}\n" for score, units in best)
    if options.kaldi:
        texts["lat.gz"] = kaldi_text(utterance, lattice)
    return texts


def _joined(units: list[str]) -> str:
    """The words of word pieces."""
    return " ".join(word.word for word in join(Word(unit, 0, 0, 0.0) for unit in units))
