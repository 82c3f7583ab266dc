"""Cut any folder of recordings at their pauses: a data directory with segments.

Every file below FOLDER that soundfile reads (WAV, FLAC, MP3, Ogg, Opus …) is a recording, named after its path.
Recordings in a subfolder have it as their speaker, others are each a speaker of their own. Stereo is mixed. What
cannot be read is named and left out. OUT/segment.json says what was, OUT/rate which sample rate suits the audio.

Example: asrdistill cut recordings data/pieces
"""

import argparse
from pathlib import Path

from asrdistill.config import add_options, resolve
from asrdistill.data.options import SegmentOptions
from asrdistill.parallel import default_jobs


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, help="folder of recordings")
    parser.add_argument("out", type=Path, help="data directory to make")
    parser.add_argument("--jobs", type=int, default=default_jobs(), help="processes (default: %(default)s)")
    parser.add_argument("--whole", type=Path, metavar="FILE", help="recordings not to cut: the first word of each line")
    add_options(parser, SegmentOptions)


def run(args: argparse.Namespace) -> None:
    import dataclasses

    from asrdistill.data.segment import segment_recordings
    from asrdistill.errors import UserError
    from asrdistill.files import read_lines
    from asrdistill.stage import make
    from asrdistill.verbs.prepare import contents_of

    options = resolve(SegmentOptions, args)
    if not args.folder.is_dir():
        raise UserError(f"{args.folder} is no folder; give the folder that the recordings stand in")
    given = {"folder": str(args.folder.resolve()), "contents": contents_of([args.folder])}
    whole = {name for line in read_lines(args.whole) for name in line.split()[:1]} if args.whole else set()
    make(
        args.out,
        lambda out: segment_recordings(args.folder.resolve(), out, options, args.jobs, whole),
        verb="cut",
        options={**dataclasses.asdict(options), **given},
        inputs=[args.whole] if args.whole else [],
    )
