// Gradient descent on the smallest factorisation at a growing learning rate: left which starts of a square reach a minimum and
// which minima are weakly stable, right how much there is of both.

import { Frame, unit } from "./controls.js";
import { clamp, format } from "./drawing.js";
import { ellipse, farthest, minima, minimum } from "./factorization.js";
import { Workers } from "./workers.js";

const QUICK = 96; // steps of a first look: what has converged or diverged then has done so
const STEPS = 4096;
const DRAWN = 60;
const CRITICAL = 1;
const HIGHEST = 1.4; // of the right plot: above one stands the key
const NEUTRAL = 1e-9; // how far beyond 2 rounding may push h times the sharpness
const COLOURS = { converged: "stable", periodic: "periodic", bounded: "chaotic", diverged: "diverged" };

export default {
  async render({ model, el, url }) {
    // the same text that the workers run
    const [maths, { level }] = await Promise.all([import(url("worker")), import(url("geometry"))]);
    const p = model.get("_parameters");
    const [[slowest, fastest], reaches] = [model.get("_rates"), model.get("_reaches")];
    const widest = reaches[1];
    const frame = new Frame({ model, el }, "TrappingExplorer", {
      learning_rate: [slowest, fastest],
      start: Array(2).fill([-widest, widest]),
      reach: reaches,
    });
    const plane = frame.plot({
      label: `${model.get("_name")}: starts, minima and an orbit. Arrow keys move the start of the orbit.`,
      x: { limits: [0, 1], label: "x" },
      y: { limits: [0, 1], label: "y" },
      interactive: true,
      grid: false,
    });
    const shares = frame.plot({
      label:
        "Share of the starts that reach a minimum, and length of the weakly stable part of the minima, against the " +
        "learning rate. Left and right arrow keys move the learning rate.",
      x: { limits: [slowest, fastest], label: "learning rate h" },
      y: { limits: [0, HIGHEST], label: "share" },
      interactive: true,
    });

    const setStart = (...start) => frame.set({ start: inSquare(frame.get("reach"), start) });
    frame.slider({ name: "learning_rate", label: "Learning rate h" });
    ["x", "y"].forEach((variable, i) => {
      const write = (value) => setStart(...frame.get("start").with(i, value));
      const read = () => frame.get("start")[i];
      frame.slider({ name: variable, label: `Start ${variable}₀`, limits: [-widest, widest], read, write });
    });
    const setReach = (reach) => frame.set({ reach, start: inSquare(reach, frame.get("start")) });
    frame.slider({ name: "reach", label: "Half-width r", write: setReach, digits: () => 2 });
    frame.button("Reset", () => frame.reset());
    const colours = model.get("_colours");
    frame.legend([
      ["converges", colours[COLOURS.converged]],
      ["ends on a cycle", colours[COLOURS.periodic]],
      ["stays, neither", colours[COLOURS.bounded]],
      ["diverges", colours[COLOURS.diverged]],
    ]);

    take(frame, plane, () => frame.get("start"), (x, y) => setStart(Number(x.toPrecision(4)), Number(y.toPrecision(4))));
    frame.keys(plane, (dx, dy) => {
      const [x, y] = frame.get("start");
      const move = unit(plane.x.limits);
      setStart(x + move * dx, y + move * dy);
    });
    const setRate = (h) => frame.set({ learning_rate: clamp(Number(h.toFixed(3)), slowest, fastest) });
    take(frame, shares, () => [frame.get("learning_rate"), cloud.reaching()], setRate);
    frame.keys(shares, (dx, dy) => setRate(frame.get("learning_rate") + unit([slowest, fastest]) * (dx + dy)));

    const cloud = new Cloud(url("worker"), maths, frame.timings, () => frame.request());
    frame.removals.push(() => cloud.remove());
    const lengths = curve((h) => weaklyStable(maths, h, p).length, slowest);
    const areas = (reach, from, to) => curve((h) => areaShare(level, reach, { ...p, h }), from, to);
    let now = {};
    frame.report = () => ({ ...now, counts: cloud.counts, periods: cloud.cycles, steps: cloud.steps, kinds: [...cloud.kinds] });
    frame.draw = (theme) => {
      const { learning_rate: h, start, reach } = frame.state();
      if (cloud.h !== h || cloud.reach !== reach) cloud.ask(h, reach, p);
      now = { ...weaklyStable(maths, h, p), area: areaShare(level, reach, { ...p, h }), ...orbitOf(maths, start, h, p) };
      [plane.x.limits, plane.y.limits] = [[-reach, reach], [-reach, reach]];
      drawPlane(plane, theme, { level, p, maths, cloud, h, reach, start, ...now });
      const trapped = areas(reach, slowest, CRITICAL);
      drawShares(shares, theme, { h, cloud, lengths, trapped, bounded: areas(reach, fastest, CRITICAL) });
      frame.say(inWords(h, cloud, now), h < CRITICAL ? "stable" : h > CRITICAL ? "periodic" : "edge");
    };
    frame.request();
    return () => frame.remove();
  },
};

