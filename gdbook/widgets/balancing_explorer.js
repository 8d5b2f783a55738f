// Gradient descent on the smallest factorisation: left the plane with its minima, right how far from balanced the limit is, for
// every learning rate.

import { LimitCurve, curveAndDots } from "./balancing_curve.js";
import { Frame, unit } from "./controls.js";
import { clamp, fitted, format, ticks } from "./drawing.js";
import { ellipse, farthest, minima, minimum } from "./factorization.js";
import { FARTHEST, View, isView } from "./view.js";

const STEPS = 16384;
const DRAWN = 60;
const NEAR = [0.98, 1.002]; // of the critical learning rate
const LARGEST = 4; // times the critical learning rate: where the axis may end
const FINEST = 1e-8;
const BRANCHES = { above: "target 1", below: "target 2", unstable: "edge" }; // colours of limits, by their kinds
const BESIDE = { above: "; 1.001 h ends at x > 0", below: "; 1.001 h ends at x < 0", diverged: "; 1.001 h diverges" };
const ROUND = [1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10];

export default {
  async render({ model, el, url }) {
    // the same text that the workers run
    const [maths, geometry] = await Promise.all([import(url("worker")), import(url("geometry"))]);
    const p = model.get("_parameters");
    const home = model.get("limits");
    const whole = model.get("rate_limits");
    const [slowest, fastest] = model.get("_rates");
    const farthest = model.get("_farthest");
    const frame = new Frame(
      { model, el },
      "BalancingExplorer",
      {
        learning_rate: [slowest, fastest],
        start: Array(2).fill([-farthest, farthest]),
        limits: Array(4).fill([-FARTHEST, FARTHEST]),
        rate_limits: Array(2).fill([0, LARGEST]),
      },
      (name, value) => ({ limits: isView, rate_limits: isPart })[name]?.(value) ?? true,
    );
    const plane = frame.plot({
      label:
        `${model.get("_name")}: minima, orbit and limit. Arrow keys move the start, ` +
        "plus and minus or the wheel with Ctrl zoom, w a s d move the view.",
      x: { limits: [0, 1], label: "x" },
      y: { limits: [0, 1], label: "y" },
      interactive: true,
      grid: false,
    });
    const gaps = frame.plot({
      label:
        "Gap of the limit against the learning rate. Left and right arrow keys move the learning rate, " +
        "plus and minus or the wheel with Ctrl zoom, a and d move the view.",
      x: { limits: [0, 1], label: "learning rate h" },
      y: { limits: [0, 1], label: "|x − y| of the limit" },
      interactive: true,
    });

    let known = frame.get("start");
    let now = ofStart(maths, geometry, known, p); // and later, of the orbit
    const axis = new RateView(frame, gaps, () => now);
    const digits = () => clamp(axis.decimals, 4, 12);
    frame.slider({ name: "learning_rate", label: "Learning rate h", log: true, digits });
    ["x", "y"].forEach((variable, i) => {
      const write = (value) => frame.set({ start: frame.get("start").with(i, value) });
      const read = () => frame.get("start")[i];
      const limits = [Math.min(home[2 * i], read()), Math.max(home[2 * i + 1], read())];
      frame.slider({ name: variable, label: `Start ${variable}₀`, limits, read, write });
    });
    const view = new View(frame, plane);
    view.buttons();
    const near = frame.button("Near critical", () => frame.set({ rate_limits: isWhole() ? NEAR : whole }));
    const isWhole = () => String(frame.get("rate_limits")) === String(whole);
    frame.button("Reset", () => frame.reset());
    const colours = model.get("_colours");
    frame.legend([
      ["ends at x > 0", colours[BRANCHES.above]],
      ["at x < 0", colours[BRANCHES.below]],
      ["gradient descent", colours["gradient descent"]],
      ["gradient flow", colours["gradient flow"]],
      ["diverges", colours.diverged],
      ["stays, no limit", colours.chaotic],
    ]);

    const setStart = (...start) => frame.set({ start: start.map((x) => clamp(x, -farthest, farthest)) });
    const rounded = (x, y) => setStart(Number(x.toPrecision(6)), Number(y.toPrecision(6)));
    view.pointer({
      near: (px, py) => {
        const [x, y] = frame.get("start");
        return Math.hypot(px - plane.toX(x), py - plane.toY(y)) < 24;
      },
      drag: rounded,
      tap: rounded,
    });
    const moveStart = (dx, dy) => {
      const [x, y] = frame.get("start");
      setStart(x + dx * view.width * 0.005, y + dy * view.width * 0.005);
    };
    frame.keys(plane, moveStart, view.keys());

    const setRate = (h) => frame.set({ learning_rate: clamp(Number(h.toFixed(axis.decimals)), slowest, fastest) });
    const ring = () => [clamp(gaps.toX(now.h), gaps.left, gaps.right), clamp(gaps.toY(now.gap ?? 0), gaps.top, gaps.bottom)];
    axis.pointer({
      near: (px, py, touch) => {
        const [x, y] = ring();
        const inside = py > gaps.top && py < gaps.bottom;
        return Math.hypot(px - x, py - y) < 24 || (!touch && inside && Math.abs(px - x) < 7);
      },
      drag: setRate,
      tap: setRate,
    });
    frame.keys(gaps, (dx, dy) => setRate(frame.get("learning_rate") + unit([0, axis.width]) * (dx + dy)), axis.keys());

    const curve = new LimitCurve(url("worker"), maths, frame.timings, () => frame.request());
    frame.removals.push(() => curve.remove());
    frame.report = () => ({
      ...now,
      curve: { rates: [...curve.rates], kinds: [...curve.kinds].map((kind) => maths.kindNames[kind]), x: [...curve.x], y: [...curve.y] },
    });
    let asked;
    frame.draw = (theme) => {
      const { learning_rate: h, start, limits, rate_limits: parts } = frame.state();
      if (String(start) !== String(known)) now = ofStart(maths, geometry, start, p);
      known = start;
      if (now.h !== h) Object.assign(now, ofOrbit(maths, start, h, p));
      const ends = parts.map((part) => part * now.critical);
      if (asked !== JSON.stringify([start, ends])) curve.ask(start, ends, p);
      asked = JSON.stringify([start, ends]);
      near.setAttribute("aria-pressed", !isWhole());
      [plane.x.limits, plane.y.limits] = [limits.slice(0, 2), limits.slice(2)];
      drawPlane(plane, theme, { geometry, maths, p, start, ...now });
      view.drawSelection(theme);
      drawGaps(gaps, theme, { geometry, curve, p, ...now, ends, ring });
      axis.drawSelection(theme);
      frame.say(inWords(geometry, p, now), colourOf(now));
    };
    frame.request();
    return () => frame.remove();
  },
};

