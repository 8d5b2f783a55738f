// A multilayer perceptron with tanh units on data, squared loss: gradient, exact Hessian products, the top of the spectrum.
//
// All numbers of a layer stand in one array, unit after unit and in each unit sample after sample; parameters stand as in
// gdbook.networks: the first matrix row after row, its biases, the second matrix, and so on. The worker gets this text with
// others joined to it, so it imports nothing.

// C[i, j] (+)= Σ_k A[i, k] B[k, j] for matrices within arrays: each is given by its array, where it begins, and the
// distances between rows and between columns. Blocks of 2 × 4 sums stay in registers.
function multiply(m, n, q, C, c, ci, cj, A, a, ai, ak, B, b, bk, bj, add) {
  let i = 0;
  for (; i + 2 <= m; i += 2) {
    const a0 = a + i * ai;
    const a1 = a0 + ai;
    let j = 0;
    for (; j + 4 <= n; j += 4) {
      let s00 = 0, s01 = 0, s02 = 0, s03 = 0, s10 = 0, s11 = 0, s12 = 0, s13 = 0;
      const b0 = b + j * bj;
      const b1 = b0 + bj;
      const b2 = b1 + bj;
      const b3 = b2 + bj;
      for (let k = 0, ka = 0, kb = 0; k < q; k++, ka += ak, kb += bk) {
        const x = A[a0 + ka];
        const y = A[a1 + ka];
        const u = B[b0 + kb];
        const v = B[b1 + kb];
        const w = B[b2 + kb];
        const z = B[b3 + kb];
        s00 += x * u;
        s01 += x * v;
        s02 += x * w;
        s03 += x * z;
        s10 += y * u;
        s11 += y * v;
        s12 += y * w;
        s13 += y * z;
      }
      const c0 = c + i * ci + j * cj;
      const c1 = c0 + ci;
      if (add) {
        C[c0] += s00;
        C[c0 + cj] += s01;
        C[c0 + 2 * cj] += s02;
        C[c0 + 3 * cj] += s03;
        C[c1] += s10;
        C[c1 + cj] += s11;
        C[c1 + 2 * cj] += s12;
        C[c1 + 3 * cj] += s13;
      } else {
        C[c0] = s00;
        C[c0 + cj] = s01;
        C[c0 + 2 * cj] = s02;
        C[c0 + 3 * cj] = s03;
        C[c1] = s10;
        C[c1 + cj] = s11;
        C[c1 + 2 * cj] = s12;
        C[c1 + 3 * cj] = s13;
      }
    }
    for (; j < n; j++) {
      let s0 = 0, s1 = 0;
      for (let k = 0, ka = 0, kb = b + j * bj; k < q; k++, ka += ak, kb += bk) {
        s0 += A[a0 + ka] * B[kb];
        s1 += A[a1 + ka] * B[kb];
      }
      const c0 = c + i * ci + j * cj;
      C[c0] = add ? C[c0] + s0 : s0;
      C[c0 + ci] = add ? C[c0 + ci] + s1 : s1;
    }
  }
  for (; i < m; i++) {
    for (let j = 0; j < n; j++) {
      let s = 0;
      for (let k = 0, ka = a + i * ai, kb = b + j * bj; k < q; k++, ka += ak, kb += bk) s += A[ka] * B[kb];
      const at = c + i * ci + j * cj;
      C[at] = add ? C[at] + s : s;
    }
  }
}

// The function f of the parameters: 1/(2n) times the sum of squares of what is missing. `widths` counts inputs, the units of
// each hidden layer and outputs; `features` and `targets` stand unit after unit, sample after sample.
export class Network {
  constructor(widths, features, targets) {
    const samples = features.length / widths[0];
    this.widths = widths;
    this.samples = samples;
    this.targets = Float64Array.from(targets);
    this.layers = [];
    let place = 0;
    for (let l = 1; l < widths.length; l++) {
      const [before, after] = [widths[l - 1], widths[l]];
      this.layers.push({ before, after, weights: place, biases: place + before * after });
      place += (before + 1) * after;
    }
    this.dimension = place;
    const rooms = () => widths.map((width) => new Float64Array(width * samples));
    this.signals = rooms(); // of each layer, the inputs first
    this.signals[0].set(features);
    this.slopes = rooms(); // derivatives of the activation
    this.errors = rooms(); // derivatives of f by what enters a layer
    this.arriving = rooms(); // derivatives of f by what leaves it
    this.moved = rooms(); // the same four along a direction
    this.entered = rooms();
    this.movedErrors = rooms();
    this.movedArriving = new Float64Array(Math.max(...widths) * samples);
  }

