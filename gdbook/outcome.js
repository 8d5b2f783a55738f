// What became of an orbit. The words of the definition stand in outcome.py, which also writes `rules`.

let recent = []; // the last iterates, in the same arrays for every orbit: a basin picture asks 160 000 times

export function outcomeOf(step, start, h, p, steps) {
  const kept = 2 * rules.longestPeriod + 1;
  if (recent[0]?.length !== start.length) recent = Array.from({ length: kept }, () => new Float64Array(start.length));
  let [x, last] = [recent[0], recent[0]];
  x.set(start);
  if (!(size(x) <= rules.escapeRadius)) return { label: "diverged", step: 0, period: 0 };
  for (let k = 1, place = 1; k <= steps; k++, place = place + 1 === kept ? 0 : place + 1) {
    last = x;
    x = recent[place];
    step(last, h, p, x);
    if (!(size(x) <= rules.escapeRadius)) return { label: "diverged", step: k, period: 0 };
    if ((k % rules.checkInterval === 0 || k === steps) && near(x, last, rules.convergenceTolerance))
      return { label: "converged", step: k, period: 0 };
  }
  const at = k => recent[k % kept];
  const moved = rules.returnRatio * distance(x, last);
  const returns = (x, y) => near(x, y, rules.periodTolerance) && distance(x, y) <= moved;
  for (let period = 2; period <= Math.min(rules.longestPeriod, steps >> 1); period++) {
    const [before, earlier] = [at(steps - period), at(steps - 2 * period)];
    if (returns(x, before) && returns(before, earlier)) return { label: "periodic", step: steps, period };
  }
  return { label: "bounded", step: steps, period: 0 };
}

function size(x) {
  let largest = 0;
  for (let i = 0; i < x.length; i++) largest = Math.max(largest, Math.abs(x[i]));
  return largest;
}

function near(x, y, tolerance) {
  return distance(x, y) <= tolerance * (1 + size(x));
}

function distance(x, y) {
  let apart = 0;
  for (let i = 0; i < x.length; i++) apart = Math.max(apart, Math.abs(x[i] - y[i]));
  return apart;
}
