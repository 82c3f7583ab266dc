"""``asrdistill pseudo-label``: transcripts by Whisper."""

from asrdistill.cli.command import DATA, JOBS, Args, Group, arg, make

group = Group("pseudo-label")
OUT = arg("out", help="data directory to make")


@group.command(DATA, OUT, JOBS, options="asrdistill.pseudo_label.options.PseudoLabelOptions", sets="data out")
def run(args: Args) -> None:
    """Transcribe a data directory by Whisper, with a confidence per utterance

    Utterances are at most 29 s long. OUT/pseudo_labels.tsv has, per utterance, the mean log-probability of the tokens,
    the no-speech probability and the compression ratio. A killed run resumes. Needs pip install 'asrdistill[whisper]'.

    Example:
      asrdistill pseudo-label run data/pieces data/labelled --whisper large-v3 --language fr
    """
    from asrdistill.data.directory import DataDirectory
    from asrdistill.encoders.whisper import model_folder
    from asrdistill.pseudo_label.run import make_pseudo_labels

    data = DataDirectory.read(args.data)
    model = model_folder(args.options.whisper)
    make(args, lambda out: make_pseudo_labels(data, out, args.options, args.jobs), args.data, model)


@group.command(
    arg("pseudo_labels", help="data directory from asrdistill pseudo-label run"),
    OUT,
    arg("--loop", nargs=2, metavar=("ALIGNMENT", "HYP"), help="compare with the output of a phone loop"),
    arg("--known", metavar="FILE", help="true transcripts: recording words …"),
    options="asrdistill.pseudo_label.options.FilterOptions",
    sets="pseudo_labels out loop",
)
def filter_(args: Args) -> None:
    """Keep utterances whose pseudo-labels can be trusted

    --loop drops utterances whose phones differ too much: ALIGNMENT is that of the transcripts, HYP what the same model
    decoded with asrdistill lang phone-loop. OUT/left_out.tsv lists the others with reasons. --known replaces the
    pseudo-label where a recording is one utterance.

    Example:
      asrdistill pseudo-label filter data/labelled data/kept --loop exp/ali exp/loop/hyp.txt
    """
    from asrdistill.pseudo_label.filter import filter_pseudo_labels

    alignment, hyp = args.loop or (None, None)
    hyp = hyp / "hyp.txt" if hyp and hyp.is_dir() else hyp
    work = (args.options, alignment, hyp, args.known)
    make(args, lambda out: filter_pseudo_labels(args.pseudo_labels, out, *work), args.pseudo_labels, *work[1:])
