"""A small planted problem: words, phones, and speech made from the phones' known states."""

from types import SimpleNamespace

import numpy as np
import pytest

from asrdistill.data.archive import ShardWriter, finish
from asrdistill.hmm.senones import Senones
from asrdistill.lang.lexicon import Lang

PRONUNCIATIONS = {
    "ab": [(1.0, ("A", "B"))],
    "cab": [(1.0, ("C", "A", "B"))],
    "either": [(0.6, ("A", "D")), (0.4, ("B", "C", "D"))],
    "dad": [(1.0, ("D", "A", "D"))],
}
FEATURES = {"type": "planted"}
SIZE = 4


@pytest.fixture(scope="session")
def lang():
    return Lang.build(PRONUNCIATIONS, ["A", "B", "C", "D"])


@pytest.fixture(scope="session")
def world(lang, tmp_path_factory):
    """80 utterances: `cepstra` archive, `data` and `lang` folders, the true senones of each frame, the words."""
    root = tmp_path_factory.mktemp("world")
    rng = np.random.default_rng(1)
    senones = Senones.monophones(lang)
    means = 3 * rng.standard_normal((senones.count, SIZE))
    means[senones.silence] = means[0]  # silence sounds the same throughout
    truth, words, features = {}, {}, {}
    for number in range(80):
        utterance = f"utt{number:02d}"
        words[utterance] = [str(word) for word in rng.choice(lang.words, rng.integers(2, 6))]
        phones = [lang.silence]
        for word in words[utterance]:
            spoken = lang.pronunciations[word]
            phones += spoken[rng.integers(len(spoken))][1]
            phones += [lang.silence] * int(rng.integers(2))
        path = [s for phone in phones for s in senones.states[phone] for _ in range(1 + rng.geometric(0.4))]
        truth[utterance] = np.array(path)
        features[utterance] = means[path] + rng.standard_normal((len(path), SIZE))
    for folder in ("cepstra", "data", "lang"):
        (root / folder).mkdir()
    write_features(root / "cepstra", features)
    write_data(root / "data", words)
    lang.write(root / "lang")
    return SimpleNamespace(root=root, truth=truth, words=words, features=features, senones=senones, means=means)


def write_features(folder, features):
    parts = {"frames": ("float32", (SIZE,))}
    writer = ShardWriter(folder, 0, parts)
    for utterance, frames in features.items():
        writer.write(utterance, frames=frames)
    finish(folder, "features", parts, [writer.close()], frame_shift=0.01, features=FEATURES)


def write_data(folder, words):
    (folder / "nothing.wav").write_bytes(b"")
    (folder / "wav.scp").write_text("".join(f"{utterance} nothing.wav\n" for utterance in words))
    (folder / "text").write_text("".join(f"{utterance} {' '.join(said)}\n" for utterance, said in words.items()))
