// The same network as one writes it down at first, to compare with: arrays of arrays, one sample after the other, Hessian products
// as differences of gradients, Lanczos' method from a random vector at every call.

export function gradient(layers, xs, ys) {
  const zeros = (count) => new Array(count).fill(0);
  const slopes = layers.map(({ W, b }) => ({ W: W.map((row) => zeros(row.length)), b: zeros(b.length) }));
  const last = layers.length - 1;
  let loss = 0;
  for (let s = 0; s < xs.length; s++) {
    const signals = [[xs[s]]];
    for (let l = 0; l <= last; l++) {
      const { W, b } = layers[l];
      const [from, to] = [signals[l], []];
      for (let j = 0; j < b.length; j++) {
        const row = W[j];
        let sum = b[j];
        for (let i = 0; i < row.length; i++) sum += row[i] * from[i];
        to.push(l === last ? sum : Math.tanh(sum));
      }
      signals.push(to);
    }
    const missing = signals[last + 1][0] - ys[s];
    loss += (missing * missing) / (2 * xs.length);
    let error = [missing / xs.length];
    for (let l = last; l >= 0; l--) {
      const from = signals[l];
      const earlier = zeros(from.length);
      for (let j = 0; j < error.length; j++) {
        const [e, row, slope] = [error[j], layers[l].W[j], slopes[l].W[j]];
        slopes[l].b[j] += e;
        for (let i = 0; i < row.length; i++) {
          slope[i] += e * from[i];
          earlier[i] += e * row[i];
        }
      }
      for (let i = 0; i < from.length; i++) earlier[i] *= 1 - from[i] * from[i];
      error = earlier;
    }
  }
  return { loss, slopes };
}

export const flat = (layers) => layers.flatMap(({ W, b }) => [...W.flat(), ...b]);

export function unflat(vector, like) {
  let at = 0;
  return like.map(({ W, b }) => ({
    W: W.map((row) => row.map(() => vector[at++])),
    b: b.map(() => vector[at++]),
  }));
}

function dot(a, b) {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

// The largest eigenvalue of the Hessian after so many steps, or as soon as it changes by less than the tolerance.
export function sharpness(layers, xs, ys, { steps = 20, tolerance = 0 }) {
  const w = flat(layers);
  const product = (v) => {
    const at = (sign) => unflat(w.map((x, i) => x + sign * 1e-4 * v[i]), layers);
    const [up, down] = [1, -1].map((sign) => flat(gradient(at(sign), xs, ys).slopes));
    return up.map((x, i) => (x - down[i]) / 2e-4);
  };
  let v = w.map(() => Math.random() - 0.5);
  const basis = [];
  const [diagonal, beside] = [[], []];
  let before = 0;
  for (let k = 0; k < steps; k++) {
    const length = Math.sqrt(dot(v, v));
    v = v.map((x) => x / length);
    if (k > 0) beside.push(length);
    basis.push(v);
    const image = product(v);
    diagonal.push(dot(v, image));
    for (const other of basis) {
      const along = dot(other, image);
      for (let i = 0; i < image.length; i++) image[i] -= along * other[i];
    }
    v = image;
    if (!tolerance) continue;
    const now = largest(diagonal, beside);
    if (Math.abs(now - before) < tolerance * now) return now;
    before = now;
  }
  return largest(diagonal, beside);
}

// The largest eigenvalue of a tridiagonal matrix, by bisection on the signs of its pivots.
function largest(diagonal, beside) {
  const reach = Math.max(...diagonal.map(Math.abs)) + 2 * Math.max(0, ...beside.map(Math.abs));
  let [low, high] = [-reach, reach];
  for (let round = 0; round < 50; round++) {
    const middle = (low + high) / 2;
    let pivot = 1;
    const above = diagonal.some((d, i) => (pivot = d - middle - (i ? beside[i - 1] ** 2 / pivot : 0)) > 0);
    if (above) low = middle;
    else high = middle;
  }
  return high;
}
