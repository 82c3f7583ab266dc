"""Recogniser of an exported folder: audio to words."""

import logging
from pathlib import Path

from asrdistill import stage
from asrdistill.data.audio import audio_pieces
from asrdistill.decode.acoustic import load_scorer
from asrdistill.decode.decoder import RETRIES, WIDER, Decoder, Hypothesis
from asrdistill.decode.graph import SearchGraph, compile_graph, keep_graph
from asrdistill.decode.options import DecodeOptions, tuned
from asrdistill.errors import UserError
from asrdistill.hmm.senones import Senones
from asrdistill.lang.lexicon import Lang
from asrdistill.lang.ngram import read_arpa
from asrdistill.runtime.frontend import frontend_of
from asrdistill.runtime.stream import Stream

log = logging.getLogger("asrdistill")


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

    def transcribe(self, path: Path) -> Hypothesis:
        """Recognise one audio file of any format that soundfile reads, its channels mixed; UserError for bad audio.

        Memory does not grow with the file's length. If no path within the beams ends with the audio, the search is
        repeated with wider ones.
        """
        decoder = self.decoder
        try:
            for _ in range(1 + RETRIES):
                rate, pieces = audio_pieces(str(path))
                stream = Stream(self.front, self.scorer, decoder, rate)
                for samples in pieces:
                    stream.accept(samples)
                if not (found := stream.finish()).partial:
                    return found
                decoder = decoder.with_options(decoder.options.wider(WIDER))
        except UserError as error:
            raise UserError(str(error) if str(path) in str(error) else f"{path}: {error}") from None
        log.warning("%s ends inside a word, which is left out", path)
        return found

    def stream(self, rate: int | None = None) -> Stream:
        """Recognise samples at `rate` Hz (None: the rate that the features are made at) as they come."""
        return Stream(self.front, self.scorer, self.decoder, self.front.rate if rate is None else rate)


def graph_of(folder: Path, senones: Senones) -> SearchGraph:
    """The search graph of a recogniser folder, compiled when it is not there: in memory if it cannot be written."""
    lang, lm = folder / "lang", folder / "lm.arpa"
    try:
        return keep_graph(folder / "graph", lang, lm, senones)
    except stage.UnwritableError as error:
        log.warning("%s; it is compiled in memory", error)
        return compile_graph(Lang.read(lang), read_arpa(lm), senones)
