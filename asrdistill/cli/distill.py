"""``asrdistill distill``: what teachers and generalists give to students and specialists."""

from pathlib import Path

from asrdistill.cli.command import COMPUTE, FEATURES, JOBS, LEFT_OUT, Args, Group, arg, compute_of, make

group = Group("distill")


@group.command(
    arg("teacher", help="network, ensemble, or archive from asrdistill convert posteriors"),
    FEATURES,
    arg("out", help="soft-target store to make"),
    arg("--map", metavar="ALIGNMENT", help="map the teacher's units to the senones of this alignment"),
    arg("--unseen", nargs="+", default=[], metavar="ALIGNMENT", help="train alignment of each member, in their order"),
    LEFT_OUT,
    *COMPUTE,
    JOBS,
    options="asrdistill.distill.options.StoreOptions",
)
def targets(args: Args) -> None:
    """Store a teacher's soft targets: top-k posteriors and the mass of the rest

    --map shares each unit of a foreign teacher out among the senones aligned where it is probable. With --unseen, of
    each utterance only the members contribute that were not trained on it (all, if every one was).

    Example:
      asrdistill distill targets exp/ensemble fbank/train exp/targets --keep 20 --temperatures 1 2
    """
    from asrdistill.distill.store import make_store
    from asrdistill.distill.teacher import cooccurrence

    how = (args.jobs, compute_of(args))

    def store(out: Path) -> None:
        mapping = cooccurrence(args.teacher, args.features, args.map, *how) if args.map else None
        make_store(args.teacher, args.features, out, args.options, args.jobs, mapping, args.unseen, how[1])

    make(args, store, args.teacher, args.features, args.map, args.unseen)


@group.command(
    arg("generalist", help="model folder"),
    FEATURES,
    arg("out", help="folder to make, with sets.json"),
    *COMPUTE,
    JOBS,
    options="asrdistill.distill.options.ClusterOptions",
)
def cluster_senones(args: Args) -> None:
    """Choose the senone sets of specialists: senones that a generalist confuses

    On-line K-means on the covariance of the generalist's posteriors (Hinton, Vinyals and Dean 2015, section 5). Sets
    may overlap; asrdistill info shows them.

    Example:
      asrdistill distill cluster-senones exp/teacher.0 fbank/train exp/sets --clusters 15 --size 80
    """
    from asrdistill.data.archive import FrameArchive
    from asrdistill.distill.cluster import cluster_senones

    features, work = FrameArchive(args.features, "features"), (args.options, args.jobs, compute_of(args))
    inputs = (args.generalist, args.features)
    make(args, lambda out: cluster_senones(args.generalist, features, out, *work), inputs)


@group.command(
    arg("model", help="folder of a generalist with specialists"),
    arg("out", help="folder to make"),
    arg(
        "--on",
        nargs=2,
        action="append",
        required=True,
        metavar=("FEATURES", "ALIGNMENT"),
        help="measure here; repeat it to pool several",
    ),
    arg("--against", nargs="+", default=[], metavar="MODEL", help="model folders to measure as well"),
    *COMPUTE,
    JOBS,
)
def coverage(args: Args) -> None:
    """Measure what specialists add, by the number that cover a frame's senone

    specialists.json and specialists.md: frame accuracy; accuracy among the senones of each set (the paper's Table 3);
    accuracy by the number of covering specialists (Table 4).

    Example:
      asrdistill distill coverage exp/specialists exp/coverage --on fbank/test exp/ali/test --against exp/ensemble
    """
    from asrdistill.results.coverage import measure

    pairs = [[Path(path) for path in pair] for pair in args.on]
    inputs = (args.model, args.against, *pairs)
    how = (args.jobs, compute_of(args))
    make(args, lambda out: measure(args.model, args.against, pairs, out, *how), inputs)
