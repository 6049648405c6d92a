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
from preprocessors.lzf import decompressed
from preprocessors.pointcloud import PointCloudOptions, PointCloudPreprocessor
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


def ply_header(vertices: str = "3", faces: str = "0", encoding: str = "ascii", counts: str = "uchar") -> bytes:
    axes = "".join(f"property float {axis}\n" for axis in "xyz")
    return (
        f"ply\nformat {encoding} 1.0\nelement vertex {vertices}\n{axes}"
        f"element face {faces}\nproperty list {counts} int vertex_indices\nend_header\n"
    ).encode()


def pcd_header(points: str, encoding: str = "binary", fields: str = "x y z", sizes: str = "4 4 4") -> bytes:
    lines = f"FIELDS {fields}\nSIZE {sizes}\nTYPE F F F\nCOUNT 1 1 1\nWIDTH {points}\nHEIGHT 1\nPOINTS {points}\n"
    return f"VERSION 0.7\n{lines}DATA {encoding}\n".encode()


def npy_header(shape: str, dtype: str = "'<f4'") -> bytes:
    text = f"{{'descr': {dtype}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text


def zipped(name: str = "points.npy", data: bytes = b"", compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        archive.writestr(name, data)
    return file.getvalue()


TRIANGLE = b"0 0 0\n1 0 0\n0 1 0\n"
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
REFUSED = {
    "count is no number": (ply_header("abc"), "the line 'element vertex abc'"),
    "count is negative": (ply_header("-5"), "the line 'element vertex -5'"),
    "count is a digit of another script": (ply_header("٣"), "its header has the line"),
    "count too large, text": (ply_header("5") + TRIANGLE, "declares 5 lines of numbers, there are 3"),
    "count too small, text": (ply_header("2") + TRIANGLE, "declares 2 lines of numbers, there are 3"),
    "count too large, binary": (ply(POINTS, "binary_big_endian").replace(b"x 60", b"x 61"), "declares at least"),
    "count too small, binary": (ply(POINTS, "binary_big_endian").replace(b"x 60", b"x 59"), "there are"),
    "no vertices": (b"ply\nformat ascii 1.0\nend_header\n", "have no x, y, z"),
    "no z": (ply(POINTS).replace(b"float z", b"float q"), "have no z"),
    "encoding": (ply(POINTS).replace(b"ascii", b"utf-8"), "its encoding is 'utf-8', expected one of ascii, binary_li"),
    "type": (ply(POINTS).replace(b"float z", b"complex z"), "the property 'complex z'"),
    "length of a list in floats": (ply_header(counts="float"), "the property 'list float int vertex_indices'"),
    "the same property twice": (ply(POINTS).replace(b"float z", b"float x"), "two properties x"),
    "vertices with lists": (ply(POINTS).replace(b"float z", b"list uchar float z"), "vertices have a list"),
    "header without end": (ply(POINTS).replace(b"end_header\n", b""), "no line end_header"),
    "header of megabytes": (ply(POINTS).replace(b"comment", b"comment" + bytes(5_000_000)), "no line end_header"),
    "words for numbers": (ply(POINTS).replace(b"\n0", b"\nzero", 1).replace(b".", b"!", 40), "only numbers should be"),
    "negative length, text": (ply_header(faces="1") + TRIANGLE + b"-3 0 1 2\n", "negative length"),
    "negative length, binary": (
        ply_header(faces="1", encoding="binary_little_endian", counts="char") + bytes(36) + b"\xfd" + bytes(12),
        "negative length",
    ),
    "fraction of a vertex": (ply_header(faces="1") + TRIANGLE + b"3 0 1.5 2\n", "not a whole number"),
    "vertex nan": (ply_header(faces="1") + TRIANGLE + b"3 0 nan 2\n", "not a whole number"),
    "vertex 1e300": (ply_header(faces="1") + TRIANGLE + b"3 0 1e300 2\n", "beyond all reason"),
    "list too short": (ply_header(faces="1") + TRIANGLE + b"4 0 1 2\n", "more or fewer numbers"),
    "list too long": (ply_header(faces="1") + TRIANGLE + b"3 0 1 2 2\n", "more or fewer numbers"),
    "list longer than the file": (
        ply_header(faces="1", encoding="binary_little_endian", counts="uint") + bytes(36) + b"\xff" * 16,
        "longer than the file",
    ),
    "more faces than bytes": (ply_header(faces="99", encoding="binary_little_endian") + bytes(40), "99 records"),
    "pcd size": (pcd_header("2", sizes="99 4 4") + bytes(24), "of type 'F' and of 99 bytes"),
    "pcd fields": (pcd_header("2", fields="x y") + bytes(24), "names 2 fields, 3 sizes, 3 types"),
    "pcd without fields": (b"VERSION 0.7\nWIDTH 0\nDATA ascii\n", "hold 0 numbers each"),
    "pcd without xyz": (pcd_header("2", fields="a b c") + bytes(24), "no x, y, z"),
    "pcd count": (pcd(POINTS, "binary").replace(b"1 1 1 3", b"1 1 1 99999999"), "numbers each"),
    "pcd count zero": (pcd(POINTS, "binary").replace(b"1 1 1 3", b"1 1 1 0"), "numbers each"),
    "pcd encoding": (pcd_header("2", "zstd") + bytes(24), "DATA is zstd, expected one of ascii, binary, binary_co"),
    "pcd without data": (pcd_header("2").replace(b"DATA", b"DATE") + bytes(24), "no line DATA"),
    "pcd points": (pcd_header("2").replace(b"POINTS 2", b"POINTS 3") + bytes(24), "3 points, but 2 by WIDTH"),
    "pcd too short": (pcd(POINTS, "binary")[:-1], "declares at least"),
    "pcd too long": (pcd(POINTS, "binary") + b"more", "its header declares"),
    "pcd text too short": (pcd_header("4", "ascii") + TRIANGLE, "3 lines of 3 numbers, not 4 of 3"),
    "pcd text too long": (pcd_header("2", "ascii") + TRIANGLE, "3 lines of 3 numbers, not 2 of 3"),
    "lzf of another size": (pcd_header("2", "binary_compressed") + struct.pack("<II", 3, 25) + b"\0aa", "25 bytes"),
    "lzf garbage": (pcd_header("2", "binary_compressed") + struct.pack("<II", 4, 24) + b"\xff" * 4, "before the first"),
    "rows of differing length": (b"1 2 3\n4 5\n", "row 2 holds 2 numbers, the rows before it 3"),
    "rows that even out": (b"1 2 3\n4 5\n6 7 8 9\n", "row 2 holds 2 numbers"),
    "a line of millions": (b"1 " * 200_000, "holds 200000 numbers, at most 1000"),
    "decimal commas": (b"1,5 2,5 3,5\n4,5 5,5 6,5\n", "in more than one way"),
    "decimal commas, semicolons": (b"1,5;2,5;3,5\n4,5;5,5;6,5\n", "in more than one way"),
    "more names than columns": (b"x,y,z,w\n1,2,3\n", "names 4 columns, its rows hold 3"),
    "utf-16": (rows(POINTS).encode("utf-16"), "UTF-16, save it as UTF-8"),
    "zeros between numbers": (b"1 2 3\n4\x005 6\n", "only numbers should be"),
    "words in a table": (b"1 2 3\n4 five 6\n", "only numbers should be"),
    "numbers glued together": (b"1 2 3\n1-2 4 5\n", "only numbers should be"),
    "numbers glued, words": (b"1 2 3\n1-2 4 x\n", "only numbers should be"),
    "only a comment": (b"x y z\n # nothing", "holds no points"),
    "pts too short": (b"4\n" + TRIANGLE, "declares 4 points, and holds 3"),
    "pts too long": (b"2\n" + TRIANGLE, "declares 2 points, and holds 3"),
    "pts of pairs": (b"2\n1 2\n3 4\n", "rows hold 2 numbers"),
    "npy of one axis": (npy(POINTS.ravel()), r"shape \(180,\), expected \(N, 3\)"),
    "npy of pairs": (npy(POINTS[:, :2]), r"shape \(60, 2\)"),
    "npy of three axes": (npy(POINTS.reshape(2, 30, 3)), r"shape \(2, 30, 3\)"),
    "npy of thousands": (npy(np.zeros((3, 5000))), r"shape \(3, 5000\)"),
    "npy complex": (npy(POINTS.astype(complex)), "of type <c16"),
    "npy of strings": (npy(POINTS.astype(str)), "of type <U"),
    "npy of truths": (npy(POINTS > 0), r"of type \|b1"),
    "npy without x": (npy(np.zeros(9, [("a", "f4"), ("y", "f4"), ("z", "f4")])), "have no x"),
    "npy of fields of arrays": (npy(np.zeros(9, [("x", "f4", (2,)), ("y", "f4"), ("z", "f4")])), "have no x"),
    "npy too short": (npy(POINTS)[:-1], "bytes of numbers, it holds more or fewer"),
    "npy too long": (npy(POINTS) + b"\0", "bytes of numbers, it holds more or fewer"),
    "npy of negative size": (npy_header("(-3, 3)") + bytes(36), r"shape \(-3, 3\)"),
    "npy version": (b"\x93NUMPY\x09\0" + npy(POINTS)[8:], "npy version is 9"),
    "npy header of megabytes": (b"\x93NUMPY\2\0" + struct.pack("<I", 2**31) + bytes(99), "header takes 2147483648"),
    "npz without points": (npz(a=POINTS), "named points, xyz, arr_0"),
    "npz of many arrays": (npz(points=POINTS, **dict.fromkeys(map(str, range(64)), POINTS)), "more than 64 arrays"),
    "npz of text": (zipped(data=b"1 2 3\n" * 99), "npy version"),
    "npz in another compression": (zipped(data=npy(POINTS), compression=zipfile.ZIP_LZMA), "in another way"),
    "a zip of other files": (zipped("word/document.xml", b"<xml/>"), "named points, xyz, arr_0"),
    "zip cut off": (npz(points=POINTS)[:-9], "zip"),
    "off without counts": (b"OFF\n", "how many vertices and faces"),
    "off of negative counts": (b"OFF\n-3 1 0\n" + TRIANGLE, "how many vertices and faces"),
    "off binary": (b"OFF BINARY\n" + bytes(99), "how many vertices and faces"),
    "off too short": (off(CUBE)[:-8], "8 vertices and 12 faces, and holds 19 lines"),
    "off too long": (off(CUBE) + b"3 0 1 2\n", "8 vertices and 12 faces, and holds 21 lines"),
    "off face too short": (off(CUBE).replace(b"3 0 1 3\n", b"4 0 1 3\n"), "fewer corners than it declares"),
    "off face of negative length": (off(CUBE).replace(b"3 0 1 3\n", b"-4 0 1 3\n"), "fewer corners"),
    "off vertex too short": (off(CUBE).replace(b"0.0 0.0 1.0\n", b"0.0 0.0\n", 1), "fewer than 3 coordinates"),
    "obj vertex too short": (b"v 1 2\nv 2 3 4\n", "fewer than 3 coordinates"),
    "obj vertex without numbers": (b"v 1 2 3\nv  #\nv 2 3 4\n", "has no numbers"),
    "obj without vertices": (b"o nothing\n", "holds no points"),
    "obj of words": (b"v one two three\n", "only numbers should be"),
    "stl cut off": (binary_stl(CUBE, header=b"solid")[:-1], "facets|no points"),
    "stl of two corners": (text_stl(CUBE).replace(b"vertex", b"vortex", 1), "facets are not"),
    "stl of two coordinates": (b"solid\n" + b"vertex 1 2\n" * 3, "facets are not"),
    "stl empty": (binary_stl(CUBE, ()), "holds no points"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_broken_file_is_refused_with_what_is_wrong(case: str) -> None:
    payload, message = REFUSED[case]
    with pytest.raises(UndecodableInput, match=message) as refusal:
        PREPROCESSOR.decode(payload, PointCloudOptions())
    assert refusal.value.code == "undecodable_input"
    assert refusal.value.detail.endswith("export it again")


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


@pytest.mark.parametrize("kind", SOUND.keys() - {"xyz", "csv", "obj", "stl", "stl as text"})
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
