// Gradient descent in the plane: level lines, the orbit, and behind them what becomes of every start.

import { BasinPicture, LABEL_COLOURS } from "./basin_picture.js";
import { Frame } from "./controls.js";
import { clamp, format, short, symbol } from "./drawing.js";
import { levelLines, strokeLevels } from "./levels.js";

const PIXELS = 400;
const BASIN_STEPS = 200;
const OUTCOME_STEPS = 4096;
const FARTHEST = 1e4; // no start and no view lies farther out
const FINEST = 1e-9; // no view is narrower, compared with its distance from the origin

export default {
  async render({ model, el, url }) {
    const [formula, { outcomeOf }] = await Promise.all([import(url("formula")), import(url("outcome"))]);
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

    // x and y zoom alike about a point of the plane
    const zoom = (factor, x, y) => {
      const [x0, x1, y0, y1] = frame.get("limits");
      const [cx, cy] = [x ?? (x0 + x1) / 2, y ?? (y0 + y1) / 2];
      look([cx + (x0 - cx) * factor, cx + (x1 - cx) * factor, cy + (y0 - cy) * factor, cy + (y1 - cy) * factor]);
    };
    const pan = (dx, dy) => {
      const [x0, x1, y0, y1] = frame.get("limits");
      look([x0 + dx, x1 + dx, y0 + dy, y1 + dy]);
    };
    const look = (limits) => {
      if (isView(limits)) frame.set({ limits });
    };
    frame.button("+", () => zoom(0.7)).setAttribute("aria-label", "Zoom in");
    frame.button("−", () => zoom(1 / 0.7)).setAttribute("aria-label", "Zoom out");
    frame.button("Reset", () => frame.reset());
    const colours = model.get("_colours");
    frame.legend([
      ["converges", colours.stable],
      ["periodic", colours.periodic],
      [`neither in ${BASIN_STEPS} steps`, colours.chaotic],
      ["diverges", colours.diverged],
    ]);
    const setStart = (...start) => frame.set({ start: start.map((x) => clamp(x, -FARTHEST, FARTHEST)) });
    handlePointer(frame, plane, { setStart, zoom, pan });
    const wide = () => frame.get("limits")[1] - frame.get("limits")[0];
    const moveStart = (dx, dy) => {
      const [x, y] = frame.get("start");
      setStart(x + dx * wide() * 0.005, y + dy * wide() * 0.005);
    };
    frame.keys(plane, moveStart, {
      "+": () => zoom(0.7),
      "=": () => zoom(0.7),
      "-": () => zoom(1 / 0.7),
      a: () => pan(-0.1 * wide(), 0),
      d: () => pan(0.1 * wide(), 0),
      w: () => pan(0, 0.1 * wide()),
      s: () => pan(0, -0.1 * wide()),
    });

    const basin = new BasinPicture(url("worker"), PIXELS, frame.timings, () => frame.request());
    frame.removals.push(() => basin.remove());
    let asked;
    let levels;
    const described = {};
    frame.report = () => ({ ...described, basin: basin.counts() });
    frame.draw = (theme) => {
      const { learning_rate: h, start, limits } = frame.state();
      const p = parameters();
      const request = JSON.stringify([limits, h, p]);
      if (request !== asked) basin.ask(limits, h, p, BASIN_STEPS);
      asked = request;
      const view = JSON.stringify([limits, p]);
      if (levels?.view !== view) levels = { view, segments: levelLines(formula.value, p, limits), lowest: lowestValue(formula, p, home) };

      const outcome = outcomeOf(formula.step, start, h, p, OUTCOME_STEPS);
      const orbit = orbitInPlane(formula.step, start, h, p, model.get("steps"));
      Object.assign(described, { outcome, orbit });
      const colour = theme.regimes["gradient descent"];
      [plane.x.limits, plane.y.limits] = [limits.slice(0, 2), limits.slice(2)];
      plane.begin(theme, () => {
        const image = basin.image(theme);
        if (basin.limits) plane.picture(image, basin.limits);
        strokeLevels(plane, levels.segments, theme);
      });
      const [xs, ys] = [orbit.map((x) => x[0]), orbit.map((x) => x[1])];
      plane.line(xs, ys, { colour: theme.background, width: 4, alpha: 0.7 });
      plane.line(xs, ys, { colour, width: 1.8 });
      plane.points(xs, ys, { colour, radius: 3.2 });
      plane.inside(() => plane.handle(...start, theme.foreground));

      drawSeries(losses, theme, orbit.map((x) => formula.value(x, p) - levels.lowest), colour);
      const sharpness = orbit.map((x) => h * eigenvalues(formula.hessian(x, p))[1]);
      edge.y.limits = [0, clamp(1.15 * Math.max(2.2, ...sharpness.filter((s) => s < 1e3)), 2.2, 12)];
      edge.begin(theme);
      edge.line([0, model.get("steps")], [2, 2], { colour: theme.regimes.edge, width: 2, dash: [6, 4] });
      edge.line(sharpness.map((_, k) => k), sharpness, { colour, width: 1.5 });
      edge.points(sharpness.map((_, k) => k), sharpness, { colour, radius: 2.2 });
      frame.say(words(outcome, h, start, formula, p), LABEL_COLOURS[outcome.label]);
    };
    frame.request();
    return () => frame.remove();
  },
};

// Whether [x0, x1, y0, y1] is a rectangle in which pixels have different coordinates.
function isView([x0, x1, y0, y1]) {
  const sound = (low, high) => {
    const reach = Math.max(Math.abs(low), Math.abs(high));
    return reach <= FARTHEST && high - low > FINEST * (1 + reach);
  };
  return sound(x0, x1) && sound(y0, y1);
}

