// Gradient descent on a formula that the reader types: the graph with tangent steps, or level lines with what becomes of every
// start; beside it the bifurcation diagram. The formula may come from an address that anybody wrote: it is read by formula.js
// alone, and stands in the page as text alone.

import { BasinPicture, LABEL_COLOURS } from "./basin_picture.js";
import { DiagramPicture } from "./bifurcation_picture.js";
import { Frame, element, unit } from "./controls.js";
import { eigenvalues, orbitInPlane, words as wordsInPlane } from "./descent_explorer_2d.js";
import { clamp, format, short } from "./drawing.js";
import { levelLines, strokeLevels } from "./levels.js";
import { orbitOf, regime, tangentSteps } from "./regimes.js";
import { FARTHEST, View, isView } from "./view.js";

const LONGEST = 500; // characters of a formula, as in formula.js
const RATES = [1e-4, 100];
const SIDE = 10; // how far the sliders take the start
const WIDTHS = [0.01, 100];
const SIZE = [640, 480]; // pixels of the diagram
const PIXELS = 400; // of the basins, along each side
const [STEPS, BASIN_STEPS, OUTCOME_STEPS] = [60, 200, 4096];
const LENGTHY = 80; // characters from which on the page itself computes less
const OTHERS = [0.31, 0.81]; // where the other starts of the diagram are between the ends of the axis
const MODIFIED = "modified flow 1"; // a colour
const HINT = "Numbers, x and y, + − * / ^, brackets, and functions such as sin, exp, log, sqrt, abs, tanh.";
const EXAMPLES = [
  ["Double well", "x^4/4 - x^2/2", { learning_rate: 1.2, start: [0.3, 1], limits: [-2, 2, -2, 2] }],
  ["Two scales", "x^2/2 + 0.05 sin(x/0.05)", { learning_rate: 0.3, start: [1.5, 1], limits: [-2, 2, -2, 2] }],
  ["A product of two", "(1 - x y)^2/2", { learning_rate: 0.5, start: [0.3, 2], limits: [-3, 3, -3, 3] }],
  ["A curved valley", "2(1 - x)^2 + (y - x^2)^2/2", { learning_rate: 0.21, start: [-1.5, 2], limits: [-3, 3, -2, 4] }],
  ["Four pits", "(x^2 + y - 11)^2 + (x + y^2 - 7)^2", { learning_rate: 0.012, start: [0, 0], limits: [-6, 6, -6, 6] }],
];

