"""Headers of point clouds that tests write by hand, to let them lie."""

import io
import struct
import zipfile

TRIANGLE = b"0 0 0\n1 0 0\n0 1 0\n"


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
