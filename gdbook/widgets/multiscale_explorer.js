// Gradient descent on a landscape with ripples: the potential at both scales with the iterates on it, and the histogram
// of the orbit against Gibbs' density and the exact density of the random map.

import { Frame, unit } from "./controls.js";
import { clamp, format, superscript, symbol } from "./drawing.js";
import { cellsFor, centresOf, gibbs } from "./random_map.js";
import { orbitOf } from "./regimes.js";

const STEPS = 1e6; // of the histogram
const BINS = 110;
const PATH = 40; // iterates drawn on the potential
const OUTCOME_STEPS = 4096;
const WINDOW = 12; // of the magnifier to either side, in units of epsilon

export default {
  async render({ model, el, url }) {
    const [formula, macro, { outcomeOf }] = await Promise.all(["formula", "macro", "outcome"].map((name) => import(url(name))));
    const [low, high] = model.get("limits");
    const frame = new Frame({ model, el }, "MultiscaleExplorer", {
      learning_rate: [model.get("_smallest_learning_rate"), model.get("largest_learning_rate")],
      scale: model.get("_scales"),
      start: [low, high],
    });
    const variable = symbol(formula.variables[0]);
    const potential = frame.plot({
      label: `${model.get("_name")}: the potential with the first iterates. Arrow keys move the start.`,
      x: { limits: [low, high], label: variable },
      y: { limits: model.get("_value_limits"), label: `f(${variable}) and the iterates` },
      interactive: true,
    });
    const magnifier = frame.plot({
      label: "Magnifier: the ripples about the last iterate drawn, in units of epsilon.",
      x: { limits: [-WINDOW, WINDOW], label: `(${variable} − ${variable}ₖ) / ε` },
      y: { limits: [-WINDOW, WINDOW], label: `f about ${variable}ₖ, in units of ε` },
    });
    const visits = frame.plot({
      label: "Histogram of the iterates with the Gibbs density and the exact density of the random map.",
      x: { limits: [low, high], label: variable },
      y: { limits: [0, 1], label: "density of the iterates" },
    });
    frame.slider({ name: "learning_rate", label: "Learning rate h", log: true });
    frame.slider({ name: "scale", label: "Scale ε", log: true });
    frame.slider({ name: "start", label: `Start ${variable}₀` });

    const long = new LongOrbit(url("worker"), frame);
    frame.removals.push(() => long.remove());
    let shown = Infinity; // steps shown while playing
    let timer;
    const stop = () => {
      clearInterval(timer);
      timer = undefined;
      play.textContent = "Play";
    };
    // one step at a time while they can be told apart, then ever more
    const advance = (next) => {
      shown = Math.min(STEPS, shown >= STEPS ? 0 : next(shown));
      long.until(shown);
      if (shown >= STEPS) stop();
      frame.request();
    };
    const play = frame.button("Play", () => {
      if (timer) return stop();
      if (shown === Infinity) advance(() => 0);
      timer = setInterval(() => advance((k) => k + Math.max(1, Math.floor(k / 20))), 100);
      play.textContent = "Pause";
    });
    play.hidden = matchMedia("(prefers-reduced-motion: reduce)").matches;
    frame.button("One step", () => {
      stop();
      advance((k) => k + 1);
    });
    frame.button("Reset", () => {
      stop();
      shown = Infinity;
      long.until(shown);
      frame.reset();
      frame.request();
    });
    frame.removals.push(stop);
    const colours = model.get("_colours");
    frame.legend([
      ["iterates", colours["gradient descent"]],
      ["Gibbs, T = h/4", colours["gradient flow"]],
      ["random map, exact", "var(--live-foreground)"],
    ]);

    const height = (x) => formula.value([x], parameters());
    const parameters = () => ({ ...model.get("_parameters"), epsilon: frame.get("scale") });
    const moveStart = (start) => frame.set({ start: clamp(start, low, high) });
    frame.drag(potential, {
      grab: (px, py) => {
        const start = frame.get("start");
        return Math.hypot(px - potential.toX(start), py - potential.toY(height(start))) < 24;
      },
      move: (px) => moveStart(Number(potential.fromX(px).toFixed(3))),
    });
    frame.keys(potential, (dx, dy) => moveStart(frame.get("start") + unit([low, high]) * (dx + dy)));

    let asked;
    let spoken;
    let now = {};
    frame.report = () => ({ ...now, ...long.report() });
    frame.draw = (theme) => {
      const { learning_rate: h, scale, start } = frame.state();
      const p = parameters();
      if (asked !== JSON.stringify([h, scale, start])) {
        asked = JSON.stringify([h, scale, start]);
        shown = timer ? 0 : Infinity;
        long.ask(macro, { start, h, p, limits: [low, high] }, shown);
        const outcome = outcomeOf(formula.step, [start], h, p, OUTCOME_STEPS);
        now = { outcome, orbit: orbitOf(formula.step, start, h, p, PATH), end: endOf(formula, start, h, p, outcome) };
      }
      const playing = shown !== Infinity;
      const path = !playing ? now.orbit : shown <= PATH ? now.orbit.slice(0, shown + 1) : long.recent(now.orbit);
      const k = !playing ? PATH : shown <= PATH ? shown : long.steps;
      drawPotential(potential, theme, { formula, macro, p, path, start, k, outcome: now.outcome });
      drawMagnifier(magnifier, theme, { formula, macro, p, h, x: path.at(-1) });
      drawVisits(visits, theme, long);
      const [words, colour] = describe(formula, { h, scale, p }, now, long);
      // words are read aloud: while steps are being made they change at powers of ten only
      const moving = timer || long.steps < long.target;
      const key = `${asked} ${long.knows} ${moving ? Math.floor(Math.log10(long.steps)) : long.steps}`;
      if (words && key !== spoken) frame.say(words, colour);
      spoken = key;
    };
    frame.request();
    return () => frame.remove();
  },
};