// Drag the start; a click or tap elsewhere puts it there. The mouse elsewhere and two fingers move the view; two fingers
// zoom, and so does the wheel with Ctrl (which is what two fingers on a touchpad send).
// A wheel alone, or one finger beside the start, belongs to the page.
function handlePointer(frame, plane, { setStart, zoom, pan }) {
  const { canvas } = plane;
  const nearStart = (px, py) => {
    const [x, y] = frame.get("start");
    return Math.hypot(px - plane.toX(x), py - plane.toY(y)) < 24;
  };
  const within = (px, py) => px > plane.left && px < plane.right && py > plane.top && py < plane.bottom;
  const rounded = (value) => Number(value.toPrecision(6));
  let last;
  let travelled = 0;
  let what;
  const fingers = new Map();
  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const placeStart = (px, py) => setStart(rounded(plane.fromX(px)), rounded(plane.fromY(py)));
  const follow = (px, py) => {
    if (what === "start") placeStart(px, py);
    else pan(plane.fromX(last[0]) - plane.fromX(px), plane.fromY(last[1]) - plane.fromY(py));
  };
  canvas.addEventListener(
    "touchstart",
    (event) => {
      const box = canvas.getBoundingClientRect();
      const { clientX, clientY } = event.touches[0];
      if (event.touches.length > 1 || nearStart(clientX - box.left, clientY - box.top)) event.preventDefault();
    },
    { passive: false },
  );
  canvas.addEventListener("pointerdown", (event) => {
    const place = at(event);
    if (event.button !== 0 || !within(...place)) return;
    fingers.set(event.pointerId, place);
    canvas.setPointerCapture(event.pointerId);
    canvas.focus({ preventScroll: true });
    what = nearStart(...place) ? "start" : "view";
    [last, travelled] = [place, fingers.size > 1 ? Infinity : 0];
  });
  canvas.addEventListener("pointermove", (event) => {
    const place = at(event);
    if (!fingers.has(event.pointerId)) {
      canvas.style.cursor = nearStart(...place) ? "grab" : within(...place) ? "crosshair" : "";
      return;
    }
    const before = span(fingers);
    fingers.set(event.pointerId, place);
    if (fingers.size > 1) {
      const { x, y, distance } = span(fingers);
      const centre = [plane.fromX(before.x), plane.fromY(before.y)];
      zoom(before.distance / distance, ...centre);
      pan(centre[0] - plane.fromX(x), centre[1] - plane.fromY(y));
      return;
    }
    travelled += Math.hypot(place[0] - last[0], place[1] - last[1]);
    if (what === "start" || (travelled > 4 && event.pointerType !== "touch")) {
      follow(...place);
      last = place;
    }
  });
  const lift = (event) => {
    fingers.delete(event.pointerId);
    [last] = fingers.values(); // a finger that stays goes on from where it is
  };
  canvas.addEventListener("pointerup", (event) => {
    if (fingers.has(event.pointerId) && what === "view" && travelled <= 4) placeStart(...at(event));
    lift(event);
  });
  canvas.addEventListener("pointercancel", lift);
  canvas.addEventListener(
    "wheel",
    (event) => {
      if (!event.ctrlKey || !within(...at(event))) return;
      event.preventDefault();
      const [px, py] = at(event);
      zoom(Math.exp(0.0015 * event.deltaY), plane.fromX(px), plane.fromY(py));
    },
    { passive: false },
  );
}

// Middle and distance of the first two fingers, or of one with itself.
function span(fingers) {
  const [a, b = a] = fingers.values();
  return { x: (a[0] + b[0]) / 2, y: (a[1] + b[1]) / 2, distance: Math.hypot(a[0] - b[0], a[1] - b[1]) };
}

function orbitInPlane(step, start, h, p, steps) {
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
function eigenvalues([a, b, , d]) {
  const [middle, apart] = [(a + d) / 2, Math.hypot((a - d) / 2, b)];
  return [middle - apart, middle + apart];
}

function words({ label, step, period }, h, start, formula, p) {
  const from = `From (${start.map((x) => format(x, 2)).join(", ")}) at h = ${short(h)}`;
  if (label === "diverged") return `${from}: diverges, beyond 10⁶ at step ${step}.`;
  if (label === "periodic") return `${from}: periodic, a cycle of ${period} points.`;
  if (label === "bounded") return `${from}: bounded, neither settled nor periodic after ${step} steps.`;
  const end = Float64Array.from(start);
  if (h === 0) return `${from}: does not move.`;
  for (let k = 0; k < step; k++) formula.step(end, h, p, end);
  if (Math.hypot(...formula.gradient(end, p)) > 1e-6 * (1 + Math.hypot(...end)))
    return `${from}: hardly moves in ${step} steps.`;
  const [low, high] = eigenvalues(formula.hessian(end, p));
  const place = `(${[...end].map((x) => format(Math.abs(x) < 5e-4 ? 0 : x, 3)).join(", ")})`;
  const goes = end.every((x, i) => x === start[i]) ? "rests on" : "converges to";
  const product = h * high;
  const side = Math.abs(product - 2) < 5e-4 ? "" : product < 2 ? ", below 2" : ", above 2";
  const unstable = low < -1e-9 || product > 2 + 1e-9;
  return (
    `${from}: ${goes} ${unstable ? "the unstable point " : ""}${place}, ` +
    `where h times the sharpness is ${format(product, 3)}${side}.`
  );
}
