"""The command line ``asrdistill GROUP COMMAND …``: finds the command, runs it, and reports errors in one sentence.

One module per group, imported only when that group is asked for; see :mod:`asrdistill.cli.command`. The commands
without a group stand in :mod:`asrdistill.cli.top`. Nothing imports this package.
"""

import importlib

from asrdistill import __version__
from asrdistill.cli.command import HELP, Command, Group, nearest, page, run
from asrdistill.errors import UserError

GROUPS = {
    "data": "data directories: download, prepare, segment, split, combine",
    "feats": "features: filterbanks, cepstra, fMLLR, encoder frames",
    "lang": "lexicons, G2P, language models, subwords",
    "gmm": "train GMM-HMMs, monophones to triphones with LDA and MLLT",
    "ali": "alignments: a senone per frame",
    "nnet": "train, evaluate and combine networks",
    "distill": "soft targets of a teacher; specialists' senone sets",
    "decode": "recognise words, tune the decoder, rescore lattices",
    "pseudo-label": "transcribe unlabelled audio by Whisper and filter the result",
    "convert": "import and export Kaldi, CTM, TextGrid, PHN, NumPy, ARPA",
}
OLD_NAMES = {  # of version 0.1, where the command itself is called something else now
    "align": "ali make",
    "bias": "nnet adjust --bias",
    "confidence": "decode calibrate",
    "confident": "pseudo-label filter",
    "copies": "ali expand",
    "cut": "data segment",
    "decode": "decode run",
    "export-alignment": "convert alignment --to",
    "export-features": "convert feats",
    "features": "feats fbank",
    "hear": "pseudo-label run",
    "hold-out": "data split",
    "import-alignment": "convert alignment --from",
    "import-features": "convert feats",
    "import-lm": "convert lm",
    "import-posteriors": "convert posteriors",
    "join": "feats paste",
    "lang": "lang build",
    "lang-counts": "lang pron-probs",
    "pareto": "report",
    "priors": "nnet adjust --priors",
    "report-phones": "report",
    "reproduction": "report",
    "slim": "nnet adjust --width",
    "soft-targets": "distill targets",
    "specialists": "distill cluster-senones",
    "specialists-ensemble": "nnet ensemble --generalist",
    "specialists-evaluate": "distill coverage",
    "train": "nnet train",
    "train-lda": "gmm tri --lda",
    "train-mono": "gmm mono",
    "train-tri": "gmm tri",
    "words": "data normalize-text",
}


def main(argv: list[str] | None = None) -> int:
    """Run a command line; returns the exit status: 0, 2 after a mistake, 130 after Ctrl-C, 141 after a broken pipe."""
    return run("asrdistill", find, argv)


def find(argv: list[str]) -> tuple[Command | str, list[str]]:
    """(command, its arguments), or (text to print, [] if it is printed because a command is missing)."""
    word, rest = (argv[0], argv[1:]) if argv else ("", [])
    if not argv or word in HELP:
        return overview(), argv
    if word == "--version":
        return __version__, argv
    top = load("top")
    if word in top.commands:
        return top.commands[word], rest
    if word not in GROUPS:
        raise UserError(_unknown(word))
    group = load(word)
    if rest and rest[0] not in (*group.commands, *HELP):
        raise UserError(_unknown_in(group, rest[0]))
    return group.find(rest, GROUPS[word])


def load(group: str) -> Group:
    """The commands of a group; those without a group are in "top"."""
    return importlib.import_module(f"asrdistill.cli.{group.replace('-', '_')}").group


def overview() -> str:
    """The help of ``asrdistill`` itself."""
    rows = [*GROUPS.items(), ("", ""), *((name, command.summary) for name, command in load("top").commands.items())]
    return page(
        "asrdistill GROUP COMMAND",
        "Distil big acoustic models, or ensembles of them, into small ones: from audio to a recogniser.",
        rows,
        "asrdistill GROUP lists the commands of a group, asrdistill GROUP COMMAND --help explains one.",
        "Most take --sets A B (PATH is then the parent of PATH/A, PATH/B) or --seeds 0 1 (MODEL stands for",
        "MODEL.0, MODEL.1), --jobs N and --config YAML. --version prints the version.",
    )


def _unknown(word: str) -> str:
    if word in OLD_NAMES:
        return f"'{word}' is now 'asrdistill {OLD_NAMES[word]}'"
    names = {name: [name] for name in [*GROUPS, *load("top").commands]}
    for group in GROUPS:
        for name in load(group).commands:
            names.setdefault(name, []).append(f"{group} {name}")
            names[f"{group}-{name}"] = [f"{group} {name}"]
    names |= {old: [new] for old, new in OLD_NAMES.items() if old not in names}
    near = nearest(word, names)
    hint = " or ".join(f"'asrdistill {name}'" for name in names[near]) if near else "'asrdistill --help' lists all"
    return f"no group or command '{word}'; {'did you mean ' + hint + '?' if near else hint}"


def _unknown_in(group: Group, word: str) -> str:
    old = OLD_NAMES.get(group.name) if word.startswith("-") or "/" in word else OLD_NAMES.get(word)
    near = nearest(word, group.commands)
    new = f"{group.name} {near}" if near else old
    hint = f"did you mean 'asrdistill {new}'?" if new else f"it has {', '.join(group.commands)}"
    return f"group '{group.name}' has no command '{word}'; {hint}"
