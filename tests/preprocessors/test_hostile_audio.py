"""Recordings that are broken, that lie, or that were made to do harm: refused with a reason, or read, and cheaply."""

import csv
import io
import random
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import soundfile

from preprocessors.audio import AudioOptions, AudioPreprocessor
from preprocessors.base import PayloadError, TooLarge, UndecodableInput
from preprocessors.sounds.sound_file import sound_file_faults
from tests.conftest import SharedPath
from tests.hostile import damaged, peak_growth
from tests.recordings import ENCODERS, chirp, sound_file

PREPROCESSOR = AudioPreprocessor(target_frames=128)
SOUND = {name: encode(chirp(1.0, 48_000), 48_000) for name, encode in ENCODERS.items()}
REFUSALS = {"undecodable_input", "unsupported_media_type", "too_short", "too_long", "too_much_memory"}
# What the collection's list says libsndfile opens, and what becomes of it beyond that
SPECIAL = {
    "made/huge_float32.wav": "undecodable_input",
    "made/rate_1hz.wav": "undecodable_input",
    "made/rate_768k.wav": "undecodable_input",
    "made/channels_64.wav": "undecodable_input",
    "made/one_hour_silence.flac": "too_long",
    "made/empty.wav": "undecodable_input",
    "made/json_named.wav": "unsupported_media_type",
    "made/null_bytes_64k.wav": "unsupported_media_type",
    "made/truncated.flac": "undecodable_input",
    "pydub/format_test.m4a": "ok",
    "pydub/test5.webm": "ok",
    "smallest/mp4-with-audio.mp4": "ok",
    "smallest/webm.webm": "undecodable_input",
}


def outcome(payload: bytes) -> str:
    """What became of a payload; anything but a sample or a PayloadError is raised."""
    try:
        sample = PREPROCESSOR.decode(payload, AudioOptions())
    except PayloadError as error:
        return error.code
    assert sample.array.shape == (PREPROCESSOR.window_samples,)
    assert sample.array.dtype == np.float32
    assert np.isfinite(sample.array[: 160 * sample.description["frames"]]).all()
    return "ok"


def listed(row: dict[str, str]) -> set[str]:
    """The outcomes that a line of the collection's list allows."""
    if row["file"] in SPECIAL:
        return {SPECIAL[row["file"]]}
    if row["soundfile_0.14.0_libsndfile_1.2.2_result"] == "error":
        return REFUSALS
    rate, frames = int(row["rate"]), int(row["frames"])
    if rate < 4000:
        return {"undecodable_input"}
    return {"ok"} if frames > 0.026 * rate else {"too_short", "undecodable_input"}


def test_collected_hostile_files_are_refused_or_decoded_as_listed(shared_path: SharedPath) -> None:
    folder = shared_path("data/audio/hostile")
    rows = list(csv.DictReader((folder / "manifest.csv").read_text().splitlines()))
    found = {row["file"]: outcome((folder / row["file"]).read_bytes()) for row in rows}
    assert {row["file"]: found[row["file"]] for row in rows if found[row["file"]] not in listed(row)} == {}
    assert list(found.values()).count("ok") > 20


def test_what_is_wrong_is_said_of_bytes_and_not_of_a_file_on_a_disk(shared_path: SharedPath) -> None:
    with pytest.raises(UndecodableInput, match=r"\(no frame of sound is found in it\)"):
        PREPROCESSOR.decode(shared_path("data/audio/hostile/smallest/mp3.mp3").read_bytes(), AudioOptions())


def test_collected_files_of_other_kinds_are_refused_or_decoded(shared_path: SharedPath) -> None:
    for path in sorted(shared_path("data/audio/hostile").rglob("*")):
        if path.is_file():
            assert outcome(path.read_bytes()) in {"ok", *REFUSALS}, path


