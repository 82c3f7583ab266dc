"""``asrdistill nnet``: networks."""

from pathlib import Path

from asrdistill.cli.command import (
    ALIGNMENT,
    COMPUTE,
    FEATURES,
    JOBS,
    LEFT_OUT,
    MODEL,
    Args,
    Group,
    arg,
    compute_of,
    count,
    listed,
    make,
)
from asrdistill.distill.options import SOFTMAXES
from asrdistill.errors import UserError
from asrdistill.models.options import COMBINATIONS

group = Group("nnet")
OUT = arg("out", help="model folder to make")
PAIR = {"nargs": 2, "metavar": ("FEATURES", "ALIGNMENT")}


@group.command(
    FEATURES,
    ALIGNMENT,
    OUT,
    arg("--soft-targets", metavar="STORE", help="train a student: learn from these soft targets too"),
    arg("--teacher", metavar="MODEL", help="train a student: run this model on each batch, instead of --soft-targets"),
    arg("--teacher-features", metavar="FEATURES", help="for members of --teacher that read other features"),
    arg("--from", dest="start", metavar="MODEL", help="start from this network's form and weights"),
    arg("--held-out", **PAIR, help="report frame accuracy on these each epoch"),
    arg("--specialist", type=str, nargs=2, metavar=("SETS", "K"), help="train the specialist of senone set K"),
    arg(
        "--softmax", choices=SOFTMAXES, help="of a specialist: its senones and a dustbin (default), these alone, or all"
    ),
    arg("--jobs", type=count, default=1, metavar="N", help="with --seeds: networks trained at a time (default: 1)"),
    options="asrdistill.training.options.TrainOptions",
    seeds="out",
    apart=True,
)
def train(args: Args) -> None:
    """Train a network: a teacher or baseline on an alignment, a student on soft targets too

    A student's loss is T² · CE(soft targets, T) + hard-weight · CE(alignment). With --teacher the soft targets are of
    the very frames and masks that the student learns from. --unlabelled also takes utterances that have no alignment:
    all of STORE, or with --teacher of FEATURES. A specialist (--specialist, with --from its generalist) learns the
    senones of its set and a dustbin; half of each batch are frames of its set. --softmax own drops the dustbin,
    --softmax full keeps all senones and needs the generalist's soft targets.

    --loss mmi learns the phones of whole chunks (LF-MMI) from the alignment alone; decoding then needs no priors.

    Run a killed training again: it resumes from its last checkpoint and ends with the same bytes. torchrun
    --nproc-per-node 8 -m asrdistill nnet train … divides each batch among GPUs.

    Example:
      asrdistill nnet train fbank/train exp/ali/train exp/teacher --seeds 0 1 2 --config conf/teacher.yaml
    """
    from asrdistill.config import hash_fields
    from asrdistill.distill.train import train_model
    from asrdistill.training import distributed

    special = _special(args)
    data = (args.features, args.alignment, args.soft_targets, args.held_out)
    which = {"specialist": special[1], "softmax": special[2]} if special else {}
    distributed.make(
        args.out,
        lambda out: train_model(*data, args.options, out, args.start, special, args.teacher, args.teacher_features),
        args.command,
        {**hash_fields(args.options), **which},
        listed(*data, args.start, args.teacher, args.teacher_features, special and special[0]),
    )


def _special(args: Args) -> tuple[Path, int, str] | None:
    """The sets, which of them, and its softmax; raises UserError for what does not go together."""
    if not args.specialist:
        if args.softmax:
            raise UserError("--softmax is for a specialist; say which with --specialist SETS K")
        return None
    sets, number = args.specialist
    if not number.isdecimal():
        raise UserError(f"the set of a specialist is a number, not '{number}'")
    if not args.start:
        raise UserError("a specialist starts from its generalist; name it with --from MODEL")
    if (args.softmax == "full") != bool(args.soft_targets):
        raise UserError("a specialist's --softmax full and the generalist's --soft-targets go together; give both")
    return Path(sets), int(number), args.softmax or SOFTMAXES[0]


@group.command(
    arg("model", help="model folder of a network or an ensemble"),
    FEATURES,
    ALIGNMENT,
    arg("out", help="folder to make, with frames.json"),
    LEFT_OUT,
    *COMPUTE,
    JOBS,
    sets="features alignment out",
    seeds="model out",
    apart=True,
)
def evaluate(args: Args) -> None:
    """Measure frame accuracy and cross-entropy against an alignment

    Example:
      asrdistill nnet evaluate exp/student fbank exp/ali exp/frames/student --sets dev test --seeds 0 1
    """
    from asrdistill.scoring.frames import evaluate

    inputs = (args.model, args.features, args.alignment)
    compute = compute_of(args)
    make(args, lambda out: evaluate(*inputs, out, args.jobs, compute), inputs)