  // Outputs for the data, in place.
  forward(w) {
    const { layers, samples: n, signals, slopes } = this;
    for (let l = 0; l < layers.length; l++) {
      const { before, after, weights, biases } = layers[l];
      const [from, to] = [signals[l], signals[l + 1]];
      multiply(after, n, before, to, 0, n, 1, w, weights, before, 1, from, 0, n, 1, false);
      const last = l === layers.length - 1;
      const slope = slopes[l + 1];
      for (let j = 0, at = 0; j < after; j++) {
        const bias = w[biases + j];
        if (last) for (const end = at + n; at < end; at++) to[at] += bias;
        else
          for (const end = at + n; at < end; at++) {
            const t = tanh(to[at] + bias);
            to[at] = t;
            slope[at] = 1 - t * t;
          }
      }
    }
    return signals[layers.length];
  }

  // f at w, and its gradient in `out`. All that a Hessian product at w needs stays in place.
  gradient(w, out) {
    const { layers, samples: n, signals, slopes, errors, arriving, targets } = this;
    const outputs = this.forward(w);
    const depth = layers.length;
    let sum = 0;
    for (let i = 0; i < outputs.length; i++) {
      const missing = outputs[i] - targets[i];
      sum += missing * missing;
      errors[depth][i] = missing / n;
    }
    for (let l = depth - 1; l >= 0; l--) {
      const { before, after, weights, biases } = layers[l];
      const error = errors[l + 1];
      multiply(after, before, n, out, weights, before, 1, error, 0, n, 1, signals[l], 0, 1, n, false);
      sums(error, after, n, out, biases);
      if (l === 0) break;
      const [arrives, slope, earlier] = [arriving[l], slopes[l], errors[l]];
      multiply(before, n, after, arrives, 0, n, 1, w, weights, 1, before, error, 0, n, 1, false);
      for (let i = 0; i < earlier.length; i++) earlier[i] = arrives[i] * slope[i];
    }
    return sum / (2 * n);
  }

  // The Hessian at w times v, in `out`: the derivative of all that `gradient(w)` has just computed, along v.
  hessianProduct(w, v, out) {
    const { layers, samples: n, signals, slopes, errors, arriving, moved, entered, movedErrors, movedArriving } = this;
    const depth = layers.length;
    for (let l = 0; l < depth; l++) {
      const { before, after, weights, biases } = layers[l];
      const enters = entered[l + 1];
      multiply(after, n, before, enters, 0, n, 1, v, weights, before, 1, signals[l], 0, n, 1, false);
      if (l > 0) multiply(after, n, before, enters, 0, n, 1, w, weights, before, 1, moved[l], 0, n, 1, true);
      const last = l === depth - 1;
      const [move, slope, error] = [moved[l + 1], slopes[l + 1], movedErrors[depth]];
      for (let j = 0, at = 0; j < after; j++) {
        const bias = v[biases + j];
        for (const end = at + n; at < end; at++) {
          enters[at] += bias;
          if (last) error[at] = enters[at] / n;
          else move[at] = slope[at] * enters[at];
        }
      }
    }
    for (let l = depth - 1; l >= 0; l--) {
      const { before, after, weights, biases } = layers[l];
      const [error, movedError] = [errors[l + 1], movedErrors[l + 1]];
      multiply(after, before, n, out, weights, before, 1, movedError, 0, n, 1, signals[l], 0, 1, n, false);
      sums(movedError, after, n, out, biases);
      if (l === 0) break;
      multiply(after, before, n, out, weights, before, 1, error, 0, n, 1, moved[l], 0, 1, n, true);
      const [signal, slope, enters, arrives, earlier] = [signals[l], slopes[l], entered[l], arriving[l], movedErrors[l]];
      multiply(before, n, after, movedArriving, 0, n, 1, w, weights, 1, before, movedError, 0, n, 1, false);
      multiply(before, n, after, movedArriving, 0, n, 1, v, weights, 1, before, error, 0, n, 1, true);
      for (let i = 0; i < earlier.length; i++)
        earlier[i] = slope[i] * (movedArriving[i] - 2 * signal[i] * enters[i] * arrives[i]);
    }
  }
}

function sums(error, units, n, out, place) {
  for (let j = 0, at = 0; j < units; j++) {
    let sum = 0;
    for (const end = at + n; at < end; at++) sum += error[at];
    out[place + j] = sum;
  }
}

