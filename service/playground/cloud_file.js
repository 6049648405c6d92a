/** Points of the files that are simple enough to read in a page: PLY, and text with a point a line. */

const MAX_BYTES = 64_000_000;
const WIDTHS = {
  char: 1, int8: 1, uchar: 1, uint8: 1, short: 2, int16: 2, ushort: 2, uint16: 2,
  int: 4, int32: 4, uint: 4, uint32: 4, float: 4, float32: 4, double: 8, float64: 8,
};
const FLOATS = { 4: "getFloat32", 8: "getFloat64" };
const TEXT = ["xyz", "txt", "csv", "pts", "obj"];

/** {points: Float32Array of x, y, z after x, y, z; total}: at most `limit` of them, evenly picked. Raises Error. */
export async function readPoints(file, limit) {
  if (file.size > MAX_BYTES) throw new Error("the file is too large to draw");
  const bytes = new Uint8Array(await file.arrayBuffer());
  const ending = file.name.toLowerCase().split(".").at(-1);
  if (String.fromCharCode(...bytes.subarray(0, 3)) === "ply") return readPly(bytes, limit);
  if (TEXT.includes(ending)) return readLines(new TextDecoder().decode(bytes).split(/\r?\n/), limit);
  throw new Error(`files such as .${ending} are not drawn here`);
}

/** Lines of numbers, behind `v` in an OBJ; others, such as headings, are passed over. */
function readLines(lines, limit, columns = [0, 1, 2]) {
  const rows = lines.map((line) => line.replace(/^v\s+/, "").split(/[\s,;]+/).filter(Boolean).map(Number));
  const found = rows.filter((row) => columns.every((column) => Number.isFinite(row[column])));
  return picked(found.length, limit, (i) => columns.map((column) => found[i][column]));
}

function readPly(bytes, limit) {
  const header = new TextDecoder("latin1").decode(bytes.subarray(0, 65_536)).split(/(?<=end_header\r?\n)/)[0];
  const { format, count, properties } = vertices(header);
  const columns = ["x", "y", "z"].map((axis) => properties.findIndex(({ name }) => name === axis));
  if (columns.includes(-1)) throw new Error("its points have no x, y and z");
  if (format === "ascii") {
    const lines = new TextDecoder().decode(bytes.subarray(header.length)).split(/\r?\n/);
    return readLines(lines.slice(0, count), limit, columns);
  }
  const view = new DataView(bytes.buffer, header.length);
  return readBinary(view, { little: format.includes("little"), count, properties, columns }, limit);
}

/** What the header says of the points, which must be its first element: lists before them have no fixed width. */
function vertices(header) {
  const lines = header.split(/\r?\n/).map((line) => line.trim().split(/\s+/));
  const elements = lines.filter(([word]) => word === "element");
  if (elements[0]?.[1] !== "vertex") throw new Error("its points do not come first");
  const last = elements[1] ? lines.indexOf(elements[1]) : lines.length;
  const declared = lines.slice(0, last).filter(([word]) => word === "property");
  const properties = declared.map(([, type, name]) => ({ width: WIDTHS[type], name }));
  const format = lines.find(([word]) => word === "format")?.[1] ?? "ascii";
  return { format, count: Number(elements[0][2]), properties };
}

function readBinary(view, { little, count, properties, columns }, limit) {
  const widths = properties.map(({ width }) => width);
  const stride = widths.reduce((sum, width) => sum + width, 0);
  const offset = (column) => widths.slice(0, column).reduce((sum, width) => sum + width, 0);
  const fields = columns.map((column) => ({ read: FLOATS[widths[column]], offset: offset(column) }));
  if (!stride || fields.some(({ read }) => !read)) throw new Error("its numbers are of a kind that is not drawn here");
  const whole = Math.min(count, Math.floor(view.byteLength / stride));
  return picked(whole, limit, (i) => fields.map(({ read, offset }) => view[read](i * stride + offset, little)));
}

function picked(total, limit, point) {
  if (!total) throw new Error("no points were found");
  const count = Math.min(total, limit);
  const points = new Float32Array(3 * count);
  for (let i = 0; i < count; i++) points.set(point(Math.floor((i * total) / count)), 3 * i);
  return { points, total };
}
