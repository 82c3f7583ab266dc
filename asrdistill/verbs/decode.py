"""Recognise the words of a feature archive: hyp.txt, words.ctm, decode.json.

FEATURES may be log-likelihoods in the place of features: an archive that import-posteriors made, which
is then the MODEL too. A path's score is its acoustic log-likelihood (for networks log posterior minus log prior), plus
lm-weight times its language model log-probability, plus insertion-penalty for each word.

With --graph the lexicon, language model and senones are compiled once: the folder keeps the search graph,
which is mapped into memory from then on, and made again when they change. With large vocabularies this
saves most of a minute a call.

Example:
  asrdistill decode exp/student.0 data/fbank/test data/lang data/lm exp/decode/student.0/test --tuned exp/tune/student.0
  asrdistill decode scores/test scores/test data/lang data/lm exp/decode/theirs/test
"""

import argparse
from pathlib import Path

from asrdistill import parallel, stage
from asrdistill.config import add_options, resolve
from asrdistill.decode.options import DecodeOptions


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, help="model folder: GMM, DNN or ensemble; or an archive of log-likelihoods")
    parser.add_argument("features", type=Path, help="feature archive of the kind that the model was trained on")
    parser.add_argument("lang", type=Path, help="lang folder: the words to choose from")
    parser.add_argument("lm", type=Path, help="folder with lm.arpa, or an ARPA file")
    parser.add_argument("out", type=Path, help="folder to make")
    parser.add_argument(
        "--graph", type=Path, metavar="FOLDER", help="keep the compiled search graph there for next time"
    )
    parser.add_argument("--tuned", type=Path, metavar="FOLDER", help="take both scales from what asrdistill tune made")
    parser.add_argument("--jobs", type=int, default=parallel.default_jobs(), help="processes (default: %(default)s)")
    add_options(parser, DecodeOptions)


def run(args: argparse.Namespace) -> None:
    import logging
    import shutil

    from asrdistill.decode.corpus import decode_archive, load
    from asrdistill.decode.tuning import tuned

    options = resolve(DecodeOptions, args)
    if args.tuned:
        options = tuned(options, args.tuned)

    def work(out: Path) -> None:
        graph = args.graph or out / "graph"
        archive, decoder = load(args.model, args.features, args.lang, args.lm, options, graph)
        record = decode_archive(args.model, archive, decoder, out, args.jobs)
        shutil.rmtree(out / "graph", ignore_errors=True)
        logging.getLogger("asrdistill").info(
            "%s: %d words in %.1f min of speech, real-time factor %.4f (with the model %.4f)",
            args.model.name,
            record["words"],
            record["seconds_of_speech"] / 60,
            record["rtf"],
            record["rtf_with_model"],
        )

    stage.make(args.out, work, "decode", options, [args.model, args.features, args.lang, args.lm])
