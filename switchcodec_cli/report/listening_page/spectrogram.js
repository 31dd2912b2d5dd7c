"use strict";

const WINDOW_SAMPLES = 2048; // of an analysis window at rates up to 50 kHz, else 4096
const PICTURE_COLUMNS = 640;
const PICTURE_ROWS = 190;
const DYNAMIC_RANGE = 90; // dB below the highest level of the original
const DIFFERENCE_RANGE = 30; // dB to either side
const FREQUENCY_LABELS = [250, 1000, 2000, 4000, 8000, 16000]; // Hz

/** One turn of the unit circle in so many steps. */
function unitCircle(steps) {
  const angles = Float64Array.from({ length: steps }, (_, step) => (2 * Math.PI * step) / steps);
  return { cosine: angles.map(Math.cos), sine: angles.map(Math.sin) };
}

/** Fourier transform in place, radix 2. The lengths are powers of two, as that of the circle. */
function fourierTransform(real, imaginary, circle) {
  const size = real.length;
  for (let index = 1, reversed = 0; index < size; index++) {
    let bit = size >> 1;
    for (; reversed & bit; bit >>= 1) reversed ^= bit;
    reversed ^= bit;
    if (index < reversed) {
      [real[index], real[reversed]] = [real[reversed], real[index]];
      [imaginary[index], imaginary[reversed]] = [imaginary[reversed], imaginary[index]];
    }
  }
  for (let span = 1; span < size; span <<= 1) {
    for (let offset = 0; offset < span; offset++) {
      const step = (offset * size) / (2 * span);
      const cosine = circle.cosine[step];
      const sine = -circle.sine[step];
      for (let first = offset; first < size; first += 2 * span) {
        const second = first + span;
        const x = real[second] * cosine - imaginary[second] * sine;
        const y = real[second] * sine + imaginary[second] * cosine;
        real[second] = real[first] - x;
        imaginary[second] = imaginary[first] - y;
        real[first] += x;
        imaginary[first] += y;
      }
    }
  }
}

/** Mean of the channels of an AudioBuffer. */
function monoSamples(buffer) {
  const mono = new Float32Array(buffer.length);
  for (let channel = 0; channel < buffer.numberOfChannels; channel++) {
    buffer.getChannelData(channel).forEach((value, index) => (mono[index] += value / buffer.numberOfChannels));
  }
  return mono;
}

const mel = (frequency) => Math.log1p(frequency / 700);

/** Frequency in Hz at a height from 0 (bottom) to 1, on a mel scale. */
function frequencyAt(height, sampleRate) {
  return 700 * Math.expm1(height * mel(sampleRate / 2));
}

/** Levels in dB, `PICTURE_ROWS` frequencies from high to low in each of `PICTURE_COLUMNS` columns. */
function spectrogram(buffer, seconds) {
  const samples = monoSamples(buffer);
  const { sampleRate } = buffer;
  const size = sampleRate > 50000 ? 2 * WINDOW_SAMPLES : WINDOW_SAMPLES;
  const circle = unitCircle(size);
  const window = Float32Array.from({ length: size }, (_, n) => 0.5 - 0.5 * circle.cosine[n]);
  const edges = Array.from({ length: PICTURE_ROWS + 1 }, (_, row) =>
    (frequencyAt(1 - row / PICTURE_ROWS, sampleRate) * size) / sampleRate);
  const levels = new Float32Array(PICTURE_COLUMNS * PICTURE_ROWS);
  const real = new Float32Array(size);
  const imaginary = new Float32Array(size);
  for (let column = 0; column < PICTURE_COLUMNS; column++) {
    const start = Math.round(((column + 0.5) / PICTURE_COLUMNS) * seconds * sampleRate - size / 2);
    for (let n = 0; n < size; n++) real[n] = (samples[start + n] ?? 0) * window[n];
    imaginary.fill(0);
    fourierTransform(real, imaginary, circle);
    for (let row = 0; row < PICTURE_ROWS; row++) {
      const low = Math.floor(edges[row + 1]);
      const high = Math.max(low + 1, Math.floor(edges[row]));
      let power = 0;
      for (let bin = low; bin < high; bin++) power += real[bin] ** 2 + imaginary[bin] ** 2;
      levels[column * PICTURE_ROWS + row] = 10 * Math.log10(power / (high - low) / size + 1e-14);
    }
  }
  return levels;
}

const LEVEL_COLOURS = [[0, 0, 4], [40, 11, 84], [101, 21, 110], [159, 42, 99], [212, 72, 66], [245, 125, 21], [250, 193, 39], [252, 255, 164]];
const DIFFERENCE_COLOURS = [[33, 102, 172], [146, 197, 222], [245, 245, 245], [244, 165, 130], [178, 24, 43]];

/** A colour between those of a list; `place` is 0 for the first and 1 for the last. */
function colourAt(colours, place) {
  const scaled = Math.min(Math.max(place, 0), 1) * (colours.length - 1);
  const index = Math.min(Math.floor(scaled), colours.length - 2);
  return colours[index].map((value, part) => value + (colours[index + 1][part] - value) * (scaled - index));
}

function gradient(colours) {
  return `linear-gradient(90deg, ${colours.map((colour) => `rgb(${colour.join(" ")})`).join(", ")})`;
}

/** Draw values as an image; `place` gives the position of a value on the colour scale. */
function drawPicture(canvas, colours, place) {
  canvas.width = PICTURE_COLUMNS;
  canvas.height = PICTURE_ROWS;
  const table = Array.from({ length: 256 }, (_, entry) => colourAt(colours, entry / 255));
  const drawing = canvas.getContext("2d");
  const image = drawing.createImageData(PICTURE_COLUMNS, PICTURE_ROWS);
  for (let row = 0, byte = 0; row < PICTURE_ROWS; row++) {
    for (let column = 0; column < PICTURE_COLUMNS; column++, byte += 4) {
      const entry = Math.round(255 * Math.min(Math.max(place(column * PICTURE_ROWS + row), 0), 1));
      image.data.set(table[entry], byte);
      image.data[byte + 3] = 255;
    }
  }
  drawing.putImageData(image, 0, 0);
}

function drawLevels(canvas, levels, top) {
  drawPicture(canvas, LEVEL_COLOURS, (index) => 1 + (levels[index] - top) / DYNAMIC_RANGE);
}

/** Levels above those of the original are red, below it blue; what is inaudible in both is neutral. */
function drawDifference(canvas, levels, original, top) {
  const floor = top - DYNAMIC_RANGE;
  drawPicture(canvas, DIFFERENCE_COLOURS, (index) =>
    0.5 + (Math.max(levels[index], floor) - Math.max(original[index], floor)) / (2 * DIFFERENCE_RANGE));
}

function drawWaveform(canvas, buffer, seconds, colour) {
  const samples = monoSamples(buffer);
  canvas.width = 2 * canvas.clientWidth || 1600;
  canvas.height = 160;
  const drawing = canvas.getContext("2d");
  drawing.fillStyle = colour;
  const peak = samples.reduce((highest, value) => Math.max(highest, Math.abs(value)), 1e-3);
  const perColumn = (seconds * buffer.sampleRate) / canvas.width;
  for (let column = 0; column < canvas.width; column++) {
    let low = 0;
    let high = 0;
    for (let n = Math.floor(column * perColumn); n < (column + 1) * perColumn && n < samples.length; n++) {
      low = Math.min(low, samples[n]);
      high = Math.max(high, samples[n]);
    }
    const scale = (0.47 * canvas.height) / peak;
    drawing.fillRect(column, canvas.height / 2 - high * scale, 1, Math.max(1, (high - low) * scale));
  }
}
