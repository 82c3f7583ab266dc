#!/usr/bin/env python3
"""Speed of asrdistill's filterbank beside kaldi-native-fbank's, on one core, in the same run.

    .venv/bin/python tools/bench/features.py [--seconds 300]

Both get the same utterances of 1 to 8 s; the rounds alternate and the fastest of each counts.
Fetching the frames one by one from kaldi-native-fbank's Python object is not counted against it.
FLAC files are decoded too, apart from all this: noise that costs as many bits a sample as LibriSpeech does
(59.3 GB for 960 hours, 8.6 bits). Their share is that of decoding in decoding and filterbank together.
The last line is one JSON object; `ratio` is the smaller of the two rates' ratios.
"""

import argparse
import json
import tempfile
import time

import kaldi_native_fbank as knf
import numpy as np
import soundfile
import torch

from asrdistill.data.audio import read_audio
from asrdistill.features.fbank import fbank
from asrdistill.features.options import FbankOptions

ROUNDS = 7
BITS_OF_LIBRISPEECH = 0.028  # noise of sd 0.1 times this is 92 units of 16-bit audio: log2(4.13 · 92) = 8.6 bits
SETTINGS = {
    "8 kHz, 40 bins": FbankOptions(),
    "16 kHz, 80 bins": FbankOptions(rate=16000, bins=80, low=20.0, high=-400.0),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=300.0, help="of audio in each round (default: %(default)s)")
    args = parser.parse_args()
    torch.set_num_threads(1)
    results = {name: compare(name, options, args.seconds) for name, options in SETTINGS.items()}
    print(json.dumps({"ratio": min(r["ratio"] for r in results.values()), **results}))


def compare(name: str, options: FbankOptions, seconds: float) -> dict[str, float]:
    utterances = noise(options.rate, seconds)
    duration = sum(map(len, utterances)) / options.rate
    ours, kaldis = [], []
    for _ in range(ROUNDS):
        ours.append(clock(lambda: fbank(utterances, options)))
        kaldis.append(clock(lambda: [kaldi(samples, options) for samples in utterances]))
    decoding = flac_seconds(options.rate, utterances)
    ratio = min(kaldis) / min(ours)
    print(
        f"{name}: asrdistill {duration / min(ours):.0f} x real time, kaldi-native-fbank "
        f"{duration / min(kaldis):.0f} x real time, ratio {ratio:.2f}; decoding FLAC {duration / decoding:.0f} x real "
        f"time, {100 * decoding / (decoding + min(ours)):.0f} % of decoding and filterbank"
    )
    return {
        "asrdistill_xrt": round(duration / min(ours)),
        "kaldi_native_fbank_xrt": round(duration / min(kaldis)),
        "ratio": round(ratio, 2),
        "flac_xrt": round(duration / decoding),
        "flac_share": round(decoding / (decoding + min(ours)), 3),
    }


def flac_seconds(rate: int, utterances: list[np.ndarray]) -> float:
    """Seconds for reading the utterances from FLAC files in the cache, scaled to LibriSpeech's bits a sample."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [f"{folder}/{number}.flac" for number in range(len(utterances))]
        for path, samples in zip(paths, utterances, strict=True):
            soundfile.write(path, samples * BITS_OF_LIBRISPEECH, rate, subtype="PCM_16")
        return min(clock(lambda: [read_audio(path, rate) for path in paths]) for _ in range(ROUNDS))


def noise(rate: int, seconds: float) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    lengths = []
    while sum(lengths) < seconds * rate:
        lengths.append(int(random.uniform(1, 8) * rate))
    return [random.normal(scale=0.1, size=length).astype(np.float32) for length in lengths]


def clock(work) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def kaldi(samples: np.ndarray, options: FbankOptions) -> None:
    settings = knf.FbankOptions()
    settings.frame_opts.samp_freq = options.rate
    settings.frame_opts.dither = 0
    settings.frame_opts.snip_edges = options.snip_edges
    settings.mel_opts.num_bins = options.bins
    settings.mel_opts.low_freq = options.low
    settings.mel_opts.high_freq = options.high
    computer = knf.OnlineFbank(settings)
    computer.accept_waveform(options.rate, samples * 32768)
    computer.input_finished()


if __name__ == "__main__":
    main()
