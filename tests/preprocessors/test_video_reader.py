"""The very frames that were asked for, by the interface of decord."""

import io
from functools import cache

import numpy as np
import pytest

from preprocessors.base import PayloadError, TooLarge, UndecodableInput
from preprocessors.container import file_format
from preprocessors.videos import video_reader
from preprocessors.videos.decord_reader import TRUSTED, DecordReader
from preprocessors.videos.video_reader import VideoReader
from tests.conftest import SharedPath
from tests.videos import ENCODINGS, TURNS, film, number_in, scenery, turned

FRAMES = 100
SCATTERED = [77, 3, 99, 0, 50, 51, 49, 24, 23, 98, 3, -1]
UNEVEN = [0, 1, 3, 10, 11, 20, 40, 41, 42, 43]
READERS = [VideoReader, DecordReader]
# What decord shows wrongly or not at all, and is therefore not asked for
NOT_DECORD_S = {"hevc", "mkv hevc", "intra refresh", "prores", "avi", "avi h264", "mjpeg", "gif", "ts", "ts mpeg2"}
CLIPS = ("av1_video.mkv", "bikes.mp4", "cockatoo.mp4", "flipping_a_pancake.mkv", "nasa_13013.mp4")


@cache
def sample(kind: str) -> bytes:
    return film(kind, FRAMES)


@pytest.fixture(params=READERS, ids=["pyav", "decord"])
def reader_type(request: pytest.FixtureRequest) -> type[VideoReader]:
    if request.param is DecordReader:
        pytest.importorskip("decord")
    return request.param


@pytest.fixture
def eager_seeks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video_reader, "FRAMES_PER_START", 0)


@pytest.mark.usefixtures("eager_seeks")
@pytest.mark.parametrize("kind", ENCODINGS)
def test_frames_are_found_in_any_order(kind: str, reader_type: type[VideoReader]) -> None:
    with reader_type(sample(kind)) as reader:
        assert len(reader) == FRAMES
        assert [number_in(reader[number]) for number in SCATTERED] == [number % FRAMES for number in SCATTERED]


@pytest.mark.parametrize("kind", ["mp4", "vp9", "avi", "ts"])
def test_a_batch_keeps_the_order_and_repeats_that_were_asked_for(kind: str) -> None:
    with VideoReader(sample(kind)) as reader:
        batch = reader.get_batch(SCATTERED)
    assert batch.shape == (len(SCATTERED), 48, 64, 3)
    assert batch.dtype == np.uint8
    assert [number_in(frame) for frame in batch] == [number % FRAMES for number in SCATTERED]


@pytest.mark.parametrize("kind", ENCODINGS)
def test_format_codec_and_rate_are_read(kind: str) -> None:
    with VideoReader(sample(kind)) as reader:
        assert (file_format(sample(kind)), reader.index.codec) == ENCODINGS[kind].reads
        assert reader.get_avg_fps() == 25


@pytest.mark.usefixtures("eager_seeks")
@pytest.mark.parametrize("kind", [kind for kind in ENCODINGS if not kind.startswith("ts")])
def test_pixels_are_decord_s(kind: str) -> None:
    decord = pytest.importorskip("decord")
    reference = decord.VideoReader(io.BytesIO(sample(kind)), num_threads=1)
    with VideoReader(sample(kind)) as reader:
        assert len(reader) == len(reference)
        assert reader.get_avg_fps() == reference.get_avg_fps()
        shown = reference.get_batch(range(FRAMES)).asnumpy()  # all of them, in which it makes no mistake
        for number in (0, 60, 99):
            difference = np.abs(reader[number].astype(int) - shown[number])
            assert difference.max() <= (4 if kind == "prores" else 0)  # of ten bits: decord picks another filter


