// Gradient descent in one dimension: tangent steps on the curve, the cobweb of the map, the loss against the step.

import { Frame, unit } from "./controls.js";
import { clamp, symbol } from "./drawing.js";
import { orbitOf, regime, tangentSteps } from "./regimes.js";

export default {
  async render({ model, el, url }) {
    const [formula, { outcomeOf }] = await Promise.all([import(url("formula")), import(url("outcome"))]);
    const parameters = model.get("_parameters");
    const [low, high] = model.get("limits");
    const sharpness = model.get("smoothness");
    const origin = model.get("_smoothness_origin");
    const largest = model.get("largest_learning_rate");
    const frame = new Frame({ model, el }, "DescentExplorer1D", { start: [low, high], learning_rate: [0, largest] });
    const variable = symbol(formula.variables[0]);
    const curve = frame.plot({
      label: `${model.get("_name")}: curve with tangent steps. Arrow keys move the start.`,
      x: { limits: [low, high], label: variable },
      y: { limits: model.get("_value_limits"), label: `f(${variable}), tangent steps` },
      interactive: true,
    });
    const cobweb = frame.plot({
      label: "Cobweb: each iterate against the one before.",
      x: { limits: [low, high], label: `${variable}ₖ` },
      y: { limits: [low, high], label: `${variable}ₖ₊₁, cobweb` },
    });
    const losses = frame.plot({
      label: "Loss above the lowest value against the step, logarithmic.",
      x: { limits: [0, model.get("steps") + 0.5], label: "step k" },
      y: { limits: [1e-16, 10], label: "f − min f", log: true },
    });

    frame.slider({ name: "learning_rate", label: "Learning rate h" });
    frame.slider({ name: "start", label: `Start ${variable}₀` });
    let shown = Infinity; // steps shown while playing
    let timer;
    const stop = () => {
      clearInterval(timer);
      timer = undefined;
      play.textContent = "Play";
    };
    const advance = () => {
      shown = shown >= model.get("steps") ? 0 : shown + 1;
      if (shown >= model.get("steps")) stop();
      frame.request();
    };
    const play = frame.button("Play", () => {
      if (timer) return stop();
      shown = Infinity;
      advance();
      timer = setInterval(advance, 300);
      play.textContent = "Pause";
    });
    play.hidden = matchMedia("(prefers-reduced-motion: reduce)").matches;
    frame.button("One step", () => {
      stop();
      advance();
    });
    frame.button("Reset", () => {
      stop();
      shown = Infinity;
      frame.reset();
      frame.request();
    });
    frame.removals.push(stop);

    const moveStart = (start) => {
      shown = Infinity;
      frame.set({ start: clamp(start, low, high) });
    };
    frame.drag(curve, {
      grab: (px, py) => py > curve.top && py < curve.bottom && nearHandle(curve, px, py),
      move: (px) => moveStart(Number(curve.fromX(px).toFixed(3))),
    });
    frame.keys(curve, (dx, dy) => moveStart(frame.get("start") + unit([low, high]) * (dx + dy)));

    const height = (x) => formula.value([x], parameters);
    const nearHandle = (plot, px, py) => {
      const start = frame.get("start");
      const at = clamp(plot.toY(height(start)), plot.top, plot.bottom);
      return Math.hypot(px - plot.toX(start), py - at) < 24;
    };

    const described = {};
    frame.report = () => described;
    frame.draw = (theme) => {
      const { start, learning_rate: h } = frame.state();
      const steps = Math.min(model.get("steps"), shown);
      const now = regime(formula, outcomeOf, parameters, { start, h, sharpness, origin });
      const orbit = orbitOf(formula.step, start, h, parameters, model.get("steps"));
      Object.assign(described, { outcome: now.outcome, orbit, regime: now.name });
      const seen = orbit.slice(0, steps + 1).filter((x) => Math.abs(x) < 1e9);
      const colour = theme.regimes["gradient descent"];

      curve.begin(theme);
      tangentSteps(curve, theme, formula, parameters, seen.slice(0, 41), colour);
      curve.handle(start, height(start), theme.regimes[now.colour]);

      cobweb.begin(theme);
      const xs = Array.from({ length: 201 }, (_, i) => low + ((high - low) * i) / 200);
      cobweb.line([low, high], [low, high], { colour: theme.muted, width: 1, dash: [4, 4] });
      cobweb.line(xs, xs.map((x) => formula.step([x], h, parameters, [0])[0]), { colour: theme.foreground });
      const corners = seen.flatMap((x, k) => (k === 0 ? [[x, low]] : [[seen[k - 1], x], [x, x]]));
      cobweb.line(corners.map((c) => c[0]), corners.map((c) => c[1]), { colour, width: 1.5 });

      const floor = model.get("_lowest_value");
      const above = seen.map((x) => Math.max(height(x) - floor, 1e-300));
      const top = Math.max(1e-3, ...above.filter((v) => v < 1e12)) * 3;
      const bottom = clamp(Math.min(...above), 1e-16, top / 1e4) / 3;
      losses.y.limits = [bottom, top];
      losses.begin(theme);
      const ks = above.map((_, k) => k);
      losses.line(ks, above, { colour, width: 1.5 });
      losses.points(ks, above, { colour: theme.regimes[now.colour], radius: 2.5 });
      frame.say(now.words, now.colour);
    };
    frame.request();
    return () => frame.remove();
  },
};
