// Logistic regression at any learning rate: the loss curves with their phases, the weights, and the loss at the end for every
// learning rate.

import { Frame } from "./controls.js";
import { clamp, format, powers } from "./drawing.js";
import { Workers } from "./workers.js";

const SECONDS = 7; // of playing, from the first step to the last
const DEEPEST = 1e-12; // loss that is drawn
const DEEP = 1e-8; // of runs that are not under the hand
const LONG_AGO = -1e9;

export default {
  async render({ model, el, url }) {
    // the same text that the workers run
    const maths = await import(url("worker"));
    const names = model.get("_names");
    const frame = new Frame({ model, el }, "LogisticExplorer", {
      learning_rate: model.get("_rates"),
      margin: model.get("_margins"),
      steps: [...model.get("_steps"), 1],
      step: [0, model.get("_steps")[1], 1],
      problem: [0, names.length - 1, 1],
    });
    const [slowest, fastest] = model.get("_rates");
    const curves = frame.plot({
      label: `${model.get("_name")}: the loss against the step. Left and right arrow keys move along the curve.`,
      x: { limits: [0, 1], label: "step k", marks: powers },
      y: { limits: [0, 1], label: "f(wₖ)", marks: powers },
      interactive: true,
    });
    const weights = frame.plot({
      label: "The weights: for two points their path in the plane, for digits a picture.",
      x: { limits: [0, 1], label: "w₁" },
      y: { limits: [0, 1], label: "w₂" },
      grid: false,
    });
    const ends = frame.plot({
      label: "The loss at the end against the learning rate. Left and right arrow keys move the learning rate.",
      x: { limits: [slowest, fastest].map(Math.log10), label: "learning rate h", marks: powers },
      y: { limits: [0, 1], label: "f at the last step", marks: powers },
      interactive: true,
    });

    frame.slider({ name: "learning_rate", label: "Learning rate h", log: true });
    frame.slider({ name: "steps", label: "Steps T", log: true });
    const marginSlider = frame.slider({ name: "margin", label: "Margin γ", log: true });
    const choices = names.map((name, problem) => frame.button(name, () => frame.set({ problem })));

    // Time that passes: the step shown goes from 1 to the last, equally fast on the logarithmic axis.
    let playing;
    const lastStep = () => frame.get("steps");
    const shownStep = () => Math.min(playing?.step ?? frame.get("step"), lastStep());
    const stop = () => {
      playing = undefined;
      play.textContent = "Play";
    };
    const play = frame.button("Play", () => {
      if (playing) {
        frame.set({ step: shownStep() });
        return stop();
      }
      const from = shownStep() < lastStep() ? Math.max(1, shownStep()) : 1;
      playing = { since: performance.now(), from, step: from };
      play.textContent = "Pause";
      frame.request();
    });
    play.hidden = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const moveOn = () => {
      const part = (performance.now() - playing.since) / (1000 * SECONDS);
      playing.step = Math.round(playing.from * lastStep() ** part);
      if (playing.step < lastStep()) return void setTimeout(() => frame.request());
      stop();
      frame.set({ step: frame.limits.step[1] });
    };
    frame.button("Reset", () => {
      stop();
      frame.reset();
    });

    const run = new LatestRun(url("worker"), frame, maths);
    const survey = new Survey(url("worker"), frame);
    const contours = new Contours(maths);
    frame.removals.push(stop, () => run.remove(), () => survey.remove());

    const setRate = (h) => frame.set({ learning_rate: clamp(Number(h.toPrecision(4)), slowest, fastest) });
    const rateX = () => ends.toX(Math.log10(frame.get("learning_rate")));
    frame.drag(ends, {
      grab: (px, py, event) => {
        const inside = px > ends.left - 8 && px < ends.right + 8 && py > ends.top && py < ends.bottom;
        return inside && (event?.pointerType === "mouse" || Math.abs(px - rateX()) < 24);
      },
      move: (px) => setRate(10 ** ends.fromX(px)),
    });
    frame.keys(ends, (dx, dy) => setRate(frame.get("learning_rate") * 10 ** (0.01 * (dx + dy))));
    const setStep = (k) => {
      if (playing) stop();
      frame.set({ step: k >= lastStep() ? frame.limits.step[1] : Math.max(0, Math.round(k)) });
    };
    const cursor = () => [curves.toX(Math.log10(Math.max(1, shownStep()))), curves.toY(Math.log10(run.at(shownStep())))];
    frame.drag(curves, {
      grab: (px, py) => Math.hypot(px - cursor()[0], py - clamp(cursor()[1], curves.top, curves.bottom)) < 24,
      move: (px) => setStep(10 ** curves.fromX(px)),
    });
    frame.keys(curves, (dx, dy) => {
      const k = shownStep();
      const factor = 1.02 ** (dx + dy);
      setStep(dx + dy > 0 ? Math.max(k + 1, k * factor) : Math.min(k - 1, k * factor));
    });

    frame.report = () => ({ ...run.report(), ...survey.report(), shown: shownStep() });
    frame.draw = (theme) => {
      if (playing) moveOn();
      const { learning_rate: h, margin, steps, problem } = frame.state();
      survey.ask({ problem, margin: problem ? 0 : margin, steps });
      run.ask({ problem, margin: problem ? 0 : margin, steps, rate: h });
      choices.forEach((button, i) => button.setAttribute("aria-pressed", i === problem));
      marginSlider.style.visibility = problem === 0 ? "" : "hidden"; // digits have the margin that they have
      const k = shownStep();
      const lowest = lowestOf(run, survey);
      drawCurves(curves, theme, { run, survey, h, steps, k, lowest });
      if (problem === 0) drawPlane(weights, theme, { contours, run, margin, h, k });
      else drawDigits(weights, theme, { maths, run, problem, k });
      drawEnds(ends, theme, { run, survey, h, steps, lowest });
      if (run.done && (survey.best || survey.threshold === null)) frame.say(...inWords(run, survey, h, steps, names[problem]));
    };
    frame.request();
    return () => frame.remove();
  },
};

