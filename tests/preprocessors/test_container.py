"""What is shown to FFmpeg, and what it may do with it."""

import io
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from preprocessors.base import PayloadError, TooLarge, UndecodableInput, UnsupportedFormat
from preprocessors.container import (
    AUDIO_DECODERS,
    SIGNATURES,
    VIDEO_DECODERS,
    best_stream,
    container_format,
    decoder_faults,
    file_format,
    open_container,
)
from preprocessors.video import VideoOptions, VideoPreprocessor
from tests.videos import ENCODINGS, film

PREPROCESSOR = VideoPreprocessor(frames=4, size=32, grid=(2, 2))
DEMUXERS = {
    "mp4": "mov",
    "mov": "mov",
    "mkv": "matroska",
    "webm": "matroska",
    "avi": "avi",
    "gif": "gif",
    "ts": "mpegts",
}
UDP_PORT = 47_806


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Hears whoever calls on a port of this machine."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


def letters(port: int, path: Path) -> dict[str, bytes]:
    """Text that FFmpeg takes for instructions: to fetch an address, to open a file, to bind a port."""
    address = f"http://127.0.0.1:{port}/film.mp4"
    segments = "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{}\n#EXT-X-ENDLIST\n"
    dash = (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration='
        "'PT9S'><Period><AdaptationSet mimeType='video/mp4'><Representation id='1' bandwidth='9'><BaseURL>{}</BaseURL>"
        "</Representation></AdaptationSet></Period></MPD>"
    )
    session = f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video {UDP_PORT} RTP/AVP 96\n"
    return {
        "hls to an address": segments.format(address).encode(),
        "hls to a file": segments.format(path).encode(),
        "dash to an address": dash.format(address).encode(),
        "dash to a file": dash.format(path.as_uri()).encode(),
        "sdp": (session + "a=rtpmap:96 H264/90000\n").encode(),
        "concat of an address": f"ffconcat version 1.0\nfile '{address}'\n".encode(),
        "concat of a file": f"ffconcat version 1.0\nfile '{path}'\n".encode(),
        "redirection": f"[Reference]\nRef1={address}\n".encode(),
        "protocol": f"concat:{path}|{address}".encode(),
        "image sequence": str(path.parent / "frame-%03d.png").encode(),
        "sdp in disguise": b"v=0\nfree" + session[4:].encode(),
    }


def bound_udp_ports() -> set[int]:
    lines = Path("/proc/net/udp").read_text().splitlines()[1:]
    return {int(line.split()[1].split(":")[1], 16) for line in lines}