def test_real_clips_look_as_decord_shows_them(shared_path: SharedPath) -> None:
    decord = pytest.importorskip("decord")
    for name in CLIPS:
        payload = shared_path(f"data/video/clips/{name}").read_bytes()
        reference = decord.VideoReader(io.BytesIO(payload), num_threads=1)
        with VideoReader(payload) as reader:
            assert len(reader) == len(reference), name
            assert reader.get_avg_fps() == pytest.approx(reference.get_avg_fps()), name
            for number in (0, len(reader) // 2):
                np.testing.assert_array_equal(reader[number], reference[number].asnumpy(), err_msg=f"{name} {number}")


@pytest.mark.parametrize("folder", ["clips", "hostile"])
def test_both_readers_show_the_same_of_real_and_of_broken_files(folder: str, shared_path: SharedPath) -> None:
    pytest.importorskip("decord")
    for path in sorted(shared_path(f"data/video/{folder}").iterdir()):
        payload = path.read_bytes()
        assert shown(DecordReader, payload) == shown(VideoReader, payload), path.name


def shown(reader_type: type[VideoReader], payload: bytes) -> list[bytes] | str:
    """Frames from all over the file, some of them backwards; or why there are none."""
    try:
        with reader_type(payload) as reader:
            last = len(reader) - 1
            return [reader[number].tobytes() for number in (last // 2, last * 2 // 3, last * 9 // 10, last // 3)]
    except PayloadError as error:
        return str(error)


@pytest.mark.parametrize("kind", ENCODINGS)
def test_decord_reads_what_it_reads_rightly(kind: str) -> None:
    pytest.importorskip("decord")
    with DecordReader(sample(kind)) as reader:
        reader.get_batch(range(0, FRAMES, 30))
        assert (reader._decord is None) == (kind in NOT_DECORD_S)


@pytest.mark.usefixtures("eager_seeks")
def test_seeking_changes_no_pixel_of_a_real_clip(shared_path: SharedPath) -> None:
    """Not even where FFmpeg must know an encoder's old mistake, which the first packet alone confesses."""
    payload = shared_path("data/video/clips/cockatoo.mp4").read_bytes()
    with VideoReader(payload) as sought, VideoReader(payload) as sequential:
        sequential._seeks = False
        number = sought.index.keyframes[1] + 2
        np.testing.assert_array_equal(sought[number], sequential[number])
        assert sought._seeks


@pytest.mark.usefixtures("eager_seeks")
def test_where_seeking_misses_the_frame_all_are_decoded() -> None:
    payload = film("intra refresh", FRAMES, size=(256, 64), draw=scenery)
    with VideoReader(payload) as reader, VideoReader(payload) as sequential:
        assert reader._seeks
        sequential._seeks = False
        np.testing.assert_array_equal(reader[60], sequential[60])
        assert not reader._seeks


@pytest.mark.parametrize("kind", ["mp4", "mkv"])
def test_frames_of_uneven_length_are_counted_and_timed(kind: str, reader_type: type[VideoReader]) -> None:
    payload = film(kind, len(UNEVEN), times=UNEVEN)
    with reader_type(payload) as reader:
        assert [number_in(reader[number]) for number in range(len(UNEVEN))] == list(range(len(UNEVEN)))
        spans = reader.get_frame_timestamp(range(len(UNEVEN)))
    np.testing.assert_allclose(spans[:, 0], np.array(UNEVEN) / 25, atol=1e-3)
    np.testing.assert_allclose(spans[:-1, 1], spans[1:, 0])
    assert spans[-1, 1] == pytest.approx(44 / 25, abs=1e-3)


@pytest.mark.parametrize("kind", ["mp4", "mkv", "gif"])
def test_times_of_frames_are_decord_s(kind: str) -> None:
    decord = pytest.importorskip("decord")
    reference = decord.VideoReader(io.BytesIO(sample(kind)), num_threads=1)
    with VideoReader(sample(kind)) as reader:
        times = reader.get_frame_timestamp(range(FRAMES))
        np.testing.assert_allclose(times, reference.get_frame_timestamp(range(FRAMES)), atol=1e-3)


@pytest.mark.parametrize("degrees", TURNS)
def test_frames_are_turned_as_the_file_asks(degrees: int, reader_type: type[VideoReader]) -> None:
    upright = film(frames=5)
    with VideoReader(upright) as plain, reader_type(turned(upright, degrees)) as reader:
        np.testing.assert_array_equal(reader[3], np.rot90(plain[3], degrees // 90))


@pytest.mark.parametrize("degrees", TURNS)
def test_the_size_asked_for_is_the_size_shown(degrees: int, reader_type: type[VideoReader]) -> None:
    with reader_type(turned(film(frames=5), degrees), width=40, height=20) as reader:
        assert reader[0].shape == (20, 40, 3)


def test_a_reader_goes_on_after_it_was_closed() -> None:
    with VideoReader(sample("mkv")) as reader:
        assert number_in(reader[50]) == 50
        reader.close()
        assert number_in(reader[51]) == 51


@pytest.mark.parametrize("number", [FRAMES, -FRAMES - 1])
def test_a_frame_that_is_not_there_is_an_index_error(number: int) -> None:
    with VideoReader(sample("mp4")) as reader, pytest.raises(IndexError, match=f"frame {number} of a video of 100"):
        reader[number]


@pytest.mark.parametrize(
    "kind", ["fragments", "mkv", "mkv hevc", "vp8", "vp9", "avi", "mjpeg", "gif", "ts", "ts mpeg2"]
)
@pytest.mark.parametrize("share", [0.7, 0.8])
def test_what_is_left_of_a_film_that_was_cut_is_shown(kind: str, share: float) -> None:
    payload = sample(kind)[: int(share * len(sample(kind)))]
    with VideoReader(payload) as reader:
        assert 0 < len(reader) < FRAMES
        shown = [number_in(reader[number]) for number in range(len(reader))]
    whole = len(shown) * 2 // 3  # the last may lack others that they are built on
    assert shown[:whole] == list(range(whole))


@pytest.mark.parametrize("kind", ["mp4", "mov"])
def test_a_film_without_its_table_of_contents_is_refused(kind: str) -> None:
    with pytest.raises(UndecodableInput, match="damaged or incomplete"):
        VideoReader(sample(kind)[: len(sample(kind)) // 2])


def test_frames_that_cannot_be_decoded_are_passed_over() -> None:
    payload = bytearray(sample("mjpeg"))
    starts = [place for place in range(len(payload) - 3) if payload[place : place + 3] == b"\xff\xd8\xff"]
    for start in starts[10:13]:
        payload[start : start + 200] = bytes(200)
    with VideoReader(bytes(payload)) as reader:
        assert number_in(reader[5]) == 5
        assert number_in(reader[len(reader) - 1]) == 99


@pytest.mark.parametrize(
    ("limit", "code", "bound", "actual"),
    [({"max_frames": 99}, "too_many_frames", 99, 100), ({"max_seconds": 3.9}, "too_long", 3.9, 4.0),
     ({"max_pixels": 64 * 48 - 1}, "too_many_pixels", 64 * 48 - 1, 64 * 48)],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["mp4", "vp9", "avi", "gif", "ts"])
def test_limits_are_checked_before_a_frame_is_decoded(
    kind: str, limit: dict[str, int], code: str, bound: float, actual: float
) -> None:
    with pytest.raises(TooLarge) as refusal:
        VideoReader(sample(kind), **limit)
    assert (refusal.value.code, refusal.value.limit) == (code, bound)
    assert refusal.value.actual == pytest.approx(actual)


@pytest.mark.parametrize("kind", ["mp4", "vp9", "avi", "gif", "ts"])
def test_limits_are_inclusive(kind: str) -> None:
    with VideoReader(sample(kind), max_frames=100, max_seconds=4.0, max_pixels=64 * 48) as reader:
        assert number_in(reader[99]) == 99


def test_a_transport_stream_is_not_shown_to_decord(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("decord")
    assert not TRUSTED & {"mpegts", "gif"}

    def refused(*_: object, **__: object) -> None:
        pytest.fail("decord was asked")

    monkeypatch.setattr("decord.VideoReader", refused)
    for kind in ("ts", "gif"):
        with DecordReader(sample(kind)) as reader:
            assert number_in(reader[42]) == 42


def test_what_decord_refuses_is_read_without_it(shared_path: SharedPath) -> None:
    decord = pytest.importorskip("decord")
    payload = shared_path("data/video/hostile/webm.webm").read_bytes()
    with pytest.raises(decord.DECORDError):
        decord.VideoReader(io.BytesIO(payload))
    with DecordReader(payload) as reader, VideoReader(payload) as expected:
        np.testing.assert_array_equal(reader[0], expected[0])


def test_where_decord_gives_up_halfway_the_rest_is_read_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    decord = pytest.importorskip("decord")
    with DecordReader(sample("mp4")) as reader:
        assert number_in(reader[10]) == 10

        def fail(*_: object) -> None:
            raise decord.DECORDError("broken")

        monkeypatch.setattr("decord.VideoReader.__getitem__", fail)
        assert [number_in(reader[number]) for number in (11, 60, 5)] == [11, 60, 5]


def test_a_video_of_which_much_is_broken_is_refused(shared_path: SharedPath) -> None:
    payload = shared_path("data/video/hostile/flips_mdat.mp4").read_bytes()  # 16 of its 63 frames
    with VideoReader(payload) as reader, pytest.raises(UndecodableInput, match="more than 6 of the video's 63 frames"):
        reader[-1]


def test_frames_that_are_all_shown_at_once_have_no_rate(shared_path: SharedPath) -> None:
    """Whose header gives them 1888 a second."""
    with VideoReader(shared_path("data/video/hostile/flips_mdat.mp4").read_bytes()) as reader:
        assert reader.get_avg_fps() == 0