// The run under the hand: what is known of it, from its first slice on; until that is there, the one before.
class LatestRun {
  constructor(address, frame, maths) {
    Object.assign(this, { frame, maths });
    this.clear();
    this.workers = new Workers(address, frame.timings, {
      receive: (piece) => this.receive(piece),
      finished: () => {
        this.done = true;
        frame.request();
      },
    }, 1);
  }

  clear() {
    Object.assign(this, { losses: [], errors: [], kept: [], weights: [], rises: [], highest: 1, drawn: [] });
  }

  ask(request) {
    const key = JSON.stringify(request);
    if (key === this.asked) return;
    this.asked = key;
    this.done = false;
    this.workers.begin();
    this.workers.share(request);
  }

  receive({ from, losses, errors, kept, weights, ...phases }) {
    if (from === 0) this.clear();
    losses.forEach((loss, i) => {
      if (this.maths.rises(i ? losses[i - 1] : this.losses.at(-1), loss)) this.rises.push(from + i);
      this.highest = Math.max(this.highest, loss);
    });
    this.losses.push(...losses);
    this.errors.push(...errors);
    this.kept.push(...kept);
    const size = weights.length / kept.length;
    kept.forEach((_, i) => this.weights.push(weights.slice(i * size, (i + 1) * size)));
    Object.assign(this, phases);
    this.drawn = this.maths.thinned(this.losses);
    this.frame.request();
  }

  // The loss at a step, or the latest that is known.
  at(k) {
    return this.losses[Math.min(k, this.losses.length - 1)] ?? Math.LN2;
  }

  // The place of the latest weights that are kept at or before a step.
  place(k) {
    const after = this.kept.findIndex((step) => step > k);
    return (after < 0 ? this.kept.length : after) - 1;
  }

