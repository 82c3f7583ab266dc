"""Reading the audio of wav.scp: formats, rates, segments, commands, damage."""

import io
import shlex
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asrdistill.data.audio import audio_pieces, read_audio
from tests.refusals import refused

RATE = 8000


def tone(rate: int = RATE, seconds: float = 1.0, frequency: float = 440.0) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * frequency * np.arange(round(rate * seconds)) / rate)


def write(path: Path, samples: np.ndarray | None = None, rate: int = RATE, **how) -> str:
    soundfile.write(path, tone() if samples is None else samples, rate, **how)
    return str(path)


def refuses(names: tuple, source: str, *arguments, **more) -> None:
    with refused(source, *names):
        read_audio(source, *arguments, **more)


def test_written_samples_are_read_again(tmp_path):
    samples = read_audio(write(tmp_path / "a.wav", subtype="FLOAT"), RATE)
    assert samples.dtype == np.float32
    np.testing.assert_allclose(samples, tone(), atol=1e-7)


@pytest.mark.parametrize("ending", ["wav", "flac", "ogg", "mp3", "aiff", "au"])
def test_every_format_returns_all_samples(tmp_path, ending):
    samples = read_audio(write(tmp_path / f"a.{ending}"), RATE)
    assert len(samples) == RATE
    assert np.corrcoef(samples[800:7200], tone()[800:7200])[0, 1] > 0.99


def test_sphere_is_recognised_under_any_name(tmp_path):
    """TIMIT's files are SPHERE and called .WAV."""
    assert len(read_audio(write(tmp_path / "A.WAV", format="NIST"), RATE)) == RATE


@pytest.mark.parametrize("native", [16000, 11025, 44100])
def test_other_rates_are_resampled(tmp_path, native):
    samples = read_audio(write(tmp_path / "a.wav", tone(native), native, subtype="FLOAT"), RATE)
    assert len(samples) == RATE
    np.testing.assert_allclose(samples[500:-500], tone()[500:-500], atol=2e-3)


@pytest.mark.parametrize(("count", "expected"), [(1, 1), (57, 42), (801, 582), (11025, RATE)])
def test_resampled_length_is_rounded_up(tmp_path, count, expected):
    samples = read_audio(write(tmp_path / "a.wav", tone(11025)[:count], 11025, subtype="FLOAT"), RATE)
    assert (len(samples), samples.dtype) == (expected, np.float32)


def test_resampling_filters_what_would_alias(tmp_path):
    samples = read_audio(write(tmp_path / "a.wav", tone(16000, frequency=6000), 16000), RATE)
    assert np.abs(samples[500:-500]).max() < 2e-3


@pytest.mark.parametrize("ending", ["wav", "flac", "mp3"])
def test_segment_equals_a_slice_of_the_recording(tmp_path, ending):
    source = write(tmp_path / f"a.{ending}", np.random.default_rng(0).uniform(-0.5, 0.5, RATE))
    whole = read_audio(source, RATE)
    np.testing.assert_allclose(read_audio(source, RATE, 0.25, 0.5), whole[2000:4000], atol=1e-6)
    np.testing.assert_allclose(read_audio(source, RATE, 0.75), whole[6000:], atol=1e-6)


def test_segments_far_beyond_the_end_are_refused(tmp_path):
    source = write(tmp_path / "a.wav")
    assert len(read_audio(source, RATE, 0.5, 1.3)) == RATE // 2  # so much too long is usual
    refuses(("1.00 s", "1.7 s"), source, RATE, 0.5, 1.7)
    refuses(("segment",), source, RATE, 1.5, 2.0)


def test_missing_and_empty_files_are_refused(tmp_path):
    refuses(("exist",), str(tmp_path / "a.wav"), RATE)
    (tmp_path / "folder").mkdir()
    refuses(("exist",), str(tmp_path / "folder"), RATE)
    (tmp_path / "a.wav").touch()
    refuses(("empty",), str(tmp_path / "a.wav"), RATE)
    refuses(("samples",), write(tmp_path / "none.wav", np.zeros(0)), RATE)


def test_text_file_is_refused(tmp_path):
    (tmp_path / "a.txt").write_text("These are words, and they make no sound.\n" * 50)
    refuses(("audio",), str(tmp_path / "a.txt"), RATE)


def test_stereo_is_refused(tmp_path):
    refuses(("2 channels",), write(tmp_path / "a.wav", np.zeros((RATE, 2))), RATE)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_samples_that_are_not_finite_are_refused(tmp_path, bad):
    samples = tone()
    samples[100] = bad
    refuses(("finite",), write(tmp_path / "a.wav", samples, subtype="FLOAT"), RATE)


