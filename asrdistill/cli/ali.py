"""``asrdistill ali``: alignments, the senone of each frame."""

from functools import partial

from asrdistill.cli.command import COMPUTE, DATA, FEATURES, JOBS, LANG, SCORER, Args, Group, arg, compute_of, make
from asrdistill.errors import UserError

group = Group("ali")


@group.command(
    SCORER,
    FEATURES,
    DATA,
    LANG,
    arg("out", help="alignment to make"),
    arg("--text", metavar="FILE", help="transcripts instead of DATA/text: Kaldi text, or a decoded folder"),
    *COMPUTE,
    JOBS,
    options="asrdistill.hmm.options.AlignOptions",
    sets="features data out text",
)
def make_(args: Args) -> None:
    """Align features with their text: a senone per frame, phones.ctm and words.ctm

    Utterances with fewer frames than HMM states are left out and counted.

    Example:
      asrdistill ali make exp/sat fmllr data data/lang exp/ali --sets train dev
    """
    from asrdistill.decode.acoustic import load_scorer, open_frames
    from asrdistill.hmm.align import align, transcripts
    from asrdistill.hmm.graph import GraphCompiler
    from asrdistill.lang.lexicon import Lang
    from asrdistill.scoring.wer import read_transcripts

    text = args.text / "hyp.txt" if args.text and args.text.is_dir() else args.text
    model, lang = load_scorer(args.model), Lang.read(args.lang)
    archive = open_frames(args.features, args.model)
    GraphCompiler(lang, model.senones)  # checks that the model has the lexicon's phones
    texts = read_transcripts(text) if text else None
    utterances = transcripts(archive, args.data, lang, texts)
    load = partial(load_scorer, compute=compute_of(args))
    work = (load, args.model, args.features, utterances, lang)
    inputs = (args.model, args.features, args.data, args.lang, text)
    make(args, lambda out: align(*work, out, args.options, args.jobs), inputs)


@group.command(
    arg("originals", help="alignment, soft targets or encoder frames of the original utterances"),
    arg("features", help="feature archive with perturbed copies; with --frame-subsampling, what the trees grow on"),
    arg("out", help="archive to make"),
    arg("--tree", metavar="FOLDER", help="alignment or network whose senones of a low frame rate are taken"),
    JOBS,
    options="asrdistill.hmm.options.SubsamplingOptions",
    sets="originals features out",
)
def expand(args: Args) -> None:
    """Give perturbed copies, or networks of a low frame rate, the alignment of the originals

    Copies also get soft targets. One at another speed takes, for each frame, the row of the original's frame nearest
    in time.

    With --frame-subsampling, trees for phones of one or two states grow on the features, and the alignment is made one
    over their senones (Kaldi's build_tree.sh and convert-ali). It still has a row per frame; phones get at least N.
    Another set takes the same trees by --tree.

    Example:
      asrdistill ali expand exp/ali/train fbank/train_copies exp/ali/train_copies
      asrdistill ali expand exp/ali/train fmllr/train exp/ali_low/train --frame-subsampling 3 --leaves 2000
      asrdistill ali expand exp/ali fmllr exp/ali_low --sets dev test --tree exp/ali_low/train
    """
    from asrdistill.features.perturb import expand_to_copies
    from asrdistill.hmm.subsampling import subsample_alignment

    if args.tree and args.options.frame_subsampling > 1:
        raise UserError("--tree says what --frame-subsampling does; give one of them")
    if args.tree or args.options.frame_subsampling > 1:
        work = (args.originals, args.features)
        make(args, lambda out: subsample_alignment(*work, out, args.options, args.jobs, args.tree), work, args.tree)
        return
    make(args, lambda out: expand_to_copies(args.originals, args.features, out), args.originals, args.features)
