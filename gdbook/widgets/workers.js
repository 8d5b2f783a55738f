// Workers that make the pieces of one picture. Each answers with { job, ...piece } and at last with { job, done: true }.

export class Workers {
  // `timings.full` is the time until all are done; `receive(piece)` and `finished()` are called for the latest job alone.
  constructor(address, timings, { receive, finished }) {
    Object.assign(this, { timings, receive, finished });
    this.job = 0;
    const count = Math.min(4, Math.max(1, navigator.hardwareConcurrency ?? 1));
    this.all = Array.from({ length: count }, () => new Worker(address, { type: "module" }));
    for (const worker of this.all) worker.onmessage = ({ data }) => this.hear(data);
  }

  // Begins a new job; what comes of those before is not heard any more.
  begin() {
    this.job += 1;
    this.asked = performance.now();
    delete this.timings.full;
  }

  // Milliseconds since the job began.
  get since() {
    return performance.now() - this.asked;
  }

  // Gives every worker its share of the job, whatever it has been computing.
  share(request) {
    this.remaining = this.all.length;
    this.all.forEach((worker, part) => worker.postMessage({ ...request, job: this.job, part, parts: this.all.length }));
  }

  // Ends all work on the jobs before.
  rest() {
    for (const worker of this.all) worker.postMessage({ job: this.job });
  }

  hear({ job, done, ...piece }) {
    if (job !== this.job) return;
    if (!done) return this.receive(piece);
    this.remaining -= 1;
    if (this.remaining > 0) return;
    this.timings.full = this.since;
    this.finished();
  }

  remove() {
    for (const worker of this.all) worker.terminate();
  }
}
