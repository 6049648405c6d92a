"""Which frames of a video make a clip: the original's rules for Kinetics, for any number of frames and stride."""

import numpy as np

Clip = tuple[int, ...]


def clip_frames(length: int, frames: int, stride: int, clips: int) -> list[Clip]:
    """Indices of the `frames` frames of each clip of a video of `length` frames; repeated where the video is short."""
    return [centred_clip(length, frames, stride)] if clips == 1 else dense_clips(length, frames, stride, clips)


def centred_clip(length: int, frames: int, stride: int) -> Clip:
    """The validation rule: frames x stride frames from the middle, end points included.

    A video that is shorter is spread out instead, at the same stride, and then stands still at its last frame: one of
    ten frames gives 0, 9, 9, ... for a stride of 4. So does the original.
    """
    span = frames * stride
    if length <= span:
        points = np.linspace(0, length, length // stride)
        points = np.concatenate([points, np.full(frames - len(points), length)])
        return _floored(points, 0, length - 1)
    end = (span + length) // 2
    return _floored(np.linspace(end - span, end, frames), end - span, end - 1)


def dense_clips(length: int, frames: int, stride: int, clips: int) -> list[Clip]:
    """The test rule: every stride-th frame of the whole video, in clips spread evenly from its start to its end."""
    dense = list(range(0, length, stride))
    dense += [dense[-1]] * (frames - len(dense))
    step = (len(dense) - frames) / (clips - 1)
    return [tuple(dense[int(number * step) :][:frames]) for number in range(clips)]


def _floored(points: np.ndarray[tuple[int, ...], np.dtype[np.float64]], low: int, high: int) -> Clip:
    return tuple(int(point) for point in np.clip(points, low, high))
