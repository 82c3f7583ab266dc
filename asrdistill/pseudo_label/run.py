"""Transcripts by Whisper for a data directory, with a confidence per utterance; see docs/internals.md."""

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from asrdistill.data.directory import DataDirectory, Utterance
from asrdistill.encoders.whisper import model_folder
from asrdistill.errors import UserError, log
from asrdistill.files import atomic, write_text
from asrdistill.lang.normalize import normalize_text
from asrdistill.parallel import Chunk, chunks, map_utterances, split
from asrdistill.pseudo_label.options import PseudoLabelOptions
from asrdistill.reader import parse_lines

RATE = 16_000  # Hz of Whisper's input
FRAMES = 50  # encoder frames per second; its features have twice as many
LONGEST = 29.0  # seconds of an utterance: 30 with the silence after it
SILENCE = 1.0  # seconds after an utterance
WINDOW = 15.0  # seconds that the decoder sees, at least
BATCH = 8  # utterances that are encoded and decoded together
SHARD = 64  # utterances per intermediate file
TOKENS, PACE = 20, 12  # most tokens of an utterance, and more per second: about twice the fastest speech
TABLE = "pseudo_labels.tsv"
HEADER = ("utterance", "logprob", "no_speech", "compression", "text")
NEEDED = ("model.bin", "config.json", "tokenizer.json")


@dataclass(frozen=True)
class PseudoLabel:
    """Whisper's text; its mean token log-probability, probability of no speech, and size / compressed size."""

    utterance: str
    logprob: float
    no_speech: float
    compression: float
    text: str

    def line(self) -> str:
        return f"{self.utterance}\t{self.logprob:.4f}\t{self.no_speech:.4f}\t{self.compression:.3f}\t{self.text}\n"


def read_pseudo_labels(folder: Path) -> dict[str, PseudoLabel]:
    """The table in a folder that :func:`make_pseudo_labels` wrote; raises UserError if it is missing or malformed."""
    return {label.utterance: label for label in _read(Path(folder) / TABLE)}


def _read(path: Path) -> Iterable[PseudoLabel]:
    if not path.is_file():
        raise UserError(f"{path} does not exist; make it with asrdistill pseudo-label run")
    return filter(None, parse_lines(path, _parse, " <tab> ".join(HEADER)))


def _parse(line: str) -> PseudoLabel | None:
    utterance, logprob, no_speech, compression, text = line.split("\t")
    if utterance == HEADER[0]:
        return None
    return PseudoLabel(utterance, float(logprob), float(no_speech), float(compression), text)


def make_pseudo_labels(data: DataDirectory, out: Path, options: PseudoLabelOptions, jobs: int) -> None:
    """Write the data directory `out`: the utterances with Whisper's normalised text, and a table of confidences.

    A rerun after a kill keeps finished shards. Raises UserError for an unusable model, a language that it does not
    know, and an utterance longer than Whisper's window.
    """
    folder = model_folder(options.whisper)
    WhisperTranscriber(folder, options)  # reports an unusable model before the work begins
    for utterance in data:
        _check_length(utterance, utterance.duration or 0.0)
    shards = split(sorted(data, key=_length), -(-len(data) // SHARD))
    missing = [shard for shard in shards if not _shard_path(out, shard.number).exists()]
    write, load = partial(_write_shard, out), partial(WhisperTranscriber, folder, options)
    for _ in map_utterances(write, missing, jobs, "pseudo-labels", load):
        pass
    paths = [_shard_path(out, shard.number) for shard in shards]
    labels = {label.utterance: label for path in paths for label in _read(path)}
    words = {name: normalize_text(label.text, options.language) for name, label in labels.items()}
    DataDirectory(replace(utterance, text=words[utterance.id]) for utterance in data).write(out)
    rows = (labels[utterance.id].line() for utterance in data)
    write_text(out / TABLE, "\t".join(HEADER) + "\n" + "".join(rows))
    for path in paths:
        path.unlink()
    log.info("%d words in %d utterances", sum(len(text.split()) for text in words.values()), len(words))


def _shard_path(out: Path, number: int) -> Path:
    return out / f"{number}.tsv"


def _length(utterance: Utterance) -> tuple[float, str]:
    seconds = utterance.duration if utterance.end is None else utterance.end - utterance.start
    return seconds or 0.0, utterance.id


def _check_length(utterance: Utterance, seconds: float) -> None:
    if seconds > LONGEST:
        raise UserError(
            f"utterance {utterance.id} has {seconds:.0f} s, over {LONGEST:g} s; cut it with asrdistill data segment"
        )


def _write_shard(out: Path, transcriber: "WhisperTranscriber", shard: Chunk[Utterance]) -> None:
    with atomic(_shard_path(out, shard.number)) as table:
        for batch in chunks(shard.utterances, BATCH):
            table.writelines(label.line() for label in transcriber.transcribe(batch.utterances))


class WhisperTranscriber:
    """A Whisper model on one core; UserError for an unusable folder and a language that the model does not know."""

    def __init__(self, folder: Path, options: PseudoLabelOptions):
        try:
            from faster_whisper import WhisperModel
            from faster_whisper.tokenizer import Tokenizer
            from faster_whisper.transcribe import get_suppressed_tokens
        except ImportError:
            raise UserError("pseudo-labels need faster-whisper: pip install 'asrdistill[whisper]'") from None
        if lacking := [name for name in NEEDED if not (folder / name).is_file()]:
            raise UserError(f"{folder} is no Whisper model of CTranslate2: it lacks {lacking[0]}; give another")
        try:
            model = WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=1, num_workers=1)
        except Exception as error:  # of several libraries
            reason = str(error).partition(". ")[0]
            raise UserError(f"{folder} is no Whisper model of CTranslate2 ({reason}); give another") from None
        self.beam, self.model, self.features = options.beam, model.model, model.feature_extractor
        if options.language not in (known := model.supported_languages):
            which = "English alone" if known == ["en"] else ", ".join(sorted(known))
            raise UserError(
                f"the Whisper model {folder} knows {which}, not '{options.language}'; give another --whisper"
            )
        many = self.model.is_multilingual
        self.tokenizer = Tokenizer(model.hf_tokenizer, many, task="transcribe", language=options.language)
        self.prompt = [*self.tokenizer.sot_sequence, self.tokenizer.no_timestamps]
        digits = [] if options.language == "en" else self._digits()
        self.suppressed = [*get_suppressed_tokens(self.tokenizer, [-1]), *digits]  # type: ignore[arg-type]
        self.silent = self._encode(self._features(np.zeros(30 * RATE, np.float32))[None, :, : 60 * FRAMES])

    def transcribe(self, utterances: Sequence[Utterance]) -> Iterable[PseudoLabel]:
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
            text = " ".join(self.tokenizer.decode(tokens).split())
            logprob = result.scores[0] * len(tokens) / (len(tokens) + 1)  # the end is a token too
            compression = len(text.encode()) / len(zlib.compress(text.encode()))
            yield PseudoLabel(utterance.id, logprob, result.no_speech_prob, compression, text)

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
        """Tokens with digits, which only English is normalised from."""
        texts = ((token, self.tokenizer.decode([token])) for token in range(self.tokenizer.eot))
        return [token for token, text in texts if any(letter.isdigit() for letter in text)]


def _storage(array: np.ndarray) -> Any:
    import ctranslate2

    return ctranslate2.StorageView.from_array(np.ascontiguousarray(array))
