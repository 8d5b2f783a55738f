// The bifurcation diagram under the reader's hand; beside it the cobweb of one learning rate and the orbit step by step.

import { DiagramPicture } from "./bifurcation_picture.js";
import { Frame, unit } from "./controls.js";
import { clamp, format, symbol } from "./drawing.js";
import { orbitOf } from "./regimes.js";
import { FARTHEST, View, isView } from "./view.js";

const SIZE = [640, 480];
const STEPS = 60;
const LATE = 2000;
const OUTCOME_STEPS = 4096;
const OTHERS = [0.31, 0.81]; // where the other starts are between the ends of the axis: off any symmetry

export default {
  async render({ model, el, url }) {
    // the same text that the workers run
    const maths = await import(url("worker"));
    const parameters = model.get("_parameters");
    const home = model.get("_home");
    const [low, high] = model.get("_range");
    const sharpness = model.get("_smoothness");
    const origin = model.get("_smoothness_origin");
    const isDiagram = (limits) => isView(limits) && limits[0] >= 0;
    const frame = new Frame(
      { model, el },
      "BifurcationExplorer",
      {
        learning_rate: [0, FARTHEST],
        start: [-FARTHEST, FARTHEST],
        limits: Array(4).fill([-FARTHEST, FARTHEST]),
        first_step: [0, LATE, LATE],
      },
      (name, value) => name !== "limits" || isDiagram(value),
    );
    const variable = symbol(maths.variables[0]);
    const diagram = frame.plot({
      label:
        `${model.get("_name")}: late iterates against the learning rate. Left and right arrow keys move the learning ` +
        "rate, plus and minus or the wheel with Ctrl zoom, w a s d move the view, Shift and the mouse choose a part.",
      x: { limits: [0, 1], label: "learning rate h" },
      y: { limits: [0, 1], label: `${variable}ₖ for large k` },
      interactive: true,
      grid: false,
    });
    const cobweb = frame.plot({
      label: "Cobweb: each iterate against the one before. Arrow keys move the start.",
      x: { limits: [low, high], label: `${variable}ₖ` },
      y: { limits: [low, high], label: `${variable}ₖ₊₁, cobweb` },
      interactive: true,
    });
    const series = frame.plot({
      label: "Iterates against the step.",
      x: { limits: [0, STEPS - 1], label: "step k" },
      y: { limits: [low, high], label: `${variable}ₖ` },
    });

    let now = { late: [] }; // what is known of the present orbit
    // no learning rate is negative; keys and buttons zoom about the line, and there about an iterate
    const allowed = ([x0, x1, y0, y1]) => [Math.max(0, x0), x1 - Math.min(0, x0), y0, y1];
    const between = (value, from, to) => value > from && value < to;
    const centre = ([x0, x1, y0, y1]) => {
      const h = frame.get("learning_rate");
      const line = between(h, x0, x1);
      const middle = (y0 + y1) / 2;
      const seen = line ? now.late.filter((x) => between(x, y0, y1)) : [];
      const nearest = seen.reduce((best, x) => (Math.abs(x - middle) < Math.abs(best - middle) ? x : best), seen[0]);
      return [line ? h : (x0 + x1) / 2, nearest ?? middle];
    };
    const view = new View(frame, diagram, { allowed, centre });
    const digits = () => Math.max(3, decimals(view.width));
    const [rates, starts] = [[0, home[1]], [Math.min(low, model.get("start")), Math.max(high, model.get("start"))]];
    frame.slider({ name: "learning_rate", label: "Learning rate h", limits: rates, digits });
    frame.slider({ name: "start", label: `Start ${variable}₀`, limits: starts });

    const setRate = (h) => frame.set({ learning_rate: clamp(Number(h.toFixed(decimals(view.width))), 0, FARTHEST) });
    const setStart = (x) => frame.set({ start: clamp(x, low, high) });
    view.buttons();
    const late = frame.button("Late steps", () => frame.set({ first_step: LATE - frame.get("first_step") }));
    frame.button("Reset", () => frame.reset());
    const colours = model.get("_colours");
    frame.legend([
      ["converges", colours.stable],
      ["periodic", colours.periodic],
      ["chaotic", colours.chaotic],
      ["diverges", colours.diverged],
      ["other starts", "var(--live-muted)"],
      ["period doubles", colours.edge],
    ]);
    view.pointer({
      near: (px, py, touch) => {
        const aside = Math.abs(px - diagram.toX(frame.get("learning_rate")));
        const inside = py > diagram.top && py < diagram.bottom;
        return Math.hypot(aside, py - diagram.top) < 24 || (!touch && inside && aside < 7);
      },
      drag: setRate,
      tap: setRate,
    });
    frame.keys(
      diagram,
      (dx, dy) => setRate(frame.get("learning_rate") + unit([0, view.width]) * (dx + dy)),
      view.keys(),
    );
    frame.drag(cobweb, {
      grab: (px, py) => Math.hypot(px - cobweb.toX(frame.get("start")), py - cobweb.bottom) < 24,
      move: (px) => setStart(Number(cobweb.fromX(px).toFixed(3))),
    });
    frame.keys(cobweb, (dx, dy) => setStart(frame.get("start") + unit([low, high]) * (dx + dy)));

    const picture = new DiagramPicture(url("worker"), SIZE, maths, frame.timings, () => frame.request());
    frame.removals.push(() => picture.remove());
    const others = OTHERS.map((part) => low + part * (high - low));
    const ask = (start, limits) => {
      const asked = JSON.stringify([start, limits]);
      if (asked === picture.wish) return;
      picture.wish = asked;
      const depth = (home[3] - home[2]) / (limits[3] - limits[2]);
      picture.ask({ start, limits, others, p: parameters, depth });
    };
    frame.report = () => ({ outcome: now.outcome, orbit: now.orbit, attractor: now.attractor, columns: picture.columns() });
    frame.draw = (theme) => {
      const { learning_rate: h, start, limits, first_step: first } = frame.state();
      ask(start, limits);
      if (now.h !== h || now.start !== start) now = { h, start, ...described(maths, parameters, start, h) };
      drawDiagram(theme, limits);
      const beside = [h, start, first, theme.background, cobweb.fitted, series.fitted].join();
      if (beside !== drawn) drawBeside(theme, now.outcome.label === "diverged" ? 0 : first);
      drawn = beside;
      frame.say(`${now.words}: ${besideTwo(h, decimals(view.width), sharpness, origin)}.`, now.colour);
    };
    let drawn;
    const drawDiagram = (theme, limits) => {
      const { h, name, cycle = [] } = now;
      const colour = theme.regimes[now.colour];
      [diagram.x.limits, diagram.y.limits] = [limits.slice(0, 2), limits.slice(2)];
      picture.paint(theme);
      diagram.begin(theme, () => {
        if (picture.limits) diagram.picture(picture.canvas, picture.limits);
      });
      if (picture.limits) drawStrip(diagram, picture);
      drawDoublings(diagram, theme, model.get("_doublings"));
      diagram.line([h, h], limits.slice(2), { colour: theme.foreground, width: 1.5 });
      diagram.points(cycle.map(() => h), cycle, { colour, radius: 3.5 });
      if (h >= limits[0] && h <= limits[1]) {
        const align = h < limits[0] + 0.72 * view.width ? "left" : "right";
        diagram.text(name, h, limits[3], { align, dx: align === "left" ? 13 : -13, dy: 24, size: 14 });
        diagram.handle(h, limits[3], colour);
      }
      view.drawSelection(theme);
    };
    const drawBeside = (theme, from) => {
      const { h, start } = now;
      const seen = from ? now.late : now.orbit.filter((x) => Math.abs(x) < 1e9);
      late.setAttribute("aria-pressed", from > 0);
      drawCobweb(cobweb, theme, maths, parameters, { h, seen, from, range: [low, high] });
      cobweb.handle(start, low, theme.foreground);
      series.x.limits = [from, from + STEPS - 1];
      series.begin(theme);
      const steps = seen.map((_, k) => from + k);
      series.line(steps, seen, { colour: theme.regimes["gradient descent"], width: 1.2 });
      series.points(steps, seen, { colour: theme.regimes[now.colour], radius: 2.5 });
    };
    frame.request();
    return () => frame.remove();
  },
};

