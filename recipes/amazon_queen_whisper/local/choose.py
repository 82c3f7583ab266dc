"""Take some minutes of a data directory as a folder of recordings, with transcripts of all and of a quarter of them.

Makes OUT/audio/SPEAKER/UTTERANCE.EXT (links), OUT/all and OUT/quarter (lines of 'recording words').

Example:
  python recipes/amazon_queen_whisper/local/choose.py data/corpus/train voice --minutes 30
"""

import argparse
import sys
from pathlib import Path

from asrdistill import script, stage
from asrdistill.data.directory import DataDirectory


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="data directory with transcripts")
    parser.add_argument("out", type=Path, help="folder to make")
    parser.add_argument("--minutes", type=float, default=30, help="minutes to take (default: %(default)s)")
    args = parser.parse_args(argv)
    options = {"minutes": args.minutes}
    work = lambda out: choose(DataDirectory.read(args.data), out, args.minutes)  # noqa: E731
    return script.run(lambda: stage.make(args.out, work, "choose", options, [args.data]), parser.prog)


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
    sys.exit(main())
