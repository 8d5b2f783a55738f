// Drawing: canvases with axes and round numbers, lines, points, pictures, and the colours of the theme.

// A number for people: a true minus sign, no more digits than asked for.
export function format(value, digits = 2) {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "undefined" : value > 0 ? "∞" : "−∞";
  const size = Math.abs(value);
  const plain = size === 0 || (size >= 10 ** -digits && size < 1e5);
  if (plain) return value.toFixed(digits).replace("-", "−");
  const [mantissa, power] = value.toExponential(1).split("e");
  return `${mantissa} × 10${superscript(Number(power))}`.replace("-", "−");
}

// Two digits after the point, or three where the third is not zero; below a tenth, three digits that count.
export function short(value) {
  if (value >= 1e-3 && value < 0.1) return String(Number(value.toPrecision(3)));
  return format(value, 3).replace(/^(.*\.\d\d)0$/, "$1");
}

const GREEK = { alpha: "α", beta: "β", delta: "δ", epsilon: "ε", kappa: "κ", lambda: "λ", mu: "μ", sigma: "σ", tau: "τ" };

// A variable or parameter as it is printed in the text.
export function symbol(name) {
  return GREEK[name] ?? name;
}

export function superscript(power) {
  return String(power).replace(/./g, (c) => (c === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[c]));
}

// Multiples of 1, 2 or 5 times a power of ten between low and high.
export function ticks(low, high, count) {
  const raw = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * [1, 2, 5, 10].find((m, i, all) => raw / power <= Math.sqrt(m * (all[i + 1] ?? Infinity)));
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  const marks = [];
  const first = Math.ceil(low / step - 1e-9);
  // counted from the first: far from zero, where the axis is finer than numbers are, k + 1 may be k
  for (let i = 0; i <= 4 * count && (first + i) * step <= high + 1e-9 * step; i++) {
    const at = (first + i) * step;
    marks.push({ at, text: at.toFixed(digits).replace(/^-0(\.0*)?$/, "0$1").replace("-", "−") });
  }
  return marks;
}

// Marks that fit beside an axis, and what to add to its label. Numbers with more than four digits after the point are
// given in a power of ten where zero is near, and by their last digits, "…4271", where it is far.
export function fitted(marks) {
  if (!marks.some(({ text }) => /[.]\d{5}/.test(text))) return { marks, note: "" };
  const reach = Math.max(...marks.map(({ at }) => Math.abs(at)));
  if (marks.at(-1).at - marks[0].at < 0.02 * reach)
    return { marks: marks.map(({ at, text }) => ({ at, text: `…${text.slice(-4)}` })), note: ` ≈ ${marks[0].text}` };
  const power = Math.floor(Math.log10(reach) + 1e-9);
  const scaled = ({ at }) => ({ at, text: String(Number((at / 10 ** power).toFixed(3))).replace("-", "−") });
  return { marks: marks.map(scaled), note: ` in 10${superscript(power)}` };
}

// Powers of ten, thinned to at most `count`.
export function decades(low, high, count) {
  const [from, to] = [Math.ceil(Math.log10(low) - 1e-9), Math.floor(Math.log10(high) + 1e-9)];
  const every = Math.max(1, Math.ceil((to - from + 1) / count));
  const marks = [];
  for (let k = Math.ceil(from / every) * every; k <= to; k += every) {
    marks.push({ at: 10 ** k, text: k === 0 ? "1" : `10${superscript(k)}` });
  }
  return marks;
}

// Marks of an axis whose coordinate is the decimal logarithm of what it shows: powers of ten, or round numbers where there
// are fewer than two of these.
export function powers(low, high, count) {
  const whole = decades(10 ** low, 10 ** high, count);
  const { marks, note } = whole.length > 1 ? { marks: whole, note: "" } : fitted(ticks(10 ** low, 10 ** high, count));
  return { marks: marks.map(({ at, text }) => ({ at: Math.log10(at), text })), note };
}

