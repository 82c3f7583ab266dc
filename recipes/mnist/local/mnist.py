"""MNIST (70,000 images of 28 × 28 pixels; LeCun, Cortes and Burges) or scikit-learn's digits as feature archives.

Example:
  python recipes/mnist/local/mnist.py digits digits
  python recipes/mnist/local/mnist.py prepare digits corpus

IDX format: two bytes 0, one for the type (8: unsigned bytes), one for the number of dimensions, these as 32-bit
big-endian numbers, then the values.
"""

import gzip
import sys
import zlib
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

from asrdistill import fetch
from asrdistill.cli.command import Args, Group, arg, make
from asrdistill.data.archive import ShardWriter, finish
from asrdistill.errors import UserError, log
from asrdistill.features.statistics import PIXELS
from asrdistill.fetch import Remote
from asrdistill.hmm.senones import Senones
from asrdistill.progress import Meter

group = Group("mnist.py", __doc__)
OUT = arg("out", help="folder for the four files")

# Size in bytes and md5 of each file, as torchvision and TensorFlow check them.
FILES = {
    "train-images-idx3-ubyte.gz": (9_912_422, "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
    "train-labels-idx1-ubyte.gz": (28_881, "d53e105ee54ea40749a09fcbcd1e9432"),
    "t10k-images-idx3-ubyte.gz": (1_648_877, "9fb629c4189551a2d022fa330f9573f3"),
    "t10k-labels-idx1-ubyte.gz": (4_542, "ec29112dd5afa0611ce80d1b7f02629c"),
}
MIRRORS = ("https://ossci-datasets.s3.amazonaws.com/mnist", "https://storage.googleapis.com/cvdf-datasets/mnist")
BYTES = 8  # IDX's code of the type
DIGITS = 10
HELD_OUT = 6  # one train image in HELD_OUT is for validation
TEST = 540  # test images of scikit-learn's digits


@group.command(OUT, arg("--mirror", type=str, metavar="URL", help="server to fetch from (default: known mirrors)"))
def download(args: Args) -> None:
    """Fetch MNIST's four files (11 MB) from the first mirror that answers, and verify them"""
    if args.mirror and urlsplit(args.mirror).scheme not in ("http", "https"):
        raise UserError(f"--mirror {args.mirror} is not the address of a server; give one like {MIRRORS[0]}")
    mirrors = (args.mirror,) if args.mirror else MIRRORS
    place = next((place for place in mirrors if fetch.answers(f"{place}/{next(iter(FILES))}")), None)
    if place is None:
        raise UserError(
            f"MNIST cannot be reached at {' or '.join(mirrors)}; give another --mirror, or take run.sh --digits"
        )
    args.out.mkdir(parents=True, exist_ok=True)
    with Meter("MNIST", sum(size for size, _ in FILES.values()), "bytes") as meter:
        for name, (size, md5) in FILES.items():
            fetch.fetch(Remote(f"{place}/{name}", size, md5), args.out / name, meter.advance)


@group.command(OUT)
def digits(args: Args) -> None:
    """Write scikit-learn's 1,797 images of 8 × 8 pixels (Alpaydin and Kaynak 1998) as MNIST's files"""
    make(args, _write_digits, options={"corpus": "digits"})


def _write_digits(out: Path) -> None:
    """scikit-learn's digits as IDX files: 1,257 to train on, 540 to test, of the same 13 writers."""
    from sklearn.datasets import load_digits  # comes with asrdistill[test]

    found = load_digits()
    order = np.random.default_rng(0).permutation(len(found.target))
    for part, chosen in (("train", np.sort(order[TEST:])), ("t10k", np.sort(order[:TEST]))):
        write_idx(out / f"{part}-images-idx3-ubyte.gz", found.images[chosen])
        write_idx(out / f"{part}-labels-idx1-ubyte.gz", found.target[chosen])


@group.command(arg("source", help="folder with the four files"), arg("out", help="folder for features and ali"))
def prepare(args: Args) -> None:
    """Make OUT/features/SET and OUT/ali/SET of train, validation and test

    An image is an utterance of one frame, its pixels are the features and its digit is the senone.
    """
    make(args, lambda out: _prepare(args.source, out), args.source, options={"corpus": "mnist"})


def _prepare(source: Path, out: Path) -> None:
    """Make ``out/features/SET`` and ``out/ali/SET``; validation is a sixth of the train images, always the same.

    Raises UserError for files that are missing, damaged or do not fit each other.
    """
    (train, train_digits), (test, test_digits) = (_read_set(Path(source), part) for part in ("train", "t10k"))
    if train.shape[1:] != test.shape[1:]:
        raise UserError(f"{source} has images of {train.shape[1:]} and of {test.shape[1:]} pixels; copy it again")
    order = np.random.default_rng(0).permutation(len(train))
    held_out, kept = np.sort(order[: len(train) // HELD_OUT]), np.sort(order[len(train) // HELD_OUT :])
    _write_set(Path(out), "train", train[kept], train_digits[kept], kept)
    _write_set(Path(out), "validation", train[held_out], train_digits[held_out], held_out)
    _write_set(Path(out), "test", test, test_digits, np.arange(len(test)))


def read_idx(path: Path) -> np.ndarray:
    """Read a gzipped IDX file as a uint8 array; raises UserError for any other file and a wrong length."""
    try:
        content = gzip.decompress(path.read_bytes())
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; give a folder with MNIST's four files") from None
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path} is damaged ({error}); fetch it again") from None
    head = np.frombuffer(content[:4], np.uint8)
    if len(head) < 4 or tuple(head[:3]) != (0, 0, BYTES) or len(content) < 4 + 4 * head[3]:
        raise UserError(f"{path} is not an IDX file of bytes: it begins with {content[:4].hex(' ')}, not with 00 00 08")
    shape = tuple(int(size) for size in np.frombuffer(content, ">u4", int(head[3]), offset=4))
    values = np.frombuffer(content, np.uint8, offset=4 + 4 * len(shape))
    if len(values) != np.prod(shape, dtype=np.int64):
        raise UserError(f"{path} holds {len(values)} values, but its header says {shape}; fetch it again")
    return values.reshape(shape)


def write_idx(path: Path, array: np.ndarray) -> None:
    """Write uint8 values as a gzipped IDX file without a time stamp."""
    head = bytes([0, 0, BYTES, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    path.write_bytes(gzip.compress(head + np.ascontiguousarray(array, np.uint8).tobytes(), mtime=0))


def digit_senones() -> Senones:
    """Ten phones of one state each, 0 to 9 in order; 0 takes the place of silence."""
    names = [str(digit) for digit in range(DIGITS)]
    return Senones(names, {name: [int(name)] for name in names}, np.full(DIGITS, np.log(0.5)))


def _read_set(source: Path, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Images (N, rows, columns) and digits (N,) of "train" or "t10k"."""
    images, digits = (source / f"{part}-{what}-ubyte.gz" for what in ("images-idx3", "labels-idx1"))
    pixels, labels = read_idx(images), read_idx(digits)
    if pixels.ndim != 3 or labels.ndim != 1:
        raise UserError(f"{images} and {digits} have {pixels.ndim} and {labels.ndim} dimensions, not 3 and 1")
    if len(pixels) != len(labels) or not len(labels):
        raise UserError(f"{images} has {len(pixels)} images and {digits} {len(labels)} digits; fetch both again")
    if labels.max() >= DIGITS:
        raise UserError(f"{digits} holds a {labels.max()}, which is not a digit; fetch it again")
    return pixels, labels


def _write_set(
    out: Path, name: str, images: np.ndarray, digits: np.ndarray, numbers: Sequence[int] | np.ndarray
) -> None:
    """Write images as a feature archive and digits as its alignment; utterances are named by set and number."""
    features, alignment = out / "features" / name, out / "ali" / name
    features.mkdir(parents=True)
    alignment.mkdir(parents=True)
    rows, columns = images.shape[1:]
    pixels, senones = {"frames": ("|u1", (rows * columns,))}, digit_senones()
    parts: dict[str, tuple[str, tuple[int, ...]]] = {"frames": ("<i4", ()), "phones": ("<i4", ())}
    inputs, labels = ShardWriter(features, 0, pixels), ShardWriter(alignment, 0, parts)
    for number, image, digit in zip(numbers, images, digits, strict=True):
        utterance = f"{name}-{number:05d}"
        inputs.write(utterance, frames=image.reshape(1, -1))
        labels.write(utterance, frames=digit[None], phones=digit[None])
    settings = {"type": PIXELS, "rows": rows, "columns": columns}
    finish(features, "features", pixels, [inputs.close()], frame_shift=0.0, features=settings)
    finish(alignment, "alignment", parts, [labels.close()], senones=senones.hash, frame_shift=0.0)
    senones.write(alignment)
    log.info("%s: %d images of %d × %d pixels", name, len(images), rows, columns)


if __name__ == "__main__":
    sys.exit(group.main())
