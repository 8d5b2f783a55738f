// Where gradient descent on a factorisation ends, for one learning rate after the other. Python joins the text of the formula
// and of the outcome in front of it, so `step`, `hessian`, `outcomeOf` and `rules` are in scope and the worker imports
// nothing.
//
// A message { job, part, parts, start, ends, count, p, steps } asks for one share of a curve. Every piece is sent as
// { job, first, kinds, x, y }, from the left.

export const kindNames = ["bounded", "above", "below", "diverged", "unstable"];

const [BOUNDED, ABOVE, BELOW, DIVERGED, UNSTABLE] = [0, 1, 2, 3, 4];
const NEUTRAL = 1e-9; // how far beyond 2 rounding may push h times the sharpness

// What becomes of one orbit, with its last point: { label, step, period, end, kind }. The kind says on which branch of the
// hyperbola the limit is, above or below the antidiagonal, or that it repels almost all other orbits.
export function limitOf(start, h, p, steps) {
  let end = start;
  const outcome = outcomeOf((x, rate, parameters, out) => (end = step(x, rate, parameters, out)), start, h, p, steps);
  return { ...outcome, end: [...end], kind: kindOf(outcome.label, end, h, p) };
}

function kindOf(label, end, h, p) {
  if (label === "diverged") return DIVERGED;
  if (label !== "converged") return BOUNDED;
  const [x, y] = end;
  if (!(x * y > 0) || h * sharpness(end, p) > 2 + NEUTRAL) return UNSTABLE;
  return x > 0 ? ABOVE : BELOW;
}

// The larger eigenvalue of the Hessian.
export function sharpness(x, p) {
  const [a, b, , d] = hessian(x, p);
  return (a + d) / 2 + Math.hypot((a - d) / 2, b);
}

// The learning rate in the middle of each of `count` equal parts between two ends.
export function rateOf({ ends: [low, high], count }, j) {
  return low + ((high - low) * (j + 0.5)) / count;
}

// Limits for the learning rates from number `first` on.
export function limits(request, first, number) {
  const { start, p, steps } = request;
  const piece = { kinds: new Uint8Array(number), x: new Float64Array(number), y: new Float64Array(number) };
  for (let j = 0; j < number; j++) {
    const { kind, end } = limitOf(start, rateOf(request, first + j), p, steps);
    piece.kinds[j] = kind;
    [piece.x[j], piece.y[j]] = end;
  }
  return piece;
}

const PIECE = 64; // learning rates: a few milliseconds, so that a newer message is heard soon

function* pieces(request) {
  const { part, parts, count } = request;
  for (let first = part * PIECE; first < count; first += parts * PIECE) {
    const piece = limits(request, first, Math.min(PIECE, count - first));
    yield [{ first, ...piece }, [piece.kinds.buffer, piece.x.buffer, piece.y.buffer]];
  }
}