// Math.tanh to the last digit or two, in plain arithmetic, in a third of its time.
const POWERS = Float64Array.from({ length: 64 }, (_, k) => 2 ** k);

export function tanh(x) {
  const y = 2 * (x < 0 ? -x : x);
  if (!(y < 40)) return x > 0 ? 1 : x < 0 ? -1 : x;
  const k = (y * 1.4426950408889634 + 0.5) | 0;
  const r = y - k * 0.6931471803691238 - k * 1.9082149292705877e-10; // y = k ln 2 + r, |r| at most half of ln 2
  const tail =
    1 / 24 + r * (1 / 120 + r * (1 / 720 + r * (1 / 5040 + r * (1 / 40320 + r * (1 / 362880 + r * (1 / 3628800 + r * (1 / 39916800 + r * (1 / 479001600 + r / 6227020800))))))));
  const less = r + r * r * (0.5 + r * (1 / 6 + r * tail)); // exp(r) − 1
  const power = POWERS[k];
  const e = power * less + (power - 1); // exp(y) − 1
  const t = e / (e + 2);
  return x < 0 ? -t : t;
}

// The start that a number stands for: normal weights of variance one over the number of inputs, biases zero.
// network_explorer.py has the same numbers.
export function initial(network, seed) {
  const w = new Float64Array(network.dimension);
  let count = 0;
  const uniform = () => (scrambled(Math.imul(seed, 0x9e3779b9) + count++) + 0.5) / 2 ** 32;
  const uniforms = new Float64Array(2);
  for (const { before, after, weights } of network.layers)
    for (let i = 0; i < before * after; i++) {
      uniforms[0] = uniform();
      uniforms[1] = uniform();
      w[weights + i] = Math.sqrt((-2 * Math.log(uniforms[0])) / before) * Math.cos(2 * Math.PI * uniforms[1]);
    }
  return w;
}

// A whole number below 2³², scattered as evenly as can be over all others.
function scrambled(k) {
  k = Math.imul(k ^ (k >>> 16), 0x45d9f3b);
  k = Math.imul(k ^ (k >>> 16), 0x45d9f3b);
  return (k ^ (k >>> 16)) >>> 0;
}

export const TOLERANCE = 0.02; // of residuals; its square tells in an eigenvalue, so that one per cent is far away

const GUEST = 0.05; // how much noise is added to the guest

// The largest eigenvalues of a symmetric matrix of which only products are known, and which changes little from call to
// call: Lanczos' method for a block, started from the eigenvectors of the call before and one guest, so that an eigenvalue
// that overtakes the others is seen.
export class Spectrum {
  constructor(dimension, count) {
    Object.assign(this, { dimension, count, products: 0 });
    this.most = 8 * count + 8; // vectors, before all but the best are dropped
    const rooms = () => Array.from({ length: this.most + 1 }, () => new Float64Array(dimension));
    [this.basis, this.images, this.spare, this.spareImages] = [rooms(), rooms(), rooms(), rooms()];
    this.values = new Float64Array(count);
    this.vectors = Array.from({ length: count }, () => new Float64Array(dimension));
    this.size = 0; // vectors to start from
    this.table = Array.from({ length: this.most }, () => new Float64Array(this.most));
    this.residual = new Float64Array(dimension);
  }

  // `product(v, out)`; the residual |Hv − λv| of each pair is at most `tolerance` times the largest eigenvalue in modulus.
  // False where the matrix is not finite.
  update(product, tolerance) {
    const { count, most, dimension, table, residual } = this;
    const wanted = Math.min(count, dimension);
    const start = this.size;
    this.size = 0;
    if (start > count) axpy(GUEST / Math.sqrt(dimension), noise(residual, this.products), this.basis[count]);
    for (let i = 0; i < start; i++) this.take(this.basis[i]);
    for (let k = 0; this.size < Math.min(count + 1, dimension); k++) this.take(noise(residual, k));
    let known = 0;
    for (;;) {
      const { basis, images } = this; // a restart exchanges them
      for (; known < this.size; known++) {
        product(basis[known], images[known]);
        this.products += 1;
        for (let j = 0; j <= known; j++) table[j][known] = table[known][j] = dot(basis[j], images[known]);
        if (!Number.isFinite(table[known][known])) return this.forget();
      }
      const { values, weights } = eigen(table, this.size);
      const scale = Math.max(values[0], -values[this.size - 1]);
      const before = this.size;
      for (let i = 0; i < wanted && this.size < most; i++) {
        this.combine(images, weights[i], before, residual);
        for (let j = 0; j < before; j++) axpy(-values[i] * weights[i][j], basis[j], residual);
        if (Math.sqrt(dot(residual, residual)) > tolerance * scale) this.take(residual);
      }
      const settled = this.size === before;
      if (!settled && this.size < most) continue;
      this.restart(weights, before);
      for (let i = 0; i < wanted; i++) {
        this.values[i] = values[i];
        this.vectors[i].set(this.basis[i]);
      }
      if (settled) {
        if (this.size > this.count) this.basis[this.count].set(this.images[this.count]); // a step of the power method
        return true;
      }
      known = this.size;
      for (let i = 0; i < known; i++) for (let j = 0; j < known; j++) table[i][j] = i === j ? values[i] : 0;
    }
  }