function inSquare(reach, point) {
  return point.map((x) => clamp(x, -reach, reach));
}

// The mouse anywhere in a plot, one finger on the handle and a tap call `act(x, y)`; one finger elsewhere belongs to the page.
function take(frame, plot, handle, act) {
  const at = (px, py) => act(plot.fromX(px), plot.fromY(py));
  const near = (px, py, x, y) => Math.hypot(px - plot.toX(x), py - plot.toY(y)) < 24;
  const within = (px, py) => px > plot.left && px < plot.right && py > plot.top && py < plot.bottom;
  const grab = (px, py, event) => near(px, py, ...handle()) || (event?.pointerType === "mouse" && within(px, py));
  frame.drag(plot, { grab, move: at });
  plot.canvas.addEventListener("click", ({ offsetX, offsetY }) => within(offsetX, offsetY) && at(offsetX, offsetY));
}

// What becomes of the starts: a first look at once, the definition's from workers.
class Cloud {
  constructor(address, maths, timings, changed) {
    Object.assign(this, { maths, timings });
    this.workers = new Workers(address, timings, {
      receive: ({ first, kinds, periods }) => {
        this.coming.kinds.set(kinds, first);
        this.coming.periods.set(periods, first);
      },
      finished: () => {
        this.show(this.coming, STEPS);
        changed();
      },
    });
  }

  ask(h, reach, p) {
    const before = performance.now();
    const { COUNT, outcomes } = this.maths;
    Object.assign(this, { h, reach });
    this.show(outcomes({ h, reach, p, steps: QUICK }, 0, COUNT), QUICK);
    this.timings.coarse = performance.now() - before;
    this.coming = { kinds: new Uint8Array(COUNT), periods: new Uint8Array(COUNT) };
    this.workers.begin();
    this.workers.share({ h, reach, p, steps: STEPS });
  }

  show({ kinds, periods }, steps) {
    const { kindNames } = this.maths;
    Object.assign(this, { kinds, steps, counts: Object.fromEntries(kindNames.map((name) => [name, 0])) });
    for (const kind of kinds) this.counts[kindNames[kind]] += 1;
    this.cycles = [...new Set(periods)].filter((period) => period > 0).sort((a, b) => a - b);
  }

  // Whether the workers have answered.
  get whole() {
    return this.steps === STEPS;
  }

  // Below the critical rate a first look counts all that have not diverged, which is soon almost right.
  reaching() {
    return this.whole || this.h >= CRITICAL ? this.share("converged") : 1 - this.share("diverged");
  }

  share(...names) {
    return names.reduce((sum, name) => sum + this.counts[name], 0) / this.maths.COUNT;
  }

  remove() {
    this.workers.remove();
  }
}

// How far the weakly stable part of the hyperbola leans, and the length of both its pieces by Simpson's rule. Along the
// lean the speed is the square root of the sharpness.
export function weaklyStable(maths, h, p) {
  const sharp = (lean) => sharpness(maths, minimum(1, p, lean), p);
  const speed = (lean) => Math.sqrt(sharp(lean));
  const lean = farthest((candidate) => h * sharp(candidate) <= 2);
  if (lean === undefined) return { lean, length: 0 };
  let sum = speed(0) + speed(lean);
  for (let k = 1; k < 64; k++) sum += (k % 2 ? 4 : 2) * speed((lean * k) / 64);
  return { lean, length: (4 * lean * sum) / (3 * 64) };
}