// [r, g, b] of a colour given as #rrggbb.
export function channels(hex) {
  return [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
}

function lighter(hex, lift) {
  const parts = channels(hex).map((c) => Math.round(c + lift * (255 - c)));
  return `#${parts.map((c) => c.toString(16).padStart(2, "0")).join("")}`;
}

// The colours in force: those of the regimes come from Python, the others from the style sheet.
// `changed` is called when the page or JupyterLab switches between light and dark.
export class Theme {
  constructor(root, colours, changed) {
    this.root = root;
    this.colours = colours;
    this.observer = new MutationObserver(() => {
      this.read();
      changed();
    });
    this.observer.observe(document.documentElement, { attributeFilter: ["data-theme"] });
    this.observer.observe(document.body, { attributeFilter: ["data-jp-theme-light", "data-jp-theme-name"] });
    this.read();
  }

  read() {
    const style = getComputedStyle(this.root);
    const colour = (name) => style.getPropertyValue(`--live-${name}`).trim();
    this.background = colour("background");
    this.foreground = colour("foreground");
    this.muted = colour("muted");
    this.grid = colour("grid");
    this.font = style.fontFamily;
    // a little lighter on a dark page
    const lift = parseFloat(colour("lift")) / 100;
    this.regimes = Object.fromEntries(
      Object.entries(this.colours).map(([name, hex]) => [name, lighter(hex, lift)]),
    );
  }

  remove() {
    this.observer.disconnect();
  }
}

// One canvas with axes. `x` and `y` are { limits: [low, high], label, log }; limits may be changed before a drawing. An axis
// may have its own `marks(low, high, count)`, as `powers`.
export class Plot {
  constructor(parent, { label, x, y, interactive = false, grid = true }, changed) {
    this.x = x;
    this.y = y;
    this.grid = grid;
    this.box = parent.appendChild(document.createElement("div"));
    this.box.className = "live-plot";
    this.canvas = this.box.appendChild(document.createElement("canvas"));
    this.canvas.setAttribute("role", interactive ? "application" : "img");
    this.canvas.setAttribute("aria-label", label);
    if (interactive) this.canvas.tabIndex = 0;
    this.context = this.canvas.getContext("2d");
    this.observer = new ResizeObserver(() => {
      this.fit();
      changed();
    });
    this.observer.observe(this.box);
    this.fit();
  }

  fit() {
    this.fitted = (this.fitted ?? 0) + 1; // whoever draws only what has changed must draw again
    const scale = window.devicePixelRatio || 1;
    this.width = Math.max(60, this.box.clientWidth);
    this.height = Math.max(60, this.box.clientHeight);
    this.canvas.width = Math.round(this.width * scale);
    this.canvas.height = Math.round(this.height * scale);
    this.context.setTransform(scale, 0, 0, scale, 0, 0);
    // the same margins as those of the stills, see live_figure.py
    this.left = 46;
    this.top = 26;
    this.right = this.width - 12;
    this.bottom = this.height - 36;
  }

  toX(value) {
    return this.left + (this.right - this.left) * share(value, this.x);
  }

  toY(value) {
    return this.bottom - (this.bottom - this.top) * share(value, this.y);
  }

  fromX(pixel) {
    const [low, high] = this.x.limits;
    return low + ((pixel - this.left) / (this.right - this.left)) * (high - low);
  }

  fromY(pixel) {
    const [low, high] = this.y.limits;
    return low + ((this.bottom - pixel) / (this.bottom - this.top)) * (high - low);
  }

  // Clears the canvas, then draws `behind` (a picture, bands), the grid, the axes and their numbers.
  begin(theme, behind = () => {}) {
    const c = this.context;
    this.theme = theme;
    c.clearRect(0, 0, this.width, this.height);
    this.inside(behind);
    const small = this.width < 300;
    c.font = `${small ? 11 : 12}px ${theme.font}`;
    c.lineWidth = 1;
    c.strokeStyle = theme.grid;
    c.fillStyle = theme.muted;
    const marks = (axis, pixels) => {
      const count = Math.max(2, Math.floor(pixels));
      return axis.marks?.(...axis.limits, count) ?? fitted((axis.log ? decades : ticks)(...axis.limits, count));
    };
    const { marks: columns, note: noteX } = marks(this.x, (this.right - this.left) / 64);
    const { marks: rows, note: noteY } = marks(this.y, (this.bottom - this.top) / 38);
    if (this.grid) {
      c.beginPath();
      for (const { at } of columns) segment(c, this.toX(at), this.top, this.toX(at), this.bottom);
      for (const { at } of rows) segment(c, this.left, this.toY(at), this.right, this.toY(at));
      c.stroke();
    }
    c.strokeStyle = theme.muted;
    c.strokeRect(this.left, this.top, this.right - this.left, this.bottom - this.top);
    c.textAlign = "center";
    c.textBaseline = "top";
    for (const { at, text } of columns) {
      const half = c.measureText(text).width / 2;
      c.fillText(text, clamp(this.toX(at), half, this.width - half), this.bottom + 5);
    }
    c.textAlign = "right";
    c.textBaseline = "middle";
    for (const { at, text } of rows) c.fillText(text, this.left - 6, this.toY(at), this.left - 7);
    c.fillStyle = theme.foreground;
    c.textBaseline = "alphabetic";
    c.fillText(this.x.label + noteX, this.right, this.bottom + 31);
    c.textAlign = "left";
    c.fillText(this.y.label + noteY, Math.max(4, this.left - 30), this.top - 9);
  }

  // Runs `draw` with everything outside the axes cut off.
  inside(draw) {
    const c = this.context;
    c.save();
    c.beginPath();
    c.rect(this.left, this.top, this.right - this.left, this.bottom - this.top);
    c.clip();
    draw(c);
    c.restore();
  }

  line(xs, ys, { colour, width = 2, dash = [], alpha = 1 }) {
    this.inside((c) => {
      c.strokeStyle = colour;
      c.lineWidth = width;
      c.globalAlpha = alpha;
      c.lineJoin = "round";
      c.setLineDash(dash);
      c.beginPath();
      let pen = false;
      for (let i = 0; i < xs.length; i++) {
        const [px, py] = [this.toX(xs[i]), this.toY(ys[i])];
        if (!Number.isFinite(px) || !Number.isFinite(py)) {
          pen = false;
        } else {
          // far outside is drawn as outside: canvases are exact only for moderate numbers
          const [qx, qy] = [clamp(px, -2e4, 2e4), clamp(py, -2e4, 2e4)];
          if (pen) c.lineTo(qx, qy);
          else c.moveTo(qx, qy);
          pen = true;
        }
      }
      c.stroke();
    });
  }

  points(xs, ys, { colour, radius = 3.5, alpha = 1 }) {
    this.inside((c) => {
      c.fillStyle = colour;
      c.strokeStyle = this.theme.background;
      c.globalAlpha = alpha;
      c.lineWidth = 1;
      for (let i = 0; i < xs.length; i++) {
        const [px, py] = [this.toX(xs[i]), this.toY(ys[i])];
        if (!(Math.abs(px) < 1e4 && Math.abs(py) < 1e4)) continue;
        c.beginPath();
        c.arc(px, py, radius, 0, 2 * Math.PI);
        c.fill();
        c.stroke();
      }
    });
  }

  // A ring that says: take me.
  handle(x, y, colour) {
    const c = this.context;
    const [px, py] = [this.toX(x), this.toY(y)];
    if (!Number.isFinite(px + py)) return;
    c.beginPath();
    c.arc(px, clamp(py, this.top, this.bottom), 7.5, 0, 2 * Math.PI);
    c.fillStyle = this.theme.background;
    c.fill();
    c.lineWidth = 3;
    c.strokeStyle = colour;
    c.stroke();
  }

  text(words, x, y, { align = "left", dx = 0, dy = 0, size = 12 }) {
    const c = this.context;
    c.font = `${size}px ${this.theme.font}`;
    c.textAlign = align;
    c.textBaseline = "middle";
    c.lineJoin = "round";
    c.lineWidth = 4;
    c.strokeStyle = this.theme.background;
    c.fillStyle = this.theme.foreground;
    const [px, py] = [this.toX(x) + dx, this.toY(y) + dy];
    c.strokeText(words, px, py);
    c.fillText(words, px, py);
  }

  // An offscreen canvas laid over the rectangle `[x0, x1, y0, y1]` of the axes.
  picture(image, [x0, x1, y0, y1]) {
    const c = this.context;
    const [left, top] = [this.toX(x0), this.toY(y1)];
    c.drawImage(image, left, top, this.toX(x1) - left, this.toY(y0) - top);
  }

  remove() {
    this.observer.disconnect();
  }
}

export function clamp(value, low, high) {
  return Math.min(high, Math.max(low, value));
}

function share(value, { limits: [low, high], log }) {
  return log ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low);
}

function segment(context, x0, y0, x1, y1) {
  context.moveTo(Math.round(x0) + 0.5, Math.round(y0) + 0.5);
  context.lineTo(Math.round(x1) + 0.5, Math.round(y1) + 0.5);
}
