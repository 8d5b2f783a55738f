// The loop of the basin picture. Python joins the text of the formula and of the outcome in front of it,
// so `step` and `outcomeOf` are in scope and the worker imports nothing.
//
// A message { job, part, parts, limits, sizes, learningRate, p, steps } asks for one share of a picture, in passes
// of growing size. Every piece is sent as { job, size, first, labels, steps }, rows counted from below.
// A new message ends the work on the one before.

export const labelNames = ["converged", "diverged", "periodic", "bounded"];

export function basinRows({ limits: [x0, x1, y0, y1], learningRate, p, steps }, size, first, count) {
  const labels = new Uint8Array(count * size);
  const reached = new Uint16Array(count * size);
  const start = new Float64Array(2);
  for (let j = 0, k = 0; j < count; j++) {
    for (let i = 0; i < size; i++, k++) {
      start[0] = x0 + ((x1 - x0) * (i + 0.5)) / size;
      start[1] = y0 + ((y1 - y0) * (first + j + 0.5)) / size;
      const outcome = outcomeOf(step, start, learningRate, p, steps);
      labels[k] = labelNames.indexOf(outcome.label);
      reached[k] = outcome.step;
    }
  }
  return { labels, steps: reached };
}

const ROWS = 5; // per piece: a few milliseconds, so that a newer message is heard soon

let current = 0;
const pause = new MessageChannel(); // lets waiting messages in, without the delay of a timer
const waiting = [];
pause.port1.onmessage = () => waiting.shift()();
const breathe = () => new Promise((resolve) => pause.port2.postMessage(waiting.push(resolve)));

async function work(request) {
  const { job, part, parts, sizes } = request;
  for (const size of sizes) {
    for (let first = part * ROWS; first < size; first += parts * ROWS) {
      const piece = basinRows(request, size, first, Math.min(ROWS, size - first));
      self.postMessage({ job, size, first, ...piece }, [piece.labels.buffer, piece.steps.buffer]);
      await breathe();
      if (job !== current) return;
    }
  }
  self.postMessage({ job, done: true });
}

if (typeof self !== "undefined") {
  self.onmessage = ({ data }) => {
    current = data.job;
    work(data);
  };
}
