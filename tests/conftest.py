"""Fixtures that several tests share."""

import fcntl
from collections.abc import Callable
from pathlib import Path

import asterisk
import numpy as np
import pytest

from asrdistill.data.archive import ShardWriter, finish
from asrdistill.hmm.senones import Senones


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first, those of recipes before all, so that no core is left with one at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: (item.path not in slow, "recipes" not in item.path.parts))


class Corpus:
    """Synthetic features whose senones can be told from them: frame = mean of its senone + noise."""

    def __init__(self, folder: Path, utterances: int = 30, phones: int = 3, dimension: int = 6, noise: float = 0.6):
        rng = np.random.default_rng(0)
        names = ["SIL", *(f"P{i}" for i in range(1, phones))]
        states, count = {}, 0
        for name in names:
            length = 5 if name == "SIL" else 3
            states[name] = list(range(count, count + length))
            count += length
        self.senones = Senones(names, states, np.full(count, np.log(0.5)))
        self.folder, self.features, self.alignment = folder, folder / "features", folder / "alignment"
        self.settings = {"type": "fbank", "rate": 8000, "bins": dimension}
        means = rng.normal(size=(count, dimension))
        rows = [np.sort(rng.integers(0, count, size=rng.integers(40, 80))) for _ in range(utterances)]
        self.labels = {f"utt{i:03d}": row.astype(np.int32) for i, row in enumerate(rows)}
        frames = {u: means[row] + noise * rng.normal(size=(len(row), dimension)) for u, row in self.labels.items()}
        self.write_features(self.features, frames)
        self.write_alignment(self.alignment, self.labels)

    def write_features(self, folder: Path, frames: dict[str, np.ndarray]) -> None:
        write_archive(folder, "features", frames, "<f4", features=self.settings, frame_shift=0.01)

    def write_alignment(self, folder: Path, labels: dict[str, np.ndarray]) -> None:
        write_archive(folder, "alignment", labels, "<i4", senones=self.senones.hash, frame_shift=0.01)
        self.senones.write(folder)


def write_archive(folder: Path, kind: str, frames: dict[str, np.ndarray], dtype: str, **meta: object) -> None:
    folder.mkdir(parents=True)
    parts = {"frames": (dtype, next(iter(frames.values())).shape[1:])}
    writer = ShardWriter(folder, 0, parts)
    for utterance, array in frames.items():
        writer.write(utterance, frames=array)
    finish(folder, kind, parts, [writer.close()], **meta)


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    return Corpus(tmp_path / "corpus")


ROOT = Path(__file__).resolve().parents[1]
PROMPTS = ROOT / "recipes/own_voice/data/asterisk"  # ignored by git; stays there for the next time


@pytest.fixture(scope="session")
def prompts(tmp_path_factory) -> Callable[[str], Path]:
    """prompts(language): a folder with train, dev and test of a telephone exchange's prompts; skips without apt-get."""

    def prepared(language: str) -> Path:
        out = tmp_path_factory.getbasetemp() / "prompts" / language
        if not out.exists():
            PROMPTS.parent.mkdir(parents=True, exist_ok=True)
            with open(PROMPTS.with_name(".asterisk.tests"), "w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)  # tests in another process may want them too
                failed = asterisk.group.main(["download", str(PROMPTS), "--languages", language])
            if failed:
                pytest.skip(f"Asterisk's prompts in {language} cannot be fetched: no apt-get, or no network")
            assert asterisk.group.main(["prepare", str(PROMPTS), str(out), "--languages", language]) == 0
        return out / language

    return prepared


@pytest.fixture(scope="session")
def make_corpus() -> type[Corpus]:
    """For fixtures that last longer than a test: make_corpus(folder)."""
    return Corpus