@pytest.mark.parametrize(
    "ending",
    ["wav", "flac", "ogg", "mp3", "aiff", "au", "nist", "w64", "rf64", "voc", "svx", "avr", "mpc2k", "mat4", "mat5"],
)
@pytest.mark.parametrize("kept", [0.5, 0.9])
def test_truncated_file_is_refused(tmp_path, ending, kept):
    """Noise, because a codec packs a tone into a few bytes; MP3 is one with a Xing header."""
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 4 * RATE)
    whole = Path(write(tmp_path / f"a.{ending}", noise, format="NIST" if ending == "nist" else None))
    assert len(read_audio(str(whole), RATE)) == 4 * RATE
    content = whole.read_bytes()
    cut = tmp_path / f"cut.{ending}"
    cut.write_bytes(content[: int(len(content) * kept)])
    if ending == "ogg":  # says nowhere how long it should be
        assert kept == 0.5 or len(read_audio(str(cut), RATE)) < 4 * RATE
    else:
        refuses((), str(cut), RATE)


def test_streamed_wav_of_unknown_length_is_read(tmp_path):
    """Tools that write into a pipe put the largest size into the header."""
    content = bytearray(Path(write(tmp_path / "a.wav")).read_bytes())
    content[4:8] = content[40:44] = struct.pack("<I", 0xFFFFFFFF)
    (tmp_path / "stream.wav").write_bytes(content)
    assert len(read_audio(str(tmp_path / "stream.wav"), RATE)) == RATE


@pytest.mark.parametrize(("size", "kept"), [(0xBB31DC34, 1.0), (0, 0.5)])
def test_wav_whose_whole_size_contradicts_that_of_its_samples_is_refused(tmp_path, size, kept):
    content = bytearray(Path(write(tmp_path / "a.wav")).read_bytes())
    content[40:44] = struct.pack("<I", size)
    (tmp_path / "b.wav").write_bytes(content[: int(len(content) * kept)])
    refuses((), str(tmp_path / "b.wav"), RATE)


@pytest.mark.parametrize("subtype", ["PCM_S8", "PCM_16", "PCM_24"])
@pytest.mark.parametrize("channels", [1, 2])
def test_flac_whose_samples_are_not_those_of_its_md5_is_refused(tmp_path, subtype, channels):
    path = tmp_path / "a.flac"
    source = write(path, np.tile(tone(seconds=9)[:, None], channels), subtype=subtype)
    whole = read_audio(source, RATE, mix=True)
    assert sum(map(len, audio_pieces(source)[1])) == len(whole)
    content = bytearray(path.read_bytes())
    content[30] ^= 1
    path.write_bytes(content)
    refuses(("MD5",), source, RATE, mix=True)
    with refused(source, "MD5"):
        list(audio_pieces(source)[1])
    assert len(read_audio(source, RATE, 1.0, 2.0, mix=True)) == RATE  # a part has no sum of its own
    content[26:42] = bytes(16)  # unknown
    path.write_bytes(content)
    np.testing.assert_array_equal(read_audio(source, RATE, mix=True), whole)


def test_streamed_flac_of_unknown_length_is_refused(tmp_path):
    content = bytearray(Path(write(tmp_path / "a.flac")).read_bytes())
    content[21] &= 0xF0  # the 36 bits of the sample count
    content[22:26] = bytes(4)
    (tmp_path / "stream.flac").write_bytes(content)
    refuses((), str(tmp_path / "stream.flac"), RATE)


def test_shell_commands_are_refused_unless_allowed(tmp_path):
    command = f"cat {shlex.quote(write(tmp_path / 'a.wav'))} |"
    refuses(("--pipes",), command, RATE)
    assert len(read_audio(command, RATE, pipes=True)) == RATE
    np.testing.assert_array_equal(
        read_audio(command, RATE, 0.2, 0.4, pipes=True), read_audio(command, RATE, pipes=True)[1600:3200]
    )


def test_refused_command_does_not_run(tmp_path):
    refuses(("--pipes",), f"touch {tmp_path / 'ran'} |", RATE)
    assert not (tmp_path / "ran").exists()


def test_failing_command_is_refused_with_its_status(tmp_path):
    refuses(("status 3", "no luck"), "printf 'no %s' luck >&2; exit 3 |", RATE, pipes=True)
    refuses(("audio",), "true |", RATE, pipes=True)


def test_piped_sphere_is_read_and_a_truncated_one_refused(tmp_path):
    source = write(tmp_path / "a.sph", format="NIST")
    assert len(read_audio(f"cat {source} |", RATE, pipes=True)) == RATE
    refuses(("samples",), f"head -c 9000 {source} |", RATE, pipes=True)


