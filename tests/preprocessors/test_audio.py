"""Recordings, from file to the model's input."""

import json
import pickle
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from preprocessors.audio import PRESETS, AudioOptions, AudioPreprocessor
from preprocessors.base import UndecodableInput
from tests.conftest import SharedPath
from tests.oracle import Case
from tests.recordings import ENCODERS, FORMATS, Samples, chirp, sound_file, stored

REPOSITORY = Path(__file__).resolve().parents[2]
RATE = 16_000
SHORT = AudioPreprocessor(**PRESETS["speech_commands_v2"])


def wav(samples: Samples, rate: int = RATE) -> bytes:
    return sound_file(samples, rate, subtype="FLOAT")


def model_input(preprocessor: AudioPreprocessor, payload: bytes, windows: int = 1) -> Tensor:
    views = preprocessor.decode(payload, AudioOptions(windows)).views
    return preprocessor.transform(preprocessor.collate(views))


@pytest.mark.parametrize("name", ["fbank_sc_1s", "fbank_sc_short"])
def test_the_front_end_is_the_authors(name: str, shared_path: SharedPath) -> None:
    case = Case.read(shared_path(f"oracle/{name}.json"))
    payload, step = wav(stored(case)), case.about["sample_step"]
    assert SHORT.decode(payload, AudioOptions()).description["frames"] == case.about["frames"]
    found = model_input(SHORT, payload)
    assert found.shape == (1, 1, 128, 128)
    difference = np.abs(found[0, 0, :: step[0], :: step[1]].numpy() - case.stored["normalised"])
    assert difference.max() < 2e-2 / (2 * SHORT.std)
    assert difference.mean() < 1e-5


def test_a_recording_is_padded_with_zeros_before_it_is_normalised() -> None:
    found = model_input(SHORT, wav(chirp(1.0, RATE)))[0, 0]
    assert (found[98:] == torch.tensor(6.845978) / (2 * torch.tensor(5.5654526))).all()
    features = SHORT.features(torch.from_numpy(chirp(1.0, RATE)))
    assert features.shape == (128, 128)
    assert not features[98:].any()
    torch.testing.assert_close(found, (features + 6.845978) / (2 * 5.5654526), atol=1e-2, rtol=0)


def test_features_are_those_of_the_waveform_without_its_padding() -> None:
    sample = SHORT.decode(wav(chirp(0.7, RATE)), AudioOptions())
    valid = sample.array[~np.isnan(sample.array)]
    assert len(valid) == 0.7 * RATE
    padded, bare = (SHORT.features(torch.from_numpy(samples)) for samples in (sample.array, valid))
    assert torch.equal(padded, bare)
    assert torch.equal(bare[:68], SHORT.filter_bank(torch.from_numpy(valid)))


def test_more_than_a_window_is_cut_at_the_end() -> None:
    samples = chirp(4.0, RATE)
    samples -= samples.mean()
    sample = SHORT.decode(wav(samples), AudioOptions())
    assert sample.array.shape == (127 * 160 + 400,)
    np.testing.assert_allclose(sample.array, samples[: 127 * 160 + 400], atol=1e-6)
    assert sample.description["frames"] == 128
    assert "views" not in sample.description
    assert torch.equal(SHORT.features(torch.from_numpy(samples)), SHORT.filter_bank(torch.from_numpy(samples))[:128])


def test_the_mean_of_the_whole_recording_is_removed() -> None:
    samples = np.concatenate((np.full(2 * RATE, 0.5), np.full(2 * RATE, -0.1))).astype(np.float32)
    np.testing.assert_allclose(SHORT.decode(wav(samples), AudioOptions()).array, 0.3, atol=1e-6)


def test_time_is_the_first_axis_or_the_second() -> None:
    payload = wav(chirp(1.0, RATE))
    first = model_input(AudioPreprocessor(target_frames=100, n_mels=64), payload)
    second = model_input(AudioPreprocessor(target_frames=100, n_mels=64, layout="frequency_first"), payload)
    assert first.shape == (1, 1, 100, 64)
    assert torch.equal(second, first.transpose(2, 3))
    assert second.is_contiguous()


def test_an_unknown_layout_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(ValueError, match="'sideways' is unknown: use one of time_first, frequency_first"):
        AudioPreprocessor(layout="sideways")


def test_an_answer_does_not_depend_on_its_neighbours() -> None:
    payloads = [wav(chirp(seconds, RATE)) for seconds in (0.03, 0.4, 1.0, 2.5)]
    views = [SHORT.decode(payload, AudioOptions()).array for payload in payloads]
    together = SHORT.transform(SHORT.collate(views))
    assert together.dtype == torch.float32
    assert together.isfinite().all()
    for row, view in zip(together, views, strict=True):
        assert torch.equal(SHORT.transform(SHORT.collate([view]))[0], row)


