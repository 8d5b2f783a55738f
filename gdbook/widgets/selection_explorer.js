// Which minimum gradient descent selects: the curve with its orbit, below it the map of start and learning rate, and beside
// that the share of the starts that reach each target.

import { Frame, unit } from "./controls.js";
import { clamp, format, powers, symbol } from "./drawing.js";
import { orbitOf, tangentSteps } from "./regimes.js";
import { SelectionPicture, SIZE } from "./selection_picture.js";
import { FARTHEST, View, isView } from "./view.js";

const SMALLEST = 1e-9; // learning rate on a logarithmic axis
const TANGENTS = 40;
const SAMPLES = 1200;
const STRIP = 9; // pixels

export default {
  async render({ model, el, url }) {
    // the same text that the workers run
    const maths = await import(url("worker"));
    const p = model.get("_parameters");
    const names = model.get("_targets");
    const minima = model.get("_minima");
    const steps = model.get("steps");
    const logarithmic = model.get("_logarithmic");
    const [toAxis, fromAxis] = logarithmic ? [Math.log10, (y) => 10 ** y] : [(h) => h, (y) => y];
    const onAxes = ({ limits, rates }) => [...limits, ...rates.map(toAxis)];
    const reach = [-FARTHEST, FARTHEST];
    const smallest = logarithmic ? SMALLEST : 0;
    const frame = new Frame(
      { model, el },
      "SelectionExplorer",
      {
        learning_rate: [smallest, FARTHEST],
        start: reach,
        limits: [reach, reach],
        rates: Array(2).fill([smallest, FARTHEST]),
      },
      (name, ends) => (name === "limits" ? isView([...ends, 0, 1]) : name !== "rates" || isView([0, 1, ...ends.map(toAxis)])),
    );
    const variable = symbol(maths.variables[0]);
    const rateAxis = () => ({ limits: [0, 1], label: "learning rate h", marks: logarithmic ? powers : undefined });
    const curve = frame.plot({
      label: `${model.get("_name")}: the curve with tangent steps. Arrow keys move the start.`,
      x: { limits: [0, 1], label: variable },
      y: { limits: [0, 1], label: `f(${variable}), tangent steps` },
      interactive: true,
    });
    const map = frame.plot({
      label:
        "Map: which target each start reaches at each learning rate. Left and right arrow keys move the start, up and down " +
        "the learning rate, plus and minus or the wheel with Ctrl zoom, w a s d move the view, Shift and the mouse choose a part.",
      x: { limits: [0, 1], label: `start ${variable}₀` },
      y: rateAxis(),
      interactive: true,
      grid: false,
    });
    const path = frame.plot({
      label: "Iterates against the step.",
      x: { limits: [0, 1], label: "step k" },
      y: { limits: model.get("limits"), label: `${variable}ₖ` },
    });
    const shares = frame.plot({
      label: "Share of the starts in view that reach each target. Arrow keys move the learning rate.",
      x: { limits: [0, 1], label: "share of these starts" },
      y: rateAxis(),
      interactive: true,
      grid: false,
    });

    const view = new MapView(frame, map, { toAxis, fromAxis, smallest });
    const digits = () => clamp(Math.ceil(3.3 - Math.log10(view.height)), 3, 12); // that count, of a learning rate
    const decimals = () => clamp(Math.ceil(3 - Math.log10(view.width)), 2, 12);
    const { start: first, limits: home, rates: homeRates } = frame.initial;
    frame.slider({ name: "learning_rate", label: "Learning rate h", limits: homeRates, log: logarithmic, digits });
    frame.slider({ name: "start", label: `Start ${variable}₀`, limits: [Math.min(first, home[0]), Math.max(first, home[1])] });
    const rounded = (y) => clamp(Number(fromAxis(y).toPrecision(digits())), smallest, FARTHEST);
    const place = (x) => clamp(Number(x.toFixed(decimals())), ...reach);
    const moveStart = (moves) => frame.set({ start: place(frame.get("start") + moves * unit([0, view.width])) });
    const moveRate = (moves) => {
      if (moves) frame.set({ learning_rate: rounded(toAxis(frame.get("learning_rate")) + moves * unit([0, view.height])) });
    };
    view.buttons();
    frame.button("Reset", () => frame.reset());
    const colours = model.get("_colours");
    frame.legend([
      ...names.map((name, i) => [name, colours[`target ${i + 1}`]]),
      [`none in ${steps} steps`, colours.chaotic],
      ["diverges", colours.diverged],
    ]);
    frame.drag(curve, {
      grab: (px, py) => Math.hypot(px - curve.toX(frame.get("start")), py - heightOnCurve()) < 24,
      move: (px) => frame.set({ start: place(curve.fromX(px)) }),
    });
    frame.keys(curve, (dx, dy) => moveStart(dx + dy));
    let held; // where the two lines cross, or one of them
    const move = (x, y) => {
      const [start, rate] = [{ start: place(x) }, { learning_rate: rounded(y) }];
      frame.set(held === "start" ? start : held === "rate" ? rate : { ...start, ...rate });
    };
    view.pointer({
      near: (px, py, touch) => {
        const [dx, dy] = [Math.abs(px - map.toX(frame.get("start"))), Math.abs(py - rateOn(map))];
        const inside = px > map.left && px < map.right && py > map.top && py < map.bottom;
        const line = !touch && inside && Math.min(dx, dy) < 6 && (dx < dy ? "start" : "rate");
        held = Math.hypot(dx, dy) < 24 ? "both" : line;
        return Boolean(held);
      },
      drag: move,
      tap: move,
    });
    frame.keys(
      map,
      (dx, dy) => {
        if (dx) moveStart(dx);
        moveRate(dy);
      },
      view.keys(),
    );
    frame.drag(shares, {
      grab: (px, py) => Math.abs(py - rateOn(shares)) < 24 && py > shares.top - 12 && py < shares.bottom + 12,
      move: (_, py) => frame.set({ learning_rate: rounded(shares.fromY(py)) }),
    });
    frame.keys(shares, (dx, dy) => moveRate(dx + dy));

    const rateOn = (plot) => plot.toY(toAxis(frame.get("learning_rate")));
    const heightOnCurve = () => clamp(curve.toY(maths.value([frame.get("start")], p)), curve.top, curve.bottom);
    const picture = new SelectionPicture(url("worker"), frame.timings, () => frame.request());
    frame.removals.push(() => picture.remove());
    const lines = thresholds(minima, toAxis);
    let [asked, seen, known] = [];
    let [now, along] = [{}, {}];
    frame.report = () => ({ ...now, shares: along.shares, counts: picture.shown ? picture.counts() : undefined });
    frame.draw = (theme) => {
      const { learning_rate: h, start, limits, rates } = frame.state();
      if (asked !== JSON.stringify([limits, rates])) {
        asked = JSON.stringify([limits, rates]);
        picture.ask({ limits, rates, logarithmic, p, steps });
      }
      if (seen !== JSON.stringify([h, start])) {
        seen = JSON.stringify([h, start]);
        now = followed(maths, start, h, p, steps);
      }
      if (known !== JSON.stringify([h, limits])) {
        known = JSON.stringify([h, limits]);
        along = across(maths, limits, h, p, steps);
      }
      const hues = fateColours(theme, names.length);
      picture.paint(theme, hues);
      const [colour, height] = [hues[now.fate], toAxis(h)];
      [curve.x.limits, map.x.limits] = [limits, limits];
      map.y.limits = shares.y.limits = rates.map(toAxis);
      const fixed = model.get("_value_limits");
      const values = home.join() === limits.join() ? () => fixed : model.get("_clipped") ? within(fixed) : (ends) => ends;
      drawCurve(curve, theme, maths, { p, start, minima, names, hues, values, ...now, ...along });
      drawRates(map, theme, { image: picture.map, box: picture.shown && onAxes(picture.shown), lines, height });
      map.line([start, start], map.y.limits, { colour: theme.foreground, width: 1.2 });
      nameThresholds(map, lines, height);
      if (now.outcome.label === "converged") map.points([now.end], [height], { colour, radius: 5 });
      if (view.shows(start, height)) map.handle(start, height, colour);
      view.drawSelection(theme);
      drawPath(path, theme, now, colour);
      const box = picture.shown && [0, 1, ...onAxes(picture.shown).slice(2)];
      drawRates(shares, theme, { image: picture.shares, box, lines, height });
      if (view.shows(limits[0], height)) shares.handle(1, height, theme.foreground);
      const here = `At h = ${plain(h, digits())}${stability(h, minima, names)} ${sharesInWords(along.shares, names)}`;
      frame.say(`${inWords(now, names, variable, steps)}. ${here}.`, fateNames(names.length)[now.fate]);
    };
    frame.request();
    return () => frame.remove();
  },
};

