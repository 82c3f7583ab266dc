"""Copies of images that are moved by a few pixels, named as :mod:`asrdistill.features.copies` says."""

from pathlib import Path

import numpy as np

from asrdistill.data.archive import FrameArchive, ShardWriter, finish
from asrdistill.errors import UserError
from asrdistill.features.copies import shift_name
from asrdistill.features.statistics import PIXELS


def jitter(features: Path, out: Path, pixels: int, copies: int, seed: int) -> None:
    """Write into `out` all images of `features`, each also moved by up to `pixels` up or down and left or right.

    `copies` of the other positions are drawn for each image, all of them if it is 0. What comes in at an edge is 0.
    Raises UserError for features that are no images, and for more copies than there are positions.
    """
    archive = FrameArchive(features, "features")
    settings = archive.meta["features"]
    if settings.get("type") != PIXELS:
        raise UserError(f"{features} holds {settings.get('type')}, but only the pixels of images can be moved")
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
    finish(out, "features", parts, [writer.close()], **_settings(archive), jitter=made)


def _settings(archive: FrameArchive) -> dict[str, object]:
    return {key: archive.meta[key] for key in ("frame_shift", "features")}
