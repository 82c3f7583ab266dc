"""``asrdistill convert``: other systems' files, in and out."""

from functools import partial
from pathlib import Path

from asrdistill.cli.command import Args, Group, arg, flag, make
from asrdistill.errors import UserError, log
from asrdistill.hmm.formats.options import FORMATS

group = Group("convert")
IN, OUT = ("SOURCE", "FEATURES", "LANG", "OUT"), ("ALIGNMENT", "OUT")


@group.command(
    arg("--from", dest="source_format", choices=FORMATS, help="import SOURCE for the frames of FEATURES"),
    arg("--to", dest="target_format", choices=FORMATS, help="export ALIGNMENT"),
    arg("paths", nargs="+", metavar="PATH", help=f"{' '.join(IN)} with --from, {' '.join(OUT)} with --to"),
    arg("--model", help="from kaldi: final.mdl as text, or a folder with senones.json"),
    arg("--tree", help="from kaldi: the tree as text, for context-dependent models"),
    options="asrdistill.hmm.formats.options.ImportOptions",
    usage=f"asrdistill convert alignment --from FORMAT {' '.join(IN)} [options]\n"
    f"       asrdistill convert alignment --to FORMAT {' '.join(OUT)} [--rate HZ]",
)
def alignment(args: Args) -> None:
    """Import or export an alignment: Kaldi, CTM, TextGrid, PHN

    format    --from: SOURCE                            --to: OUT
    ctm       phones.ctm, words.ctm beside it           phones.ctm and words.ctm, seconds
    textgrid  folder of UTTERANCE.TextGrid, tier phones the same, tiers words and phones
    phn       folder of [SPEAKER/]UTTERANCE.PHN         UTTERANCE.PHN and .WRD, samples of --rate Hz
    kaldi     folder of ali.*.gz, ark or scp            ali.ark (pdf ids), phones.ark, with scp

    Kaldi's models and trees are read as text (gmm-copy --binary=false, copy-tree --binary=false). The other formats
    only have phone times: the states of a phone share its frames evenly; gaps, sil, sp and spn are silence.

    Example:
      asrdistill convert alignment --from textgrid mfa/train fbank/train data/lang exp/ali/train --strip-stress
      asrdistill convert alignment --to phn exp/ali/dev timit/dev --rate 16000
    """
    if bool(args.source_format) == bool(args.target_format):
        raise UserError("give either --from FORMAT or --to FORMAT")
    names = IN if args.source_format else OUT
    if len(args.paths) != len(names):
        direction = "--from" if args.source_format else "--to"
        raise UserError(f"{direction} takes {' '.join(names)}, not {len(args.paths)} paths; see --help")
    *inputs, args.out = args.paths
    if "phn" in (args.source_format, args.target_format) and args.options.rate < 1:
        raise UserError("PHN files hold times in samples; give the audio's sample rate with --rate")
    if args.source_format != "kaldi" and (args.model or args.tree):
        raise UserError("--model and --tree are for --from kaldi; leave them out")
    (_import if args.source_format else _export)(args, *inputs)


def _import(args: Args, source: Path, features_at: Path, lang_at: Path) -> None:
    from asrdistill.data.archive import FrameArchive
    from asrdistill.hmm.formats.imports import import_kaldi, import_times
    from asrdistill.lang.lexicon import Lang

    form, options = args.source_format, args.options
    features = FrameArchive(features_at, "features")
    if form != "kaldi":
        work = partial(import_times, form, source, features, Lang.read(lang_at), options)
    elif args.model:
        work = partial(import_kaldi, source, features, lang_at, args.model, args.tree, options)
    else:
        raise UserError("Kaldi's alignments need their model; give final.mdl with --model")
    settings = {"format": form, **vars(options), "contents": _contents(source)}
    make(args, work, source, features_at, lang_at, args.model, args.tree, options=settings)


def _export(args: Args, source: Path) -> None:
    from asrdistill.hmm.formats.exports import export_alignment

    form, rate, out = args.target_format, args.options.rate, args.out
    options = {"format": form, "rate": rate, "out": str(out.resolve())}
    make(args, lambda folder: export_alignment(form, source, folder, rate, out), source, options=options)


