// Gradient descent in the plane: level lines, the orbit, and behind them what becomes of every start, or which of the targets
// that the author has named it reaches; over them the curves that the author has named.

import { BasinPicture, LABEL_COLOURS } from "./basin_picture.js";
import { Frame } from "./controls.js";
import { clamp, format, short, symbol } from "./drawing.js";
import { levelLines, strokeLevels, zeroLine } from "./levels.js";
import { FARTHEST, View, isView } from "./view.js";

const PIXELS = 400;
const OUTCOME_STEPS = 4096;
const CURVE_COLOURS = [undefined, "edge"]; // the first in the colour of the text

export default {
  async render({ model, el, url }) {
    const curveNames = model.get("_curves");
    const targetNames = model.get("_targets");
    const basinSteps = model.get("_basin_steps");
    const [formula, { outcomeOf, rules }, loop, shader, { curves }] = await Promise.all(
      ["formula", "outcome", "worker", "shader", "curves"].map((name) => import(url(name))),
    );
    const ranges = model.get("_parameter_ranges");
    const largest = model.get("largest_learning_rate");
    const home = model.get("limits");
    const frame = new Frame(
      { model, el },
      "DescentExplorer2D",
      {
        learning_rate: [0, largest],
        start: Array(2).fill([-FARTHEST, FARTHEST]),
        limits: Array(4).fill([-FARTHEST, FARTHEST]),
        parameters: ranges,
      },
      (name, value) => name !== "limits" || isView(value),
    );
    const names = Object.keys(formula.parameters);
    const parameters = () => Object.fromEntries(names.map((name, i) => [name, frame.get("parameters")[i]]));
    const [first, second] = formula.variables.map(symbol);
    const plane = frame.plot({
      label:
        `${model.get("_name")}: level lines, orbit and basins. Arrow keys move the start, ` +
        "plus and minus or the wheel with Ctrl zoom, w a s d move the view.",
      x: { limits: [0, 1], label: first },
      y: { limits: [0, 1], label: second },
      interactive: true,
      grid: false,
    });
    const losses = frame.plot({
      label: "Loss against the step, logarithmic.",
      x: { limits: [0, model.get("steps") + 0.5], label: "step k" },
      y: { limits: [1e-16, 10], label: "f − min f", log: true },
    });
    const edge = frame.plot({
      label: "Learning rate times sharpness along the orbit, with the edge at 2.",
      x: { limits: [0, model.get("steps") + 0.5], label: "step k" },
      y: { limits: [0, 4], label: "h × sharpness, edge at 2" },
    });

    frame.slider({ name: "learning_rate", label: "Learning rate h" });
    names.forEach((name, i) => {
      const change = (value) => frame.set({ parameters: frame.get("parameters").with(i, value) });
      const read = () => frame.get("parameters")[i];
      frame.slider({ name, label: `Parameter ${symbol(name)}`, limits: ranges[i], read, write: change });
    });
    [first, second].forEach((variable, i) => {
      const range = home.slice(2 * i, 2 * i + 2);
      const write = (value) => frame.set({ start: frame.get("start").with(i, value) });
      const read = () => frame.get("start")[i];
      frame.slider({ name: variable, label: `Start ${variable}₀`, limits: range, read, write });
    });

    const view = new View(frame, plane);
    view.buttons();
    frame.button("Reset", () => frame.reset());
    const colours = model.get("_colours");
    const fates = [
      ["converges", colours.stable],
      ["periodic", colours.periodic],
      [`neither in ${basinSteps} steps`, colours.chaotic],
    ];
    const ends = targetNames.map((name, i) => [name, colours[`target ${i + 1}`]]);
    frame.legend([
      ...(targetNames.length ? [...ends, [`none in ${basinSteps} steps`, colours.chaotic]] : fates),
      ["diverges", colours.diverged],
      ...curveNames.map((name, i) => [name, colours[curveColour(i)] ?? "var(--live-foreground)"]),
    ]);
    const setStart = (...start) => frame.set({ start: start.map((x) => clamp(x, -FARTHEST, FARTHEST)) });
    const rounded = (x, y) => setStart(Number(x.toPrecision(6)), Number(y.toPrecision(6)));
    const nearStart = (px, py) => {
      const [x, y] = frame.get("start");
      return Math.hypot(px - plane.toX(x), py - plane.toY(y)) < 24;
    };
    view.pointer({ near: nearStart, drag: rounded, tap: rounded });
    const moveStart = (dx, dy) => {
      const [x, y] = frame.get("start");
      setStart(x + dx * view.width * 0.005, y + dy * view.width * 0.005);
    };
    frame.keys(plane, moveStart, view.keys());

    const basin = new BasinPicture({
      address: url("worker"), loop, shader, rules, size: PIXELS, timings: frame.timings, changed: () => frame.request(),
      targets: targetNames.length,
    });
    frame.removals.push(() => basin.remove());
    let asked;
    let levels;
    let zeros;
    const described = {};
    frame.report = () => ({ ...described, basin: basin.counts() });
    frame.draw = (theme) => {
      const { learning_rate: h, start, limits } = frame.state();
      const p = parameters();
      const request = JSON.stringify([limits, h, p]);
      if (request !== asked) {
        basin.ask(limits, h, p, basinSteps);
        zeros = curves.map((curve) => zeroLine(curve, { ...p, h }, limits));
      }
      asked = request;
      const seen = JSON.stringify([limits, p]);
      if (levels?.seen !== seen) levels = { seen, segments: levelLines(formula.value, p, limits), lowest: lowestValue(formula, p, home) };

      const outcome = outcomeOf(formula.step, start, h, p, OUTCOME_STEPS);
      const orbit = orbitInPlane(formula.step, start, h, p, model.get("steps"));
      const sides = curves.map((curve) => sideOf((x) => curve(x, { ...p, h }), start));
      const limit = limitOf(formula.step, outcome, start, h, p);
      const target = limit ? loop.target(limit, p) : -1;
      Object.assign(described, { outcome, orbit, curves: zeros, sides, target: targetNames[target] });
      const colour = theme.regimes["gradient descent"];
      [plane.x.limits, plane.y.limits] = [limits.slice(0, 2), limits.slice(2)];
      plane.begin(theme, () => {
        plane.picture(basin.image(theme), basin.limits);
        strokeLevels(plane, levels.segments, theme);
        zeros.forEach((segments, i) => strokeCurve(plane, segments, theme, curveColour(i)));
      });
      const [xs, ys] = [orbit.map((x) => x[0]), orbit.map((x) => x[1])];
      plane.line(xs, ys, { colour: theme.background, width: 4, alpha: 0.7 });
      plane.line(xs, ys, { colour, width: 1.8 });
      plane.points(xs, ys, { colour, radius: 3.2 });
      plane.inside(() => plane.handle(...start, theme.foreground));
      view.drawSelection(theme);

      drawSeries(losses, theme, orbit.map((x) => formula.value(x, p) - levels.lowest), colour);
      const sharpness = orbit.map((x) => h * eigenvalues(formula.hessian(x, p))[1]);
      edge.y.limits = [0, clamp(1.15 * Math.max(2.2, ...sharpness.filter((s) => s < 1e3)), 2.2, 12)];
      edge.begin(theme);
      edge.line([0, model.get("steps")], [2, 2], { colour: theme.regimes.edge, width: 2, dash: [6, 4] });
      edge.line(sharpness.map((_, k) => k), sharpness, { colour, width: 1.5 });
      edge.points(sharpness.map((_, k) => k), sharpness, { colour, radius: 2.2 });
      const places = sides.map((side, i) => `, ${side} the ${curveNames[i]}`).join("");
      const reached = targetNames.length ? `, ${quoted(targetNames[target])}` : "";
      const number = target < 0 ? Object.keys(LABEL_COLOURS).indexOf(outcome.label) : 4 + target;
      frame.say(words(outcome, h, start, formula, p, places, limit, reached), basin.colours[number]);
    };
    frame.request();
    return () => frame.remove();
  },
};