export default {
  async render({ model, el, url }) {
    const maths = await import(url("worker")); // the same text that the workers run
    const typed = new Typed(maths.parse);
    const limits = {
      formula: LONGEST,
      learning_rate: RATES,
      start: Array(2).fill([-FARTHEST, FARTHEST]),
      limits: Array(4).fill([-FARTHEST, FARTHEST]),
    };
    const accept = (name, value) => (name === "formula" ? typed.read(value) : name !== "limits" || isView(value));
    const frame = new Frame({ model, el }, "OwnObjective", limits, accept);
    typed.begin(model.get("formula"));
    const dimension = () => typed.good?.formula.variables.length ?? 1;

    const take = (text, settings = {}) => {
      if (typed.read(text)) frame.set({ formula: typed.good.written, ...settings });
      frame.request();
    };
    const field = new Field(frame, take);
    frame.arrived = () => field.write(typed.text);
    const main = frame.plot({
      label: "",
      x: { limits: [-1, 1], label: "x" },
      y: { limits: [-1, 1], label: "" },
      interactive: true,
    });
    const diagram = frame.plot({
      label: "Bifurcation diagram: late iterates against the learning rate. Arrow keys move the learning rate.",
      x: { limits: [0, 1], label: "learning rate h" },
      y: { limits: [-1, 1], label: "x for late steps" },
      interactive: true,
      grid: false,
    });

    // seen from one variable a view is an interval; the other one follows its width
    const allowed = ([x0, x1, y0, y1]) => {
      if (dimension() === 2) return [x0, x1, y0, y1];
      const [, , low, high] = view.limits;
      const [middle, half] = [(low + high) / 2, ((high - low) / 2) * ((x1 - x0) / view.width)];
      return [x0, x1, middle - half, middle + half];
    };
    const view = new View(frame, main, { allowed });
    frame.slider({ name: "learning_rate", label: "Learning rate h", log: true, digits: () => 4 });
    const starts = ["x", "y"].map((variable, i) => {
      const write = (value) => frame.set({ start: frame.get("start").with(i, value) });
      const read = () => frame.get("start")[i];
      return frame.slider({ name: variable, label: `Start ${variable}₀`, limits: [-SIDE, SIDE], read, write });
    });
    const width = { read: () => view.width, write: (value) => view.zoom(value / view.width) };
    starts[1].before(frame.slider({ name: "width", label: "Width of view", limits: WIDTHS, log: true, ...width }));

    view.buttons();
    frame.button("Reset", () => {
      typed.read(frame.initial.formula);
      field.write(typed.text);
      frame.reset();
      frame.request();
    });
    const copies = [field.copier("Copy as Python", () => inPython(typed.good.formula, frame.state()))];
    const link = () => location.href.replace(/#.*$/s, "") + frame.address;
    if (frame.key) copies.push(field.copier("Copy link", link));
    const colours = model.get("_colours");
    frame.legend([
      ["converges", colours.stable],
      ["periodic", colours.periodic],
      ["chaotic, or undecided", colours.chaotic],
      ["diverges", colours.diverged],
    ]);

    const setStart = (x, y) => frame.set({ start: [x, y].map((value) => clamp(value, -FARTHEST, FARTHEST)) });
    const moveTo = (x, y) => setStart(Number(x.toPrecision(6)), dimension() === 2 ? Number(y.toPrecision(6)) : frame.get("start")[1]);
    const height = () => (dimension() === 2 ? frame.get("start")[1] : typed.good?.formula.value([frame.get("start")[0]]));
    const nearStart = (px, py) => {
      const at = clamp(main.toY(height()), main.top, main.bottom);
      return Math.hypot(px - main.toX(frame.get("start")[0]), py - at) < 24;
    };
    view.pointer({ near: nearStart, drag: moveTo, tap: moveTo });
    const moveStart = (dx, dy) => {
      const [[x, y], plane] = [frame.get("start"), dimension() === 2];
      setStart(x + (plane ? dx : dx + dy) * view.width * 0.005, plane ? y + dy * view.height * 0.005 : y);
    };
    frame.keys(main, moveStart, view.keys());
    const highest = () => diagram.x.limits[1];
    const setRate = (h) => frame.set({ learning_rate: clamp(Number(h.toPrecision(4)), ...RATES) });
    frame.drag(diagram, {
      grab: (px, py, event) => {
        const inside = px > diagram.left && px < diagram.right && py > diagram.top && py < diagram.bottom;
        return inside && (event?.pointerType === "mouse" || Math.abs(px - diagram.toX(frame.get("learning_rate"))) < 24);
      },
      move: (px) => setRate(diagram.fromX(px)),
    });
    frame.keys(diagram, (dx, dy) => setRate(frame.get("learning_rate") + unit([0, highest()]) * (dx + dy)));

    const picture = new DiagramPicture(url("worker"), SIZE, maths, {}, () => frame.request());
    frame.removals.push(() => picture.remove());
    let basin; // only formulas of two variables need one
    const basins = () => {
      basin ??= new BasinPicture({
        address: url("worker"), loop: maths, rules: maths.rules, size: PIXELS, timings: frame.timings, changed: () => frame.request(),
      });
      return basin;
    };
    frame.removals.push(() => basin?.remove());
    let known;

    let now = {};
    frame.report = () => ({
      ...now,
      text: typed.text,
      fault: typed.fault,
      columns: picture.columns(),
      basin: dimension() === 2 ? basin?.counts() : undefined,
    });
    frame.draw = (theme) => {
      if (typed.follow(frame.get("formula"))) field.write(typed.text);
      field.show(typed.fault, typed.text);
      for (const button of copies) button.disabled = !typed.good || typed.fault !== undefined;
      frame.plots.classList.toggle("live-stale", typed.fault !== undefined);
      if (!typed.good) return frame.say("There is no picture before there is a formula.", "edge");
      const { formula, text } = typed.good;
      const { learning_rate: h, limits, start: both } = frame.state();
      const start = both.slice(0, dimension());
      if (dimension() === 1) starts[1].remove();
      else if (!starts[1].isConnected) frame.sliders.append(starts[1]);
      maths.use({ text });
      const plan = { formula, text, h, limits, start, theme };
      const inView = JSON.stringify([text, limits]);
      if (known?.inView !== inView) known = { inView, ...landscape(formula, limits) };
      const seen = dimension() === 1 ? drawLine(main, plan, known, maths) : drawPlane(main, plan, known, maths, basins());
      view.drawSelection(theme);
      drawDiagram(diagram, plan, known, picture);
      const { variables, python } = formula;
      now = { ...seen.described, start, variables, python, rates: diagram.x.limits, heights: main.y.limits };
      const nowhere = known.nowhere ? "The formula has no value in this view. " : "";
      const words = typed.fault ? `Still the picture of ${shortened(text)}. ${seen.words}` : seen.words + seen.facts;
      frame.say(nowhere + words, seen.colour);
    };
    frame.request();
    return () => frame.remove();
  },
};

// What is typed: the text, what is wrong with it, and what was read last: `good`, with the formula as it was typed and as it
// is `written` in the state, where Python reads it too.
class Typed {
  constructor(parse) {
    this.parse = parse;
  }

  // Whether a text is a formula. If it is not, the one before stays good.
  read(text) {
    this.text = text;
    this.fault = undefined;
    try {
      const formula = this.parse(text);
      this.good = { formula, text, written: formula.text.length > LONGEST ? text : formula.text };
    } catch (error) {
      if (!Number.isInteger(error.position)) throw error; // that is not the reader's mistake
      this.fault = { message: error.message, position: error.position };
    }
    return !this.fault;
  }

  // The figure's own formula, beside which one from the address may have been read before.
  begin(own) {
    const shared = this.text;
    this.known = own;
    if (!this.good) this.read(own);
    if (shared !== undefined) this.read(shared);
  }

  // Reads the state's formula if somebody else has changed it; whether that was so.
  follow(formula) {
    const changed = formula !== this.known && formula !== this.good?.written;
    this.known = formula;
    if (changed) this.read(formula);
    return changed;
  }
}

let fields = 0; // of all figures of the page, for names that differ

// The line with the formula above the plots, the line with its fault, and what is copied where the clipboard is refused.
class Field {
  constructor(frame, take) {
    this.frame = frame;
    fields += 1;
    const fault = `live-fault-${fields}`;
    const row = element("div", { className: "live-formula" });
    const label = row.appendChild(element("label"));
    label.append(element("span", { textContent: "f =" }));
    this.input = label.appendChild(element("input", { type: "text", spellcheck: false, autocomplete: "off" }));
    this.input.setAttribute("autocapitalize", "off");
    this.input.setAttribute("autocorrect", "off"); // Safari
    this.input.setAttribute("aria-label", "Formula, f(x) or f(x, y)");
    this.input.setAttribute("aria-describedby", fault);
    this.input.addEventListener("input", () => take(this.input.value));
    this.examples(row, take);
    this.line = element("p", { className: "live-fault", id: fault });
    this.line.setAttribute("aria-live", "polite");
    frame.root.prepend(row, this.line);
    this.copied = frame.root.appendChild(element("textarea", { className: "live-copied", readOnly: true, rows: 6, hidden: true }));
    this.copied.setAttribute("aria-label", "Text to copy");
    this.copied.addEventListener("blur", () => (this.copied.hidden = true));
  }

  examples(row, take) {
    const choice = row.appendChild(element("select"));
    choice.setAttribute("aria-label", "Examples");
    choice.append(...["Examples", ...EXAMPLES.map(([name]) => name)].map((name) => element("option", { textContent: name })));
    choice.addEventListener("change", () => {
      const [, formula, settings] = EXAMPLES[choice.selectedIndex - 1] ?? [];
      if (!formula) return;
      this.input.value = formula;
      take(formula, settings);
    });
    // not at once: arrow keys go from one example to the next
    choice.addEventListener("blur", () => (choice.selectedIndex = 0));
  }

  write(text) {
    this.input.value = text;
    this.shown = undefined;
  }

  // The message, and the text around its place with a mark there.
  show(fault, text) {
    if (this.shown === undefined) this.input.value = text;
    const shown = JSON.stringify([fault, fault && text]);
    if (shown === this.shown) return;
    this.shown = shown;
    this.input.setAttribute("aria-invalid", fault !== undefined);
    this.line.classList.toggle("live-hint", !fault);
    if (!fault) return this.line.replaceChildren(HINT);
    const { message, position } = fault;
    const before = `${position > 24 ? "…" : ""}${text.slice(Math.max(0, position - 24), position)}`;
    const [wrong = "▲"] = text.slice(position, position + 2); // a whole character, or a mark behind the last one
    const place = element("code");
    place.append(before, element("mark", { textContent: wrong }), text.slice(position + wrong.length, position + 16));
    const at = position < text.length ? `At character ${position + 1}: ` : "";
    this.line.replaceChildren(`${at}${message}${/[?.]$/.test(message) ? "" : "."} `, place);
  }

  // A button that copies what `text()` gives, or shows it selected where that is refused.
  copier(label, text) {
    let timer;
    const button = this.frame.button(label, async () => {
      const wanted = text();
      try {
        await navigator.clipboard.writeText(wanted);
        button.textContent = "Copied";
        clearTimeout(timer);
        timer = setTimeout(() => (button.textContent = label), 1500);
      } catch {
        this.copied.hidden = false;
        this.copied.value = wanted;
        this.copied.focus();
        this.copied.select();
      }
    });
    return button;
  }
}

// The lines that do in Python what the figure does.
function inPython({ variables, python: formula }, { start, learning_rate: h }) {
  const from = variables.length === 1 ? start[0] : `(${start.join(", ")})`;
  return [
    "import gdbook as gd",
    "",
    `f = gd.Objective(${JSON.stringify(formula)}, "${variables.join(" ")}")`,
    `orbit = gd.gradient_descent(f, ${from}, ${h}, steps=${OUTCOME_STEPS})`,
    "print(orbit.outcome)",
    "",
  ].join("\n");
}

// What is known of the part of the landscape in view: the sharpness of the lowest place, whether there is any place where the
// formula has a value, and heights or level lines.
function landscape(formula, limits) {
  if (formula.variables.length === 2) {
    const seen = placesOf(formula, limits);
    return { nowhere: seen.length === 0, sharpness: flattest(formula, seen), segments: levelLines(formula.value, {}, limits) };
  }
  const [low, high] = limits;
  const xs = Float64Array.from({ length: 401 }, (_, i) => low + ((high - low) * i) / 400);
  const values = xs.map((x) => formula.value([x]));
  let x = xs[values.reduce((best, value, i) => (value < values[best] || Number.isNaN(values[best]) ? i : best), 0)];
  for (let k = 0; k < 5; k++) {
    const [slope, curvature] = [formula.gradient([x])[0], formula.hessian([x])[0]];
    if (curvature > 0) x = clamp(x - slope / curvature, low, high);
  }
  const sharpness = formula.hessian([x])[0];
  const modified = (h) => xs.map((at, i) => values[i] + (h / 4) * formula.gradient([at])[0] ** 2);
  const nowhere = !values.some(Number.isFinite);
  return { nowhere, sharpness, origin: `f″(${format(x, 2)})`, xs, heights: spread(values), modified };
}

// Values and points of a grid, the lowest first, where there are values.
function placesOf({ value }, [x0, x1, y0, y1]) {
  const points = Array.from({ length: 900 }, (_, k) => [
    x0 + ((x1 - x0) * ((k % 30) + 0.5)) / 30, y0 + ((y1 - y0) * (Math.floor(k / 30) + 0.5)) / 30,
  ]);
  const finite = points.map((x) => [value(x), x]).filter(([height]) => Number.isFinite(height));
  return finite.sort(([a], [b]) => a - b);
}

// Smallest positive sharpness among the lowest places.
function flattest({ hessian }, places) {
  const sharpness = places.slice(0, 9).map(([, x]) => eigenvalues(hessian(x))[1]);
  return Math.min(...sharpness.filter((value) => value > 1e-6));
}

// Ends of an axis on which all but the most extreme values have room.
function spread(values) {
  const sorted = values.filter((value) => Math.abs(value) < 1e12).sort();
  if (sorted.length === 0) return [-1, 1];
  const [low, high] = [0.01, 0.98].map((share) => sorted[Math.round(share * (sorted.length - 1))]);
  const room = 0.15 * Math.max(high - low, 1e-6 * (1 + Math.abs(low)));
  return [low - room, high + room];
}

function drawLine(plot, { formula, h, limits, start: [start], theme }, known, { outcomeOf }) {
  const { sharpness, origin } = known;
  const now = regime(formula, outcomeOf, {}, { start, h, sharpness, origin: sharpness > 0 ? origin : "" });
  const orbit = orbitOf(formula.step, start, h, {}, STEPS);
  describePlot(plot, "f(x), tangent steps; dashed: f + (h/4) f′²", "The graph with tangent steps and the modified objective. Arrow keys move the start");
  plot.grid = true;
  [plot.x.limits, plot.y.limits] = [limits.slice(0, 2), known.heights];
  plot.begin(theme);
  plot.line(known.xs, known.modified(h), { colour: theme.regimes[MODIFIED], width: 1.8, dash: [6, 4] });
  const near = orbit.filter((x) => Math.abs(x) < 1e9).slice(0, 41);
  tangentSteps(plot, theme, formula, {}, near, theme.regimes["gradient descent"]);
  plot.handle(start, formula.value([start]), theme.regimes[now.colour]);

  const end = ended(formula, now.outcome, [start], h);
  const words = end.lost ?? now.words;
  if (!end.limit) return { words, facts: "", colour: now.colour, described: { outcome: now.outcome, orbit } };
  const [x] = end.limit;
  const gradient = [...formula.gradient([x])];
  const values = [formula.hessian([x])[0]];
  const facts = ` At x = ${format(Math.abs(x) < 5e-4 ? 0 : x, 3)}: f′ = ${format(gradient[0], 3)}, f″ = ${format(values[0], 3)}, 2/h = ${short(2 / h)}.`;
  const described = { outcome: now.outcome, orbit, limit: [x], gradient, eigenvalues: values };
  return { words, facts, colour: now.colour, described };
}

function drawPlane(plot, { formula, text, h, limits, start, theme }, known, { outcomeOf }, basin) {
  const wish = JSON.stringify([text, h, limits]);
  if (basin.wish !== wish) {
    if (text.length > LENGTHY) basin.coarse = 0;
    basin.ask(limits, h, { text }, BASIN_STEPS);
  }
  basin.wish = wish;
  const outcome = outcomeOf(formula.step, start, h, {}, OUTCOME_STEPS);
  const orbit = orbitInPlane(formula.step, start, h, {}, STEPS);
  const colour = theme.regimes["gradient descent"];
  describePlot(plot, "y", "Level lines, orbit and what becomes of every start. Arrow keys move the start");
  plot.grid = false;
  [plot.x.limits, plot.y.limits] = [limits.slice(0, 2), limits.slice(2)];
  plot.begin(theme, () => {
    plot.picture(basin.image(theme), basin.limits);
    strokeLevels(plot, known.segments, theme);
  });
  const [xs, ys] = [0, 1].map((i) => orbit.map((x) => x[i]));
  plot.line(xs, ys, { colour: theme.background, width: 4, alpha: 0.7 });
  plot.line(xs, ys, { colour, width: 1.8 });
  plot.points(xs, ys, { colour, radius: 3.2 });
  plot.inside(() => plot.handle(...start, theme.foreground));

  const end = ended(formula, outcome, start, h);
  const words = end.lost ?? wordsInPlane(outcome, h, start, formula, {}, "", end.limit, "");
  const named = LABEL_COLOURS[outcome.label];
  if (!end.limit) return { words, facts: "", colour: named, described: { outcome, orbit } };
  const gradient = [...formula.gradient(end.limit)];
  const values = eigenvalues(formula.hessian(end.limit));
  const [low, high] = values.map((value) => format(Math.abs(value) < 1e-9 ? 0 : value, 3));
  const facts = ` There |∇f| = ${format(Math.hypot(...gradient), 3)}, Hessian eigenvalues ${low} and ${high}, 2/h = ${short(2 / h)}.`;
  const described = { outcome, orbit, limit: [...end.limit], gradient, eigenvalues: values };
  return { words, facts, colour: named, described };
}

function describePlot(plot, vertical, words) {
  plot.y.label = vertical;
  plot.canvas.setAttribute("aria-label", `${words}, plus and minus or the wheel with Ctrl zoom, w a s d move the view.`);
}

// Where an orbit ends: its limit, or in words that it is lost where the formula gives no number.
function ended({ step }, { label, step: steps }, start, h) {
  if (label !== "converged" && label !== "diverged") return {};
  const x = Float64Array.from(start);
  for (let k = 0; k < steps; k++) step(x, h, {}, x);
  if (label === "converged") return { limit: x };
  const words = `From ${start.map((value) => format(value, 2)).join(", ")} at h = ${short(h)}: step ${steps} leads nowhere, `;
  return x.some(Number.isNaN) ? { lost: `${words}because the formula or its slope is no number there.` } : {};
}

function drawDiagram(plot, { formula, text, h, limits, start, theme }, { sharpness }, picture) {
  const [low, high] = limits;
  plot.x.limits = [0, roundedUp(Math.max(sharpness > 1e-6 && sharpness < 1e6 ? 4 / sharpness : 2 * h, 1.1 * h))];
  plot.y.limits = [low, high];
  const one = formula.variables.length === 1;
  const request = {
    start: one ? start[0] : start,
    limits: [...plot.x.limits, low, high],
    others: one ? OTHERS.map((part) => low + part * (high - low)) : [],
    p: { text },
    depth: 1,
  };
  const wish = JSON.stringify(request);
  if (picture.wish !== wish) picture.ask(request);
  picture.wish = wish;
  picture.paint(theme);
  plot.begin(theme, () => {
    if (picture.limits) plot.picture(picture.canvas, picture.limits);
  });
  plot.line([h, h], [low, high], { colour: theme.foreground, width: 1.5 });
  plot.text(`h = ${short(h)}`, h, high, h > 0.6 * plot.x.limits[1] ? { align: "right", dx: -6, dy: 12 } : { dx: 6, dy: 12 });
}

// The next round number.
function roundedUp(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return power * [1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10].find((digit) => digit * power >= value * (1 - 1e-9));
}

function shortened(text) {
  return text.length > 40 ? `${text.slice(0, 39)}…` : text;
}
