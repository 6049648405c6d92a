/** The tasks that the server serves, and what the page knows of them: GET /models says which, OpenAPI says how. */

import { getJson } from "./request.js";

const POLL_MS = 1000;
const PATIENCE_MS = 120_000;

/** [{path, modality, parameters, mediaTypes, models}], in the order of the document; waits while models are loading. */
export async function loadTasks(key, waiting) {
  const [models, document] = await Promise.all([whenReady("models", key, waiting), getJson("openapi.json", key)]);
  const tasks = new Map();
  for (const model of models) {
    const operation = document.paths[`/${model.task}`]?.post;
    if (!operation) continue;
    const task = { path: model.task, modality: model.modality, parameters: operation.parameters ?? [], models: [] };
    if (!tasks.has(task.path)) tasks.set(task.path, task);
    tasks.get(task.path).models.push(model.name);
  }
  const place = ({ path }) => Object.keys(document.paths).indexOf(`/${path}`);
  const sorted = [...tasks.values()].sort((one, other) => place(one) - place(other));
  return Promise.all(sorted.map(async (task) => {
    const { media_types: mediaTypes } = await loadModel(task.models[0], key);
    return { ...task, mediaTypes };
  }));
}

export const loadModel = (name, key) => getJson(`models/${encodeURIComponent(name)}`, key);

async function whenReady(path, key, waiting) {
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    try {
      return await getJson(path, key);
    } catch (problem) {
      if (problem.body?.code !== "not_ready" || performance.now() > deadline) throw problem;
      waiting(problem.message);
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }
}

/** The task that reads a file, by its type or, where none knows that, by the end of its name; `current` if it may. */
export function taskFor(file, tasks, current) {
  const ending = file.name.toLowerCase().split(".").at(-1);
  const byType = tasks.filter((task) => plainType(file) && task.mediaTypes.includes(plainType(file)));
  const byName = tasks.filter((task) => task.mediaTypes.some((type) => shortType(type) === ending));
  const able = byType.length ? byType : byName;
  return able.includes(current) || !able.length ? current : able[0];
}

/** What a task reads, as people call it: "audio/x-wav" -> "wav". */
export function shortTypes({ mediaTypes }) {
  const named = mediaTypes.filter((type) => !type.endsWith("octet-stream"));
  return [...new Set(named.map(shortType))];
}

const shortType = (type) => type.split(/[/.-]/).at(-1);

/** Without parameters such as codecs. */
export const plainType = (file) => file.type.split(";")[0].trim().toLowerCase();
