"""Point clouds that are broken, each in its own way, and what is said of them."""

import struct
import zipfile

import numpy as np
import pytest

from preprocessors.base import UndecodableInput
from preprocessors.pointcloud import PointCloudOptions, PointCloudPreprocessor
from tests.cloud_headers import TRIANGLE, npy_header, pcd_header, ply_header, zipped
from tests.clouds import CUBE, binary_stl, cloud, npy, npz, off, pcd, ply, text_stl

PREPROCESSOR = PointCloudPreprocessor(points=32, max_points=10_000)
POINTS = cloud(60)
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
