"""Put a trained network, its lexicon, language model and scales into one folder that transcribes.

--to says which form the network gets; README.md in the folder, its model card, says how to use it:
safetensors  float32 weights, which torch runs
onnx         float32 in ONNX, which ONNX Runtime runs: pip install 'asrdistill[onnx]'
int8         8-bit integers in ONNX: a quarter of the size, several times as fast; needs --check
torchscript  also TorchScript, for programs with libtorch
kaldi        also Kaldi's nnet3, transition model and tree, as text

Every form is compared with the original before it is called done; with --check on real frames, in frame
accuracy (where there is an --alignment) and in word error rate. The folder searches with the beams that are given
here: narrower ones are faster. A network on the frames of a Whisper encoder takes
that encoder, up to its layer, along.

Example:
  asrdistill export exp/student.0 data/lang data/lm exp/tune/student.0 exp/student --check data/dev
  asrdistill export exp/student.0 data/lang data/lm exp/tune/student.0 exp/small --to int8 --check data/dev
  asrdistill export exp/cut.0 data/lang data/lm exp/tune/cut.0 exp/cut --check data/dev --encoder whisper:tiny.en@2
  asrdistill transcribe exp/student speech.wav
"""

import argparse
from dataclasses import asdict
from pathlib import Path

from asrdistill import parallel, stage
from asrdistill.config import add_options, resolve
from asrdistill.decode.options import DecodeOptions
from asrdistill.export.options import FORMS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, help="model folder of a single network")
    parser.add_argument("lang", type=Path, help="lang folder")
    parser.add_argument("lm", type=Path, help="language model folder")
    parser.add_argument("tuned", type=Path, help="folder that asrdistill tune made, whose scales count")
    parser.add_argument("out", type=Path, help="recogniser folder to make")
    parser.add_argument("--to", choices=FORMS, default=FORMS[0], help="form of the network (default: %(default)s)")
    parser.add_argument("--check", type=Path, metavar="DATA", help="data directory with text to compare on")
    parser.add_argument("--alignment", type=Path, help="alignment of its utterances")
    parser.add_argument("--encoder", help="whose frames the network takes, for example whisper:tiny.en@2")
    add_options(parser, DecodeOptions)
    parser.add_argument("--jobs", type=int, default=parallel.default_jobs(), help="processes (default: %(default)s)")


def run(args: argparse.Namespace) -> None:
    from asrdistill.decode.tuning import tuned
    from asrdistill.errors import UserError
    from asrdistill.export.folder import export

    if args.alignment and not args.check:
        raise UserError("--alignment is of the utterances of --check; give both")
    checked_on = (args.check, args.alignment)

    if not (args.tuned / "tuned.json").is_file():
        raise UserError(f"{args.tuned / 'tuned.json'} does not exist; run asrdistill tune")
    options = tuned(resolve(DecodeOptions, args), args.tuned)

    def work(out: Path) -> None:
        network = (args.to, args.model, args.lang, args.lm, options, out, args.out.name)
        export(*network, *checked_on, args.encoder, args.jobs)

    inputs = [args.model, args.lang, args.lm, args.tuned, *(path for path in checked_on if path)]
    stage.make(args.out, work, "export", {"to": args.to, "encoder": args.encoder, **asdict(options)}, inputs)
