// What became of an orbit. The words of the definition stand in outcome.py, which also writes `rules`.

const size = x => x.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
const apart = (x, y) => x.reduce((largest, value, i) => Math.max(largest, Math.abs(value - y[i])), 0);
const near = (x, y, tolerance) => apart(x, y) <= tolerance * (1 + size(x));

export function outcomeOf(step, start, h, p, steps) {
  const kept = 2 * rules.longestPeriod + 1;
  const recent = Array.from({ length: kept }, () => start.slice());
  const at = k => recent[k % kept];
  for (let k = 0; k <= steps; k++) {
    if (k > 0) step(at(k - 1), h, p, at(k));
    if (!(size(at(k)) <= rules.escapeRadius)) return { label: "diverged", step: k, period: 0 };
    const tested = k > 0 && (k % rules.checkInterval === 0 || k === steps);
    if (tested && near(at(k), at(k - 1), rules.convergenceTolerance)) return { label: "converged", step: k, period: 0 };
  }
  for (let period = 2; period <= Math.min(rules.longestPeriod, steps >> 1); period++) {
    const [last, before, earlier] = [0, 1, 2].map(n => at(steps - n * period));
    if (near(last, before, rules.periodTolerance) && near(before, earlier, rules.periodTolerance))
      return { label: "periodic", step: steps, period };
  }
  return { label: "bounded", step: steps, period: 0 };
}
