// Training of a small network, with the top of its spectrum and the central flow. Python joins network_engine.js and
// central_flow.js in front of it, so the worker imports nothing.
//
// A message { job, until, problem, runs } begins a new job, and { job, until } carries the same one further or holds it;
// `until` is a number of steps of the run in hand. Every few milliseconds comes { job, number, first, ...series, pictures }
// with the steps from `first` on of the run of that number.

const SLICE = 12; // milliseconds of work between two looks at the messages
const FAR = 1e6; // a loss beyond is lost

export const SERIES = ["losses", "top", "second", "across", "deviation", "flowLosses", "flowTop", "flowSecond"];

// One run of gradient descent, and beside it, if it is asked for, the central flow. `every` steps the spectrum is measured, and
// `pictureEvery` steps a picture of the network is taken.
export class Run {
  constructor({ widths, features, targets, seed, grid }, { rate, steps, every, flow, pictureEvery }) {
    this.network = new Network(widths, features, targets);
    this.drawn = new Network(widths, grid, grid);
    this.flowNetwork = flow && new Network(widths, features, targets);
    Object.assign(this, { rate, steps, every, pictureEvery, k: 0, lost: false });
    this.w = initial(this.network, seed);
    this.slope = new Float64Array(this.w.length);
    this.spectrum = new Spectrum(this.w.length, Math.min(2, this.w.length));
    [this.direction, this.before] = [new Float64Array(this.w.length), new Float64Array(this.w.length)];
    this.series = Object.fromEntries(SERIES.map((name) => [name, new Float64Array(steps + 1).fill(NaN)]));
    this.pictures = [];
  }

  get done() {
    return this.lost || this.k > this.steps;
  }

  // Notes what there is at this step, and makes it.
  advance() {
    const { network, w, slope, spectrum, series, k, rate, steps } = this;
    const loss = network.gradient(w, slope);
    series.losses[k] = loss;
    this.lost = !(loss < FAR);
    if (!this.lost && k % this.every === 0) {
      spectrum.update((v, out) => network.hessianProduct(w, v, out), TOLERANCE);
      [series.top[k], series.second[k]] = spectrum.values;
    }
    if (this.flowNetwork && !this.lost) this.noteFlow();
    if (this.pictureEvery && (k % this.pictureEvery === 0 || k === steps || this.lost)) this.takePicture();
    this.k += 1;
    if (this.done) return;
    if (!this.flow) this.before.set(w);
    axpy(-rate, slope, w);
    if (this.flow && !this.flow.advance()) this.flowNetwork = this.flow = undefined;
  }

  // The flow begins where gradient descent is below the edge, after a catapult in the middle of two iterates.
  noteFlow() {
    const { series, k, w, rate } = this;
    if (!this.flow) {
      if (!(series.top[k] * rate < 2)) return;
      const start = k ? w.map((x, i) => (x + this.before[i]) / 2) : w;
      this.flow = new CentralFlow(this.flowNetwork, start, rate);
    }
    const { flow, direction, before } = this;
    before.set(direction);
    series.deviation[k] = flow.widest(direction);
    if (dot(before, direction) < 0) for (let i = 0; i < w.length; i++) direction[i] = -direction[i]; // as at the step before
    series.across[k] = dot(direction, w) - dot(direction, flow.w);
    series.flowLosses[k] = flow.averageLoss;
    [series.flowTop[k], series.flowSecond[k]] = flow.spectrum.values;
  }

  // What the network makes of every number of the grid, and what it makes of it at the central flow.
  takePicture() {
    const { drawn, w, flow, k } = this;
    const outputs = Float64Array.from(drawn.forward(w));
    this.pictures.push({ k, outputs, flow: flow && Float64Array.from(drawn.forward(flow.w)) });
  }
}

let job;
let target = 0;
let queue = [];
let running = false;
const inWorker = typeof WorkerGlobalScope !== "undefined";
const pause = inWorker && new MessageChannel(); // lets waiting messages in, without the delay of a timer
const waiting = [];
const breathe = () => new Promise((resolve) => pause.port2.postMessage(waiting.push(resolve)));

async function work() {
  running = true;
  while (queue.length && queue[0].run.k <= target) {
    const { number, run } = queue[0];
    const [first, pictures] = [run.k, run.pictures.length];
    const began = performance.now();
    while (!run.done && run.k <= target && performance.now() - began < SLICE) run.advance();
    const series = Object.fromEntries(SERIES.map((name) => [name, run.series[name].slice(first, run.k)]));
    self.postMessage({ job, number, first, ...series, pictures: run.pictures.slice(pictures), lost: run.lost, done: run.done });
    if (run.done) queue.shift();
    await breathe();
  }
  running = false;
}

if (inWorker) {
  pause.port1.onmessage = () => waiting.shift()();
  self.onmessage = ({ data }) => {
    target = data.until;
    if (data.job !== job) {
      job = data.job;
      queue = data.runs.map((run, number) => ({ number, run: new Run(data.problem, run) }));
    }
    if (!running) work();
  };
}
