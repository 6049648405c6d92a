/** Fields for the options of an endpoint, made from its OpenAPI parameters. */

import { element } from "./element.js";

const ELSEWHERE = ["model"]; // chosen by a field of its own
const PREFERRED = { format: "plot" }; // shown where the server can draw

/** The fields, and how to read them: `values()` gives those that differ from the server's defaults. */
export function optionFields(parameters) {
  const fields = parameters.filter(({ name }) => !ELSEWHERE.includes(name)).map(field);
  const pairs = () => fields.map(({ name, read }) => [name, read()]).filter(([, value]) => value !== null);
  return { nodes: fields.map(({ node }) => node), values: () => Object.fromEntries(pairs()) };
}

function field({ name, description, schema }) {
  const kind = schema.anyOf?.find(({ type }) => type !== "null") ?? schema;
  const id = `option-${name}`;
  const input = (kind.enum ? choice : INPUTS[kind.type] ?? text)(id, kind, schema.default ?? null);
  const wanted = PREFERRED[name];
  if (kind.enum?.includes(wanted)) input.value = wanted;
  const note = element("p", { className: "note", id: `${id}-note` }, description ?? "");
  input.setAttribute("aria-describedby", note.id);
  const label = element("label", { htmlFor: id }, name.replaceAll("_", " "));
  const node = element("div", { className: "field" }, label, input, note);
  const standard = String(schema.default ?? "");
  const read = () => {
    const value = input.type === "checkbox" ? String(input.checked) : input.value.trim();
    return value === standard || value === "" ? null : value;
  };
  return { name, node, read };
}

function choice(id, { enum: values }, standard) {
  const unset = standard === null ? [element("option", { value: "" }, "default")] : [];
  const choices = values.map((value) => element("option", { value, selected: value === standard }, value));
  return element("select", { id }, ...unset, ...choices);
}

function numeral(id, { minimum, maximum, type }, standard) {
  const input = element("input", { id, type: "number", value: standard ?? "", step: type === "integer" ? "1" : "any" });
  if (minimum !== undefined) input.min = minimum;
  if (maximum !== undefined) input.max = maximum;
  return input;
}

const text = (id, kind, standard) => element("input", { id, type: "text", value: standard ?? "" });

const INPUTS = {
  integer: numeral,
  number: numeral,
  boolean: (id, kind, standard) => element("input", { id, type: "checkbox", checked: standard === true }),
};
