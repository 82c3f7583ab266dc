"""Compare the speed of the filterbank with kaldi-native-fbank's on one core.

Both get the same utterances of 1 to 8 s; rounds alternate and the fastest of each counts. Fetching frames from
kaldi-native-fbank's Python object is not counted. `ratio` is the smaller of the two rates' ratios.

Example:
  python tools/bench/features.py --seconds 300
"""

import kaldi_native_fbank as knf
import numpy as np
import torch
from common import arguments, fastest, finish

from asrdistill.features.fbank import fbank
from asrdistill.features.options import FbankOptions

ROUNDS = 7
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
    works = {
        "ours": lambda: fbank(utterances, options),
        "kaldi": lambda: [kaldi(samples, options) for samples in utterances],
    }
    best = fastest(works, ROUNDS)
    return {
        "asrdistill_xrt": round(duration / best["ours"]),
        "kaldi_native_fbank_xrt": round(duration / best["kaldi"]),
        "ratio": round(best["kaldi"] / best["ours"], 2),
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
