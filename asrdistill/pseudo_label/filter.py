"""Select pseudo-labels by Whisper's own confidence and by agreement with a phone loop, which knows no words."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from asrdistill.data.directory import DataDirectory, Utterance
from asrdistill.errors import UserError, log, shorten
from asrdistill.files import write_text
from asrdistill.lang.lexicon import SILENCE
from asrdistill.pseudo_label.options import FilterOptions
from asrdistill.pseudo_label.run import PseudoLabel, read_pseudo_labels
from asrdistill.scoring.edit_distance import count_errors
from asrdistill.scoring.wer import Transcripts, read_transcripts


def filter_pseudo_labels(
    folder: Path, out: Path, options: FilterOptions, alignment: Path | None, loop: Path | None, known: Path | None
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
    spoken = [_phones(alignment / "phones.ctm"), _phones(loop)] if alignment and loop else []
    reasons, counts = dict[str, str](), defaultdict[str, list[str]](list)
    for utterance in data:
        reason = "" if utterance.id in words else _rejection(utterance, labels[utterance.id], spoken, options)
        if reason:
            reasons[utterance.id] = reason
            counts[reason].append(utterance.id)
    kept = data.subset(lambda utterance: utterance.id not in reasons)
    if not len(kept):
        most = ", ".join(f"{len(some)} {reason}" for reason, some in counts.items())
        raise UserError(f"none of the {len(data)} utterances in {folder} passes ({most}); relax the thresholds")
    for reason, some in sorted(counts.items()):
        log.info("left out: %d utterances %s (%s)", len(some), reason, shorten(some))
    minutes = [sum(utterance.duration or 0.0 for utterance in part) / 60 for part in (kept, data)]
    log.info("kept %d of %d utterances, %.1f of %.1f minutes", len(kept), len(data), *minutes)
    kept.write(out)
    write_text(out / "left_out.tsv", "".join(f"{utterance}\t{reason}\n" for utterance, reason in reasons.items()))


def _known(data: DataDirectory, table: Path) -> dict[str, str]:
    """Transcripts of the utterances that are a whole recording of the table."""
    known = read_transcripts(table)
    pieces = Counter(utterance.recording for utterance in data)
    whole = [(utterance.id, known.get(utterance.recording)) for utterance in data if pieces[utterance.recording] == 1]
    found = {name: " ".join(words) for name, words in whole if words}
    log.info("known transcripts: %d of %d utterances", len(found), len(data))
    return found


def _rejection(utterance: Utterance, label: PseudoLabel, spoken: Sequence[Transcripts], options: FilterOptions) -> str:
    """Why Whisper's own figures or the phones (aligned, decoded) reject a pseudo-label; empty if they do not."""
    letters = len((utterance.text or "").replace(" ", ""))
    if not letters:
        return "without words"
    if label.no_speech > options.no_speech:
        return f"without speech (probability above {options.no_speech:g})"
    if label.logprob < options.logprob:
        return f"with a mean log-probability below {options.logprob:g}"
    if label.compression > options.compression:
        return f"with repeated words (compressed more than {options.compression:g} times)"
    if utterance.duration and letters > options.pace * utterance.duration:
        return f"of more than {options.pace:g} letters per second"
    if not all(utterance.id in phones for phones in spoken):
        return "that could not be aligned"
    if spoken:
        aligned, decoded = (phones[utterance.id] for phones in spoken)
        if 100 * sum(count_errors(aligned, decoded)) > options.disagreement * len(aligned):
            return f"whose phones disagree with the phone loop (more than {options.disagreement:g} %)"
    return ""


def _phones(path: Path) -> Transcripts:
    """Phones of each utterance of a CTM or text file, without silence."""
    spoken = read_transcripts(path)
    return {name: [phone for phone in phones if phone != SILENCE] for name, phones in spoken.items()}
