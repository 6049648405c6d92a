/** An answer as it is shown: bars of scores or the server's drawing, what it took, and the JSON behind it. */

import { element, facts, milliseconds } from "./element.js";

/** {nodes, particulars, summary}: what to show, what is known about it, and the sentence that says it. */
export function shownAnswer(answer) {
  const show = SHOWN.find(([holds]) => holds(answer))[1];
  const cost = [...answer.timing.map(([name, ms]) => [name, milliseconds(ms)]), ["batch size", answer.batchSize]];
  const read = Object.entries(inputOf(answer)).filter(isPlain);
  const tables = [["Input", read], ["Time", [...cost, ["round trip", milliseconds(answer.elapsed)]]]];
  const named = tables.filter(([, rows]) => rows.length).map(([title, rows]) => (
    element("div", { className: "card" }, element("h3", {}, title), facts(rows))));
  return { particulars: [element("div", { className: "columns" }, ...named), ...source(answer)], ...show(answer) };
}

/** The input as the server saw it, where the answer tells. */
export const inputOf = ({ body }) => (body instanceof Blob ? {} : body.input ?? {});

const SHOWN = [
  [({ type }) => type.startsWith("image/"), drawing],
  [({ body }) => Array.isArray(predictions(body)), classification],
  [({ body }) => body instanceof Blob, ({ body }) => ({ nodes: [saving(body)], summary: "The answer is a file." })],
  [() => true, () => ({ nodes: [], summary: "Answered." })],
];

const predictions = (body) => (Array.isArray(body) && body[0]?.label !== undefined ? body : body.predictions);

function drawing({ body }) {
  const picture = element("img", { src: URL.createObjectURL(body), alt: "What was measured and what is forecast" });
  const frame = element("div", { className: "plot", role: "region", "aria-label": "Plot", tabIndex: 0 }, picture);
  return { nodes: [frame, saving(body)], summary: "Forecast plot." };
}

function saving(blob) {
  const name = `answer.${blob.type.split(/[/+;]/)[1].split("-").at(-1)}`;
  return element("a", { href: URL.createObjectURL(blob), download: name, className: "note" }, `Save ${name}`);
}

function classification({ body }) {
  const ranked = predictions(body);
  const best = ranked[0];
  const nodes = [bars(ranked)];
  if (body.views?.length > 1) nodes.push(element("h3", {}, "By view"), views(body.views));
  return { nodes, summary: best ? `${best.label}, ${score(best.score, isShare(ranked))}` : "No label." };
}

const isPlain = ([, value]) => typeof value !== "object" || (Array.isArray(value) && typeof value[0] !== "object");

function bars(ranked) {
  const share = isShare(ranked);
  const scores = ranked.map((item) => item.score);
  const low = share ? 0 : Math.min(0, ...scores);
  const high = share ? 1 : Math.max(...scores, low + 1e-9);
  return element("ol", { className: "bars" }, ...ranked.map((item) => {
    const fill = element("span", { className: "fill" });
    fill.style.width = `${(100 * (item.score - low)) / (high - low)}%`;
    return element("li", {},
      element("span", {}, item.label),
      element("span", { className: "score" }, score(item.score, share)),
      element("span", { className: "track", "aria-hidden": "true" }, fill));
  }));
}

function views(all) {
  const bests = all.map((ranked) => `${ranked[0].label}, ${score(ranked[0].score, isShare(ranked))}`);
  return element("ol", { className: "views" }, ...bests.map((best) => element("li", {}, best)));
}

/** Logits are neither shares nor percentages. */
const isShare = (ranked) => ranked.every((item) => item.score >= 0 && item.score <= 1);

const score = (value, share) => (share ? `${(100 * value).toFixed(1)} %` : value.toFixed(2));

function source({ body }) {
  if (body instanceof Blob) return [];
  const text = element("pre", { tabIndex: 0, role: "region", "aria-label": "JSON" }, JSON.stringify(body, null, 2));
  return [element("details", {}, element("summary", {}, "Answer as JSON"), text)];
}
