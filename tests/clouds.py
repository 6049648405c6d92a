"""Point clouds and meshes that tests make for themselves, and write by hand in every format."""

import io
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Attributes = Mapping[str, NDArray[np.float32]]

CUBE = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], np.float64)
QUADS = ((0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3))
TRIANGLES = tuple(corners for a, b, c, d in QUADS for corners in ((a, b, c), (a, c, d)))
PLY_ORDERS = {"binary_little_endian": "<", "binary_big_endian": ">"}


def cloud(points: int = 300, seed: int = 0) -> Values:
    """(points, 3), no two numbers of them equal, all exact in float32 and in text."""
    values = np.random.default_rng(seed).permutation(200_000)[: 3 * points].reshape(points, 3) - 100_000
    return values / 64


def rows(values: NDArray[np.generic] | Sequence[Sequence[float]], separator: str = " ") -> str:
    return "".join(separator.join(str(value) for value in row) + "\n" for row in np.asarray(values).tolist())


def ply(
    points: Values,
    encoding: str = "ascii",
    attributes: Attributes | None = None,
    faces: Sequence[Sequence[int]] = (),
    before: bool = False,
) -> bytes:
    """float32 vertices. before: an element of lists of differing length stands before them, one of scalars behind."""
    extra = dict(attributes or {})
    header = ["ply", f"format {encoding} 1.0", "comment made by hand"]
    if before:
        header += ["element strip 3", "property uchar kind", "property list ushort int items", "property double weight"]
    header += [f"element vertex {len(points)}", *(f"property float {axis}" for axis in ("x", "y", "z", *extra))]
    if faces:
        header += [f"element face {len(faces)}", "property uchar kind", "property list uchar int vertex_indices"]
    if before:
        header += ["element edge 2", "property int first", "property short second"]
    table = np.column_stack([points, *extra.values()]).astype(np.float32)
    write = _ply_text if encoding == "ascii" else _ply_binary
    return ("\n".join(header) + "\nend_header\n").encode() + write(encoding, table, faces, before)


def _ply_text(_: str, table: NDArray[np.float32], faces: Sequence[Sequence[int]], before: bool) -> bytes:
    text = "".join(f"7 {n} {'5 ' * n}0.25\n" for n in (2, 0, 3)) if before else ""
    text += rows(table) + "".join(f"9 {len(face)} {' '.join(map(str, face))}\n" for face in faces)
    return (text + ("1 2\n3 4\n" if before else "")).encode()


def _ply_binary(encoding: str, table: NDArray[np.float32], faces: Sequence[Sequence[int]], before: bool) -> bytes:
    order = PLY_ORDERS[encoding]
    body = b"".join(struct.pack(f"{order}BH{n}id", 7, n, *[5] * n, 0.25) for n in (2, 0, 3)) if before else b""
    body += table.astype(f"{order}f4").tobytes()
    body += b"".join(struct.pack(f"{order}BB{len(face)}i", 9, len(face), *face) for face in faces)
    return body + (struct.pack(f"{order}ihih", 1, 2, 3, 4) if before else b"")


def pcd(points: Values, encoding: str = "ascii", attributes: Attributes | None = None) -> bytes:
    """float32 fields, with a padding of three bytes behind the coordinates."""
    extra = dict(attributes or {})
    names = ["x", "y", "z", "_", *extra]
    header = f"""# .PCD v0.7 - Point Cloud Data file format
VERSION 0.7
FIELDS {" ".join(names)}
SIZE {" ".join("1" if name == "_" else "4" for name in names)}
TYPE {" ".join("U" if name == "_" else "F" for name in names)}
COUNT {" ".join("3" if name == "_" else "1" for name in names)}
WIDTH {len(points)}
HEIGHT 1
VIEWPOINT 0 0 0 1 0 0 0
POINTS {len(points)}
DATA {encoding}
"""
    padding = np.zeros((len(points), 3), np.uint8)
    parts = [column.astype("<f4") for column in points.T] + [padding] + [item.astype("<f4") for item in extra.values()]
    return header.encode() + PCD_BODIES[encoding](parts)


def _pcd_text(parts: Sequence[NDArray[np.generic]]) -> bytes:
    return rows(np.column_stack([part.astype(np.float64) for part in parts])).replace(" 0.0 0.0 0.0", " 0 0 0").encode()


