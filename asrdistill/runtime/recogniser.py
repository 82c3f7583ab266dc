"""Recogniser of an exported folder: audio to words."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from asrdistill import stage
from asrdistill.data.audio import audio_pieces
from asrdistill.decode.acoustic import load_scorer
from asrdistill.decode.decoder import Decoder, Hypothesis
from asrdistill.decode.graph import SearchGraph, compile_graph, keep_graph
from asrdistill.decode.options import DecodeOptions, tuned
from asrdistill.errors import UserError
from asrdistill.hmm.senones import Senones
from asrdistill.lang.lexicon import Lang
from asrdistill.lang.ngram import read_arpa
from asrdistill.runtime.frontend import frontend_of
from asrdistill.runtime.options import EndpointOptions
from asrdistill.runtime.stream import Stream

log = logging.getLogger("asrdistill")

LATTICE_BEAM = 5.0  # for confidences, in ln P(words)


class Recogniser:
    """Words from audio: ``asrdistill.load("exp/student").transcribe("speech.wav").words``, or by :meth:`stream`."""

    def __init__(self, folder: Path):
        folder = Path(folder)
        if not (folder / "lang").is_dir():
            raise UserError(f"{folder} is not a recogniser folder (no lang in it); make one with asrdistill export")
        options = tuned(DecodeOptions(), folder)
        self.scorer = load_scorer(folder, options.prior_floor)
        self.front = frontend_of(self.scorer.meta, folder)
        self.frame_shift: float = self.scorer.meta["frame_shift"] * self.scorer.senones.subsampling
        self.decoder = Decoder.of(graph_of(folder, self.scorer.senones), options)

    def transcribe(self, path: Path, channel: int | None = None) -> Hypothesis:
        """Recognise one audio file of any format that soundfile reads; UserError for bad audio.

        The words of its utterances, one after the other; `channel` and all else as in :meth:`utterances`.
        """
        found = list(self.utterances(path, channel))
        return Hypothesis(
            [word for one in found for word in one.times], sum(one.score for one in found), found[-1].partial
        )

    def utterances(
        self, path: Path, channel: int | None = None, rules: EndpointOptions | None = None, confidences: bool = False
    ) -> Iterator[Hypothesis]:
        """The utterances of an audio file as they end, also a last one without words.

        channel      from 1; None: all of them mixed
        rules        where utterances end
        confidences  of words; each utterance then has its lattice, too

        Memory does not grow with the file's length.
        """
        try:
            rate, pieces = audio_pieces(str(path), channel)
            stream = self.stream(rate, rules or EndpointOptions(), confidences)
            for samples in pieces:
                yield from stream.accept(samples)
            yield (last := stream.finish())
        except UserError as error:
            raise UserError(str(error) if str(path) in str(error) else f"{path}: {error}") from None
        if last.partial:
            log.warning("%s ends inside a word, which is left out", path)

    def stream(
        self, rate: int | None = None, endpoints: EndpointOptions | None = None, confidences: bool = False
    ) -> Stream:
        """Recognise samples as they come.

        rate         Hz; None: the rate that the features are made at
        endpoints    where utterances end; None: all is one
        confidences  of words; without endpoints, memory then grows with the length
        """
        decoder = self.decoder
        if confidences and not decoder.options.lattice_beam:
            decoder = decoder.with_options(replace(decoder.options, lattice_beam=LATTICE_BEAM))
        return Stream(self.front, self.scorer, decoder, self.front.rate if rate is None else rate, endpoints)


def graph_of(folder: Path, senones: Senones) -> SearchGraph:
    """The search graph of a recogniser folder, compiled when it is not there: in memory if it cannot be written."""
    lang, lm = folder / "lang", folder / "lm.arpa"
    try:
        return keep_graph(folder / "graph", lang, lm, senones)
    except stage.UnwritableError as error:
        log.warning("%s; it is compiled in memory", error)
        return compile_graph(Lang.read(lang), read_arpa(lm), senones)
