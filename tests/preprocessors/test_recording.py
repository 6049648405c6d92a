"""Encoded recordings become mono waveforms at the rate that is asked for."""

import struct

import numpy as np
import pytest
import soxr

from preprocessors.base import TooLarge, UndecodableInput, UnsupportedFormat
from preprocessors.sounds.recording import Recording, read_recording
from tests.recordings import ENCODERS, FORMATS, LOSSLESS, LOSSY, Samples, chirp, sound_file, sound_track, tone


def read(payload: bytes, sample_rate: int = 16_000, max_seconds: float = 600.0) -> Recording:
    return read_recording(payload, sample_rate, max_seconds)


def loudest(samples: Samples, rate: int) -> float:
    """Frequency in Hz of the highest peak of the spectrum."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(spectrum.argmax() * rate / len(samples))


def level(samples: Samples) -> float:
    """Amplitude of a sine of the same power, over the middle half."""
    middle = samples[len(samples) // 4 : -len(samples) // 4]
    return float(np.sqrt(2 * (middle.astype(np.float64) ** 2).mean()))


def with_rate(payload: bytes, rate: int) -> bytes:
    """A WAV whose header states another rate."""
    return payload[:24] + struct.pack("<I", rate) + payload[28:]


def with_length(flac: bytes, frames: int) -> bytes:
    """A FLAC whose header states another length; 0 stands for unknown, as where it was written to a pipe."""
    low_nibble = flac[21] & 0xF0 | frames >> 32
    return flac[:21] + bytes([low_nibble]) + struct.pack(">I", frames & 0xFFFFFFFF) + flac[26:]


@pytest.mark.parametrize("name", LOSSLESS)
def test_lossless_recordings_come_back_as_they_were(name: str) -> None:
    samples = chirp(1.7, 16_000)
    recording = read(LOSSLESS[name](samples, 16_000))
    assert (recording.format, recording.sample_rate, recording.channels) == (FORMATS[name], 16_000, 1)
    assert recording.waveform.dtype == np.float32
    np.testing.assert_allclose(recording.waveform, samples, atol=2**-15)


@pytest.mark.parametrize("name", LOSSY)
def test_lossy_recordings_sound_as_they_did(name: str) -> None:
    samples, expected = chirp(2.0, 48_000), chirp(2.0, 16_000)
    recording = read(LOSSY[name](samples, 48_000))
    assert (recording.format, recording.sample_rate, recording.channels) == (FORMATS[name], 48_000, 1)
    found = recording.waveform
    assert abs(len(found) - len(expected)) < 2 * 1152  # encoders fill their last frames
    likeness = np.correlate(found, expected[4000:28_000], "valid")
    shift = likeness.argmax()
    assert abs(shift - 4000) < 1152
    heard = found[shift : shift + 24_000]
    assert likeness.max() / np.linalg.norm(heard) / np.linalg.norm(expected[4000:28_000]) > 0.98


def test_at_the_same_rate_not_a_bit_changes() -> None:
    samples = chirp(3.0, 16_000) * 7
    np.testing.assert_array_equal(read(sound_file(samples, 16_000, subtype="FLOAT")).waveform, samples)


def test_reading_in_pieces_gives_what_reading_whole_does() -> None:
    samples = chirp(5.0, 44_100)
    whole = soxr.resample(samples, 44_100, 16_000)
    np.testing.assert_array_equal(read(sound_file(samples, 44_100, subtype="FLOAT")).waveform, whole)


@pytest.mark.parametrize("rate", [4_000, 8_000, 11_025, 22_050, 44_100, 44_101, 48_000, 96_000, 384_000])
def test_a_tone_keeps_its_pitch_level_and_length_at_any_rate(rate: int) -> None:
    found = read(sound_file(tone(1000, 1.0, rate), rate, subtype="FLOAT")).waveform
    assert abs(len(found) - 16_000) <= 1
    assert loudest(found, 16_000) == pytest.approx(1000, abs=1.5)
    assert level(found) == pytest.approx(0.3, rel=2e-3)


def test_what_the_lower_rate_cannot_hold_is_filtered_out() -> None:
    assert level(read(sound_file(tone(9_000, 1.0, 48_000), 48_000)).waveform) < 1e-3


@pytest.mark.parametrize("name", ["wav", "flac", "vorbis", "mov", "m4a", "webm"])
def test_channels_are_mixed_to_their_mean(name: str) -> None:
    left, right = tone(440, 1.0, 48_000, 0.4), tone(440, 1.0, 48_000, 0.1)
    recording = read(ENCODERS[name](np.stack((left, right), axis=1), 48_000))
    assert recording.channels == 2
    assert level(recording.waveform) == pytest.approx(0.25, rel=0.02)


def test_the_sound_of_a_video_is_read_and_its_pictures_are_not() -> None:
    samples = chirp(1.0, 16_000)
    found = read(sound_track(samples, 16_000, "mov", "pcm_s16le", pictures=25)).waveform
    np.testing.assert_allclose(found, samples, atol=2**-15)


def test_a_stream_of_unknown_length_is_read_to_its_end() -> None:
    samples = chirp(5.0, 16_000)
    flac = sound_file(samples, 16_000, "FLAC")
    np.testing.assert_array_equal(read(with_length(flac, 0)).waveform, read(flac).waveform)


@pytest.mark.parametrize("name", ENCODERS)
def test_the_limit_of_the_length_is_kept_in_every_format(name: str) -> None:
    payload = ENCODERS[name](chirp(3.0, 48_000), 48_000)
    read(payload, max_seconds=3.1)
    with pytest.raises(TooLarge, match=r"seconds long or longer, at most 2\.5 are read: cut it") as refusal:
        read(payload, max_seconds=2.5)
    assert (refusal.value.code, refusal.value.limit) == ("too_long", 2.5)
    assert refusal.value.actual is not None
    assert 2.5 < refusal.value.actual < 3.2


def test_the_limit_of_the_length_is_inclusive() -> None:
    payload = sound_file(chirp(1.0, 16_000), 16_000)
    assert len(read(payload, max_seconds=1.0).waveform) == 16_000


def test_a_header_that_declares_too_much_is_enough_to_refuse() -> None:
    payload = with_length(sound_file(chirp(1.0, 16_000), 16_000, "FLAC"), 2**36 - 1)
    with pytest.raises(TooLarge) as refusal:
        read(payload)
    assert refusal.value.actual == (2**36 - 1) / 16_000


def test_the_length_that_an_mp3_declares_is_not_relied_on() -> None:
    payload = sound_file(chirp(4.0, 48_000), 48_000, "MP3")
    assert 1.5 < len(read(payload[: len(payload) // 2], max_seconds=3.0).waveform) / 16_000 < 2.5


def test_a_wav_that_declares_more_than_it_holds_is_read_as_far_as_it_goes() -> None:
    samples = chirp(1.0, 16_000)
    payload = sound_file(samples, 16_000)
    endless = payload.replace(b"data" + struct.pack("<I", 32_000), b"data\xff\xff\xff\xff")
    assert endless != payload
    np.testing.assert_array_equal(read(endless).waveform, read(payload).waveform)


@pytest.mark.parametrize("rate", [1, 3_999, 384_001, 768_000])
def test_rates_that_no_recording_has_are_refused(rate: int) -> None:
    payload = with_rate(sound_file(chirp(1.0, 16_000), 16_000), rate)
    with pytest.raises(UndecodableInput, match=f"{rate} Hz, 4000 to 384000 are read: resample"):
        read(payload)


def test_eight_channels_are_mixed_and_nine_are_refused() -> None:
    samples = np.stack([chirp(0.5, 16_000)] * 7 + [tone(440, 0.5, 16_000)], axis=1)
    np.testing.assert_allclose(read(sound_file(samples, 16_000)).waveform, samples.mean(axis=1), atol=2**-15)
    with pytest.raises(UndecodableInput, match="9 channels, 1 to 8 are read") as refusal:
        read(sound_file(np.zeros((999, 9), np.float32), 16_000))
    assert (refusal.value.limit, refusal.value.actual) == (8, 9)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 70_000, 79_999])
def test_samples_that_are_no_numbers_are_refused(value: float, place: int) -> None:
    samples = np.zeros(80_000, np.float32)
    samples[place] = value
    with pytest.raises(UndecodableInput, match="no finite numbers"):
        read(sound_file(samples, 16_000, subtype="FLOAT"))


def test_a_double_that_no_float_can_hold_is_refused() -> None:
    with pytest.raises(UndecodableInput, match="no finite numbers"):
        read(sound_file(np.full(999, 1e300), 16_000, subtype="DOUBLE"))


@pytest.mark.parametrize("peak", [128.0, -32_768.0, 3e38])
def test_integers_stored_as_floats_are_refused_with_the_remedy(peak: float) -> None:
    samples = np.array([0.0, peak] * 9_000, np.float32)
    with pytest.raises(
        UndecodableInput, match=r"full scale is 1, at most 100 is read: scale them to \[-1, 1\]"
    ) as refusal:
        read(sound_file(samples, 16_000, subtype="FLOAT"))
    assert refusal.value.limit == 100
    assert refusal.value.actual == pytest.approx(abs(peak))


def test_a_rate_that_changes_within_the_recording_is_refused() -> None:
    parts = (sound_track(chirp(1.0, rate), rate, "adts", "aac") for rate in (48_000, 32_000))
    with pytest.raises(UndecodableInput, match=r"\(48000, 1\) to \(32000, 1\) within the recording"):
        read(b"".join(parts))


@pytest.mark.parametrize(
    "payload",
    [b"\0", b"hello", b"MThd\0\0\0\6" + bytes(9), b"FORM\0\0\0\x20AIFF" + bytes(32), b"caff\0\1\0\0", b"#EXTM3U\n",
     b"RIFF\x24\0\0\0AVI LIST", b"\xff\xfeh\0i\0", b"v=0\r\nc=IN IP4 127.0.0.1\r\n"],
)  # fmt: skip
def test_other_formats_are_refused_with_the_list_of_those_that_are_read(payload: bytes) -> None:
    with pytest.raises(UnsupportedFormat, match="one of wav, flac, mp3, ogg, m4a, mp4, aac, webm, mkv") as refusal:
        read(payload)
    assert refusal.value.code == "unsupported_media_type"


def test_another_format_behind_a_tag_is_refused_by_name() -> None:
    tag = b"ID3\4\0\0\0\0\0\n" + bytes(10)
    with pytest.raises(UnsupportedFormat, match="AIFF, which is not read: send one of wav, flac, mp3, ogg"):
        read(tag + sound_file(chirp(0.1, 16_000), 16_000, "AIFF"))


def test_an_empty_payload_is_refused() -> None:
    with pytest.raises(UndecodableInput, match="empty"):
        read(b"")
