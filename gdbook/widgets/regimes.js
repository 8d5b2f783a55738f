// Regimes of gradient descent in words and colours, from an outcome and from what the last steps do.

import { short } from "./drawing.js";

// `orbit` is a list of values of a one-dimensional orbit, `curvature` that of the objective at its end,
// `sharpness` is the L of 1/L and 2/L. Returns { name, colour, words }: name is what the reader reads first.
export function regime({ outcome, orbit, learningRate: h, curvature, sharpness }) {
  const { label, step, period } = outcome;
  const where = place(h, sharpness);
  const say = (name, colour, words) => ({ name, colour, words: `${words}: ${where}.` });
  if (label === "diverged") return say("diverges", "diverged", `Diverges, beyond 10⁶ at step ${step}`);
  if (label === "periodic") {
    const close = Math.abs(h * sharpness - 2) < 1e-9;
    return say(`period ${period}`, close ? "edge" : "periodic", `Periodic, a cycle of ${period} points`);
  }
  if (label === "converged") {
    const factor = 1 - h * curvature;
    if (Math.abs(factor) < 1e-9) return say("one step", "stable", "Lands at once, converges");
    if (factor < 0) return say("oscillating", "oscillating", "Oscillating, converges");
    return say("monotone", "stable", "Monotone, converges");
  }
  const moves = orbit.slice(1).map((x, k) => x - orbit[k]);
  const last = moves.slice(-20);
  const shrinking = last.every((move, k) => k === 0 || Math.abs(move) <= Math.abs(last[k - 1]));
  if (shrinking && last.every((move, k) => k === 0 || move * last[k - 1] >= 0))
    return say("flow-like", "stable", `Monotone, still on its way after ${step} steps`);
  if (shrinking) return say("oscillating", "oscillating", `Oscillating, still on its way after ${step} steps`);
  return say("chaotic", "chaotic", `Bounded, no cycle of up to 64 points, looks chaotic`);
}

// "h = 1.50 is between 1/L = 1.00 and 2/L = 2.00"
export function place(h, sharpness) {
  const [one, two] = [1 / sharpness, 2 / sharpness];
  const [rate, first, second] = [`h = ${short(h)}`, `1/L = ${short(one)}`, `2/L = ${short(two)}`];
  if (Math.abs(h / two - 1) < 1e-9) return `${rate} is exactly ${second.slice(0, 3)}`;
  if (Math.abs(h / one - 1) < 1e-9) return `${rate} is exactly ${first.slice(0, 3)}`;
  if (h < one) return `${rate} is below ${first}`;
  if (h < two) return `${rate} is between ${first} and ${second}`;
  return `${rate} is beyond ${second}`;
}

// The curve of a one-dimensional objective over the axes of a plot, and its orbit as tangent steps:
// along the tangent to the next point, then down or up to the curve.
export function tangentSteps(plot, theme, { value, gradient }, parameters, orbit, colour) {
  const xs = Float64Array.from({ length: 241 }, (_, i) => plot.fromX(plot.left + ((plot.right - plot.left) * i) / 240));
  plot.line(xs, xs.map((x) => value([x], parameters)), { colour: theme.foreground, width: 2 });
  const heights = orbit.map((x) => value([x], parameters));
  const slope = [0];
  for (let k = 0; k + 1 < orbit.length; k++) {
    gradient([orbit[k]], parameters, slope);
    const landing = heights[k] + slope[0] * (orbit[k + 1] - orbit[k]);
    const alpha = Math.max(0.18, 1 - k / 24);
    plot.line([orbit[k], orbit[k + 1]], [heights[k], landing], { colour, width: 2, alpha });
    plot.line([orbit[k + 1], orbit[k + 1]], [landing, heights[k + 1]], { colour, width: 1.2, dash: [3, 3], alpha });
  }
  plot.points(orbit.slice().reverse(), heights.slice().reverse(), { colour, radius: 3.5 });
}

// The first `steps` iterates of a one-dimensional orbit, the start included.
export function orbitOf(step, start, h, parameters, steps) {
  const orbit = [start];
  const x = [start];
  for (let k = 0; k < steps; k++) orbit.push(step(x, h, parameters, x)[0]);
  return orbit;
}
