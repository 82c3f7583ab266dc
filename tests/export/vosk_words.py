"""What Vosk finds in files of 16-bit samples: python vosk_words.py FOLDER RATE FILE ….

Prints a JSON list: of each file the words with their times, and those of its best path. A program of its own, since
kaldifst brings another copy of Kaldi's code.
"""

import json
import sys
from pathlib import Path

import vosk

vosk.SetLogLevel(-1)
model, rate, found = vosk.Model(sys.argv[1]), int(sys.argv[2]), []
for path in sys.argv[3:]:
    results = []
    for alternatives in (0, 1):
        recogniser = vosk.KaldiRecognizer(model, rate)
        recogniser.SetWords(True)
        recogniser.SetMaxAlternatives(alternatives)
        recogniser.AcceptWaveform(Path(path).read_bytes())
        results.append(json.loads(recogniser.FinalResult()))
    found.append({"words": results[0].get("result", []), "best": results[1]["alternatives"][0]["text"]})
print(json.dumps(found))
