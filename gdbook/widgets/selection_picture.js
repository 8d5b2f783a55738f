// The selection map as pixels, computed by workers: coarse first. Beside it the shares, which are its rows in order.

import { channels } from "./drawing.js";
import { PictureInPasses } from "./workers.js";

export const SIZE = [480, 320];
const COARSE = [60, 40];

export class SelectionPicture extends PictureInPasses {
  constructor(address, timings, changed) {
    super(address, timings, changed, 100);
    [this.map, this.shares] = [0, 1].map(() =>
      Object.assign(document.createElement("canvas"), { width: SIZE[0], height: SIZE[1] }),
    );
    this.fates = new Uint8Array(SIZE[0] * SIZE[1]);
    this.ordered = new Uint8Array(SIZE[0] * SIZE[1]);
  }

  ask(request) {
    this.request = request;
    this.begin(COARSE[1], { ...request, sizes: [COARSE, SIZE] });
  }

  pass(piece) {
    return piece.columns === COARSE[0] ? 0 : 1;
  }

  begun() {
    this.shown = this.request;
  }

  keep(pieces) {
    for (const piece of pieces) this.enlarge(piece);
    this.painted = undefined;
  }

  // A piece of the coarse map is enlarged.
  enlarge({ columns, first, count, fates }) {
    const [width, scale] = [SIZE[0], SIZE[0] / columns];
    for (let row = 0; row < count; row++) {
      const at = (first + row) * scale * width; // the lowest row that it fills
      for (let i = 0, from = row * columns; i < columns; i++)
        this.fates.fill(fates[from + i], at + i * scale, at + (i + 1) * scale);
      ordered(this.fates.subarray(at, at + width), this.ordered.subarray(at, at + width));
      for (const all of [this.fates, this.ordered])
        for (let copy = 1; copy < scale; copy++) all.copyWithin(at + copy * width, at, at + width);
    }
  }

  // Brings both canvases up to date with what has arrived; `colours` are those of the fates.
  paint(theme, colours) {
    if (this.painted === theme.background) return;
    this.painted = theme.background;
    const background = channels(theme.background);
    const pixels = Uint32Array.from(colours, (colour) => mixed(channels(colour), background));
    fill(this.map, this.fates, pixels);
    fill(this.shares, this.ordered, pixels);
  }

  // How many cells of the map have each fate.
  counts() {
    const counts = Array(6).fill(0);
    for (const fate of this.fates) counts[fate]++;
    return counts;
  }
}

// The same fates from the lowest to the highest.
function ordered(fates, found) {
  const counts = new Uint16Array(6);
  for (const fate of fates) counts[fate]++;
  let from = 0;
  counts.forEach((count, fate) => found.fill(fate, from, (from += count)));
}

const STRENGTH = 0.75; // lines and points are to be seen on it

function mixed(colour, background) {
  const [r, g, b] = colour.map((part, i) => Math.round(STRENGTH * part + (1 - STRENGTH) * background[i]));
  return ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;
}

function fill(canvas, fates, pixels) {
  const { width, height } = canvas;
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  const all = new Uint32Array(image.data.buffer);
  for (let row = 0, k = 0; row < height; row++)
    for (let i = 0, at = (height - 1 - row) * width; i < width; i++, at++, k++) all[at] = pixels[fates[k]];
  context.putImageData(image, 0, 0);
}
