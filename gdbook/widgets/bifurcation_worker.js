// The loop of the bifurcation diagram. Python joins the text of the formula and of the outcome in front of it, so `step`,
// `hessian` and `rules` are in scope and the worker imports nothing.
//
// A message { job, part, parts, limits, depth, size, start, others, p, passes } asks for one share of a diagram, in passes that
// follow each orbit longer and longer, { rates, least, most, keep }. Every piece is sent as { job, pass, first, count, shades, regimes, periods }:
// columns from the left, rows from above.

export const regimeNames = ["stable", "periodic", "chaotic", "diverged", "edge"];
export const OWN = 127; // shades 1 to 127 belong to the orbit of the start, those above to the other starts

const TAIL = 2 * rules.longestPeriod + 1;
const CHAOTIC = 0.01; // a Lyapunov exponent that is certainly positive
const NEUTRAL = 1e-7; // how far beyond 1 rounding may push a multiplier
const x = new Float64Array(1);
const curvature = new Float64Array(1);
const tail = new Float64Array(TAIL); // the last iterates of the orbit that was followed last
const beside = new Float64Array(1);
const round = new Float64Array(rules.longestPeriod + 1);

// One orbit, followed until it is seen what it settles on, from `least` steps on, and for at most `most`:
// { steps, tail, cycle }, with the last iterates in `tail`. Without `tail` it has diverged; `cycle` is what cycleBeside
// gives.
export function settle(start, h, p, { least, most }) {
  x[0] = start;
  let steps = 0;
  for (let goal = least; ; goal *= 2) {
    for (; steps < goal - TAIL; steps++) if (!advance(h, p)) return { steps };
    for (let k = 0; k < TAIL; k++, steps++) {
      if (!advance(h, p)) return { steps };
      tail[k] = x[0];
    }
    const last = 2 * goal > most;
    const cycle = cycleBeside(tail, h, p, last ? 0.02 : 1e-3);
    // what is on its way to a cycle gets more time, what is chaotic does not
    if (cycle || last || exponent(tail, h, p) > 0.05) return { steps, tail, cycle };
  }
}

function advance(h, p) {
  step(x, h, p, x);
  return Math.abs(x[0]) <= rules.escapeRadius;
}

// The attracting cycle beside the end of an orbit that returns within `gate` after some period: Newton's method finds it,
// and its multiplier is inside the unit circle. { period, multiplier, points } or nothing. Near a doubling iterates return
// after twice the period before they settle, so parts of a period are tried first. An orbit that rests on a cycle which
// repels is on it for ever too: the multiplier tells.
export function cycleBeside(tail, h, p, gate) {
  const point = tail.at(-1);
  let scale = 1;
  for (const value of tail) scale = Math.max(scale, 1 + Math.abs(value));
  for (let whole = 1; whole <= rules.longestPeriod; whole++) {
    if (!returns(tail, whole, gate * scale)) continue;
    for (let period = 1; period <= whole; period++) {
      if (whole % period || !returns(tail, period, 0.1 * scale)) continue;
      const cycle = newton(point, period, h, p);
      const distance = cycle ? Math.abs(cycle.points[0] - point) : Infinity;
      if (distance < (cycle && attracts(cycle) ? 0.1 : 1e-14) * scale) return cycle;
    }
  }
}

function attracts({ multiplier }) {
  return Math.abs(multiplier) <= 1 + NEUTRAL;
}

function returns(tail, period, tolerance) {
  const half = tail.length >> 1;
  for (let k = tail.length - 1; k >= half; k--) if (!(Math.abs(tail[k] - tail[k - period]) <= tolerance)) return false;
  return true;
}

function newton(start, period, h, p) {
  for (let point = start, k = 0; k < 40; k++) {
    const multiplier = goRound(point, period, h, p);
    const defect = round[period] - point;
    if (Math.abs(defect) <= 1e-13 * (1 + Math.abs(point))) return { period, points: Array.from(round.subarray(0, period)), multiplier };
    point -= defect / (multiplier - 1);
    if (!(Math.abs(point) <= rules.escapeRadius)) return undefined;
  }
}

// Writes an orbit that begins at `start` into `round`, and gives the derivative of so many steps.
function goRound(start, period, h, p) {
  beside[0] = round[0] = start;
  let multiplier = 1;
  for (let k = 1; k <= period; k++) {
    multiplier *= 1 - h * hessian(beside, p, curvature)[0];
    round[k] = step(beside, h, p, beside)[0];
  }
  return multiplier;
}

// Mean logarithm of the factor by which neighbouring orbits part in one step, over the given iterates.
export function exponent(iterates, h, p) {
  let sum = 0;
  let product = 1;
  for (let k = 0; k < iterates.length; k++) {
    beside[0] = iterates[k];
    product *= Math.abs(1 - h * hessian(beside, p, curvature)[0]);
    if (k % 8 < 7) continue; // one logarithm for eight factors
    sum += Math.log(product);
    product = 1;
  }
  return (sum + Math.log(product)) / iterates.length;
}

// The iterates after `burnIn` steps; fewer where the orbit diverges.
export function lateIterates(start, h, p, burnIn, keep, found = new Float64Array(keep)) {
  x[0] = start;
  for (let k = 0; k < burnIn; k++) if (!advance(h, p)) return found.subarray(0, 0);
  for (let k = 0; k < keep; k++) {
    if (!advance(h, p)) return found.subarray(0, k);
    found[k] = x[0];
  }
  return found.length > keep ? found.subarray(0, keep) : found;
}

