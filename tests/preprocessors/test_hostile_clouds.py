"""Point clouds that are broken, that lie, or that were made to do harm: refused with a reason, or read, and cheaply."""

import io
import pickle
import random
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from preprocessors.base import PayloadError, TooLarge, UndecodableInput
from preprocessors.clouds.lzf import decompressed
from preprocessors.pointcloud import PointCloudOptions, PointCloudPreprocessor
from tests.cloud_headers import TRIANGLE, npy_header, pcd_header, ply_header, zipped
from tests.clouds import (
    CUBE,
    PCD_BODIES,
    PLY_ORDERS,
    binary_stl,
    cloud,
    lzf,
    npy,
    npz,
    obj,
    off,
    pcd,
    ply,
    rows,
    text_stl,
)
from tests.hostile import damaged, peak_growth

PREPROCESSOR = PointCloudPreprocessor(points=32, max_points=10_000)
POINTS = cloud(60)
FACES = [(0, 1, 2), (3, 4, 5, 6), (7, 8, 9)]
PLY_LE, PLY_BE = (ply(POINTS, encoding, faces=FACES, before=True) for encoding in PLY_ORDERS)
SOUND = {
    "ply": ply(POINTS, faces=FACES, before=True),
    "ply little": PLY_LE,
    "ply big": PLY_BE,
    **{f"pcd {name}": pcd(POINTS, name) for name in PCD_BODIES},
    "xyz": rows(POINTS).encode(),
    "csv": ("x,y,z\n" + rows(POINTS, ",")).encode(),
    "pts": b"60\n" + rows(POINTS).encode(),
    "npy": npy(POINTS),
    "npz": npz(points=POINTS, intensity=POINTS[:, 0]),
    "off": off(CUBE),
    "obj": obj(CUBE),
    "stl": binary_stl(CUBE),
    "stl as text": text_stl(CUBE),
}
CODES = {"ok", "undecodable_input", "unsupported_media_type", "too_many_points", "too_much_memory"}
MANY = 2_000_000_000


def outcome(payload: bytes, preprocessor: PointCloudPreprocessor = PREPROCESSOR) -> str:
    """What became of a payload; anything but a sample or a PayloadError is raised."""
    try:
        sample = preprocessor.decode(payload, PointCloudOptions())
    except PayloadError as error:
        return error.code if len(error.detail) < 600 else error.detail
    assert sample.array.shape == (preprocessor.points, 3)
    assert sample.array.dtype == np.float32
    assert np.linalg.norm(sample.array, axis=1).max() < 1.001
    return "ok"


TOO_MANY = {
    "ply": ply_header(f"{MANY}") + TRIANGLE,
    "ply big": ply_header(f"{MANY}", encoding="binary_big_endian") + bytes(36),
    "ply faces": ply_header(faces=f"{MANY}") + TRIANGLE,
    "ply faces, binary": ply_header(faces=f"{MANY}", encoding="binary_little_endian") + bytes(36),
    "ply, one polygon": ply_header("3", "1", "binary_big_endian", "uint") + bytes(38) + b"\x75\x30" + bytes(120_000),
    **{f"pcd {name}": pcd_header(f"{MANY}", name) + bytes(99) for name in PCD_BODIES},
    "npy": npy_header(f"({MANY}, 3)") + bytes(99),
    "npz": zipped(data=npy_header(f"({MANY}, 3)") + bytes(99)),
    "off": b"OFF\n%d 1 0\n" % MANY + TRIANGLE,
    "off faces": b"OFF\n3 %d 0\n" % MANY + TRIANGLE,
    "pts": b"%d\n" % MANY + TRIANGLE,
    "xyz": b"1 2 3\n" * 10_001,
    "obj": b"v 1 2 3\n" * 10_001,
    "obj faces": obj(CUBE, [(0, 1, 2)] * 20_001),
    "stl": binary_stl(CUBE, [(0, 1, 2)] * 3_334),
    "stl as text": text_stl(CUBE, [(0, 1, 2)] * 3_334),
}  # fmt: skip


