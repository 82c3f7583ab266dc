"""``asrdistill gmm``: GMM-HMMs, as in Kaldi's train_mono, train_deltas and train_lda_mllt."""

from asrdistill.cli.command import JOBS, LANG, Args, Group, arg, make

group = Group("gmm")
DATA = arg("data", help="data directory with text")
OUT = arg("out", help="model folder to make")


@group.command(
    arg("features", help="archive of cepstra"), DATA, LANG, OUT, JOBS, options="asrdistill.hmm.options.MonoOptions"
)
def mono(args: Args) -> None:
    """Train monophones from features and text (flat start)

    Example:
      asrdistill gmm mono cepstra/train data/train data/lang exp/mono
    """
    from asrdistill.data.archive import FrameArchive
    from asrdistill.hmm.align import transcripts
    from asrdistill.hmm.train import train_mono
    from asrdistill.lang.lexicon import Lang

    lang = Lang.read(args.lang)
    archive = FrameArchive(args.features, kind="features")
    utterances = transcripts(archive, args.data, lang)
    inputs = (args.features, args.data, args.lang)
    make(args, lambda out: train_mono(args.features, utterances, lang, out, args.options, args.jobs), inputs)


@group.command(
    arg("features", help="archive of cepstra, or of fMLLR features"),
    arg("alignment", help="alignment of the utterances, by any model of these phones"),
    DATA,
    LANG,
    OUT,
    JOBS,
    options="asrdistill.hmm.options.TriphoneOptions",
)
def tri(args: Args) -> None:
    """Train triphones on an alignment, with deltas, LDA+MLLT or speaker-adapted features

    Decision trees tie the states. Cepstra get deltas, or with --lda are spliced and projected by LDA and MLLT.
    Features of asrdistill feats fmllr are taken as they are: speaker-adaptive training.

    Example:
      asrdistill gmm tri cepstra/train exp/ali/tri data/train data/lang exp/lda --lda
    """
    from asrdistill.data.archive import FrameArchive
    from asrdistill.hmm.align import check_alignment, transcripts
    from asrdistill.hmm.train import train_triphones
    from asrdistill.lang.lexicon import Lang

    lang = Lang.read(args.lang)
    archive = FrameArchive(args.features, kind="features")
    utterances = transcripts(archive, args.data, lang)
    check_alignment(args.alignment, archive, lang)
    work = (args.features, args.alignment, utterances, lang)
    inputs = (args.features, args.alignment, args.data, args.lang)
    make(args, lambda out: train_triphones(*work, out, args.options, args.jobs), inputs)
