// The loop of the basin picture. Python joins the text of the formula and of the outcome in front of it, so that the
// worker imports nothing, and puts the formula's step in the place of the comment "one step".
//
// A message { job, part, parts, limits, sizes, learningRate, p, steps } asks for one share of a picture, in passes
// of growing size. Every piece is sent as { job, size, first, labels, steps }, rows counted from below. The label of an
// orbit that converged to target number i of the function `target` is 4 + i.

export const labelNames = ["converged", "diverged", "periodic", "bounded"];

const [CONVERGED, DIVERGED, PERIODIC, BOUNDED] = [0, 1, 2, 3];
let [orbitX, orbitY] = [new Float64Array(1), new Float64Array(1)]; // the same arrays for every orbit

export function basinRows({ limits: [x0, x1, y0, y1], learningRate, p, steps }, size, first, count) {
  const labels = new Uint8Array(count * size);
  const reached = new Uint16Array(count * size);
  if (orbitX.length !== steps + 1) [orbitX, orbitY] = [new Float64Array(steps + 1), new Float64Array(steps + 1)];
  for (let j = 0, k = 0; j < count; j++) {
    const y = y0 + ((y1 - y0) * (first + j + 0.5)) / size;
    for (let i = 0; i < size; i++, k++) {
      const outcome = outcomeInPlane(x0 + ((x1 - x0) * (i + 0.5)) / size, y, learningRate, p, steps);
      labels[k] = outcome & 7;
      reached[k] = outcome >> 3;
    }
  }
  return { labels, steps: reached };
}

// Eight times the step plus the label: `outcomeOf` without its calls and arrays, which take most of its time.
function outcomeInPlane(_x0, _x1, _h, _p, steps) {
  const { escapeRadius, checkInterval, convergenceTolerance } = rules;
  if (!(Math.abs(_x0) <= escapeRadius && Math.abs(_x1) <= escapeRadius)) return DIVERGED;
  orbitX[0] = _x0;
  orbitY[0] = _x1;
  for (let k = 0; k < steps; ) {
    const check = Math.min(k + checkInterval, steps);
    while (k < check) {
      /* one step */
      k++;
      if (!(Math.abs(_x0) <= escapeRadius && Math.abs(_x1) <= escapeRadius)) return 8 * k + DIVERGED;
      orbitX[k] = _x0;
      orbitY[k] = _x1;
    }
    if (nearAt(k, k - 1, convergenceTolerance)) return 8 * k + labelOfLimit(target([_x0, _x1], _p));
  }
  const moved = rules.returnRatio * distanceAt(steps, steps - 1);
  for (let period = 2; period <= Math.min(rules.longestPeriod, steps >> 1); period++) {
    const before = steps - period;
    if (returns(steps, before, moved) && returns(before, before - period, moved)) return 8 * steps + PERIODIC;
  }
  return 8 * steps + BOUNDED;
}

function labelOfLimit(number) {
  return number < 0 ? CONVERGED : 4 + number;
}

function returns(k, j, moved) {
  return nearAt(k, j, rules.periodTolerance) && distanceAt(k, j) <= moved;
}

function nearAt(k, j, tolerance) {
  return distanceAt(k, j) <= tolerance * (1 + Math.max(Math.abs(orbitX[k]), Math.abs(orbitY[k])));
}

function distanceAt(k, j) {
  return Math.max(Math.abs(orbitX[k] - orbitX[j]), Math.abs(orbitY[k] - orbitY[j]));
}

export const PIECES = 80; // of each pass: a few milliseconds, so that a newer message is heard soon

function* pieces(request) {
  const { part, parts, sizes } = request;
  for (const size of sizes) {
    const rows = size / PIECES;
    for (let piece = part; piece < PIECES; piece += parts) {
      const found = basinRows(request, size, piece * rows, rows);
      yield [{ size, first: piece * rows, ...found }, [found.labels.buffer, found.steps.buffer]];
    }
  }
}
