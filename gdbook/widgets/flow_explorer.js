// Gradient descent against the flows that shadow it: gradient flow and modified flows of order 1, 2, ...

import { Frame, unit } from "./controls.js";
import { clamp, format, short, symbol } from "./drawing.js";
import { integrate } from "./integrate.js";
import { levelLines, strokeLevels } from "./levels.js";

const FINE = 8; // points of a flow drawn between two steps

export default {
  async render({ model, el, url }) {
    const [formula, field] = await Promise.all([import(url("formula")), import(url("field"))]);
    const parameters = model.get("_parameters");
    const limits = model.get("limits");
    const steps = model.get("steps");
    const flat = formula.variables.length === 1;
    const frame = new Frame({ model, el }, "FlowExplorer", {
      learning_rate: [model.get("largest_learning_rate") / 200, model.get("largest_learning_rate")],
      order: [0, field.order, 1],
      step: [1, steps, 1],
      start: flat ? [limits] : [limits.slice(0, 2), limits.slice(2)],
    });
    const [first, second] = formula.variables.map(symbol);
    const main = frame.plot({
      label: `${model.get("_name")}: iterates and flows. Arrow keys move the start.`,
      x: flat ? { limits: [0, 1], label: "time t = k h" } : { limits: limits.slice(0, 2), label: first },
      y: { limits: flat ? limits : limits.slice(2), label: flat ? first : second },
      interactive: true,
    });
    const errors = frame.plot({
      label: "Distance between flow and iterate at each step, logarithmic.",
      x: { limits: [0, steps + 0.3], label: "step k" },
      y: { limits: [1e-12, 1], label: "distance from the k-th iterate", log: true },
    });

    frame.slider({ name: "learning_rate", label: "Learning rate h", log: true });
    frame.slider({ name: "order", label: "Flows up to order" });
    frame.slider({ name: "step", label: "Errors at step k" });
    [first, second].slice(0, formula.variables.length).forEach((variable, i) => {
      const write = (value) => frame.set({ start: frame.get("start").with(i, value) });
      const read = () => frame.get("start")[i];
      frame.slider({ name: variable, label: `Start ${variable}₀`, limits: frame.limits.start[i], read, write });
    });
    frame.button("Reset", () => frame.reset());
    const colours = model.get("_colours");
    const nameOf = (order) => (order === 0 ? "gradient flow" : `modified flow ${((order - 1) % 3) + 1}`);
    const dashOf = (order) => (order > 3 ? [7, 4] : []);
    frame.legend([
      ["gradient descent", colours["gradient descent"]],
      ["gradient flow", colours["gradient flow"]],
      ...Array.from({ length: Math.min(3, field.order) }, (_, i) => [`order ${i + 1}`, colours[nameOf(i + 1)]]),
    ]);

    const place = (start) => (flat ? [0, start[0]] : start);
    const moveTo = (x, y) => {
      const point = flat ? [y] : [x, y];
      frame.set({ start: point.map((value, i) => clamp(Number(value.toPrecision(4)), ...frame.limits.start[i])) });
    };
    frame.drag(main, {
      grab: (px, py) => {
        const [x, y] = place(frame.get("start"));
        return Math.hypot(px - main.toX(x), py - main.toY(y)) < 24;
      },
      move: (px, py) => moveTo(main.fromX(px), main.fromY(py)),
    });
    frame.keys(main, (dx, dy) => {
      const [x, y] = place(frame.get("start"));
      const move = unit(limits);
      moveTo(x + move * dx, y + move * (flat ? dx + dy : dy));
    });
    frame.drag(errors, {
      grab: (px, py) => py > errors.top && py < errors.bottom,
      move: (px) => frame.set({ step: clamp(Math.round(errors.fromX(px)), 1, steps) }),
    });

    const background = flat ? [] : levelLines(formula.value, parameters, limits);
    const described = {};
    frame.report = () => described;
    frame.draw = (theme) => {
      const { learning_rate: h, order, step: k, start } = frame.state();
      const colourOf = (n) => theme.regimes[nameOf(n)];
      const orbit = [Float64Array.from(start)];
      for (let n = 0; n < steps; n++) orbit.push(formula.step(orbit[n], h, parameters, new Float64Array(start.length)));
      const flows = Array.from({ length: order + 1 }, (_, n) =>
        integrate(truncated(field, parameters, h, n, start.length), start, h / FINE, steps * FINE),
      );
      const distances = flows.map((flow) => orbit.map((x, n) => distance(flow[n * FINE], x)));
      Object.assign(described, { orbit: orbit.map((x) => [...x]), errors: distances.map((list) => list[k]) });

      if (flat) main.x.limits = [0, 1.03 * steps * h];
      main.begin(theme, () => strokeLevels(main, background, theme));
      const coordinates = (points, time) =>
        flat
          ? [points.map((_, n) => n * time), points.map((x) => x[0])]
          : [points.map((x) => x[0]), points.map((x) => x[1])];
      const [xs, ys] = coordinates(orbit, h);
      main.line(xs, ys, { colour: theme.muted, width: 1, dash: [2, 3] });
      flows.forEach((flow, n) =>
        main.line(...coordinates(flow, h / FINE), { colour: colourOf(n), width: 2.4, dash: dashOf(n) }),
      );
      main.points(xs, ys, { colour: theme.regimes["gradient descent"], radius: 4.5 });
      main.points([xs[k]], [ys[k]], { colour: theme.foreground, radius: 6.5 });
      main.points([xs[k]], [ys[k]], { colour: theme.regimes["gradient descent"], radius: 4 });
      main.handle(...place(start), theme.regimes["gradient descent"]);

      const seen = distances.flat().filter((e) => e > 1e-14 && Number.isFinite(e));
      const top = Math.min(1e3, Math.max(1e-3, ...seen) * 2);
      errors.y.limits = [clamp(Math.min(1, ...seen) / 2, 1e-14, top / 1e3), top];
      errors.begin(theme);
      errors.line([k, k], errors.y.limits, { colour: theme.muted, width: 1.5, dash: [4, 3] });
      const ks = orbit.map((_, n) => n);
      distances.forEach((list, n) => {
        errors.line(ks.slice(1), list.slice(1), { colour: colourOf(n), width: 1.5, dash: dashOf(n) });
        errors.points(ks.slice(1), list.slice(1), { colour: colourOf(n), radius: 2.6 });
      });
      const parts = distances.map((list, n) => `${n === 0 ? "gradient flow" : `order ${n}`}: ${size(list[k])}`);
      const where = `At h = ${short(h)}, `;
      if (orbit[k].every(Number.isFinite))
        frame.say(`${where}distances from iterate ${k} – ${parts.join(", ")}.`, "gradient descent");
      else frame.say(`${where}gradient descent diverges: iterate ${k} is no finite number any more.`, "diverged");
    };
    frame.request();
    return () => frame.remove();
  },
};

// The modified field with powers of h up to `order`, as a function (x, out).
function truncated({ coefficients, order: known }, p, h, order, d) {
  const all = new Float64Array((known + 1) * d);
  return (x, out) => {
    coefficients(x, p, all);
    for (let i = 0; i < d; i++) {
      let sum = 0;
      for (let n = order; n >= 0; n--) sum = sum * h + all[n * d + i];
      out[i] = sum;
    }
  };
}

function distance(x, y) {
  return Math.hypot(...y.map((value, i) => value - x[i]));
}

function size(error) {
  if (Number.isNaN(error)) return "cannot be followed so far";
  return error < 1e-9 ? "below 10⁻⁹" : format(error, 3);
}
