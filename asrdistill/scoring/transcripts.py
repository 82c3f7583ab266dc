"""Transcripts before and beside scoring: phones folded, words out of a vocabulary, whole recordings, sclite's files."""

from pathlib import Path
from typing import Any

from asrdistill.data.directory import DataDirectory
from asrdistill.errors import UserError, shorten
from asrdistill.files import write_text
from asrdistill.reader import read_lines
from asrdistill.scoring.edit_distance import align_words
from asrdistill.scoring.wer import Transcripts

Map = dict[str, str | None]  # token -> what it counts as; None: nothing
FOREVER = 1e6  # seconds; no utterance ends later


def read_map(path: Path) -> Map:
    """What each token of a map counts as (TIMIT: 61 → 48 → 39 phones); raises UserError where two lines disagree.

    A line lists a token's names in ever smaller sets; the last one is scored. A token alone in its line is deleted.
    """
    found: Map = {}
    for number, line in enumerate(read_lines(path), 1):
        names = line.split()
        target = names[-1] if len(names) > 1 else None
        for name in names:
            if found.setdefault(name, target) != target:
                raise UserError(
                    f"{path}, line {number}: '{name}' is {target or '-'} here, {found[name] or '-'} above; keep one"
                )
    if not found:
        raise UserError(f"{path} is empty; name the file with the map")
    return found


def fold(transcripts: Transcripts, map: Map, name: str) -> Transcripts:
    """The transcripts in the map's last tokens; raises UserError for a token that it lacks (`name` says whose)."""
    for utterance, tokens in transcripts.items():
        if unknown := [token for token in tokens if token not in map]:
            raise UserError(f"{name}: '{unknown[0]}' in utterance {utterance} is not in the map; add it there")
    return {utterance: [new for token in tokens if (new := map[token])] for utterance, tokens in transcripts.items()}


def oov_errors(references: Transcripts, hypotheses: Transcripts, vocabulary: set[str]) -> dict[str, Any]:
    """``{"words", "wrong", "rate"}`` of the reference's words outside the vocabulary, by sclite's alignment.

    An utterance without a hypothesis is deleted. The rate is in percent, None where no word is outside.
    """
    words = wrong = 0
    for utterance, said in references.items():
        if vocabulary.issuperset(said):
            continue
        pairs = align_words(said, hypotheses.get(utterance, []))
        right = [word == heard for word, heard in pairs if word is not None and word not in vocabulary]
        words, wrong = words + len(right), wrong + right.count(False)
    return {"words": words, "wrong": wrong, "rate": 100 * wrong / words if words else None}


def read_vocabulary(path: Path) -> set[str]:
    """The first word of each line (of a words.txt or a lexicon); raises UserError if the file is missing or empty."""
    words = {fields[0] for line in read_lines(path) if (fields := line.split())}
    if not words:
        raise UserError(f"{path} is empty; name the file with the words")
    return words


def of_recordings(hypotheses: Transcripts, data: DataDirectory, name: str) -> Transcripts:
    """The words of each recording: those of its segments, in the order of their starts; none of one without hypothesis.

    Raises UserError for hypotheses that are of no segment of `data`; `name` says whose they are.
    """
    if unknown := sorted(hypotheses.keys() - {utterance.id for utterance in data}):
        raise UserError(f"{name} has {len(unknown)} utterances that DATA lacks: {shorten(unknown)}; give their DATA")
    joined: Transcripts = {}
    for utterance in sorted(data, key=lambda utterance: utterance.start):
        joined.setdefault(utterance.recording or utterance.id, []).extend(hypotheses.get(utterance.id, []))
    return joined


def known_recordings(references: Transcripts, data: DataDirectory, path: Path) -> Transcripts:
    """The references of the recordings of `data`; raises UserError where there is none, for the names must differ."""
    recordings = {utterance.recording or utterance.id for utterance in data}
    known = {name: words for name, words in references.items() if name in recordings}
    if not known:
        raise UserError(f"{path} has none of the recordings {shorten(sorted(recordings))}; give references of these")
    return known


def write_sclite(references: Transcripts, hypotheses: Transcripts, out: Path) -> None:
    """Write ref.trn, ref.stm and hyp.trn, all with the utterances of the references, into the folder `out`.

        sclite -r OUT/ref.trn trn -h OUT/hyp.trn trn -i spu_id -s -e utf-8
        sclite -r OUT/ref.stm stm -h DECODED/words.ctm ctm -s -e utf-8

    -s keeps case. sclite ignores utterances that are not in both trn files: a missing hypothesis is written as empty.
    """
    utterances = sorted(references)
    for path, spoken in (("ref.trn", references), ("hyp.trn", hypotheses)):
        write_text(out / path, "".join(f"{' '.join(spoken.get(name, []))} ({name})\n" for name in utterances))
    lines = (f"{name} 1 {name} 0 {FOREVER:.0f} {' '.join(references[name])}\n" for name in utterances)
    write_text(out / "ref.stm", "".join(lines))
