/** The page: what was chosen, what is under way, and where each is shown. */

import { inputOf, shownAnswer } from "./answer.js";
import { modelCard } from "./card.js";
import { loadModel, loadTasks, plainType, shortTypes, taskFor } from "./catalogue.js";
import { byId, element, fileSize } from "./element.js";
import { optionFields } from "./options.js";
import { preview } from "./previews.js";
import { shownProblem } from "./problem.js";
import { obstacle, startRecording } from "./recorder.js";
import { curl, send, target } from "./request.js";

const KEY = "bearer-key"; // in sessionStorage
const ANSWERED = ["answer", "evidence", "particulars"];

const state = {
  tasks: [],
  task: null, // one of tasks
  model: null, // its details
  options: null, // how to read the fields of options
  file: null,
  url: null, // of the file, for players
  preview: Promise.resolve({ nodes: [] }),
  running: null, // AbortController of the request under way
  recording: null,
};

const key = () => byId("key").value.trim();
const say = (text) => byId("status").replaceChildren(text);
const showProblem = (...problems) => byId("problem").replaceChildren(...problems.map(shownProblem));

// ---- tasks and models

async function start() {
  say("Loading the models\u2026");
  showProblem();
  try {
    state.tasks = await loadTasks(key(), say);
  } catch (problem) {
    byId("tasks").replaceChildren(element("p", { className: "note" }, "None listed yet."));
    say("The models could not be listed.");
    showProblem(problem);
    if (problem.status === 401) askForKey();
    return;
  }
  if (!state.tasks.length) {
    say("This server has no models.");
    return;
  }
  byId("tasks").replaceChildren(...state.tasks.map(taskChoice));
  await choose(state.tasks.find(({ path }) => `#${path}` === location.hash) ?? state.tasks[0]);
  if (state.file) await take(state.file);
}

/** Show where the key goes: the field is folded away on servers that want none. */
function askForKey() {
  byId("key-details").open = true;
  byId("key").focus();
  say("Enter an API key.");
}

function taskChoice(task, place) {
  const id = `task-${place}`;
  const radio = element("input", { type: "radio", name: "task", id, value: task.path, className: "unseen" });
  radio.addEventListener("change", () => choose(task));
  return element("span", {}, radio, element("label", { htmlFor: id }, taskName(task)));
}

/** By what it perceives, or by its whole path where several tasks perceive the same. */
function taskName({ path, modality }) {
  const alone = state.tasks.filter((task) => task.modality === modality).length === 1;
  return alone ? modality[0].toUpperCase() + modality.slice(1) : path.replace("/", " ");
}

async function choose(task) {
  state.task = task;
  history.replaceState(null, "", `#${task.path}`);
  byId("tasks").querySelectorAll("input").forEach((radio) => { radio.checked = radio.value === task.path; });
  byId("model").replaceChildren(...task.models.map((name) => element("option", {}, name)));
  byId("model").disabled = false;
  byId("accepts").replaceChildren(`Accepts ${shortTypes(task).join(", ")}.`);
  state.options = optionFields(task.parameters);
  byId("options").replaceChildren(...state.options.nodes);
  byId("more-options").hidden = !state.options.nodes.length;
  offerRecording(task);
  await chooseModel();
}

async function chooseModel() {
  reset();
  const name = byId("model").value;
  try {
    const model = await loadModel(name, key());
    if (byId("model").value !== name) return;
    state.model = model;
    byId("card").replaceChildren(...modelCard(model));
  } catch (problem) {
    showProblem(problem);
  }
  await showPreview();
}

/** Nothing is answered, and nothing is asked. */
function reset() {
  state.running?.abort();
  state.running = null;
  setBusy(false);
  clearAnswer();
  showRequest();
  say(state.file ? "Press Run." : "Choose a file.");
}

// ---- the file

async function take(file) {
  if (!file) return;
  if (state.url) URL.revokeObjectURL(state.url);
  Object.assign(state, { file, url: URL.createObjectURL(file) });
  const hint = element("span", {}, `${fileSize(file)}; choose, drop or paste another`);
  document.querySelector(".drop label").replaceChildren(element("strong", {}, file.name), " ", hint);
  if (!state.task) return;
  const able = taskFor(file, state.tasks, state.task);
  if (able !== state.task) await choose(able);
  else {
    reset();
    await showPreview();
  }
  if (state.file === file) await run();
}

