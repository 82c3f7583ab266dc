"""Asterisk's prompts: what a telephone exchange says, read by one speaker in each of several languages.

Debian has them as packages asterisk-core-sounds-LANGUAGE-wav (8 kHz WAV, a quarter of an hour to half an hour), with
their words in asterisk-core-sounds-LANGUAGE. Licence: CC-BY-SA 3.0 or CC-BY 3.0, so that we fetch them and ship none.
They are a test of languages other than English: small, clean, with known words, of which most stand in several prompts.

A line of core-sounds-LANGUAGE.txt is ``name: words``. Prompts that are tones, that have digits in their words (which
would have to be spelled in the language), or no audio, are left out.
"""

import logging
import os
import re
import shutil
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import soundfile

from asrdistill import apt, stage
from asrdistill.data.directory import DataDirectory, Utterance
from asrdistill.errors import UserError, shorten
from asrdistill.lang.normalise import words_of

log = logging.getLogger("asrdistill")

PACKAGE = "asterisk-core-sounds"
LANGUAGES = ("en", "es", "fr", "it", "ru")
SETS = ("train", "dev", "test")
SHORTEST = 0.3  # seconds
ADVICE = "unpack the packages yourself: LANGUAGE/core-sounds-LANGUAGE.txt and LANGUAGE/sounds in the folder"


def download_asterisk(out: Path, parts: Sequence[str] = ("fr",)) -> None:
    """Make ``out/LANGUAGE`` for each of the languages `parts`: sounds/, core-sounds-LANGUAGE.txt and copyright.

    Needs apt-get and dpkg-deb, but no root: nothing is installed. Raises UserError without them or without network.
    """
    _check(parts)
    for language in parts:
        stage.make(
            out / language,
            lambda folder, language=language: _fetch(language, folder),  # type: ignore[misc]
            verb="download",
            options={"corpus": "asterisk", "language": language},
            inputs=[],
        )


def _check(languages: Sequence[str]) -> None:
    if unknown := sorted(set(languages) - set(LANGUAGES)):
        raise UserError(f"asterisk has no language {shorten(unknown)}; give --parts, some of {', '.join(LANGUAGES)}")


def _fetch(language: str, out: Path) -> None:
    import gzip

    package = f"{PACKAGE}-{language}"
    content = apt.unpack([package, f"{package}-wav"], out / "package", ADVICE)
    table, licence = (
        content / "usr/share/doc" / package / name for name in (f"core-sounds-{language}.txt.gz", "copyright")
    )
    voices = sorted((content / "usr/share/asterisk/sounds").glob(f"{language}_*"))
    if not (table.is_file() and voices):
        raise UserError(f"the package {package} is not what it was: its words or its sounds are not there; {ADVICE}")
    (out / f"core-sounds-{language}.txt").write_bytes(gzip.decompress(table.read_bytes()))
    shutil.rmtree(out / "sounds", ignore_errors=True)
    os.replace(voices[0], out / "sounds")
    os.replace(licence, out / "copyright")
    shutil.rmtree(out / "package")


def folders_of(source: Path, parts: Sequence[str] = ()) -> list[Path]:
    """The folders of the languages `parts`, or of all that are there; raises UserError where one is not."""
    _check(parts)
    names = parts or [name for name in LANGUAGES if (Path(source) / name / f"core-sounds-{name}.txt").is_file()]
    missing = [name for name in names if not (Path(source) / name / f"core-sounds-{name}.txt").is_file()]
    if missing or not names:
        which = f"{missing[0]}/core-sounds-{missing[0]}.txt" if missing else "LANGUAGE/core-sounds-LANGUAGE.txt"
        raise UserError(
            f"{source} has no {which}; fetch it with asrdistill download asterisk {source} --parts LANGUAGE"
        )
    return [Path(source) / name for name in names]


def prepare_asterisk(
    source: Path, out: Path, minutes: float | None = None, jobs: int = 1, parts: Sequence[str] = ()
) -> None:
    """Make the data directories ``out/LANGUAGE/{train,dev,test}``; no sentence stands in two of them.

    With `minutes` about so many of each language are kept.
    """
    for folder in folders_of(source, parts):
        language, left_out = folder.name, Counter[str]()
        prompts = list(read_prompts(folder, left_out))
        for reason, count in left_out.most_common():
            log.info("%s: left out: %d prompts %s", language, count, reason)
        share = 1.0 if minutes is None else 60 * minutes / sum(prompt.duration or 0.0 for prompt in prompts)
        kept = [prompt for prompt in prompts if _checksum(prompt.id) < share * 2**32]
        for name in SETS:
            data = DataDirectory(prompt for prompt in kept if _set_of(prompt) == name)
            (out / language / name).mkdir(parents=True, exist_ok=True)
            data.write(out / language / name)
            seconds = sum(prompt.duration or 0.0 for prompt in data)
            words = sum(len((prompt.text or "").split()) for prompt in data)
            log.info("%s/%s: %d utterances, %.1f minutes, %d words", language, name, len(data), seconds / 60, words)


def read_prompts(folder: Path, left_out: Counter[str]) -> Iterator[Utterance]:
    """The prompts of a language's folder that have words; counts the others by their reason."""
    language = folder.name
    table = folder / f"core-sounds-{language}.txt"
    try:
        lines = table.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise UserError(f"{table} is not UTF-8 text (byte {error.start}); fetch it again") from None
    for line in lines:
        name, colon, sentence = line.partition(":")
        if not colon or line.startswith(";"):
            continue
        audio, words = folder / "sounds" / f"{name.strip()}.wav", words_of(sentence, language)
        seconds = soundfile.info(audio).duration if audio.is_file() else 0.0
        if reason := _unfit(audio, sentence, words, seconds, language):
            left_out[reason] += 1
            continue
        id = f"{language}-{re.sub(r'[^A-Za-z0-9]+', '_', name.strip())}"
        yield Utterance(id, str(audio.resolve()), language, text=words, duration=seconds)


def _unfit(audio: Path, sentence: str, words: str, seconds: float, language: str) -> str:
    if not audio.is_file():
        return "without audio"
    if not words:
        return "without words"
    if language != "en" and re.search(r"\d", sentence):
        return "with digits"
    return f"shorter than {SHORTEST} s" if seconds < SHORTEST else ""


def _set_of(prompt: Utterance) -> str:
    rest = _checksum(prompt.text or "") % 100
    return "dev" if rest < 10 else "test" if rest < 25 else "train"


def _checksum(text: str) -> int:
    return zlib.crc32(text.encode())
