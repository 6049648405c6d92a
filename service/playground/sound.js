/** A recording: a player, its waveform, and its spectrogram up to the frequencies that the model hears. */

import { drawn, rgb } from "./canvas.js";
import { element, number } from "./element.js";
import { spectra } from "./fourier.js";

const USUAL_RATE = 16_000; // Hz, where the model says none
const RANGE_DB = 70; // below the loudest; what is quieter is not drawn
const COLUMNS = 512; // spectra over the whole recording

export async function soundPreview(file, url, model) {
  const player = element("audio", { controls: true, src: url, "aria-label": `Recording ${file.name}` });
  const rate = model?.preprocessor?.sample_rate ?? USUAL_RATE;
  const decoded = await new OfflineAudioContext(1, 1, rate).decodeAudioData(await file.arrayBuffer());
  const signal = mixed(decoded);
  const seconds = `${number(Number(decoded.duration.toFixed(2)))} s`;
  const wave = drawn(`Waveform, ${seconds}`, 5, (...sheet) => waveform(signal, ...sheet));
  const top = `${number(rate / 2000)} kHz`;
  const levels = relativeLevels(spectra(signal, COLUMNS));
  const spectrogram = drawn(`Spectrogram, ${seconds}, 0 to ${top}`, 2.5, (...sheet) => heat(levels, ...sheet));
  const caption = `Waveform, 0 to ${seconds}; spectrogram, 0 to ${top}, the ${RANGE_DB} dB below the loudest.`;
  return { nodes: [player, element("figure", {}, wave, spectrogram, element("figcaption", {}, caption))] };
}

function mixed(decoded) {
  const channels = Array.from({ length: decoded.numberOfChannels }, (_, i) => decoded.getChannelData(i));
  if (channels.length === 1) return channels[0];
  return channels[0].map((_, i) => channels.reduce((sum, one) => sum + one[i], 0) / channels.length);
}

function waveform(signal, context, width, height, { accent, line }) {
  context.fillStyle = line;
  context.fillRect(0, height / 2, width, 1);
  context.fillStyle = accent;
  const peak = signal.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-6);
  for (let x = 0; x < width; x++) {
    const first = Math.floor((x * signal.length) / width);
    const last = Math.max(first + 1, Math.floor(((x + 1) * signal.length) / width));
    let [low, high] = [Infinity, -Infinity];
    for (let i = first; i < last; i++) {
      low = Math.min(low, signal[i]);
      high = Math.max(high, signal[i]);
    }
    const [top, bottom] = [high, low].map((value) => (height / 2) * (1 - (0.94 * value) / peak));
    context.fillRect(x, top, 1, Math.max(1, bottom - top));
  }
}

/** 0 to 1 for each decibel value: from RANGE_DB below the loudest up to it. */
function relativeLevels(columns) {
  const loudest = Math.max(...columns.map((column) => Math.max(...column)));
  return columns.map((column) => column.map((value) => Math.max(0, 1 + (value - loudest) / RANGE_DB)));
}

function heat(columns, context, width, height, { page, accent, ink }) {
  const shades = shading([page, accent, ink].map(rgb));
  const bins = columns[0].length;
  const image = new ImageData(columns.length, bins);
  const pixels = new Uint32Array(image.data.buffer);
  columns.forEach((column, x) => column.forEach((level, bin) => {
    pixels[(bins - 1 - bin) * columns.length + x] = shades[Math.round(255 * level)];
  }));
  const small = new OffscreenCanvas(columns.length, bins);
  small.getContext("2d").putImageData(image, 0, 0);
  context.drawImage(small, 0, 0, width, height);
}

/** 256 pixels of a canvas, from the first colour through the others to the last. */
function shading(stops) {
  const bytes = Uint8ClampedArray.from({ length: 256 * 4 }, (_, i) => {
    const [place, channel] = [(Math.floor(i / 4) / 255) * (stops.length - 1), i % 4];
    const [from, to] = [stops[Math.floor(place)][channel], stops[Math.ceil(place)][channel]];
    return channel === 3 ? 255 : from + (to - from) * (place % 1);
  });
  return new Uint32Array(bytes.buffer);
}
