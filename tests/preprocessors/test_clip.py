"""The original's choice of frames."""

import json

import pytest

from preprocessors.videos.clip import centred_clip, clip_frames, dense_clips
from tests.conftest import SharedPath


def test_one_clip_of_sixteen_frames_is_the_original_s_validation_clip(shared_path: SharedPath) -> None:
    for length, expected in json.loads(shared_path("oracle/video.json").read_text())["validation"].items():
        assert clip_frames(int(length), 16, 4, 1) == [tuple(expected)]


def test_several_clips_are_the_original_s_test_clips(shared_path: SharedPath) -> None:
    facts = json.loads(shared_path("oracle/video.json").read_text())
    for length, dense in facts["test_dense"].items():
        starts = {75: facts["test_views"]["75_frames_224x298"]["temporal"]}.get(len(dense))
        clips = dense_clips(int(length), 16, 4, 5)
        assert len(clips) == 5
        assert clips[0] == tuple(dense[:16])
        assert clips[-1] == tuple(dense[-16:])
        assert starts is None or clips == [tuple(dense[start : start + 16]) for start in starts]
    for dense_length, key in ((75, "75_frames_224x298"), (25, "25_frames_400x224")):
        starts = [clip[0] // 4 for clip in dense_clips(4 * dense_length, 16, 4, 5)]
        assert starts == facts["test_views"][key]["temporal"]


@pytest.mark.parametrize(
    ("length", "clip"),
    [
        (1, (0, 0, 0, 0)),
        (2, (0, 1, 1, 1)),
        (5, (0, 4, 4, 4)),
        (8, (0, 2, 5, 7)),  # 0, 2.67, 5.33 and 8, which there is not
        (9, (0, 2, 5, 7)),
        (12, (2, 4, 7, 9)),  # 2, 4.67, 7.33 and 10, which is past the clip
        (100, (46, 48, 51, 53)),
    ],
)
def test_a_centred_clip_spans_frames_times_stride_from_the_middle(length: int, clip: tuple[int, ...]) -> None:
    assert centred_clip(length, frames=4, stride=2) == clip


@pytest.mark.parametrize(
    ("length", "clips"),
    [
        (1, [(0, 0, 0), (0, 0, 0)]),
        (4, [(0, 2, 2), (0, 2, 2)]),  # the last of every second frame is repeated
        (6, [(0, 2, 4), (0, 2, 4)]),
        (13, [(0, 2, 4), (8, 10, 12)]),
        (12, [(0, 2, 4), (2, 4, 6), (6, 8, 10)]),  # starts 0, 1.5 and 3 of every second frame, cut to integers
    ],
)
def test_dense_clips_are_spread_from_the_start_to_the_end(length: int, clips: list[tuple[int, ...]]) -> None:
    assert dense_clips(length, frames=3, stride=2, clips=len(clips)) == clips


@pytest.mark.parametrize("length", [1, 2, 3, 15, 16, 63, 64, 65, 1000, 36_000])
@pytest.mark.parametrize("clips", [1, 2, 10])
@pytest.mark.parametrize("stride", [1, 3, 4])
def test_every_frame_named_is_in_the_video_and_none_runs_backwards(length: int, clips: int, stride: int) -> None:
    chosen = clip_frames(length, 16, stride, clips)
    assert len(chosen) == clips
    for clip in chosen:
        assert len(clip) == 16
        assert list(clip) == sorted(clip)
        assert 0 <= clip[0] <= clip[-1] < length
