"""Recogniser of an exported folder: audio to words."""

from pathlib import Path

from asrdistill.data.audio import read_audio
from asrdistill.decode.acoustic import load_scorer
from asrdistill.decode.decoder import Decoder, Hypothesis
from asrdistill.decode.graph import SearchGraph, keep_graph
from asrdistill.decode.options import DecodeOptions
from asrdistill.decode.tuning import tuned
from asrdistill.errors import UserError
from asrdistill.hmm.senones import Senones
from asrdistill.runtime.frontend import frontend_of
from asrdistill.runtime.stream import Stream


class Recogniser:
    """Words from audio: ``asrdistill.load("exp/student").transcribe("speech.wav").words``, or by :meth:`stream`."""

    def __init__(self, folder: Path):
        folder = Path(folder)
        if not (folder / "lang").is_dir():
            raise UserError(f"{folder} is not a recogniser folder (no lang in it); make one with asrdistill export")
        self.scorer = load_scorer(folder)
        self.front = frontend_of(self.scorer.meta["features"], folder)
        self.frame_shift: float = self.scorer.meta["frame_shift"]
        self.decoder = Decoder.of(graph_of(folder, self.scorer.senones), tuned(DecodeOptions(), folder))

    def transcribe(self, path: Path) -> Hypothesis:
        """Recognise one audio file of any format that soundfile reads; raises UserError for bad audio."""
        samples, stream = read_audio(str(path), self.front.rate), self.stream()
        try:
            stream.accept(samples)
            return stream.finish()
        except UserError as error:
            raise UserError(f"{path}: {error}") from None

    def stream(self, rate: int | None = None) -> Stream:
        """Recognise samples at `rate` Hz (None: the rate that the features are made at) as they come."""
        return Stream(self.front, self.scorer, self.decoder, self.front.rate if rate is None else rate)


def graph_of(folder: Path, senones: Senones) -> SearchGraph:
    """The search graph of a recogniser folder, compiled when it is not there."""
    return keep_graph(folder / "graph", folder / "lang", folder / "lm.arpa", senones)
