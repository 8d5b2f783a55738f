// The central flow of gradient descent with learning rate h, one unit of time a step:
//
//     dw/dt = −h (∇f + ½ ∇⟨H, Σ⟩),  Σ = U X Uᵀ,
//
// where U are the eigenvectors with eigenvalues near 2/h and X is the smallest positive semidefinite matrix that keeps the
// eigenvalues below. Python joins network_engine.js in front of it.

const NEAR = 0.96; // of 2/h: eigenvalues above may be held at the edge
const HELD = 3; // at most
const PARTS = 2; // of a unit of time, which makes what is at the edge settle at once
const REACH = 2e-3; // of the differences that give third derivatives
const RELAXATION = 2; // units of time in which what is above the edge returns to it
const FAR_BELOW = 0.8; // of 2/h: there the spectrum is looked at only now and then
const SELDOM = 8;

export class CentralFlow {
  constructor(network, start, rate) {
    Object.assign(this, { network, rate, edge: 2 / rate });
    this.w = Float64Array.from(start);
    this.slope = new Float64Array(network.dimension);
    this.spectrum = new Spectrum(network.dimension, Math.min(HELD, network.dimension));
    this.variances = []; // X, in the basis of the eigenvectors with the largest eigenvalues
    this.held = 0; // how many eigenvectors X is given for
    this.steps = 0;
    const rooms = (count) => Array.from({ length: count }, () => new Float64Array(network.dimension));
    this.thirds = rooms((HELD * (HELD + 1)) / 2);
    [this.aside, this.there] = rooms(2);
    this.measure(true);
  }

  // Loss, spectrum and X where the flow is; false where they are not finite.
  measure(look) {
    const { network, w, slope, spectrum, edge } = this;
    this.loss = network.gradient(w, slope);
    if (!(this.loss < 1e9)) return false;
    if (!look && !this.held && spectrum.values[0] < FAR_BELOW * edge) return true;
    if (!spectrum.update((v, out) => network.hessianProduct(w, v, out), TOLERANCE)) return false;
    this.held = spectrum.values.filter((value) => value > NEAR * edge).length;
    const pairs = [];
    for (let i = 0; i < this.held; i++) pairs.push([i, i]);
    for (let i = 0; i < this.held; i++) for (let j = 0; j < i; j++) pairs.push([i, j]);
    pairs.forEach(([i, j], k) => this.thirdDerivative(i, j, this.thirds[k]));
    this.pairs = pairs;
    this.variances = this.solve(pairs);
    return true;
  }

  // One step of gradient descent's time; false when the flow is lost.
  advance() {
    const { network, w, slope, rate, thirds } = this;
    for (let part = 0; part < PARTS; part++) {
      axpy(-rate / PARTS, slope, w);
      this.pairs.forEach(([i, j], k) => {
        const weight = i === j ? this.variances[i][i] : 2 * this.variances[i][j];
        if (weight) axpy((-rate / (2 * PARTS)) * weight, thirds[k], w);
      });
      if (!this.measure(part === 0 && this.steps % SELDOM === 0)) return false;
    }
    this.steps += 1;
    return true;
  }

  // The direction in which the iterates lie farthest from the flow, and the root of their mean square there.
  widest(out) {
    const { values, weights } = this.held ? eigen(this.variances, this.held) : { values: [0], weights: [[1]] };
    const variance = Math.max(0, values[0]);
    out.fill(0);
    if (!variance) out.set(this.spectrum.vectors[0]);
    else weights[0].forEach((weight, i) => axpy(weight, this.spectrum.vectors[i], out));
    return Math.sqrt(variance);
  }

  // Time average of the loss: f + ½⟨H, Σ⟩.
  get averageLoss() {
    return this.variances.reduce((sum, row, i) => sum + 0.5 * row[i] * this.spectrum.values[i], this.loss);
  }

  // The third derivative of f along two eigenvectors, the gradient of an entry of the Hessian; those of one eigenvector
  // twice, for both, come before it in `thirds`.
  thirdDerivative(i, j, out) {
    const { network, spectrum, w, slope, thirds, aside, there } = this;
    const square = 1 / REACH ** 2;
    out.fill(0);
    for (const sign of [1, -1]) {
      aside.set(w);
      axpy(sign * REACH, spectrum.vectors[i], aside);
      if (i !== j) axpy(sign * REACH, spectrum.vectors[j], aside);
      network.gradient(aside, there);
      axpy(square, there, out);
    }
    axpy(-2 * square, slope, out);
    if (i === j) return;
    for (let k = 0; k < out.length; k++) out[k] = (out[k] - thirds[i][k] - thirds[j][k]) / 2;
  }

  // X ⪰ 0 with M = (2/h − S)/τ + h (A + ½ B X) ⪰ 0 and ⟨X, M⟩ = 0, where −h (A + ½ B X) is how fast the block S of the
  // Hessian changes: a convex quadratic programme over a cone, by projected gradients.
  solve(pairs) {
    const { held, slope, thirds, rate, edge } = this;
    const { values } = this.spectrum;
    const zero = () => Array.from({ length: held }, () => new Float64Array(held));
    if (held === 0) return [];
    const slack = (i) => (edge - values[i]) / (RELAXATION * rate);
    const drift = pairs.map((_, k) => dot(thirds[k], slope));
    const gram = pairs.map((_, k) => pairs.map((_, l) => dot(thirds[k], thirds[l])));
    if (held === 1) return [Float64Array.of(Math.max(0, (-2 * (slack(0) + drift[0])) / gram[0][0]) || 0)];
    const times = ([i, j]) => (i === j ? 1 : 2);
    const largest = 0.5 * Math.sqrt(gram.flatMap((row, k) => row.map((g, l) => g * g * times(pairs[k]) * times(pairs[l]))).reduce((a, b) => a + b));
    let X = zero();
    pairs.forEach(([i, j], k) => {
      if (this.variances[i]?.[j]) X[i][j] = X[j][i] = this.variances[i][j];
    });
    let [Y, speed] = [X, 1];
    for (let round = 0; round < 300; round++) {
      const next = zero();
      pairs.forEach(([i, j], k) => {
        const change = pairs.reduce((sum, [a, b], l) => sum + times([a, b]) * gram[k][l] * Y[a][b], 0);
        const M = (i === j ? slack(i) : 0) + drift[k] + 0.5 * change;
        next[i][j] = next[j][i] = Y[i][j] - M / largest;
      });
      const projected = positive(next);
      const faster = (1 + Math.sqrt(1 + 4 * speed * speed)) / 2;
      const far = (speed - 1) / faster;
      let moved = 0, size = 0;
      Y = projected.map((row, i) =>
        row.map((x, j) => {
          moved += (x - X[i][j]) ** 2;
          size += x * x;
          return x + far * (x - X[i][j]);
        }),
      );
      [X, speed] = [projected, faster];
      if (moved <= 1e-14 * size) break;
    }
    return X;
  }
}

// The nearest positive semidefinite matrix.
function positive(matrix) {
  const { values, weights } = eigen(matrix, matrix.length);
  return matrix.map((row, i) =>
    row.map((_, j) => values.reduce((sum, value, k) => sum + Math.max(0, value) * weights[k][i] * weights[k][j], 0)),
  );
}
