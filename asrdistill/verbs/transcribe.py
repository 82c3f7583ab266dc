"""Write down what is said in audio files: one line of words for each file, on standard output.

With several files each line begins with the file's name. With --ctm there is one line a word:
file, channel, start and duration in seconds, word, score.

Example:
  asrdistill transcribe exp/student speech.wav
  asrdistill transcribe exp/student *.mp3 --ctm
"""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("recogniser", type=Path, help="folder that asrdistill export made")
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="audio of any format that soundfile reads")
    parser.add_argument("--ctm", action="store_true", help="words with their times")


def run(args: argparse.Namespace) -> None:
    from asrdistill.errors import UserError, shorten
    from asrdistill.export.recogniser import Recogniser

    if missing := [path for path in args.files if not path.is_file()]:
        raise UserError(f"{len(missing)} audio file(s) do not exist: {shorten(missing)}")
    recogniser = Recogniser(args.recogniser)
    shift = recogniser.frame_shift
    for path in args.files:
        heard = recogniser.transcribe(path)
        if args.ctm:
            for word in heard.times:
                start, duration = word.start * shift, (word.end - word.start) * shift
                print(f"{path} 1 {start:.2f} {duration:.2f} {word.word} {word.score:.2f}")
        else:
            print((f"{path}\t" if len(args.files) > 1 else "") + " ".join(heard.words), flush=True)
