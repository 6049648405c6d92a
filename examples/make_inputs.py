"""Make the sound, the video and the point cloud that the README posts: all of it computed, nothing recorded.

python examples/make_inputs.py
"""

from pathlib import Path

import av
import numpy as np
import soundfile
from numpy.typing import NDArray
from PIL import Image

HERE = Path(__file__).parent
Floats = NDArray[np.float64]


def six(rate: int = 8000) -> Floats:
    """The word "six", put together from its sounds: a hiss, a vowel, a stop, a hiss."""
    rng = np.random.default_rng(0)
    silence, stop = np.zeros(round(0.05 * rate)), hiss(rng, 0.02, rate, 1800.0)
    return np.concatenate([hiss(rng, 0.13, rate), vowel(0.11, rate), silence, stop, hiss(rng, 0.16, rate)])


def hiss(rng: np.random.Generator, seconds: float, rate: int, lowest: float = 2600.0) -> Floats:
    """Noise above a frequency, swelling and fading, as an s."""
    count = round(seconds * rate)
    spectrum = np.fft.rfft(rng.normal(size=count))
    spectrum[np.fft.rfftfreq(count, 1 / rate) < lowest] = 0
    return 0.12 * np.fft.irfft(spectrum, count) * np.sin(np.linspace(0.3, np.pi - 0.3, count))


def vowel(seconds: float, rate: int, pitch: float = 125.0) -> Floats:
    """Harmonics of a voice, loudest near the three resonances of a short i."""
    time = np.arange(round(seconds * rate)) / rate
    sound = np.zeros_like(time)
    for number in range(1, int(rate / 2 / pitch)):
        level = sum(np.exp(-(((number * pitch - f) / w) ** 2)) for f, w in ((390, 90), (1990, 150), (2550, 200)))
        sound += level * np.sin(2 * np.pi * number * pitch * time)
    return 0.25 * sound * np.sin(np.linspace(0.2, np.pi - 0.2, len(time)))


def pan_right(path: Path, frames: int = 24, side: int = 192, step: float = 6.0) -> None:
    """A camera that turns to the right over one of the drawn pictures, which moves to the left."""
    scene = Image.open(HERE / "dress.jpg")
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=12)
        stream.width = stream.height = side
        stream.pix_fmt = "yuv420p"
        for number in range(frames):
            left = 20 + step * number
            view = scene.resize((side, side), Image.Resampling.BICUBIC, box=(left, 100, left + 440, 540))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.asarray(view), format="rgb24")))
        container.mux(stream.encode(None))


def walker(frames: int = 60, per_frame: int = 21) -> Floats:
    """(N, 5) x, y, z in metres, velocity in m/s, time from 0 to 1: someone walks away from a radar for two seconds."""
    rng = np.random.default_rng(0)
    time = np.repeat(np.arange(frames) / frames, per_frame)
    distance = 1.2 + 1.6 * time
    body = rng.normal(size=(len(time), 3)) * (0.12, 0.18, 0.45)
    swing = 0.25 * np.sin(2 * np.pi * 3.6 * time) * np.sign(body[:, 1])
    xyz = body + np.column_stack([distance + swing * (body[:, 2] < 0), 0.1 * time, np.full_like(time, -0.1)])
    return np.column_stack([xyz, 0.8 + 0.3 * rng.normal(size=len(time)), time])


def write_ply(path: Path, points: Floats) -> None:
    names = ("x", "y", "z", "velocity", "time")
    header = ["ply", "format binary_little_endian 1.0", f"element vertex {len(points)}"]
    header += [f"property float {name}" for name in names]
    path.write_bytes("\n".join([*header, "end_header", ""]).encode() + points.astype("<f4").tobytes())


if __name__ == "__main__":
    soundfile.write(HERE / "six.wav", six(), 8000)
    pan_right(HERE / "pan-right.mp4")
    write_ply(HERE / "walker.ply", walker())