  report() {
    const { losses, errors, kept, weights, rises, transition, done } = this;
    return { losses, errors, kept, weights, rises, transition, done };
  }

  remove() {
    this.workers.remove();
  }
}

// What belongs to the data and the number of steps, whatever the learning rate under the hand.
class Survey {
  constructor(address, frame) {
    this.frame = frame;
    this.clear();
    this.workers = new Workers(address, {}, {
      receive: (piece) => this.receive(piece),
      finished: () => {
        this.done = true;
        frame.request();
      },
    });
  }

  clear() {
    Object.assign(this, { rates: new Map(), curves: [], ladder: [], threshold: undefined, best: undefined, done: false });
  }

  ask(request) {
    const key = JSON.stringify(request);
    if (key === this.asked) return;
    this.asked = key;
    this.fresh = true;
    this.done = false;
    this.workers.begin();
    this.workers.share(request);
  }

  // what is shown is of one survey: the first piece of a new one ends that before
  receive(piece) {
    if (Object.keys(piece).length === 0) return;
    if (this.fresh) this.clear();
    this.fresh = false;
    if (piece.twoOverL) Object.assign(this, { threshold: piece.threshold, best: null, twoOverL: piece.twoOverL });
    if (piece.best) this.best = piece.best;
    if (piece.ladder) this.ladder = [...this.ladder, piece].sort((a, b) => a.ladder - b.ladder);
    if (piece.curve) this.curves = [...this.curves, piece].sort((a, b) => a.rate - b.rate);
    if (piece.rate) this.rates.set(piece.rate, piece);
    this.frame.request();
  }

  report() {
    const rates = [...this.rates.values()].sort((a, b) => a.rate - b.rate);
    const { curves, ladder, threshold, twoOverL, done } = this;
    return { rates, curves, ladder, threshold, twoOverL, surveyed: done };
  }

  remove() {
    this.workers.remove();
  }
}

// The lowest loss on the axes, a power of ten: room for the run, the best monotone one and the runs with h = T, but not
// for a last one that falls out of the line.
function lowestOf(run, survey) {
  const [before, last] = survey.ladder.slice(-2).map(({ loss }) => loss);
  const others = Math.max(DEEP, Math.min(survey.best?.loss ?? 1, Math.max(before / 50, last) || 1));
  const least = Math.min(run.losses.at(-1) ?? 1, others, 1e-2);
  return Math.floor(Math.log10(Math.max(DEEPEST, least)));
}

function drawCurves(plot, theme, { run, survey, h, steps, k, lowest }) {
  const most = Math.max(0.5, Math.log10(run.highest) + 0.35);
  [plot.x.limits, plot.y.limits] = [[0, Math.log10(steps)], [lowest, most]];
  const { edge, stable } = theme.regimes;
  const entry = run.transition;
  const border = entry === undefined ? plot.right : plot.toX(Math.log10(Math.max(1, entry)));
  plot.begin(theme, (c) => {
    c.globalAlpha = 0.13;
    c.fillStyle = edge;
    c.fillRect(plot.left, plot.top, border - plot.left, plot.bottom - plot.top);
    c.fillStyle = stable;
    c.fillRect(border, plot.top, plot.right - border, plot.bottom - plot.top);
  });
  const others = [...survey.curves, ...(survey.best ? [survey.best] : [])];
  for (const { curve, transition } of others) drawCurve(plot, theme, curve.steps, curve.losses, transition, { width: 1.2, alpha: 0.6 });
  drawSlopes(plot, theme, survey, steps);
  drawLadder(plot, theme, survey.ladder);
  plot.line(plot.x.limits, [-Math.log10(h), -Math.log10(h)], { colour: theme.foreground, width: 1.2, dash: [6, 4] });

  const losses = run.drawn.map((i) => run.losses[i]);
  drawCurve(plot, theme, run.drawn, losses, entry, { width: 2.8, alpha: 0.3 });
  const seen = run.drawn.filter((i) => i <= k);
  drawCurve(plot, theme, seen, losses.slice(0, seen.length), entry, { width: 2.8 });
  drawIncreases(plot, theme, run.rises);
  if (entry !== undefined) plot.points([Math.log10(Math.max(1, entry))], [Math.log10(run.losses[entry])], { colour: stable, radius: 5.5 });
  const taken = [plot.toY(-Math.log10(h)) - 10];
  if (survey.best) label(plot, taken, `h = ${figures(survey.threshold)}`, Math.log10(survey.best.loss));
  for (const { rate, loss } of survey.curves) label(plot, taken, `h = ${figures(rate)}`, Math.log10(loss));
  plot.text("1/h", plot.x.limits[0], -Math.log10(h), { dx: 6, dy: -9 });
  band(plot, "edge phase", plot.left, border);
  band(plot, "stable phase", border, plot.right);
  plot.handle(Math.log10(Math.max(1, k)), Math.log10(Math.max(DEEPEST, run.at(k))), theme.foreground);
}

