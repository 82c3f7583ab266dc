"""Choose words again from the lattices of a decode folder: other language model, other scales, without a search.

DECODED is what `asrdistill decode … --lattice-beam 5` made. OUT gets hyp.txt and words.ctm, whose last
column is the confidence of a word: how probable it is among all that the lattice holds, or, with
--calibration, how often words of such a posterior are right (asrdistill confidence). --risk takes the
words with the fewest expected errors in the place of the best path. Lattices in decode folders are
HTK's SLF; --kaldi writes Kaldi's form, for lattice-determinize-pruned and the other programs there.

Example:
  asrdistill rescore exp/decode/student/test exp/rescored/test --lm data/lm4 --risk --calibration exp/confidence
"""

import argparse
from pathlib import Path

from asrdistill import parallel, stage
from asrdistill.config import add_options, resolve


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from asrdistill.decode.options import RescoreOptions

    parser.add_argument("decoded", type=Path, help="folder with lattices that asrdistill decode made")
    parser.add_argument("out", type=Path, help="folder to make")
    parser.add_argument("--lm", type=Path, help="folder with lm.arpa, or an ARPA file, in the place of the search's")
    parser.add_argument(
        "--graph", type=Path, metavar="FOLDER", help="keep the compiled language model there for next time"
    )
    parser.add_argument("--calibration", type=Path, metavar="FOLDER", help="what asrdistill confidence made on dev")
    parser.add_argument("--jobs", type=int, default=parallel.default_jobs(), help="processes (default: %(default)s)")
    add_options(parser, RescoreOptions)


def run(args: argparse.Namespace) -> None:
    import shutil

    from asrdistill.decode.options import RescoreOptions
    from asrdistill.decode.rescoring import rescore

    options = resolve(RescoreOptions, args)
    inputs = [path for path in (args.decoded, args.lm, args.calibration) if path]

    def work(out: Path) -> None:
        graph = args.graph or out / "graph"
        rescore(args.decoded, args.lm, graph, args.calibration, options, out, args.jobs)
        shutil.rmtree(out / "graph", ignore_errors=True)

    stage.make(args.out, work, "rescore", options, inputs)
