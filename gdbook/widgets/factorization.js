// The plane of the smallest factorisation: the invariant ellipse, the hyperbola of minima and pieces of it.

// Points of the ellipse where the level is zero: it is even, so on every ray two of its values tell where.
export function ellipse(level, p) {
  const least = level([0, 0], p);
  return Array.from({ length: 241 }, (_, k) => {
    const ray = [Math.cos((k * Math.PI) / 120), Math.sin((k * Math.PI) / 120)];
    const far = Math.sqrt(-least / (level(ray, p) - least));
    return ray.map((part) => far * part);
  });
}

// A point of the hyperbola xy = μ, the balanced one where `lean` is 0.
export function minimum(sign, { mu }, lean) {
  const root = sign * Math.sqrt(mu);
  return [root * Math.exp(lean), root / Math.exp(lean)];
}

// A piece of one branch; nothing where the lean is none.
export function minima(sign, p, lean) {
  return Array.from({ length: lean === undefined ? 0 : 241 }, (_, k) => minimum(sign, p, (lean * (k - 120)) / 120));
}

// The largest lean for which something holds that holds for all smaller ones.
export function farthest(holds) {
  if (!holds(0)) return undefined;
  let [low, high] = [0, 20];
  for (let k = 0; k < 50; k++) {
    const middle = (low + high) / 2;
    if (holds(middle)) low = middle;
    else high = middle;
  }
  return low;
}