// What the worker knows of the orbit and of the random map, and Gibbs' density beside it.
class LongOrbit {
  constructor(address, frame) {
    this.frame = frame;
    this.worker = new Worker(address, { type: "module" });
    this.worker.onmessage = ({ data }) => this.receive(data);
    this.job = 0;
  }

  // Begins anew with other settings; whatever is being computed is given up.
  ask(macro, { start, h, p, limits }, shown) {
    const orbit = { start, h, p, limits, bins: BINS, burnIn: Math.ceil(5 / h) };
    this.orbit = orbit;
    if (this.rate !== h) {
      this.rate = h;
      this.limits = limits;
      this.cells = cellsFor(limits, h);
      this.centres = centresOf(limits, this.cells);
      const means = this.centres.map((x) => macro.step([x], h, p, [0])[0]);
      const cell = clamp(Math.floor(((start - limits[0]) / (limits[1] - limits[0])) * this.cells), 0, this.cells - 1);
      this.map = { means, limits, rate: h, cell };
      this.gibbs = gibbs((x) => macro.value([x], p), h / 4, limits, this.cells);
    }
    this.begin(shown);
  }

  begin(shown) {
    this.job += 1;
    this.asked = performance.now();
    this.seen = undefined;
    this.target = Math.min(STEPS, shown);
    // the exact law depends on the learning rate alone
    const map = this.law?.rate === this.rate ? undefined : this.map;
    this.worker.postMessage({ job: this.job, until: this.target, orbit: this.orbit, map });
  }

  until(shown) {
    const target = Math.min(STEPS, shown);
    if (target < this.target) return this.begin(shown);
    this.target = target;
    this.worker.postMessage({ job: this.job, until: target });
  }

  receive(data) {
    if ("law" in data) {
      if (data.rate === this.rate) this.law = { rate: data.rate, ...(data.law && lawOf(data.law, this.centres)) };
    } else if (data.job === this.job) {
      this.seen = data;
      if (data.steps >= STEPS) this.frame.timings.full = performance.now() - this.asked;
    }
    this.frame.request();
  }

  get steps() {
    return this.seen?.steps ?? 0;
  }

  recent(otherwise) {
    return this.seen?.recent ?? otherwise;
  }

  // Means over the orbit so far, if the burn-in is over.
  measured() {
    const { count, x, square, logarithm } = this.seen?.sums ?? { count: 0 };
    if (!count) return undefined;
    return { count, variance: square / count - (x / count) ** 2, lyapunov: logarithm / count };
  }

