"""Time-aligned transcriptions: CTM, Praat TextGrid, TIMIT's PHN and WRD."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from asrdistill.data.ctm import Interval, read_ctm, read_phn
from asrdistill.errors import UserError, shorten


class Transcription(NamedTuple):
    """Phones and words of an utterance in time; `end` if the file has its length."""

    utterance: str
    source: Path
    phones: Sequence[Interval]
    words: Sequence[Interval] = ()
    end: float | None = None


def ctm_transcriptions(path: Path) -> Iterator[Transcription]:
    """Yield those of a CTM of phones; words.ctm beside it has the words, in the same order."""
    beside = path.with_name("words.ctm")
    words = read_ctm(beside) if beside.is_file() and beside != path else iter(())
    spoken = next(words, None)
    for utterance, phones in read_ctm(path):
        if spoken and spoken[0] == utterance:
            yield Transcription(utterance, path, phones, spoken[1])
            spoken = next(words, None)
        else:  # no words
            yield Transcription(utterance, path, phones)
    if spoken:
        raise UserError(f"{beside} has words of utterance {spoken[0]}, but {path} no phones; make both again")


def read_textgrid(path: Path) -> tuple[float, dict[str, list[Interval]]]:
    """(end, tier name -> its intervals, empty ones too) of a TextGrid in long or short text form.

    As in Praat, only free-standing numbers, quoted texts and flags count. Point tiers are left out. Raises UserError if
    it is no TextGrid, truncated, or has other sizes than it says.
    """
    tokens = _TOKEN.findall(_text(path))[::-1]  # the next one is the last

    def number() -> float:
        if not math.isfinite(value := float(tokens.pop())):
            raise ValueError(value)
        return value

    def text() -> str:
        token = tokens.pop()
        if not token.startswith('"'):
            raise ValueError(token)
        return token[1:-1].replace('""', '"').strip()

    try:
        if (text(), text()) != ("ooTextFile", "TextGrid"):
            raise ValueError
        start, end = number(), number()
        if tokens.pop() != "<exists>":
            raise ValueError
        tiers: dict[str, list[Interval]] = {}
        for _ in range(int(number())):
            kind, name, _, _, size = text(), text(), number(), number(), int(number())
            found = []
            while tokens and not tokens[-1].startswith('"'):  # a quoted text begins the next tier
                begin = number() - start
                stop = number() - start if kind == "IntervalTier" else begin
                found.append(Interval(begin, stop, text()))
            if len(found) != size:
                raise UserError(f"{path}: tier '{name}' promises {size} intervals but holds {len(found)}; correct it")
            if kind == "IntervalTier":
                tiers[name] = found
        if tokens:
            raise ValueError
    except (IndexError, ValueError):
        raise UserError(f"{path} is not a whole TextGrid in text form; write it again") from None
    return end - start, tiers


_TOKEN = re.compile(r'"(?:[^"]|"")*"|<exists>|(?<!\S)[-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?(?!\S)')


def textgrid_transcription(path: Path, utterance: str) -> Transcription:
    """Of the tiers "phones" and "words", or "SPEAKER - phones" and so on; blanks within words become _.

    Raises UserError unless there is exactly one tier of phones, not empty.
    """
    end, tiers = read_textgrid(path)
    found = {what: [name for name in tiers if re.search(rf"(^|- ){what}?$", name.lower())] for what in _TIERS}
    if len(found["phones"]) != 1:
        raise UserError(
            f"{path} (utterance {utterance}) has {len(found['phones'])} tiers of the name 'phones', not one; "
            f"its tiers are: {shorten(tiers) or 'none'}"
        )
    phones = tiers[found["phones"][0]]
    if not any(label for _, _, label in phones):
        raise UserError(f"{path} (utterance {utterance}): the tier 'phones' is empty; remove the file or align again")
    words = tiers[found["words"][0]] if len(found["words"]) == 1 else []
    spoken = [word._replace(label="_".join(word.label.split())) for word in words if word.label]
    return Transcription(utterance, path, phones, spoken, end)


_TIERS = ("phones", "words")


def write_textgrid(path: Path, end: float, tiers: Mapping[str, Sequence[Interval]]) -> None:
    """Write a TextGrid in long text form; gaps become empty intervals."""
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0", f"xmax = {_seconds(end)}"]
    lines += ["tiers? <exists>", f"size = {len(tiers)}", "item []:"]
    for place, (name, intervals) in enumerate(tiers.items(), 1):
        filled = list(_without_gaps(intervals, end))
        lines += [f"    item [{place}]:", '        class = "IntervalTier"', f"        name = {_quoted(name)}"]
        lines += ["        xmin = 0", f"        xmax = {_seconds(end)}", f"        intervals: size = {len(filled)}"]
        for number, (begin, stop, label) in enumerate(filled, 1):
            lines += [f"        intervals [{number}]:", f"            xmin = {_seconds(begin)}"]
            lines += [f"            xmax = {_seconds(stop)}", f"            text = {_quoted(label)}"]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def phn_transcription(path: Path, utterance: str, rate: int) -> Transcription:
    """Of a PHN file; the WRD file beside it has the words."""
    phones = read_phn(path, rate)
    if not phones:
        raise UserError(f"{path} (utterance {utterance}) is empty; remove the file or align again")
    words = path.with_suffix(".WRD" if path.suffix.isupper() else ".wrd")
    return Transcription(utterance, path, phones, read_phn(words, rate) if words.is_file() else [])


def write_phn(path: Path, intervals: Iterable[Interval], rate: int) -> None:
    """Write a PHN or WRD file, times in samples of `rate` Hz."""
    lines = (f"{round(begin * rate)} {round(end * rate)} {label}\n" for begin, end, label in intervals)
    path.write_text("".join(lines), encoding="utf-8")


def _without_gaps(intervals: Iterable[Interval], end: float) -> Iterator[Interval]:
    """Adjacent intervals of a tier; of two that overlap the second begins later."""
    done = 0.0
    for begin, stop, label in [*intervals, Interval(end, end, "")]:
        if begin > done:
            yield Interval(done, begin, "")
        if stop > max(begin, done):
            yield Interval(max(begin, done), stop, label)
        done = max(stop, done)


def _seconds(time: float) -> str:
    return f"{time:.6f}".rstrip("0").rstrip(".")


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _text(path: Path) -> str:
    """Text in UTF-8 or, as Praat may write it, UTF-16."""
    try:
        content = path.read_bytes()
        return content.decode("utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; check the path") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is neither UTF-8 nor UTF-16 text (byte {error.start}); convert it") from None
