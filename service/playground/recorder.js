/** The microphone as a file. */

const TYPES = ["audio/webm;codecs=opus", "audio/webm", "audio/mp4", "audio/ogg"]; // the first that the browser writes
const TICK_MS = 500;

/** Why there is no recording here, or null. */
export function obstacle() {
  if (!isSecureContext) return "Recording needs HTTPS, or this page on localhost.";
  return window.MediaRecorder && navigator.mediaDevices ? null : "This browser cannot record audio.";
}

/** Starts at once. `stop()` ends it; `finished` becomes the File. tick is told the seconds. Raises where refused. */
export async function startRecording(tick) {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
  const mimeType = TYPES.find((type) => MediaRecorder.isTypeSupported(type));
  const recorder = new MediaRecorder(stream, { mimeType });
  const parts = [];
  const started = performance.now();
  const clock = setInterval(() => tick((performance.now() - started) / 1000), TICK_MS);
  recorder.addEventListener("dataavailable", ({ data }) => parts.push(data));
  const finished = new Promise((resolve) => recorder.addEventListener("stop", () => {
    clearInterval(clock);
    stream.getTracks().forEach((track) => track.stop());
    const type = recorder.mimeType.split(";")[0];
    resolve(new File(parts, `recording.${type.split("/")[1]}`, { type }));
  }));
  recorder.start();
  return { stop: () => recorder.stop(), finished };
}
