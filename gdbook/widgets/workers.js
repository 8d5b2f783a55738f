// Workers that make the pieces of one picture. Each answers with { job, ...piece } and at last with { job, done: true }.

export class Workers {
  // `timings.full` is the time until all are done; `receive(piece)` and `finished()` are called for the latest job alone.
  constructor(address, timings, { receive, finished }, most = 4) {
    Object.assign(this, { timings, receive, finished });
    this.job = 0;
    const count = Math.min(most, Math.max(1, navigator.hardwareConcurrency ?? 1));
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

// A picture that comes in passes, the coarse one first: the picture before stands until that is whole. A subclass has
// `pass(piece)`, 0 for the first; `begun()`, called when that is whole; and `keep(pieces)` for what is to be seen.
export class PictureInPasses {
  // `changed()` asks for a drawing, for fresh pieces at most every `interval` milliseconds.
  constructor(address, timings, changed, interval) {
    Object.assign(this, { timings, changed, interval });
    this.workers = new Workers(address, timings, { receive: (piece) => this.receive(piece), finished: changed });
  }

  // Asks for a new picture, whose first pass has so many lines; whatever is being computed is given up.
  begin(lines, request) {
    this.workers.begin();
    this.missing = lines;
    this.waiting = [];
    this.workers.share(request);
  }

  receive(piece) {
    this.waiting.push(piece); // a quick worker may be further already
    if (this.pass(piece) === 0) this.missing -= piece.count;
    if (this.missing > 0) return;
    const whole = this.missing === 0;
    if (whole) {
      this.missing = -1;
      this.timings.coarse = this.workers.since;
      this.begun();
      this.waiting.sort((a, b) => this.pass(a) - this.pass(b));
    }
    this.keep(this.waiting);
    this.waiting = [];
    // what is fresh waits a little for company: drawing for every piece would take the time from the workers
    const now = performance.now();
    if (whole || now - this.drawn > this.interval) {
      this.drawn = now;
      this.changed();
    }
  }

  remove() {
    this.workers.remove();
  }
}