// The view of a map whose vertical axis may be logarithmic: there coordinates are logarithms.
class MapView extends View {
  constructor(frame, plot, { toAxis, fromAxis, smallest }) {
    const bottom = smallest ? toAxis(smallest) : 0;
    super(frame, plot, {
      allowed: ([x0, x1, y0, y1]) => [x0, x1, Math.max(bottom, y0), y1 + Math.max(0, bottom - y0)],
      centre: ([x0, x1, y0, y1]) => {
        const [x, y] = [frame.get("start"), toAxis(frame.get("learning_rate"))];
        return this.shows(x, y) ? [x, y] : [(x0 + x1) / 2, (y0 + y1) / 2];
      },
    });
    Object.assign(this, { toAxis, fromAxis });
  }

  get limits() {
    return [...this.frame.get("limits"), ...this.frame.get("rates").map(this.toAxis)];
  }

  look(wished) {
    const limits = this.allowed(wished);
    if (!isView(limits) || this.fromAxis(limits[3]) > FARTHEST) return;
    this.frame.set({ limits: limits.slice(0, 2), rates: limits.slice(2).map(this.fromAxis) });
  }

  shows(x, y) {
    const [x0, x1, y0, y1] = this.limits;
    return x >= x0 && x <= x1 && y >= y0 && y <= y1;
  }
}

