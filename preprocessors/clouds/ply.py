"""PLY files, as text and in both byte orders: the properties of the vertices, and the corners of the faces."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from preprocessors.base import Array
from preprocessors.clouds.cloud import NO_FACES, Cloud, check_end, check_faces, check_points, check_size, damaged
from preprocessors.clouds.number_lines import NumberLines
from preprocessors.clouds.ply_header import Element, Header, parse_header
from preprocessors.clouds.ply_lists import binary_lists, gathered, text_lists
from preprocessors.clouds.polygons import checked, fan, whole

CORNERS = ("vertex_indices", "vertex_index")

Columns = Mapping[str, Array]
Body = tuple[Columns, Array]  # the vertices by property; the corners of the triangles, (F, 3)


def read_ply(payload: bytes, max_points: int) -> Cloud:
    header = parse_header(payload)
    vertex = header.element("vertex")
    check_points(vertex.count, max_points)
    if vertex.has_lists:
        raise damaged("its vertices have a list property")
    for element in header.elements:
        if element.has_lists:
            check_faces(element.count, max_points)
    columns, triangles = (_binary if header.byte_order else _text)(payload, header, max_points)
    return Cloud.of_columns(columns, checked(triangles, vertex.count))


def _text(payload: bytes, header: Header, max_points: int) -> Body:
    lines = NumberLines.parse(payload[header.size :])
    elements = [element for element in header.elements if element.properties]
    declared = sum(element.count for element in elements)
    if len(lines) != declared:
        raise damaged(f"its header declares {declared} lines of numbers, there are {len(lines)}")
    columns, triangles, first = _no_vertices(header), NO_FACES, 0
    for element in elements:
        part = lines.part(first, element.count)
        first += element.count
        if element is header.element("vertex") and element.count:
            columns = _text_columns(part, element)
        if (corners := _corners(element)) is not None:
            lists = text_lists(part, element, corners)
            triangles = whole(part.values[fan(lists.starts, lists.lengths, max_points)])
    return columns, triangles


def _text_columns(lines: NumberLines, element: Element) -> Columns:
    table = lines.table()
    if table.shape[1] != len(element.properties):
        raise damaged(f"its vertices hold {table.shape[1]} numbers, the header names {len(element.properties)}")
    return {item.name: table[:, index] for index, item in enumerate(element.properties)}


def _binary(payload: bytes, header: Header, max_points: int) -> Body:
    columns, triangles, offset = _no_vertices(header), NO_FACES, header.size
    for element in header.elements:
        if element.has_lists:
            corners = _corners(element)
            lists = binary_lists(payload, offset, element, header.byte_order, corners or 0)
            if corners is not None:
                kind = header.byte_order + element.properties[corners].kind
                positions = fan(lists.starts, lists.lengths, max_points, np.dtype(kind).itemsize)
                triangles = gathered(payload, kind, positions)
            offset = lists.end
            continue
        table = _records(payload, offset, element, header.byte_order)
        if element is header.element("vertex"):
            columns = {item.name: table[item.name] for item in element.properties}
        offset += table.nbytes
    check_end(payload, offset)
    return columns, triangles


def _records(payload: bytes, offset: int, element: Element, byte_order: str) -> NDArray[np.void]:
    dtype = element.record(byte_order)
    end = offset + element.count * dtype.itemsize
    if offset == end:
        return np.empty(0, dtype)
    check_size(payload, end)
    return np.frombuffer(payload, dtype, element.count, offset)


def _no_vertices(header: Header) -> Columns:
    return {item.name: np.empty(0) for item in header.element("vertex").properties}


def _corners(element: Element) -> int | None:
    """Which property lists the vertices of a face."""
    if element.name != "face":
        return None
    return next((i for i, item in enumerate(element.properties) if item.name in CORNERS and item.count_kind), None)