@pytest.mark.parametrize("case", TOO_MANY)
def test_more_points_or_faces_than_are_read_are_refused_before_the_memory_for_them_is_taken(case: str) -> None:
    payload = TOO_MANY[case]
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge) as refusal:
            PREPROCESSOR.decode(payload, PointCloudOptions())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert refusal.value.code == "too_many_points"
    assert refusal.value.limit in (10_000, 20_000)
    assert refusal.value.actual is not None
    assert refusal.value.actual > refusal.value.limit
    assert peak < 8 << 20


def test_the_limit_of_points_is_inclusive() -> None:
    for written in (ply, pcd, npy):
        PointCloudPreprocessor(max_points=60).decode(written(POINTS), PointCloudOptions())
        with pytest.raises(TooLarge, match="declares 60 points, at most 59 are read"):
            PointCloudPreprocessor(max_points=59).decode(written(POINTS), PointCloudOptions())


@pytest.mark.parametrize("data", [npy(np.zeros((10_000, 30))), npy_header("(9, 3)") + bytes(3_000_000)])
def test_an_archive_that_inflates_beyond_the_limit_is_refused_before_it_does(data: bytes, tmp_path: Path) -> None:
    payload = zipped(data=data)
    assert len(payload) < 20_000
    with pytest.raises(TooLarge, match="at most 640000 are read") as refusal:
        PREPROCESSOR.decode(payload, PointCloudOptions())
    assert (refusal.value.code, refusal.value.actual) == ("too_much_memory", len(data))
    assert peak_growth(PREPROCESSOR, [payload], tmp_path) < 2 << 20


def test_an_archive_that_lies_about_its_size_is_not_read_beyond_it() -> None:
    data = npy(np.zeros((10_000, 30)))
    payload = zipped(data=data).replace(struct.pack("<I", len(data)), struct.pack("<I", 500))
    with pytest.raises(UndecodableInput, match="CRC"):
        PREPROCESSOR.decode(payload, PointCloudOptions())


def test_a_compressed_cloud_that_inflates_beyond_the_limit_is_refused_before_it_does() -> None:
    header = pcd_header("9", "binary_compressed").replace(b"COUNT 1 1 1", b"COUNT 1 1 9000")
    with pytest.raises(TooLarge, match="inflates to 4000000000 bytes") as refusal:
        PREPROCESSOR.decode(header + struct.pack("<II", 4, 4_000_000_000) + b"\0a\0a", PointCloudOptions())
    assert refusal.value.code == "too_much_memory"


def test_pickled_objects_are_never_loaded() -> None:
    class Trap:
        def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
            return pytest.fail, ("it was loaded",)

    trap = npy_header("(60,)", "'|O'") + pickle.dumps(Trap())
    for payload in (trap, zipped(data=trap)):
        with pytest.raises(UndecodableInput, match="pickled Python objects, which are never loaded"):
            PREPROCESSOR.decode(payload, PointCloudOptions())
    file = io.BytesIO(npz(points=POINTS))
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("secret.npy", trap)
    assert outcome(file.getvalue()) == "ok"


@pytest.mark.parametrize(
    "descr", ["'" + "f" * 99 + "'", "[" * 150, "[('x', '<f4')] * 9", "__import__('os')", "1", "'V9'"]
)
def test_the_header_of_an_array_is_data_and_no_program(descr: str) -> None:
    assert outcome(npy_header("(9, 3)", descr) + bytes(108)) in ("undecodable_input", "too_much_memory")


@pytest.mark.parametrize("size", [1, 31, 32, 33, 300, 9000])
@pytest.mark.parametrize("letters", [1, 3, 256])
def test_lzf_gives_back_what_was_compressed(size: int, letters: int) -> None:
    data = np.random.default_rng(size).integers(0, letters, size, dtype=np.uint8).tobytes()
    assert decompressed(lzf(data), size) == data
    for wrong in (size - 1, size + 1):
        with pytest.raises(UndecodableInput, match="do not make"):
            decompressed(lzf(data), wrong)


def test_lzf_stops_where_it_has_written_enough() -> None:
    bomb = b"\0a" + b"\xe0\xff\0" * 100_000  # each three bytes repeat 264
    tracemalloc.start()
    try:
        with pytest.raises(UndecodableInput):
            decompressed(bomb, 1000)
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", SOUND)
def test_damaged_files_are_refused_or_read(kind: str) -> None:
    rng = random.Random(kind)
    assert outcome(SOUND[kind]) == "ok"
    outcomes = {outcome(damaged(SOUND[kind], rng)) for _ in range(100)}
    assert outcomes <= CODES
    assert "undecodable_input" in outcomes


