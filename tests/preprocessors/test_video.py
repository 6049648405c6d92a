"""From an encoded video to the picture of all its frames."""

import json
import pickle
import subprocess
import sys
from dataclasses import asdict, fields
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from preprocessors.base import UnsupportedFormat
from preprocessors.video import DECODERS, VideoOptions, VideoPreprocessor
from preprocessors.videos import decord_reader
from preprocessors.videos.bilinear import resized_part
from preprocessors.videos.clip import centred_clip, dense_clips
from preprocessors.videos.video_reader import VideoReader
from tests.conftest import SharedPath
from tests.videos import ENCODINGS, film, scenery, turned

REPOSITORY = Path(__file__).resolve().parents[2]
SMALL = VideoPreprocessor(frames=4, stride=2, size=32, grid=(2, 2))
MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


@cache
def sample(kind: str = "mp4") -> bytes:
    return film(kind, 100)


@cache
def landscape() -> bytes:
    return film("mp4", 20, size=(160, 64), draw=scenery)


def numbered(shape: tuple[int, ...]) -> torch.Tensor:
    return torch.arange(int(np.prod(shape))).reshape(shape)


@pytest.mark.parametrize("kind", ENCODINGS)
def test_the_frames_of_the_clip_are_those_of_the_file(kind: str) -> None:
    with VideoReader(sample(kind)) as reader:
        frames = reader.get_batch(centred_clip(100, 4, 2))
    clip = SMALL.decode(sample(kind), VideoOptions()).array
    assert clip.shape == (4, 32, 32, 3)
    assert clip.dtype == np.uint8
    for shown, frame in zip(clip, frames, strict=True):  # 64 x 48 becomes 42 x 32, of which the middle is left
        np.testing.assert_array_equal(shown, resized_part(frame, (32, 42), (0, 5), (32, 32)))


@pytest.mark.parametrize("decoder", DECODERS)
def test_either_decoder_gives_the_same_clip(decoder: str) -> None:
    if decoder == "decord":
        pytest.importorskip("decord")
    chosen = VideoPreprocessor(frames=4, stride=2, size=32, grid=(2, 2), decoder=decoder)
    for kind in ENCODINGS:
        assert_same_clips(sample(kind), chosen)


def test_either_decoder_gives_the_same_clip_of_a_film(shared_path: SharedPath) -> None:
    """Whose encoder made mistakes that FFmpeg makes up for only where it has seen the first packet."""
    pytest.importorskip("decord")
    payload = shared_path("data/video/clips/cockatoo.mp4").read_bytes()
    assert_same_clips(payload, VideoPreprocessor(frames=4, stride=2, size=32, grid=(2, 2), decoder="decord"))


def assert_same_clips(payload: bytes, chosen: VideoPreprocessor) -> None:
    options = VideoOptions(clips=3, crops=3)
    found, expected = (preprocessor.decode(payload, options) for preprocessor in (chosen, SMALL))
    assert found.description == expected.description
    np.testing.assert_array_equal(np.stack(found.views), np.stack(expected.views))


def test_one_clip_and_crop_give_one_view_from_the_middle() -> None:
    sample_of_middle = SMALL.decode(sample(), VideoOptions())
    assert len(sample_of_middle.views) == 1
    assert sample_of_middle.description == {
        "format": "mp4",
        "codec": "h264",
        "width": 64,
        "height": 48,
        "fps": 25.0,
        "duration_s": 4.0,
        "frames": 100,
        "frames_used": [46, 48, 51, 53],
        "timestamps_s": [1.84, 1.92, 2.04, 2.12],
        "bytes": len(sample()),
    }


def test_views_run_through_the_crops_of_one_clip_after_the_other() -> None:
    several = SMALL.decode(sample(), VideoOptions(clips=5, crops=3))
    clips = dense_clips(100, 4, 2, 5)
    assert len(several.views) == 15
    assert several.description["frames_used"] == [number for clip in clips for number in clip]
    expected = [
        {"clip": clip, "crop": crop, "timestamps_s": [number / 25 for number in clips[clip]]}
        for clip in range(5)
        for crop in range(3)
    ]
    assert several.description["views"] == expected
    times = [view["timestamps_s"] for view in several.description["views"]]
    assert [time for view in times[::3] for time in view] == several.description["timestamps_s"]