// The axis of the learning rates: the trait `rate_limits`, in units of the critical learning rate.
class RateView extends View {
  constructor(frame, plot, known) {
    super(frame, plot, { centre: ([x0, x1]) => [x0 < known().h && known().h < x1 ? known().h : (x0 + x1) / 2, 0] });
    this.known = known;
  }

  get limits() {
    return [...this.frame.get("rate_limits").map((part) => part * this.known().critical), ...this.plot.y.limits];
  }

  // Digits after the point that tell neighbouring pixels apart.
  get decimals() {
    return clamp(Math.ceil(-Math.log10(this.width / 1000)), 0, 12);
  }

  look([x0, x1]) {
    const rate_limits = [Math.max(0, x0), x1 - Math.min(0, x0)].map((h) => Math.min(h / this.known().critical, LARGEST));
    if (isPart(rate_limits)) this.frame.set({ rate_limits });
  }
}

function isPart([low, high]) {
  return high - low > FINEST;
}

// What depends on the start alone: its sharpness, its critical learning rate, the limit of gradient flow from it.
function ofStart(maths, { level, flow }, start, p) {
  const limit = flow(start, p, []);
  return {
    sharpness: maths.sharpness(start, p),
    critical: criticalRate(level, start, p),
    flow: limit,
    flowGap: Math.abs(limit[0] - limit[1]),
  };
}

// The learning rate at which the ellipse sweeps over the start, by bisection; at most 1/μ, beyond which no minimum is stable.
function criticalRate(level, start, p) {
  const inside = (h) => level(start, { ...p, h }) < 0;
  let [low, high] = [0, 1 / p.mu];
  if (inside(high)) return high;
  for (let middle = high / 2; middle > low && middle < high; middle = (low + high) / 2) {
    if (inside(middle)) low = middle;
    else high = middle;
  }
  return low;
}

function ofOrbit(maths, start, h, p) {
  const { label, step, period, end, kind } = maths.limitOf(start, h, p, STEPS);
  const orbit = [start];
  while (orbit.length <= DRAWN && Math.max(...orbit.at(-1).map(Math.abs)) < 1e9) orbit.push([...maths.step(orbit.at(-1), h, p, [])]);
  const gap = label === "converged" ? Math.abs(end[0] - end[1]) : undefined;
  const { kind: beside } = maths.limitOf(start, 1.001 * h, p, STEPS);
  return {
    ...{ h, outcome: { label, step, period }, limit: gap === undefined ? undefined : end, gap, orbit },
    ...{ kind: maths.kindNames[kind], beside: maths.kindNames[beside] },
  };
}

