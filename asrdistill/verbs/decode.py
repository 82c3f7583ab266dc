"""Recognise the words of a feature archive: hyp.txt, words.ctm, decode.json.

FEATURES may be log-likelihoods in the place of features: an archive that import-posteriors made, which
is then the MODEL too. A path's score is its acoustic log-likelihood (for networks log posterior minus log prior), plus
lm-weight times its language model log-probability, plus insertion-penalty for each word.

With --graph the lexicon, language model and senones are compiled once: the folder keeps the search graph,
which is mapped into memory from then on, and made again when they change. With large vocabularies this
saves most of a minute a call.

With --sets several archives are decoded in one call, which starts and loads everything once: FEATURES and OUT are then
the folders that hold the sets, OUT/SET is made from FEATURES/SET.

Example:
  asrdistill decode exp/student.0 data/fbank/test data/lang data/lm exp/decode/student.0/test --tuned exp/tune/student.0
  asrdistill decode exp/student.0 data/fbank data/lang data/lm exp/decode/student.0 --sets dev test
  asrdistill decode scores/test scores/test data/lang data/lm exp/decode/theirs/test
"""

import argparse
import logging
from contextlib import ExitStack
from functools import cache, partial
from pathlib import Path
from typing import Any

from asrdistill import parallel, stage
from asrdistill.config import add_options, resolve
from asrdistill.decode.options import DecodeOptions


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, help="model folder: GMM, DNN or ensemble; or an archive of log-likelihoods")
    parser.add_argument("features", type=Path, help="feature archive of the kind that the model was trained on")
    parser.add_argument("lang", type=Path, help="lang folder: the words to choose from")
    parser.add_argument("lm", type=Path, help="folder with lm.arpa, or an ARPA file")
    parser.add_argument("out", type=Path, help="folder to make")
    parser.add_argument("--sets", nargs="+", metavar="SET", help="names of the sets in FEATURES to decode into OUT")
    parser.add_argument(
        "--graph", type=Path, metavar="FOLDER", help="keep the compiled search graph there for next time"
    )
    parser.add_argument("--tuned", type=Path, metavar="FOLDER", help="take both scales from what asrdistill tune made")
    parser.add_argument("--jobs", type=int, default=parallel.default_jobs(), help="processes (default: %(default)s)")
    add_options(parser, DecodeOptions)


def run(args: argparse.Namespace) -> None:
    from asrdistill.decode.corpus import decode_archive, load, recognisers
    from asrdistill.decode.graph import graph_folder
    from asrdistill.decode.tuning import tuned

    options = resolve(DecodeOptions, args)
    if args.tuned:
        options = tuned(options, args.tuned)
    sets = [(args.features / name, args.out / name) for name in args.sets or [""]]

    with graph_folder(args.graph, args.out) as graph, ExitStack() as stack:

        @cache
        def ready() -> Any:  # what the first set that is not up to date needs serves the others too
            archives, decoder = load(args.model, [features for features, _ in sets], args.lang, args.lm, options, graph)
            workers = stack.enter_context(recognisers(args.model, decoder, args.jobs))
            return {archive.folder: archive for archive in archives}, decoder, workers

        def work(features: Path, out: Path) -> None:
            archives, decoder, workers = ready()
            record = decode_archive(archives[features], decoder, out, workers)
            logging.getLogger("asrdistill").info(
                "%s: %d words in %.1f min of speech, real-time factor %.4f (with the model %.4f)",
                args.model.name,
                record["words"],
                record["seconds_of_speech"] / 60,
                record["rtf"],
                record["rtf_with_model"],
            )

        for features, out in sets:
            stage.make(out, partial(work, features), "decode", options, [args.model, features, args.lang, args.lm])
