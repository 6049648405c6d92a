"""Every format gives back the points, attributes and faces that were written."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from preprocessors.base import UndecodableInput, UnsupportedFormat
from preprocessors.clouds.cloud import Cloud
from preprocessors.clouds.cloud_reader import FORMATS, read_cloud, reader_faults
from preprocessors.pointcloud import PointCloudOptions, PointCloudPreprocessor
from tests.clouds import (
    CUBE,
    PCD_BODIES,
    PLY_ORDERS,
    QUADS,
    TRIANGLES,
    binary_stl,
    cloud,
    npy,
    npz,
    obj,
    off,
    pcd,
    ply,
    radhar,
    rows,
    stored_npz,
    text_stl,
)
from tests.conftest import SharedPath

POINTS = cloud(300)
ATTRIBUTES = {
    "velocity": np.linspace(-3, 4, 300).astype(np.float32),
    "intensity": np.arange(300, dtype=np.float32),
}
TABLE = np.column_stack([POINTS, *ATTRIBUTES.values()])
COLUMNS = dict(zip(ATTRIBUTES, TABLE.T[3:], strict=True))
FIELDS = [("velocity", "<f8"), ("x", "<f4"), ("label", "<U3"), ("y", ">f4"), ("z", "<f8"), ("intensity", "<u2")]
RECORDS = np.zeros(300, FIELDS)
for name, column in {**dict(zip("xyz", POINTS.T, strict=True)), **ATTRIBUTES}.items():
    RECORDS[name] = column
PLY_ENCODINGS = ("ascii", *PLY_ORDERS)
MIXED = (*QUADS[:3], *TRIANGLES[6:])
HEADER = "x,y,z,velocity,intensity\n"


def commas_behind(header: bytes, payload: bytes) -> bytes:
    head, body = payload.split(header)
    return head + header + body.replace(b" ", b",")


PLAIN: dict[str, tuple[str, bytes]] = {
    **{f"ply {name}": ("ply", ply(POINTS, name)) for name in PLY_ENCODINGS},
    **{f"ply {name}, others": ("ply", ply(POINTS, name, before=True)) for name in PLY_ENCODINGS},
    "ply crlf": ("ply", ply(POINTS).replace(b"\n", b"\r\n")),
    **{f"pcd {name}": ("pcd", pcd(POINTS, name)) for name in PCD_BODIES},
    "pcd commas": ("pcd", commas_behind(b"DATA ascii", pcd(POINTS))),
    "xyz": ("xyz", rows(POINTS).encode()),
    "xyz tabs": ("xyz", rows(POINTS, "\t").encode()),
    "xyz, blanks around": ("xyz", rows(POINTS, "   ").replace("\n", "  \n\n  ").encode()),
    "xyz, comments": ("xyz", ("# by hand\n" + rows(POINTS).replace("\n", " # a point\n", 3)).encode()),
    "xyz, byte order mark": ("xyz", b"\xef\xbb\xbf" + rows(POINTS).encode()),
    "xyz, old line ends": ("xyz", rows(POINTS).replace("\n", "\r").encode()),
    "xyz, more columns": ("xyz", rows(TABLE).encode()),
    "xyz, exponents": ("xyz", "".join(f"{x:.17e} {y:.17E} {z:+.17e}\n" for x, y, z in POINTS).encode()),
    "csv": ("csv", rows(POINTS, ",").encode()),
    "csv, comma and blank": ("csv", rows(POINTS, ", ").encode()),
    "csv semicolons": ("csv", rows(POINTS, ";").encode()),
    "pts": ("pts", b"300\n" + rows(POINTS).encode()),
    "npy float64": ("npy", npy(POINTS)),
    "npy float32, big endian": ("npy", npy(POINTS.astype(">f4"))),
    "npy by columns": ("npy", npy(np.asfortranarray(POINTS))),
    "npy, more columns": ("npy", npy(TABLE)),
    "npz": ("npz", npz(points=POINTS)),
    "npz stored": ("npz", stored_npz(xyz=POINTS.astype(np.float32))),
    "npz without a name": ("npz", npz(arr_0=POINTS)),
    "radhar": ("radhar", radhar(POINTS, [300], POINTS[:, 0])),
    "obj without faces": ("obj", obj(POINTS, ())),
    "off without faces": ("off", off(POINTS, ())),
}  # fmt: skip
ATTRIBUTED: dict[str, bytes] = {
    **{f"ply {name}": ply(POINTS, name, ATTRIBUTES) for name in PLY_ENCODINGS},
    **{f"pcd {name}": pcd(POINTS, name, ATTRIBUTES) for name in PCD_BODIES},
    "csv": (HEADER + rows(TABLE, ",")).encode(),
    "csv in another order": ("intensity;z;y;x;velocity\n" + rows(TABLE[:, [4, 2, 1, 0, 3]], ";")).encode(),
    "csv quoted": ('"X","Y","Z","velocity","intensity"\n' + rows(TABLE, ",")).encode(),
    "names in a comment": ("#  X Y Z velocity intensity\n" + rows(TABLE)).encode(),
    "names in a comment of CloudCompare": ("//X Y Z velocity intensity\n" + rows(TABLE)).encode(),
    "npy with fields": npy(RECORDS),
    "npz": npz(points=POINTS, **COLUMNS, labels=np.array(["a"]), other=np.ones((9, 9))),
    "npz with fields": npz(points=RECORDS[["x", "y", "z", "intensity"]], velocity=TABLE[:, 3]),
}  # fmt: skip
MESHES: dict[str, tuple[str, bytes]] = {
    **{f"ply {name}": ("ply", ply(CUBE, name, faces=TRIANGLES)) for name in PLY_ENCODINGS},
    **{f"ply {name}, quads": ("ply", ply(CUBE, name, faces=QUADS)) for name in PLY_ENCODINGS},
    **{f"ply {name}, mixed": ("ply", ply(CUBE, name, faces=MIXED, before=True)) for name in PLY_ENCODINGS},
    "off": ("off", off(CUBE)),
    "off, quads": ("off", off(CUBE, QUADS)),
    "off, mixed": ("off", off(CUBE, MIXED, colours=" 255 0 0")),
    "off, keyword and counts in one line": ("off", off(CUBE, keyword="OFF ")),
    "off, nothing between keyword and counts": ("off", off(CUBE, keyword="OFF")),
    "off, comments": ("off", off(CUBE, keyword="OFF # a cube\n# by hand\n\n").replace(b"\n3 0", b" # a corner\n3 0")),
    "coff": ("off", off(np.column_stack([CUBE, CUBE, CUBE[:, 0]]), keyword="COFF\n")),
    "noff": ("off", off(np.column_stack([CUBE, CUBE]), keyword="NOFF\n")),
    "cnoff": ("off", off(np.column_stack([CUBE] * 3), keyword="CNOFF\n")),
    "obj": ("obj", obj(CUBE)),
    "obj, mixed": ("obj", obj(CUBE, MIXED)),
    "obj crlf": ("obj", obj(CUBE).replace(b"\n", b"\r\n")),
    "obj, lines continued": ("obj", obj(CUBE).replace(b" 3//1", b" \\\n3//1")),
    "obj, colours": ("obj", obj(np.column_stack([CUBE, CUBE]))),
    "stl": ("stl", binary_stl(CUBE)),
    "stl as text": ("stl", text_stl(CUBE)),
    "stl as capitals": ("stl", text_stl(CUBE).replace(b"vertex", b"VERTEX")),
}  # fmt: skip


def read(payload: bytes) -> tuple[str, Cloud]:
    return read_cloud(payload, 10_000)


@pytest.mark.parametrize("case", PLAIN)
def test_points_are_read_to_the_last_bit(case: str) -> None:
    expected, payload = PLAIN[case]
    name, found = read(payload)
    assert name == expected
    assert found.points.dtype == np.float64
    np.testing.assert_array_equal(found.points, POINTS)
    assert not len(found.faces)


@pytest.mark.parametrize("case", ATTRIBUTED)
def test_attributes_are_read_by_name(case: str) -> None:
    _, found = read(ATTRIBUTED[case])
    np.testing.assert_array_equal(found.points, POINTS)
    assert found.attributes.keys() == ATTRIBUTES.keys()
    for name, column in ATTRIBUTES.items():
        np.testing.assert_array_equal(found.attributes[name], column)


@pytest.mark.parametrize(("frames", "span"), [([100, 50, 150], 60), ([1] * 240 + [60], 241)])
def test_a_radar_s_points_have_their_velocity_and_their_time_in_the_window(frames: list[int], span: int) -> None:
    _, found = read(radhar(POINTS, frames, -POINTS[:, 0]))
    np.testing.assert_array_equal(found.attributes["velocity"], -POINTS[:, 0])
    np.testing.assert_allclose(found.attributes["time"], np.repeat(np.arange(len(frames)), frames) / span)


def test_a_radar_recording_of_the_published_set_is_read(shared_path: SharedPath) -> None:
    for path in sorted(shared_path("data/pointcloud/radhar/test_text_sample").iterdir()):
        name, found = read_cloud(path.read_bytes(), 10_000)
        assert (name, len(found.points)) == ("radhar", path.read_bytes().count(b"point_id"))
        assert found.attributes["time"].max() == pytest.approx(19 / 60)


def test_a_radar_s_point_that_lacks_a_value_is_refused() -> None:
    payload = radhar(POINTS, [300], POINTS[:, 0])
    with pytest.raises(UndecodableInput, match="1 of its 300 points lack one of point_id, x, y, z, range, velocity"):
        read(payload.replace(b"doppler_bin: 8\n", b"", 1))


@pytest.mark.parametrize("case", MESHES)
def test_meshes_are_read_as_triangles(case: str) -> None:
    expected, payload = MESHES[case]
    name, found = read(payload)
    assert name == expected
    assert found.faces.dtype == np.int64
    np.testing.assert_array_equal(found.points[found.faces], CUBE[list(TRIANGLES)])


@pytest.mark.parametrize(
    ("columns", "names"),
    [(3, ()), (4, ("intensity",)), (6, ("red", "green", "blue")), (7, ("intensity", "red", "green", "blue"))],
)
def test_pts_files_have_intensity_and_colours_by_their_number_of_columns(columns: int, names: tuple[str, ...]) -> None:
    table = np.column_stack([POINTS, POINTS[:, :1], POINTS])[:, :columns]
    _, found = read(b"300\n" + rows(table).encode())
    assert tuple(found.attributes) == names
    for index, name in enumerate(names):
        np.testing.assert_array_equal(found.attributes[name], table[:, 3 + index])


def test_negative_indices_of_obj_count_back_from_the_vertices_defined_so_far() -> None:
    first, second = CUBE[:4], CUBE[4:] + 0.5
    lines = [f"v {line}" for line in rows(first).splitlines()] + ["f -4 -3 -2"]
    lines += [f"v {line}" for line in rows(second).splitlines()] + ["f -1 2 -3//-1"]
    _, found = read("\n".join(lines).encode())
    np.testing.assert_array_equal(found.faces, [[0, 1, 2], [7, 1, 5]])


def test_polygons_of_fewer_than_three_corners_are_left_out() -> None:
    faces = [(0, 1), (2,), (), *TRIANGLES, (3, 4)]
    for payload in (ply(CUBE, faces=faces), ply(CUBE, "binary_big_endian", faces=faces), off(CUBE, faces)):
        np.testing.assert_array_equal(read(payload)[1].faces, TRIANGLES)


@pytest.mark.parametrize("index", [8, -1, 99_999_999])
@pytest.mark.parametrize("at", [0, 5, 11])
def test_a_face_of_a_vertex_that_is_not_there_is_refused(index: int, at: int) -> None:
    faces = [*TRIANGLES[:at], (0, index, 1), *TRIANGLES[at + 1 :]]
    payloads = [off(CUBE, faces), ply(CUBE, faces=faces), ply(CUBE, "binary_little_endian", faces=faces)]
    if index >= 0:  # in OBJ files -1 has a meaning
        payloads.append(obj(CUBE, faces))
    for payload in payloads:
        with pytest.raises(UndecodableInput, match=f"a face names the vertex {index}, there are 0 to 7"):
            read(payload)


@pytest.mark.parametrize("payload", [obj(CUBE) + b"f 0 1 2\n", obj(CUBE) + b"f -9 1 2\n"])
def test_indices_of_obj_begin_with_one(payload: bytes) -> None:
    with pytest.raises(UndecodableInput, match="a face names the vertex -1"):
        read(payload)


def test_a_format_is_known_by_its_content_and_not_by_chance() -> None:
    assert {read(payload)[0] for _, payload in (*PLAIN.values(), *MESHES.values())} == set(FORMATS)


@pytest.mark.parametrize(
    "payload",
    [b"\0", b"hello", b"<html></html>", b"\x89PNG\r\n\x1a\n" + bytes(64), b"LASF" + bytes(300),
     b"\x1f\x8b\x08\0" + bytes(30), b"glTF\2\0\0\0", b"1 2\n3 4\n", b"x y\n1 2\n", b"#\n" * 99, b"1.5\n1 2 3\n",
     bytes(83), bytes(85),
     b"one two three\n"],
)  # fmt: skip
def test_other_formats_are_refused_with_the_list_of_those_that_are_read(payload: bytes) -> None:
    with pytest.raises(UnsupportedFormat, match="npy, npz, stl, ply, pcd, off, obj, radhar, csv, xyz, pts") as refusal:
        read(payload)
    assert refusal.value.code == "unsupported_media_type"


@pytest.mark.parametrize(("payload", "size"), [(b"", "0 bytes"), (b" \n", "2 bytes of blanks")])
def test_an_empty_payload_is_refused(payload: bytes, size: str) -> None:
    with pytest.raises(UndecodableInput, match=rf"point cloud file is empty \({size}\)"):
        read(payload)


def test_a_mistake_of_our_own_is_not_blamed_on_the_file() -> None:
    with pytest.raises(AttributeError), reader_faults():
        raise AttributeError("no such attribute")


def test_all_shapes_of_modelnet_are_read(shared_path: Callable[[str], Path]) -> None:
    files = sorted(shared_path("data/pointcloud/modelnet10/test_off").rglob("*.off"))
    assert len(files) == 30
    for path in files:
        payload = path.read_bytes()
        sample = PointCloudPreprocessor(points=64).decode(payload, PointCloudOptions())
        tokens = payload.split()
        vertices, faces = int(tokens[1]), int(tokens[2])
        points = np.array(tokens[4 : 4 + 3 * vertices], np.float64).reshape(-1, 3)
        assert (sample.description["points"], sample.description["faces"]) == (vertices, faces), path.name
        assert sample.description["bounds"] == [points.min(axis=0).tolist(), points.max(axis=0).tolist()], path.name


def test_text_in_utf_16_is_to_be_saved_as_utf_8() -> None:
    with pytest.raises(UndecodableInput, match="UTF-16: save it as UTF-8"):
        read("1 2 3\n".encode("utf-16"))