// What one orbit does: its outcome, first and late iterates, and what it settles on in the words of the status line.
function described(maths, parameters, start, h) {
  const outcome = maths.outcomeOf(maths.step, [start], h, parameters, OUTCOME_STEPS);
  const orbit = orbitOf(maths.step, start, h, parameters, STEPS);
  if (outcome.label === "diverged") {
    const words = `Diverges, beyond 10⁶ at step ${outcome.step}`;
    return { outcome, orbit, late: [], attractor: { label: "diverged" }, name: "diverges", colour: "diverged", words };
  }
  const late = [...maths.lateIterates(start, h, parameters, LATE - 1, STEPS + 1)];
  const attractor = maths.attractor(start, h, parameters);
  return { outcome, orbit, late, attractor, cycle: attractor.points, ...inWords(attractor, h) };
}

function inWords({ label, period, multiplier, points, exponent }, h) {
  if (h === 0) return { name: "at rest", colour: "stable", words: "Does not move" };
  if (label === "diverged") return { name: "diverges", colour: "diverged", words: "Diverges after thousands of steps" };
  if (label === "resting") {
    const words = `Rests on an unstable point, ${format(points[0], 3)}, with multiplier ${format(multiplier, 3)}`;
    return { name: "at rest", colour: "edge", words };
  }
  if (label === "chaotic")
    return { name: "chaotic", colour: "chaotic", words: `Chaotic, with Lyapunov exponent ${format(exponent, 2)}` };
  if (label === "bounded") {
    const words = `In no cycle of up to 64 points, with Lyapunov exponent ${format(exponent, 3)}`;
    return { name: "bounded", colour: "periodic", words };
  }
  const close = Math.abs(Math.abs(multiplier) - 1) < 5e-4; // to 1, which would be read as 1
  const factor = `multiplier ${format(Math.abs(multiplier) < 1e-9 ? 0 : multiplier, close ? 6 : 3)}`;
  const place = format(Math.abs(points[0]) < 5e-4 ? 0 : points[0], 3);
  if (period === 1) return { name: "converges", colour: "stable", words: `Converges to ${place}, with ${factor}` };
  const kind = multiplier > 1 - 1e-9 ? "neutral" : "attracting";
  return { name: `period ${period}`, colour: "periodic", words: `Period ${period}, ${kind} with ${factor}` };
}

