// The limits of gradient descent for the learning rates of an axis: a coarse curve at once, the fine one from workers.

import { Workers } from "./workers.js";

const COARSE = { count: 256, steps: 320 }; // steps of a quick first look: what has settled then has settled
const FINE = { count: 4096, steps: 16384 };
const BEND = 0.02; // of the height: what bends more from one learning rate to the next is no curve

export class LimitCurve {
  constructor(address, maths, timings, changed) {
    Object.assign(this, { maths, timings, changed });
    this.workers = new Workers(address, timings, {
      receive: ({ first, ...piece }) => {
        for (const [name, values] of Object.entries(piece)) this.coming[name].set(values, first);
      },
      finished: () => {
        this.show(this.request, this.coming);
        this.changed();
      },
    });
  }

  // Asks for the limits from a start, at learning rates between two ends.
  ask(start, ends, p) {
    const before = performance.now();
    const coarse = { start, ends, p, ...COARSE };
    this.show(coarse, this.maths.limits(coarse, 0, COARSE.count));
    this.timings.coarse = performance.now() - before;
    this.request = { start, ends, p, ...FINE };
    this.coming = emptyLimits(FINE.count);
    this.workers.begin();
    this.workers.share(this.request);
  }

  show(request, { kinds, x, y }) {
    const rates = Float64Array.from(kinds, (_, j) => this.maths.rateOf(request, j));
    Object.assign(this, { rates, kinds, x, y, gaps: x.map((value, j) => Math.abs(value - y[j])) });
  }

  // The largest gap of a limit.
  get largest() {
    return this.gaps.reduce((most, gap, j) => (hasLimit(this.kinds[j]) ? Math.max(most, gap) : most), 0);
  }

  remove() {
    this.workers.remove();
  }
}

function emptyLimits(count) {
  return { kinds: new Uint8Array(count), x: new Float64Array(count), y: new Float64Array(count) };
}

function hasLimit(kind) {
  return kind !== 0 && kind !== 3;
}

// What is to be drawn as a curve and what as single points: { runs, dots }, runs [first, last] of neighbours that are on one
// branch and bend little for an axis of the given height. Where limits jump from one learning rate to the next they are dots.
export function curveAndDots({ kinds, gaps }, height) {
  const smooth = (j) =>
    kinds[j] === kinds[j - 1] && kinds[j] === kinds[j + 1] && Math.abs(gaps[j - 1] + gaps[j + 1] - 2 * gaps[j]) <= BEND * height;
  const [runs, dots] = [[], []];
  for (let j = 0; j < kinds.length; j++) {
    if (!hasLimit(kinds[j])) continue;
    let last = j;
    while (smooth(last) && smooth(last + 1)) last += 1;
    if (last - j >= 3) runs.push([j, last]);
    else for (let k = j; k <= last; k++) dots.push(k);
    j = last;
  }
  return { runs, dots };
}