function curveColour(i) {
  return CURVE_COLOURS[i % CURVE_COLOURS.length];
}

// Light behind and dark before, to be seen on every basin.
function strokeCurve(plane, segments, theme, name) {
  strokeLevels(plane, segments, theme, { colour: theme.background, width: 5, alpha: 0.75 });
  strokeLevels(plane, segments, theme, { colour: theme.regimes[name] ?? theme.foreground, width: 2.2, alpha: 1 });
}

// On which side of its zeros a function has a point: inside where it is negative.
function sideOf(curve, [x, y]) {
  const near = [[1, 0], [-1, 0], [0, 1], [0, -1]].map(([dx, dy]) =>
    curve([x + 1e-9 * dx * (1 + Math.abs(x)), y + 1e-9 * dy * (1 + Math.abs(y))]),
  );
  if (near.every((value) => value < 0)) return "inside";
  return near.every((value) => value > 0) ? "outside" : "on";
}

export function orbitInPlane(step, start, h, p, steps) {
  const orbit = [start];
  for (let k = 0; k < steps; k++) {
    const next = step(orbit[k], h, p, [0, 0]);
    if (!(Math.max(Math.abs(next[0]), Math.abs(next[1])) < 1e9)) break;
    orbit.push(next);
  }
  return orbit;
}

