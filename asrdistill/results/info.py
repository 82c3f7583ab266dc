"""``asrdistill info``: the kind, size and origin of a folder."""

import itertools
import re
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from asrdistill import stage
from asrdistill.data.archive import FrameArchive
from asrdistill.data.directory import DataDirectory
from asrdistill.errors import UserError, shorten
from asrdistill.hmm.senones import Senones, Tree, side_of
from asrdistill.lang.lexicon import Lang, root_of
from asrdistill.models.folder import checked_meta, read_meta
from asrdistill.reader import read_json, read_lines
from asrdistill.results.tables import duration

Facts = list[tuple[str, Any]]  # what, and its value


def describe(path: Path, verify: bool = False) -> Facts:
    """Facts about a folder (or an ARPA file), its kind first; raises UserError for any other path.

    verify  compare all content of archives and models with their checksums
    """
    path = Path(path)
    if not path.exists():
        raise UserError(f"{path} does not exist; check the path")
    for is_it, facts in KINDS:
        if is_it(path):
            if verify and facts is _archive:
                FrameArchive(path).verify()
            if verify and facts is _model and read_meta(path)["kind"] != "gmm":
                checked_meta(path)
            return [*facts(path), *_made(path)]
    if made := _made(path):
        names = sorted(p.name for p in path.iterdir() if not p.name.startswith("."))
        return [("kind", "folder that asrdistill made"), ("holds", shorten(names, 8)), *made]
    raise UserError(f"{path} is no data directory, archive, model, lexicon or another thing that asrdistill made")


def _data_directory(path: Path) -> Facts:
    data = DataDirectory.read(path, pipes=True)  # looks at commands without running them
    seconds = [utterance.duration for utterance in data if utterance.duration is not None]
    seconds = seconds or [utterance.end - utterance.start for utterance in data if utterance.end is not None]
    words = [word for text in data.texts.values() for word in text.split()]
    return [
        ("kind", "data directory"),
        ("utterances", len(data)),
        ("speakers", len(data.speakers)),
        ("minutes", f"{sum(seconds) / 60:.1f}" if len(seconds) == len(data) else "unknown (no utt2dur)"),
        ("words", f"{len(words):,} ({len(set(words)):,} different)" if data.texts else "no transcripts"),
    ]


def _archive(path: Path) -> Facts:
    archive = FrameArchive(path)
    meta, shift = archive.meta, archive.meta.get("frame_shift")
    parts = [f"{name} {part['dtype']} {tuple(part['shape'])}" for name, part in meta["parts"].items()]
    known = ("kind", "parts", "hash", "index", "frame_shift")
    return [
        ("kind", f"frame archive of {archive.meta['kind']}"),
        ("utterances", len(archive)),
        ("frames", f"{archive.total_rows:,}"),
        *([("minutes", f"{archive.total_rows * shift / 60:.1f} at {1000 * shift:g} ms a frame")] if shift else []),
        ("row", ", ".join(parts)),
        *((key, value) for key, value in meta.items() if key not in known),
        ("hash", archive.hash),
    ]


def _model(path: Path) -> Facts:
    meta, senones = read_meta(path), Senones.read(path)
    names = {"gmm": "GMM", "dnn": "DNN", "ensemble": "ensemble of DNNs", "onnx": "DNN in ONNX"}
    names |= {
        "int8": "DNN in 8-bit integers",
        "specialist": "DNN, a specialist",
        "specialists": "generalist and specialists",
    }
    history = meta.get("history") or []
    known = ("kind", "parameters", "senones", "history")
    return [
        ("kind", f"acoustic model: {names.get(meta['kind'], meta['kind'])}"),
        ("parameters", f"{meta['parameters']:,}"),
        ("senones", f"{senones.count} of {len(senones.phones)} phones"),
        *((key, value) for key, value in meta.items() if key not in known),
        *([("last epoch", history[-1])] if history else []),
        ("senone hash", senones.hash),
    ]


def phone_trees(model: Path, phone: str) -> str:
    """The decision trees of a phone's states as text; raises UserError for an unknown phone."""
    senones = Senones.read(model)
    if (root := root_of(phone)) not in senones.states:
        raise UserError(f"{model} has no phone {phone}; it has {' '.join(senones.states)}")
    lines = [f"{root} of {model}, among the phones {' '.join(senones.phones)}"]
    for state, tree in enumerate(senones.states[root]):
        lines += [f"state {state}", *_branches(tree, "  ")]
    return "\n".join(lines)


