"""Add shifted copies of images to a feature archive.

Example:
  python recipes/mnist/local/shift_images.py corpus/features/train shifted/features --pixels 2 --copies 8
  asrdistill ali expand corpus/ali/train shifted/features shifted/ali
"""

import sys
from pathlib import Path

import numpy as np

from asrdistill.cli.command import Args, Group, arg, count, make
from asrdistill.data.archive import FrameArchive, ShardWriter, finish
from asrdistill.errors import UserError
from asrdistill.features.perturb import shift_name
from asrdistill.features.statistics import PIXELS

group = Group("shift_images.py")


@group.command(
    arg("features", help="feature archive of images"),
    arg("out", help="feature archive to make, of the images and their copies"),
    arg("--pixels", type=count, default=2, help="largest shift to each side (default: %(default)s)"),
    arg("--copies", type=int, default=0, help="shifted copies of an image; 0 for every shift (default)"),
    arg("--seed", type=int, default=0, help="seed of the choice of shifts (default: %(default)s)"),
)
def _(args: Args) -> None:
    """Add shifted copies of images to a feature archive"""
    settings = {"pixels": args.pixels, "copies": args.copies, "seed": args.seed}
    make(args, lambda out: shift_images(args.features, out, **settings), args.features, options=settings)


def shift_images(features: Path, out: Path, pixels: int, copies: int, seed: int) -> None:
    """Write all images, each also moved by up to `pixels` vertically and horizontally; new pixels are 0.

    `copies` shifts are drawn for each image, or all are taken if it is 0. Raises UserError for features that are not
    images, and for more copies than there are shifts.
    """
    archive = FrameArchive(features, "features")
    settings = archive.meta["features"]
    if settings.get("type") != PIXELS:
        raise UserError(f"{features} holds {settings.get('type')}, but only images can be shifted")
    places = range(2 * pixels + 1)
    moves = [(down, right) for down in places for right in places if (down, right) != (pixels, pixels)]
    if not 0 <= copies <= len(moves):
        raise UserError(f"{pixels} pixels allow at most {len(moves)} copies of an image, not {copies}")
    rows, columns = settings["rows"], settings["columns"]
    described = archive.meta["parts"]["frames"]
    parts = {"frames": (described["dtype"], tuple(described["shape"]))}
    writer, rng = ShardWriter(out, 0, parts), np.random.default_rng(seed)
    for name in archive:
        images = archive[name].reshape(-1, rows, columns)
        wide = np.pad(images, ((0, 0), (pixels, pixels), (pixels, pixels)))
        writer.write(name, frames=archive[name])
        for number in rng.choice(len(moves), copies or len(moves), replace=False):
            down, right = moves[number]
            moved = wide[:, 2 * pixels - down :, 2 * pixels - right :][:, :rows, :columns]
            writer.write(shift_name(name, down - pixels, right - pixels), frames=moved.reshape(len(images), -1))
    made = {"pixels": pixels, "copies": copies or len(moves), "seed": seed}
    shift, shards = archive.meta["frame_shift"], [writer.close()]
    finish(out, "features", parts, shards, frame_shift=shift, features=settings, shifts=made)


if __name__ == "__main__":
    sys.exit(group.main())