// The name of a band, where there is room.
function band(plot, name, left, right) {
  if (right - left < 84) return;
  plot.text(name, plot.x.limits[0], plot.y.limits[1], { align: "center", dx: (left + right) / 2 - plot.left, dy: 24, size: 13 });
}

// A word below a curve at its right end, unless another is there.
function label(plot, taken, text, y) {
  const place = plot.toY(y);
  if (place < plot.top + 27 || place > plot.bottom - 20 || taken.some((other) => Math.abs(other - place) < 13)) return;
  taken.push(place);
  plot.text(text, plot.x.limits[1], y, { align: "right", dx: -5, dy: 10, size: 11 });
}

// A curve in the colours of its phases.
function drawCurve(plot, theme, steps, losses, transition, options) {
  const border = steps.findIndex((k) => k >= transition);
  const parts = border < 0 ? [[0, steps.length, "edge"]] : [[0, border + 1, "edge"], [border, steps.length, "stable"]];
  for (const [from, to, phase] of parts)
    plot.line(
      steps.slice(from, to).map((k) => (k ? Math.log10(k) : LONG_AGO)),
      losses.slice(from, to).map((loss) => Math.log10(Math.max(loss, 1e-300))),
      { colour: theme.regimes[phase], ...options },
    );
}

// Runs whose learning rate is their number of steps.
function drawLadder(plot, theme, ladder) {
  const shown = ladder.filter(({ loss }) => loss > 0);
  const [xs, ys] = [shown.map((one) => Math.log10(one.ladder)), shown.map((one) => Math.log10(one.loss))];
  plot.line(xs, ys, { colour: theme.regimes.chaotic, width: 1, dash: [2, 3] });
  plot.inside((c) => {
    c.fillStyle = theme.regimes.chaotic;
    c.strokeStyle = theme.background;
    c.lineWidth = 1;
    xs.forEach((x, i) => {
      const [px, py] = [plot.toX(x), plot.toY(ys[i])];
      c.beginPath();
      for (const [dx, dy] of [[0, -6.5], [6.5, 0], [0, 6.5], [-6.5, 0], [0, -6.5]]) c.lineTo(px + dx, py + dy);
      c.fill();
      c.stroke();
    });
  });
  const fits = (x, y) => plot.toX(x) < plot.right - 100 && y > plot.y.limits[0]; // beside the words at the right end
  const seen = shown.findLast((_, i) => fits(xs[i], ys[i]));
  if (seen) plot.text("h = T", Math.log10(seen.ladder), Math.log10(seen.loss), { align: "right", dx: -10, dy: 4 });
}