  // Whether there are enough visits to speak of means.
  get knows() {
    return this.measured()?.count >= 50;
  }

  density() {
    if (!this.seen) return [];
    const width = (this.limits[1] - this.limits[0]) / BINS;
    const total = Math.max(1, this.seen.sums.count);
    return [...this.seen.counts].map((visits) => visits / (total * width));
  }

  report() {
    const { counts, outside } = this.seen ?? {};
    return {
      ...{ cells: this.cells, steps: this.steps, burnIn: this.orbit?.burnIn, outside, measured: this.measured() },
      histogram: counts && [...counts],
      exact: this.law?.density && { density: [...this.law.density], variance: this.law.variance },
      gibbs: this.gibbs && { density: [...this.gibbs.density], variance: this.gibbs.variance },
    };
  }

  remove() {
    this.worker.terminate();
  }
}

function lawOf(weights, centres) {
  const width = centres[1] - centres[0];
  const mean = weights.reduce((sum, weight, i) => sum + weight * centres[i], 0);
  const square = weights.reduce((sum, weight, i) => sum + weight * centres[i] ** 2, 0);
  return { centres, density: weights.map((weight) => weight / width), variance: square - mean * mean };
}

function endOf({ step }, start, h, p, outcome) {
  return outcome.label === "converged" ? orbitOf(step, start, h, p, outcome.step).at(-1) : undefined;
}

function drawPotential(plot, theme, { formula, macro, p, path, start, k, outcome }) {
  const wide = plot.right - plot.left;
  const colour = theme.regimes["gradient descent"];
  // ripples narrower than a few pixels are lower than one, too
  const [low, high] = plot.x.limits;
  const resolved = (2 * Math.PI * p.epsilon * wide) / (high - low) > 3;
  const count = resolved ? Math.round(2 * wide) : 240;
  const xs = Float64Array.from({ length: count + 1 }, (_, i) => low + ((high - low) * i) / count);
  plot.y.label = `f(${plot.x.label}) and iterates ${k > PATH ? `to k = ${grouped(k)}` : `0 to ${k}`}`;
  plot.begin(theme);
  if (resolved) plot.line(xs, xs.map((x) => macro.value([x], p)), { colour: theme.muted, width: 1.5, dash: [5, 4] });
  const seen = resolved ? formula : macro;
  plot.line(xs, xs.map((x) => seen.value([x], p)), { colour: theme.foreground, width: 1.6 });
  const heights = path.map((x) => formula.value([x], p));
  plot.line(path, heights, { colour, width: 1, alpha: 0.45 });
  plot.points(path.slice(0, -1), heights.slice(0, -1), { colour, radius: 3 });
  const regime = { converged: "stable", diverged: "diverged", periodic: "periodic", bounded: "chaotic" }[outcome.label];
  plot.inside(() => plot.handle(start, formula.value([start], p), theme.regimes[regime]));
  plot.points(path.slice(-1), heights.slice(-1), { colour: theme.foreground, radius: 5.5 });
}

// The ripples about x: both axes in units of epsilon, so that they look alike at every scale.
function drawMagnifier(plot, theme, { formula, macro, p, h, x }) {
  const scale = p.epsilon;
  const us = Float64Array.from({ length: 241 }, (_, i) => (WINDOW * (i - 120)) / 120);
  const about = ({ value }) => us.map((u) => (value([x + scale * u], p) - value([x], p)) / scale);
  const ripples = about(formula);
  const shift = (macro.value([x], p) - formula.value([x], p)) / scale;
  const slope = about(macro).map((height) => height + shift);
  const seen = [...ripples, ...slope].filter(Number.isFinite);
  const [bottom, top] = [Math.min(...seen, -2), Math.max(...seen, 2)];
  plot.y.limits = [bottom - 0.25 * (top - bottom), top + 0.1 * (top - bottom)];
  plot.begin(theme);
  plot.line(us, slope, { colour: theme.muted, width: 1.5, dash: [5, 4] });
  plot.line(us, ripples, { colour: theme.foreground, width: 1.8 });
  const leap = (-h * formula.gradient([x], p)[0]) / scale;
  if (!Number.isFinite(leap)) return;
  if (Math.abs(leap) <= WINDOW) {
    const landing = (formula.value([x + scale * leap], p) - formula.value([x], p)) / scale;
    plot.points([leap], [landing], { colour: theme.regimes["gradient descent"], radius: 4.5 });
  }
  plot.points([0], [0], { colour: theme.foreground, radius: 5.5 });
  const way = Math.abs(leap) < 1e-3 ? "the next step stays here" : `next step: ${figures(Math.abs(leap))} ε to the ${leap > 0 ? "right" : "left"}`;
  plot.text(way, -WINDOW, plot.y.limits[0], { dx: 8, dy: -12 });
}