function followed(maths, start, h, p, steps) {
  const outcome = maths.outcomeOf(maths.step, [start], h, p, steps);
  const orbit = orbitOf(maths.step, start, h, p, outcome.step);
  const end = orbit.at(-1);
  const factor = 1 - h * maths.hessian([end], p)[0];
  return { h, outcome, orbit, end, factor, fate: maths.fateOf(start, h, p, steps) };
}

// What becomes of all starts in view, and how many of them have each fate.
function across(maths, limits, h, p, steps) {
  const fates = maths.fatesAlong(limits, SIZE[0], h, p, steps);
  const shares = Array(6).fill(0);
  for (const fate of fates) shares[fate] += 1 / fates.length;
  return { fates, shares };
}

function fateNames(count) {
  return [0, 1, 2, 3].map((i) => (i < count ? `target ${i + 1}` : "chaotic")).concat("chaotic", "diverged");
}

function fateColours(theme, count) {
  return fateNames(count).map((name) => theme.regimes[name]);
}

function drawCurve(plot, theme, maths, { p, start, minima, names, hues, values, fate, orbit, fates }) {
  const [low, high] = plot.x.limits;
  const xs = Float64Array.from({ length: SAMPLES + 1 }, (_, i) => low + ((high - low) * i) / SAMPLES);
  const heights = xs.map((x) => maths.value([x], p));
  plot.y.limits = values(around(heights));
  plot.begin(theme);
  // parts of the curve that are targets
  for (const [own, from, to] of runs(xs.map((x) => maths.fateAt(x, p))))
    if (own < names.length)
      plot.line(xs.subarray(from, to), heights.subarray(from, to), { colour: hues[own], width: 7, alpha: 0.55 });
  const seen = orbit.filter((x) => Math.abs(x) < 1e9).slice(0, TANGENTS + 1);
  tangentSteps(plot, theme, maths, p, seen, theme.regimes["gradient descent"], SAMPLES);
  drawStrip(plot, fates, hues);
  nameMinima(plot, (x) => maths.value([x], p), minima, names, hues);
  if (start >= low && start <= high) plot.handle(start, clamp(maths.value([start], p), ...plot.y.limits), hues[fate]);
}

