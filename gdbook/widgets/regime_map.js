// The map of regimes: one learning rate, from gradient flow to divergence.
// Left the curve with the orbit, right where orbits end for every learning rate at once.

import { Frame, unit } from "./controls.js";
import { channels, clamp, symbol } from "./drawing.js";
import { orbitOf, regime, tangentSteps } from "./regimes.js";

const SHOWN_STEPS = 40;
const [COLUMNS, ROWS, SAMPLES] = [560, 360, 240];
const SLICE = 6; // milliseconds of work on the map in one frame

export default {
  async render({ model, el, url }) {
    const [formula, { outcomeOf }] = await Promise.all([import(url("formula")), import(url("outcome"))]);
    const parameters = model.get("_parameters");
    const [low, high] = model.get("limits");
    const sharpness = model.get("smoothness");
    const origin = model.get("_smoothness_origin");
    const largest = model.get("largest_learning_rate");
    const frame = new Frame({ model, el }, "RegimeMap", { learning_rate: [0, largest], start: [low, high] });
    const variable = symbol(formula.variables[0]);
    const curve = frame.plot({
      label: `${model.get("_name")}: curve with the first steps. Arrow keys move the start.`,
      x: { limits: [low, high], label: variable },
      y: { limits: model.get("_value_limits"), label: `f(${variable}), first ${SHOWN_STEPS} steps` },
      interactive: true,
    });
    const map = frame.plot({
      label: "Where orbits end, against the learning rate. Arrow keys move the learning rate.",
      x: { limits: [0, largest], label: "learning rate h" },
      y: { limits: [low, high], label: `${variable}ₖ for large k` },
      interactive: true,
    });

    frame.slider({ name: "learning_rate", label: "Learning rate h" });
    frame.button("Reset", () => frame.reset());
    const colours = model.get("_colours");
    frame.legend([
      ["monotone", colours.stable],
      ["oscillating", colours.oscillating],
      ["edge 2/L", colours.edge],
      ["periodic", colours.periodic],
      ["chaotic", colours.chaotic],
      ["diverges", colours.diverged],
    ]);

    const setRate = (h) => frame.set({ learning_rate: clamp(h, 0, largest) });
    const setStart = (start) => frame.set({ start: clamp(start, low, high) });
    const height = (x) => formula.value([x], parameters);
    frame.drag(map, {
      grab: (px, py) => px > map.left - 10 && px < map.right + 10 && py > map.top,
      move: (px) => setRate(Number(map.fromX(px).toFixed(3))),
    });
    frame.drag(curve, {
      grab: (px, py) => {
        const start = frame.get("start");
        return Math.hypot(px - curve.toX(start), py - clamp(curve.toY(height(start)), curve.top, curve.bottom)) < 24;
      },
      move: (px) => setStart(Number(curve.fromX(px).toFixed(3))),
    });
    frame.keys(map, (dx, dy) => setRate(frame.get("learning_rate") + unit([0, largest]) * (dx + dy)));
    frame.keys(curve, (dx, dy) => setStart(frame.get("start") + unit([low, high]) * (dx + dy)));

    const columns = { counts: new Uint16Array(COLUMNS * ROWS), names: [] };
    const extend = () => {
      const begun = performance.now();
      while (columns.names.length < COLUMNS && performance.now() - begun < SLICE)
        addColumn(columns, formula, outcomeOf, parameters, { largest, low, high, sharpness });
    };
    const picture = new Picture(columns);
    const described = {};
    frame.report = () => described;
    frame.draw = (theme) => {
      const { start, learning_rate: h } = frame.state();
      const now = regime(formula, outcomeOf, parameters, { start, h, sharpness, origin });
      const colour = theme.regimes[now.colour];
      Object.assign(described, { outcome: now.outcome, regime: now.name, columns: columns.names });

      curve.begin(theme);
      const seen = orbitOf(formula.step, start, h, parameters, SHOWN_STEPS).filter((x) => Math.abs(x) < 1e9);
      tangentSteps(curve, theme, formula, parameters, seen, theme.regimes["gradient descent"]);
      curve.handle(start, height(start), colour);

      map.begin(theme, () => map.picture(picture.image(theme), [0, largest, low, high]));
      bands(map, columns, theme, { largest, low, high, sharpness });
      map.line([h, h], [low, high], { colour: theme.foreground, width: 1.5 });
      const align = h < 0.75 * largest ? "left" : "right";
      map.text(now.name, h, high, { align, dx: align === "left" ? 12 : -12, dy: 14, size: 14 });
      map.handle(h, high, colour);
      frame.say(now.words, now.colour);
    };
    // the map grows in slices of a few milliseconds, so that the page answers meanwhile
    const grow = () => {
      extend();
      frame.request();
      if (columns.names.length < COLUMNS) growing = requestAnimationFrame(grow);
    };
    let growing = requestAnimationFrame(grow);
    frame.removals.push(() => cancelAnimationFrame(growing));
    frame.request();
    return () => frame.remove();
  },
};