@pytest.mark.parametrize("kind", list(letters(1, Path("/film"))))
def test_instructions_are_not_followed(
    kind: str, listener: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(film(frames=5))
    payload = letters(listener.getsockname()[1], path)[kind]
    expected = UndecodableInput if "disguise" in kind else UnsupportedFormat
    with pytest.raises(expected):
        PREPROCESSOR.decode(payload, VideoOptions())
    for demuxer in SIGNATURES:  # not even if the first bytes had deceived us
        with pytest.raises(PayloadError), open_container(payload, demuxer, 10**6) as container:
            best_stream(container, "video", VIDEO_DECODERS)
    with pytest.raises(BlockingIOError):
        listener.accept()
    assert UDP_PORT not in bound_udp_ports()


def test_the_listener_hears_calls(listener: socket.socket) -> None:
    with socket.create_connection(listener.getsockname()):
        listener.accept()[0].close()


def grown(payload: bytes, boxes: list[bytes], tail: bytes) -> bytes:
    """The same file with `tail` added to the innermost of nested boxes, which say how large they are."""
    data, end = bytearray(payload), 0
    for name in boxes:
        start = payload.index(name, end) - 4
        size = int.from_bytes(payload[start : start + 4], "big")
        data[start : start + 4] = struct.pack(">I", size + len(tail))
        end = start + 8
    data[start + size : start + size] = tail
    return bytes(data)


def with_data_elsewhere(mp4: bytes, path: Path) -> bytes:
    """A film whose frames are said to lie in another file, by an alias as QuickTime writes it."""
    name = str(path).encode()
    absolute = struct.pack(">HH", 2, len(name)) + name + bytes(len(name) % 2)
    alias = bytes(10) + bytes(28) + bytes(12) + bytes(64) + bytes(16) + struct.pack(">HH", 1, 1) + bytes(16)
    body = alias + absolute + struct.pack(">HH", 0xFFFF, 0)
    changed = mp4.replace(b"url \0\0\0\1", b"alis\0\0\0\0")
    return grown(changed, [b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref", b"alis"], body)


def test_frames_that_lie_in_another_file_are_not_fetched(tmp_path: Path) -> None:
    bright, dark = film(frames=5), bytearray(film(frames=5))
    start = dark.index(b"mdat") + 4
    dark[start : dark.index(b"moov") - 4] = bytes(dark.index(b"moov") - 4 - start)
    elsewhere = tmp_path / "elsewhere.mp4"
    elsewhere.write_bytes(bright)
    payload = with_data_elsewhere(bytes(dark), elsewhere)
    trusting = {"enable_drefs": "1", "use_absolute_path": "1"}
    (tmp_path / "here.mp4").write_bytes(payload)
    with av.open(tmp_path / "here.mp4", options=trusting) as container:
        assert len(list(container.decode(video=0))) == 5  # they could be
    with pytest.raises(UndecodableInput):
        PREPROCESSOR.decode(payload, VideoOptions())


@pytest.mark.parametrize("kind", ENCODINGS)
def test_the_first_bytes_tell_the_demuxer_and_the_format(kind: str) -> None:
    payload = film(kind, 3)
    name = ENCODINGS[kind].reads[0]
    assert (file_format(payload), container_format(payload)) == (name, DEMUXERS[name])


@pytest.mark.parametrize(
    "payload",
    [b"", b"G", b"GIF88a", b"RIFF\0\0\0\0WAVEfmt ", b"\0\0\0\x0cjP  \r\n\x87\n", b"\x30\x26\xb2\x75\x8e\x66\xcf\x11",
     b"FLV\x01\x05", b"\xff\xfb\x90\x64", b"ID3\x04", b"OggS", b"GGGG" + bytes(400), b" \0\0\0\x18ftypisom"],
)  # fmt: skip
def test_other_bytes_tell_of_no_container(payload: bytes) -> None:
    assert container_format(payload) is None


@pytest.mark.parametrize(("payload", "demuxer"), [(b"\xff\xf1\x50\x80", "aac"), (b"G" + bytes(187), "mpegts"),
                                                  (b"\0\0\0\x08wide\0\0\0\0mdat", "mov")])  # fmt: skip
def test_rarer_beginnings_are_known(payload: bytes, demuxer: str) -> None:
    assert container_format(payload) == demuxer


def test_every_decoder_named_exists() -> None:
    for name in VIDEO_DECODERS + AUDIO_DECODERS:
        assert av.Codec(name, "r").name == name


def two_streams(codec: str, cover: bool = False) -> bytes:
    """A sound track and one picture."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4" if cover else "matroska") as container:
        sound = container.add_stream("aac", rate=44_100, layout="mono")
        picture = container.add_stream(codec, rate=25)
        assert isinstance(sound, av.AudioStream)
        assert isinstance(picture, av.VideoStream)
        picture.width, picture.height, picture.pix_fmt = 64, 48, "yuvj420p" if codec == "mjpeg" else "yuv420p"
        if cover:
            picture.disposition = av.stream.Disposition.attached_pic
        black = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), "rgb24")
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        silence.sample_rate = 44_100
        black.pts = silence.pts = 0
        for packets in (picture.encode(black), picture.encode(None), sound.encode(silence), sound.encode(None)):
            container.mux(packets)
    return file.getvalue()


def test_a_codec_that_is_not_on_the_list_is_refused_by_name() -> None:
    with pytest.raises(UndecodableInput, match="encoded with ffv1, which is not read here: use one of h264, hevc"):
        PREPROCESSOR.decode(two_streams("ffv1"), VideoOptions())


def test_a_cover_picture_is_no_video() -> None:
    with pytest.raises(UndecodableInput, match="holds no video"):
        PREPROCESSOR.decode(two_streams("mjpeg", cover=True), VideoOptions())


def test_no_decoder_is_opened_where_none_is_needed() -> None:
    payload = film("ts", 20)
    with open_container(payload, "mpegts", 10**6, probe=False) as container:
        assert container.streams.video[0].codec_context.pix_fmt is None
    with open_container(payload, "mpegts", 10**6) as container:
        assert container.streams.video[0].codec_context.pix_fmt == "yuv420p"


def test_ffmpeg_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    for kind in ("mp4", "mkv", "ts", "avi"):
        payload = bytearray(film(kind, 20))
        payload[1000:1200] = bytes(200)
        try:
            PREPROCESSOR.decode(bytes(payload), VideoOptions())
        except PayloadError:
            continue
    captured = capfd.readouterr()
    assert captured.out + captured.err == ""


@pytest.mark.parametrize(
    "fault",
    [av.error.InvalidDataError(1, "x"), AttributeError("x"), IndexError("x"), KeyError("x"), EOFError("x"),
     OSError("x"), ValueError("x"), TypeError("x"), OverflowError("x"), UnicodeDecodeError("utf-8", b"x", 0, 1, "x")],
    ids=lambda fault: type(fault).__name__,
)  # fmt: skip
def test_every_way_in_which_pyav_fails_is_a_refusal(fault: Exception) -> None:
    with pytest.raises(UndecodableInput, match="damaged or incomplete") as refusal, decoder_faults():
        raise fault
    assert refusal.value.code == "undecodable_input"


@pytest.mark.parametrize("fault", [MemoryError(), av.error.MemoryError(12, "x")])
def test_what_is_too_much_for_ffmpeg_is_too_large(fault: Exception) -> None:
    with pytest.raises(TooLarge) as refusal, decoder_faults():
        raise fault
    assert refusal.value.code == "too_much_memory"


def test_a_refusal_of_our_own_goes_through() -> None:
    with pytest.raises(TooLarge, match="mine"), decoder_faults():
        raise TooLarge("too_long", "mine")
