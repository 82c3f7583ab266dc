"""Options of recognising: forms of output, and where utterances end."""

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from asrdistill.config import option
from asrdistill.errors import UserError

if TYPE_CHECKING:
    from asrdistill.decode.decoder import Ending

FORMATS = ("txt", "json", "srt", "vtt", "ctm")
PAUSE = 0.1  # seconds of silence that end an utterance which is long enough
STRETCH = 1.3  # an utterance without such a silence ends after a word, at so many times the length


@dataclass(frozen=True)
class EndpointOptions:
    """When an utterance ends, by the rules of Kaldi's online decoders (Povey et al. 2011).

    The cost is ln P(words) of the best path, less that of the best one that ends there.
    """

    nothing: float = option(5.0, "seconds of silence that end what has no words")
    silence: float = option(0.8, "seconds of silence that end an utterance where the end costs little")
    little: float = option(8.0, "that cost, in ln P(words)")
    longer_silence: float = option(1.2, "seconds of silence that end an utterance where the end costs more")
    more: float = option(15.0, "that cost, in ln P(words)")
    longest_silence: float = option(2.0, "seconds of silence that end an utterance whatever that costs")
    longest: float = option(30.0, "seconds after which an utterance ends in the next pause")

    def __post_init__(self) -> None:
        if bad := [field.name for field in fields(self) if not getattr(self, field.name) > 0]:
            raise UserError(f"{', '.join(bad)} must be above 0; correct the rules of endpoints")

    def enough(self, ending: "Ending", frames: int, shift: float) -> int:
        """Frames of silence after which an utterance of so many frames, of `shift` seconds each, ends; 0: not yet."""
        limits = [self.nothing]
        if ending.words:
            limits = [self.longest_silence]
            limits += [self.longer_silence] * (ending.cost <= self.more) + [self.silence] * (ending.cost <= self.little)
            limits += [PAUSE] * (frames * shift >= self.longest)
        least = math.ceil(min(limits) / shift)
        return least if ending.silence >= least else 0