async function showPreview() {
  const { file, task, url, model } = state;
  if (!file || !task) return;
  const mine = (state.preview = preview(task.modality, file, url, model));
  const { nodes } = await mine;
  if (state.preview === mine) byId("preview").replaceChildren(...nodes);
}

// ---- the request

function request() {
  const { file, task, options } = state;
  const name = byId("model").value;
  const model = name === task.models[0] ? {} : { model: name };
  const type = file ? plainType(file) : "";
  return {
    path: target(task.path, { ...model, ...options.values() }),
    type: task.mediaTypes.includes(type) ? type : "application/octet-stream", // then its bytes decide
  };
}

function showRequest() {
  if (!state.task) return;
  const { path, type } = request();
  byId("curl").textContent = curl(path, state.file?.name ?? "FILE", type, key() !== "");
  byId("run").disabled = !state.file;
}

async function run() {
  if (!state.task || !state.file) return;
  state.running?.abort();
  const mine = (state.running = new AbortController());
  const { path, type } = request();
  showProblem();
  setBusy(true);
  say("Waiting for the server\u2026");
  try {
    const answer = await send(path, state.file, type, key(), mine.signal);
    if (state.running === mine) await showAnswer(answer, mine);
  } catch (problem) {
    if (state.running === mine) refuse(problem);
  }
}

async function showAnswer(answer, mine) {
  const { nodes, particulars, summary } = shownAnswer(answer);
  setBusy(false);
  byId("answer").replaceChildren(...nodes);
  byId("particulars").replaceChildren(...particulars);
  byId("evidence").replaceChildren();
  say(summary);
  const { explain } = await state.preview;
  const evidence = explain ? await explain(inputOf(answer)).catch(() => []) : [];
  if (state.running === mine) byId("evidence").replaceChildren(...evidence);
}

function refuse(problem) {
  setBusy(false);
  clearAnswer();
  const cancelled = problem.name === "AbortError";
  say(cancelled ? "Cancelled." : "No answer.");
  if (!cancelled) showProblem(problem);
  if (problem.status === 401) askForKey();
}

function setBusy(busy) {
  byId("answer").closest("section").setAttribute("aria-busy", String(busy));
  const hadFocus = document.activeElement === byId("cancel");
  byId("cancel").disabled = !busy;
  if (hadFocus && !busy) byId("run").focus();
}

function clearAnswer() {
  ANSWERED.forEach((id) => byId(id).replaceChildren());
  showProblem();
}

async function copyCommand() {
  try {
    await navigator.clipboard.writeText(byId("curl").textContent);
    say("Command copied.");
  } catch { // pages without HTTPS have no clipboard
    getSelection().selectAllChildren(byId("curl"));
    say("Command selected: copy it with Ctrl+C or Cmd+C.");
  }
}

// ---- the microphone

function offerRecording(task) {
  const hears = task.mediaTypes.some((type) => type.startsWith("audio/"));
  byId("record").hidden = !(hears && obstacle() === null) && !state.recording;
  if (hears && obstacle()) byId("accepts").append(` ${obstacle()}`);
}

async function toggleRecording() {
  if (state.recording) {
    state.recording.stop();
    return;
  }
  const button = byId("record");
  try {
    state.recording = await startRecording((seconds) => { button.textContent = `Stop (${Math.floor(seconds)} s)`; });
  } catch {
    showProblem(new Error("The microphone is not available: allow it for this page, or choose a file."));
    return;
  }
  button.textContent = "Stop (0 s)";
  say("Recording.");
  const file = await state.recording.finished;
  state.recording = null;
  button.textContent = "Record";
  await take(file);
}

// ---- events

byId("key").value = sessionStorage.getItem(KEY) ?? "";
byId("key").addEventListener("input", () => {
  sessionStorage.setItem(KEY, key());
  showRequest();
});
byId("key").addEventListener("change", () => {
  if (!state.tasks.length) start();
});
byId("model").addEventListener("change", chooseModel);
byId("options").addEventListener("input", showRequest);
byId("file").addEventListener("change", ({ target: input }) => take(input.files[0]));
byId("run").addEventListener("click", run);
byId("cancel").addEventListener("click", () => state.running?.abort());
byId("record").addEventListener("click", toggleRecording);
byId("copy").addEventListener("click", copyCommand);
addEventListener("paste", ({ clipboardData }) => take(clipboardData.files[0]));
addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("dropping");
});
addEventListener("dragleave", ({ relatedTarget }) => {
  if (!relatedTarget) document.body.classList.remove("dropping");
});
addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dropping");
  take(event.dataTransfer.files[0]);
});

start();
