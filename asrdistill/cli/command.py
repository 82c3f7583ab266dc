"""How a command is declared, parsed and run.

    group = Group("feats")

    @group.command(FBANK, DATA, OUT, JOBS, options="asrdistill.features.cepstra.CepstraOptions", sets="fbank data out")
    def cepstra(args):
        '''What it makes from what (the line in the group's help).

        More, and an example: this docstring is the command's help.
        '''

`args` has the arguments, `options` (an instance of the dataclass) and `command` ("feats cepstra").
"""

import argparse
import contextlib
import contextvars
import difflib
import importlib
import inspect
import io
import os
import sys
import textwrap
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from asrdistill.errors import MOST_LEFT_OUT, UserError, training_packages

HELP = ("-h", "--help")
Args = argparse.Namespace
Argument = tuple[tuple[str, ...], dict[str, Any]]  # of add_argument


def arg(*names: str, **settings: Any) -> Argument:
    """An argument; a path, unless a type, choices or an action says otherwise."""
    if settings.keys().isdisjoint(("type", "choices", "action")):
        settings["type"] = Path
    return names, settings


def flag(name: str, help: str) -> Argument:
    return arg(name, action="store_true", help=help)


def count(text: str) -> int:
    """The value of an option that counts something."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number above 0, not '{text}'")
    return int(text)


ALIGNMENT = arg("alignment", help="alignment of the utterances of FEATURES")
COMPUTE = (
    arg(
        "--device",
        type=str,
        default="auto",
        metavar="D",
        help="auto, cpu, cuda or cuda:N; auto takes a GPU if there is one, and processes take turns among several "
        "(default: %(default)s)",
    ),
    arg(
        "--precision",
        choices=("float32", "bfloat16"),
        default="float32",
        help="of matrix products (default: %(default)s)",
    ),
)
DATA = arg("data", help="data directory")
EXECUTOR = arg(
    "--executor",
    type=str,
    default=os.environ.get("ASRDISTILL_EXECUTOR", "processes"),
    metavar="E",
    help="what runs the work per utterance: processes, or a Ray cluster: ray, ray:auto or ray:ADDRESS, on all its "
    "processors (default: $ASRDISTILL_EXECUTOR, or processes)",
)
FEATURES = arg("features", help="feature archive")
GRAPH = arg("--graph", metavar="FOLDER", help="keep the compiled search graph there for the next call")
JOBS = arg("--jobs", type=count, metavar="N", help="processes (default: one per processor)")
LANG = arg("lang", help="lang folder: phones and lexicon")
LEFT_OUT = arg(
    "--max-left-out",
    type=float,
    default=5.0,
    metavar="X",
    help="percent of the utterances that may be missing or damaged, and are left out (default: %(default)g)",
)
LM = arg("lm", help="folder with lm.arpa, or an ARPA file")
MODEL = arg("model", help="model folder")
PIPES = flag("--pipes", "run the shell commands in wav.scp")
SCORER = arg("model", help="model folder (GMM, network or ensemble), or archive of log-likelihoods")


class Formatter(argparse.RawDescriptionHelpFormatter):
    """Fills the paragraphs of a docstring, but leaves tables and examples as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        parts = (part if "  " in part else textwrap.fill(part, width) for part in text.split("\n\n"))
        return "\n\n".join(parts)


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence, and names the nearest option."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message[0].lower()}{message[1:]}; see --help")

    def parse(self, words: list[str]) -> Args:
        for word in words[: words.index("--")] if "--" in words else words:
            name = word.split("=")[0]
            if word.startswith("--") and name not in self._option_string_actions:
                near = nearest(name, self._option_string_actions)
                raise UserError(f"no option '{name}'; {f'did you mean {near!r}?' if near else 'see --help'}")
        return self.parse_args(words)


def nearest(word: str, words: Iterable[str]) -> str:
    """The word that is spelled most alike, or "" if none is."""
    return next(iter(difflib.get_close_matches(word, list(words), 1, 0.6)), "")


def program(name: str) -> str:
    """What a user types: a script's name, or asrdistill and the name."""
    return name if ".py" in name else f"asrdistill {name}"


def page(usage: str, about: str, rows: Iterable[tuple[str, str]], *ending: str) -> str:
    """The help of a group: (command, summary) in each row."""
    rows = list(rows)
    width = 2 + max(len(name) for name, _ in rows)
    table = (f"  {name:{width}}{summary}".rstrip() for name, summary in rows)
    return "\n".join([f"usage: {usage} …", "", about, "", *table, "", *ending])


