/** A refusal as it is shown: what went wrong, in the words of the server, and the code that programs go by. */

import { element } from "./element.js";

export function shownProblem(problem) {
  const { body = {}, status, retryAfter } = problem;
  const request = body.request_id ? [`Request ${body.request_id}.`] : [];
  const retry = retryAfter ? [`Try again in ${retryAfter} s.`] : [];
  const notes = [...retry, ...request].join(" ");
  return element("div", { className: "problem" },
    element("h3", {}, body.title ?? "Request failed"),
    element("p", {}, problem.message),
    ...(body.code ? [element("p", {}, element("code", {}, `${status} ${body.code}`))] : []),
    ...(notes ? [element("p", { className: "note" }, notes)] : []));
}