@pytest.mark.parametrize("degrees", [0, 90])
def test_crops_lie_along_the_longer_side(degrees: int) -> None:
    payload = turned(landscape(), degrees)
    with VideoReader(payload) as reader:
        frame = reader[centred_clip(20, 4, 2)[0]]
    whole = (32, 80) if degrees == 0 else (80, 32)
    starts = [(0, start) if degrees == 0 else (start, 0) for start in (0, 24, 48)]
    crops = SMALL.decode(payload, VideoOptions(crops=3)).views
    for view, start in zip(crops, starts, strict=True):
        np.testing.assert_array_equal(view[0], resized_part(frame, whole, start, (32, 32)))
    np.testing.assert_array_equal(SMALL.decode(payload, VideoOptions()).array, crops[1])


@pytest.mark.parametrize(
    ("frame", "crops", "starts"),
    [((224, 298), 3, [0, 37, 74]), ((400, 224), 3, [0, 88, 176]), ((224, 225), 3, [0, 0, 1]), ((224, 225), 1, [0]),
     ((224, 227), 1, [2]), ((227, 224), 1, [2]), ((224, 224), 1, [0]), ((448, 449), 1, [0])],
)  # fmt: skip
def test_crops_start_where_the_original_s_do(frame: tuple[int, int], crops: int, starts: list[int]) -> None:
    """Odd rests: halves are cut off where there are three, and rounded to the even number where there is one."""
    raster = np.indices(frame).sum(0).astype(np.uint8)[..., None].repeat(3, 2)
    squares = list(VideoPreprocessor().squares(raster, crops))
    scale = min(frame) / 224
    assert [square.shape for square in squares] == [(224, 224, 3)] * crops
    if scale == 1:
        assert [int(square[0, 0, 0]) for square in squares] == starts


def test_spatial_starts_are_those_of_the_original(shared_path: SharedPath) -> None:
    views = json.loads(shared_path("oracle/video.json").read_text())["test_views"]
    for key, shape in (("75_frames_224x298", (224, 298)), ("25_frames_400x224", (400, 224))):
        raster = np.indices(shape).sum(0).astype(np.uint8)[..., None].repeat(3, 2)
        assert [int(square[0, 0, 0]) for square in VideoPreprocessor().squares(raster, 3)] == views[key]["spatial"]


@pytest.mark.parametrize(
    ("layout", "key"), [("grid", "layout_grid_row_major"), ("reshape", "layout_upstream_raw_reshape")]
)
def test_layouts_are_those_of_the_paper_and_the_original(layout: str, key: str, shared_path: SharedPath) -> None:
    facts = json.loads(shared_path("oracle/video.json").read_text())[key]
    clip = numbered((1, 1, facts["T"], facts["H"], facts["W"]))
    picture = VideoPreprocessor(layout=layout).laid_out(clip)[0, 0]
    assert picture.tolist() == facts["rows"]


def test_the_grid_reads_row_by_row_in_every_channel() -> None:
    clip = numbered((2, 3, 6, 5, 7))
    picture = VideoPreprocessor(frames=6, grid=(2, 3)).laid_out(clip)
    assert picture.shape == (2, 3, 2 * 5, 3 * 7)
    for frame in range(6):
        row, column = divmod(frame, 3)
        tile = picture[:, :, 5 * row : 5 * row + 5, 7 * column : 7 * column + 7]
        assert torch.equal(tile, clip[:, :, frame])


def test_the_reshape_runs_through_the_scanlines() -> None:
    clip = numbered((2, 3, 6, 5, 7))
    picture = VideoPreprocessor(frames=6, grid=(2, 3), layout="reshape").laid_out(clip)
    assert picture.shape == (2, 3, 10, 21)
    assert torch.equal(picture.flatten(2), clip.flatten(2))