def test_integer_samples_are_scaled_to_one(tmp_path):
    file = io.BytesIO()
    soundfile.write(file, np.array([-32768, 0, 16384], dtype=np.int16), RATE, format="WAV")
    (tmp_path / "a.wav").write_bytes(file.getvalue())
    assert read_audio(str(tmp_path / "a.wav"), RATE).tolist() == [-1.0, 0.0, 0.5]


def test_resampled_files_are_librosas(tmp_path):
    import librosa

    samples = tone(11025)
    write(tmp_path / "a.wav", samples, 11025, subtype="FLOAT")
    expected = librosa.resample(samples.astype(np.float32), orig_sr=11025, target_sr=RATE, res_type="soxr_hq")
    np.testing.assert_array_equal(read_audio(str(tmp_path / "a.wav"), RATE), expected)


def test_wav_of_a_killed_recorder_is_read_whole(tmp_path):
    for riff in (0, 36, RATE * 2 + 36):
        content = bytearray(Path(write(tmp_path / "a.wav")).read_bytes())
        content[4:8], content[40:44] = struct.pack("<I", riff), bytes(4)
        (tmp_path / "b.wav").write_bytes(content)
        np.testing.assert_array_equal(
            read_audio(str(tmp_path / "b.wav"), RATE), read_audio(str(tmp_path / "a.wav"), RATE)
        )
    (tmp_path / "c.wav").write_bytes(content[:44] + b"LIST" + struct.pack("<I", 4) + b"INFO")
    refuses((), str(tmp_path / "c.wav"), RATE)


def test_headerless_audio_is_refused(tmp_path):
    (tmp_path / "a.raw").write_bytes(bytes(1000))
    refuses(("--stream",), str(tmp_path / "a.raw"), RATE)


@pytest.mark.parametrize(("form", "how"), [("mp3", {}), ("ogg", {}), ("opus", {"format": "OGG", "subtype": "OPUS"})])
def test_joined_files_are_refused_rather_than_heard_in_part(tmp_path, form, how):
    content = Path(write(tmp_path / f"a.{form}", **how)).read_bytes()
    (tmp_path / f"b.{form}").write_bytes(content * 2)
    assert len(read_audio(str(tmp_path / f"a.{form}"), RATE)) == RATE
    refuses((), str(tmp_path / f"b.{form}"), RATE)
    assert len(read_audio(str(tmp_path / f"b.{form}"), RATE, 0.1, 0.5)) == round(0.4 * RATE)


def test_mp3_of_varying_bitrate_without_its_length_is_refused(tmp_path):
    """A loud beginning, from whose bitrate libsndfile would estimate the length."""
    rng = np.random.default_rng(0)
    loud, soft = rng.uniform(-0.9, 0.9, 4 * RATE), np.zeros(60 * RATE)
    how = {"format": "MP3", "bitrate_mode": "VARIABLE"}
    content = Path(write(tmp_path / "a.mp3", np.concatenate([loud, soft, loud]), **how)).read_bytes()
    assert len(read_audio(str(tmp_path / "a.mp3"), RATE)) == 68 * RATE
    first = content.index(b"\xff", content.index(b"Xing") if b"Xing" in content else content.index(b"Info"))
    (tmp_path / "b.mp3").write_bytes(content[first:])
    refuses((), str(tmp_path / "b.mp3"), RATE)


def test_float_samples_in_the_range_of_integers_are_refused(tmp_path):
    refuses((30000,), write(tmp_path / "a.wav", np.array([0.0, 30000.0, -1.0]), subtype="FLOAT"), RATE)


def test_channels_are_mixed_on_demand(tmp_path):
    write(tmp_path / "a.wav", np.stack([tone(), 0 * tone()], axis=1), subtype="FLOAT")
    np.testing.assert_allclose(read_audio(str(tmp_path / "a.wav"), RATE, mix=True), tone() / 2, atol=1e-6)


def test_a_second_file_behind_the_first_is_refused_and_remarks_are_not(tmp_path):
    content = Path(write(tmp_path / "a.wav")).read_bytes()
    (tmp_path / "b.wav").write_bytes(content * 2)
    refuses((), str(tmp_path / "b.wav"), RATE)
    (tmp_path / "c.wav").write_bytes(content + b"LIST" + struct.pack("<I", 100) + bytes(100))
    assert len(read_audio(str(tmp_path / "c.wav"), RATE)) == RATE
    (tmp_path / "d.wav").write_bytes(content[:40] + struct.pack("<I", RATE) + content[44:])  # size of the first half
    refuses((), str(tmp_path / "d.wav"), RATE)
