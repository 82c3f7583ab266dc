"""Decoding all utterances of a feature archive, in parallel."""

import logging
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from asrdistill import parallel
from asrdistill.data.archive import FrameArchive, ShardWriter, finish
from asrdistill.decode.acoustic import Scorer, load_scorer, open_frames
from asrdistill.decode.decoder import DecodeOptions, Decoder, Hypothesis
from asrdistill.decode.graph import keep_graph
from asrdistill.decode.lattice_files import lattice_path, write_slf
from asrdistill.errors import UserError, shorten
from asrdistill.files import atomic, write_json
from asrdistill.hmm.senones import Senones

log = logging.getLogger("asrdistill")


def load(
    model: Path, features: Path, lang: Path, lm: Path, options: DecodeOptions, graph: Path
) -> tuple[FrameArchive, Decoder]:
    """Check that everything fits together and compile the decoder, or take it from the folder `graph`.

    `lm` is a folder with ``lm.arpa`` in it or an ARPA file. Raises UserError before any work is done.
    """
    scorer = load_scorer(model, options.prior_floor)
    archive = open_frames(features, scorer, model)
    return archive, Decoder.of(keep_graph(graph, lang, lm, scorer.senones), options)


class Result(NamedTuple):
    """An utterance's hypothesis, and the processor time that model and search took, in seconds."""

    utterance: str
    hypothesis: Hypothesis
    model_seconds: float
    search_seconds: float


def decode_archive(model: Path, archive: FrameArchive, decoder: Decoder, out: Path, jobs: int) -> dict:
    """Decode all utterances into the folder `out`: hyp.txt, words.ctm and decode.json, whose content is returned.

    With a lattice beam also lattices/UTTERANCE.slf.gz.
    """
    shift = archive.meta["frame_shift"]
    seconds, search, both, words, partial = archive.total_rows * shift, 0.0, 0.0, 0, []
    lattices = out / "lattices" if decoder.options.lattice_beam else None
    if lattices:
        lattices.mkdir(exist_ok=True)
    with atomic(out / "hyp.txt") as text, atomic(out / "words.ctm") as ctm:
        for utterance, hypothesis, model_seconds, search_seconds in _results(model, archive, decoder, lattices, jobs):
            text.write(" ".join([utterance, *hypothesis.words]) + "\n")
            for word in hypothesis.times:
                ctm.write(word.ctm(utterance, shift) + "\n")
            search, both = search + search_seconds, both + search_seconds + model_seconds
            words += len(hypothesis.words)
            if hypothesis.partial:
                partial.append(utterance)
    if partial:
        log.warning("%d utterances were cut off inside a word: %s", len(partial), shorten(partial))
    options = decoder.options
    record = {
        "utterances": len(archive),
        "words": words,
        "partial": partial,  # stopped inside a word, whatever the beam
        "seconds_of_speech": round(seconds, 2),
        "rtf": round(search / seconds, 5),
        "rtf_with_model": round(both / seconds, 5),
        "lm_weight": options.lm_weight,
        "insertion_penalty": options.insertion_penalty,
        "beam": options.beam,
        "word_end_beam": options.word_end_beam,
        "max_active": options.max_active,
        "lattice_beam": options.lattice_beam,
        "frame_shift": shift,
    }
    write_json(out / "decode.json", record)
    return record


# What a worker process holds; set up once.
_scorer: Scorer
_decoder: Decoder
_archive: FrameArchive
_lattices: Path | None


def _results(
    model: Path, archive: FrameArchive, decoder: Decoder, lattices: Path | None, jobs: int
) -> Iterator[Result]:
    settings = (model, archive.folder, decoder, lattices)
    yield from parallel.run(
        _decode, archive.utterances, jobs, "decode", "frames", _set_up, settings, weight=archive.rows
    )


def _set_up(model: Path, features: Path, decoder: Decoder, lattices: Path | None) -> None:
    global _scorer, _decoder, _archive, _lattices
    _scorer, _decoder, _archive = load_scorer(model, decoder.options.prior_floor), decoder, FrameArchive(features)
    _lattices = lattices
    warm_up(decoder)


def warm_up(decoder: Decoder) -> None:
    """Let numba compile or load the kernel, so that no utterance's time counts it."""
    decoder.decode(np.zeros((1, decoder.senones), np.float32))


def _decode(utterance: str) -> Result:
    try:
        start = time.process_time()
        loglikes = _scorer.loglikes(_archive[utterance])
        middle = time.process_time()
        hypothesis = _decoder.decode(loglikes)
        end = time.process_time()
    except UserError as error:
        raise UserError(f"utterance {utterance}: {error}") from None
    if _lattices and hypothesis.lattice:
        options, shift = _decoder.options, _archive.meta["frame_shift"]
        path = lattice_path(_lattices, utterance)
        write_slf(path, utterance, hypothesis.lattice, shift, options.lm_weight, options.insertion_penalty)
    return Result(utterance, replace(hypothesis, lattice=None), middle - start, end - middle)


SHARDS = 16  # of a log-likelihood archive; a fixed number, so that its bytes do not depend on the jobs


def write_loglikes(model: Path, archive: FrameArchive, floor: float, out: Path, jobs: int) -> None:
    """Write the model's scaled log-likelihoods of all utterances into the existing folder `out`."""
    senones = Senones.read(model)
    blocks = list(enumerate(parallel.split(archive.utterances, SHARDS)))
    work = [(number, utterances, out, senones.count) for number, utterances in blocks]
    shards = parallel.run(_write_shard, work, jobs, "score", "blocks", _set_up_scorer, (model, archive.folder, floor))
    made_by = {"senones": senones.hash, "frame_shift": archive.meta["frame_shift"]}
    finish(out, "loglikes", _parts(senones.count), shards, **made_by)
    senones.write(out)


def _parts(senones: int) -> dict:
    return {"frames": ("float32", (senones,))}


def _set_up_scorer(model: Path, features: Path, floor: float) -> None:
    global _scorer, _archive
    _scorer, _archive = load_scorer(model, floor), FrameArchive(features)


def _write_shard(work: tuple[int, list[str], Path, int]) -> dict:
    number, utterances, out, senones = work
    writer = ShardWriter(out, number, _parts(senones))
    for utterance in utterances:
        writer.write(utterance, frames=_scorer.loglikes(_archive[utterance]))
    return writer.close()
