// The bifurcation diagram as pixels, computed by workers: short orbits first, then long ones.

import { channels } from "./drawing.js";
import { Workers } from "./workers.js";

const QUICK = { rates: 1, least: 256, most: 256, keep: 256 };
const WHOLE = { rates: 3, least: 1024, most: 16384, keep: 4000 };
const LONGEST = 64000;
const WASH = 26; // of 255: how full a column is in which the orbit diverges

export class DiagramPicture {
  constructor(address, size, { regimeNames, OWN }, timings, changed) {
    Object.assign(this, { size, names: regimeNames, own: OWN, timings, changed });
    this.workers = new Workers(address, timings, { receive: (piece) => this.receive(piece), finished: changed });
    [this.canvas, this.strip] = [size, [size[0], 1]].map(([width, height]) =>
      Object.assign(document.createElement("canvas"), { width, height }),
    );
    [this.context, this.stripContext] = [this.canvas, this.strip].map((canvas) => canvas.getContext("2d"));
    this.pieces = [];
    this.fresh = [];
  }

  // Asks for a new diagram; whatever is being computed is given up.
  ask(request) {
    this.workers.begin();
    this.missing = this.size[0];
    this.waiting = [];
    this.limitsAsked = request.limits;
    // of a small part of the diagram more is to be seen when orbits are longer
    const long = { ...WHOLE, keep: Math.min(LONGEST, Math.round(WHOLE.keep * request.depth)) };
    const passes = request.depth > 2 ? [QUICK, WHOLE, long] : [QUICK, WHOLE];
    this.workers.share({ ...request, size: this.size, passes });
  }

  receive(piece) {
    // the diagram before stands until the first pass is whole; a quick worker may be further already
    this.waiting.push(piece);
    if (piece.pass === 0) this.missing -= piece.count;
    if (this.missing > 0) return;
    const whole = this.missing === 0;
    if (whole) {
      this.missing = -1;
      this.timings.coarse = this.workers.since;
      this.limits = this.limitsAsked;
      this.pieces = [];
      this.fresh = [];
      this.waiting.sort((a, b) => a.pass - b.pass);
    }
    this.pieces.push(...this.waiting);
    this.fresh.push(...this.waiting);
    this.waiting = [];
    // what is fresh waits a little for company: drawing for every piece would take the time from the workers
    const now = performance.now();
    if (whole || now - this.shown > 60) {
      this.shown = now;
      this.changed();
    }
  }

  // Brings both canvases up to date with what has arrived, in the colours of the theme.
  paint(theme) {
    if (this.painted !== theme.background) {
      this.painted = theme.background;
      this.colours = this.names.map((name) => theme.regimes[name]);
      this.shades = this.names.map((name) => palette(channels(theme.regimes[name]), channels(theme.muted), this.own));
      this.names.forEach((name, i) => {
        if (name === "diverged") this.shades[i][0] = rgba(channels(theme.regimes[name]), WASH);
      });
      this.fresh = [...this.pieces];
    }
    for (const piece of this.fresh) this.paintPiece(piece);
    this.fresh = [];
  }

  paintPiece({ first, count, shades, regimes }) {
    const rows = this.size[1];
    const image = this.context.createImageData(count, rows);
    const pixels = new Uint32Array(image.data.buffer);
    for (let row = 0, k = 0; row < rows; row++)
      for (let column = 0; column < count; column++, k++) pixels[k] = this.shades[regimes[column]][shades[k]];
    this.context.putImageData(image, first, 0);
    regimes.forEach((regime, column) => {
      this.stripContext.fillStyle = this.colours[regime];
      this.stripContext.fillRect(first + column, 0, 1, 1);
    });
  }

  // What the columns that have arrived show, from the left: names of regimes, and periods.
  columns() {
    const [regimes, periods] = [[], []];
    for (const piece of this.pieces) {
      piece.regimes.forEach((regime, k) => {
        regimes[piece.first + k] = this.names[regime];
        periods[piece.first + k] = piece.periods[k];
      });
    }
    return { regimes, periods };
  }

  remove() {
    this.workers.remove();
  }
}

// Pixels for all shades: none, those of the start in the colour of the regime, those of other starts in grey.
function palette(colour, muted, own) {
  return Uint32Array.from({ length: 256 }, (_, shade) => {
    if (shade === 0) return 0;
    if (shade <= own) return rgba(colour, Math.round((255 * shade) / own));
    return rgba(muted, Math.round((170 * Math.min(own, shade - own)) / own));
  });
}

function rgba([r, g, b], alpha) {
  return ((alpha << 24) | (b << 16) | (g << 8) | r) >>> 0;
}
