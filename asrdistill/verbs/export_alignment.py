"""Write an alignment in another system's format.

ctm       OUT/phones.ctm and OUT/words.ctm, times in seconds
textgrid  OUT/UTTERANCE.TextGrid for Praat, with the tiers words and phones
phn       OUT/UTTERANCE.PHN and OUT/UTTERANCE.WRD as TIMIT has them, times in samples of --rate Hz
kaldi     OUT/ali.ark, the senone of each frame: to Kaldi these are pdf ids, as ali-to-pdf writes
          them, and not transition-ids; OUT/phones.ark, the phone of each frame by OUT/phones.txt;
          an scp beside each

Example:
  asrdistill export-alignment textgrid exp/ali/dev textgrids/dev
  asrdistill export-alignment phn exp/ali/dev timit/dev --rate 16000
"""

import argparse
from pathlib import Path

from asrdistill.hmm.formats.options import FORMATS
from asrdistill.stage import make


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("format", choices=FORMATS, help="format to write")
    parser.add_argument("alignment", type=Path, help="alignment that asrdistill align made")
    parser.add_argument("out", type=Path, help="folder to make")
    parser.add_argument("--rate", type=int, default=0, help="phn: samples per second of the audio")


def run(args: argparse.Namespace) -> None:
    from asrdistill.errors import UserError
    from asrdistill.hmm.formats.exports import export_alignment

    if args.format == "phn" and args.rate < 1:
        raise UserError("PHN files hold times in samples: give the audio's samples per second with --rate")
    make(
        args.out,
        lambda folder: export_alignment(args.format, args.alignment, folder, args.rate, args.out),
        verb="export-alignment",
        options={"format": args.format, "rate": args.rate, "out": str(args.out.resolve())},
        inputs=[args.alignment],
    )
