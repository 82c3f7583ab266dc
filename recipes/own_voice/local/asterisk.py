"""Corpus of telephone prompts (Asterisk), read by one speaker in each of several languages.

Example:
  python recipes/own_voice/local/asterisk.py download prompts --languages fr ru
  python recipes/own_voice/local/asterisk.py prepare prompts corpus --languages ru

A line of core-sounds-LANGUAGE.txt is "name: words". Prompts that are tones, contain digits or have no audio are left
out. Licence: CC-BY-SA 3.0 or CC-BY 3.0; none is shipped.
"""

import gzip
import re
import sys
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import soundfile

from asrdistill import stage
from asrdistill.cli.command import Args, Group, arg, make
from asrdistill.corpora import apt
from asrdistill.data.directory import DataDirectory, Utterance
from asrdistill.errors import UserError, log
from asrdistill.lang.normalize import normalize_text
from asrdistill.reader import read_lines

PACKAGE = "asterisk-core-sounds"
LANGUAGES = ("en", "es", "fr", "it", "ru")
SETS = ("train", "dev", "test")
SHORTEST = 0.3  # seconds
OUT = arg("out", help="folder to make")
WHICH = arg("--languages", nargs="+", choices=LANGUAGES, default=["fr"], help="(default: fr)")
group = Group("asterisk.py", __doc__)
ADVICE = "unpack the packages yourself: LANGUAGE/core-sounds-LANGUAGE.txt and LANGUAGE/sounds in the folder"


@group.command(OUT, WHICH)
def download(args: Args) -> None:
    """Fetch prompts (15 to 30 minutes a language) from the Debian or Ubuntu archive, with apt-get but without root"""
    for language in args.languages:
        options = {"corpus": "asterisk", "language": language}
        stage.make(args.out / language, partial(_fetch, language), "download", options, [])


def _fetch(language: str, out: Path) -> None:
    package = f"{PACKAGE}-{language}"
    packed = f"core-sounds-{language}.txt.gz"
    files = {packed: f"{package}/{packed}", "sounds": f"asterisk/sounds/{language}_*"}
    apt.fetch([package, f"{package}-wav"], files, out, ADVICE)
    (out / packed).with_suffix("").write_bytes(gzip.decompress((out / packed).read_bytes()))
    (out / packed).unlink()


@group.command(arg("source", help="folder that download made"), OUT, WHICH)
def prepare(args: Args) -> None:
    """Make the data directories OUT/LANGUAGE/{train,dev,test}; no sentence is in two of them"""
    folders = [args.source / language for language in args.languages]
    for folder in folders:
        if not (folder / f"core-sounds-{folder.name}.txt").is_file():
            raise UserError(f"{folder}/core-sounds-{folder.name}.txt does not exist; run asterisk.py download first")
    make(args, lambda out: _prepare(folders, out), folders, options={"corpus": "asterisk"})


def _prepare(folders: Sequence[Path], out: Path) -> None:
    for folder in folders:
        language, left_out = folder.name, Counter[str]()
        prompts = list(read_prompts(folder, left_out))
        for reason, count in left_out.most_common():
            log.info("%s: left out: %d prompts %s", language, count, reason)
        for name in SETS:
            DataDirectory(prompt for prompt in prompts if _set_of(prompt) == name).write_set(out / language / name)


def read_prompts(folder: Path, left_out: Counter[str]) -> Iterator[Utterance]:
    """Yield the usable prompts of a language; counts the others by reason."""
    language = folder.name
    for line in read_lines(folder / f"core-sounds-{language}.txt"):
        name, colon, sentence = line.partition(":")
        if not colon or line.startswith(";"):
            continue
        audio, words = folder / "sounds" / f"{name.strip()}.wav", normalize_text(sentence, language)
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
    rest = zlib.crc32((prompt.text or "").encode()) % 100
    return "dev" if rest < 10 else "test" if rest < 25 else "train"


if __name__ == "__main__":
    sys.exit(group.main())
