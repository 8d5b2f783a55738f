// A small network trained in the page: loss, the two largest eigenvalues against 2/h, the network itself, and its path across
// the central flow. Gradient descent runs in a worker; the page only draws.

import { Frame } from "./controls.js";
import { clamp, decades, format, short, superscript } from "./drawing.js";

const PICTURES = 240; // of the network, evenly over the time
const GRID = 141; // points of its graph
const MEASURED = 4000; // steps at which the spectrum is measured, at most
const COMPARED = 400; // the same for the other learning rates
const AT_EDGE = 0.97; // of 2/h
const FLOW = 3.6; // width of the line of the central flow, which gradient descent's is drawn upon
const SERIES = ["losses", "top", "second", "across", "deviation", "flowLosses", "flowTop", "flowSecond"];
const OTHERS = ["modified flow 1", "modified flow 2", "diverged"]; // colours of the other learning rates
const NUMBERS = ["no eigenvalue", "one eigenvalue", "two eigenvalues"];

export default {
  async render({ model, el, url }) {
    const time = model.get("_time");
    const others = model.get("_other_rates");
    const [features, targets] = model.get("_data");
    const depth = model.get("widths").length;
    const frame = new Frame({ model, el }, "NetworkExplorer", {
      learning_rate: model.get("_rates"),
      widths: Array(depth).fill([...model.get("_width_limits"), 1]),
      start: [1, 99, 1],
      shown: [0, 1],
    });
    const along = () => ({ limits: [0, time], label: "time = learning rate × step" });
    const loss = frame.plot({
      label: "Loss against time for several learning rates. Left and right arrow keys move the time that is shown.",
      x: along(),
      y: { limits: [1e-3, 1], label: "loss", log: true },
      interactive: true,
    });
    const fit = frame.plot({
      label: "The data, the network, and the network at the central flow.",
      x: { limits: [-1.06, 1.06], label: "input" },
      y: { limits: [-1.6, 1.6], label: "output of the network" },
    });
    const edge = frame.plot({
      label:
        "The two largest eigenvalues of the Hessian against time, and the line two over the learning rate. " +
        "Up and down arrow keys move the line.",
      x: along(),
      y: { limits: [1, 60], label: "sharpness, second eigenvalue, 2/h", log: true, marks: roundMarks },
      interactive: true,
    });
    const across = frame.plot({
      label: "Distance of the iterates from the central flow along its top eigenvector, and the deviation that it predicts.",
      x: along(),
      y: { limits: [-0.1, 0.1], label: "path across the central flow" },
    });

    frame.slider({ name: "learning_rate", label: "Learning rate h", log: true });
    frame.slider({ name: "start", label: "Start no." });
    for (let l = 0; l < depth; l++)
      frame.slider({
        name: `width ${l}`,
        label: `Width of layer ${l + 1}`,
        limits: frame.limits.widths[l],
        read: () => frame.get("widths")[l],
        write: (value) => frame.set({ widths: frame.get("widths").with(l, value) }),
      });

    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const runs = new Runs(url("worker"), time, frame, calm);
    frame.removals.push(() => runs.remove());
    const play = frame.button("Pause", () => {
      if (runs.hand.done) runs.begin();
      else runs.until(runs.playing ? runs.hand.k : Infinity);
      if (frame.get("shown") < 1) frame.set({ shown: 1 });
      frame.request();
    });
    play.hidden = calm;
    frame.button("One step", () => runs.until(runs.hand.k + (runs.playing ? 0 : 1)));
    frame.button("Reset", () => {
      frame.reset();
      runs.until(Infinity);
      frame.request();
    });
    const colours = model.get("_colours");
    frame.legend([
      ["this h", colours["gradient descent"]],
      ["central flow", colours.edge],
      ...others.map((rate, i) => [`h = ${rate}`, colours[OTHERS[i]]]),
    ]);

    const show = (shown) => frame.set({ shown: clamp(Number(shown.toFixed(4)), 0, 1) });
    frame.drag(loss, {
      grab: (px, py) => px > loss.left - 8 && px < loss.right + 8 && py > loss.top && py < loss.bottom,
      move: (px) => show(loss.fromX(px) / time),
    });
    frame.keys(loss, (dx, dy) => show(frame.get("shown") + 0.01 * (dx + dy)));
    const [slowest, fastest] = model.get("_rates");
    const setRate = (h) => frame.set({ learning_rate: clamp(Number(h.toPrecision(3)), slowest, fastest) });
    frame.drag(edge, {
      grab: (px, py) => px > edge.left && px < edge.right + 10 && Math.abs(py - edge.toY(2 / frame.get("learning_rate"))) < 14,
      move: (px, py) => setRate(2 / valueAt(edge, py)),
    });
    frame.keys(edge, (dx, dy) => setRate(frame.get("learning_rate") * 1.02 ** -(dx + dy)));

    const problem = () => {
      const { widths, start } = frame.state();
      const grid = Array.from({ length: GRID }, (_, i) => -1 + (2 * i) / (GRID - 1));
      return { widths: [1, ...widths, 1], features, targets, seed: start, grid };
    };
    frame.report = () => runs.report();
    let [asked, spoken] = [];
    frame.draw = (theme) => {
      const { learning_rate: h, shown } = frame.state();
      const state = JSON.stringify([h, frame.get("widths"), frame.get("start")]);
      if (asked !== state) runs.ask(problem(), h, others);
      asked = state;
      const { hand } = runs;
      const now = Math.min(hand.k - 1, Math.round(shown * hand.steps)); // the step that is shown
      play.textContent = runs.playing ? "Pause" : "Play";
      const drawn = { hand, others: runs.others, now, cursor: now < hand.k - 1 || !hand.done, h, time };
      drawLosses(loss, theme, drawn);
      drawFit(fit, theme, { ...drawn, features, targets });
      drawEdge(edge, theme, drawn);
      drawAcross(across, theme, drawn);
      // words are read aloud: while the network is trained they change ten times only
      const key = [asked, shown, runs.playing ? Math.floor((10 * hand.k) / hand.steps) : `at ${hand.k}`].join(" ");
      if (key !== spoken && hand.k > 0) frame.say(...inWords(hand, now, h, runs));
      spoken = hand.k > 0 ? key : undefined;
    };
    frame.request();
    return () => frame.remove();
  },
};