def test_windows_are_spread_from_start_to_end() -> None:
    samples = chirp(4.0, RATE)
    samples -= samples.mean()
    sample = SHORT.decode(wav(samples), AudioOptions(windows=3))
    size = SHORT.window_samples
    last = len(samples) - size
    starts = [0, last // 2, last]
    for view, start in zip(sample.views, starts, strict=True):
        np.testing.assert_allclose(view, samples[start : start + size], atol=1e-6)
    assert sample.description["views"] == [
        {"start_s": 0.0, "end_s": 1.295},
        {"start_s": 1.353, "end_s": 2.647},
        {"start_s": 2.705, "end_s": 4.0},
    ]
    assert model_input(SHORT, wav(samples), windows=3).shape == (3, 1, 128, 128)


@pytest.mark.parametrize("samples", [8_000, SHORT.window_samples])
def test_what_fits_in_one_window_gives_one(samples: int) -> None:
    sample = SHORT.decode(wav(chirp(samples / RATE, RATE)), AudioOptions(windows=32))
    assert len(sample.views) == 1
    assert "views" not in sample.description


@pytest.mark.parametrize("name", ["wav", "flac", "mp3", "opus", "m4a", "webm", "adts"])
def test_description_names_what_was_sent(name: str) -> None:
    payload = ENCODERS[name](np.stack([chirp(1.5, 48_000)] * 2, axis=1), 48_000)
    description = AudioPreprocessor().decode(payload, AudioOptions()).description
    assert description.pop("duration_s") == pytest.approx(1.5, abs=0.05)
    assert description.pop("frames") == pytest.approx(148, abs=5)
    assert description.pop("end_s") == pytest.approx(1.5, abs=0.05)
    assert description.pop("peak") == pytest.approx(np.abs(chirp(1.5, 48_000)).max(), rel=0.2)
    about = {"format": FORMATS[name], "sample_rate": 48_000, "channels": 2, "bytes": len(payload), "start_s": 0.0}
    assert description == about


def test_the_answer_tells_which_part_of_a_long_recording_was_heard() -> None:
    payload = wav(chirp(4.0, RATE))
    heard = SHORT.decode(payload, AudioOptions()).description
    assert (heard["start_s"], heard["end_s"], heard["duration_s"]) == (0.0, 1.295, 4.0)
    spread = SHORT.decode(payload, AudioOptions(windows=3)).description
    assert (spread["start_s"], spread["end_s"]) == (0.0, 4.0)


@pytest.mark.parametrize(("level", "constant", "peak"), [(0.25, 0.0, 0.25), (0.0, 0.5, 0.0), (0.0, 0.0, 0.0)])
def test_the_peak_is_of_what_is_heard(level: float, constant: float, peak: float) -> None:
    """A microphone's constant voltage is silence; so is what comes after the window."""
    start = level * np.where(np.arange(RATE * 2) % 2, 1, -1) + constant
    samples = np.concatenate([start, np.full(RATE, constant)]).astype(np.float32)
    assert SHORT.decode(wav(samples), AudioOptions()).description["peak"] == pytest.approx(peak, abs=1e-6)
    later = np.concatenate([np.full(2 * RATE, constant), start]).astype(np.float32)
    assert SHORT.decode(wav(later), AudioOptions()).description["peak"] == pytest.approx(0.0, abs=1e-3)


def test_a_header_that_declares_no_samples_is_named() -> None:
    with pytest.raises(UndecodableInput, match="wav header declares no samples: .* save it again") as refusal:
        SHORT.decode(wav(np.zeros(0, np.float32)), AudioOptions())
    assert (refusal.value.code, refusal.value.actual) == ("too_short", 0)


@pytest.mark.parametrize("samples", [1, 399])
def test_less_than_one_frame_is_refused(samples: int) -> None:
    with pytest.raises(UndecodableInput, match=r"one frame takes 0\.025: send a longer one") as refusal:
        SHORT.decode(wav(np.zeros(samples, np.float32)), AudioOptions())
    assert (refusal.value.code, refusal.value.limit, refusal.value.actual) == ("too_short", 0.025, samples / RATE)


def test_one_frame_is_enough() -> None:
    assert SHORT.decode(wav(chirp(0.025, RATE)), AudioOptions()).description["frames"] == 1


def test_blank_is_a_full_window_of_silence() -> None:
    blank = SHORT.blank()
    decoded = SHORT.decode(wav(np.zeros(40_000, np.float32)), AudioOptions()).array
    assert blank.dtype == decoded.dtype
    np.testing.assert_array_equal(blank, decoded)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_survives_the_checkpoint(name: str) -> None:
    preprocessor = AudioPreprocessor(**PRESETS[name])
    assert AudioPreprocessor(**json.loads(json.dumps(asdict(preprocessor)))) == preprocessor
    assert preprocessor.transform(preprocessor.collate([preprocessor.blank()])).shape[2:] == (
        preprocessor.target_frames,
        128,
    )


def test_decoding_needs_no_torch(tmp_path: Path) -> None:
    work = tmp_path / "work.pickle"
    payloads = [ENCODERS[name](chirp(2.0, 48_000), 48_000) for name in ("wav", "mp3", "m4a")]
    work.write_bytes(pickle.dumps((SHORT, payloads, AudioOptions(2))))
    script = (
        "import pickle, sys; preprocessor, payloads, options = pickle.load(open(sys.argv[1], 'rb'));"
        "views = [len(preprocessor.decode(payload, options).views) for payload in payloads];"
        "sys.exit('torch' in sys.modules or views != [2, 2, 2])"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", script, work], cwd=REPOSITORY, check=True, timeout=100)