// How steep 1/T and 1/T² are: beside the best monotone run, and beside the runs with h = T.
function drawSlopes(plot, theme, { best, ladder }, steps) {
  const slope = (power, at, loss, text) => {
    const [from, to] = [Math.log10(at), Math.log10(at) + 0.75];
    const height = Math.log10(loss) + 0.35;
    plot.line([from, to], [height, height - 0.75 * power], { colour: theme.foreground, width: 1.6, dash: [2, 3] });
    const beside = power > 1 ? { align: "right", dx: -6, dy: 9 } : { dx: 6, dy: -9 }; // away from the words at the right end
    plot.text(text, (from + to) / 2, height - 0.375 * power, { ...beside, size: 12 });
  };
  if (best) slope(1, steps / 30, 30 * best.loss, "1/T");
  const middle = ladder.findLast((one) => one.ladder <= steps / 7 && Math.log10(one.loss) - 1 > plot.y.limits[0]);
  if (middle) slope(2, middle.ladder, middle.loss, "1/T²");
}

// Along the top, the steps that increased the loss.
function drawIncreases(plot, theme, rises) {
  plot.inside((c) => {
    c.fillStyle = theme.regimes.diverged;
    for (const k of rises) c.fillRect(plot.toX(Math.log10(k)) - 0.75, plot.top, 1.5, 10);
  });
  if (!rises.length) return;
  const last = Math.log10(rises.at(-1));
  const words = `${rises.length} increase${rises.length > 1 ? "s" : ""}`;
  if (plot.toX(last) < plot.right - 90) plot.text(words, last, plot.y.limits[1], { dx: 6, dy: 7, size: 11 });
}

function figures(rate) {
  return rate >= 1e4 ? format(rate, 0).replace("10000", "10⁴") : String(Number(rate.toPrecision(4)));
}

// The plane of the weights with the path, the region f ≤ 1/h, and where both points are on their right side.
function drawPlane(plot, theme, { contours, run, margin, h, k }) {
  const count = run.transition === undefined ? run.weights.length : Math.max(12, Math.ceil(1.15 * run.transition)) + 1;
  const path = run.weights.slice(0, count);
  const reach = 1.15 * path.reduce((most, [, y]) => Math.max(most, Math.abs(y)), 1e-3);
  const [low, high] = path.reduce(([a, b], [x]) => [Math.min(a, x), Math.max(b, x)], [0, 1e-3]);
  const pad = 0.06 * (high - low);
  Object.assign(plot.x, { label: "w₁", marks: undefined, limits: [low - pad, high + 2.5 * pad] });
  Object.assign(plot.y, { label: "w₂", marks: undefined, limits: [-reach, reach] });
  const { samples, inner, levels } = contours.of(plot, margin, h);
  plot.begin(theme, (c) => {
    c.fillStyle = theme.regimes.stable;
    c.globalAlpha = 0.18;
    c.beginPath();
    inner.forEach(([x, y]) => c.lineTo(plot.toX(x), plot.toY(y)));
    c.lineTo(plot.right + 1, plot.bottom);
    c.lineTo(plot.right + 1, plot.top);
    c.fill();
  });
  const stroke = (points, options) => plot.line(points.map((q) => q[0]), points.map((q) => q[1]), options);
  for (const level of levels) stroke(level, { colour: theme.muted, width: 0.8, alpha: 0.45 });
  for (const [x, y] of samples) {
    const far = Math.min(plot.x.limits[1], (reach * Math.abs(y)) / x);
    stroke([[0, 0], [far, (-x / y) * far]], { colour: theme.foreground, width: 1, dash: [3, 4] });
    if (plot.width > 260) plot.text(y < 0 ? "x₂·w = 0" : "x₁·w = 0", far, (-x / y) * far, { align: "right", dx: -6, dy: y < 0 ? -11 : 11, size: 11 });
  }
  stroke(inner, { colour: theme.regimes.stable, width: 1.8 });
  const here = run.place(k);
  drawPath(plot, theme, run.transition, path, { width: 1.2, alpha: 0.3 });
  drawPath(plot, theme, run.transition, path.slice(0, here + 1), { width: 1.4 }, 2.8);
  plot.text("f ≤ 1/h", plot.x.limits[1], reach, { align: "right", dx: -8, dy: 14 });
  const [x, y] = run.weights[Math.max(0, here)] ?? [0, 0];
  plot.handle(Math.min(x, plot.x.limits[1]), y, theme.foreground);
}