function drawPlane(plane, theme, { geometry, maths, p, start, h, orbit, limit, kind, flow }) {
  const rim = ellipse(geometry.level, { ...p, h });
  const [low, high] = plane.x.limits;
  const reach = Math.max(...plane.x.limits.map(Math.abs), ...plane.y.limits.map(Math.abs));
  plane.begin(theme, (c) => {
    c.fillStyle = theme.regimes[h * p.mu < 1 ? "stable" : "chaotic"];
    c.globalAlpha = 0.08;
    c.beginPath();
    rim.forEach(([x, y]) => c.lineTo(plane.toX(x), plane.toY(y)));
    c.fill();
  });
  const stroke = (points, options) => plane.line(points.map((q) => q[0]), points.map((q) => q[1]), options);
  stroke([[low, low], [high, high]], { colour: theme.muted, width: 1, dash: [2, 4] });
  stroke(rim, { colour: theme.foreground, width: 1.4 });
  for (const [sign, name] of [[1, BRANCHES.above], [-1, BRANCHES.below]]) {
    const branch = minima(sign, p, Math.log(reach / Math.sqrt(p.mu) + 2));
    stroke(branch, { colour: theme.muted, width: 1.2 });
    const stable = minima(sign, p, farthest((lean) => h * maths.sharpness(minimum(sign, p, lean), p) <= 2));
    stroke(stable, { colour: theme.regimes[name], width: 6 });
  }
  stroke(flowPath(start, flow), { colour: theme.regimes["gradient flow"], width: 2.4 });
  plane.points([flow[0]], [flow[1]], { colour: theme.regimes["gradient flow"], radius: 5 });
  const colour = theme.regimes["gradient descent"];
  stroke(orbit, { colour: theme.background, width: 3.4, alpha: 0.7 });
  stroke(orbit, { colour, width: 1.5 });
  plane.points(orbit.map((q) => q[0]), orbit.map((q) => q[1]), { colour, radius: 2.8 });
  if (limit) {
    // as long as the gap: from the limit across to the diagonal
    stroke([limit, [limit[1], limit[1]]], { colour: theme.foreground, width: 2 });
    plane.points([limit[0]], [limit[1]], { colour: theme.foreground, radius: 7.5 });
    plane.points([limit[0]], [limit[1]], { colour: theme.regimes[BRANCHES[kind]], radius: 5.5 });
  }
  plane.inside(() => plane.handle(...start, theme.foreground));
}

// The arc of x² − y² = constant from the start to the limit of gradient flow.
function flowPath(start, end) {
  const imbalance = start[0] ** 2 - start[1] ** 2;
  const i = imbalance > 0 ? 1 : 0; // the coordinate that may change its sign
  return Array.from({ length: 101 }, (_, k) => {
    const small = start[i] + ((end[i] - start[i]) * k) / 100;
    const large = Math.sign(start[1 - i]) * Math.sqrt(Math.abs(imbalance) + small * small);
    return i ? [large, small] : [small, large];
  });
}

function drawGaps(plot, theme, { geometry, curve, p, h, flowGap, kind, outcome, critical, sharpness, ends, ring }) {
  const height = roundedUp(1.08 * Math.max(flowGap, curve.largest, 0.1 * Math.sqrt(p.mu)));
  [plot.x.limits, plot.y.limits] = [ends, [0, height]];
  const [low, high] = ends;
  const lost = critical * p.mu < 1 ? "diverged" : "chaotic"; // what becomes of the start beyond
  const sampled = Array.from({ length: 241 }, (_, k) => low + ((high - low) * k) / 240);
  const rates = [...sampled, 1 / p.mu].filter((rate) => rate > 0 && rate * p.mu <= 1).sort((a, b) => a - b);
  const bound = rates.map((rate) => geometry.bound([rate], p));
  plot.begin(theme, (c) => {
    c.fillStyle = theme.muted;
    c.globalAlpha = 0.16;
    c.beginPath();
    c.lineTo(plot.left, plot.top);
    rates.forEach((rate, k) => c.lineTo(plot.toX(rate), Math.max(plot.top, plot.toY(bound[k]))));
    if (high * p.mu > 1) c.lineTo(plot.right, plot.bottom);
    c.lineTo(plot.right, plot.top);
    c.fill();
    c.fillStyle = theme.regimes[lost];
    c.fillRect(Math.max(plot.left, plot.toX(critical)), plot.top, plot.right, plot.bottom);
  });
  drawUnstable(plot, (rate) => geometry.bound([rate], p), flowGap, Math.min(critical, high));
  plot.line(rates, bound, { colour: theme.foreground, width: 1.4 });
  plot.line(ends, [flowGap, flowGap], { colour: theme.regimes["gradient flow"], width: 2, dash: [7, 4] });
  plot.line([critical, critical], [0, height], { colour: theme.regimes[lost], width: 1.6 });
  drawLimits(plot, theme, curve, height);
  plot.line([h, h], [0, height], { colour: theme.foreground, width: 1.4 });
  drawMultiples(plot, theme, sharpness, ends, height);
  const [x, y] = ring();
  plot.handle(plot.fromX(x), plot.fromY(y), theme.regimes[colourOf({ kind, outcome })]);
}

