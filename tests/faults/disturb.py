"""Commands that are disturbed: killed at a rename or fsync or at any moment, or with a disk that is full.

Each runs in a process of its own, which is forked, in a copy of the world's inputs; what it makes is OUT.
"""

import contextlib
import hashlib
import io
import json
import os
import random
import resource
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

LINES = """
feats fbank data OUT --bins 20 --low 60 --high 3800 --jobs 2
feats cepstra fbank data OUT --jobs 2
feats fmllr mono fbank ali data OUT --jobs 1
gmm mono fbank data lang OUT --iterations 3 --gaussians 30 --jobs 1
gmm tri fbank ali data lang OUT --iterations 2 --gaussians 30 --leaves 20 --jobs 1
ali make mono fbank data lang OUT --jobs 2
ali expand ali fbank OUT
nnet train fbank ali OUT --config train.yaml --epochs 3
nnet ensemble net model OUT
nnet evaluate model fbank ali OUT --jobs 1
nnet adjust net OUT --priors fbank
distill targets model fbank OUT --keep 4 --temperatures 1 2 --jobs 2
distill cluster-senones model fbank OUT --clusters 2 --size 4 --jobs 1
data subset data OUT --utterances 2
data subset fbank OUT --utterances 2
data combine data OUT
lang build data OUT --dictionary dictionary.txt
lang lm data lang OUT --order 2
lang g2p dictionary.txt OUT --order 2
lang pron-probs lang ali OUT
lang phone-loop ali OUT
decode run model fbank lang lm OUT --tuned tuned --lattice-beam 8 --jobs 2
decode tune model fbank lang lm data OUT --jobs 1
decode rescore decoded OUT --jobs 1
convert alignment --to textgrid ali OUT
convert alignment --to kaldi ali OUT
convert alignment --from phn phns fbank lang OUT --rate 8000
convert feats fbank OUT.ark
convert lm lm/lm.arpa OUT
export model lang lm tuned OUT
export model lang lm tuned OUT --to onnx
score data/text hyp.trn --sclite OUT
transcribe recogniser u1.wav u1.flac
info model
""".strip().splitlines()
LIMITS = (0, 1, 100, 1000, 4096, 20_000)  # bytes that a file may have on the full disk
UNEQUAL = (".done", ".whole", "decode.json", "README.md")  # files with times


class Outcome(NamedTuple):
    status: int  # negative: killed by this signal
    stderr: str
    traceback: str


def attempt(
    world: Path, line: str | list[str], before: Callable[[], None] = lambda: None, after: float | None = None
) -> Outcome:
    """Run a command in the world; `before` runs in its process, which is killed `after` seconds with its workers."""
    note = world / "STDERR"
    child = os.fork()
    if not child:
        os.setsid()
        status = 70
        with contextlib.suppress(BaseException):
            os.chdir(world)
            sys.stdout = io.StringIO()
            sys.stderr = open(note, "w", encoding="utf-8")  # noqa: SIM115
            try:
                from asrdistill.cli import main

                before()
                status = main(line.split() if isinstance(line, str) else line)
            except BaseException:
                resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
                traceback.print_exc(file=sys.stderr)
            sys.stderr.flush()
        os._exit(status)
    end, found = time.monotonic() + (after if after is not None else 300), (0, 0)
    while found[0] == 0 and time.monotonic() < end:
        found = os.waitpid(child, os.WNOHANG)
        time.sleep(0.002)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # workers too
    if found[0] == 0:
        found = os.waitpid(child, 0)
    text = note.read_text(encoding="utf-8", errors="replace") if note.exists() else ""
    place = text.find("Traceback (most")
    return Outcome(os.waitstatus_to_exitcode(found[1]), text, text[place:] if place >= 0 else "")


def clean(world: Path) -> None:
    for path in world.glob("*OUT*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def made(world: Path) -> dict[str, str]:
    """File -> hash, of all that stands at OUT, and whatever else was left beside it."""
    found = {}
    for top in sorted(world.glob("*OUT*")):
        for path in [top, *sorted(top.rglob("*"))]:
            if path.is_file() and path.name not in UNEQUAL:
                found[str(path.relative_to(world))] = hashlib.md5(path.read_bytes()).hexdigest()
    return found


def killed_at(number: int, count: list[int]) -> Callable[[], None]:
    """Kill the process before its call `number` of a rename, an fsync or a removal; count calls."""

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **named: Any) -> Any:
            count[0] += 1
            if count[0] == number:
                os.killpg(0, signal.SIGKILL)
            return call(*args, **named)

        return wrapped

    def before() -> None:
        for name in ("replace", "fsync", "rename", "unlink", "rmdir", "mkdir"):
            setattr(os, name, counted(getattr(os, name)))

    return before


def full_disk(size: int) -> Callable[[], None]:
    def before() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return before


def faults_of_kills(world: Path, line: str, moments: int, luck: random.Random, most: int = 1000) -> Iterator[str]:
    """Kill a command at each rename and fsync (`most` of them), and at random moments; a line for each kill.

    The line is empty if the command, run again, makes the same bytes as one that nobody disturbed, and leaves nothing
    else behind.
    """
    clean(world)
    begin = time.monotonic()
    peace = attempt(world, line)
    assert peace.status == 0, f"{line}: {peace.stderr}"
    seconds, wanted = time.monotonic() - begin, made(world)
    for number in range(1, most + moments + 1):
        clean(world)
        if number <= most:
            first = attempt(world, line, killed_at(number, [0]))
            if first.status == 0:
                most = number - 1  # it has no more calls
                continue
        elif number > most + moments:
            return
        else:
            first = attempt(world, line, after=luck.uniform(0, seconds))
        if first.traceback:
            yield f"{line}: kill {number}: {first.traceback}"
            continue
        again = attempt(world, line)
        found = made(world)
        if again.status:
            yield f"{line}: kill {number}: exit code {again.status} of the next run: {again.stderr[-300:]}"
        elif found != wanted:
            names = sorted(name for name in found.keys() | wanted.keys() if found.get(name) != wanted.get(name))
            yield f"{line}: kill {number}: {', '.join(names[:5])} differ"
        else:
            yield ""
    clean(world)


def faults_of_disks(world: Path, line: str) -> Iterator[str]:
    """Run a command on a disk that holds files of a few bytes only; a line for each size, empty if all is well."""
    clean(world)
    wanted: dict[str, str] = {}
    for size in (1 << 40, *LIMITS):
        clean(world)
        found = attempt(world, line, full_disk(size))
        whole = {name: content for name, content in made(world).items() if "/." not in f"/{name}"}
        if size == 1 << 40:
            assert found.status == 0, f"{line}: {found.stderr}"
            wanted = whole
        elif found.traceback:
            yield f"{line}: {size} bytes: {found.traceback[-600:]}"
        elif found.status not in (0, 2):
            yield f"{line}: {size} bytes: exit code {found.status}"
        elif found.status == 2 and not found.stderr.strip() and size > 100:
            yield f"{line}: {size} bytes: no message"
        elif wrong := sorted(name for name in whole if whole[name] != wanted.get(name)):
            yield f"{line}: {size} bytes: half files {', '.join(wrong[:5])}"
        elif found.status == 0 and whole != wanted:
            yield f"{line}: {size} bytes: exit code 0 without all files"
        else:
            yield ""
    clean(world)


def show(found: list[str]) -> str:
    return json.dumps({"disturbed": len(found), "faults": sum(map(bool, found))})
