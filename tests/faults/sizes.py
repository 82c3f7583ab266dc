"""Inputs of unusual sizes: hours of audio in a file, a large ARPA file, 10⁵ words in an utterance, a single frame.

Each command runs in a process of its own, whose time and peak of memory are measured.
"""

import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile

from asrdistill.data.directory import DataDirectory, Utterance
from tests.export.test_recogniser import RATE, TEXTS, say
from tests.faults.disturb import clean

HOURS, MEGABYTES, WORDS = 3.0, 100.0, 100_000
LARGE = """
feats fbank long OUT --bins 20 --low 60 --high 3800 --jobs 1
transcribe recogniser long.wav
convert lm large.arpa OUT
info large.arpa
decode run model fbank lang large.arpa OUT --tuned tuned --jobs 1
score words.ref words.hyp
score words.ref words.hyp --sclite OUT
lang lm lang OUT --text words.txt --order 3
"""
FRAME = """
feats fbank short short/fbank --bins 20 --low 60 --high 3800 --jobs 1
feats cepstra short/fbank short short/cepstra --jobs 1
gmm mono short/fbank short lang short/mono --iterations 2 --gaussians 30 --max-left-out 60 --jobs 1
ali make short/mono short/fbank short lang short/ali --max-left-out 60 --jobs 1
ali make model short/fbank short lang short/given --max-left-out 60 --jobs 1
feats fmllr short/mono short/fbank short/ali short short/fmllr --jobs 1
feats fbank short short/copies --bins 20 --low 60 --high 3500 --speeds 0.9 --jobs 1 --max-left-out 60
ali expand short/given short/fbank short/expanded
nnet train short/fbank short/given short/net --config train.yaml --epochs 1
nnet evaluate model short/fbank short/given short/frames --jobs 1
nnet adjust short/net short/adjusted --priors short/fbank
distill targets model short/fbank short/targets --keep 4 --temperatures 1 2 --jobs 1
distill cluster-senones model short/fbank short/sets --clusters 2 --size 4 --jobs 1
nnet train short/fbank short/given short/student --soft-targets short/targets --unlabelled --config train.yaml
decode run model short/fbank lang lm short/decoded --tuned tuned --lattice-beam 8 --jobs 1
decode tune model short/fbank lang lm short short/tuned --jobs 1
decode rescore short/decoded short/rescored --jobs 1 --risk
score short/text short/decoded/hyp.txt
convert alignment --to textgrid short/ali short/textgrids
convert alignment --to kaldi short/ali short/kaldi_ali
convert feats short/fbank short/feats.ark
data subset short short/subset --utterances 2
data combine short short/combined
lang pron-probs lang short/ali short/probs
transcribe recogniser frame.wav
info short/fbank
"""
# starts a process from a small one, since the peak of one that a large one starts is at least that of the large one
LAUNCHER = """import os, sys
quiet = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
_, status, usage = os.wait4(os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=quiet), 0)
print(usage.ru_maxrss >> 10)
sys.exit(os.waitstatus_to_exitcode(status))
"""


class Row(NamedTuple):
    command: str
    seconds: float
    peak_mb: int
    status: int
    message: str  # empty but for a fault


def sizes(world: Path, scale: float = 1.0, run: Callable[[Path, str], Row] | None = None) -> Iterator[Row]:
    """Run all commands on inputs of `scale` times the usual sizes, by default as :func:`measured`; a row for each."""
    _write(world, scale)
    yield from ((run or measured)(world, line) for line in (LARGE + FRAME).splitlines() if line)


def measured(world: Path, line: str) -> Row:
    begin, note = time.monotonic(), world / "STDERR"
    with open(note, "w") as errors:
        command = [sys.executable, "-c", LAUNCHER, sys.executable, "-m", "asrdistill", *line.split()]
        done = subprocess.run(command, cwd=world, stdout=subprocess.PIPE, stderr=errors)
    text = note.read_text(encoding="utf-8", errors="replace")
    wrong = done.returncode or "Traceback (most" in text
    clean(world)
    return Row(
        line, round(time.monotonic() - begin, 1), int(done.stdout), done.returncode, text[-800:] if wrong else ""
    )


def _write(world: Path, scale: float) -> None:
    """long.wav and its data directory, large.arpa, texts of many words, and `short` with an utterance of one frame."""
    luck, block = random.Random(0), say("low high high low")
    count = max(1, int(scale * HOURS * 3600 * RATE / len(block)))
    with soundfile.SoundFile(world / "long.wav", "w", RATE, 1, "PCM_16") as sound:
        for _ in range(count):
            sound.write(block)
    (world / "long").mkdir()
    words = " ".join(["low high high low"] * count)
    DataDirectory([Utterance("long", str(world / "long.wav"), "a", words)]).write(world / "long")
    vocabulary = ["low", "high", *(f"w{n:06d}" for n in range(max(10, int(scale * 50_000))))]
    pairs = max(20, int(scale * MEGABYTES * 1e6 / 32))
    each = min(-(-pairs // len(vocabulary)), len(vocabulary))
    with open(world / "large.arpa", "w") as file:
        file.write(f"\\data\\\nngram 1={len(vocabulary) + 2}\nngram 2={each * len(vocabulary)}\n\n\\1-grams:\n")
        file.writelines(f"-{9 * luck.random():.6f}\t{word}\t-0.301030\n" for word in [*vocabulary, "</s>"])
        file.write("-99\t<s>\t-0.301030\n\n\\2-grams:\n")
        for word in vocabulary:
            for other in luck.sample(vocabulary, each):
                file.write(f"-{9 * luck.random():.6f}\t{word} {other}\n")
        file.write("\n\\end\\\n")
    said = luck.choices(["low", "high", "lowly", "how"], k=max(10, int(scale * WORDS)))
    heard = [luck.choice(["low", "other"]) if luck.random() < 0.1 else word for word in said if luck.random() > 0.02]
    for name, text in (("ref", said), ("hyp", heard)):
        (world / f"words.{name}").write_text(f"u1 {' '.join(text)}\n")
    (world / "words.txt").write_text(" ".join(said) + "\n")
    soundfile.write(world / "frame.wav", np.full(RATE // 40, 0.01), RATE)
    (world / "short").mkdir()
    some = [Utterance(f"a-{name}", str(world / f"{name}.wav"), "a", text) for name, text in TEXTS.items()]
    DataDirectory([*some, Utterance("b-frame", str(world / "frame.wav"), "b", "low")]).write(world / "short")