// A run as far as it is known: `k` steps of each series.
class Known {
  constructor(rate, steps) {
    Object.assign(this, { rate, steps, k: 0, pictures: [], lost: false, done: false });
    for (const name of SERIES) this[name] = new Float64Array(steps + 1).fill(NaN);
  }

  take({ first, pictures, lost, done, ...series }) {
    for (const name of SERIES) this[name].set(series[name], first);
    this.k = first + series.losses.length;
    this.pictures.push(...pictures);
    Object.assign(this, { lost, done });
  }
}

// The run in hand in one worker, those of the other learning rates in another.
class Runs {
  constructor(address, time, frame, calm) {
    Object.assign(this, { time, frame, calm, job: 0, others: [], target: Infinity });
    this.workers = [0, 1].map(() => new Worker(address, { type: "module" }));
    this.workers[0].onmessage = ({ data }) => data.job === this.job && this.hear(data);
    this.workers[1].onmessage = ({ data }) => {
      if (data.job !== this.compared) return;
      this.others[data.number].take(data);
      if (!this.calm || data.done) this.frame.request();
    };
  }

  ask(problem, rate, others) {
    this.rate = rate;
    const changed = JSON.stringify(problem) !== JSON.stringify(this.problem);
    this.problem = problem;
    this.begin();
    if (!changed) return;
    this.compared = this.job;
    this.others = others.map((other) => new Known(other, Math.round(this.time / other)));
    const runs = this.others.map(({ rate, steps }) => ({ rate, steps, every: Math.ceil(steps / COMPARED) }));
    this.workers[1].postMessage({ job: this.job, until: Infinity, problem, runs });
  }

  begin() {
    this.job += 1;
    delete this.frame.timings.full;
    this.began = performance.now();
    this.busy = 0;
    this.target = Infinity;
    const { rate, problem, job } = this;
    const steps = Math.round(this.time / rate);
    this.hand = new Known(rate, steps);
    const run = { rate, steps, every: Math.ceil(steps / MEASURED), flow: true, pictureEvery: Math.ceil(steps / PICTURES) };
    this.workers[0].postMessage({ job, until: Infinity, problem, runs: [run] });
  }

  // Goes on to a number of steps, or holds there.
  until(steps) {
    this.target = steps;
    this.began = performance.now() - this.busy;
    this.workers[0].postMessage({ job: this.job, until: steps === Infinity ? Infinity : Math.max(0, steps - 1) });
    this.frame.request();
  }

  get playing() {
    return this.target === Infinity && !this.hand.done;
  }

  hear(data) {
    const tenth = () => Math.floor((10 * this.hand.k) / this.hand.steps);
    const before = tenth();
    this.hand.take(data);
    this.busy = performance.now() - this.began;
    if (data.done) this.frame.timings.full = this.busy;
    if (!this.calm || data.done || tenth() > before) this.frame.request();
  }

  get speed() {
    return (1000 * this.hand.k) / this.busy;
  }