// In the colours of the phases; with a radius its points too, where they are not too close to each other.
function drawPath(plot, theme, entry = Infinity, path, options, radius) {
  for (const [from, to, phase] of [[0, Math.min(path.length, entry + 1), "edge"], [entry, path.length, "stable"]]) {
    const part = from < to ? path.slice(from, to) : [];
    const colour = theme.regimes[phase];
    plot.line(part.map((q) => q[0]), part.map((q) => q[1]), { colour, ...options });
    let last = [-9, -9];
    const apart = part.filter(([x, y]) => {
      const place = [plot.toX(x), plot.toY(y)];
      if (Math.hypot(place[0] - last[0], place[1] - last[1]) < 3.5) return false;
      last = place;
      return true;
    });
    if (radius) plot.points(apart.map((q) => q[0]), apart.map((q) => q[1]), { colour, radius });
  }
}

// Curves on which the loss has a value, from the bottom to the top of the plane: it falls from left to right.
class Contours {
  constructor(maths) {
    this.maths = maths;
  }

  of(plot, margin, h) {
    const key = JSON.stringify([plot.x.limits, plot.y.limits, margin, h]);
    if (key !== this.key) {
      const { n, rows } = this.maths.samples(0, margin);
      this.samples = Array.from({ length: n }, (_, i) => [rows[2 * i], rows[2 * i + 1]]);
      this.inner = this.curve(plot, 1 / h);
      const powers = Array.from({ length: 8 }, (_, i) => 10 ** (2 - i));
      this.levels = powers.filter((level) => level > 2 / h).slice(0, 4).map((level) => this.curve(plot, level));
    }
    this.key = key;
    return this;
  }

  curve(plot, level) {
    const value = (x, y) => this.samples.reduce((sum, [a, b]) => sum + this.maths.value([a * x + b * y]), 0) / this.samples.length;
    const [bottom, top] = plot.y.limits;
    return Array.from({ length: 61 }, (_, i) => {
      const y = top + ((bottom - top) * i) / 60;
      let [low, high] = plot.x.limits.map((x, end) => x + (end ? 1 : -1) * 0.1 * (plot.x.limits[1] - plot.x.limits[0]));
      for (let j = 0; j < 14; j++) {
        const middle = (low + high) / 2;
        if (value(middle, y) > level) low = middle;
        else high = middle;
      }
      return [high, y];
    });
  }
}

// The weights as a picture: what speaks for the first digit and what for the second, with a sample of each.
function drawDigits(plot, theme, { maths, run, problem, k }) {
  const w = run.weights[Math.max(0, run.place(k))] ?? [];
  if (w.length !== maths.PIXELS) return; // still those of the points
  const none = () => ({ marks: [], note: "" });
  const wrong = run.errors[Math.min(k, run.errors.length - 1)];
  Object.assign(plot.x, { limits: [0, 1], label: `weights at step ${k}: ${wrong} images on the wrong side`, marks: none });
  Object.assign(plot.y, { limits: [0, 1], label: "", marks: none });
  plot.begin(theme);
  const [first, second] = maths.pairs[problem - 1];
  const height = plot.bottom - plot.top - 16;
  const side = Math.min(height, (plot.right - plot.left - 32) * 0.62);
  const y = plot.top + (plot.bottom - plot.top - side) / 2;
  const most = w.reduce((size, value) => Math.max(size, Math.abs(value)), 1e-12);
  const { "target 2": blue, diverged: red } = theme.regimes;
  plot.inside((c) => {
    drawPixels(c, w, plot.left + 10, y, side, (value) => [value > 0 ? blue : red, Math.abs(value) / most]);
    const small = Math.min(side * 0.42, plot.right - plot.left - side - 34);
    [[first, blue], [second, red]].forEach(([digit, colour], i) => {
      const sample = maths.firstOf(digit);
      const place = [plot.right - small - 10, i ? y + side - small : y];
      drawPixels(c, sample, ...place, small, (value) => [colour, value / 16]);
      c.strokeStyle = colour;
      c.lineWidth = 1.5;
      c.strokeRect(...place, small, small);
    });
  });
}