// One more learning rate: the name of its regime, and how often each height is visited in the long run
// by two orbits that start on either side of the middle.
function addColumn({ counts, names }, formula, outcomeOf, parameters, { largest, low, high, sharpness }) {
  const { step } = formula;
  const column = names.length;
  const h = (largest * (column + 0.5)) / COLUMNS;
  const middle = (low + high) / 2;
  const reach = (high - low) / 20;
  for (const start of [middle + reach, middle - reach]) {
    const x = [start];
    for (let k = 0; k < 600 && Math.abs(x[0]) < 1e6; k++) step(x, h, parameters, x);
    for (let k = 0; k < SAMPLES; k++) {
      const row = Math.floor((ROWS * (high - x[0])) / (high - low));
      if (row >= 0 && row < ROWS) counts[row * COLUMNS + column]++;
      step(x, h, parameters, x);
    }
  }
  names.push(regime(formula, outcomeOf, parameters, { start: middle + reach, h, sharpness }).colour);
}

// The map as pixels. Heights that are visited often are full in the colour of the regime, rare ones faint;
// the few points of a cycle are drawn three pixels high.
class Picture {
  constructor(columns) {
    this.columns = columns;
    this.canvas = document.createElement("canvas");
    [this.canvas.width, this.canvas.height] = [COLUMNS, ROWS];
    this.context = this.canvas.getContext("2d");
    this.done = 0;
  }

  image(theme) {
    if (this.background !== theme.background) this.done = 0;
    this.background = theme.background;
    const { counts, names } = this.columns;
    for (; this.done < names.length; this.done++) {
      const name = names[this.done];
      const [r, g, b] = channels(theme.regimes[name]);
      const image = this.context.createImageData(1, ROWS);
      for (let row = 0; row < ROWS; row++) {
        const count = counts[row * COLUMNS + this.done];
        if (count === 0) continue;
        const strength = 255 * Math.min(1, 0.4 + 0.6 * Math.sqrt(count / 12));
        const spread = name === "chaotic" ? 0 : 1;
        for (let near = Math.max(0, row - spread); near <= Math.min(ROWS - 1, row + spread); near++)
          image.data.set([r, g, b, strength], 4 * near);
      }
      this.context.putImageData(image, this.done, 0);
    }
    return this.canvas;
  }
}

// A strip along the bottom in the colours of the regimes, and the lines 1/L and 2/L.
function bands(map, { names }, theme, { largest, low, high, sharpness }) {
  map.inside((c) => {
    names.forEach((name, column) => {
      const [from, to] = [column, column + 1].map((i) => map.toX((largest * i) / COLUMNS));
      c.fillStyle = theme.regimes[name];
      c.fillRect(from, map.bottom - 10, to - from + 0.5, 10);
    });
  });
  for (const [h, words] of [[1 / sharpness, "1/L"], [2 / sharpness, "2/L"]]) {
    map.line([h, h], [low, high], { colour: theme.regimes.edge, width: 1.5, dash: [5, 4] });
    map.text(words, h, low, { align: "right", dx: -5, dy: -22 });
  }
}
