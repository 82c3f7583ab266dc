"""Untranscribed speech from "Beneath a Steel Sky", a freely distributable adventure game with English voices.

Example:
  python recipes/amazon_queen/local/steel_sky.py download download_sky
  python recipes/amazon_queen/local/steel_sky.py prepare download_sky sky

sky.dnr lists numbers, offsets and sizes of the entries of sky.dsk. Entries from 50,000 on are sentences: 11,025 Hz,
mono, 8 bits unsigned, compressed (rnc.py). Integers are little-endian. Licence: the game may be passed on unchanged but
not sold; none of it is shipped.
"""

import struct
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import rnc
import soundfile

from asrdistill import parallel
from asrdistill.cli.command import JOBS, Args, Group, arg, make
from asrdistill.corpora import apt
from asrdistill.data.directory import DataDirectory, Utterance
from asrdistill.errors import UserError, log, shorten

group = Group("steel_sky.py", __doc__)

PACKAGE = "beneath-a-steel-sky"
FILES = ("sky.dnr", "sky.dsk")
RATE = 11025  # Hz
SPOKEN = range(50_000, 56_000)  # numbers of the entries that are speech
HEADER = 22  # bytes before an entry's packed content
SHORTEST = 0.5  # seconds
SILENCE = 2.0  # of 128: an entry that moves less than this is silent


@group.command(arg("out", help="folder for sky.dnr, sky.dsk and their copyright file"))
def download(args: Args) -> None:
    """Fetch the game's files (66 MB) from the Debian or Ubuntu archive, with apt-get but without root"""
    make(args, _fetch, options={"corpus": "steel_sky"})


def _fetch(out: Path) -> None:
    apt.fetch(
        [PACKAGE], {name: name for name in FILES}, out, "give the folder of your own copy to 'steel_sky.py prepare'"
    )


@group.command(
    arg("source", help="folder with sky.dnr and sky.dsk"), arg("out", help="folder for unlabelled and clips"), JOBS
)
def prepare(args: Args) -> None:
    """Make the data directory OUT/unlabelled (116 minutes); each clip is its own speaker"""
    make(args, lambda out: make_corpus(args.source, out, args.jobs), args.source, options={"corpus": "steel_sky"})


def make_corpus(source: Path, out: Path, jobs: int = 1) -> None:
    """Make `unlabelled`, and clips/ with its audio as FLAC, in `out`; raises UserError without the game's files."""
    entries = sorted(read_index(source))
    (out / "clips").mkdir(parents=True, exist_ok=True)
    blocks = parallel.split([(source / FILES[1], out / "clips", *entry) for entry in entries], 32)
    clips = [clip for block in parallel.map_utterances(_unpack, blocks, jobs, "unpack", unit="clips") for clip in block]
    kept = [(name, seconds) for name, seconds, loudness in clips if seconds >= SHORTEST and loudness >= SILENCE]
    if left := sorted({name for name, *_ in clips} - {name for name, _ in kept}):
        log.info("left out: %d clips shorter than %g s or silent: %s", len(left), SHORTEST, shorten(left))
    for name in left:
        (out / "clips" / f"{name}.flac").unlink()
    DataDirectory(
        Utterance(name, str(out / "clips" / f"{name}.flac"), name, duration=seconds) for name, seconds in kept
    ).write_set(out / "unlabelled")


def read_index(source: Path) -> Iterator[tuple[int, int, int]]:
    """Number, place in sky.dsk and bytes of each spoken entry; raises UserError for files that are not the game's."""
    index, disk = (source / name for name in FILES)
    for path in (index, disk):
        if not path.is_file():
            raise UserError(f"{path} does not exist; give the folder with the game's files {FILES[0]} and {FILES[1]}")
    content, size = index.read_bytes(), disk.stat().st_size
    count = struct.unpack_from("<I", content)[0] if len(content) >= 4 else 0
    if not count or len(content) != 4 + 8 * count:
        raise UserError(f"{index} is not the game's index, or was cut short; fetch it again")
    for at in range(4, len(content), 8):
        number, place, flags = (int.from_bytes(content[at + a : at + b], "little") for a, b in ((0, 2), (2, 5), (5, 8)))
        place = (place & 0x7FFFFF) << 4 if place >> 23 else place  # large places count in units of 16 bytes
        length = flags & 0x3FFFFF
        if number in SPOKEN:
            if place + length > size:
                raise UserError(
                    f"{disk} is cut short: entry {number} should end at byte {place + length}; fetch it again"
                )
            yield number, place, length


def _unpack(entries: parallel.Chunk[tuple[Path, Path, int, int, int]]) -> list[tuple[str, float, float]]:
    """Write clips as FLAC; the name, seconds and loudness (standard deviation of 8-bit samples) of each."""
    clips = []
    for disk, folder, number, place, length in entries:
        with open(disk, "rb") as handle:
            handle.seek(place)
            content = handle.read(length)[HEADER:]
        try:
            samples = np.frombuffer(rnc.unpack(content), np.uint8).astype(np.int16) - 128
        except UserError as error:
            raise UserError(f"{disk}: entry {number}: {error}; fetch the game again") from None
        name = f"sky-{number}"
        soundfile.write(folder / f"{name}.flac", samples * 256, RATE)
        clips.append((name, len(samples) / RATE, float(samples.std()) if len(samples) else 0.0))
    return clips


if __name__ == "__main__":
    sys.exit(group.main())