// At a minimum, where the other eigenvalue of the Hessian is zero.
function sharpness({ hessian }, x, p) {
  const [a, , , d] = hessian(x, p);
  return a + d;
}

// Share of the square [−reach, reach]² inside of the ellipse. On the ray y = t x the level is form(t) x² − rim, so the area is
// twice the integral of min(rim / form(t), reach²) over t from −1 to 1; a square is completed in the form.
export function areaShare(level, reach, p) {
  const rim = -level([0, 0], p);
  const form = (t) => level([1, t], p) + rim;
  const middle = (form(-1) - form(1)) / 4;
  const root = Math.sqrt(form(middle));
  const half = Math.sqrt(Math.max(0, rim / reach ** 2 - root ** 2));
  const [from, to] = [middle - half, middle + half].map((t) => clamp(t, -1, 1));
  const swept = (t0, t1) => (rim / root) * (Math.atan((t1 - middle) / root) - Math.atan((t0 - middle) / root));
  return (swept(-1, from) + swept(to, 1)) / (2 * reach ** 2) + (to - from) / 2;
}

// Values of a function of the learning rate, at rates that lie closer towards the critical one.
function curve(value, from, to = CRITICAL) {
  const rates = Array.from({ length: 121 }, (_, k) => to + (from - to) * (1 - k / 120) ** 2);
  return { rates, values: rates.map(value) };
}

function orbitOf(maths, start, h, p) {
  let end = start;
  const follow = (x, rate, parameters, out) => (end = maths.step(x, rate, parameters, out));
  const { label, step, period } = maths.outcomeOf(follow, start, h, p, STEPS);
  const orbit = [start];
  while (orbit.length <= DRAWN && Math.max(...orbit.at(-1).map(Math.abs)) < 1e9) orbit.push([...maths.step(orbit.at(-1), h, p, [])]);
  return { outcome: { label, step, period }, orbit, limit: label === "converged" ? [...end] : undefined };
}

function drawPlane(plane, theme, { level, p, maths, cloud, h, reach, start, lean, outcome, orbit, limit }) {
  plane.begin(theme, (c) => drawStarts(plane, theme, c, maths, cloud));
  const stroke = (points, options) => plane.line(points.map((q) => q[0]), points.map((q) => q[1]), options);
  stroke(ellipse(level, { ...p, h }), { colour: theme.background, width: 4, alpha: 0.8 });
  stroke(ellipse(level, { ...p, h }), { colour: theme.foreground, width: 1.5 });
  for (const sign of [1, -1]) {
    const [branch, stable] = [Math.log(reach + 2), lean].map((far) => minima(sign, p, far));
    stroke(branch, { colour: theme.background, width: 5 });
    stroke(branch, { colour: theme.regimes.edge, width: 2.2 });
    stroke(stable, { colour: theme.background, width: 10 });
    stroke(stable, { colour: theme.regimes.stable, width: 6.5 });
  }
  const colour = theme.regimes["gradient descent"];
  stroke(orbit, { colour: theme.background, width: 4, alpha: 0.8 });
  stroke(orbit, { colour, width: 1.7 });
  plane.points(orbit.map((q) => q[0]), orbit.map((q) => q[1]), { colour, radius: 3 });
  if (limit) {
    plane.points([limit[0]], [limit[1]], { colour: theme.foreground, radius: 7 });
    plane.points([limit[0]], [limit[1]], { colour: theme.regimes[COLOURS[outcome.label]], radius: 5 });
  }
  plane.inside(() => plane.handle(...start, theme.foreground));
}

// A small square for each start; those of which a first look does not tell what becomes of them are pale.
function drawStarts(plane, theme, c, { kindNames, starts }, { kinds, reach, whole }) {
  const size = plane.width < 380 ? 2 : 2.6;
  kindNames.forEach((name, kind) => {
    const known = whole || name === "converged" || name === "diverged";
    c.fillStyle = known ? theme.regimes[COLOURS[name]] : theme.muted;
    c.globalAlpha = known ? 0.85 : 0.45;
    for (let j = 0; j < kinds.length; j++) {
      if (kinds[j] !== kind) continue;
      const [x, y] = [plane.toX(reach * starts[2 * j]), plane.toY(reach * starts[2 * j + 1])];
      c.fillRect(x - size / 2, y - size / 2, size, size);
    }
  });
}

