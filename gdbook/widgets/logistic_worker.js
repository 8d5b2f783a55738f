// Logistic regression by gradient descent. Python joins the formula of the loss, its `lossAndSlope`, and the data (`points`, `pairs`,
// `images`, `letters`) in front of it, so the worker imports nothing.
//
// A message { job, part, parts, problem, margin, steps } asks for one share of what belongs to the data: { threshold, curve },
// { ladder, loss } of the runs whose learning rate is their number of steps, and { rate, loss, increases, … } of the rates of an
// axis, the coarse ones first. With a `rate` it asks for that one run, in pieces { from, losses, errors, kept, weights }.

const [SLOWEST, FASTEST] = [0.1, 1e4]; // learning rates
const SLICE = 2e6; // products: a few milliseconds, so that a newer message is heard soon
const ROUNDING = 1e-12;
const LEVELS = 17; // grey values of a pixel
export const PIXELS = 64;

// The grey values in a text that has three of them in two letters.
export function unpacked(text) {
  const values = [];
  for (let i = 0; i < text.length; i += 2) {
    const three = letters.indexOf(text[i]) * letters.length + letters.indexOf(text[i + 1]);
    values.push(Math.floor(three / LEVELS ** 2), Math.floor(three / LEVELS) % LEVELS, three % LEVELS);
  }
  return values.slice(0, values.length - (values.length % PIXELS));
}

// The first image of a digit.
export function firstOf(digit) {
  return unpacked(images[digit].slice(0, 2 * Math.ceil(PIXELS / 3)));
}

// Samples { n, d, rows }, each row a sample times its label: problem 0 is the two points, the others pairs of digits, scaled
// so that no sample is longer than 1.
export function samples(problem, margin) {
  if (problem === 0) return { n: points.length, d: 2, rows: Float64Array.from(points.flatMap(([x, y]) => [x * margin, y])) };
  const [first, second] = pairs[problem - 1].map((digit) => unpacked(images[digit]));
  const rows = Float64Array.from([...first, ...second.map((value) => -value)]);
  const longest = largest(rows.length / PIXELS, (i) => Math.hypot(...rows.subarray(i * PIXELS, (i + 1) * PIXELS)));
  return { n: rows.length / PIXELS, d: PIXELS, rows: rows.map((value) => value / longest) };
}

function largest(count, value) {
  let most = 0;
  for (let i = 0; i < count; i++) most = Math.max(most, value(i));
  return most;
}

// Gradient descent from 0 with what is known of it so far. `transition` is the first step with f ≤ 1/h.
export class Run {
  constructor(data, h) {
    Object.assign(this, { data, h, k: -1, increases: 0 });
    this.w = new Float64Array(data.d);
    this.slope = new Float64Array(data.d);
  }

  // Moves on to the next point, from nowhere to the start first; then `loss` and `errors` are those of `w`.
  advance() {
    const { data: { n, d }, w, slope, h, loss: before } = this;
    for (let j = 0; this.k >= 0 && j < d; j++) w[j] -= (h / n) * slope[j];
    this.k += 1;
    this.measure();
    if (rises(before, this.loss)) this.increases += 1;
    if (this.transition === undefined && h * this.loss <= 1) this.transition = this.k;
  }

  measure() {
    const { data: { n, d, rows }, w, slope } = this;
    const both = [0, 0];
    const margin = [0];
    let [sum, errors] = [0, 0];
    slope.fill(0);
    for (let i = 0, at = 0; i < n; i++, at += d) {
      let [z0, z1] = [0, 0];
      for (let j = 0; j < d; j += 2) {
        z0 += rows[at + j] * w[j];
        z1 += rows[at + j + 1] * w[j + 1];
      }
      margin[0] = z0 + z1;
      if (!(margin[0] > 0)) errors += 1;
      lossAndSlope(margin, parameters, both);
      sum += both[0];
      const factor = both[1];
      for (let j = 0; j < d; j++) slope[j] += factor * rows[at + j];
    }
    this.loss = sum / n;
    this.errors = errors;
  }
}

// Whether a step increased the loss, by more than rounding does; as `phases` of the package has it.
export function rises(before, after) {
  return after > before * (1 + ROUNDING);
}

// The steps of a slice of work.
function sliceOf({ n, d }) {
  return Math.ceil(SLICE / (n * d * 4 + 200));
}

// A whole run, in slices: yields after each, and returns the run.
function* whole(data, h, steps, see = () => {}) {
  const run = new Run(data, h);
  const slice = sliceOf(data);
  while (run.k < steps) {
    run.advance();
    see(run);
    if (run.k % slice === 0) yield [{}, []];
  }
  return run;
}

// The learning rates of an axis: `most` to a power of ten, the powers of ten first, then ever finer.
export function ratesOf(most) {
  const decades = Math.round(Math.log10(FASTEST / SLOWEST));
  const passes = [];
  for (let every = most, seen = new Set(); every >= 1; every = Math.floor(every / 2)) {
    const fresh = Array.from({ length: (decades * most) / every + 1 }, (_, i) => i * every).filter((i) => !seen.has(i));
    fresh.forEach((i) => seen.add(i));
    passes.push(...fresh);
  }
  return passes.map((i) => Number((SLOWEST * 10 ** (i / most)).toPrecision(12)));
}

