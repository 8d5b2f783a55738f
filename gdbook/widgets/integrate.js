// Ordinary differential equations by the embedded Runge-Kutta pair of Dormand and Prince, orders 5 and 4.

const A = [
  [1 / 5],
  [3 / 40, 9 / 40],
  [44 / 45, -56 / 15, 32 / 9],
  [19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729],
  [9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656],
  [35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84],
];
const ERROR = [71 / 57600, 0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40];

// Points of the solution of x' = field(x, out) at the times 0, interval, 2 interval, ... : `count` + 1 arrays.
// Where it leaves every bounded set, or costs more than `budget` evaluations, the points that follow are NaN.
export function integrate(field, start, interval, count, { tolerance = 1e-10, budget = 20000 } = {}) {
  const d = start.length;
  const slopes = Array.from({ length: 7 }, () => new Float64Array(d));
  const trial = new Float64Array(d);
  let x = Float64Array.from(start);
  const points = [x.slice()];
  let step = interval;
  let spent = 0;
  field(x, slopes[0]);
  for (let n = 0; n < count; n++) {
    let done = 0;
    while (done < interval * (1 - 1e-12)) {
      const size = Math.min(step, interval - done);
      for (let s = 1; s < 7; s++) {
        for (let i = 0; i < d; i++) {
          let sum = 0;
          for (let r = 0; r < s; r++) sum += A[s - 1][r] * slopes[r][i];
          trial[i] = x[i] + size * sum;
        }
        field(trial, slopes[s]);
      }
      let error = 0;
      for (let i = 0; i < d; i++) {
        let sum = 0;
        for (let r = 0; r < 7; r++) sum += ERROR[r] * slopes[r][i];
        error = Math.max(error, Math.abs(size * sum) / (tolerance * (1 + Math.abs(trial[i]))));
      }
      spent += 6;
      const lost = !Number.isFinite(error) && size < 1e-12 * interval;
      if (spent > budget || lost || x.some((value) => Math.abs(value) > 1e6)) return padded(points, count, d);
      if (error <= 1) {
        // the last slope of an accepted step is the first of the next
        x = trial.slice();
        slopes[0].set(slopes[6]);
        done += size;
      }
      step = size * (Number.isFinite(error) ? Math.min(4, Math.max(0.2, 0.9 * error ** -0.2)) : 0.1);
    }
    points.push(x.slice());
  }
  return points;
}

function padded(points, count, d) {
  while (points.length <= count) points.push(new Float64Array(d).fill(NaN));
  return points;
}
