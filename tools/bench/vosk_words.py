"""Compare the words that Vosk finds with an exported folder with those of the recogniser that it was made from.

Both get whole utterances of the same 16-bit samples. Vosk's words are those of its best path, as with
SetMaxAlternatives, and those with the fewest expected errors, which it returns otherwise. Differing words are
substitutions, insertions and deletions, in percent of ours.

Example:
  python tools/bench/vosk_words.py exp/student exp/vosk data/corpus/dev
"""

import json
from pathlib import Path

import numpy as np
import vosk
from common import arguments, finish, timed

import asrdistill
from asrdistill import parallel
from asrdistill.data.directory import DataDirectory
from asrdistill.scoring.wer import score


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("recogniser", type=Path)
    parser.add_argument("folder", type=Path, help="folder from asrdistill export --to vosk")
    parser.add_argument("data", type=Path, help="data directory with text")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="take every N-th utterance")
    args = parser.parse_args()
    parallel.single_thread()
    vosk.SetLogLevel(-1)
    ours, model = asrdistill.load(args.recogniser), vosk.Model(str(args.folder))
    truth, found, seconds = {}, {"ours": {}, "vosk": {}, "vosk_risk": {}}, {"ours": 0.0, "vosk": 0.0, "vosk_risk": 0.0}
    audio = 0.0
    for utterance in DataDirectory.read(args.data).utterances[:: args.every]:
        pcm = np.clip(np.rint(utterance.samples(ours.front.rate) * 32768), -32768, 32767).astype("<i2")
        samples = pcm.astype(np.float32) / 32768
        truth[utterance.id], audio = (utterance.text or "").split(), audio + len(samples) / ours.front.rate

        def by_us(samples: np.ndarray = samples) -> list[str]:
            stream = ours.stream()
            stream.accept(samples)
            return stream.finish().words

        def by_vosk(alternatives: int, pcm: bytes = pcm.tobytes()) -> list[str]:
            recogniser = vosk.KaldiRecognizer(model, ours.front.rate)
            recogniser.SetMaxAlternatives(alternatives)
            recogniser.AcceptWaveform(pcm)
            result = json.loads(recogniser.FinalResult())
            return (result["alternatives"][0] if alternatives else result)["text"].split()

        ways = {"ours": by_us, "vosk": lambda: by_vosk(1), "vosk_risk": lambda: by_vosk(0)}
        for name, way in ways.items():
            found[name][utterance.id], spent = timed(way)
            seconds[name] += spent
    figures = {"utterances": len(truth), "words": sum(map(len, found["ours"].values()))}
    for name, hypotheses in found.items():
        figures[f"wer_{name}"] = round(score(truth, hypotheses).total.percent, 2)
        figures[f"real_time_factor_{name}"] = round(seconds[name] / audio, 4)
        if name != "ours":
            figures[f"differing_percent_{name}"] = round(score(found["ours"], hypotheses).total.percent, 2)
    finish(figures)


if __name__ == "__main__":
    main()