  // Keeps the best vectors and their images.
  restart(weights, size) {
    const kept = Math.min(this.count + 1, size);
    for (let i = 0; i < kept; i++) {
      this.combine(this.basis, weights[i], size, this.spare[i]);
      this.combine(this.images, weights[i], size, this.spareImages[i]);
    }
    [this.basis, this.spare] = [this.spare, this.basis];
    [this.images, this.spareImages] = [this.spareImages, this.images];
    this.size = kept;
  }

  combine(vectors, weights, size, out) {
    out.fill(0);
    for (let j = 0; j < size; j++) axpy(weights[j], vectors[j], out);
  }

  // Adds to the basis what a vector has that the basis has not.
  take(vector) {
    const { basis, size } = this;
    const fresh = basis[size];
    if (fresh !== vector) fresh.set(vector);
    const before = Math.sqrt(dot(fresh, fresh));
    for (let round = 0; round < 2; round++) for (let j = 0; j < size; j++) axpy(-dot(basis[j], fresh), basis[j], fresh);
    const length = Math.sqrt(dot(fresh, fresh));
    if (!(length > 1e-10 * before)) return;
    for (let i = 0; i < fresh.length; i++) fresh[i] /= length;
    this.size += 1;
  }

  forget() {
    this.size = 0;
    this.values.fill(NaN);
    return false;
  }
}

function noise(out, k) {
  for (let i = 0; i < out.length; i++) out[i] = scrambled(i + 1 + out.length * (k + 1)) / 2 ** 31 - 1;
  return out;
}

export function dot(a, b) {
  let s = 0, t = 0, i = 0;
  for (; i + 2 <= a.length; i += 2) {
    s += a[i] * b[i];
    t += a[i + 1] * b[i + 1];
  }
  return i < a.length ? s + t + a[i] * b[i] : s + t;
}

// y += c x
export function axpy(c, x, y) {
  for (let i = 0; i < x.length; i++) y[i] += c * x[i];
}

// Eigenvalues of a small symmetric matrix, the largest first, and their eigenvectors, by Jacobi's rotations.
export function eigen(matrix, size) {
  const a = Array.from({ length: size }, (_, i) => Float64Array.from(matrix[i].subarray(0, size)));
  const rows = Array.from({ length: size }, (_, i) => Float64Array.from({ length: size }, (_, j) => Number(i === j)));
  for (let sweep = 0; sweep < 30; sweep++) {
    let off = 0, all = 0;
    for (let i = 0; i < size; i++)
      for (let j = 0; j < size; j++) {
        all += a[i][j] * a[i][j];
        if (i !== j) off += a[i][j] * a[i][j];
      }
    if (!(off > 1e-28 * all)) break;
    for (let p = 0; p < size; p++)
      for (let q = p + 1; q < size; q++) {
        if (a[p][q] === 0) continue;
        const theta = (a[q][q] - a[p][p]) / (2 * a[p][q]);
        const t = (theta < 0 ? -1 : 1) / (Math.abs(theta) + Math.sqrt(theta * theta + 1));
        const c = 1 / Math.sqrt(t * t + 1);
        const s = t * c;
        for (let k = 0; k < size; k++) {
          const [x, y] = [a[k][p], a[k][q]];
          a[k][p] = c * x - s * y;
          a[k][q] = s * x + c * y;
        }
        for (const m of [a, rows]) {
          const [x, y] = [m[p], m[q]];
          for (let k = 0; k < size; k++) {
            const u = x[k];
            x[k] = c * u - s * y[k];
            y[k] = s * u + c * y[k];
          }
        }
      }
  }
  const order = Array.from({ length: size }, (_, i) => i).sort((i, j) => a[j][j] - a[i][i]);
  return { values: order.map((i) => a[i][i]), weights: order.map((i) => rows[i]) };
}
