"""A page of `asrdistill export --to web` in Chromium, compared with the recogniser folder of the same network.

Prints for each audio file the real-time factors of the page (one thread, the best of --rounds): the time that the page
shows, which grows where other programs run, and processor time; then those of all files together, the seconds until the
page is ready, the megabytes of its folder, and the share of the words of `transcribe` that the page found, too. Files
are given to the page at the recogniser's rate. The last line is JSON.

Example:
  python tools/bench/web.py exp/student exp/page one.wav two.wav
"""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
from common import ROOT, arguments, finish, timed

sys.path.insert(0, str(ROOT))

import asrdistill
from asrdistill.data.audio import read_audio
from asrdistill.scoring.edit_distance import count_errors
from tests.export.browser import Page, served

STATUS = "document.getElementById('status')?.textContent"
FACTOR, PROBLEM = (f"document.getElementById('{name}').textContent" for name in ("factor", "problem"))


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("folder", type=Path, help="recogniser folder")
    parser.add_argument("page", type=Path, help="folder of its page")
    parser.add_argument("audio", type=Path, nargs="+", help="audio files")
    parser.add_argument(
        "--rounds", type=int, default=3, help="times that each file is recognised (default: %(default)s)"
    )
    args = parser.parse_args()
    recogniser = asrdistill.load(args.folder)
    seconds, busy, words, errors = 0.0, np.zeros(2), 0, 0
    with tempfile.TemporaryDirectory() as scratch, served(args.page) as address, Page() as page:
        copy = Path(scratch) / "audio.wav"
        page.open(address)
        _, ready = timed(lambda: page.until(f"{STATUS}?.startsWith('Ready')"), time.monotonic)
        for path in args.audio:
            samples = read_audio(str(path), recogniser.front.rate)
            soundfile.write(copy, samples, recogniser.front.rate, subtype="FLOAT")
            length = len(samples) / recogniser.front.rate
            factors = np.min([recognised(page, copy, length) for _ in range(args.rounds)], 0)
            wanted = recogniser.transcribe(copy).words
            wrong = sum(count_errors(wanted, [word["word"] for word in page.words()]))
            shown = f"real-time factor {factors[0]:.4f}, processor {factors[1]:.4f}"
            print(f"{path}: {length:.1f} s, {shown}, {wrong} of {len(wanted)} words differ", flush=True)
            seconds, busy = seconds + length, busy + length * factors
            words, errors = words + len(wanted), errors + wrong
    finish(
        {
            **dict(zip(("rtf", "processor_rtf"), (busy / seconds).round(4).tolist(), strict=True)),
            "same_words_percent": round(100 * (1 - errors / max(words, 1)), 2),
            **{"words": words, "audio_seconds": round(seconds, 1), "ready_seconds": round(ready, 2)},
            "folder_mb": round(sum(path.stat().st_size for path in args.page.iterdir()) / 1e6, 2),
        }
    )


def recognised(page: Page, audio: Path, seconds: float) -> tuple[float, float]:
    """Real-time factors of an audio file, whose words then stand on the page: shown there, and by processor time."""
    before = page.processor_seconds()
    page.value("document.getElementById('clear').click()")
    page.value("document.getElementById('status').textContent = ''")
    page.choose(audio)
    page.until(f"{STATUS} === 'Done.' || {PROBLEM}", 600)
    if problem := page.value(PROBLEM):
        raise SystemExit(problem)
    return float(page.value(FACTOR)), (page.processor_seconds() - before) / seconds


if __name__ == "__main__":
    main()
