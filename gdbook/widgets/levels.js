// Level lines of a function of two variables.

const SAMPLES = 90; // along each side
const LEVELS = 12;

// Segments [x0, y0, x1, y1, ...] of level lines at the quantiles of the values seen,
// so that they are spread evenly over any landscape.
export function levelLines(value, p, limits) {
  const { values, x, y } = sampled(value, p, limits);
  const sorted = values.filter(Number.isFinite).sort();
  const levels = Array.from({ length: LEVELS }, (_, i) => sorted[Math.floor(((i + 0.5) * sorted.length) / LEVELS)]);
  return levels.flatMap((level) => crossings(values, level, x, y));
}

// Segments of the line where a function is zero.
export function zeroLine(value, p, limits) {
  const { values, x, y } = sampled(value, p, limits);
  return crossings(values, 0, x, y);
}

function sampled(value, p, [x0, x1, y0, y1]) {
  const x = (i) => x0 + ((x1 - x0) * i) / (SAMPLES - 1);
  const y = (j) => y0 + ((y1 - y0) * j) / (SAMPLES - 1);
  const values = new Float64Array(SAMPLES * SAMPLES);
  for (let k = 0; k < values.length; k++) values[k] = value([x(k % SAMPLES), y(Math.floor(k / SAMPLES))], p);
  return { values, x, y };
}

// Marching squares: where the level crosses the sides of each small square, joined in pairs.
function crossings(values, level, x, y) {
  const segments = [];
  for (let j = 0; j + 1 < SAMPLES; j++) {
    for (let i = 0; i + 1 < SAMPLES; i++) {
      const k = j * SAMPLES + i;
      const [a, b] = [values[k] - level, values[k + 1] - level];
      const [d, c] = [values[k + SAMPLES] - level, values[k + SAMPLES + 1] - level];
      const above = (a > 0) + (b > 0) + (c > 0) + (d > 0);
      if (above === 0 || above === 4) continue;
      const found = [];
      if (a > 0 !== b > 0) found.push(x(i + a / (a - b)), y(j));
      if (b > 0 !== c > 0) found.push(x(i + 1), y(j + b / (b - c)));
      if (c > 0 !== d > 0) found.push(x(i + d / (d - c)), y(j + 1));
      if (d > 0 !== a > 0) found.push(x(i), y(j + a / (a - d)));
      segments.push(...found);
    }
  }
  return segments;
}

export function strokeLevels(plot, segments, theme, { colour = theme.foreground, width = 1, alpha = 0.3 } = {}) {
  const c = plot.context;
  c.beginPath();
  for (let s = 0; s < segments.length; s += 4) {
    c.moveTo(plot.toX(segments[s]), plot.toY(segments[s + 1]));
    c.lineTo(plot.toX(segments[s + 2]), plot.toY(segments[s + 3]));
  }
  c.strokeStyle = colour;
  c.globalAlpha = alpha;
  c.lineWidth = width;
  c.lineCap = "round";
  c.stroke();
  c.lineCap = "butt";
  c.globalAlpha = 1;
}