// What the orbit from `start` is in the long run: { label, period, multiplier, points } of a cycle that attracts it, or
// that repels and on which it rests, or { label, exponent }. As gdbook.attracting_period, which explains the second look.
export function attractor(start, h, p, burnIn = 10000, samples = 10000) {
  const tail = lateIterates(start, h, p, burnIn - TAIL, TAIL);
  if (tail.length < TAIL) return { label: "diverged" };
  const cycle = cycleBeside(tail, h, p, 0.1);
  if (cycle && !attracts(cycle)) return { ...cycle, label: "resting", period: 0 };
  if (cycle && approaches(tail.at(-1), cycle, h, p, burnIn)) return { label: "cycle", ...cycle };
  const late = lateIterates(tail.at(-1), h, p, 0, samples);
  if (late.length < samples) return { label: "diverged" };
  const growth = exponent(late, h, p);
  return { label: growth > CHAOTIC ? "chaotic" : "bounded", exponent: growth };
}

function approaches(point, { period, points }, h, p, burnIn) {
  const tolerance = rules.periodTolerance * (1 + Math.abs(point));
  const distance = (value) => Math.min(...points.map((one) => Math.abs(one - value)));
  if (distance(point) <= tolerance) return true;
  const later = lateIterates(point, h, p, period * Math.ceil(burnIn / period) - 1, 1);
  return later.length > 0 && distance(later[0]) < distance(point);
}

// Columns of a diagram: how often the late iterates visit each of its heights, as shades; and each column's regime.
// A column looks at `rates` learning rates across its width, and takes its regime from the one in the middle.
// `depth` is how much finer the heights are than those of the whole diagram.
export function diagramColumns({ limits, size: [columns, rows], start, others, p, depth }, first, count, pass) {
  const [h0, h1, low, high] = limits;
  const piece = {
    shades: new Uint8Array(count * rows), regimes: new Uint8Array(count), periods: new Uint8Array(count),
  };
  const heights = { low, scale: rows / (high - low), weight: rows * depth };
  const [own, other] = [new Float32Array(rows), new Float32Array(rows)];
  for (let column = 0; column < count; column++) {
    own.fill(0);
    other.fill(0);
    const rate = (place) => h0 + ((h1 - h0) * (first + column + place)) / columns;
    const middle = visit(own, heights, start, rate(0.5), p, pass);
    for (let j = 0; j < pass.rates; j++)
      if (2 * j + 1 !== pass.rates) visit(own, heights, start, rate((j + 0.5) / pass.rates), p, pass);
    for (const from of others) visit(other, heights, from, rate(0.5), p, pass);
    piece.regimes[column] = regimeNames.indexOf(middle.regime);
    piece.periods[column] = middle.period;
    shade(piece.shades, column, count, own, other, middle.regime);
  }
  return piece;
}

let room = new Float64Array(0); // for the iterates of one orbit after the other

// Counts the visits of one orbit to each height, those of an even spread over the whole diagram as 1. Where a cycle
// attracts the orbit its points stand for all iterates that are still to come.
export function visit(counts, { low, scale, weight }, start, h, p, pass) {
  const settled = settle(start, h, p, pass);
  if (!settled.tail) return { regime: "diverged", period: 0 };
  if (room.length < pass.keep) room = new Float64Array(pass.keep);
  const late = settled.cycle ? [] : lateIterates(settled.tail.at(-1), h, p, 0, pass.keep, room);
  if (!settled.cycle && late.length < pass.keep) return { regime: "diverged", period: 0 };
  const cycle = settled.cycle ?? cycleBeside(late.subarray(-TAIL), h, p, 1e-3); // some are chaotic for long before they settle
  const seen = cycle ? cycle.points : late;
  const [rows, each] = [counts.length, weight / seen.length / pass.rates];
  for (let k = 0; k < seen.length; k++) {
    // a little above the border between two heights, where rounding would decide
    const row = rows - 1 - Math.floor((seen[k] - low) * scale + 1e-6);
    if (row >= 0 && row < rows) counts[row] += each;
  }
  if (cycle && !attracts(cycle)) return { regime: "edge", period: 0 };
  if (cycle) return { regime: cycle.period === 1 ? "stable" : "periodic", period: cycle.period };
  return { regime: exponent(late.subarray(0, 1000), h, p) > CHAOTIC ? "chaotic" : "periodic", period: 0 };
}

// Density to shade, by its logarithm. Curves get half a shade above and below, so that they do not look like dots.
function shade(shades, column, count, own, other, regime) {
  const rows = own.length;
  const curve = regime !== "chaotic";
  const strength = (density) => (density > 0 ? Math.min(1, 0.08 + 0.3 * Math.log2(1 + density)) : 0);
  for (let row = 0; row < rows; row++) {
    let full = strength(own[row]);
    if (curve) full = Math.max(full, 0.6 * strength(Math.max(own[row - 1] ?? 0, own[row + 1] ?? 0)));
    const beside = full > 0 ? 0 : strength(other[row]);
    if (full > 0) shades[row * count + column] = Math.max(1, Math.round(OWN * full));
    else if (beside > 0) shades[row * count + column] = OWN + Math.max(1, Math.round(OWN * beside));
  }
}

const COLUMNS = 16; // per piece: a few milliseconds, so that a newer message is heard soon

function* pieces(request) {
  const { part, parts, size, passes } = request;
  for (const [pass, orders] of passes.entries()) {
    for (let first = part * COLUMNS; first < size[0]; first += parts * COLUMNS) {
      const count = Math.min(COLUMNS, size[0] - first);
      const piece = diagramColumns(request, first, count, orders);
      yield [{ pass, first, count, ...piece }, Object.values(piece).map(({ buffer }) => buffer)];
    }
  }
}
