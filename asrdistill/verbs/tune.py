"""Choose the decoder's language model weight and insertion penalty on a development set.

A search with lattices (--lattice-beam, 6 where none is given) tells how other scales near its own would do, and is
repeated under the best of these until they stay. It begins with --lm-weight and --insertion-penalty.

Example:
  asrdistill tune exp/student.0 data/fbank/dev data/lang data/lm data/corpus/dev exp/tune/student.0
"""

import argparse
import dataclasses
from pathlib import Path

from asrdistill import parallel, stage
from asrdistill.config import add_options, resolve
from asrdistill.decode.options import DecodeOptions


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, help="model folder: GMM, DNN or ensemble; or an archive of log-likelihoods")
    parser.add_argument("features", type=Path, help="feature archive of the development set")
    parser.add_argument("lang", type=Path, help="lang folder: the words to choose from")
    parser.add_argument("lm", type=Path, help="folder with lm.arpa, or an ARPA file")
    parser.add_argument("data", type=Path, help="data directory of the development set, with its text")
    parser.add_argument("out", type=Path, help="folder to make, with tuned.json in it")
    parser.add_argument(
        "--graph", type=Path, metavar="FOLDER", help="keep the compiled search graph there for next time"
    )
    parser.add_argument("--jobs", type=int, default=parallel.default_jobs(), help="processes (default: %(default)s)")
    add_options(parser, DecodeOptions)


def run(args: argparse.Namespace) -> None:
    from asrdistill.data.directory import read_table
    from asrdistill.decode.corpus import load
    from asrdistill.decode.graph import graph_folder
    from asrdistill.decode.tuning import tune

    options = resolve(DecodeOptions, args)
    texts = read_table(args.data / "text")

    def work(out: Path) -> None:
        with graph_folder(args.graph, args.out) as graph:
            (archive,), decoder = load(args.model, [args.features], args.lang, args.lm, options, graph)
            tune(args.model, archive, decoder, texts, out, args.jobs)

    inputs = [args.model, args.features, args.lang, args.lm, args.data]
    stage.make(args.out, work, "tune", dataclasses.asdict(options), inputs)
