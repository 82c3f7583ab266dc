"""Take some minutes of a data directory as a folder of recordings, with transcripts of all and of a quarter of them.

Makes OUT/audio/SPEAKER/UTTERANCE.EXT (links), OUT/all and OUT/quarter (lines of 'recording words').

Example:
  python recipes/amazon_queen_whisper/local/choose.py data/corpus/train voice --minutes 30
"""

import sys
from pathlib import Path

from asrdistill.cli.command import Args, Group, arg, make
from asrdistill.data.directory import DataDirectory

group = Group("choose.py")


@group.command(
    arg("data", help="data directory with transcripts"),
    arg("out", help="folder to make"),
    arg("--minutes", type=float, default=30, help="minutes to take (default: %(default)s)"),
)
def _(args: Args) -> None:
    """Take some minutes of a data directory as recordings, with transcripts of all and of a quarter of them"""
    data, options = DataDirectory.read(args.data), {"minutes": args.minutes}
    make(args, lambda out: choose(data, out, args.minutes), args.data, options=options)


def choose(data: DataDirectory, out: Path, minutes: float) -> None:
    """Link utterances spread evenly over `data`; write the transcripts."""
    durations = {utterance.id: utterance.duration or 0.0 for utterance in data}
    share = 60 * minutes / sum(durations.values())
    due = used = 0.0
    lines = []
    for utterance in data:
        due += durations[utterance.id] * share
        if due <= used:
            continue
        used += durations[utterance.id]
        audio = Path(utterance.audio).resolve()
        link = out / "audio" / utterance.speaker / f"{utterance.id}{audio.suffix}"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(audio)
        lines.append(f"{utterance.speaker}_{utterance.id} {utterance.text}\n")
    (out / "all").write_text("".join(lines), encoding="utf-8")
    (out / "quarter").write_text("".join(lines[::4]), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(group.main())