function drawSeries(plot, theme, values, colour) {
  const above = values.map((v) => Math.max(v, 1e-300));
  const top = Math.max(1e-3, ...above.filter((v) => v < 1e12)) * 3;
  plot.y.limits = [clamp(Math.min(...above), 1e-16, top / 1e4) / 3, top];
  plot.begin(theme);
  const ks = above.map((_, k) => k);
  plot.line(ks, above, { colour, width: 1.5 });
  plot.points(ks, above, { colour, radius: 2.2 });
}

// Smallest value in a rectangle: descent from the lowest point of a grid, with a learning rate that finds itself.
function lowestValue({ value, gradient }, p, [x0, x1, y0, y1]) {
  let [best, lowest] = [null, Infinity];
  for (let k = 0; k < 900; k++) {
    const x = [x0 + ((x1 - x0) * (k % 30)) / 29, y0 + ((y1 - y0) * Math.floor(k / 30)) / 29];
    if (value(x, p) < lowest) [best, lowest] = [x, value(x, p)];
  }
  for (let k = 0, h = 0.1; k < 400; k++) {
    const slope = gradient(best, p, [0, 0]);
    const trial = best.map((x, i) => x - h * slope[i]);
    const better = value(trial, p) < lowest;
    if (better) [best, lowest] = [trial, value(trial, p)];
    h *= better ? 1.5 : 0.5;
  }
  return lowest;
}

// The two eigenvalues of a symmetric matrix, in rising order.
export function eigenvalues([a, b, , d]) {
  const [middle, apart] = [(a + d) / 2, Math.hypot((a - d) / 2, b)];
  return [middle - apart, middle + apart];
}

// Where an orbit was when it had converged.
function limitOf(step, { label, step: steps }, start, h, p) {
  if (label !== "converged") return undefined;
  const x = Float64Array.from(start);
  for (let k = 0; k < steps; k++) step(x, h, p, x);
  return x;
}

function quoted(name) {
  return name === undefined ? "none of the targets" : `“${name}”`;
}

export function words({ label, step, period }, h, start, formula, p, places, end, reached) {
  const from = `From (${start.map((x) => format(x, 2)).join(", ")})${places && `${places},`} at h = ${short(h)}`;
  if (label === "diverged") return `${from}: diverges, beyond 10⁶ at step ${step}.`;
  if (label === "periodic") return `${from}: periodic, a cycle of ${period} points.`;
  if (label === "bounded") return `${from}: bounded, neither settled nor periodic after ${step} steps.`;
  if (h === 0) return `${from}: does not move.`;
  if (Math.hypot(...formula.gradient(end, p)) > 1e-6 * (1 + Math.hypot(...end)))
    return `${from}: hardly moves in ${step} steps.`;
  const [low, high] = eigenvalues(formula.hessian(end, p));
  const place = `(${[...end].map((x) => format(Math.abs(x) < 5e-4 ? 0 : x, 3)).join(", ")})`;
  const goes = end.every((x, i) => x === start[i]) ? "rests on" : "converges to";
  const product = h * high;
  const side = Math.abs(product - 2) < 5e-4 ? "" : product < 2 ? ", below 2" : ", above 2";
  const unstable = low < -1e-9 || product > 2 + 1e-9;
  return (
    `${from}: ${goes} ${unstable ? "the unstable point " : ""}${place}${reached}, ` +
    `where h times the sharpness is ${format(product, 3)}${side}.`
  );
}
