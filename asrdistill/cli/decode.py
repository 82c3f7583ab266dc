"""``asrdistill decode``: words from features, and from lattices."""

from contextlib import ExitStack
from functools import cache, partial
from pathlib import Path
from typing import Any

from asrdistill.cli.command import (
    COMPUTE,
    FEATURES,
    GRAPH,
    JOBS,
    LANG,
    LEFT_OUT,
    LM,
    SCORER,
    Args,
    Group,
    arg,
    compute_of,
    make,
)
from asrdistill.errors import log

group = Group("decode")
OUT = arg("out", help="folder to make: hyp.txt, words.ctm, decode.json")
CALIBRATION = arg("--calibration", metavar="FOLDER", help="folder from asrdistill decode calibrate")


@group.command(
    SCORER,
    FEATURES,
    LANG,
    LM,
    OUT,
    arg("--tuned", metavar="FOLDER", help="take both scales from asrdistill decode tune"),
    GRAPH,
    LEFT_OUT,
    *COMPUTE,
    JOBS,
    options="asrdistill.decode.options.DecodeOptions",
    sets="features out",
    seeds="model out",
    joint=True,
)
def run(runs: list[Args]) -> None:
    """Recognise the words of a feature archive

    A path's score is its acoustic log-likelihood (networks: log posterior - log prior), plus lm-weight times its
    language model log-probability, plus insertion-penalty per word. Networks trained by MMI have no prior, and an
    lm-weight of 1 unless one is given. Other systems' posteriors (asrdistill convert posteriors) are MODEL and FEATURES
    in one. --lattice-beam writes lattices (HTK's SLF). The sets and seeds of one call share the compiled graph.

    Example:
      asrdistill decode run exp/student fbank data/lang data/lm exp/decode/student --sets dev test --seeds 0 1
    """
    from asrdistill.decode.graph import graph_folder

    with graph_folder(runs[0].graph, runs[0].out) as graph:
        for model in dict.fromkeys(each.model for each in runs):
            _decode([each for each in runs if each.model == model], graph)


def _decode(runs: list[Args], graph: Path) -> None:
    """Decode the sets of one model: what the first that is not up to date loads serves the others."""
    from asrdistill.decode.corpus import decode_archive, load, recognisers
    from asrdistill.decode.options import tuned

    first, features = runs[0], [each.features for each in runs]
    options = tuned(first.options, first.tuned) if first.tuned else _scaled(first)
    compute = compute_of(first)
    with ExitStack() as stack:

        @cache
        def ready() -> Any:
            archives, decoder = load(first.model, features, first.lang, first.lm, options, graph)
            workers = stack.enter_context(recognisers(first.model, decoder, first.jobs, compute))
            return dict(zip(features, archives, strict=True)), decoder, workers

        def work(archive: Path, out: Path) -> None:
            archives, decoder, workers = ready()
            record = decode_archive(archives[archive], decoder, out, workers)
            log.info(
                f"{first.model.name}: {record['words']} words in {record['seconds_of_speech'] / 60:.1f} min of speech, "
                f"real-time factor {record['rtf']:.4f} (with the model {record['rtf_with_model']:.4f})"
            )

        for each in runs:
            make(each, partial(work, each.features), each.model, each.features, each.lang, each.lm, options=options)


def _scaled(args: Args) -> Any:
    """The options; without a given lm_weight it is 1 for networks trained by MMI, whose scores are scaled already."""
    from dataclasses import replace

    from asrdistill.models.folder import read_meta
    from asrdistill.reader import read_yaml

    given = args.lm_weight is not None or (args.config and "lm_weight" in read_yaml(args.config))
    is_mmi = not given and read_meta(args.model).get("loss") == "mmi"
    return replace(args.options, lm_weight=1.0) if is_mmi else args.options


@group.command(
    SCORER,
    arg("features", help="feature archive of the development set"),
    LANG,
    LM,
    arg("data", help="data directory of the development set, with text"),
    arg("out", help="folder to make, with tuned.json"),
    GRAPH,
    *COMPUTE,
    JOBS,
    options="asrdistill.decode.options.DecodeOptions",
)
def tune(args: Args) -> None:
    """Choose language model weight and insertion penalty on a development set

    Starts with --lm-weight (1 for networks trained by MMI) and --insertion-penalty. A search with lattices
    (--lattice-beam, default 6) scores nearby values; it is repeated with the best until they stay.

    Example:
      asrdistill decode tune exp/student.0 fbank/dev data/lang data/lm data/dev exp/tune/student
    """
    from dataclasses import asdict

    from asrdistill.data.directory import read_table
    from asrdistill.decode.corpus import load
    from asrdistill.decode.graph import graph_folder
    from asrdistill.decode.tuning import tune

    texts, options, compute = read_table(args.data / "text"), _scaled(args), compute_of(args)

    def work(out: Path) -> None:
        with graph_folder(args.graph, args.out) as graph:
            (archive,), decoder = load(args.model, [args.features], args.lang, args.lm, options, graph)
            tune(args.model, archive, decoder, texts, out, args.jobs, compute)

    make(args, work, args.model, args.features, args.lang, args.lm, args.data, options=asdict(options))


@group.command(
    arg("decoded", help="folder with lattices, from asrdistill decode run --lattice-beam"),
    arg("out", help="folder to make: hyp.txt and words.ctm with confidences"),
    arg("--lm", metavar="LM", help="language model instead of the search's: folder with lm.arpa, or ARPA file"),
    GRAPH,
    CALIBRATION,
    JOBS,
    options="asrdistill.decode.options.RescoreOptions",
    sets="decoded out",
    seeds="decoded out",
)
def rescore(args: Args) -> None:
    """Rescore lattices: another language model, other scales, minimum Bayes risk

    The last column of words.ctm is a word's posterior in the lattice, or with --calibration how often words of that
    posterior are right.

    Example:
      asrdistill decode rescore exp/decode/student.0/test exp/rescored/test --lm data/lm4 --risk
    """
    from asrdistill import stage
    from asrdistill.decode.rescoring import rescore

    def work(out: Path) -> None:
        graph = args.graph or out / "graph"
        rescore(args.decoded, args.lm, graph, args.calibration, args.options, out, args.jobs)
        stage.remove(out / "graph")

    make(args, work, args.decoded, args.lm, args.calibration)


@group.command(
    arg("decoded", help="folder with words.ctm, not calibrated yet"),
    arg("text", help="reference: Kaldi text"),
    arg("out", help="folder to make: calibration.json, confidence.json, reliability.png"),
    arg("--calibration", metavar="FOLDER", help="measure this calibration instead of fitting one"),
)
def calibrate(args: Args) -> None:
    """Calibrate word confidences on a transcribed set, or measure a calibration

    Measures are normalised cross-entropy (NIST) and expected calibration error over ten bins.

    Example:
      asrdistill decode calibrate exp/decode/student.0/dev data/dev/text exp/calibration
    """
    from asrdistill.results.calibrate import calibrate

    inputs = (args.decoded, args.text, args.calibration)
    make(args, lambda out: calibrate(*inputs, out), inputs)
