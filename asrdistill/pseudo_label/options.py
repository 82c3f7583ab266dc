"""What can be chosen in transcribing by Whisper and in believing it, apart so that reading it loads no model."""

from dataclasses import dataclass

from asrdistill.config import option
from asrdistill.errors import UserError


@dataclass(frozen=True)
class HearOptions:
    whisper: str = option("tiny.en", "the model: a folder in CTranslate2's form, or one of faster-whisper's names")
    language: str = option("en", "what is spoken, as Whisper names languages: en, fr, ru …")
    beam: int = option(5, "hypotheses of the beam search")

    def __post_init__(self) -> None:
        if self.beam < 1:
            raise UserError(f"--beam must be at least 1, not {self.beam}")


@dataclass(frozen=True)
class ConfidentOptions:
    logprob: float = option(-1.0, "lowest mean log-probability of the tokens")
    no_speech: float = option(0.6, "highest probability that nobody speaks")
    compression: float = option(2.4, "highest ratio of the text's size to its compressed size: repeated words")
    pace: float = option(25.0, "most letters a second: words that were never said")
    disagreement: float = option(60.0, "highest percentage of phones on which transcript and phone loop disagree")
