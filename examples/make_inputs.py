"""Make the sound, the video, the point cloud and the weather that the README posts: computed, not recorded.

python examples/make_inputs.py
"""

import json
from pathlib import Path
from typing import Any

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


def stations(hours: int = 48) -> dict[str, Any]:
    """Two days at six places in Brazil that the weather model knows: warm afternoons, and a front from the south."""
    rng = np.random.default_rng(0)
    time = np.arange(hours)
    climate = {  # mean and swing of the day in degrees, and when the front comes, in hours
        "A001": (21.5, 5.0, 99),
        "A203": (27.5, 2.5, 99),
        "A401": (26.5, 2.0, 99),
        "A755": (20.0, 5.0, 36),
        "A868": (21.0, 3.5, 24),
        "A839": (18.0, 5.5, 12),
    }
    columns = []
    for mean, swing, front in climate.values():
        day = swing * np.cos(2 * np.pi * (time - 18) / 24)  # 18 UTC is three in the afternoon
        columns.append(mean + day - 6 / (1 + np.exp((front - time) / 3)) + rng.normal(0, 0.3, hours))
    facts = {"variable": "temperature", "units": "degC", "start_time": "2024-05-20T00:00:00Z", "horizon": 24}
    return {**facts, "stations": list(climate), "series": np.round(np.transpose(columns), 1).tolist()}


def write_ply(path: Path, points: Floats) -> None:
    names = ("x", "y", "z", "velocity", "time")
    header = ["ply", "format binary_little_endian 1.0", f"element vertex {len(points)}"]
    header += [f"property float {name}" for name in names]
    path.write_bytes("\n".join([*header, "end_header", ""]).encode() + points.astype("<f4").tobytes())


if __name__ == "__main__":
    soundfile.write(HERE / "six.wav", six(), 8000)
    pan_right(HERE / "pan-right.mp4")
    write_ply(HERE / "walker.ply", walker())
    (HERE / "stations.json").write_text(json.dumps(stations()) + "\n")