def _branches(tree: Tree, indent: str) -> list[str]:
    if not isinstance(tree, dict):
        return [f"{indent}senone {tree}"]
    side = side_of(tree)
    below = [f"{indent}{side} one of {tree[side]}?"]
    for answer in ("yes", "no"):
        first, *others = _branches(tree[answer], indent + "    ")
        below += [f"{indent}{answer:<4}{first.strip()}", *others]
    return below


def _lang(path: Path) -> Facts:
    lang = Lang.read(path)
    return [
        ("kind", "lexicon"),
        ("words", len(lang.words)),
        ("pronunciations", sum(map(len, lang.pronunciations.values()))),
        ("phones", f"{len(lang.phones)} with silence ({lang.silence})"),
    ]


def _language_model(path: Path) -> Facts:
    """Counts from the header of an ARPA file."""
    file = path if path.is_file() else path / "lm.arpa"
    head = "\n".join(itertools.islice(read_lines(file), 100))
    counts = {f"{order}-grams": int(count) for order, count in re.findall(r"^ngram (\d{1,3})=(\d{1,15})$", head, re.M)}
    if not counts:
        raise UserError(f"{file} does not begin like an ARPA file; make the language model again")
    return [("kind", f"language model of order {len(counts)} (ARPA)"), *counts.items()]


def _hypotheses(path: Path) -> Facts:
    lines = [line.split() for line in read_lines(path / "hyp.txt")]
    counts = [("utterances", len(lines)), ("words", sum(map(len, lines)) - len(lines))]
    return [("kind", "hypotheses"), *counts, *_measured(path / "decode.json")]


def _measured(path: Path) -> Facts:
    """The single figures of a JSON file; tables in it are left to the reader of the file."""
    return [(key, value) for key, value in read_json(path).items() if not isinstance(value, list)]


def _sets(path: Path) -> Facts:
    """One line per specialist: mass of its senones, and their number by phone."""
    from asrdistill.distill.cluster import read_sets  # which needs torch

    record = read_sets(path)
    facts: Facts = [("kind", f"senones of {len(record['sets'])} specialists, by {record['by']}")]
    facts += [(key, record[key]) for key in ("generalist", "covered", "frames")]
    for number, part in enumerate(record["sets"]):
        phones = Counter(name.rpartition(".")[0] for name in part["names"])
        of = " ".join(f"{phone}:{count}" for phone, count in phones.most_common())
        mass = f"{100 * part['mass']:.1f} % of the mass, inertia {part['inertia']:.3g}"
        facts.append((f"set {number}", f"{len(part['senones'])} senones, {mass}, {of}"))
    return facts


def _made(path: Path) -> Facts:
    """The command that made the folder, its inputs, options and time, by the marker."""
    if not (done := stage.marker(path)):
        return []
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(done["end"]))
    return [
        ("made by", f"asrdistill {done['verb']}, {when}, in {duration(done['end'] - done['start'])}"),
        ("peak memory", f"{done['peak_mb']:,} MB"),
        ("from", done["inputs"]),
        ("with", done["options"]),
        ("environment", done["environment"]),
        ("made hash", done["hash"]),
    ]


def _has(*names: str) -> Callable[[Path], bool]:
    return lambda path: path.is_dir() and all((path / name).is_file() for name in names)


KINDS: list[tuple[Callable[[Path], bool], Callable[[Path], Facts]]] = [
    (_has("wav.scp"), _data_directory),
    (_has("meta.json", "index.tsv"), _archive),
    (_has("meta.json", "senones.json"), _model),
    (_has("words.txt", "phones.txt"), _lang),
    (_has("lm.arpa"), _language_model),
    (lambda path: path.is_file() and path.suffix == ".arpa", _language_model),
    (_has("hyp.txt", "decode.json"), _hypotheses),
    (_has("sets.json"), _sets),
    (_has("frames.json"), lambda path: [("kind", "frame accuracy of a model"), *_measured(path / "frames.json")]),
    (_has("tuned.json"), lambda path: [("kind", "decoding scales"), *_measured(path / "tuned.json")]),
]


def show(facts: Facts) -> str:
    """One fact per line, without empty ones."""
    shown = [(what, value) for what, value in facts if value not in ("", None, [], {})]
    width = max(len(what) for what, _ in shown)
    return "\n".join(f"{what:<{width}}  {_plain(value)}" for what, value in shown)


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        parts = {key: f"({_plain(item)})" if isinstance(item, dict) else _plain(item) for key, item in value.items()}
        return ", ".join(f"{key} {part}" for key, part in parts.items() if part)
    if isinstance(value, list):
        return " ".join(map(_plain, value))
    return f"{value:.6g}" if isinstance(value, float) else str(value)
