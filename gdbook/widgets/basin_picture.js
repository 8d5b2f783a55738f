// The basin picture: what becomes of every start in a rectangle. It is coarse at once, and whole when the workers have
// computed it. Where there is a graphics processor, that draws it while the input moves; the workers' picture, in double
// precision, is the definition and takes its place when the input rests.

import { BasinShader } from "./basin_shader.js";
import { channels } from "./drawing.js";
import { Workers } from "./workers.js";

export const LABEL_COLOURS = { converged: "stable", diverged: "diverged", periodic: "periodic", bounded: "chaotic" };
const LABELS = Object.keys(LABEL_COLOURS); // in the order of the worker's numbers
const FADING = 200; // shades from the first step to the last, however many steps there are
export const STRENGTHS = { outcomes: [0.2, 0.4], targets: [0.4, 0.3] }; // of colours: at the last step, and more at the first
const COARSE = [8, 20, 40, 80]; // sides of the picture that is computed within the frame
const BUDGET = 2; // milliseconds for it
const MIDDLE = 160;
const REST = 150; // milliseconds without a new wish

// Names of colours for the worker's numbers: with targets they show which was reached, and otherwise only who diverges.
export function basinColours(targets) {
  if (!targets) return Object.values(LABEL_COLOURS);
  const others = LABELS.map((label) => (label === "diverged" ? "diverged" : "chaotic"));
  return [...others, ...Array.from({ length: targets }, (_, i) => `target ${i + 1}`)];
}

export class BasinPicture {
  // `address` is that of the loop, which is also imported as `loop`; `shader` is what a graphics processor needs, if it is to draw;
  // `targets` is how many there are.
  constructor({ address, loop, shader, rules, size, timings, changed, targets = 0 }) {
    Object.assign(this, { loop, shader, rules, size, timings, changed, targets });
    this.colours = basinColours(targets);
    this.strengths = targets ? STRENGTHS.targets : STRENGTHS.outcomes;
    this.coarse = 2;
    const answers = { receive: (piece) => this.receive(piece), finished: () => this.finish() };
    this.workers = new Workers(address, timings, answers);
    this.canvas = document.createElement("canvas");
    this.canvas.width = this.canvas.height = size;
    this.context = this.canvas.getContext("2d");
    this.pixels = this.context.createImageData(size, size);
    this.pieces = [];
    this.fresh = [];
  }

  // Asks for a new picture; whatever is being computed is given up.
  ask(limits, learningRate, p, steps) {
    this.workers.begin();
    this.request = { limits, learningRate, p, steps };
    this.pieces = [];
    this.fresh = [];
    this.limits = limits;
    clearTimeout(this.resting);
    this.moving = this.gpu?.canDraw(limits) ?? false;
    this.drawn = undefined;
    if (this.moving) {
      this.workers.rest();
      this.resting = setTimeout(() => this.compute([this.size]), REST);
    } else {
      this.compute([MIDDLE, this.size]);
      this.computeCoarse();
      this.timings.coarse = this.workers.since;
    }
  }

  compute(sizes) {
    this.middle = this.loop.PIECES;
    this.workers.share({ ...this.request, sizes });
  }

  // As fine as there is time for.
  computeCoarse() {
    const [before, size] = [performance.now(), COARSE[this.coarse]];
    this.add({ size, first: 0, ...this.loop.basinRows(this.request, size, 0, size) });
    const taken = performance.now() - before;
    if (taken > BUDGET) this.coarse = Math.max(this.coarse - 1, 0);
    else if (taken < BUDGET / 5) this.coarse = Math.min(this.coarse + 1, COARSE.length - 1);
  }

  receive(piece) {
    this.add(piece);
    if (piece.size !== this.size) this.middle -= 1;
    // what is fresh waits a little for company: drawing for every piece would take the time from the workers
    const now = performance.now();
    const whole = piece.size !== this.size && this.middle === 0;
    if (!this.moving && (whole || now - this.shown > 60)) {
      this.shown = now;
      this.changed();
    }
  }

  finish() {
    this.moving = false;
    this.changed();
    // not before the page has its first picture: a graphics processor takes its time to wake up
    if (this.shader) this.gpu ??= new BasinShader(this.shader, this.rules, this.size, () => this.changed());
  }

  add(piece) {
    this.pieces.push(piece);
    this.fresh.push(piece);
  }

  // The canvas with everything that has arrived, in the colours of the theme.
  image(theme) {
    const colours = this.colours.map((name) => channels(theme.regimes[name]));
    const background = channels(theme.background);
    if (this.moving && this.gpu.lost) {
      this.moving = false;
      this.computeCoarse();
    }
    if (this.moving) {
      if (this.drawn !== theme.background) this.gpu.draw(this.request, colours, background, this.strengths);
      if (this.drawn === undefined) this.timings.coarse = this.workers.since;
      this.drawn = theme.background;
      return this.gpu.canvas;
    }
    if (this.painted !== theme.background) {
      this.painted = theme.background;
      this.shades = colours.map((colour) => shades(colour, background, this.strengths));
      this.fresh = [...this.pieces];
    }
    for (const piece of this.fresh) this.paint(piece);
    if (this.fresh.length) this.context.putImageData(this.pixels, 0, 0);
    this.fresh = [];
    return this.canvas;
  }

  // A piece of a coarse picture is enlarged.
  paint({ size, first, labels, steps }) {
    const scale = size / this.size;
    const rows = labels.length / size;
    const pixels = new Uint32Array(this.pixels.data.buffer);
    const fading = FADING / this.request.steps;
    for (let row = Math.round(first / scale); row < Math.round((first + rows) / scale); row++) {
      const source = (Math.floor((row + 0.5) * scale) - first) * size;
      for (let i = 0, at = (this.size - 1 - row) * this.size; i < this.size; i++, at++) {
        const k = source + Math.floor((i + 0.5) * scale);
        pixels[at] = this.shades[labels[k]][Math.round(fading * steps[k])];
      }
    }
  }

  // How often each label occurs among the pixels that have arrived, and each target.
  counts() {
    const found = this.colours.map(() => 0);
    for (const { size, labels } of this.pieces) {
      if (size === this.size) for (const label of labels) found[label]++;
    }
    const reached = found.splice(LABELS.length);
    const counts = Object.fromEntries(LABELS.map((label, i) => [label, found[i]]));
    for (const count of reached) counts.converged += count;
    return this.targets ? { ...counts, reached } : counts;
  }

  remove() {
    clearTimeout(this.resting);
    this.workers.remove();
    this.gpu?.remove();
  }
}

// Pixels for the first step to the last: what happens early is full, what happens late is pale.
function shades(colour, background, [late, early]) {
  return Uint32Array.from({ length: FADING + 1 }, (_, step) => {
    const strength = late + early * Math.exp(-step / 40);
    const [r, g, b] = colour.map((c, i) => Math.round(strength * c + (1 - strength) * background[i]));
    return (255 << 24) | (b << 16) | (g << 8) | r;
  });
}