// A word over the bound, left of some learning rate, where there is room for it.
function drawUnstable(plot, bound, flowGap, rate) {
  const crossed = Math.abs(plot.toY(flowGap) - plot.top - 34) < 14;
  const y = crossed ? plot.toY(flowGap) + 16 : plot.top + 34;
  const room = plot.toY(bound(plot.fromX(plot.toX(rate) - 64)));
  if (room > y + 8) plot.text("unstable", rate, plot.y.limits[1], { align: "right", dx: -8, dy: y - plot.top, size: 11 });
}

function drawLimits(plot, theme, curve, height) {
  const { runs, dots } = curveAndDots(curve, height);
  const { rates, kinds, gaps } = curve;
  const colours = ["", BRANCHES.above, BRANCHES.below, "", BRANCHES.unstable].map((name) => theme.regimes[name]);
  for (const [first, last] of runs)
    plot.line(rates.subarray(first, last + 1), gaps.subarray(first, last + 1), { colour: colours[kinds[first]], width: 2.6 });
  plot.inside((c) => {
    for (const j of dots) {
      c.fillStyle = colours[kinds[j]];
      c.fillRect(plot.toX(rates[j]) - 1.1, plot.toY(gaps[j]) - 1.1, 2.2, 2.2);
    }
  });
}

// Along the top: the learning rate in units of one over the sharpness of the start.
function drawMultiples(plot, theme, sharpness, [low, high], height) {
  const { marks } = fitted(ticks(low * sharpness, high * sharpness, (plot.right - plot.left) / 60));
  marks.filter(({ at }) => at > 0).forEach(({ at, text }) => {
    const x = plot.toX(at / sharpness);
    plot.inside((c) => {
      c.fillStyle = theme.foreground;
      c.fillRect(x - 0.75, plot.top, 1.5, 6);
    });
    if (x > plot.left + 54 && x < plot.right - 12) plot.text(text, at / sharpness, height, { align: "center", dy: 14, size: 11 });
  });
  plot.text("h × L₀:", low, height, { dx: 5, dy: 14, size: 11 });
}

// The next round number.
function roundedUp(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return power * ROUND.find((step) => step >= value / power - 1e-9);
}

function colourOf({ kind, outcome }) {
  return BRANCHES[kind] ?? { diverged: "diverged", periodic: "periodic", bounded: "chaotic" }[outcome.label];
}

function inWords({ bound }, p, { h, outcome, kind, limit, gap, flowGap, critical, sharpness, beside }) {
  // so many figures that the two can be told apart
  const digits = h === critical ? 4 : clamp(2 - Math.floor(Math.log10(Math.abs(h / critical - 1))), 4, 12);
  const figures = (value) => String(Number(value.toPrecision(digits)));
  const multiple = (rate) => `${format(rate * sharpness, digits - 1)}/L₀`;
  const place = `h = ${figures(h)} = ${multiple(h)}, critical ${figures(critical)} = ${multiple(critical)}`;
  if (outcome.label === "diverged") return `Diverges, beyond 10⁶ at step ${outcome.step}: ${place}.`;
  if (outcome.label === "periodic") return `Periodic, a cycle of ${outcome.period} points: ${place}.`;
  if (outcome.label === "bounded") return `Bounded, neither settled nor periodic after ${outcome.step} steps: ${place}.`;
  const at = `(${limit.map((x) => format(Math.abs(x) < 5e-4 ? 0 : x, 3)).join(", ")})`;
  if (kind === "unstable") return `Rests on ${at}, which is unstable: ${place}.`;
  const ends = `Converges to ${at}, gap ${format(gap, 3)}; gradient flow’s ${format(flowGap, 3)}, bound ${format(bound([h], p), 3)}`;
  return `${ends}: ${place}${BESIDE[beside !== kind && beside] ?? ""}.`;
}
