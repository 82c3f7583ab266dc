"""Files for NIST's sclite.

    sclite -r OUT/ref.trn trn -h OUT/hyp.trn trn -i spu_id -s -e utf-8
    sclite -r OUT/ref.stm stm -h DECODED/words.ctm ctm -s -e utf-8

-s keeps case. sclite ignores utterances that are not in both trn files, so a missing hypothesis is written as empty.
"""

from collections.abc import Iterable
from pathlib import Path

from asrdistill.files import write_text
from asrdistill.scoring.wer import Transcripts

FOREVER = 1e6  # seconds; no utterance ends later


def write_sclite(references: Transcripts, hypotheses: Transcripts, out: Path) -> None:
    """Write ref.trn, ref.stm and hyp.trn, all with the utterances of the references, into the folder `out`."""
    utterances = sorted(references)
    _write(out / "ref.trn", (f"{' '.join(references[name])} ({name})" for name in utterances))
    _write(out / "ref.stm", (f"{name} 1 {name} 0 {FOREVER:.0f} {' '.join(references[name])}" for name in utterances))
    _write(out / "hyp.trn", (f"{' '.join(hypotheses.get(name, []))} ({name})" for name in utterances))


def _write(path: Path, lines: Iterable[str]) -> None:
    write_text(path, "".join(f"{line}\n" for line in lines))
