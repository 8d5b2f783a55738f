// The random map x → x − h f0'(x) + h ζ, ζ = −cos U with uniform U, as a Markov chain of cells.
// The words stand at transfer_operator in multiscale.py: the same cells and the same formulas, for the sine alone.

// Mean of max(z − ζ, 0), the integral of the arcsine distribution function.
export function excess(z) {
  if (z <= -1) return 0;
  if (z >= 1) return z;
  return z * (0.5 + Math.asin(z) / Math.PI) + Math.sqrt(1 - z * z) / Math.PI;
}

// As many cells as make each less than a third as wide as the noise, and at least 400.
export function cellsFor([low, high], rate) {
  return Math.min(4000, Math.max(400, Math.ceil((3 * (high - low)) / (rate * Math.SQRT1_2))));
}

export function centresOf([low, high], cells) {
  const width = (high - low) / cells;
  return Float64Array.from({ length: cells }, (_, i) => low + (i + 0.5) * width);
}

// Probabilities to go from cell i to the cells first[i], first[i] + 1, ...; `means` are the points where the centres
// go without noise. Nothing if a step can leave the limits.
export function transitions(means, limits, rate) {
  const cells = means.length;
  const centres = centresOf(limits, cells);
  const width = (limits[1] - limits[0]) / cells;
  const reach = rate * Math.sqrt(1 - (width * width) / (3 * rate * rate)); // sharing adds width² / 6 to the variance
  const count = Math.ceil((2 * reach) / width) + 2;
  const first = new Int32Array(cells);
  const chances = new Float64Array(cells * count);
  const integral = new Float64Array(count + 2);
  for (let i = 0; i < cells; i++) {
    if (!(means[i] - reach >= centres[0] && means[i] + reach <= centres[cells - 1])) return undefined;
    first[i] = Math.floor((means[i] - reach - centres[0]) / width);
    const z = (j) => (centres[0] + width * (first[i] - 1 + j) - means[i]) / reach;
    for (let j = 0; j < count + 2; j++) integral[j] = excess(z(j));
    let sum = 0;
    for (let j = 0; j < count; j++) {
      if (z(j + 2) <= -1 || z(j) >= 1) continue; // beyond the noise there is nothing but rounding
      sum += chances[i * count + j] = Math.max(0, integral[j + 2] - 2 * integral[j + 1] + integral[j]);
    }
    for (let j = 0; j < count; j++) chances[i * count + j] /= sum;
  }
  return { cells, count, first, chances };
}

// Stationary probability of each cell, of the law that an orbit from the cell `start` comes to.
export function stationary(chain, start) {
  const states = recurrent(chain, start);
  const { band, matrix } = banded(chain, states);
  const row = 2 * band + 1;
  const n = states.length;
  // elimination of states in the way of Grassmann, Taksar and Heyman, which adds and never subtracts
  for (let k = n - 1; k > 0; k--) {
    const from = Math.max(0, k - band);
    const own = k * row + band - k; // matrix[own + j] is the probability to go from k to j
    let sum = 0;
    for (let j = from; j < k; j++) sum += matrix[own + j];
    for (let i = from; i < k; i++) {
      const other = i * row + band - i;
      if (matrix[other + k] === 0) continue;
      const share = (matrix[other + k] /= sum);
      for (let j = from; j < k; j++) matrix[other + j] += share * matrix[own + j];
    }
  }
  const law = new Float64Array(n);
  law[0] = 1;
  for (let k = 1; k < n; k++) {
    for (let i = Math.max(0, k - band); i < k; i++) law[k] += law[i] * matrix[i * row + band - i + k];
    if (law[k] > 1e200) for (let i = 0, scale = law[k]; i <= k; i++) law[i] /= scale;
  }
  const mass = law.reduce((sum, weight) => sum + weight, 0);
  const all = new Float64Array(chain.cells);
  states.forEach((state, k) => (all[state] = law[k] / mass));
  return all;
}

// The cells, in order, that are visited for ever by chains from `start`.
function recurrent(chain, start) {
  const forward = (i, visit) => each(chain, i, visit);
  const sources = Array.from({ length: chain.cells }, () => []);
  for (let i = 0; i < chain.cells; i++) each(chain, i, (j) => sources[j].push(i));
  const backward = (i, visit) => sources[i].forEach(visit);
  for (let state = start; ; ) {
    const reached = reachable(chain.cells, state, forward);
    const returns = reachable(chain.cells, state, backward);
    const lost = [...reached.keys()].filter((i) => reached[i] && !returns[i]);
    if (lost.length === 0) return [...reached.keys()].filter((i) => reached[i]);
    state = lost[lost.length >> 1]; // from where the chain never comes back
  }
}

function reachable(cells, start, neighbours) {
  const reached = new Uint8Array(cells);
  const waiting = [start];
  reached[start] = 1;
  while (waiting.length) {
    neighbours(waiting.pop(), (j) => {
      if (!reached[j]) waiting.push(j);
      reached[j] = 1;
    });
  }
  return reached;
}

function each({ count, first, chances }, i, visit) {
  for (let j = 0; j < count; j++) if (chances[i * count + j] > 0) visit(first[i] + j, chances[i * count + j]);
}

// The chain on some of its states, as rows of a band about the diagonal.
function banded(chain, states) {
  const place = new Int32Array(chain.cells).fill(-1);
  states.forEach((state, k) => (place[state] = k));
  let band = 1;
  states.forEach((state, k) => each(chain, state, (j) => (band = Math.max(band, Math.abs(place[j] - k)))));
  const matrix = new Float64Array(states.length * (2 * band + 1));
  states.forEach((state, k) =>
    each(chain, state, (j, chance) => (matrix[k * (2 * band + 1) + band + place[j] - k] = chance)),
  );
  return { band, matrix };
}

// Gibbs' density exp(−f0 / T) / Z at the centres of the cells, with its variance. Z is summed over the cells and on
// beyond them for as long as there is weight.
export function gibbs(value, temperature, limits, cells) {
  const width = (limits[1] - limits[0]) / cells;
  const centres = centresOf(limits, cells);
  const energies = centres.map((x) => value(x) / temperature);
  const lowest = energies.reduce((a, b) => Math.min(a, b));
  const sums = [0, 0, 0];
  const add = (x, energy) => {
    const weight = Math.exp(lowest - energy);
    for (let n = 0; n < 3; n++) sums[n] += weight * x ** n;
    return weight;
  };
  const density = energies.map((energy, i) => add(centres[i], energy));
  for (const side of [-1, 1]) {
    for (let k = 1; k <= 20 * cells; k++) {
      const x = (side < 0 ? centres[0] : centres[cells - 1]) + side * k * width;
      if (add(x, value(x) / temperature) < 1e-17) break;
    }
  }
  const mean = sums[1] / sums[0];
  return { density: density.map((weight) => weight / (sums[0] * width)), variance: sums[2] / sums[0] - mean * mean };
}
