"""A recogniser folder: a model, its lexicon, language model and scales; audio in, words out.

meta.json, model.safetensors, senones.json   the model
lang/, lm.arpa                               what it may recognise
tuned.json                                   language model weight and insertion penalty
"""

import shutil
from pathlib import Path

from asrdistill.data.audio import read_audio
from asrdistill.decode.acoustic import load_scorer
from asrdistill.decode.decoder import Decoder, Hypothesis
from asrdistill.decode.options import DecodeOptions
from asrdistill.decode.tuning import tuned
from asrdistill.errors import UserError
from asrdistill.export.stream import Stream
from asrdistill.features.options import options_of
from asrdistill.files import read_json
from asrdistill.hmm.senones import Senones
from asrdistill.lang.lexicon import Lang
from asrdistill.lang.ngram import read_arpa

MODEL_FILES = ("meta.json", "model.safetensors", "senones.json")


def export(model: Path, lang: Path, lm: Path, tuned: Path, out: Path) -> None:
    """Copy what the recogniser needs into the existing folder `out`; raises UserError for an ensemble or a GMM."""
    meta = read_json(Path(model) / "meta.json")
    if meta["kind"] != "dnn":
        raise UserError(f"{model} is a model of kind '{meta['kind']}'; only a single network can be exported")
    lexicon, inventory = Lang.read(lang), Senones.read(model)
    if missing := set(lexicon.phones) - set(inventory.phones):
        raise UserError(f"{model} has no senones for the phone {min(missing)} of {lang}")
    for source in [*(Path(model) / name for name in MODEL_FILES), Path(lm) / "lm.arpa", Path(tuned) / "tuned.json"]:
        if not source.is_file():
            raise UserError(f"{source} does not exist; run the stage that makes it")
        shutil.copyfile(source, Path(out) / source.name)
    (Path(out) / "lang").mkdir()
    lexicon.write(Path(out) / "lang")


class Recogniser:
    """Words from audio.

    recogniser = Recogniser("exp/student")
    recogniser.transcribe("speech.wav").words

    What is still being said goes through :meth:`stream`.
    """

    def __init__(self, folder: Path):
        folder = Path(folder)
        if not (folder / "lang").is_dir():
            raise UserError(f"{folder} is not a recogniser folder (no lang in it); make one with asrdistill export")
        self.scorer = load_scorer(folder)
        self.features = options_of(self.scorer.meta["features"])
        self.frame_shift: float = self.scorer.meta["frame_shift"]
        options = tuned(DecodeOptions(), folder)
        lang, lm = Lang.read(folder / "lang"), read_arpa(folder / "lm.arpa")
        self.decoder = Decoder(lang, lm, self.scorer.senones, options)

    def transcribe(self, path: Path) -> Hypothesis:
        """Recognise one audio file of any format that soundfile reads; raises UserError for bad audio."""
        samples, stream = read_audio(str(path), self.features.rate), self.stream()
        try:
            stream.accept(samples)
            return stream.finish()
        except UserError as error:
            raise UserError(f"{path}: {error}") from None

    def stream(self, rate: int | None = None) -> Stream:
        """Recognise samples at `rate` Hz (None: the rate that the features are made at) as they come."""
        return Stream(self.features, self.scorer, self.decoder, rate or self.features.rate)
