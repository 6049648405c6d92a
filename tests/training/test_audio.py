"""How sounds are seen is chosen by flags, or by a preset; not by both."""

import pytest

from preprocessors.audio import PRESETS, AudioPreprocessor
from training.audio import AudioClassification


def test_without_flags_the_front_end_is_the_paper_s() -> None:
    assert AudioClassification().preprocessor() == AudioPreprocessor(
        sample_rate=16_000, n_mels=128, hop_length_ms=10.0, target_frames=512
    )


def test_flags_change_it() -> None:
    found = AudioClassification(sample_rate=8000, mels=64, hop_ms=20.0, frames=80).preprocessor()
    assert (found.sample_rate, found.n_mels, found.hop_length_ms, found.target_frames) == (8000, 64, 20.0, 80)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_brings_all_its_constants(preset: str) -> None:
    found = AudioClassification(preset=preset).preprocessor()
    assert {name: getattr(found, name) for name in PRESETS[preset]} == PRESETS[preset]
    assert (found.sample_rate, found.n_mels, found.hop_length_ms) == (16_000, 128, 10.0)


@pytest.mark.parametrize(
    ("flags", "told"),
    [({"frames": 512}, "--frames"), ({"mels": 64, "hop_ms": 20.0}, "--mels, --hop-ms"), ({"sample_rate": 1}, "--sam")],
)  # fmt: skip
def test_a_flag_that_contradicts_the_preset_is_refused(flags: dict[str, float], told: str) -> None:
    with pytest.raises(ValueError, match=f"--preset esc50 says how .*{told}.* leave out one or the other"):
        AudioClassification(preset="esc50", **flags).preprocessor()  # type: ignore[arg-type]


def test_an_unknown_preset_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(
        ValueError, match="preset 'esc' is unknown, expected one of speech_commands_v2, audioset, esc50"
    ):
        AudioClassification(preset="esc").preprocessor()
