"""Summary of scored hypotheses, as plain values and as text."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from asrdistill.data.directory import DataDirectory, read_table
from asrdistill.errors import UserError, shorten
from asrdistill.scoring import transcripts
from asrdistill.scoring.edit_distance import Pair, align_words
from asrdistill.scoring.significance import compare, interval
from asrdistill.scoring.wer import Counts, Scores, Transcripts, read_transcripts, score


def summarise(
    reference: Path,
    hypothesis: Path,
    against: Path | None = None,
    utt2spk: Path | None = None,
    worst: int = 0,
    map: Path | None = None,
    lengths: bool = False,
    vocabulary: Path | None = None,
    sclite: Path | None = None,
    recordings: Path | None = None,
) -> dict[str, Any]:
    """The requested measures as plain values for JSON; with a `map` all tokens are folded first.

    What is scored is also written into `sclite`. With a data directory `recordings` the hypotheses are of its segments.
    """
    if worst < 0:
        raise UserError(f"--worst must not be negative, but it is {worst}")
    folding = transcripts.read_map(map) if map else None
    known = transcripts.read_vocabulary(vocabulary) if vocabulary else None
    cut = DataDirectory.read(recordings, pipes=True) if recordings else None

    def read(path: Path) -> Transcripts:
        return transcripts.fold(read_transcripts(path), folding, str(path)) if folding else read_transcripts(path)

    def measure(path: Path) -> tuple[Transcripts, Scores, dict[str, Any]]:
        hypotheses = read(path)
        if cut:
            joined = transcripts.of_recordings(hypotheses, cut, str(path))
            hypotheses = {name: joined[name] for name in references}
        scores = score(references, hypotheses, str(path))
        system = {**_counts(scores.total), "ci95": list(interval([scores]))}
        system |= {"utterances": len(scores.utterances), "missing": scores.missing}
        oov = {} if known is None else {"oov": transcripts.oov_errors(references, hypotheses, known)}
        return hypotheses, scores, {"hypothesis": str(path), **system, **oov}

    references = transcripts.known_recordings(read(reference), cut, reference) if cut else read(reference)
    hypotheses, scores, summary = measure(hypothesis)
    if against:
        _, other, entry = measure(against)
        summary["against"] = {**entry, "comparison": asdict(compare([scores], [other]))}
    if utt2spk:
        summary["speakers"] = {name: _counts(counts) for name, counts in scores.by(read_table(utt2spk)).items()}
    if lengths:
        summary["lengths"] = {name: _counts(counts) for name, counts in scores.by_length().items()}
    if sclite:
        transcripts.write_sclite(references, hypotheses, sclite)
    if worst:
        summary["worst"] = _worst(scores, references, hypotheses, worst)
    return summary


def describe(summary: dict[str, Any]) -> str:
    """The summary as text."""
    lines = _describe_system(summary)
    if other := summary.get("against"):
        lines += ["", *_describe_system(other), "", _describe_comparison(summary["hypothesis"], other)]
    for groups in (summary[key] for key in ("speakers", "lengths") if key in summary):
        width = max(map(len, groups))
        lines += ["", *(f"{name:<{width}}  {_line(counts)}" for name, counts in groups.items())]
    for utterance in summary.get("worst", []):
        lines += ["", f"{utterance['utterance']}: {_line(utterance)}", *show_alignment(utterance["alignment"])]
    return "\n".join(lines)


def show_alignment(pairs: Sequence[Pair]) -> list[str]:
    """Two lines with the words under each other; what differs is in capitals, gaps are stars."""
    rows: tuple[list[str], list[str]] = ([], [])
    for pair in pairs:
        reference, hypothesis = pair
        width = max(len(word or "") for word in pair)
        for row, word in zip(rows, pair, strict=True):
            shown = "*" * width if word is None else word if reference == hypothesis else word.upper()
            row.append(f"{shown:<{width}}")
    return [f"  {name}: {' '.join(row)}".rstrip() for name, row in zip(("REF", "HYP"), rows, strict=True)]


def _counts(counts: Counts) -> dict[str, Any]:
    return {
        "percent": counts.percent if counts.words else None,  # JSON knows no infinity
        "errors": counts.errors,
        "words": counts.words,
        "ins": counts.ins,
        "del": counts.dels,
        "sub": counts.subs,
    }


def _worst(scores: Scores, references: Transcripts, hypotheses: Transcripts, count: int) -> list[dict[str, Any]]:
    """The utterances with the most errors, the most first."""
    rows = sorted(range(len(scores.utterances)), key=lambda row: (-scores[row].errors, row))[:count]
    found = []
    for row in rows:
        utterance = scores.utterances[row]
        pairs = align_words(references[utterance], hypotheses.get(utterance, []))
        found.append({"utterance": utterance, **_counts(scores[row]), "alignment": pairs})
    return found


def _line(entry: dict[str, Any]) -> str:
    return str(Counts(entry["words"], entry["ins"], entry["del"], entry["sub"]))


def _describe_system(entry: dict[str, Any]) -> list[str]:
    low, high = entry["ci95"]
    lines = [
        f"{_line(entry)} {entry['hypothesis']}",
        f"95 % interval {low:.2f} to {high:.2f} over {entry['utterances']} utterances",
    ]
    if missing := entry["missing"]:
        lines.append(f"without a hypothesis, so counted as deleted: {len(missing)} ({shorten(missing)})")
    if oov := entry.get("oov"):
        rate = f" ({oov['rate']:.2f} %)" if oov["words"] else ""
        lines.append(f"words outside the vocabulary: {oov['wrong']} of {oov['words']} wrong{rate}")
    return lines


def _describe_comparison(name: str, other: dict[str, Any]) -> str:
    found = other["comparison"]
    low, high = found["ci95"]
    return (
        f"{name} minus {other['hypothesis']}: {found['difference']:+.2f} points, "
        f"95 % interval {low:+.2f} to {high:+.2f}, p = {found['p']:.4f} for fewer errors"
    )
