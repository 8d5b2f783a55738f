// The loop of the selection map. Python joins the text of the formula, of the outcome and of the targets in front of it, so
// that `rules` and `target` are in scope and the worker imports nothing, and puts the formula's step in the place of the
// comment "one step".
//
// A message { job, part, parts, limits, rates, logarithmic, p, steps, sizes } asks for one share of a map, in passes of
// growing size [columns, rows]. Every piece is sent as { job, columns, first, count, fates }, rows counted from the lowest
// learning rate.

export const [NONE, DIVERGED] = [4, 5]; // fates beside the numbers of targets
const limit = [0];

// What becomes of the orbit from a start: the number of the target that it converges to, or that it does not converge to any, or
// diverges. `outcomeOf` without its calls and arrays, and without periods.
export function fateOf(_x0, _h, _p, steps) {
  const { escapeRadius, checkInterval, convergenceTolerance } = rules;
  if (!(Math.abs(_x0) <= escapeRadius)) return DIVERGED;
  let last = _x0;
  for (let k = 0; k < steps; ) {
    for (const check = Math.min(k + checkInterval, steps); k < check; k++) {
      last = _x0;
      /* one step */
      if (!(Math.abs(_x0) <= escapeRadius)) return DIVERGED;
    }
    if (Math.abs(_x0 - last) <= convergenceTolerance * (1 + Math.abs(_x0))) return fateAt(_x0, _p);
  }
  return NONE;
}

// The fate of an orbit with this limit.
export function fateAt(x, p) {
  limit[0] = x;
  const number = target(limit, p);
  return number < 0 ? NONE : number;
}

// The start and the learning rate at a fraction of the way through the axes.
export const startAt = ([low, high], part) => low + (high - low) * part;
export const rateAt = ([low, high], logarithmic, part) =>
  logarithmic ? low * Math.pow(high / low, part) : low + (high - low) * part;

// Fates of starts in the middles of so many columns.
export function fatesAlong(limits, columns, h, p, steps, fates = new Uint8Array(columns), from = 0) {
  for (let i = 0; i < columns; i++) fates[from + i] = fateOf(startAt(limits, (i + 0.5) / columns), h, p, steps);
  return fates;
}

export function mapRows({ limits, rates, logarithmic, p, steps }, [columns, rows], first, count) {
  const fates = new Uint8Array(count * columns);
  for (let j = 0; j < count; j++) {
    const h = rateAt(rates, logarithmic, (first + j + 0.5) / rows);
    fatesAlong(limits, columns, h, p, steps, fates, j * columns);
  }
  return fates;
}

const PIECES = 80; // of each pass: a few milliseconds, so that a newer message is heard soon

function* pieces(request) {
  const { part, parts, sizes } = request;
  for (const size of sizes) {
    const [columns, rows] = size;
    const each = Math.ceil(rows / PIECES);
    for (let first = part * each; first < rows; first += parts * each) {
      const count = Math.min(each, rows - first);
      const fates = mapRows(request, size, first, count);
      yield [{ columns, first, count, fates }, [fates.buffer]];
    }
  }
}