@pytest.mark.parametrize("kind", sorted(SOUND.keys() - {"xyz", "csv", "obj", "stl", "stl as text"}))
def test_truncated_files_are_refused(kind: str) -> None:
    payload = SOUND[kind]
    for size in (len(payload) // 2, len(payload) * 9 // 10):
        assert outcome(payload[:size]) == "undecodable_input"


def test_reading_text_takes_memory_in_proportion_to_it(tmp_path: Path) -> None:
    payloads = [b"1 2 3\n" + b"#\n" * 500_000, b"1 2 3 " + b"#" * 1_000_000, b"1 " * 500_000]
    assert peak_growth(PREPROCESSOR, payloads, tmp_path) < 30 * 1_000_000


NOT_READ = {".las", ".laz", ".bin", ".gz", ".md"}
EXPECTED = {
    "bad_field_size.pcd": "undecodable_input",
    "collinear_x.ply": "ok",
    "complex.npy": "undecodable_input",
    "compressed_garbage.pcd": "undecodable_input",
    "count_nan.ply": "undecodable_input",
    "count_negative.ply": "undecodable_input",
    "count_too_small.ply": "undecodable_input",
    "csv_header.xyz": "ok",
    "empty.ply": "undecodable_input",
    "empty.xyz": "undecodable_input",
    "four_cols.npy": "ok",
    "html_named.pcd": "unsupported_media_type",
    "identical_points.ply": "undecodable_input",
    "inf.npy": "ok",
    "int64.npy": "ok",
    "nan.npy": "ok",
    "nan.ply": "ok",
    "no_end_header.ply": "undecodable_input",
    "nul_bytes.xyz": "unsupported_media_type",
    "off_huge_counts.off": "too_many_points",
    "off_no_newline_after_magic.off": "ok",
    "one_d.npy": "undecodable_input",
    "one_outlier_1e9.ply": "ok",
    "pickle_object.npy": "undecodable_input",
    "png_named.ply": "unsupported_media_type",
    "ragged_rows.xyz": "undecodable_input",
    "random_64k.ply": "unsupported_media_type",
    "strings.npy": "undecodable_input",
    "text_values.ply": "undecodable_input",
    "truncated_bin.pcd": "undecodable_input",
    "truncated_bin.ply": "undecodable_input",
    "two_points.ply": "ok",
    "utf16.xyz": "undecodable_input",
    "width_mismatch.pcd": "undecodable_input",
    "zero_points.npy": "undecodable_input",
    "zero_points.ply": "undecodable_input",
    "zip_bomb_like_200MB.npz": "too_much_memory",
}


def test_collected_hostile_files_are_refused_or_read(shared_path: Callable[[str], Path]) -> None:
    preprocessor = PointCloudPreprocessor(points=32)
    for path in sorted(shared_path("data/pointcloud/hostile").iterdir()):
        code = outcome(path.read_bytes(), preprocessor)
        expected = "ok" if path.name.startswith("ok") else EXPECTED.get(path.name, "unsupported_media_type")
        assert code == expected, path.name


def test_collected_files_of_other_programs_are_read(shared_path: Callable[[str], Path]) -> None:
    unusable = {
        "no_vertex.ply",
        "empty.ply",
        "empty.stl",
        "ply_empty_bin.ply",
        "ply_empty_header.ply",
        "stl_empty_ascii.stl",
    }
    unusable |= {"sized_dims.ply", "unsized_dims.ply"}  # without z
    unusable |= {"issue_2421.ply", "face_in_group_name.obj"}  # a single point
    unusable |= {"points_emptyascii.ply"}  # one point more than it declares
    preprocessor, seen = PointCloudPreprocessor(points=32), 0
    for path in sorted(shared_path("data/pointcloud/formats").glob("*/*")):
        expected = "undecodable_input" if path.name in unusable else "ok"
        expected = "unsupported_media_type" if path.suffix in NOT_READ else expected
        assert outcome(path.read_bytes(), preprocessor) == expected, path.name
        seen += expected == "ok"
    assert seen > 60
