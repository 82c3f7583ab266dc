import numpy as np
import pytest

from asrdistill.data.archive import FrameArchive
from asrdistill.features.fbank import fbank
from asrdistill.features.options import FbankOptions
from asrdistill.features.perturb import Perturbation, Perturbations, expand_to_copies, original_id, warped
from tests.refusals import refused

OPTIONS = FbankOptions(rate=8000, bins=40, low=60, high=3800)


def tone(hertz: float) -> np.ndarray:
    return 0.3 * np.sin(2 * np.pi * hertz * np.arange(4000) / 8000).astype(np.float32)


@pytest.mark.parametrize("warp", [0.9, 0.92, 1.05])
def test_warp_compensates_a_stretched_tone(warp):
    """A tone at warp · f through the warped filters peaks in the same bins as one at f through the plain ones."""
    peaks = [fbank([tone(f)], OPTIONS)[0].mean(0).argmax() for f in (600, 1500, 2800)]
    stretched = [fbank([tone(f * warp)], warped(OPTIONS, warp))[0].mean(0).argmax() for f in (600, 1500, 2800)]
    assert np.abs(np.array(peaks) - stretched).max() <= 1
    assert peaks != [fbank([tone(f * warp)], OPTIONS)[0].mean(0).argmax() for f in (600, 1500, 2800)]


def test_copies_are_named_for_their_warp():
    assert Perturbation("warp", 1.0).name("joe-A1") == "joe-A1"
    for warp in (0.92, 1.05, 1e-5):
        assert original_id(Perturbation("warp", warp).name("joe-A1")) == "joe-A1"
    assert original_id("warp-speed-1") == "warp-speed-1"


def test_impossible_warps_are_refused():
    assert warped(OPTIONS, 1.0) == OPTIONS
    with refused("1.2", "1.05"):
        warped(OPTIONS, 1.2)
    with refused("warp", 0):
        Perturbations(warps=(0.0,)).each()


def test_copies_share_the_alignment_of_their_original(corpus, tmp_path):
    frames = {
        Perturbation("warp", w).name(u): np.zeros((len(r), 6)) for u, r in corpus.labels.items() for w in (1.0, 0.9)
    }
    corpus.write_features(tmp_path / "features", frames)
    (tmp_path / "copies").mkdir()
    expand_to_copies(corpus.alignment, tmp_path / "features", tmp_path / "copies")
    copies = FrameArchive(tmp_path / "copies", "alignment")
    assert set(copies) == set(frames)
    np.testing.assert_array_equal(copies["warp0.9-utt003"], corpus.labels["utt003"])
    assert not list((tmp_path / "copies").glob("*.npy"))
