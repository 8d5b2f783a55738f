// What every worker of a picture ends with; Python joins it behind the loop, which has `pieces(request)`: a generator of
// [piece, buffers]. A piece is sent as { job, ...piece }, its buffers with it, and at last { job, done: true }.
// A new message ends the work on the one before; without a part of its own it does only that.

let current = 0;
const inWorker = typeof WorkerGlobalScope !== "undefined"; // the page imports the loop too: there is no one to answer there
const pause = inWorker && new MessageChannel(); // lets waiting messages in, without the delay of a timer
const waiting = [];
const breathe = () => new Promise((resolve) => pause.port2.postMessage(waiting.push(resolve)));

async function work({ job, ...request }) {
  for (const [piece, buffers] of pieces(request)) {
    self.postMessage({ job, ...piece }, buffers);
    await breathe();
    if (job !== current) return;
  }
  self.postMessage({ job, done: true });
}

if (inWorker) {
  pause.port1.onmessage = () => waiting.shift()();
  self.onmessage = ({ data }) => {
    current = data.job;
    if (data.part !== undefined) work(data);
  };
}