@group.command(
    arg("members", nargs="+", help="model folders over the same senones; with --generalist, its specialists"),
    arg("out", help="ensemble folder to make"),
    arg("--combine", choices=COMBINATIONS, default="arithmetic", help="mean of the posteriors (default: %(default)s)"),
    arg("--weights-on", **PAIR, help="weight the members by least cross-entropy there (default: equal)"),
    arg(
        "--gmm", type=str, nargs=2, metavar=("GMM", "SCALE"), help="multiply in a GMM's likelihoods to the power SCALE"
    ),
    arg("--generalist", metavar="MODEL", help="combine a generalist and its specialists"),
    arg(
        "--active", type=count, metavar="N", help="best senones of the generalist that choose specialists (default: 3)"
    ),
    *COMPUTE,
    JOBS,
)
def ensemble(args: Args) -> None:
    """Combine networks into an ensemble folder that acts as one model

    Members with different features take what asrdistill feats paste puts side by side, with --weights-on. SCALE is
    chosen on a development set (0.1 to 0.4). With --generalist, a frame's distribution has the least sum of
    Kullback-Leibler divergences from the generalist's and the active specialists' (Hinton et al. 2015, section 5).

    Example:
      asrdistill nnet ensemble exp/teacher.0 exp/teacher.1 exp/teacher.2 exp/ensemble
    """
    from asrdistill.data.archive import FrameArchive
    from asrdistill.distill.weights import choose_weights
    from asrdistill.models.io import save_ensemble, save_specialists

    if args.generalist:
        if args.weights_on or args.gmm or args.combine != "arithmetic":
            raise UserError("--generalist combines by itself; leave out --combine, --gmm and --weights-on")
        active = args.active or 3
        work = (args.generalist, args.members, active)
        make(args, lambda out: save_specialists(out, *work), args.generalist, args.members, options={"active": active})
        return
    if args.active:
        raise UserError("--active is for specialists; name their generalist with --generalist")
    if args.weights_on and (args.gmm or args.combine != "arithmetic"):
        raise UserError("--weights-on is for the arithmetic mean; leave out --combine and --gmm")
    gmm, scale = (Path(args.gmm[0]), _scale(args.gmm[1])) if args.gmm else (None, 0.0)

    def save(out: Path) -> None:
        if not args.weights_on:
            save_ensemble(out, args.members, args.combine, gmm, scale)
            return
        features_at, alignment = args.weights_on
        weights = choose_weights(args.members, features_at, alignment, args.jobs, compute_of(args))
        features = FrameArchive(features_at, "features").meta["features"]
        save_ensemble(out, args.members, args.combine, features=features, weights=weights)

    options = {"combine": args.combine, **({"scale": scale} if gmm else {})}
    make(args, save, args.members, gmm, args.weights_on, options=options)


def _scale(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UserError(f"the scale of a GMM's log-likelihoods is a number, not '{text}'") from None


@group.command(
    MODEL,
    OUT,
    arg("--priors", metavar="FEATURES", help="set the priors to the mean posterior over these features"),
    arg("--width", type=float, metavar="W", help="take out the network of this width (nnet train --widths)"),
    arg("--bias", **PAIR, help="add to the logits of --phones what makes most frames right there"),
    arg("--phones", type=str, nargs="+", metavar="PHONE", help="with --bias: whose senones get it"),
    *COMPUTE,
    JOBS,
    seeds="model out",
    apart=True,
)
def adjust(args: Args) -> None:
    """Copy a network with other priors, one of its widths, or a bias on some phones

    Give one of --priors, --width and --bias. Priors of nnet train are the senones' frequencies in the alignment.

    Example:
      asrdistill nnet adjust exp/student.0 exp/student_mean.0 --priors fbank/train
    """
    from asrdistill.models.adjust import adjust_bias, adjust_priors, extract_width

    if sum(value is not None for value in (args.priors, args.width, args.bias)) != 1:
        raise UserError("give one of --priors, --width and --bias")
    if bool(args.bias) != bool(args.phones):
        raise UserError("--bias and --phones go together; give both")
    compute = compute_of(args)
    if args.priors:
        make(args, lambda out: adjust_priors(args.model, args.priors, out, args.jobs, compute), args.model, args.priors)
    elif args.width is not None:
        make(args, lambda out: extract_width(args.model, args.width, out), args.model, options={"width": args.width})
    else:
        features, alignment = args.bias
        work = (args.model, features, alignment)
        options = {"phones": args.phones}
        make(args, lambda out: adjust_bias(*work, out, args.phones, args.jobs, compute), work, options=options)
