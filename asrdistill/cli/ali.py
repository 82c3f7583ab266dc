"""``asrdistill ali``: alignments, the senone of each frame."""

from asrdistill.cli.command import DATA, FEATURES, JOBS, LANG, SCORER, Args, Group, arg, make

group = Group("ali")


@group.command(
    SCORER,
    FEATURES,
    DATA,
    LANG,
    arg("out", help="alignment to make"),
    arg("--text", metavar="FILE", help="transcripts instead of DATA/text: Kaldi text, or a decoded folder"),
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
    utterances = transcripts(archive, args.data, lang, read_transcripts(text) if text else None)
    work = (load_scorer, args.model, args.features, utterances, lang)
    inputs = (args.model, args.features, args.data, args.lang, text)
    make(args, lambda out: align(*work, out, args.options, args.jobs), inputs)


@group.command(
    arg("originals", help="alignment, soft targets or encoder frames of the original utterances"),
    arg("features", help="feature archive with perturbed copies"),
    arg("out", help="archive to make"),
)
def expand(args: Args) -> None:
    """Give perturbed copies the alignment, or soft targets, of their originals

    A copy at another speed takes, for each frame, the row of the original's frame nearest in time.

    Example:
      asrdistill ali expand exp/ali/train fbank/train_copies exp/ali/train_copies
    """
    from asrdistill.features.perturb import expand_to_copies

    make(args, lambda out: expand_to_copies(args.originals, args.features, out), args.originals, args.features)
