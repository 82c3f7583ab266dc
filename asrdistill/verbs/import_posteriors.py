"""Make an archive of log-likelihoods of another system's posteriors, to decode, tune and align with.

SOURCE is a Kaldi ark, ark.gz or scp of matrices, or a NumPy file: .npz with an array for each
utterance, .npy of one; a row for each frame, a column for each senone. SENONES is a folder with
senones.json, which says what the columns are: a model, or an alignment. --priors is an alignment,
whose counts are taken out of the posteriors as priors, or a file like SOURCE, whose mean is: of the
train set, or for want of that SOURCE itself.

For a CTC model SENONES is a file with its units, one a line in the order of the columns, --blank names
the blank, and the lexicon spells words in these units (asrdistill lang --dictionary). Without --priors,
which are rarely of use here, the log posteriors are the scores.

OUT is a model and its features in one: give it to decode, tune and align as both.

Example:
  asrdistill import-posteriors kaldi/dev/post.scp exp/ali/train scores/dev --priors exp/ali/train
  asrdistill import-posteriors ctc/dev.npz ctc/tokens.txt scores/dev --form log-posteriors --blank "<blk>"
  asrdistill decode scores/dev scores/dev data/lang data/lm exp/decode/theirs/dev
"""

import argparse
from pathlib import Path

from asrdistill.config import add_options, resolve
from asrdistill.hmm.formats.options import PosteriorOptions
from asrdistill.stage import make


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", type=Path, help="ark, ark.gz, scp, npz or npy of matrices")
    parser.add_argument("senones", type=Path, help="folder with senones.json, or file with the units of a CTC model")
    parser.add_argument("out", type=Path, help="archive to make")
    parser.add_argument("--priors", type=Path, help="alignment that is counted, or posteriors whose mean is taken")
    add_options(parser, PosteriorOptions)


def run(args: argparse.Namespace) -> None:
    from asrdistill.errors import UserError
    from asrdistill.hmm.formats.posteriors import import_posteriors, read_units
    from asrdistill.hmm.senones import Senones

    options = resolve(PosteriorOptions, args)
    ctc = args.senones.is_file()
    senones = read_units(args.senones, options.blank) if ctc else Senones.read(args.senones)
    if args.priors and options.form == "loglikes":
        raise UserError("log-likelihoods hold no priors that could be taken out; leave --priors out, or name the form")
    if not (args.priors or senones.ctc or options.form == "loglikes"):
        raise UserError("posteriors of senones need priors to become likelihoods; give an alignment with --priors")
    make(
        args.out,
        lambda folder: import_posteriors(args.source, senones, args.priors, options, folder),
        verb="import-posteriors",
        options=options,
        inputs=[args.source, args.senones, *([args.priors] if args.priors else [])],
    )