function nameMinima(plot, height, minima, names, hues) {
  const [low, high] = plot.x.limits;
  let free = -Infinity; // where the next name finds room
  for (const [x, number] of minima) {
    plot.points([x], [height(x)], { colour: hues[number], radius: 5 });
    if (x < low || x > high || plot.toX(x) < free) continue;
    const half = 3.3 * names[number].length;
    const middle = clamp(plot.toX(x), plot.left + half + 4, plot.right - half - 4);
    plot.text(names[number], plot.fromX(middle), height(x), { align: "center", dy: 15 });
    free = middle + 2 * half + 8;
  }
}

// Runs of equal numbers in a list: [number, from, to].
function runs(list) {
  const found = [];
  for (let from = 0, to = 1; from < list.length; to++) {
    if (list[to] === list[from]) continue;
    found.push([list[from], from, to]);
    from = to;
  }
  return found;
}

// As value_limits of live_figure.py.
function around(heights) {
  const finite = heights.filter(Number.isFinite);
  const [low, high] = [finite.reduce((a, b) => Math.min(a, b), Infinity), finite.reduce((a, b) => Math.max(a, b), -Infinity)];
  if (!(high > low)) return [low - 1, low + 1];
  return [low - 0.3 * (high - low), high + 0.02 * (high - low)];
}

// What is left of an interval within a given one; all of it if that is nothing.
function within([low, high]) {
  return ([from, to]) => (from < high && to > low ? [Math.max(low, from), Math.min(high, to)] : [from, to]);
}

// Where the starts end at the learning rate in hand, along the bottom of the curve.
function drawStrip(plot, fates, hues) {
  const width = (plot.right - plot.left) / fates.length;
  plot.inside((c) => {
    for (const [fate, from, to] of runs(fates)) {
      c.fillStyle = hues[fate];
      c.fillRect(plot.left + from * width, plot.bottom - STRIP, (to - from) * width, STRIP);
    }
  });
}

// What has learning rates along its vertical axis: a picture that fills `box`, dashed lines, and the present one.
function drawRates(plot, theme, { image, box, lines, height }) {
  plot.begin(theme, () => {
    if (box) plot.picture(image, box);
  });
  for (const { threshold } of lines) {
    plot.line(plot.x.limits, [threshold, threshold], { colour: theme.background, width: 3.5, alpha: 0.8 });
    plot.line(plot.x.limits, [threshold, threshold], { colour: theme.foreground, width: 1.4, dash: [5, 4] });
  }
  plot.line(plot.x.limits, [height, height], { colour: theme.foreground, width: 1.2 });
}

// Where minima lose their stability, at h = 2/f″, each height once.
function thresholds(minima, toAxis) {
  const found = minima.filter(([, , sharpness]) => sharpness > 0);
  const all = found.map(([x, , sharpness]) => ({ threshold: toAxis(2 / sharpness), name: `2/f″(${plain(x, 3)})` }));
  return all.filter(({ threshold }, i) => all.findIndex((one) => one.threshold === threshold) === i);
}