  report() {
    const plain = ({ rate, k, steps, lost, done, ...known }) => ({
      ...{ rate, k, steps, lost, done },
      ...Object.fromEntries(SERIES.map((name) => [name, Array.from(known[name].subarray(0, k), (x) => (Number.isFinite(x) ? x : null))])),
    });
    const picture = this.hand?.pictures.at(-1);
    return {
      hand: this.hand && plain(this.hand),
      others: this.others.map(plain),
      picture: picture && { k: picture.k, outputs: [...picture.outputs], flow: picture.flow && [...picture.flow] },
      speed: this.hand && this.speed,
    };
  }

  remove() {
    for (const worker of this.workers) worker.terminate();
  }
}

// What is known of a series up to a step, as a line with the first, lowest, highest and last value of every pixel.
const drawnAlready = new WeakMap();

function traced(plot, series, count, rate) {
  const width = (plot.x.limits[1] - plot.x.limits[0]) / (plot.right - plot.left); // of a pixel
  const drawn = drawnAlready.get(series);
  if (drawn?.count === count && drawn.width === width) return drawn.line;
  const [xs, ys] = [[], []];
  let [column, low, high, last] = [NaN];
  const end = () => {
    if (low === high) return;
    const x = (column + 0.5) * width;
    xs.push(x, x, x);
    ys.push(low, high, last);
  };
  for (let k = 0; k < count; k++) {
    const value = series[k];
    if (Number.isNaN(value)) continue;
    const here = Math.floor((k * rate) / width);
    if (here !== column) {
      end();
      xs.push(k * rate);
      ys.push(value);
      [column, low, high] = [here, value, value];
    }
    if (value < low) low = value;
    if (value > high) high = value;
    last = value;
  }
  end();
  drawnAlready.set(series, { count, width, line: [xs, ys] });
  return [xs, ys];
}

function trace(plot, series, count, rate, options) {
  plot.line(...traced(plot, series, count, rate), options);
}

function drawCursor(plot, theme, { now, h, cursor }) {
  if (cursor && now >= 0) plot.line([now * h, now * h], plot.y.limits, { colour: theme.foreground, width: 1.2 });
}

function drawLosses(plot, theme, { hand, others, ...drawn }) {
  const all = [hand, ...others];
  const ends = all.map(({ losses, k }) => extremes(losses, k));
  const lowest = Math.min(0.1, ...ends.map(([low]) => low));
  const highest = Math.max(0.5, ...ends.map(([, high]) => high));
  plot.y.limits = [10 ** Math.floor(Math.log10(Math.max(lowest, 1e-12)) + 1e-9), Math.min(1e6, 2 * highest)];
  plot.begin(theme);
  others.forEach(({ losses, k, rate }, i) => trace(plot, losses, k, rate, { colour: theme.regimes[OTHERS[i]], width: 1.3 }));
  trace(plot, hand.flowLosses, hand.k, hand.rate, { colour: theme.regimes.edge, width: FLOW });
  trace(plot, hand.losses, hand.k, hand.rate, { colour: theme.regimes["gradient descent"], width: 1.6 });
  drawCursor(plot, theme, drawn);
}

function extremes(series, count) {
  let [low, high] = [Infinity, -Infinity];
  for (let k = 0; k < count; k++) {
    if (series[k] < low) low = series[k];
    if (series[k] > high) high = series[k];
  }
  return [low, high];
}

// 1, 2, 5, 10, … on a logarithmic axis.
function roundMarks(low, high) {
  const marks = decades(low / 10, high, 99).flatMap(({ at }) => [1, 2, 5].map((m) => m * at));
  return { marks: marks.filter((at) => at >= low && at <= high).map((at) => ({ at, text: String(at) })), note: "" };
}

// The coordinate of a logarithmic axis at a pixel.
function valueAt({ y: { limits: [low, high] }, top, bottom }, py) {
  return low * (high / low) ** ((bottom - py) / (bottom - top));
}

function drawEdge(plot, theme, { hand, others, h, time, ...drawn }) {
  const [low] = extremes(hand.second, hand.k);
  const tops = [hand, ...others].map(({ top, k }) => extremes(top, k)[1]);
  const levels = [h, ...others.map(({ rate }) => rate)].map((rate) => 2 / rate);
  plot.y.limits = [Math.min(1, Math.max(0.1, low)), 1.5 * Math.max(...levels, Math.min(1e4, Math.max(...tops)))];
  plot.begin(theme);
  const ends = [0, time];
  others.forEach(({ rate, top, k }, i) => {
    const colour = theme.regimes[OTHERS[i]];
    plot.line(ends, [2 / rate, 2 / rate], { colour, width: 1, dash: [3, 4] });
    trace(plot, top, k, rate, { colour, width: 1.3 });
  });
  const colour = theme.regimes["gradient descent"];
  for (const series of [hand.flowSecond, hand.flowTop]) trace(plot, series, hand.k, hand.rate, { colour: theme.regimes.edge, width: FLOW });
  plot.line(ends, [2 / h, 2 / h], { colour: theme.foreground, width: 1.4, dash: [7, 4] });
  trace(plot, hand.second, hand.k, hand.rate, { colour, width: 1.2, alpha: 0.8 });
  trace(plot, hand.top, hand.k, hand.rate, { colour, width: 1.7 });
  const crowded = levels.some((level) => level > 2 / h && plot.toY(2 / h) - plot.toY(level) < 28);
  plot.text(`2/h = ${short(2 / h)}`, time, 2 / h, { align: "right", dx: -20, dy: crowded ? 13 : -13 });
  drawCursor(plot, theme, { ...drawn, h });
  plot.handle(time * 0.985, 2 / h, colour);
}