@pytest.mark.parametrize("folder", ["fsdd/test", "esc10/test/rooster", "esc10/test_original_44k/sea_waves"])
def test_collected_sound_files_are_decoded(folder: str, shared_path: SharedPath) -> None:
    paths = [path for path in sorted(shared_path(f"data/audio/{folder}").iterdir()) if path.suffix in {".wav", ".ogg"}]
    assert paths
    assert {outcome(path.read_bytes()) for path in paths[:20]} == {"ok"}


@pytest.mark.parametrize("name", SOUND)
def test_damaged_files_are_refused_or_decoded(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    rng = random.Random(name)
    outcomes = [outcome(damaged(SOUND[name], rng)) for _ in range(50)]
    assert set(outcomes) <= {"ok", *REFUSALS}
    assert outcomes.count("undecodable_input") > 0
    assert "Traceback" not in capfd.readouterr().err  # of an exception that was lost in a callback of libsndfile's


@pytest.mark.parametrize("name", SOUND)
def test_truncated_files_are_refused_or_shorter(name: str) -> None:
    payload, whole = SOUND[name], PREPROCESSOR.decode(SOUND[name], AudioOptions()).description
    for share in (0.01, 0.3, 0.6):
        with suppress(PayloadError):
            sample = PREPROCESSOR.decode(payload[: int(share * len(payload))], AudioOptions())
            assert sample.description["duration_s"] < whole["duration_s"]


def test_a_reason_does_not_tell_of_our_objects() -> None:
    with pytest.raises(UndecodableInput, match="cannot be decoded") as refusal:
        PREPROCESSOR.decode(b"fLaC" + bytes(100), AudioOptions())
    assert "object at" not in refusal.value.detail


def silence(seconds: int, rate: int, channels: int) -> bytes:
    """A FLAC of some kilobytes."""
    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", rate, channels, "PCM_16", format="FLAC") as sound:
        for _ in range(seconds):
            sound.write(np.zeros((rate, channels), np.int16))
    return file.getvalue()


def test_an_hour_of_silence_is_refused_by_its_header_and_takes_no_memory(tmp_path: Path) -> None:
    payload = silence(3600, 8_000, 1)
    with pytest.raises(TooLarge) as refusal:
        PREPROCESSOR.decode(payload, AudioOptions())
    assert (refusal.value.code, refusal.value.limit, refusal.value.actual) == ("too_long", 600, 3600)
    assert peak_growth(PREPROCESSOR, [payload], tmp_path) < 8 << 20


def test_memory_is_bounded_whatever_the_rate_and_the_channels(tmp_path: Path) -> None:
    payload = silence(30, 96_000, 8)  # 92 MB as floats
    assert len(payload) < 1 << 20
    assert outcome(payload) == "ok"
    assert peak_growth(PREPROCESSOR, [payload], tmp_path) < 40 << 20


@pytest.mark.parametrize(
    "fault",
    [soundfile.LibsndfileError(1), soundfile.SoundFileRuntimeError("x"), OSError("x"), ValueError("x"), TypeError("x"),
     AssertionError("x")],
    ids=lambda fault: type(fault).__name__,
)  # fmt: skip
def test_every_way_in_which_soundfile_fails_is_a_refusal(fault: Exception) -> None:
    with pytest.raises(UndecodableInput) as refusal, sound_file_faults():
        raise fault
    assert refusal.value.code == "undecodable_input"


def test_what_is_too_much_for_soundfile_is_too_large() -> None:
    with pytest.raises(TooLarge) as refusal, sound_file_faults():
        raise MemoryError
    assert refusal.value.code == "too_much_memory"


def test_a_mistake_of_our_own_is_not_blamed_on_the_file() -> None:
    with pytest.raises(AttributeError), sound_file_faults():
        raise AttributeError("no such attribute")


@pytest.mark.parametrize("kind", ["AIFF", "AU", "CAF", "W64", "VOC"])
def test_what_else_libsndfile_reads_is_not_shown_to_it(kind: str) -> None:
    assert outcome(sound_file(chirp(0.2, 16_000), 16_000, kind)) == "unsupported_media_type"