@dataclass(frozen=True)
class Command:
    """A command; it makes one run for each seed and set. `sets` and `seeds` name the arguments that these change.

    `apart`: runs go side by side, each with its share of the --jobs processes (a thread counts as one), instead of one
    after the other.
    `joint`: the function gets the list of all runs.
    """

    name: str
    function: Callable[..., None]
    arguments: tuple[Argument, ...]
    options: str = ""  # the dataclass of its options: module.Class
    sets: tuple[str, ...] = ()
    seeds: tuple[str, ...] = ()
    apart: bool = False
    joint: bool = False
    usage: str | None = None

    @property
    def description(self) -> str:
        return inspect.getdoc(self.function) or ""

    @property
    def summary(self) -> str:
        return self.description.split("\n")[0].rstrip(".")

    def options_class(self) -> type | None:
        module, _, name = self.options.rpartition(".")
        return getattr(importlib.import_module(module), name) if name else None

    def parser(self) -> Parser:
        places = [_place(names[0], **settings) for names, settings in self.arguments if names[0][0] != "-"]
        prog = program(self.name)
        usage = self.usage or " ".join([prog, "[options]", *places])
        parser = Parser(prog, usage, self.description, formatter_class=Formatter, allow_abbrev=False)
        for names, settings in self.arguments:
            shown = {} if names[0][0] == "-" else {"metavar": names[0].upper().replace("_", "-")}
            parser.add_argument(*names, **{**shown, **settings})
        if JOBS in self.arguments or self.apart:
            parser.add_argument(*EXECUTOR[0], **EXECUTOR[1])
        if self.sets:
            paths = " ".join(f"{name}/SET" for name in map(str.upper, self.sets)).replace("_", "-")
            parser.add_argument("--sets", nargs="+", metavar="SET", help=f"take {paths} of each of these sets")
        if self.seeds:
            paths = " ".join(f"{name}.N" for name in map(str.upper, self.seeds))
            parser.add_argument(
                "--seeds", nargs="+", type=int, metavar="N", help=f"take {paths} of each of these seeds"
            )
        if cls := self.options_class():
            from asrdistill.config import add_options

            add_options(parser, cls)
        return parser

    def parse(self, words: list[str]) -> list[Args]:
        """The arguments of each run; raises UserError for what cannot be."""
        args = self.parser().parse(words)
        args.command = self.name
        if JOBS in self.arguments and args.jobs is None:
            from asrdistill.parallel import default_jobs

            args.jobs = default_jobs()
        seeds, sets = args.seeds if self.seeds else None, args.sets if self.sets else None
        for name, values in (("--seeds", seeds), ("--sets", sets)):
            if values and len(set(values)) < len(values):
                raise UserError(f"{name} names one of {' '.join(map(str, values))} twice; give it once")
        if seeds and getattr(args, "seed", None) is not None:
            raise UserError("--seed and --seeds exclude each other; give one of them")
        runs = [self._run(args, seed, name) for seed in seeds or [None] for name in sets or [""]]
        if cls := self.options_class():
            from asrdistill.config import resolve

            for run in runs:
                run.options = resolve(cls, run)
        return runs

    def _run(self, args: Args, seed: int | None, name: str) -> Args:
        """The arguments of one seed and set: MODEL.SEED, then PATH/SET. Raises UserError for a missing input."""
        run = argparse.Namespace(**vars(args))
        if seed is not None:
            run.seed = seed
            for key in self.seeds:
                setattr(run, key, Path(f"{getattr(run, key)}.{seed}"))
        for key in self.sets if name else ():
            paths = getattr(run, key)
            setattr(run, key, [path / name for path in paths] if isinstance(paths, list) else paths and paths / name)
        changed = {*(self.seeds if seed is not None else ()), *(self.sets if name else ())} - {"out"}
        for path in listed(*(getattr(run, key) for key in sorted(changed))):
            if not path.exists():
                raise UserError(f"{path} does not exist; check {'--sets' if name else '--seeds'}, or make it first")
        return run

    def run(self, words: list[str]) -> None:
        try:
            runs = self.parse(words)
        except SystemExit:  # --help
            return
        log_to_stderr()
        threads = max(getattr(vars(each).get("options"), "threads", 1) for each in runs)
        alone = not self.apart or "WORLD_SIZE" in os.environ
        on_cluster = _executor(runs[0]) != "processes"
        side_by_side = 1 if alone else len(runs) if on_cluster else runs[0].jobs // threads
        if (apart := min(side_by_side, len(runs))) > 1:
            from asrdistill.parallel import map_utterances

            for each in runs:
                each.jobs = max(1, each.jobs // apart)
            work = partial(_call, self.function)
            for _ in map_utterances(work, runs, apart, self.name, unit="runs", spawn=threads > 1):
                pass
            return
        for given in [runs] if self.joint else runs:
            _call(self.function, given)


def _place(name: str, metavar: str = "", nargs: str = "", **_: Any) -> str:
    """A positional argument as the usage shows it: FEATURES, MEMBERS…, [DATA…]"""
    shown = metavar or name.upper().replace("_", "-")
    return {"+": f"{shown}…", "*": f"[{shown}…]"}.get(nargs, shown)


def _executor(args: Args) -> str:
    """Choose the engine of :mod:`asrdistill.parallel`; in a cluster's own processes it is always processes."""
    executor = getattr(args, "executor", "processes")
    if executor != "processes":
        from asrdistill import parallel

        if executor.partition(":")[0] != "ray":
            raise UserError(f"no executor '{executor}'; say processes, ray, ray:auto or ray:ADDRESS")
        parallel.EXECUTOR.set(executor)
    return executor


def _call(function: Callable[..., None], args: Any) -> None:
    """A run, or a list of runs, maybe in a worker process; --max-left-out is an argument or an option."""
    log_to_stderr()
    first = args[0] if isinstance(args, list) else args
    limits = [getattr(each, "max_left_out", None) for each in (first, vars(first).get("options"))]
    MOST_LEFT_OUT.set(next((limit for limit in limits[::-1] if limit is not None), MOST_LEFT_OUT.get()))
    function(args)


@dataclass(frozen=True)
class Group:
    """Commands by name: one of asrdistill's groups, or a script that calls :meth:`main` (its name ends in .py).

    A command that is declared with the function `_` is a script's only one, and is called without a name.
    """

    name: str
    about: str = ""
    commands: dict[str, Command] = field(default_factory=dict)

    def main(self, argv: list[str] | None = None) -> int:
        """Run a script's command line; returns the exit status."""
        return run(self.name, self.find, argv)

    def find(self, words: list[str], title: str = "") -> tuple[Command | str, list[str]]:
        """(command, its arguments), or (text to print, [] if it is printed because a command is missing)."""
        if "" in self.commands:
            return self.commands[""], words
        if not words or words[0] in HELP:
            return self.help(title), words
        if words[0] not in self.commands:
            raise UserError(f"no command '{words[0]}'; the commands are {', '.join(self.commands)}")
        return self.commands[words[0]], words[1:]

    def command(
        self, *arguments: Argument, sets: str = "", seeds: str = "", **settings: Any
    ) -> Callable[[Callable[..., None]], Callable[..., None]]:
        """Declare the decorated function as a command; normalize_text becomes normalize-text. See :class:`Command`."""

        def declare(function: Callable[..., None]) -> Callable[..., None]:
            name = function.__name__.strip("_").replace("_", "-")
            full, split = f"{self.name} {name}".strip(), (tuple(sets.split()), tuple(seeds.split()))
            self.commands[name] = Command(full, function, arguments, settings.pop("options", ""), *split, **settings)
            return function

        return declare

    def help(self, title: str) -> str:
        usage = f"{program(self.name)} COMMAND"
        about = f"{title[0].upper()}{title[1:]}." if title else self.about.strip()
        rows = ((name, command.summary) for name, command in self.commands.items())
        return page(usage, about, rows, f"{usage} --help shows what a command takes, and an example.")


def run(name: str, find: Callable[[list[str]], tuple[Command | str, list[str]]], argv: list[str] | None = None) -> int:
    """Find a command and run it; returns the exit status. `name` stands before errors until the command is known."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")  # as in files, whatever the locale
    try:
        found, rest = find(sys.argv[1:] if argv is None else argv)
        if isinstance(found, str):
            print(found, file=sys.stdout if rest else sys.stderr)
            return 0 if rest else 2
        name = program(found.name)
        with training_packages("this command"):
            contextvars.copy_context().run(found.run, rest)
        sys.stdout.flush()  # a full disk is an error, not a remark at the end of the process
    except UserError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except (OSError, MemoryError) as error:  # a full disk, a folder that cannot be written, …
        parts = (getattr(error, "strerror", None) or str(error) or "out of memory", getattr(error, "filename", None))
        print(f"{name}: {': '.join(str(part) for part in parts if part)}; make room or check the path", file=sys.stderr)
        with contextlib.suppress(OSError):
            sys.stdout.close()  # what could not be written
        return 2
    except KeyboardInterrupt:
        print(f"{name}: interrupted; run the same command again to continue", file=sys.stderr)
        return 130
    return 0


def log_to_stderr() -> None:
    import logging

    logging.raiseExceptions = False  # a log on a full disk brings no tracebacks
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("asrdistill").setLevel(logging.INFO)


def listed(*paths: Any) -> list[Path]:
    """The paths in one list: None is left out, lists and tuples are taken apart."""
    flat = (listed(*each) if isinstance(each, list | tuple) else [each] for each in paths)
    return [path for part in flat for path in part if path]


def compute_of(args: Args) -> Any:
    """What the arguments COMPUTE say; raises UserError for a device that is not there."""
    from asrdistill.models.inference import Compute

    compute = Compute(args.device, args.precision)
    if not compute.is_plain():
        from asrdistill.models.device import choose_device

        choose_device(args.device)
    return compute


def make(args: Args, work: Callable[[Path], object], *inputs: Any, options: Any = None) -> None:
    """Make ``args.out`` by ``work(folder)`` unless it is up to date: see :func:`asrdistill.stage.make`.

    `inputs` are what it is made from: paths, lists of paths, or None for what was not given. `options` are those of
    the command, unless others decide the result.
    """
    from asrdistill import parallel, stage

    parallel.single_thread()  # the same bytes on any number of processors; training has its own --threads
    settings = getattr(args, "options", {}) if options is None else options
    stage.make(args.out, work, args.command, settings, listed(*inputs))
