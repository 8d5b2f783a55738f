// The loops of the reader's own objective. Python joins in front of it the text of the outcome, and enclosed as `formulas`,
// `diagrams` and `basins` those of formula.js, bifurcation_worker.js and basin_worker.js, which take `step`, `hessian` and
// `target` from here: those of the formula that is in use.
//
// A request has the formula as `p.text`, and is one for basins if it has `sizes`, and otherwise one for a diagram.

export const { parse } = formulas;
export const { regimeNames, OWN } = diagrams;

const CHAOTIC = 0.01; // a Lyapunov exponent that is certainly positive
const LONG = 4; // times as many steps before the iterates are looked at as one variable needs at least
const LATER = 256; // steps after which an orbit in the plane is judged
const target = () => -1; // limits are not told apart

let formula;
let inUse; // its text
const place = new Float64Array(2);

// Takes a formula that is known to be sound; all that follows is about it.
export function use({ text }) {
  if (text !== inUse) formula = parse(text);
  inUse = text;
}

function step(x, h, p, out) {
  return formula.step(x, h, p, out);
}

function hessian(x, p, out) {
  return formula.hessian(x, p, out);
}

// Columns of the diagram of a formula of two variables: the first coordinate of the late iterates, and what becomes of them.
function planeColumns({ limits: [h0, h1, low, high], size: [columns, rows], start, p, depth }, first, count, pass) {
  const piece = {
    shades: new Uint8Array(count * rows), regimes: new Uint8Array(count), periods: new Uint8Array(count),
  };
  const [own, other] = [new Float32Array(rows), new Float32Array(rows)];
  for (let column = 0; column < count; column++) {
    own.fill(0);
    const h = h0 + ((h1 - h0) * (first + column + 0.5)) / columns;
    const { regime, period, seen } = lateInPlane(start, h, p, pass);
    for (const x of seen) {
      const row = rows - 1 - Math.floor(((x - low) * rows) / (high - low) + 1e-6);
      if (row >= 0 && row < rows) own[row] += (rows * depth) / seen.length;
    }
    piece.regimes[column] = regimeNames.indexOf(regime);
    piece.periods[column] = period;
    diagrams.shade(piece.shades, column, count, own, other, regime);
  }
  return piece;
}

// The regime of the orbit from `start`, and the first coordinates among which it goes round.
export function lateInPlane(start, h, p, { least, keep }) {
  const x = Float64Array.from(start);
  const bounded = () => Math.abs(x[0]) <= rules.escapeRadius && Math.abs(x[1]) <= rules.escapeRadius;
  const lost = { regime: "diverged", period: 0, seen: [] };
  for (let k = 0; k < LONG * least; k++) {
    step(x, h, p, x);
    if (!bounded()) return lost;
  }
  const { label, period } = outcomeOf(step, x, h, p, LATER);
  if (label === "diverged") return lost;
  const seen = new Float64Array(label === "converged" ? 1 : period || keep);
  const growth = exponentInPlane(x, h, p, seen);
  if (!bounded()) return lost;
  if (label === "converged") return { regime: "stable", period: 1, seen };
  if (growth > CHAOTIC) return { regime: "chaotic", period, seen };
  const slow = label === "bounded" && growth < 0; // on its way, mostly to a point
  return { regime: slow ? "stable" : "periodic", period, seen };
}

// Mean logarithm of the factor by which a small distance grows in one step; the first coordinates go to `seen`.
function exponentInPlane(x, h, p, seen) {
  const curvature = new Float64Array(4);
  let [u, v, sum] = [1, 0.618, 0];
  for (let k = 0; k < seen.length; k++) {
    const [a, b, c, d] = hessian(x, p, curvature);
    [u, v] = [u - h * (a * u + b * v), v - h * (c * u + d * v)];
    const length = Math.hypot(u, v) + 1e-300;
    sum += Math.log(length);
    [u, v] = [u / length, v / length];
    step(x, h, p, x);
    seen[k] = x[0];
  }
  return sum / seen.length;
}

// What the page itself computes of a basin picture, before the workers have answered.
export const PIECES = basins.PIECES;

export function basinRows(request, size, first, count) {
  use(request.p);
  return basins.basinRows(request, size, first, count);
}

// Pieces are small: the longest formula takes many times as long as a short one, and a newer message is to be heard soon.
const ROWS = 2;
const COLUMNS = 2;

function* pieces(request) {
  use(request.p);
  if (request.sizes) yield* basinPieces(request);
  else yield* diagramPieces(request);
}

function* basinPieces(request) {
  const { part, parts, sizes } = request;
  for (const size of sizes)
    for (let first = part * ROWS; first < size; first += parts * ROWS) {
      const found = basins.basinRows(request, size, first, ROWS);
      yield [{ size, first, ...found }, [found.labels.buffer, found.steps.buffer]];
    }
}

function* diagramPieces(request) {
  const { part, parts, size, passes } = request;
  const columns = formula.variables.length === 1 ? diagrams.diagramColumns : planeColumns;
  for (const [pass, orders] of passes.entries())
    for (let first = part * COLUMNS; first < size[0]; first += parts * COLUMNS) {
      const piece = columns(request, first, COLUMNS, orders);
      yield [{ pass, first, count: COLUMNS, ...piece }, Object.values(piece).map(({ buffer }) => buffer)];
    }
}