// "h = 1.25 is 1.25 × 2/L, with L = f″(−1)"
function besideTwo(h, digits, sharpness, origin) {
  const rate = `h = ${format(h, Math.max(2, digits)).replace(/(\.\d\d\d*?)0+$/, "$1")}`;
  if (!sharpness) return rate;
  const ratio = (h * sharpness) / 2;
  const relation = Math.abs(ratio - 1) < 1e-9 ? "exactly 2/L" : `${format(ratio, 3)} times 2/L`;
  return `${rate} is ${relation}, with L = ${origin ? `${origin} = ` : ""}${format(sharpness, 2)}`;
}

// Digits after the point that tell neighbouring pixels apart.
function decimals(width) {
  return clamp(Math.ceil(-Math.log10(width / 1000)), 0, 15);
}

// The regimes of the columns, along the bottom.
function drawStrip(diagram, picture) {
  const [left, right] = picture.limits.map((h) => diagram.toX(h));
  diagram.inside((c) => c.drawImage(picture.strip, left, diagram.bottom - 8, right - left, 8));
}

// Marks along the top where the period doubles, with the period that begins there.
function drawDoublings(diagram, theme, rates) {
  const [from, to] = diagram.x.limits;
  const top = diagram.y.limits[1];
  let free = -Infinity; // where the next number finds room
  rates.forEach((rate, k) => {
    if (rate < from || rate > to) return;
    const x = diagram.toX(rate);
    diagram.inside((c) => {
      c.fillStyle = theme.regimes.edge;
      c.fillRect(x - 1, diagram.top, 2, 9);
    });
    if (x < free) return;
    diagram.text(String(2 ** (k + 1)), rate, top, { align: "center", dy: 16, size: 11 });
    free = x + 18;
  });
}

function drawCobweb(plot, theme, { step }, parameters, { h, seen, from, range: [low, high] }) {
  plot.begin(theme);
  const xs = Array.from({ length: 201 }, (_, i) => low + ((high - low) * i) / 200);
  plot.line([low, high], [low, high], { colour: theme.muted, width: 1, dash: [4, 4] });
  plot.line(xs, xs.map((x) => step([x], h, parameters, [0])[0]), { colour: theme.foreground, width: 1.6 });
  const corners = seen.flatMap((x, k) => (k ? [[seen[k - 1], x], [x, x]] : [[x, from ? x : low]]));
  plot.line(corners.map((c) => c[0]), corners.map((c) => c[1]), { colour: theme.regimes["gradient descent"], width: 1.2 });
}
