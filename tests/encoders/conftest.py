"""Small Whisper models with random weights, written by CTranslate2 itself."""

from pathlib import Path

import numpy as np
import pytest

LAYERS, HEADS, SIZE, BINS = 3, 2, 16, 80


class Whispers:
    """Models of three layers in a folder: whispers("int8") is one with quantised weights."""

    def __init__(self, folder: Path):
        self.folder = folder

    def __call__(self, quantization: str | None = None) -> Path:
        out = self.folder / str(quantization)
        if not out.exists():
            out.mkdir()
            write_whisper(out, quantization)
        return out


def write_whisper(out: Path, quantization: str | None) -> None:
    from ctranslate2.specs import WhisperSpec

    rng = np.random.default_rng(0)

    def draw(*shape: int) -> np.ndarray:
        return rng.normal(size=shape).astype(np.float32) * 0.3

    def fill(spec, name, value):  # what the weights are called says their shape
        *parents, last = name.split("/")
        if value is not None and last not in ("bias", "encodings"):
            return
        if last in ("gamma", "beta"):
            new = draw(SIZE) + (last == "gamma")
        elif "conv" in name:
            new = draw(SIZE) if last == "bias" else draw(SIZE, BINS if parents[-1] == "conv1" else SIZE, 3)
        elif last == "encodings":
            new = draw(1500 if parents[0] == "encoder" else 448, SIZE)
        elif parents[-1] in ("embeddings", "projection"):
            new = draw(60, SIZE) if last == "weight" else draw(60)
        else:
            wide = {"ffn/linear_0": (4 * SIZE, SIZE), "ffn/linear_1": (SIZE, 4 * SIZE)}
            wide |= {"self_attention/linear_0": (3 * SIZE, SIZE), "attention/linear_1": (2 * SIZE, SIZE)}
            shape = wide.get("/".join(parents[-2:]), (SIZE, SIZE))
            new = draw(*shape) if last == "weight" else draw(shape[0])
        setattr(spec, last, new)

    spec = WhisperSpec(LAYERS, HEADS, 1, HEADS)
    spec._visit(fill)
    spec.register_vocabulary([f"<{number}>" for number in range(60)])
    spec.validate()
    spec.optimize(quantization)
    spec.save(str(out))


@pytest.fixture(scope="session")
def whispers(tmp_path_factory: pytest.TempPathFactory) -> Whispers:
    pytest.importorskip("ctranslate2")
    return Whispers(tmp_path_factory.mktemp("whispers"))