function drawFit(plot, theme, { hand, now, features, targets }) {
  const picture = hand.pictures.findLast(({ k }) => k <= now) ?? hand.pictures[0];
  const grid = Array.from({ length: GRID }, (_, i) => -1 + (2 * i) / (GRID - 1));
  plot.begin(theme);
  if (picture?.flow) plot.line(grid, picture.flow, { colour: theme.regimes.edge, width: FLOW + 1 });
  if (picture) plot.line(grid, picture.outputs, { colour: theme.regimes["gradient descent"], width: 2 });
  plot.points(features, targets, { colour: theme.foreground, radius: 3.6 });
  if (picture) plot.text(`step ${picture.k}`, plot.x.limits[0], 1.6, { dx: 8, dy: 14 });
}

function drawAcross(plot, theme, { hand, h, ...drawn }) {
  const { across, deviation, k, rate } = hand;
  const predicted = extremes(deviation, k)[1];
  const reach = Math.max(...extremes(across, k).map(Math.abs));
  const high = 1.15 * (predicted > 0 ? Math.min(Math.max(reach, predicted), 3.5 * predicted) : reach);
  plot.y.limits = Number.isFinite(high) && high > 1e-6 ? [-high, high] : [-0.1, 0.1];
  const [xs, sigma] = traced(plot, deviation, k, rate);
  plot.begin(theme, (c) => {
    c.fillStyle = theme.regimes.edge;
    c.globalAlpha = 0.3;
    c.beginPath();
    xs.forEach((x, i) => c.lineTo(plot.toX(x), plot.toY(sigma[i])));
    for (let i = xs.length - 1; i >= 0; i--) c.lineTo(plot.toX(xs[i]), plot.toY(-sigma[i]));
    c.fill();
  });
  plot.inside((c) => {
    for (const [odd, name] of [[0, "gradient descent"], [1, "oscillating"]]) {
      c.fillStyle = theme.regimes[name];
      let [left, above] = [];
      for (let step = odd; step < k; step += 2) {
        const [x, y] = [plot.toX(step * rate), plot.toY(across[step])];
        if (Math.abs(x - left) < 0.7 && Math.abs(y - above) < 0.4) continue; // where there is one already
        c.fillRect(x - 0.9, y - 0.9, 1.8, 1.8);
        [left, above] = [x, y];
      }
    }
  });
  for (const sign of [0, 1, -1])
    plot.line(xs, sigma.map((s) => sign * s), { colour: theme.regimes.edge, width: sign ? 1.2 : 2 });
  drawCursor(plot, theme, { ...drawn, h });
}

// What is to be seen, and its colour.
function inWords(hand, now, h, runs) {
  const { losses, top, second, flowLosses, steps, lost, done, k } = hand;
  const speed = done || k > steps / 10 ? ` ${Math.round(runs.speed)} steps a second.` : "";
  if (lost && now >= k - 1) return [`Diverges: the loss is beyond 10⁶ at step ${k - 1}. 2/h = ${short(2 / h)}.`, "diverged"];
  let at = now;
  while (at > 0 && Number.isNaN(top[at])) at -= 1; // where it was measured last
  const share = [top[at], second[at]].map((value) => (value * h) / 2);
  const number = share.filter((part) => part >= AT_EDGE).length;
  const where = `Step ${now} of ${steps}, time ${Number((now * h).toFixed(1))}`;
  const flow = Number.isNaN(flowLosses[now]) ? "" : ` (central flow ${figures(flowLosses[now])})`;
  const values = `loss ${figures(losses[now])}${flow}; sharpness ${short(top[at])} = ${format(share[0], 3)} × 2/h`;
  const what = number ? `At the edge with ${NUMBERS[number]}` : top[at] > top[0] ? "Below the edge, getting sharper" : "Below the edge";
  return [`${what}. ${where}: ${values}.${speed}`, number ? "edge" : "stable"];
}

function figures(value) {
  const power = Math.floor(Math.log10(value));
  return power >= -2 && power < 4 ? String(Number(value.toPrecision(3))) : `${(value / 10 ** power).toFixed(1)} × 10${superscript(power)}`;
}
