"""What Whisper hears in the utterances of a data directory, and how sure it is of each.

Whisper's encoder was trained on windows of 30 s, padded with silence where less is said, and costs the same for a clip
of 2 s. Given the clip alone, the decoder does not know that nothing follows, and goes on inventing words. Here the
encoder sees the clip and a second of silence, and the decoder these frames, continued by the encoder's output for the
same place in a window that is silent throughout, which is computed once. As positions are encoded absolutely, the two
fit together. The window is as long as the longest clips of the batch need, but at least ``WINDOW``.
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from asrdistill import parallel
from asrdistill.data.directory import DataDirectory, Utterance
from asrdistill.encoders.whisper import model_folder
from asrdistill.errors import UserError
from asrdistill.files import atomic, write_text
from asrdistill.lang.normalize import normalize_text
from asrdistill.pseudo_label.options import HearOptions

log = logging.getLogger("asrdistill")

RATE = 16_000  # Hz that Whisper wants
FRAMES = 50  # of its encoder in a second; its features have twice as many
LONGEST = 29.0  # seconds of an utterance: 30 with the silence after it
SILENCE = 1.0  # seconds after an utterance
WINDOW = 15.0  # seconds that the decoder looks at
BATCH = 8  # utterances that are encoded and decoded together
SHARD = 64  # utterances whose words are written down together
TOKENS, PACE = 20, 12  # most tokens of an utterance, and for each second of it more: nobody says twice as many
TABLE = "heard.tsv"
HEADER = ("utterance", "logprob", "no_speech", "compression", "written")
NEEDED = ("model.bin", "config.json", "tokenizer.json")


@dataclass(frozen=True)
class Heard:
    """What Whisper wrote for an utterance: mean log-probability of its tokens, probability that nobody speaks there,
    size of the text by its compressed size."""

    utterance: str
    logprob: float
    no_speech: float
    compression: float
    written: str

    def line(self) -> str:
        return f"{self.utterance}\t{self.logprob:.4f}\t{self.no_speech:.4f}\t{self.compression:.3f}\t{self.written}\n"


def read_heard(folder: Path) -> dict[str, Heard]:
    """The table that stands beside the data directory `folder`; raises UserError where there is none, or another."""
    path = Path(folder) / TABLE
    return {heard.utterance: heard for heard in _read(path)}


def _read(path: Path) -> Iterable[Heard]:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; make the data directory with asrdistill hear") from None
    for number, line in enumerate(lines[:-1], 1):
        try:
            utterance, logprob, no_speech, compression, written = line.split("\t")
            if utterance != HEADER[0]:
                yield Heard(utterance, float(logprob), float(no_speech), float(compression), written)
        except ValueError:
            raise UserError(f"{path}, line {number} is not '{' <tab> '.join(HEADER)}'; hear again") from None


def hear(data: DataDirectory, out: Path, options: HearOptions, jobs: int) -> None:
    """Write the data directory `out`: the utterances with the words that Whisper hears, and a table of its confidence.

    English is normalised, numbers included; of other languages the words are kept as they are, lower-cased, and Whisper
    may write no digits. Utterances are taken in order of their length, in shards; those that a killed run finished are
    not heard again. Raises UserError for a model that cannot be used or does not know the language, and for an
    utterance that is longer than Whisper's window.
    """
    folder = model_folder(options.whisper)
    Ear(folder, options)  # whose mistakes are better found before the work begins
    for utterance in data:
        _check_length(utterance, utterance.duration or 0.0)
    tasks = parallel.split(sorted(data, key=_length), -(-len(data) // SHARD))
    shards = [(task.number, task.utterances) for task in tasks]
    missing = [(out / f"{number}.tsv", shard) for number, shard in shards if not (out / f"{number}.tsv").exists()]
    for _ in parallel.run(
        _hear_shard, missing, jobs, "hear", "utterances", _setup, (folder, options), lambda task: len(task[1])
    ):
        pass
    found = {heard.utterance: heard for number, _ in shards for heard in _read(out / f"{number}.tsv")}
    said = {name: normalize_text(heard.written, options.language) for name, heard in found.items()}
    DataDirectory(replace(utterance, text=said[utterance.id]) for utterance in data).write(out)
    rows = (found[utterance.id].line() for utterance in data)
    write_text(out / TABLE, "\t".join(HEADER) + "\n" + "".join(rows))
    for number, _ in shards:
        (out / f"{number}.tsv").unlink()
    log.info("heard %d words in %d utterances", sum(len(words.split()) for words in said.values()), len(said))


def _length(utterance: Utterance) -> tuple[float, str]:
    seconds = utterance.duration if utterance.end is None else utterance.end - utterance.start
    return seconds or 0.0, utterance.id


def _check_length(utterance: Utterance, seconds: float) -> None:
    if seconds > LONGEST:
        raise UserError(
            f"utterance {utterance.id} is {seconds:.0f} s long, but Whisper hears at most {LONGEST:g} s at once; "
            "cut it at its pauses with asrdistill cut"
        )


_ear: Ear  # of one process


def _setup(folder: Path, options: HearOptions) -> None:
    global _ear
    _ear = Ear(folder, options)


def _hear_shard(task: tuple[Path, list[Utterance]]) -> None:
    path, utterances = task
    with atomic(path) as table:
        for first in range(0, len(utterances), BATCH):
            for heard in _ear.hear(utterances[first : first + BATCH]):
                table.write(heard.line())


class Ear:
    """A Whisper model that transcribes batches of utterances, on one core.

    Raises UserError for a folder that is no Whisper model, and for a language that the model does not know.
    """

    def __init__(self, folder: Path, options: HearOptions):
        try:
            from faster_whisper import WhisperModel
            from faster_whisper.tokenizer import Tokenizer
            from faster_whisper.transcribe import get_suppressed_tokens
        except ImportError:
            raise UserError(
                "Whisper transcribes only where faster-whisper is installed: pip install 'asrdistill[whisper]'"
            ) from None
        if lacking := [name for name in NEEDED if not (folder / name).is_file()]:
            raise UserError(f"{folder} is no Whisper model as CTranslate2 writes it: there is no {lacking[0]} in it")
        try:
            model = WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=1, num_workers=1)
        except Exception as error:  # of libraries that say what is wrong with a file in their own ways
            raise UserError(f"{folder} is no Whisper model that CTranslate2 can read ({error})") from None
        self.beam, self.model, self.features = options.beam, model.model, model.feature_extractor
        _check_language(folder, model, options.language)
        many = self.model.is_multilingual
        self.tokenizer = Tokenizer(model.hf_tokenizer, many, task="transcribe", language=options.language)
        self.prompt = [*self.tokenizer.sot_sequence, self.tokenizer.no_timestamps]
        digits = [] if options.language == "en" else self._digits()
        self.suppressed = [*get_suppressed_tokens(self.tokenizer, [-1]), *digits]  # type: ignore[arg-type]
        self.silent = self._encode(self._features(np.zeros(30 * RATE, np.float32))[None, :, : 60 * FRAMES])

    def hear(self, utterances: list[Utterance]) -> Iterable[Heard]:
        features = []
        for utterance in utterances:
            samples = utterance.samples(RATE)
            _check_length(utterance, len(samples) / RATE)
            features.append(self._features(np.pad(samples, (0, round(SILENCE * RATE)))))
        longest = max(found.shape[1] for found in features) / (2 * FRAMES)
        window = self._window([found.shape[1] // 2 for found in features], features)
        results = self.model.generate(
            _storage(window),
            [self.prompt] * len(utterances),
            beam_size=self.beam,
            max_length=len(self.prompt) + TOKENS + round(PACE * longest),
            return_scores=True,
            return_no_speech_prob=True,
            suppress_tokens=self.suppressed,
        )
        for utterance, result in zip(utterances, results, strict=True):
            tokens = result.sequences_ids[0]
            written = " ".join(self.tokenizer.decode(tokens).split())
            logprob = result.scores[0] * len(tokens) / (len(tokens) + 1)  # the end is a token too
            yield Heard(utterance.id, logprob, result.no_speech_prob, _compression(written), written)

    def _window(self, lengths: list[int], features: list[np.ndarray]) -> np.ndarray:
        """Encoder frames of clips, continued by silence: float32 (B, T, D)."""
        longest = max(found.shape[1] for found in features)
        edged = [np.pad(found, ((0, 0), (0, longest - found.shape[1])), mode="edge") for found in features]
        encoded = self._encode(np.stack(edged)[:, :, : longest // 2 * 2])
        frames = max(round(WINDOW * FRAMES), min(max(lengths) + 2 * FRAMES, self.silent.shape[1]))
        window = np.repeat(self.silent[:, :frames], len(features), axis=0)
        for row, clip, length in zip(window, encoded, lengths, strict=True):
            row[:length] = clip[:length]
        return window

    def _features(self, samples: np.ndarray) -> np.ndarray:
        """Log-mel features of Whisper: float32 (bins, T)."""
        return self.features(samples, padding=0).astype(np.float32)

    def _encode(self, features: np.ndarray) -> np.ndarray:
        return np.array(self.model.encode(_storage(features)), np.float32)

    def _digits(self) -> list[int]:
        """Tokens with digits in them: what they stand for would have to be said in the language."""
        texts = ((token, self.tokenizer.decode([token])) for token in range(self.tokenizer.eot))
        return [token for token, text in texts if any(letter.isdigit() for letter in text)]


def _check_language(folder: Path, model: Any, language: str) -> None:
    known = model.supported_languages
    if language not in known:
        which = "English alone" if known == ["en"] else f"{', '.join(sorted(known))}"
        raise UserError(
            f"the Whisper model {folder} knows {which}, not '{language}'; give a multilingual one with --whisper"
        )


def _storage(array: np.ndarray) -> Any:
    import ctranslate2

    return ctranslate2.StorageView.from_array(np.ascontiguousarray(array))


def _compression(text: str) -> float:
    return len(text.encode()) / len(zlib.compress(text.encode()))
