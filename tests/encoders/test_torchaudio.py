import pickle

import numpy as np
import pytest
import torch
import torchaudio

from asrdistill.encoders.factory import open_encoder
from tests.refusals import refused


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """torch's hub in a folder of its own, and a HUBERT_BASE of two small blocks: where its weights go, its form."""
    convolutions = [(8, 10, 5), (8, 3, 2), (8, 3, 2), (8, 3, 2), (8, 3, 2), (8, 2, 2), (8, 2, 2)]
    small = {"extractor_conv_layer_config": convolutions, "encoder_num_layers": 2, "encoder_embed_dim": 12}
    small |= {"encoder_num_heads": 2, "encoder_ff_interm_features": 24, "encoder_pos_conv_groups": 4}
    bundle = torchaudio.pipelines.HUBERT_BASE
    parameters = {**bundle._params, **small}
    bundle = type(bundle)("small.pth", parameters, 16000, False, "Wav2Vec2")
    monkeypatch.setattr(torchaudio.pipelines, "HUBERT_BASE", bundle)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder / "small.pth", parameters


@pytest.fixture
def model(hub):
    path, parameters = hub
    torch.manual_seed(0)
    model = torchaudio.models.wav2vec2_model(**parameters).eval()
    torch.save(model.state_dict(), path)
    return model


def noise(samples: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=samples).astype(np.float32) * 0.1


@pytest.mark.parametrize("layer", [1, 2])
def test_frames_equal_those_of_torchaudio(model, layer):
    encoder, waveform = open_encoder(f"torchaudio:HUBERT_BASE@{layer}"), noise(9_000)
    with torch.inference_mode():
        wanted = model.extract_features(torch.from_numpy(waveform)[None])[0][layer - 1][0].numpy()
    np.testing.assert_allclose(encoder.frames(waveform), wanted, atol=1e-5)
    assert encoder.frames(waveform).shape == (27, encoder.dimension)


def test_the_last_layer_is_the_default(model):
    assert open_encoder("torchaudio:HUBERT_BASE").settings == open_encoder("torchaudio:HUBERT_BASE@2").settings


@pytest.mark.parametrize("samples", [400, 719, 720, 480_080, 700_001])
def test_frame_every_20_ms_at_any_length(model, samples):
    frames = open_encoder("torchaudio:HUBERT_BASE").frames(noise(samples))
    assert frames.shape == (1 + (samples - 400) // 320, 12)
    assert np.isfinite(frames).all()


def test_unknown_encoders_layers_and_missing_weights_are_refused(hub, model):
    path, _ = hub
    with refused("399 samples", "16000 Hz"):
        open_encoder("torchaudio:HUBERT_BASE").frames(noise(399))
    with refused("HUBERT_BASE", 1, 2, 3):
        open_encoder("torchaudio:HUBERT_BASE@3")
    with refused("HUBERT_BASE", 1, 2, 0):
        open_encoder("torchaudio:HUBERT_BASE@0")
    with refused("HUBERT", "HUBERT_BASE", "WAV2VEC2_BASE"):
        open_encoder("torchaudio:HUBERT")
    path.unlink()
    with refused("HUBERT_BASE", path):
        open_encoder("torchaudio:HUBERT_BASE")


class Trap:
    def __reduce__(self):
        return pytest.fail, ("the file ran code",)


def test_pickled_weights_are_refused(hub):
    path, _ = hub
    torch.save({"weight": Trap()}, path)
    with refused(path, "HUBERT_BASE"):
        open_encoder("torchaudio:HUBERT_BASE")
    path.write_bytes(pickle.dumps(Trap(), protocol=2))
    with refused(path, "HUBERT_BASE"):
        open_encoder("torchaudio:HUBERT_BASE")
