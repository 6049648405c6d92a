/** Power spectra of a signal: a radix-2 fast Fourier transform behind a Hann window. */

export const WINDOW = 512; // samples

/** Columns of WINDOW / 2 powers in decibels, lowest frequency first, spread evenly over the signal. */
export function spectra(signal, columns) {
  const hop = columns > 1 ? Math.max(0, signal.length - WINDOW) / (columns - 1) : 0;
  return Array.from({ length: columns }, (_, column) => spectrum(signal, Math.round(column * hop)));
}

function spectrum(signal, start) {
  const real = new Float32Array(WINDOW);
  const imaginary = new Float32Array(WINDOW);
  for (let i = 0; i < WINDOW; i++) real[i] = (signal[start + i] ?? 0) * HANN[i];
  transform(real, imaginary);
  return Float32Array.from({ length: WINDOW / 2 }, (_, i) => 10 * Math.log10(real[i] ** 2 + imaginary[i] ** 2 + 1e-10));
}

const HANN = Float32Array.from({ length: WINDOW }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / WINDOW));

/** In place; the length is a power of two. */
export function transform(real, imaginary) {
  const count = real.length;
  reorder(real, imaginary);
  for (let half = 1; half < count; half *= 2) {
    for (let k = 0; k < half; k++) {
      const cosine = Math.cos((Math.PI * k) / half);
      const sine = -Math.sin((Math.PI * k) / half);
      for (let even = k; even < count; even += 2 * half) {
        const odd = even + half;
        const re = real[odd] * cosine - imaginary[odd] * sine;
        const im = real[odd] * sine + imaginary[odd] * cosine;
        real[odd] = real[even] - re;
        imaginary[odd] = imaginary[even] - im;
        real[even] += re;
        imaginary[even] += im;
      }
    }
  }
}

/** Swap every index with the one of reversed bits. */
function reorder(real, imaginary) {
  for (let i = 1, j = 0; i < real.length; i++) {
    let bit = real.length >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) {
      [real[i], real[j]] = [real[j], real[i]];
      [imaginary[i], imaginary[j]] = [imaginary[j], imaginary[i]];
    }
  }
}
