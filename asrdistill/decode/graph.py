"""The search graph: all that the search asks, compiled into arrays; and the folder that keeps it.

A graph folder is made as any stage's is: its marker holds the hash of what it was made from (lexicon,
language model, senones, and the code that compiles them), so that a stale one is made again. It holds

tree.*.npy, grammar.*.npy, look.*.npy, successors.*.npy   the arrays, one a file
words.txt                                                 the words, one a line
graph.json                                                numbers and warnings
sha256.json                                               the SHA-256 of each of these files

The arrays are mapped into memory, and worker processes are told the folder's name, so that all share them.
"""

import logging
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from asrdistill import stage
from asrdistill.decode.ctc import with_blanks
from asrdistill.decode.lm import Grammar, compile_grammar
from asrdistill.decode.lookahead import Successors, compile_look_ahead, compile_successors
from asrdistill.decode.search import LookAhead
from asrdistill.decode.tree import Tree, build_tree
from asrdistill.errors import UserError, shorten
from asrdistill.files import hash_of, read_json, sha256, write_json, write_text
from asrdistill.lang.lexicon import Lang
from asrdistill.lang.ngram import read_arpa

log = logging.getLogger("asrdistill")

PARTS: dict[str, Any] = {"tree": Tree, "grammar": Grammar, "look": LookAhead, "successors": Successors}
CODE = (
    "decode/graph",
    "decode/ctc",
    "decode/tree",
    "decode/lm",
    "decode/lookahead",
    "decode/search",
    "hmm/senones",
    "lang/ngram",
)


@dataclass(frozen=True)
class Graph:
    """`words` are those of the lexicon, to which the tree's leaves point; `senones` is how many there are."""

    words: list[str]
    senones: int
    pause: float  # ln P of silence where it may stand
    no_pause: float  # ln P of none
    tree: Tree
    grammar: Grammar
    look: LookAhead
    successors: Successors
    warnings: list[str]  # about words that lexicon or language model lack
    folder: Path | None = None  # that the arrays are mapped from

    def __reduce__(self) -> Any:
        return (_read, (self.folder,)) if self.folder else super().__reduce__()


def compile_graph(lang: Any, lm: Any, senones: Any) -> Graph:
    """Compile the graph in memory; words that the lexicon or the language model lacks are counted and named.

    `lang` is an :class:`asrdistill.lang.lexicon.Lang`, `lm` an :class:`asrdistill.lang.ngram.NGram`,
    `senones` an :class:`asrdistill.hmm.senones.Senones`. Raises UserError when they do not fit each other.
    """
    tokens = lm.levels[0].number
    warnings = _strangers(lang.words, tokens)
    for warning in warnings:
        log.warning(warning)
    grammar = compile_grammar(lm)
    tree = build_tree(lang, senones, _spoken(lang.words, tokens))
    silence = lang.silence_probability
    pauses = float(np.log(silence)), float(np.log1p(-silence))
    if senones.ctc:
        tree, pauses = with_blanks(tree), (0.0, 0.0)
    look, successors = compile_look_ahead(tree, grammar), compile_successors(tree, senones.count)
    return Graph(lang.words, senones.count, *pauses, tree, grammar, look, successors, warnings)


def keep_graph(folder: Path, lang: Path, lm: Path, senones: Any) -> Graph:
    """The graph of a lang folder and an ARPA file (or a folder with ``lm.arpa`` in it), kept in `folder`.

    It is made there when it is missing, damaged, or made from something else. Raises UserError when `folder`
    holds anything but a graph.
    """
    folder = Path(folder)
    if (verb := stage.marker(folder).get("verb", "graph")) != "graph":
        raise UserError(f"{folder} holds what asrdistill {verb} made; name another folder for the search graph")

    def work(out: Path) -> None:
        _write(compile_graph(Lang.read(lang), read_arpa(arpa_of(lm)), senones), out)

    package = Path(__file__).parents[1]
    made_from = {
        "senones": hash_of([senones.hash, np.asarray(senones.self_loop).tolist()]),
        "code": hash_of([sha256(package / f"{name}.py") for name in CODE]),
    }
    made = stage.make(folder, work, "graph", made_from, [lang, lm])
    if not made and not _is_whole(folder):
        log.warning("the search graph in %s is damaged; it is made again", folder)
        shutil.rmtree(folder)
        made = stage.make(folder, work, "graph", made_from, [lang, lm])
    graph = _read(folder)
    if not made:
        for warning in graph.warnings:
            log.warning(warning)
    return graph


def arpa_of(lm: Path) -> Path:
    """The ARPA file that a folder holds, or the file itself."""
    lm = Path(lm)
    return lm / "lm.arpa" if lm.is_dir() else lm


def _write(graph: Graph, folder: Path) -> None:
    numbers = {}
    for part in PARTS:
        for name, value in getattr(graph, part)._asdict().items():
            if isinstance(value, np.ndarray):
                np.save(folder / f"{part}.{name}.npy", value)
            else:
                numbers[f"{part}.{name}"] = int(value)
    write_text(folder / "words.txt", "".join(f"{word}\n" for word in graph.words))
    others = {name: getattr(graph, name) for name in ("senones", "pause", "no_pause", "warnings")}
    write_json(folder / "graph.json", {**others, "numbers": numbers})
    files = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    write_json(folder / "sha256.json", {path.name: sha256(path) for path in files})


def _is_whole(folder: Path) -> bool:
    """Whether the folder's files are as they were written."""
    try:
        return all(sha256(folder / name) == wanted for name, wanted in read_json(folder / "sha256.json").items())
    except (UserError, OSError, AttributeError):
        return False


def _read(folder: Path) -> Graph:
    """Map the arrays of a whole graph folder."""
    record = read_json(folder / "graph.json")
    numbers = record["numbers"]

    def load(name: str) -> Any:
        # copy-on-write: what numba compiled for writable arrays serves, and nothing is written
        return numbers[name] if name in numbers else np.asarray(np.load(folder / f"{name}.npy", mmap_mode="c"))

    parts = {part: kind(*(load(f"{part}.{name}") for name in kind._fields)) for part, kind in PARTS.items()}
    words = (folder / "words.txt").read_text(encoding="utf-8").split("\n")[:-1]
    others = {name: record[name] for name in ("senones", "pause", "no_pause", "warnings")}
    return Graph(words=words, folder=folder, **others, **parts)


def _spoken(words: list[str], tokens: dict[str, int]) -> dict[str, int]:
    """Token of each word that can be recognised: its own, or that of <unk>."""
    unknown = tokens.get("<unk>")
    named = {word: tokens.get(word, unknown) for word in words}
    spoken = {word: token for word, token in named.items() if token is not None}
    if not spoken:
        raise UserError("the lexicon and the language model have no word in common")
    return spoken


def _strangers(words: list[str], tokens: dict[str, int]) -> list[str]:
    """What is to be said about words that lexicon or language model lack."""
    warnings = []
    if silent := sorted(tokens.keys() - set(words) - {"<s>", "</s>", "<unk>"}):
        fate = "have no pronunciation and cannot be recognised"
        warnings.append(f"{len(silent)} words of the language model {fate}: {shorten(silent)}")
    if unseen := [word for word in words if word not in tokens]:
        fate = "<unk> to the language model"
        if "<unk>" not in tokens:
            fate = "unknown to the language model and cannot be recognised"
        warnings.append(f"{len(unseen)} words of the lexicon are {fate}: {shorten(unseen)}")
    return warnings
