// The orbit and the exact law of the multiscale figure. Python joins the text of the formula and of random_map.js in
// front of it, so `step`, `hessian`, `transitions` and `stationary` are in scope and the worker imports nothing.
//
// A message { job, until, orbit: { start, h, p, limits, bins, burnIn }, map: { means, limits, rate, cell } } begins a
// new job, and { job, until } carries the same one further. Of the orbit come, every few milliseconds,
// { job, steps, counts, outside, sums, recent }; of the map, if it is asked for, { rate, law }, without a law if a step
// leaves the limits. A new job ends the work on the one before.

const SLICE = 20000; // steps between two looks at the messages: a few milliseconds
const RECENT = 40;
const OFTEN = 50; // milliseconds between two reports

let job;
let target = 0;
let walk;
let map;
let running = false;
const pause = new MessageChannel(); // lets waiting messages in, without the delay of a timer
const waiting = [];
pause.port1.onmessage = () => waiting.shift()();
const breathe = () => new Promise((resolve) => pause.port2.postMessage(waiting.push(resolve)));

export function newWalk({ start, h, p, limits, bins, burnIn }) {
  return {
    ...{ h, p, limits, burnIn, steps: 0, outside: 0, recent: [start] },
    ...{ x: Float64Array.of(start), curvature: new Float64Array(1), counts: new Uint32Array(bins) },
    sums: { count: 0, x: 0, square: 0, logarithm: 0 },
  };
}

// Goes on to the given step. What comes after the burn-in is counted.
export function advance(walk, until) {
  const { x, h, p, curvature, counts, sums, burnIn } = walk;
  const [low, high] = walk.limits;
  const scale = counts.length / (high - low);
  for (let k = walk.steps + 1; k <= until; k++) {
    if (k > burnIn) {
      const factor = Math.abs(1 - h * hessian(x, p, curvature)[0]);
      sums.logarithm += Math.log(factor + 1e-300);
    }
    step(x, h, p, x);
    if (k > until - RECENT) walk.recent.push(x[0]);
    if (k <= burnIn) continue;
    sums.count += 1;
    sums.x += x[0];
    sums.square += x[0] * x[0];
    const bin = Math.floor((x[0] - low) * scale);
    if (bin >= 0 && bin < counts.length) counts[bin] += 1;
    else walk.outside += 1;
  }
  walk.recent = walk.recent.slice(-RECENT);
  walk.steps = until;
}

async function work() {
  running = true;
  let reported = 0;
  while (map || walk.steps < target) {
    if (map) {
      const { means, limits, rate, cell } = map;
      const chain = transitions(means, limits, rate);
      self.postMessage({ rate, law: chain && stationary(chain, cell) });
      map = undefined;
    }
    advance(walk, Math.min(target, walk.steps + SLICE));
    if (walk.steps >= target || performance.now() - reported > OFTEN) {
      reported = performance.now();
      const { steps, counts, outside, sums, recent } = walk;
      self.postMessage({ job, steps, counts, outside, sums, recent });
    }
    await breathe();
  }
  running = false;
}

if (typeof self !== "undefined") {
  self.onmessage = ({ data }) => {
    target = data.until;
    if (data.job !== job) {
      job = data.job;
      walk = newWalk(data.orbit);
      map = data.map;
    }
    if (!running) work();
  };
}