def _contents(source: Path) -> str:
    """Hash of the files that are read in the folders of the source, or beside it."""
    from asrdistill.files import hash_of, sha256

    if source.is_dir():
        paths = [path for path in source.rglob("*") if path.suffix.lower() in (".textgrid", ".phn", ".wrd")]
    else:
        paths = [path for name in ("words.ctm", "phones.ark") if (path := source.with_name(name)).is_file()]
    return hash_of({str(path.relative_to(source.parent)): sha256(path) for path in paths})


@group.command(
    arg("source", help="ark, ark.gz, scp, npz or npy to import; or frame archive to export"),
    arg("out", help="feature archive to make; or NAME.ark to write, with NAME.scp beside it"),
    arg("--name", type=str, help="import: name of these features, which models remember (default: feats)"),
    arg("--frame-shift", type=float, metavar="S", help="import: seconds between frames (default: 0.01)"),
)
def feats(args: Args) -> None:
    """Import features from Kaldi or NumPy, or export an archive as a Kaldi ark

    A frame archive as SOURCE is exported, everything else imported. .npz has an array per utterance, .npy is one.
    Shell commands in an scp are not run.

    Example:
      asrdistill convert feats kaldi/data/train/feats.scp data/train/mfcc --name mfcc_hires
      asrdistill convert feats fbank/dev kaldi/dev/feats.ark
    """
    if (args.source / "index.tsv").is_file():
        _export_feats(args)
        return
    from asrdistill.data.matrices import import_features

    name, shift = args.name or "feats", 0.01 if args.frame_shift is None else args.frame_shift
    if not 0 < shift < 1:
        raise UserError(f"--frame-shift is in seconds, for example 0.01, not {shift:g}")
    options = {"name": name, "frame_shift": shift}
    make(args, lambda out: import_features(args.source, out, name, shift), args.source, options=options)


def _export_feats(args: Args) -> None:
    from asrdistill.data.kaldi import export_features

    if args.name or args.frame_shift:
        raise UserError("--name and --frame-shift are for importing; leave them out")
    if args.out.suffix != ".ark":
        raise UserError(f"{args.out} must end in .ark; the scp is written beside it")
    args.out.parent.mkdir(parents=True, exist_ok=True)
    log.info("%s: %d utterances", args.out, export_features(args.source, args.out))


@group.command(
    arg("source", help="ark, ark.gz, scp, npz or npy: a row per frame, a column per senone"),
    arg("senones", help="folder with senones.json; or file with the units of a CTC model, one per line"),
    arg("out", help="archive of log-likelihoods to make: model and features in one"),
    arg("--priors", metavar="PATH", help="alignment to count, or posteriors to average"),
    options="asrdistill.hmm.formats.options.PosteriorOptions",
)
def posteriors(args: Args) -> None:
    """Import another system's posteriors, to decode, tune and align with

    Senone posteriors need --priors; a CTC model's are used without. Give OUT as both MODEL and FEATURES.

    Example:
      asrdistill convert posteriors kaldi/dev/post.scp exp/ali/train scores/dev --priors exp/ali/train
    """
    from asrdistill.hmm.formats.posteriors import import_posteriors, read_units
    from asrdistill.hmm.senones import Senones

    options = args.options
    senones = read_units(args.senones, options.blank) if args.senones.is_file() else Senones.read(args.senones)
    if args.priors and options.form == "loglikes":
        raise UserError("log-likelihoods have no priors to take out; leave --priors out, or change --form")
    if not (args.priors or senones.ctc or options.form == "loglikes"):
        raise UserError("posteriors of senones need priors to become likelihoods; give an alignment with --priors")
    inputs = (args.source, args.senones, args.priors)
    make(args, lambda out: import_posteriors(args.source, senones, args.priors, options, out), inputs)


@group.command(
    arg("arpa", help="ARPA file, gzipped or not"),
    arg("out", help="folder to make, with lm.arpa"),
    flag("--lower", "convert its words to lower case"),
)
def lm(args: Args) -> None:
    """Import an n-gram language model in ARPA format

    Example:
      asrdistill convert lm corpus/3-gram.pruned.3e-7.arpa.gz data/lm --lower
    """
    from asrdistill.lang.text import import_lm

    make(args, lambda out: import_lm(args.arpa, args.lower, out), args.arpa, options={"lower": args.lower})
