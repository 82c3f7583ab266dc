"""Which transcripts of a machine can be believed: by its own score, and by a model that knows nothing of words.

Of 126 clips of amazon_queen that Whisper tiny.en was sure of, by what triphones that they trained decoded as phones:
those of the five fifths with ever more disagreement had 5.6, 8.8, 11.6, 12.2 and 27.8 % of their words wrong.
"""

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
from asrdistill.pseudo_label.options import ConfidentOptions
from asrdistill.pseudo_label.run import Heard, read_heard
from asrdistill.scoring.alignment import count_errors
from asrdistill.scoring.wer import read_transcripts

log = logging.getLogger("asrdistill")

NO_WORDS = "without words"
Phones = dict[str, list[str]]


def keep_confident(
    folder: Path,
    out: Path,
    options: ConfidentOptions,
    alignment: Path | None = None,
    loop: Path | None = None,
    known: Path | None = None,
) -> None:
    """Write into `out` the data directory of those utterances of `folder` whose transcripts are believed.

    `folder` is what ``asrdistill hear`` made. With `alignment` and `loop`, the phones of the transcript as they were
    aligned and those that a phone loop decoded (hyp.txt) are compared as well. `known` has the words of recordings
    (recording words …), which are believed without more ado where the recording is one utterance.
    ``out/left_out.tsv`` has every other utterance and why. Raises UserError where none is left.
    """
    data = DataDirectory.read(folder)
    words = _known(data, known) if known else {}
    data = DataDirectory(replace(utterance, text=words.get(utterance.id, utterance.text)) for utterance in data)
    heard = read_heard(folder)
    spoken = (_aligned(alignment), _without_silence(read_transcripts(loop))) if alignment and loop else None
    reasons = {
        utterance.id: reason
        for utterance in data
        if utterance.id not in words
        and (
            reason := _doubt(utterance, heard[utterance.id], options)
            or (_apart(utterance, *spoken, options) if spoken else "")
        )
    }
    kept = data.subset(lambda utterance: utterance.id not in reasons)
    counts: dict[str, list[str]] = defaultdict(list)
    for utterance, reason in reasons.items():
        counts[reason].append(utterance)
    if not len(kept):
        most = ", ".join(f"{len(some)} {reason}" for reason, some in counts.items())
        raise UserError(
            f"not one of the {len(data)} utterances in {folder} has a transcript that can be believed ({most}); "
            "is it speech, and in the language that the model was told?"
        )
    for reason, some in sorted(counts.items()):
        log.info("left out: %d utterances %s (%s)", len(some), reason, shorten(some))
    log.info(
        "%d of %d utterances, %.1f of %.1f minutes are believed", len(kept), len(data), *map(_minutes, (kept, data))
    )
    kept.write(out)
    write_text(out / "left_out.tsv", "".join(f"{utterance}\t{reason}\n" for utterance, reason in reasons.items()))


def _known(data: DataDirectory, table: Path) -> dict[str, str]:
    """The words of utterances that are the whole of a recording in the table."""
    said = read_transcripts(table)
    pieces = Counter(utterance.recording for utterance in data)
    found = {
        utterance.id: " ".join(said[utterance.recording])
        for utterance in data
        if pieces[utterance.recording] == 1 and said.get(utterance.recording)
    }
    log.info("the words of %d of %d utterances are known", len(found), len(data))
    return found


def _minutes(data: DataDirectory) -> float:
    return sum(utterance.duration or 0.0 for utterance in data) / 60


def _doubt(utterance: Utterance, heard: Heard, options: ConfidentOptions) -> str:
    """Why the transcriber's own figures speak against a transcript; empty when they do not."""
    letters = len((utterance.text or "").replace(" ", ""))
    if not letters:
        return NO_WORDS
    if heard.no_speech > options.no_speech:
        return f"in which nobody may speak (probability above {options.no_speech:g})"
    if heard.logprob < options.logprob:
        return f"with a mean log-probability below {options.logprob:g}"
    if heard.compression > options.compression:
        return f"that repeat themselves (compressed more than {options.compression:g} times)"
    if utterance.duration and letters > options.pace * utterance.duration:
        return f"of more than {options.pace:g} letters a second"
    return ""


def _apart(utterance: Utterance, aligned: Phones, decoded: Phones, options: ConfidentOptions) -> str:
    """Why the phone loop speaks against a transcript; empty when it does not."""
    if utterance.id not in aligned or utterance.id not in decoded:
        return "that could not be aligned with their transcript"
    phones = aligned[utterance.id]
    errors = sum(count_errors(phones, decoded[utterance.id]))
    if 100 * errors > options.disagreement * len(phones):
        return f"whose phones a phone loop hears otherwise (more than {options.disagreement:g} %)"
    return ""


def _aligned(alignment: Path) -> Phones:
    return _without_silence(
        {name: [part.label for part in parts] for name, parts in read_ctm(alignment / "phones.ctm")}
    )


def _without_silence(spoken: Phones) -> Phones:
    return {name: [phone for phone in phones if phone != SILENCE] for name, phones in spoken.items()}