def _pcd_binary(parts: Sequence[NDArray[np.generic]]) -> bytes:
    return b"".join(b"".join(part[index].tobytes() for part in parts) for index in range(len(parts[0])))


def _pcd_compressed(parts: Sequence[NDArray[np.generic]]) -> bytes:
    values = b"".join(part.tobytes() for part in parts)
    packed = lzf(values)
    return struct.pack("<II", len(packed), len(values)) + packed


PCD_BODIES: dict[str, Callable[[Sequence[NDArray[np.generic]]], bytes]] = {
    "ascii": _pcd_text,
    "binary": _pcd_binary,
    "binary_compressed": _pcd_compressed,
}


def lzf(data: bytes) -> bytes:
    """Greedy: repeat the last occurrence of the next three bytes as far as it goes, else write a literal."""
    output, literals, seen, position = bytearray(), bytearray(), dict[bytes, int](), 0

    def flush() -> None:
        for start in range(0, len(literals), 32):
            piece = literals[start : start + 32]
            output.extend(bytes([len(piece) - 1]) + piece)
        literals.clear()

    while position < len(data):
        key = data[position : position + 3]
        found = seen.get(key, -10_000)
        seen[key] = position
        if len(key) < 3 or position - found > 8192:
            literals.append(data[position])
            position += 1
            continue
        length = 3
        while length < 264 and position + length < len(data) and data[found + length] == data[position + length]:
            length += 1
        flush()
        distance, stored = position - found - 1, length - 2
        output.append(min(stored, 7) << 5 | distance >> 8)
        if stored >= 7:
            output.append(stored - 7)
        output.append(distance & 255)
        position += length
    flush()
    return bytes(output)


def off(points: Values, faces: Sequence[Sequence[int]] = TRIANGLES, keyword: str = "OFF\n", colours: str = "") -> bytes:
    text = f"{keyword}{len(points)} {len(faces)} 0\n{rows(points)}"
    return (text + "".join(f"{len(face)} {' '.join(map(str, face))}{colours}\n" for face in faces)).encode()


def obj(points: Values, faces: Sequence[Sequence[int]] = TRIANGLES) -> bytes:
    text = "# by hand\no shape\n" + "".join(f"v {line}\n" for line in rows(points).splitlines())
    return (text + "".join("f " + " ".join(f"{index + 1}//1" for index in face) + "\n" for face in faces)).encode()


def binary_stl(points: Values, faces: Sequence[Sequence[int]] = TRIANGLES, header: bytes = b"solid lies") -> bytes:
    body = b"".join(struct.pack("<12fH", 0, 0, 1, *points[list(face)].ravel(), 0) for face in faces)
    return header.ljust(80) + struct.pack("<I", len(faces)) + body


def text_stl(points: Values, faces: Sequence[Sequence[int]] = TRIANGLES) -> bytes:
    facets = [
        "facet normal 0 0 1\n outer loop\n"
        + "".join(f"  vertex {line}\n" for line in rows(points[list(face)]).splitlines())
        + " endloop\nendfacet\n"
        for face in faces
    ]
    return f"solid by hand\n{''.join(facets)}endsolid\n".encode()


def npy(array: NDArray[np.generic]) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def npz(**arrays: NDArray[Any]) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
    return file.getvalue()


def stored_npz(**arrays: NDArray[Any]) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)  # type: ignore[arg-type]
    return file.getvalue()


def radhar(points: Values, frames: Sequence[int], velocity: Values) -> bytes:
    """What `rostopic echo` prints of a radar; frames: how many points each has."""
    ids = [place for count in frames for place in range(count)]
    return "".join(
        f'header: \n  seq: {seq}\n  stamp: \n    secs: 1561686184\n    nsecs: 612307393\n  frame_id: "ti_mmwave"\n'
        f"point_id: {place}\nx: {x!r}\ny: {y!r}\nz: {z!r}\nrange: 1.5\nvelocity: {v!r}\ndoppler_bin: 8\n"
        "bearing: -73.3\nintensity: 30.7\n---\n"
        for seq, (place, (x, y, z), v) in enumerate(zip(ids, points.tolist(), velocity.tolist(), strict=True))
    ).encode()
