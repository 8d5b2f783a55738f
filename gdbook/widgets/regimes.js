// Regimes of gradient descent in one dimension, in words and colours.

import { short } from "./drawing.js";

const STEPS = 4096;
const TAIL = 20;

// What becomes of the orbit from `start` at learning rate h: { outcome, name, colour, words }, where name is what the
// reader reads first. `formula` and `outcomeOf` are the modules made by Python. `sharpness` is the L of 1/L and 2/L;
// `origin` says where it comes from, and is empty for a curve that has the same sharpness everywhere.
export function regime(formula, outcomeOf, parameters, { start, h, sharpness, origin = "" }) {
  const outcome = outcomeOf(formula.step, [start], h, parameters, STEPS);
  const orbit = orbitOf(formula.step, start, h, parameters, outcome.step);
  const [name, colour, words] = describe(formula, parameters, outcome, orbit, h, sharpness);
  return { outcome, name, colour, words: `${words}: ${place(h, sharpness)}${origin && `, with L = ${origin}`}.` };
}

function describe(formula, parameters, { label, step, period }, orbit, h, sharpness) {
  if (label === "diverged") return ["diverges", "diverged", `Diverges, beyond 10⁶ at step ${step}`];
  if (label === "periodic") {
    const atEdge = Math.abs(h * sharpness - 2) < 1e-9;
    return [`period ${period}`, atEdge ? "edge" : "periodic", `Periodic, a cycle of ${period} points`];
  }
  if (label === "converged") return describeConvergence(formula, parameters, orbit, h);
  const moves = movesOf(orbit);
  const tail = moves.slice(-TAIL);
  const shrinking = allPairs(tail, (last, next) => Math.abs(next) <= Math.abs(last));
  const growing = allPairs(tail, (last, next) => Math.abs(next) >= Math.abs(last));
  const onItsWay = `still on its way after ${step} steps`;
  if ((shrinking || growing) && allPairs(tail, sameSide))
    return ["monotone", "stable", `${always("Monotone", moves, sameSide)}, ${onItsWay}`];
  if (shrinking && allPairs(tail, otherSide))
    return ["oscillating", "oscillating", `${always("Oscillating", moves, otherSide)}, ${onItsWay}`];
  if (growing && allPairs(tail, otherSide))
    return ["oscillating", "periodic", `Oscillating more and more, ${onItsWay}`];
  if (lyapunovExponent(formula, parameters, orbit, h) > 0.01)
    return ["chaotic", "chaotic", "Bounded, no cycle of up to 64 points, looks chaotic"];
  return ["bounded", "periodic", `Bounded, neither settled nor in a cycle after ${step} steps`];
}

function describeConvergence({ gradient, hessian }, parameters, orbit, h) {
  const end = orbit.at(-1);
  if (h === 0) return ["at rest", "stable", "Does not move"];
  // so small a learning rate that small moves mean nothing
  if (Math.abs(gradient([end], parameters)[0]) > 1e-6 * (1 + Math.abs(end)))
    return ["at rest", "stable", `Hardly moves in ${orbit.length - 1} steps`];
  const factor = 1 - h * hessian([end], parameters)[0];
  if (Math.abs(factor) > 1 + 1e-9) return ["at rest", "edge", "Rests on an unstable stationary point"];
  if (orbit[1] === orbit[0]) return ["at rest", "stable", "Starts at a stationary point and stays there"];
  const moves = movesOf(orbit).filter((move) => Math.abs(move) > 1e-9 * (1 + Math.abs(end)));
  if (Math.abs(factor) < 1e-9) {
    if (moves.length === 1) return ["one step", "stable", "Lands at once, converges"];
    return ["superlinear", "stable", "Converges faster than any geometric sequence"];
  }
  const [name, colour, holds] =
    factor < 0 ? ["Oscillating", "oscillating", otherSide] : ["Monotone", "stable", sameSide];
  return [name.toLowerCase(), colour, `${always(name, moves, holds)}, converges`];
}

// What an orbit is in the end, and whether it was so from the beginning.
function always(name, moves, holds) {
  return allPairs(moves, holds) ? name : `${name} in the end`;
}

const sameSide = (last, next) => last * next >= 0;
const otherSide = (last, next) => last * next <= 0;

function allPairs(list, holds) {
  return list.every((value, k) => k === 0 || holds(list[k - 1], value));
}

function movesOf(orbit) {
  return orbit.slice(1).map((x, k) => x - orbit[k]);
}

// Mean logarithm of the factor by which neighbouring orbits part in one step, over the later three quarters.
function lyapunovExponent({ hessian }, parameters, orbit, h) {
  const curvature = [0];
  let sum = 0;
  const late = orbit.slice(orbit.length >> 2);
  for (const x of late) sum += Math.log(Math.abs(1 - h * hessian([x], parameters, curvature)[0]) + 1e-300);
  return sum / late.length;
}

// "h = 1.50 is between 1/L = 1.00 and 2/L = 2.00", or "h = 1.50" where there is no L
export function place(h, sharpness) {
  const [one, two] = [1 / sharpness, 2 / sharpness];
  const [rate, first, second] = [`h = ${short(h)}`, `1/L = ${short(one)}`, `2/L = ${short(two)}`];
  if (!(sharpness > 0)) return rate;
  if (Math.abs(h / two - 1) < 1e-9) return `${rate} is exactly ${second.slice(0, 3)}`;
  if (Math.abs(h / one - 1) < 1e-9) return `${rate} is exactly ${first.slice(0, 3)}`;
  if (h < one) return `${rate} is below ${first}`;
  if (h < two) return `${rate} is between ${first} and ${second}`;
  return `${rate} is beyond ${second}`;
}

// The curve of a one-dimensional objective over the axes of a plot, and its orbit as tangent steps:
// along the tangent to the next point, then down or up to the curve.
export function tangentSteps(plot, theme, { value, gradient }, parameters, orbit, colour, samples = 240) {
  const width = plot.right - plot.left;
  const xs = Float64Array.from({ length: samples + 1 }, (_, i) => plot.fromX(plot.left + (width * i) / samples));
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
