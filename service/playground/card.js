/** A model's card: what it was taught with, under which licence, how well it does, and how it reads. */

import { element, facts } from "./element.js";

export function modelCard(model) {
  const { name, description, metrics = {}, ...card } = model.card;
  const about = Object.entries(card).filter(([, value]) => typeof value !== "object");
  const served = ["parameters", "device", "runtime", "precision", "version"].map((key) => [key, model[key]]);
  return [
    element("p", {}, element("strong", {}, model.name), `. ${description ?? ""}`),
    facts([...Object.entries(metrics), ...about, ...served]),
    ...folded("Preprocessing", model.preprocessor),
    ...folded("Training", card.training),
  ];
}

function folded(title, values) {
  const rows = Object.entries(values ?? {});
  return rows.length ? [element("details", {}, element("summary", {}, title), facts(rows))] : [];
}
