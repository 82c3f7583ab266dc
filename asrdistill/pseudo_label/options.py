"""Options of pseudo-labels and of their filter."""

from dataclasses import dataclass

from asrdistill.config import option
from asrdistill.errors import UserError


@dataclass(frozen=True)
class PseudoLabelOptions:
    whisper: str = option("tiny.en", "Whisper model: a CTranslate2 folder, or a name that faster-whisper knows")
    language: str = option("en", "language, by Whisper's codes: en, fr, ru …")
    beam: int = option(5, "beam size")

    def __post_init__(self) -> None:
        if self.beam < 1:
            raise UserError(f"--beam must be at least 1, not {self.beam}")


@dataclass(frozen=True)
class FilterOptions:
    logprob: float = option(-1.0, "lowest mean log-probability of the tokens")
    no_speech: float = option(0.6, "highest probability of no speech")
    compression: float = option(2.4, "highest ratio of the text's size to its compressed size (repeated words)")
    pace: float = option(25.0, "most letters per second (invented words)")
    disagreement: float = option(60.0, "highest percentage of phones on which transcript and phone loop disagree")
