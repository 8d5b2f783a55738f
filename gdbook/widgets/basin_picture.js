// The basin picture: what becomes of every start in a rectangle, computed by workers, coarse first.

import { channels } from "./drawing.js";

export const LABEL_COLOURS = { converged: "stable", diverged: "diverged", periodic: "periodic", bounded: "chaotic" };
const COARSE = 40;
const LABELS = Object.keys(LABEL_COLOURS); // in the order of the worker's numbers

export class BasinPicture {
  constructor(address, size, timings, changed) {
    this.size = size;
    this.timings = timings;
    this.changed = changed;
    this.job = 0;
    const count = Math.min(4, Math.max(1, navigator.hardwareConcurrency ?? 1));
    this.workers = Array.from({ length: count }, () => new Worker(address, { type: "module" }));
    for (const worker of this.workers) worker.onmessage = ({ data }) => this.receive(data);
    this.canvas = document.createElement("canvas");
    this.canvas.width = this.canvas.height = size;
    this.context = this.canvas.getContext("2d");
    this.pieces = [];
    this.fresh = [];
  }

  // Asks for a new picture; whatever is being computed is given up.
  ask(limits, learningRate, p, steps) {
    this.job += 1;
    this.asked = performance.now();
    delete this.timings.full;
    this.remaining = this.workers.length;
    this.coarseRows = COARSE;
    this.waiting = [];
    this.limitsAsked = limits;
    this.workers.forEach((worker, part) =>
      worker.postMessage({
        job: this.job, part, parts: this.workers.length, limits, sizes: [COARSE, this.size], learningRate, p, steps,
      }),
    );
  }

  receive(data) {
    if (data.job !== this.job) return;
    if (data.done) {
      this.remaining -= 1;
      if (this.remaining === 0) this.timings.full = performance.now() - this.asked;
      if (this.remaining === 0) this.changed();
      return;
    }
    // the picture before stands until the coarse pass is whole; a quick worker may be further already
    this.waiting.push(data);
    if (data.size !== this.size) this.coarseRows -= data.labels.length / data.size;
    if (this.coarseRows > 0) return;
    const whole = this.coarseRows === 0;
    if (whole) {
      this.coarseRows = -1;
      this.timings.coarse = performance.now() - this.asked;
      this.limits = this.limitsAsked;
      this.pieces = [];
      this.waiting.sort((a, b) => a.size - b.size);
    }
    this.pieces.push(...this.waiting);
    this.fresh.push(...this.waiting);
    this.waiting = [];
    // what is fresh waits a little for company: drawing for every piece would take the time from the workers
    const now = performance.now();
    if (whole || now - this.shown > 60) {
      this.shown = now;
      this.changed();
    }
  }

  // The canvas with everything that has arrived, in the colours of the theme.
  image(theme) {
    if (this.painted !== theme.background) {
      this.painted = theme.background;
      this.shades = LABELS.map((label) => shades(channels(theme.regimes[LABEL_COLOURS[label]]), channels(theme.background)));
      this.fresh = [...this.pieces];
    }
    for (const piece of this.fresh) this.paint(piece);
    this.fresh = [];
    return this.canvas;
  }

  paint({ size, first, labels, steps }) {
    const rows = labels.length / size;
    const image = this.context.createImageData(size, rows);
    const pixels = new Uint32Array(image.data.buffer);
    for (let row = rows - 1, k = 0; row >= 0; row--) {
      for (let at = row * size; at < (row + 1) * size; at++, k++)
        pixels[at] = this.shades[labels[k]][Math.min(steps[k], 255)];
    }
    if (size === this.size) {
      this.context.putImageData(image, 0, size - first - rows);
      return;
    }
    const small = document.createElement("canvas");
    [small.width, small.height] = [size, rows];
    small.getContext("2d").putImageData(image, 0, 0);
    const scale = this.size / size;
    this.context.imageSmoothingEnabled = false;
    this.context.drawImage(small, 0, this.size - (first + rows) * scale, this.size, rows * scale);
  }

  // How often each label occurs among the pixels that have arrived.
  counts() {
    const counts = Object.fromEntries(LABELS.map((label) => [label, 0]));
    for (const { size, labels } of this.pieces) {
      if (size === this.size) for (const label of labels) counts[LABELS[label]]++;
    }
    return counts;
  }

  remove() {
    for (const worker of this.workers) worker.terminate();
  }
}

// Pixels for 0 to 255 steps: what happens early is full, what happens late is pale.
function shades(colour, background) {
  return Uint32Array.from({ length: 256 }, (_, step) => {
    const strength = 0.2 + 0.4 * Math.exp(-step / 40);
    const [r, g, b] = colour.map((c, i) => Math.round(strength * c + (1 - strength) * background[i]));
    return (255 << 24) | (b << 16) | (g << 8) | r;
  });
}
