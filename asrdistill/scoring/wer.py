"""Word error rate: transcripts in, errors of each utterance out."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import itemgetter
from pathlib import Path

import numpy as np

from asrdistill.data.ctm import CTM, STM, Interval, parse_ctm, parse_stm
from asrdistill.errors import UserError, shorten
from asrdistill.reader import parse_lines
from asrdistill.scoring.edit_distance import count_errors

Transcripts = dict[str, list[str]]  # utterance -> its words
LENGTHS = (2, 5, 10, 20, 40)  # words of the longest utterances of each bin; the last bin has no end


@dataclass(frozen=True)
class Counts:
    """Errors of some utterances, or of one."""

    words: int
    ins: int
    dels: int
    subs: int

    @property
    def errors(self) -> int:
        return self.ins + self.dels + self.subs

    @property
    def percent(self) -> float:
        """The word error rate; infinite where words were inserted into nothing."""
        return 100 * self.errors / self.words if self.words else float("inf") if self.errors else 0.0

    def __str__(self) -> str:
        """The line that Kaldi's scripts print."""
        parts = f"{self.ins} ins, {self.dels} del, {self.subs} sub"
        return f"%WER {self.percent:.2f} [ {self.errors} / {self.words}, {parts} ]"


@dataclass(frozen=True)
class Scores:
    """The errors of one system, utterance by utterance."""

    utterances: list[str]  # U ids, sorted
    counts: np.ndarray  # (U, 4) int64: words of the reference, insertions, deletions, substitutions
    missing: list[str]  # the utterances without a hypothesis; all their words count as deleted

    @property
    def words(self) -> np.ndarray:
        """(U,) words of the references"""
        return self.counts[:, 0]

    @property
    def errors(self) -> np.ndarray:
        """(U,) word errors"""
        return self.counts[:, 1:].sum(1)

    @property
    def total(self) -> Counts:
        return self._sum(slice(None))

    def __getitem__(self, row: int) -> Counts:
        return Counts(*self.counts[row].tolist())

    def by(self, group: Mapping[str, str]) -> dict[str, Counts]:
        """Counts of each group (speaker, say) of utterances, sorted by its name."""
        rows: dict[str, list[int]] = {}
        for row, utterance in enumerate(self.utterances):
            if utterance not in group:
                raise UserError(f"utterance {utterance} has no speaker in utt2spk; add it there")
            rows.setdefault(group[utterance], []).append(row)
        return {name: self._sum(rows[name]) for name in sorted(rows)}

    def by_length(self) -> dict[str, Counts]:
        """Counts of the utterances by the words of their references, the shortest first; empty bins are left out."""
        names = [f"up to {LENGTHS[0]}", *(f"{a + 1} to {b}" for a, b in pairwise(LENGTHS)), f"over {LENGTHS[-1]}"]
        bins = np.digitize(self.words, LENGTHS, right=True)
        return {names[number]: self._sum(bins == number) for number in np.unique(bins)}

    def _sum(self, rows: slice | list[int] | np.ndarray) -> Counts:
        return Counts(*self.counts[rows].sum(0).tolist())


def score(references: Transcripts, hypotheses: Transcripts, name: str = "the hypotheses") -> Scores:
    """Errors of each utterance of the references; one without a hypothesis counts as deleted words.

    Raises UserError for hypotheses without a reference (`name` says whose they are) and if there is nothing to score.
    """
    if unknown := sorted(hypotheses.keys() - references.keys()):
        raise UserError(
            f"{name} has {len(unknown)} utterances without a reference: {shorten(unknown)}; score the same set"
        )
    utterances = sorted(references)
    counts = np.zeros((len(utterances), 4), dtype=np.int64)
    for row, utterance in enumerate(utterances):
        words = references[utterance]
        counts[row] = len(words), *count_errors(words, hypotheses.get(utterance, []))
    if counts[:, 0].sum() == 0:
        raise UserError(f"the reference of {name} holds no words; give one with transcripts")
    return Scores(utterances, counts, [utterance for utterance in utterances if utterance not in hypotheses])


def concatenate(parts: Sequence[Scores]) -> Scores:
    """Several sets as one; utterances of different sets stay apart even where they share a name."""
    return Scores(
        [utterance for part in parts for utterance in part.utterances],
        np.concatenate([part.counts for part in parts]),
        [utterance for part in parts for utterance in part.missing],
    )


def read_transcripts(path: Path) -> Transcripts:
    """Words of each utterance from Kaldi text (``utterance words …``), .trn (``words … (utterance)``), .ctm or .stm.

    The latter are put in the order of time; the channels of a file that has several are utterances of their own.
    """
    path = Path(path)
    kind = path.suffix.lower()
    if kind in (".ctm", ".stm"):
        timed: dict[tuple[str, str], list[Interval]] = {}
        how = (parse_ctm, CTM) if kind == ".ctm" else (parse_stm, STM)
        for file, channel, interval in filter(None, parse_lines(path, *how)):
            timed.setdefault((file, channel), []).append(interval)
        channels = Counter(file for file, _ in timed)
        names = {key: "-".join(key) if channels[key[0]] > 1 else key[0] for key in timed}
        ordered = {names[key]: sorted(found, key=itemgetter(0)) for key, found in timed.items()}
        return {name: [word for i in found for word in i.label.split()] for name, found in ordered.items()}
    parse, form = (_trn_line, "words … (utterance)") if kind == ".trn" else (_text_line, "utterance words …")
    transcripts: Transcripts = {}
    for utterance, words in filter(None, parse_lines(path, parse, form)):
        if utterance in transcripts:
            raise UserError(f"{path}: utterance {utterance} is there twice; keep one of them")
        transcripts[utterance] = words
    return transcripts


def _text_line(line: str) -> tuple[str, list[str]] | None:
    utterance, *words = line.split() or [""]
    return (utterance, words) if utterance else None


def _trn_line(line: str) -> tuple[str, list[str]] | None:
    words, bracket, rest = line.strip().rpartition("(")
    if line.strip() and not (bracket and rest.endswith(")") and rest[:-1].strip()):
        raise ValueError
    return (rest[:-1].strip(), words.split()) if bracket else None
