"""Compare the speed of the filterbank with kaldi-native-fbank's on one core.

Both get the same utterances of 1 to 8 s; rounds alternate and the fastest of each counts. Fetching frames from
kaldi-native-fbank's Python object is not counted. Decoding FLAC is measured apart, on noise that costs as many bits a
sample as LibriSpeech. `ratio` is the smaller of the two rates' ratios.

Example:
  python tools/bench/features.py --seconds 300
"""

import tempfile

import kaldi_native_fbank as knf
import numpy as np
import soundfile
import torch
from common import arguments, fastest, finish

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
    parser = arguments(__doc__)
    parser.add_argument("--seconds", type=float, default=300.0, help="of audio in each round (default: %(default)s)")
    args = parser.parse_args()
    torch.set_num_threads(1)
    results = {name: compare(options, args.seconds) for name, options in SETTINGS.items()}
    finish({"ratio": min(found["ratio"] for found in results.values()), **results})


def compare(options: FbankOptions, seconds: float) -> dict[str, float]:
    utterances = noise(options.rate, seconds)
    duration = sum(map(len, utterances)) / options.rate
    with tempfile.TemporaryDirectory() as folder:
        paths = [f"{folder}/{number}.flac" for number in range(len(utterances))]
        for path, samples in zip(paths, utterances, strict=True):
            soundfile.write(path, samples * BITS_OF_LIBRISPEECH, options.rate, subtype="PCM_16")
        works = {
            "ours": lambda: fbank(utterances, options),
            "kaldi": lambda: [kaldi(samples, options) for samples in utterances],
            "flac": lambda: [read_audio(path, options.rate) for path in paths],
        }
        best = fastest(works, ROUNDS)
    return {
        "asrdistill_xrt": round(duration / best["ours"]),
        "kaldi_native_fbank_xrt": round(duration / best["kaldi"]),
        "ratio": round(best["kaldi"] / best["ours"], 2),
        "flac_xrt": round(duration / best["flac"]),
        "flac_share": round(best["flac"] / (best["flac"] + best["ours"]), 3),
    }


def noise(rate: int, seconds: float) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    lengths: list[int] = []
    while sum(lengths) < seconds * rate:
        lengths.append(int(random.uniform(1, 8) * rate))
    return [random.normal(scale=0.1, size=length).astype(np.float32) for length in lengths]


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
