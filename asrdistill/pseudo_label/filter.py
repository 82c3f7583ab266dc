"""Select pseudo-labels by Whisper's own confidence and by agreement with a phone loop, which knows no words."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

from asrdistill.data.ctm import read_ctm
from asrdistill.data.directory import DataDirectory, Utterance
from asrdistill.errors import UserError, shorten
from asrdistill.files import write_text
from asrdistill.lang.lexicon import SILENCE
from asrdistill.pseudo_label.options import FilterOptions
from asrdistill.pseudo_label.run import PseudoLabel, read_pseudo_labels
from asrdistill.scoring.edit_distance import count_errors
from asrdistill.scoring.wer import read_transcripts

log = logging.getLogger("asrdistill")

NO_WORDS = "without words"
Phones = dict[str, list[str]]


def filter_pseudo_labels(
    folder: Path,
    out: Path,
    options: FilterOptions,
    alignment: Path | None = None,
    loop: Path | None = None,
    known: Path | None = None,
) -> None:
    """Write into `out` the data directory of the utterances of `folder` whose pseudo-labels pass every threshold.

    alignment, loop  phones of the aligned transcripts, and the phone loop's hypotheses (hyp.txt): compared as well
    known            transcripts of recordings (recording words …), kept as they are if a recording is one utterance

    ``out/left_out.tsv`` lists the other utterances and why. Raises UserError if none is left.
    """
    data = DataDirectory.read(folder)
    words = _known(data, known) if known else {}
    data = DataDirectory(replace(utterance, text=words.get(utterance.id, utterance.text)) for utterance in data)
    labels = read_pseudo_labels(folder)
    spoken = (_aligned(alignment), _without_silence(read_transcripts(loop))) if alignment and loop else None
    reasons = {
        utterance.id: reason
        for utterance in data
        if utterance.id not in words
        and (
            reason := _rejection(utterance, labels[utterance.id], options)
            or (_disagreement(utterance, *spoken, options) if spoken else "")
        )
    }
    kept = data.subset(lambda utterance: utterance.id not in reasons)
    counts: dict[str, list[str]] = defaultdict(list)
    for utterance, reason in reasons.items():
        counts[reason].append(utterance)
    if not len(kept):
        most = ", ".join(f"{len(some)} {reason}" for reason, some in counts.items())
        raise UserError(
            f"none of the {len(data)} utterances in {folder} passes the filter ({most}); check the language, or relax "
            "the thresholds"
        )
    for reason, some in sorted(counts.items()):
        log.info("left out: %d utterances %s (%s)", len(some), reason, shorten(some))
    log.info("kept %d of %d utterances, %.1f of %.1f minutes", len(kept), len(data), *map(_minutes, (kept, data)))
    kept.write(out)
    write_text(out / "left_out.tsv", "".join(f"{utterance}\t{reason}\n" for utterance, reason in reasons.items()))


def _known(data: DataDirectory, table: Path) -> dict[str, str]:
    """Transcripts of the utterances that are a whole recording of the table."""
    known = read_transcripts(table)
    pieces = Counter(utterance.recording for utterance in data)
    found = {
        utterance.id: " ".join(known[utterance.recording])
        for utterance in data
        if pieces[utterance.recording] == 1 and known.get(utterance.recording)
    }
    log.info("known transcripts: %d of %d utterances", len(found), len(data))
    return found


def _minutes(data: DataDirectory) -> float:
    return sum(utterance.duration or 0.0 for utterance in data) / 60


def _rejection(utterance: Utterance, label: PseudoLabel, options: FilterOptions) -> str:
    """Why Whisper's own figures reject a pseudo-label; empty if they do not."""
    letters = len((utterance.text or "").replace(" ", ""))
    if not letters:
        return NO_WORDS
    if label.no_speech > options.no_speech:
        return f"without speech (probability above {options.no_speech:g})"
    if label.logprob < options.logprob:
        return f"with a mean log-probability below {options.logprob:g}"
    if label.compression > options.compression:
        return f"with repeated words (compressed more than {options.compression:g} times)"
    if utterance.duration and letters > options.pace * utterance.duration:
        return f"of more than {options.pace:g} letters per second"
    return ""


def _disagreement(utterance: Utterance, aligned: Phones, decoded: Phones, options: FilterOptions) -> str:
    """Why the phone loop rejects a pseudo-label; empty if it does not."""
    if utterance.id not in aligned or utterance.id not in decoded:
        return "that could not be aligned"
    phones = aligned[utterance.id]
    errors = sum(count_errors(phones, decoded[utterance.id]))
    if 100 * errors > options.disagreement * len(phones):
        return f"whose phones disagree with the phone loop (more than {options.disagreement:g} %)"
    return ""


def _aligned(alignment: Path) -> Phones:
    return _without_silence(
        {name: [part.label for part in parts] for name, parts in read_ctm(alignment / "phones.ctm")}
    )


def _without_silence(spoken: Phones) -> Phones:
    return {name: [phone for phone in phones if phone != SILENCE] for name, phones in spoken.items()}
