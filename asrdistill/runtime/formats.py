"""Recognised utterances as text, JSON, CTM and subtitles (SubRip, WebVTT)."""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from asrdistill.decode.decoder import Hypothesis
from asrdistill.decode.options import DecodeOptions
from asrdistill.decode.words import Word

CUE_SECONDS, CUE_LETTERS = 6.0, 80  # the most of one subtitle


def describe(found: Hypothesis, shift: float) -> dict[str, Any]:
    """An utterance: its text, and its words with start and end in seconds and confidence (conf), where there is one."""
    words = [{"word": w.word, "start": round(w.start * shift, 3), "end": round(w.end * shift, 3)} for w in found.times]
    for word, one in zip(found.times, words, strict=True):
        if word.confidence is not None:
            one["conf"] = round(word.confidence, 4)
    times = {"start": words[0]["start"], "end": words[-1]["end"]} if words else {}
    return {**times, "text": " ".join(found.words), "words": words}


def alternatives(found: Hypothesis, options: DecodeOptions, count: int) -> list[dict[str, Any]]:
    """The best word sequences of an utterance's lattice with their scores, best first."""
    best = found.lattice.n_best(options.lm_weight, options.insertion_penalty, count) if found.lattice else []
    return [{"text": " ".join(words), "score": round(score, 3)} for score, words in best]


def cues(words: Sequence[Word], shift: float) -> Iterator[tuple[float, float, str]]:
    """(start, end, text) of the subtitles of an utterance, in seconds."""
    cue: list[Word] = []
    for word in [*words, None]:
        if cue and (word is None or _overfull([*cue, word], shift)):
            yield cue[0].start * shift, cue[-1].end * shift, _text(cue)
            cue = []
        cue += [word] if word else []


def _overfull(words: Sequence[Word], shift: float) -> bool:
    return (words[-1].end - words[0].start) * shift > CUE_SECONDS or len(_text(words)) > CUE_LETTERS


def _text(words: Sequence[Word]) -> str:
    return " ".join(word.word for word in words)


def clock(seconds: float, point: str) -> str:
    """00:01:02,345"""
    whole, thousandths = divmod(round(1000 * seconds), 1000)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}{point}{thousandths:03}"


def rendered(
    form: str,
    utterances: Iterable[Hypothesis],
    shift: float,
    options: DecodeOptions,
    name: str = "",
    nbest: int = 0,
) -> Iterator[str]:
    """The text of a recording's utterances, piece by piece as they come.

    form   one of asrdistill.runtime.options.FORMATS; shift: seconds of a frame
    name   what stands before the text (txt), or in each line (json, ctm)
    nbest  alternatives of each utterance (json)
    """
    count, before = 0, f"{name}\t" if name else ""
    for found in utterances:
        if form == "txt" and found.times:
            yield before + " ".join(found.words)
            before = " "
        elif form == "json" and found.times:
            more = {"alternatives": alternatives(found, options, nbest)} if nbest else {}
            yield json.dumps({"file": name, **describe(found, shift), **more}, ensure_ascii=False) + "\n"
        elif form == "ctm":
            yield "".join(word.ctm(name, shift) + "\n" for word in found.times)
        elif form in ("srt", "vtt"):
            for start, end, text in cues(found.times, shift):
                count += 1
                head = f"{count}\n" if form == "srt" else "\n" if count > 1 else "WEBVTT\n\n"
                point, after = (",", "\n") if form == "srt" else (".", "")
                yield f"{head}{clock(start, point)} --> {clock(end, point)}\n{text}\n{after}"
    if form == "txt":
        yield "\n" if before == " " else f"{before}\n"
    elif form == "vtt" and not count:
        yield "WEBVTT\n"