// Numbers of steps, halved again and again.
export function ladderOf(steps) {
  const ladder = [];
  for (let number = steps; number >= 8; number = Math.round(number / 2)) ladder.push(number);
  return ladder.reverse();
}

// 2/L, with L the largest eigenvalue of the Hessian at 0, the largest of all.
export function twoOverL({ n, d, rows }) {
  let vector = new Float64Array(d).fill(1);
  let size = 0;
  for (let k = 0; k < 200; k++) {
    const next = new Float64Array(d);
    for (let i = 0; i < n; i++) {
      let product = 0;
      for (let j = 0; j < d; j++) product += rows[i * d + j] * vector[j];
      for (let j = 0; j < d; j++) next[j] += product * rows[i * d + j];
    }
    size = Math.hypot(...next);
    vector = next.map((value) => value / size);
  }
  return (8 * n) / size; // the second derivative of the loss is at most 1/4
}

// Whether a run never increases: up to its stable phase, after which it never does, or to the end of the steps.
function* isMonotone(data, h, steps) {
  const run = new Run(data, h);
  const slice = sliceOf(data);
  while (run.k < steps && run.transition === undefined && !run.increases) {
    run.advance();
    if (run.k % slice === 0) yield [{}, []];
  }
  return run.increases === 0;
}

// The learning rate up to which runs are monotone: from 2/L, below which all are, upwards and then by bisection. Nothing if no
// learning rate is found whose run is not.
function* threshold(data, steps) {
  let [low, high] = [twoOverL(data), twoOverL(data)];
  while (yield* isMonotone(data, (high *= 1.1), steps)) {
    if (high > FASTEST) return undefined;
    low = high;
  }
  while (high - low > 1e-7 * high) {
    const middle = (low + high) / 2;
    if (yield* isMonotone(data, middle, steps)) low = middle;
    else high = middle;
  }
  return low;
}

// Numbers of the entries that a line on a logarithmic axis needs: the first ones, and of all later ones lowest and highest
// in narrow intervals.
export function thinned(losses) {
  const chosen = [];
  for (let k = 0; k < losses.length; ) {
    const end = Math.min(losses.length, Math.max(k + 1, Math.floor(k * 1.02)));
    let [low, high] = [k, k];
    for (let i = k; i < end; i++) {
      if (losses[i] < losses[low]) low = i;
      if (losses[i] > losses[high]) high = i;
    }
    chosen.push(...(low === high ? [low] : [Math.min(low, high), Math.max(low, high)]));
    k = end;
  }
  if (chosen.at(-1) !== losses.length - 1) chosen.push(losses.length - 1);
  return chosen;
}

function* curve(data, h, steps) {
  const losses = new Float64Array(steps + 1);
  const run = yield* whole(data, h, steps, ({ k, loss }) => (losses[k] = loss));
  const at = thinned(losses);
  const { loss, increases, transition } = run;
  return { rate: h, loss, increases, transition, curve: { steps: at, losses: at.map((k) => losses[k]) } };
}

// What belongs to the data, one task after the other.
function tasksOf({ problem, margin, steps }) {
  const data = samples(problem, margin);
  const piece = function* (work, describe) {
    const found = yield* work;
    yield [describe(found), []];
  };
  const rates = ratesOf(problem === 0 ? 32 : 8);
  const decades = Math.log10(FASTEST / SLOWEST) + 1;
  return [
    function* () {
      const rate = yield* threshold(data, steps);
      yield [{ threshold: rate ?? null, twoOverL: twoOverL(data) }, []]; // null says that there is none
      if (rate) yield* piece(curve(data, rate, steps), (found) => ({ best: found }));
    },
    ...rates.slice(0, decades).map((h) => () => piece(curve(data, h, steps), (found) => found)),
    ...ladderOf(steps).map((number) => () => piece(whole(data, number, number), ({ loss }) => ({ ladder: number, loss }))),
    ...rates.slice(decades).map(
      (h) => () => piece(whole(data, h, steps), ({ loss, increases, transition }) => ({ rate: h, loss, increases, transition })),
    ),
  ];
}

// One run, as it comes.
function* runPieces({ problem, margin, steps, rate }) {
  const run = new Run(samples(problem, margin), rate);
  const { d } = run.data;
  const slice = sliceOf(run.data);
  let next = 0; // step whose point is kept
  while (run.k < steps) {
    const count = Math.min(slice, steps - run.k);
    const piece = { from: run.k + 1, losses: new Float64Array(count), errors: new Uint16Array(count) };
    const [kept, weights] = [[], []];
    for (let i = 0; i < count; i++) {
      run.advance();
      piece.losses[i] = run.loss;
      piece.errors[i] = run.errors;
      if (run.k < next && run.k < steps) continue;
      kept.push(run.k);
      weights.push(...run.w);
      next = d === 2 ? 0 : Math.max(run.k + 1, Math.floor(run.k * 1.08));
    }
    yield [{ ...piece, kept, weights, transition: run.transition }, [piece.losses.buffer, piece.errors.buffer]];
  }
}

function* pieces(request) {
  if (request.rate !== undefined) return yield* runPieces(request);
  const tasks = tasksOf(request);
  for (let i = request.part; i < tasks.length; i += request.parts) yield* tasks[i]();
}
