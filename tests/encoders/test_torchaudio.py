import pickle

import numpy as np
import pytest
import torch
import torchaudio

from asrdistill.encoders.factory import open_encoder
from asrdistill.errors import UserError


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
def test_frames_are_those_of_torchaudios_model(model, layer):
    encoder, waveform = open_encoder(f"torchaudio:HUBERT_BASE@{layer}"), noise(9_000)
    with torch.inference_mode():
        wanted = model.extract_features(torch.from_numpy(waveform)[None])[0][layer - 1][0].numpy()
    np.testing.assert_allclose(encoder.frames(waveform), wanted, atol=1e-5)
    assert encoder.frames(waveform).shape == (27, encoder.dimension)


def test_the_last_layer_is_the_default(model):
    assert open_encoder("torchaudio:HUBERT_BASE").settings == open_encoder("torchaudio:HUBERT_BASE@2").settings


@pytest.mark.parametrize("samples", [400, 719, 720, 480_080, 700_001])
def test_a_frame_every_20_ms_whatever_the_length(model, samples):
    frames = open_encoder("torchaudio:HUBERT_BASE").frames(noise(samples))
    assert frames.shape == (1 + (samples - 400) // 320, 12)
    assert np.isfinite(frames).all()


def test_what_is_not_there_is_one_sentence(hub, model):
    path, _ = hub
    with pytest.raises(UserError, match="399 samples at 16000 Hz are too few"):
        open_encoder("torchaudio:HUBERT_BASE").frames(noise(399))
    with pytest.raises(UserError, match="layers 1 to 2, but not 3"):
        open_encoder("torchaudio:HUBERT_BASE@3")
    with pytest.raises(UserError, match="layers 1 to 2, but not 0"):
        open_encoder("torchaudio:HUBERT_BASE@0")
    with pytest.raises(UserError, match=r"torchaudio has no encoder HUBERT; it has .*WAV2VEC2_BASE"):
        open_encoder("torchaudio:HUBERT")
    path.unlink()
    with pytest.raises(UserError, match=r"are not on this machine; put torchaudio's file at .*small\.pth"):
        open_encoder("torchaudio:HUBERT_BASE")


class Trap:
    def __reduce__(self):
        return pytest.fail, ("the file ran code",)


def test_a_file_cannot_run_code(hub):
    path, _ = hub
    torch.save({"weight": Trap()}, path)
    with pytest.raises(UserError, match="holds no weights of HUBERT_BASE"):
        open_encoder("torchaudio:HUBERT_BASE")
    path.write_bytes(pickle.dumps(Trap(), protocol=2))
    with pytest.raises(UserError, match="holds no weights of HUBERT_BASE"):
        open_encoder("torchaudio:HUBERT_BASE")
