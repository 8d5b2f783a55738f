// The bifurcation diagram as pixels, computed by workers: short orbits first, then long ones.

import { channels } from "./drawing.js";
import { PictureInPasses } from "./workers.js";

const QUICK = { rates: 1, least: 256, most: 256, keep: 256 };
const WHOLE = { rates: 3, least: 1024, most: 16384, keep: 4000 };
const LONGEST = 64000;
const WASH = 26; // of 255: how full a column is in which the orbit diverges

export class DiagramPicture extends PictureInPasses {
  constructor(address, size, { regimeNames, OWN }, timings, changed) {
    super(address, timings, changed, 60);
    Object.assign(this, { size, names: regimeNames, own: OWN });
    [this.canvas, this.strip] = [size, [size[0], 1]].map(([width, height]) =>
      Object.assign(document.createElement("canvas"), { width, height }),
    );
    [this.context, this.stripContext] = [this.canvas, this.strip].map((canvas) => canvas.getContext("2d"));
    this.pieces = [];
    this.fresh = [];
  }

  ask(request) {
    this.limitsAsked = request.limits;
    // of a small part of the diagram more is to be seen when orbits are longer
    const long = { ...WHOLE, keep: Math.min(LONGEST, Math.round(WHOLE.keep * request.depth)) };
    const passes = request.depth > 2 ? [QUICK, WHOLE, long] : [QUICK, WHOLE];
    this.begin(this.size[0], { ...request, size: this.size, passes });
  }

  pass(piece) {
    return piece.pass;
  }

  begun() {
    this.limits = this.limitsAsked;
    this.pieces = [];
    this.fresh = [];
  }

  keep(pieces) {
    this.pieces.push(...pieces);
    this.fresh.push(...pieces);
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