// Above their lines; below where the line of the learning rate or the edge is in the way.
function nameThresholds(plot, lines, height) {
  for (const { threshold, name } of lines) {
    if (threshold <= plot.y.limits[0] || threshold >= plot.y.limits[1]) continue;
    const over = plot.toY(threshold) - plot.toY(height); // how far the line of the learning rate is above this one
    const dy = plot.toY(threshold) - plot.top < 20 || (over > 0 && over < 20) ? 11 : -10;
    plot.text(name, plot.x.limits[1], threshold, { align: "right", dx: -6, dy, size: 11 });
  }
}

function drawPath(plot, theme, { outcome, orbit }, colour) {
  const settles = outcome.label === "converged" || outcome.label === "diverged";
  const shown = (settles && [20, 50].find((n) => n > outcome.step)) || 100;
  const seen = orbit.slice(0, shown + 1).filter((x) => Math.abs(x) < 1e9);
  plot.x.limits = [0, shown];
  plot.begin(theme);
  const ks = seen.map((_, k) => k);
  plot.line(ks, seen, { colour: theme.regimes["gradient descent"], width: 1, alpha: shown > 50 ? 0.5 : 1 });
  plot.points(ks, seen, { colour, radius: shown > 50 ? 2 : 2.5 });
}

function inWords({ h, outcome, fate, end, factor }, names, variable, steps) {
  const { label, step, period } = outcome;
  const at = `${variable} = ${format(Math.abs(end) < 5e-4 ? 0 : end, 3)}`;
  const after = `after ${step} step${step === 1 ? "" : "s"}`;
  if (label === "diverged") return `Diverges, beyond 10⁶ ${after}`;
  if (label === "periodic") return `Ends in a cycle of ${period} points`;
  if (label === "bounded") return `Bounded, and has not converged after ${steps} steps`;
  if (h === 0) return "Does not move";
  if (Math.abs(factor) > 1 + 1e-9) return `Rests on an unstable point, ${at}, ${after}`;
  if (fate < names.length) return `Reaches ${names[fate]}, ${at}, ${after}`;
  return `Comes to rest at ${at}, at none of the targets, ${after}`;
}

// " flat and wide are stable, sharp is not;": a target is while one of its minima is.
function stability(h, minima, names) {
  const known = names.map((name, i) => [name, minima.filter(([, number]) => number === i)]).filter(([, own]) => own.length);
  const stable = ([, own]) => own.some(([, , sharpness]) => h * sharpness < 2);
  const [yes, no] = [known.filter(stable), known.filter((target) => !stable(target))].map((list) => list.map(([name]) => name));
  if (!known.length) return ",";
  const is = (list) => (list.length === 1 ? "is" : "are");
  if (!no.length) return ` ${listed(yes)} ${is(yes)} stable;`;
  if (!yes.length) return ` ${listed(no)} ${is(no)} unstable;`;
  return ` ${listed(yes)} ${is(yes)} stable, ${listed(no)} ${is(no)} not;`;
}

function listed(words) {
  return words.length > 1 ? `${words.slice(0, -1).join(", ")} and ${words.at(-1)}` : words[0];
}

function sharesInWords(shares, names) {
  const verbs = [...names.map((name) => `reach ${name}`), "reach none", "diverge"];
  const kept = [...shares.slice(0, names.length), ...shares.slice(4)];
  const parts = kept.map((part, i) => [part, verbs[i]]).filter(([part]) => part > 0);
  if (parts.length === 1) return `all starts in view ${parts[0][1]}`;
  return `of the starts in view ${listed(parts.map(([part, verb]) => `${percent(part)} ${verb}`))}`;
}

function percent(part) {
  if (part < 0.01) return "<1\u00a0%";
  return part > 0.99 ? ">99\u00a0%" : `${Math.round(100 * part)}\u00a0%`;
}

// A number with so many digits that count, without zeros at the end.
function plain(value, digits) {
  return String(Number(value.toPrecision(digits))).replace("-", "−");
}
