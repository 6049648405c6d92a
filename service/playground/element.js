/** A DOM node; names that are properties of it are set as such, others become attributes. Text is never parsed. */
export function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name in node) node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

export const byId = (id) => document.getElementById(id);

/** Rows of names and values; what has no value has no row. Names such as duration_s end in their unit. */
export function facts(pairs) {
  const known = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return element("dl", {}, ...known.flatMap(([name, value]) => [
    element("dt", {}, name.replace(/_(m?s)$/, " ($1)").replaceAll("_", " ")), element("dd", {}, told(value)),
  ]));
}

function told(value) {
  if (Array.isArray(value)) return value.map(told).join(", ");
  if (typeof value === "number") return number(value);
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** Whole numbers in full, others to four digits. */
export function number(value) {
  return Number.isInteger(value) ? value.toLocaleString("en") : String(Number(value.toPrecision(4)));
}

export function milliseconds(value) {
  return `${value.toLocaleString("en", { maximumFractionDigits: value < 10 ? 1 : 0 })} ms`;
}

export function fileSize({ size }) {
  return size < 1e6 ? `${Math.max(1, Math.round(size / 1e3))} kB` : `${(size / 1e6).toFixed(1)} MB`;
}
