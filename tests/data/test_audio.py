"""Audio of every kind that may stand in a wav.scp, good and bad."""

import io
import shlex
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asrdistill.data.audio import read_audio
from asrdistill.errors import UserError

RATE = 8000


def tone(rate: int = RATE, seconds: float = 1.0, frequency: float = 440.0) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * frequency * np.arange(round(rate * seconds)) / rate)


def write(path: Path, samples: np.ndarray | None = None, rate: int = RATE, **how) -> str:
    soundfile.write(path, tone() if samples is None else samples, rate, **how)
    return str(path)


def refuses(match: str, *arguments, **more) -> None:
    with pytest.raises(UserError, match=match):
        read_audio(*arguments, **more)


def test_samples_come_back_as_written(tmp_path):
    samples = read_audio(write(tmp_path / "a.wav", subtype="FLOAT"), RATE)
    assert samples.dtype == np.float32
    np.testing.assert_allclose(samples, tone(), atol=1e-7)


@pytest.mark.parametrize("ending", ["wav", "flac", "ogg", "mp3", "aiff", "au"])
def test_every_format_gives_all_samples(tmp_path, ending):
    samples = read_audio(write(tmp_path / f"a.{ending}"), RATE)
    assert len(samples) == RATE
    assert np.corrcoef(samples[800:7200], tone()[800:7200])[0, 1] > 0.99


def test_sphere_whatever_its_name(tmp_path):
    """TIMIT's files are SPHERE and called .WAV."""
    assert len(read_audio(write(tmp_path / "A.WAV", format="NIST"), RATE)) == RATE


@pytest.mark.parametrize("native", [16000, 11025, 44100])
def test_another_rate_is_converted(tmp_path, native):
    samples = read_audio(write(tmp_path / "a.wav", tone(native), native, subtype="FLOAT"), RATE)
    assert len(samples) == RATE
    np.testing.assert_allclose(samples[500:-500], tone()[500:-500], atol=2e-3)


def test_what_lies_above_the_new_band_is_filtered_out(tmp_path):
    samples = read_audio(write(tmp_path / "a.wav", tone(16000, frequency=6000), 16000), RATE)
    assert np.abs(samples[500:-500]).max() < 2e-3


@pytest.mark.parametrize("ending", ["wav", "flac", "mp3"])
def test_a_segment_is_the_part_of_the_whole(tmp_path, ending):
    source = write(tmp_path / f"a.{ending}", np.random.default_rng(0).uniform(-0.5, 0.5, RATE))
    whole = read_audio(source, RATE)
    np.testing.assert_allclose(read_audio(source, RATE, 0.25, 0.5), whole[2000:4000], atol=1e-6)
    np.testing.assert_allclose(read_audio(source, RATE, 0.75), whole[6000:], atol=1e-6)


def test_segments_and_the_end_of_the_recording(tmp_path):
    source = write(tmp_path / "a.wav")
    assert len(read_audio(source, RATE, 0.5, 1.3)) == RATE // 2  # so much too long is usual
    refuses("ends at 1.00 s, before the segment's end", source, RATE, 0.5, 1.7)
    refuses("ends before the segment begins", source, RATE, 1.5, 2.0)


def test_missing_and_empty_files(tmp_path):
    refuses("a.wav does not exist", str(tmp_path / "a.wav"), RATE)
    refuses("does not exist", str(tmp_path), RATE)  # a folder
    (tmp_path / "a.wav").touch()
    refuses("a.wav is empty", str(tmp_path / "a.wav"), RATE)
    refuses("holds no samples", write(tmp_path / "none.wav", np.zeros(0)), RATE)


def test_a_text_file_is_no_audio(tmp_path):
    (tmp_path / "a.txt").write_text("These are words, and they make no sound.\n" * 50)
    refuses(r"a\.txt cannot be read as audio", str(tmp_path / "a.txt"), RATE)


def test_stereo_is_refused(tmp_path):
    refuses("a.wav has 2 channels", write(tmp_path / "a.wav", np.zeros((RATE, 2))), RATE)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_refused(tmp_path, bad):
    samples = tone()
    samples[100] = bad
    refuses("not finite", write(tmp_path / "a.wav", samples, subtype="FLOAT"), RATE)


@pytest.mark.parametrize("ending", ["wav", "flac", "ogg", "mp3", "aiff", "au", "nist"])
@pytest.mark.parametrize("kept", [0.5, 0.9])
def test_a_file_cut_in_the_middle_is_refused(tmp_path, ending, kept):
    """Noise, because a codec packs a tone into a few bytes; MP3 is one with a Xing header."""
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 4 * RATE)
    whole = Path(write(tmp_path / f"a.{ending}", noise, format="NIST" if ending == "nist" else None))
    content = whole.read_bytes()
    cut = tmp_path / f"cut.{ending}"
    cut.write_bytes(content[: int(len(content) * kept)])
    if ending == "ogg":  # says nowhere how long it should be
        assert kept == 0.5 or len(read_audio(str(cut), RATE)) < 4 * RATE
    else:
        refuses("cut short|cannot be read", str(cut), RATE)


def test_a_stream_that_could_not_know_its_length_is_read(tmp_path):
    """Tools that write into a pipe put the largest size into the header."""
    content = bytearray(Path(write(tmp_path / "a.wav")).read_bytes())
    content[4:8] = content[40:44] = struct.pack("<I", 0xFFFFFFFF)
    (tmp_path / "stream.wav").write_bytes(content)
    assert len(read_audio(str(tmp_path / "stream.wav"), RATE)) == RATE


def test_a_flac_stream_that_could_not_know_its_length_is_refused(tmp_path):
    content = bytearray(Path(write(tmp_path / "a.flac")).read_bytes())
    content[21] &= 0xF0  # the 36 bits of the sample count
    content[22:26] = bytes(4)
    (tmp_path / "stream.flac").write_bytes(content)
    refuses("does not say how long it is", str(tmp_path / "stream.flac"), RATE)


def test_commands_are_refused_unless_they_are_allowed(tmp_path):
    command = f"cat {shlex.quote(write(tmp_path / 'a.wav'))} |"
    refuses("is a shell command; allow", command, RATE)
    assert len(read_audio(command, RATE, pipes=True)) == RATE
    np.testing.assert_array_equal(
        read_audio(command, RATE, 0.2, 0.4, pipes=True), read_audio(command, RATE, pipes=True)[1600:3200]
    )


def test_a_refused_command_does_not_run(tmp_path):
    refuses("shell command", f"touch {tmp_path / 'ran'} |", RATE)
    assert not (tmp_path / "ran").exists()


def test_a_command_that_fails_is_told(tmp_path):
    refuses("failed with exit status 3: no luck", "echo no luck >&2; exit 3 |", RATE, pipes=True)
    refuses("cannot be read as audio", "true |", RATE, pipes=True)


def test_a_piped_sphere_file_is_read_and_its_cut_told(tmp_path):
    source = write(tmp_path / "a.sph", format="NIST")
    assert len(read_audio(f"cat {source} |", RATE, pipes=True)) == RATE
    refuses("cut short", f"head -c 9000 {source} |", RATE, pipes=True)


def test_integer_samples_span_minus_one_to_one(tmp_path):
    file = io.BytesIO()
    soundfile.write(file, np.array([-32768, 0, 16384], dtype=np.int16), RATE, format="WAV")
    (tmp_path / "a.wav").write_bytes(file.getvalue())
    assert read_audio(str(tmp_path / "a.wav"), RATE).tolist() == [-1.0, 0.0, 0.5]