def test_the_model_s_input_is_normalised_by_channel() -> None:
    clip = SMALL.decode(landscape(), VideoOptions()).array
    x = SMALL.transform(SMALL.collate([clip, SMALL.blank()]))
    assert x.shape == (2, 3, 64, 64)
    assert x.dtype == torch.float32
    expected = ((clip / 255 - MEAN) / STD).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(x[0, :, :32, :32], expected[0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(x[0, :, 32:, :32], expected[2], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(x[1, :, 5, 60], -MEAN / STD, rtol=1e-5)


def test_blank_has_the_shape_of_a_decoded_clip() -> None:
    decoded = SMALL.decode(sample(), VideoOptions())
    assert SMALL.blank().shape == decoded.array.shape
    assert SMALL.blank().dtype == decoded.array.dtype


@pytest.mark.parametrize("frames", [1, 2, 5])
def test_a_video_shorter_than_the_clip_stands_still_at_its_end(frames: int) -> None:
    clip = VideoPreprocessor(frames=8, size=48, grid=(2, 4)).decode(film("mkv", frames), VideoOptions()).array
    with VideoReader(film("mkv", frames)) as reader:
        last = resized_part(reader[-1], (48, 64), (0, 8), (48, 48))
    np.testing.assert_array_equal(clip[-1], last)


def test_only_the_frames_of_the_clips_are_asked_for_and_each_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    read = VideoReader.__getitem__

    def recorded(self: VideoReader, number: int) -> NDArray[np.uint8]:
        asked.append(number)
        return read(self, number)

    monkeypatch.setattr(VideoReader, "__getitem__", recorded)
    SMALL.decode(sample(), VideoOptions(clips=5, crops=3))
    assert asked == sorted({number for clip in dense_clips(100, 4, 2, 5) for number in clip})


def test_fields_come_back_from_json_as_they_were() -> None:
    again = VideoPreprocessor(**json.loads(json.dumps(asdict(SMALL))))
    assert again == SMALL
    assert hash(again) == hash(SMALL)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"grid": (4, 3)}, r"grid of \(4, 3\) does not hold 16"), ({"grid": [16]}, "does not hold 16"),
     ({"frames": 8}, "does not hold 8"), ({"layout": "tiles"}, "'tiles' is unknown: use one of grid, reshape"),
     ({"decoder": "opencv"}, "'opencv' is unknown: use one of pyav, decord")],
)  # fmt: skip
def test_a_setting_that_cannot_work_is_refused_at_once(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        VideoPreprocessor(**arguments)


def test_a_decoder_that_is_not_installed_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decord_reader, "find_spec", lambda _: None)
    with pytest.raises(ValueError, match=r"pip install 'unireplknet-service\[decord\]'"):
        VideoPreprocessor(decoder="decord")


def test_every_option_is_described_and_bounded() -> None:
    for item in fields(VideoOptions):
        assert item.metadata["description"]
        assert item.metadata["ge"] == 1 == item.default
        assert item.metadata["le"] > 1


def test_a_sound_track_alone_is_no_video() -> None:
    with pytest.raises(UnsupportedFormat, match="send one of mp4, mov, webm, mkv, avi, gif, ts"):
        SMALL.decode(b"\xff\xf1" + bytes(99), VideoOptions())


def test_decoding_needs_no_torch(tmp_path: Path) -> None:
    work = tmp_path / "work.pickle"
    work.write_bytes(pickle.dumps((SMALL, sample(), VideoOptions())))
    script = (
        "import pickle, sys; preprocessor, *work = pickle.load(open(sys.argv[1], 'rb'));"
        "views = preprocessor.decode(*work).views; sys.exit('torch' in sys.modules or views[0].shape != (4, 32, 32, 3))"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", script, work], cwd=REPOSITORY, check=True, timeout=100)
