/** Requests to the server: how they are sent, what is refused, and the same in curl. */

export class Problem extends Error {
  /** body: problem+json (RFC 9457), or {} where the server said nothing of the kind. */
  constructor(message, status, body = {}, retryAfter = null) {
    super(message);
    Object.assign(this, { status, body, retryAfter });
  }
}

export async function getJson(path, key) {
  const response = await answered(path, { headers: authorization(key) });
  return response.json();
}

/** {body, type, timing, batchSize, elapsed}: body is parsed JSON, or a Blob of another type. Raises Problem. */
export async function send(target, file, type, key, signal) {
  const started = performance.now();
  const headers = { "Content-Type": type, ...authorization(key) };
  const response = await answered(target, { method: "POST", headers, body: file, signal });
  const answerType = (response.headers.get("Content-Type") ?? "").split(";")[0];
  const body = answerType === "application/json" ? await response.json() : await response.blob();
  return {
    body,
    type: answerType,
    timing: serverTiming(response.headers.get("Server-Timing") ?? ""),
    batchSize: Number(response.headers.get("X-Batch-Size")) || null,
    elapsed: performance.now() - started,
  };
}

/** Path and query of a task's endpoint. */
export function target(path, options) {
  const query = new URLSearchParams(options).toString();
  return query ? `${path}?${query}` : path;
}

/** The request as a command for a POSIX shell. The key itself is left out: commands are kept and shared. */
export function curl(path, fileName, type, hasKey) {
  const parts = [`curl ${quoted(new URL(path, document.baseURI).href)}`, `-H ${quoted(`Content-Type: ${type}`)}`];
  if (hasKey) parts.push('-H "Authorization: Bearer $KEY"');
  return [...parts, `--data-binary ${quoted(`@${fileName}`)}`].join(" \\\n  ");
}

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

const authorization = (key) => (key ? { Authorization: `Bearer ${key}` } : {});

async function answered(path, request) {
  let response;
  try {
    response = await fetch(new URL(path, document.baseURI), request);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem("The server cannot be reached: is it still running?", 0);
  }
  if (response.ok) return response;
  const body = await response.json().catch(() => ({}));
  const detail = body.detail ?? `The server answered ${response.status} ${response.statusText}`;
  throw new Problem(detail, response.status, body, response.headers.get("Retry-After"));
}

/** "decode;dur=1.5, total;dur=9" -> [["decode", 1.5], ["total", 9]] */
function serverTiming(header) {
  return [...header.matchAll(/([\w-]+);dur=([\d.]+)/g)].map(([, name, duration]) => [name, Number(duration)]);
}