function drawShares(plot, theme, { h, cloud, lengths, trapped, bounded }) {
  const { stable, edge, periodic } = theme.regimes;
  plot.begin(theme, (c) => {
    c.fillStyle = edge;
    c.globalAlpha = 0.1;
    c.fillRect(plot.toX(CRITICAL), plot.top, plot.right, plot.bottom);
  });
  plot.line([CRITICAL, CRITICAL], [0, HIGHEST], { colour: edge, width: 2 });
  plot.line(bounded.rates, bounded.values, { colour: periodic, width: 2, dash: [3, 3] });
  const [, fastest] = plot.x.limits;
  plot.line([...lengths.rates, fastest], [...lengths.values.map((length) => length / lengths.values[0]), 0], {
    colour: theme.foreground, width: 2, dash: [7, 4],
  });
  plot.line([...trapped.rates, CRITICAL, fastest], [...trapped.values, 0, 0], { colour: stable, width: 2.8 });
  plot.line([h, h], [0, 1], { colour: theme.foreground, width: 1.2 });
  drawKey(plot, [
    ["share reaching one", { colour: stable, width: 2.8 }],
    ["length / length at 0.1", { colour: theme.foreground, width: 2, dash: [7, 4] }],
    ["bounded, reaching none", { colour: periodic, width: 2, dash: [3, 3] }],
  ]);
  if (h > CRITICAL) plot.points([h], [cloud.share("bounded", "periodic")], { colour: periodic, radius: 5 });
  plot.handle(h, cloud.reaching(), stable);
}

// Under the upper edge, what the lines are.
function drawKey(plot, entries) {
  entries.forEach(([words, style], i) => {
    const y = plot.fromY(plot.top + 10 + 14 * i);
    plot.line([plot.fromX(plot.left + 8), plot.fromX(plot.left + 36)], [y, y], style);
    plot.text(words, plot.x.limits[0], y, { dx: 43, size: 11 });
  });
}

function inWords(h, cloud, { area, length, outcome, limit }) {
  const percent = (share) => `${(100 * share).toFixed(1)} %`;
  const counted = (share) => `${cloud.whole ? "" : "≤ "}${percent(share)} of ${cloud.maths.COUNT} starts`;
  const rate = Number(h.toFixed(4));
  const orbit = `The orbit ${becomes(h, outcome, limit)}.`;
  if (h === CRITICAL) {
    const slowly = `reached like 1/√k from the ellipse (${percent(area)}): ${percent(cloud.share("converged"))} in ${STEPS} steps`;
    return `h = 1: only ±(1, 1) are weakly stable, ${slowly}. ${orbit}`;
  }
  if (h < CRITICAL) {
    const converge = `${counted(cloud.reaching())} converge in ${STEPS} steps (area ${percent(area)})`;
    return `h = ${rate}: ${converge}, weakly stable length ${format(length, 3)}. ${orbit}`;
  }
  const stay = `${counted(cloud.share("bounded", "periodic"))} stay bounded (ellipse ${percent(area)})`;
  return `h = ${rate}: no minimum is weakly stable. ${stay}${onCycles(cloud)}. ${orbit}`;
}

function onCycles({ whole, counts, cycles }) {
  if (!whole) return "";
  if (!counts.periodic) return ", none on a cycle yet";
  const part = counts.bounded ? `${counts.periodic} ` : "";
  return cycles.length === 1 ? `, ${part}on a cycle of ${cycles[0]} points` : `, ${part}on cycles of ${cycles[0]} to ${cycles.at(-1)} points`;
}

function becomes(h, { label, period }, limit) {
  if (label === "diverged") return "diverges";
  if (label === "periodic") return `has period ${period}`;
  if (label === "bounded") return "has not settled";
  const [x, y] = limit.map((value) => (Math.abs(value) < 5e-4 ? 0 : value));
  // on the hyperbola the sharpness is x² + y²
  const unstable = !(x * y > 0) || h * (x * x + y * y) > 2 + NEUTRAL;
  return `${unstable ? "rests on unstable" : "converges to"} (${format(x, 2)}, ${format(y, 2)})`;
}