// Eight rows of eight squares.
function drawPixels(context, values, x, y, side, paint) {
  const size = side / 8;
  values.forEach((value, i) => {
    [context.fillStyle, context.globalAlpha] = paint(value);
    context.fillRect(x + (i % 8) * size, y + Math.floor(i / 8) * size, size - 0.5, size - 0.5);
  });
  context.globalAlpha = 1;
}

function drawEnds(plot, theme, { run, survey, h, steps, lowest }) {
  plot.y.limits = [lowest, 0.3];
  const { threshold } = survey;
  const rates = [...survey.rates.values()].sort((a, b) => a.rate - b.rate).filter(({ loss }) => loss > 0);
  const [xs, ys] = [rates.map(({ rate }) => Math.log10(rate)), rates.map(({ loss }) => Math.log10(loss))];
  plot.begin(theme, (c) => {
    if (!threshold) return;
    c.fillStyle = theme.regimes.stable;
    c.globalAlpha = 0.13;
    c.fillRect(plot.left, plot.top, plot.toX(Math.log10(threshold)) - plot.left, plot.bottom - plot.top);
  });
  plot.line(xs, ys, { colour: theme.muted, width: 1 });
  const radius = rates.length > 60 ? 2 : 3;
  for (const [phase, holds] of [["stable", (one) => !one.increases], ["edge", (one) => one.increases]]) {
    const chosen = rates.map((one, i) => [one, i]).filter(([one]) => holds(one)).map(([, i]) => i);
    plot.inside((c) => {
      c.fillStyle = theme.regimes[phase];
      for (const i of chosen) {
        c.beginPath();
        c.arc(plot.toX(xs[i]), plot.toY(ys[i]), radius, 0, 2 * Math.PI);
        c.fill();
      }
    });
  }
  if (threshold) {
    const at = Math.log10(threshold);
    plot.line([at, at], plot.y.limits, { colour: theme.regimes.stable, width: 1.8 });
  }
  const x = Math.log10(h);
  plot.line([x, x], plot.y.limits, { colour: theme.foreground, width: 1.4 });
  if (threshold) nameThreshold(plot, threshold);
  plot.handle(x, Math.log10(Math.max(run.at(steps), DEEPEST)), theme.foreground);
}

// Where there is room: below the curve on the left, or else above it on the right.
function nameThreshold(plot, threshold) {
  const [low, high] = plot.y.limits;
  const at = Math.log10(threshold);
  const left = plot.toX(at) - plot.left > 115;
  const where = left ? { align: "right", dx: -6, dy: -10 } : { dx: 6, dy: 11 };
  plot.text(`monotone to ${figures(threshold)}`, at, left ? low : high, { ...where, size: 11 });
}

function inWords({ rises, transition, losses }, { best, threshold }, h, steps, name) {
  const often = rises.length > 1 ? `${rises.length} increases, the last` : "one increase,";
  const course = rises.length ? `${often} at step ${rises.at(-1)}` : "no increase";
  const entry = transition === undefined ? `f > 1/h for all ${steps} steps` : `f ≤ 1/h from step ${transition} on`;
  const compared = threshold ? `; at ${figures(threshold)}, the largest monotone learning rate, ${brief(best.loss)}` : "";
  return [
    `${name}, h = ${figures(h)}: ${course}; ${entry}. After ${steps} steps f = ${brief(losses[steps])}${compared}.`,
    rises.length ? "edge" : "stable",
  ];
}

// A small number for people: 0.0123, or 1.2 × 10⁻⁵.
function brief(value) {
  if (value >= 1e-3) return String(Number(value.toPrecision(3)));
  return format(value, 3);
}
