"""scikit-learn's digits: 1,797 handwritten ones of 8 × 8 pixels in 17 shades, which its package ships.

They are the test half of "Optical Recognition of Handwritten Digits" (Alpaydin and Kaynak 1998), by 13 writers. Here
they come as MNIST's four files and are prepared as MNIST is.
"""

from pathlib import Path

import numpy as np

from asrdistill import stage
from asrdistill.corpora.mnist import prepare_mnist, write_idx

prepare_digits = prepare_mnist

TEST = 540  # images, drawn once and for all


def download_digits(out: Path) -> None:
    """Write the digits as IDX files into the folder `out`; 1,257 to train on, 540 to test, of the same writers."""
    stage.make(out, _write, verb="download", options={"corpus": "digits"}, inputs=[])


def _write(out: Path) -> None:
    from sklearn.datasets import load_digits  # comes with librosa

    found = load_digits()
    order = np.random.default_rng(0).permutation(len(found.target))
    for part, chosen in (("train", np.sort(order[TEST:])), ("t10k", np.sort(order[:TEST]))):
        write_idx(out / f"{part}-images-idx3-ubyte.gz", found.images[chosen])
        write_idx(out / f"{part}-labels-idx1-ubyte.gz", found.target[chosen])
