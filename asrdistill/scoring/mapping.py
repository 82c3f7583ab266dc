"""Phone folding before scoring (TIMIT: 61 → 48 → 39).

A line lists a token's names in ever smaller sets; the last one is scored. A token alone in its line is deleted.
"""

from pathlib import Path

from asrdistill.errors import UserError
from asrdistill.reader import read_lines
from asrdistill.scoring.wer import Transcripts

Map = dict[str, str | None]  # token -> what it counts as; None: nothing


def read_map(path: Path) -> Map:
    """What each token of a map counts as; raises UserError where two lines disagree."""
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