function drawVisits(plot, theme, long) {
  const curves = [long.gibbs?.density, long.law?.density].filter(Boolean);
  const highest = Math.max(...curves.map((curve) => curve.reduce((a, b) => Math.max(a, b))));
  plot.y.limits = [0, 1.25 * highest];
  const last = long.steps >= STEPS ? `10${superscript(6)}` : grouped(long.steps);
  const { burnIn } = long.orbit;
  plot.y.label = long.steps > burnIn ? `density of iterates ${burnIn + 1} to ${last}` : `density of iterates after ${burnIn}`;
  const [low, high] = plot.x.limits;
  plot.begin(theme, (c) => {
    c.fillStyle = theme.regimes["gradient descent"];
    c.globalAlpha = 0.45;
    long.density().forEach((density, i) => {
      const [left, right] = [i, i + 1].map((edge) => Math.round(plot.toX(low + ((high - low) * edge) / BINS)));
      const top = Math.max(plot.top, plot.toY(density));
      c.fillRect(left, top, right - left, plot.bottom - top);
    });
  });
  const { centres } = long;
  if (long.law?.density) plot.line(long.law.centres, long.law.density, { colour: theme.foreground, width: 2 });
  plot.line(centres, long.gibbs.density, { colour: theme.regimes["gradient flow"], width: 2.4, dash: [7, 4] });
}

// What is to be seen, in words, and its colour. Nothing while too little is known.
function describe({ hessian, gradient }, { h, scale, p }, { outcome, end }, long) {
  const ratio = `h/ε = ${figures(h / scale)}`;
  if (outcome.label === "diverged") return [`Diverges, beyond 10⁶ at step ${outcome.step}.`, "diverged"];
  if (outcome.label === "converged") {
    const edge = 2 / hessian([end], p)[0];
    const why = Math.abs(gradient([end], p)[0]) < 1e-6 ? `where 2/f″ = ${figures(edge)} is more than h` : "which it approaches slowly";
    return [`Stuck: converges to the local minimum ${format(end, 4)}, ${why}; ${ratio}.`, "stable"];
  }
  if (outcome.label === "periodic")
    return [`Periodic: a cycle of ${outcome.period} points; ${ratio}.`, "periodic"];
  const measured = long.measured();
  if (!long.knows && long.target < STEPS)
    return [`Neither settled nor periodic. After step ${long.orbit.burnIn} the start is forgotten and visits count.`, "chaotic"];
  if (!long.knows || !long.law) return [];
  if (measured.lyapunov <= 0.01)
    return [`Bounded, neither settled nor in a cycle after ${outcome.step} steps; ${ratio}.`, "periodic"];
  const exact = long.law.density ? `exact ${figures(long.law.variance)}` : "random map off the axes";
  return [
    `Chaotic: Lyapunov exponent ${format(measured.lyapunov, 2)}, ln(h/2ε) = ${format(Math.log(h / (2 * scale)), 2)}. ` +
      `T = ${figures(h / 4)}; variance ${figures(measured.variance)}, Gibbs ${figures(long.gibbs.variance)}, ${exact}.`,
    "chaotic",
  ];
}

// Three significant figures.
function figures(value) {
  return value >= 1e4 || value < 1e-4 ? format(value, 3) : String(Number(value.toPrecision(3)));
}

function grouped(count) {
  return String(count).replace(/\B(?=(\d{3})+$)/g, "\u202f");
}
