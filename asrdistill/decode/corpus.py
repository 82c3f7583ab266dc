"""Decoding all utterances of feature archives, in parallel."""

import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from asrdistill.data.archive import FrameArchive
from asrdistill.decode.acoustic import Scorer, load_scorer, open_frames
from asrdistill.decode.decoder import DecodeOptions, Decoder, Hypothesis
from asrdistill.decode.graph import keep_graph
from asrdistill.decode.lattice_formats import lattice_path, write_slf
from asrdistill.errors import UserError, check_left_out, log, noting, shorten
from asrdistill.files import atomic, write_json
from asrdistill.hmm.senones import Senones
from asrdistill.models.inference import PLAIN, Compute
from asrdistill.parallel import Workers


def load(
    model: Path, features: Sequence[Path], lang: Path, lm: Path, options: DecodeOptions, graph: Path
) -> tuple[list[FrameArchive], Decoder]:
    """Check that everything fits together and compile the decoder, or take it from the folder `graph`.

    `lm` is a folder with ``lm.arpa`` in it or an ARPA file. Raises UserError before any work is done.
    """
    archives = [open_frames(folder, model) for folder in features]
    return archives, Decoder.of(keep_graph(graph, lang, lm, Senones.read(model)), options)


class Result(NamedTuple):
    """An utterance's hypothesis, and the processor time that model and search took, in seconds."""

    utterance: str
    hypothesis: Hypothesis
    model_seconds: float
    search_seconds: float


def recognisers(model: Path, decoder: Decoder, jobs: int, compute: Compute = PLAIN) -> Workers:
    """Processes that each hold model and decoder, for any number of archives."""
    return Workers(jobs, partial(_load, model, decoder, compute))


def decode_archive(archive: FrameArchive, decoder: Decoder, out: Path, workers: Workers) -> dict:
    """Decode all utterances into the folder `out`: hyp.txt, words.ctm and decode.json, whose content is returned.

    With a lattice beam also lattices/UTTERANCE.slf.gz. `workers` are :func:`recognisers`. Raises UserError if too many
    utterances cannot be decoded.
    """
    shift = archive.meta["frame_shift"] * decoder.graph.subsampling
    rows, search, both, words, partial, faults = 0, 0.0, 0.0, 0, [], dict[str, str]()
    lattices = out / "lattices" if decoder.options.lattice_beam else None
    if lattices:
        lattices.mkdir(exist_ok=True)
    with atomic(out / "hyp.txt") as text, atomic(out / "words.ctm") as ctm:
        work = [(archive.folder, utterance, lattices) for utterance in archive]
        results = workers.map(_decode, work, "decode", "frames", lambda item: archive.rows(item[1]))
        for result in results:
            if isinstance(result, dict):
                faults |= result
                continue
            utterance, hypothesis, model_seconds, search_seconds = result
            rows += archive.rows(utterance)
            text.write(" ".join([utterance, *hypothesis.words]) + "\n")
            for word in hypothesis.times:
                ctm.write(word.ctm(utterance, shift) + "\n")
            search, both = search + search_seconds, both + search_seconds + model_seconds
            words += len(hypothesis.words)
            if hypothesis.partial:
                partial.append(utterance)
    check_left_out(faults, len(archive))
    seconds = rows * archive.meta["frame_shift"]
    if partial:
        log.warning("%d utterances were cut off inside a word: %s", len(partial), shorten(partial))
    record = {
        "utterances": len(archive) - len(faults),
        "words": words,
        "partial": partial,  # ended inside a word even with wider beams
        "seconds_of_speech": round(seconds, 2),
        "rtf": round(search / seconds, 5),
        "rtf_with_model": round(both / seconds, 5),
        **{name: value for name, value in asdict(decoder.options).items() if name != "prior_floor"},
        "frame_shift": shift,
    }
    write_json(out / "decode.json", record)
    return record


class Recogniser(NamedTuple):
    """State of a worker process of :func:`recognisers`."""

    scorer: Scorer
    decoder: Decoder


def _load(model: Path, decoder: Decoder, compute: Compute) -> Recogniser:
    _archive.cache_clear()  # one that this process read earlier may have been made again since
    warm_up(decoder)
    return Recogniser(load_scorer(model, decoder.options.prior_floor, compute), decoder)


def warm_up(decoder: Decoder) -> None:
    """Load the native library and map the graph before times are measured."""
    decoder.decode(np.zeros((1, decoder.senones), np.float32))


@lru_cache(maxsize=1)
def _archive(folder: Path) -> FrameArchive:
    return FrameArchive(folder)


def recognise(state: Recogniser, features: Path, utterance: str, lm_weight: float, insertion_penalty: float) -> Result:
    """Decode an utterance of a feature archive with these scales."""
    try:
        start = time.process_time()
        loglikes = state.scorer.loglikes(_archive(features)[utterance])
        middle = time.process_time()
        options = replace(state.decoder.options, lm_weight=lm_weight, insertion_penalty=insertion_penalty)
        hypothesis = state.decoder.with_options(options).decode(loglikes)
        end = time.process_time()
    except UserError as error:
        raise UserError(f"utterance {utterance}: {error}") from None
    return Result(utterance, hypothesis, middle - start, end - middle)


def _decode(state: Recogniser, work: tuple[Path, str, Path | None]) -> Result | dict[str, str]:
    """The result, or utterance and fault."""
    features, utterance, lattices = work
    options, faults = state.decoder.options, dict[str, str]()
    with noting(faults, utterance):
        result = recognise(state, features, utterance, options.lm_weight, options.insertion_penalty)
    if faults:
        return faults
    lattice = result.hypothesis.lattice
    if lattices and lattice:
        path, shift = lattice_path(lattices, utterance), _archive(features).meta["frame_shift"]
        shift *= state.decoder.graph.subsampling
        write_slf(path, utterance, lattice, shift, options.lm_weight, options.insertion_penalty)
    return result._replace(hypothesis=replace(result.hypothesis, lattice=None))
