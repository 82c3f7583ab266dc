"""Search graph: everything the search needs, compiled into arrays, and the folder that caches it.

    tree.*.npy, grammar.*.npy, look.*.npy, successors.*.npy   arrays, memory-mapped, so that processes share them
    words.txt, graph.json                                     words; numbers and warnings
    sha256.json                                               hash of each file

The folder's marker has the hash of lexicon, language model, senones and code; a stale folder is compiled again.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from asrdistill import stage
from asrdistill.decode.bounds import check_bounds
from asrdistill.decode.ctc import with_blanks
from asrdistill.decode.lm import Grammar, compile_grammar
from asrdistill.decode.lookahead import (
    NO_WORDS,
    AddedLook,
    LmLookahead,
    Successors,
    compile_lm_lookahead,
    compile_successors,
)
from asrdistill.decode.tree import SILENCE, Tree, build_tree
from asrdistill.errors import UserError, shorten
from asrdistill.files import hash_of, sha256, write_json, write_text
from asrdistill.lang.lexicon import Lang, is_prefix
from asrdistill.lang.ngram import read_arpa
from asrdistill.reader import read_array, read_json, read_lines, reading

log = logging.getLogger("asrdistill")

NUMBERS = ("senones", "subsampling", "pause", "no_pause", "warnings", "unspoken")  # of a graph, in graph.json
PARTS: dict[str, Any] = {"tree": Tree, "grammar": Grammar, "look": LmLookahead, "successors": Successors}
CODE = [f"decode/{name}.py" for name in ("graph", "ctc", "tree", "lm", "lookahead")]
CODE += ["core/lookahead.c", "hmm/senones.py", "lang/lexicon.py", "lang/ngram.py"]  # what determines a graph


@dataclass(frozen=True)
class SearchGraph:
    """`words` are the lexicon's, indexed by the tree's leaves; `senones` is their number."""

    words: list[str]
    senones: int
    subsampling: int  # feature frames from one frame of the search to the next
    pause: float  # ln P of silence where it may stand
    no_pause: float  # ln P of none
    tree: Tree
    grammar: Grammar
    look: LmLookahead
    successors: Successors
    warnings: list[str]  # about words that lexicon or language model lack
    unspoken: dict[str, int]  # tokens of the language model that the lexicon lacks, <unk> among them
    added: AddedLook = NO_WORDS  # look-ahead of words that were added (asrdistill.decode.extend)
    folder: Path | None = None  # from which the arrays are mapped

    @cached_property
    def number(self) -> dict[str, int]:
        """word -> its index in `words`"""
        return {word: index for index, word in enumerate(self.words)}

    def __reduce__(self) -> Any:
        return (_read, (self.folder,)) if self.folder else super().__reduce__()


def compile_graph(lang: Any, lm: Any, senones: Any) -> SearchGraph:
    """Compile the graph in memory; words that the lexicon or the language model lacks are counted and named.

    `lang` is an :class:`asrdistill.lang.lexicon.Lang`, `lm` an :class:`asrdistill.lang.ngram.NGram`,
    `senones` an :class:`asrdistill.hmm.senones.Senones`. Raises UserError when they do not fit each other.
    """
    tokens = lm.levels[0].number
    warnings = _oov_warnings(lang.words, tokens)
    for warning in warnings:
        log.warning(warning)
    return assemble(lang, compile_grammar(lm), tokens, senones, warnings)


def assemble(lang: Any, grammar: Grammar, tokens: dict[str, int], senones: Any, warnings: list[str]) -> SearchGraph:
    """The graph of a compiled language model, whose tokens are `tokens`."""
    tree = build_tree(lang, senones, _spoken(lang.words, tokens))
    silence = lang.silence_probability
    pauses = float(np.log(silence)), float(np.log1p(-silence))
    if senones.ctc:
        tree, pauses = with_blanks(tree), (0.0, 0.0)
    tree = _without_price(tree, lang.words, pauses[1])
    look, successors = compile_lm_lookahead(tree, grammar), compile_successors(tree, senones.count)
    numbers = senones.count, senones.subsampling, *pauses
    unspoken = {word: token for word, token in tokens.items() if word not in lang.pronunciations}
    return SearchGraph(lang.words, *numbers, tree, grammar, look, successors, warnings, unspoken)


def _without_price(tree: Tree, words: list[str], no_pause: float) -> Tree:
    """Remove the cost of no silence from word pieces that do not end their word: no silence can follow."""
    leaf = tree.leaf.copy()
    held = np.array([is_prefix(word) for word in words])[leaf["word"]] & (leaf["word"] != SILENCE)
    leaf["logprob"][held] -= no_pause
    return tree._replace(leaf=leaf)


def keep_graph(folder: Path, lang: Path, lm: Path, senones: Any) -> SearchGraph:
    """The graph of a lang folder and an ARPA file (or a folder with ``lm.arpa`` in it), kept in `folder`.

    It is made there when it is missing, damaged, or made from something else. Raises UserError when `folder`
    holds anything but a graph.
    """

    def work(out: Path) -> None:
        graph = compile_graph(Lang.read(lang), read_arpa(arpa_of(lm)), senones)
        others = {name: getattr(graph, name) for name in NUMBERS}
        _write(out, {part: getattr(graph, part) for part in PARTS}, graph.words, others)

    made_from = {"senones": hash_of([senones.hash, np.asarray(senones.self_loop).tolist()]), "code": _code()}
    made = _keep(folder, work, "graph", made_from, [lang, lm])
    graph = _read(folder)
    if not made:
        for warning in graph.warnings:
            log.warning(warning)
    return graph


@contextmanager
def graph_folder(kept: Path | None, out: Path) -> Iterator[Path]:
    """The folder for the search graph, by default a temporary one beside `out`.

    It is kept after an error: worker processes may still read it.
    """
    passing = out.with_name(f".{out.name}.graph")
    yield kept or passing
    stage.remove(passing)


def keep_grammar(folder: Path, lm: Path) -> None:
    """Compile the n-gram model of an ARPA file alone into `folder`, and keep it there as a graph is."""

    def work(out: Path) -> None:
        model = read_arpa(arpa_of(lm))
        _write(out, {"grammar": compile_grammar(model)}, model.symbols, {})

    _keep(folder, work, "grammar", {"code": _code()}, [lm])


def read_grammar(folder: Path) -> tuple[Grammar, dict[str, int]]:
    """(the n-gram model that :func:`keep_grammar` left in `folder`, mapped into memory; word -> its token)"""
    parts, words, _ = _load(folder, {"grammar": Grammar})
    return parts["grammar"], {word: token for token, word in enumerate(words)}


def _code() -> str:
    package = Path(__file__).parents[1]
    return hash_of([sha256(package / name) for name in CODE])


def _keep(folder: Path, work: Callable[[Path], None], kind: str, made_from: dict[str, Any], inputs: list[Path]) -> bool:
    """Make the folder by `work` unless it is up to date and undamaged; returns whether it was made."""
    folder = Path(folder)
    if (verb := stage.marker(folder).get("verb", kind)) != kind:
        raise UserError(f"{folder} holds what asrdistill {verb} made; name another folder for the search graph")
    if stage.make(folder, work, kind, made_from, inputs):
        return True
    if _is_whole(folder):
        return False
    log.warning("the search graph in %s is damaged; it is made again", folder)
    try:
        stage.remove(folder)
    except OSError as error:
        raise stage.UnwritableError(f"{folder} could not be made again ({error.strerror})") from None
    return stage.make(folder, work, kind, made_from, inputs)


def arpa_of(lm: Path) -> Path:
    """The ARPA file that a folder holds, or the file itself."""
    lm = Path(lm)
    return lm / "lm.arpa" if lm.is_dir() else lm


def _write(folder: Path, parts: dict[str, Any], words: list[str], others: dict[str, Any]) -> None:
    stage.empty(folder)
    numbers = {}
    for part, fields in parts.items():
        for name, value in fields._asdict().items():
            if isinstance(value, np.ndarray):
                np.save(folder / f"{part}.{name}.npy", value)
            else:
                numbers[f"{part}.{name}"] = int(value)
    write_text(folder / "words.txt", "".join(f"{word}\n" for word in words))
    write_json(folder / "graph.json", {**others, "numbers": numbers})
    files = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    write_json(folder / "sha256.json", {path.name: sha256(path) for path in files})


def _is_whole(folder: Path) -> bool:
    """Whether the files are as they were written: they are hashed once, and later known by their sizes and times.

    Other content would be a wrong result, not an unsafe one: :func:`_load` checks all arrays each time.
    """
    known = folder / ".whole"
    try:
        hashes = read_json(folder / "sha256.json")
        found = [(folder / name).stat() for name in sorted(hashes)]
        state = hash_of([hashes, *([stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns] for stat in found)])
        if known.is_file() and known.read_text() == state:
            return True
        if not all(sha256(folder / name) == wanted for name, wanted in hashes.items()):
            return False
    except (UserError, OSError, AttributeError, TypeError, ValueError):
        return False
    with suppress(OSError):
        write_text(known, state)
    return True


def _read(folder: Path) -> SearchGraph:
    """Map the arrays of a whole graph folder."""
    parts, words, record = _load(folder, PARTS)
    return SearchGraph(words=words, folder=folder, **{name: record[name] for name in NUMBERS}, **parts)


def _load(folder: Path, kinds: dict[str, Any]) -> tuple[dict[str, Any], list[str], dict[str, Any]]:
    """(the parts with mapped arrays, the words, the content of graph.json); UserError if they lead out of an array."""
    record = read_json(Path(folder) / "graph.json")

    def load(name: str) -> Any:
        numbers = record["numbers"]
        path = folder / f"{name}.npy"
        return int(numbers[name]) if name in numbers else np.asarray(read_array(path, mode="r"))

    with reading(folder, "delete it"):
        parts = {part: kind(*(load(f"{part}.{name}") for name in kind._fields)) for part, kind in kinds.items()}
        words = list(read_lines(Path(folder) / "words.txt"))
        if "tree" in kinds:
            record |= {name: float(record[name]) for name in ("pause", "no_pause")}
            record |= {name: int(record[name]) for name in ("senones", "subsampling")}
            if not (-np.inf < record["pause"] <= 0 and -np.inf < record["no_pause"] <= 0 < record["subsampling"]):
                raise ValueError("pause or subsampling")
            record["warnings"] = list(map(str, record["warnings"]))
            record["unspoken"] = {str(word): int(token) for word, token in record["unspoken"].items()}
        check_bounds(parts, len(words), record.get("senones", 0))
    return parts, words, record


def _spoken(words: list[str], tokens: dict[str, int]) -> dict[str, int]:
    """Token of each word that can be recognised: its own, or that of <unk>."""
    unknown = tokens.get("<unk>")
    named = {word: tokens.get(word, unknown) for word in words}
    spoken = {word: token for word, token in named.items() if token is not None}
    if not spoken:
        raise UserError("the lexicon and the language model have no word in common; build both from one text")
    return spoken


def _oov_warnings(words: list[str], tokens: dict[str, int]) -> list[str]:
    """Warnings about words that the lexicon or the language model lacks."""
    warnings, unknown = [], "<unk> to the language model"
    if "<unk>" not in tokens:
        unknown = "unknown to the language model and cannot be recognised"
    if silent := sorted(tokens.keys() - set(words) - {"<s>", "</s>", "<unk>"}):
        warnings.append(f"{len(silent)} words of the language model have no pronunciation: {shorten(silent)}")
    if unseen := [word for word in words if word not in tokens]:
        warnings.append(f"{len(unseen)} words of the lexicon are {unknown}: {shorten(unseen)}")
    return warnings
