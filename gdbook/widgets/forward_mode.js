// Values with first and second derivatives by forward-mode differentiation: the rules of the operations, and how a list of
// operations is run. A node of the list is x, y, a number `value`, or a `rule` for the nodes `a` and `b`; `on` tells by what it
// can be differentiated, 1 for x and 2 for y.

// What a rule makes of u and w: the value, its derivatives p by u and q by w, and those of second order, pp, pq and qq.
export const jet = new Float64Array(6);
const set = (v, p, pp, q = 0, pq = 0, qq = 0) => {
  jet[0] = v, jet[1] = p, jet[2] = q, jet[3] = pp, jet[4] = pq, jet[5] = qq;
};
export const rules = {
  "*": (u, w) => set(u * w, w, 0, u, 1),
  "+": (u, w) => set(u + w, 1, 0, 1),
  "-": (u, w) => set(u - w, 1, 0, -1),
  "/": (u, w) => set(u / w, 1 / w, 0, -u / w / w, -1 / w / w, (2 * u) / w / w / w),
  "^": (u, w, v = Math.pow(u, w), l = Math.log(u), less = Math.pow(u, w - 1)) =>
    set(v, w * less, w * (w - 1) * Math.pow(u, w - 2), v * l, less * (1 + w * l), v * l * l),
  log1p: (u) => set(Math.log1p(u), 1 / (1 + u), -1 / (1 + u) / (1 + u)),
  log: (u) => set(Math.log(u), 1 / u, -1 / u / u),
  exp: (u, _, v = Math.exp(u)) => set(v, v, v),
  sqrt: (u, _, v = Math.sqrt(u)) => set(v, 0.5 / v, -0.25 / v / u),
  sin: (u, _, v = Math.sin(u)) => set(v, Math.cos(u), -v),
  cos: (u, _, v = Math.cos(u)) => set(v, -Math.sin(u), -v),
  tan: (u, _, v = Math.tan(u)) => set(v, 1 + v * v, 2 * v * (1 + v * v)),
  sinh: (u, _, v = Math.sinh(u)) => set(v, Math.cosh(u), v),
  cosh: (u, _, v = Math.cosh(u)) => set(v, Math.sinh(u), v),
  tanh: (u, _, v = Math.tanh(u)) => set(v, 1 - v * v, -2 * v * (1 - v * v)),
  asin: (u, _, s = 1 - u * u) => set(Math.asin(u), 1 / Math.sqrt(s), u / s / Math.sqrt(s)),
  acos: (u, _, s = 1 - u * u) => set(Math.acos(u), -1 / Math.sqrt(s), -u / s / Math.sqrt(s)),
  atan: (u, _, s = 1 + u * u) => set(Math.atan(u), 1 / s, (-2 * u) / s / s),
  abs: (u) => (u > 0 ? set(u, 1, 0) : u === 0 ? set(0, 0, 0) : set(-u, -1, 0)), // creases as in objective.py
  sign: (u) => set(u > 0 ? 1 : u < 0 ? -1 : 0, 0, 0),
  max: (u, w) => (u > w ? set(u, 1, 0) : set(w, 0, 0, 1)),
  min: (u, w) => (u < w ? set(u, 1, 0) : set(w, 0, 0, 1)),
};
const table = Object.values(rules);
const codes = new Map(Object.keys(rules).map((name, code) => [name, code]));
const POWER = codes.get("^");

// The members of a module that Python generates, for node r of one or two variables. The arrays of values and derivatives are
// the same for every call.
export function compiled(nodes, r, two) {
  const code = Int32Array.from(nodes.flatMap(({ rule, a, b, on }, i) => (rule ? [codes.get(rule), a, b, on, i] : [])));
  const [V, X, Y, XX, XY, YY] = Array.from({ length: 6 }, () => new Float64Array(nodes.length));
  nodes.forEach(({ value = 0 }, i) => (V[i] = value));
  const by = Uint8Array.from(nodes, ({ on }) => on);
  X[0] = Y[1] = 1;

  function run(x, second) {
    V[0] = x[0];
    if (two) V[1] = x[1];
    for (let i = 0; i < code.length; i += 5) {
      const rule = code[i], a = code[i + 1], b = code[i + 2], on = code[i + 3], s = code[i + 4];
      if (rule < 3 && !second) {
        const w = V[b], u = V[a];
        const p = rule === 0 ? w : 1, q = rule === 0 ? u : rule === 1 ? 1 : -1;
        V[s] = rule === 0 ? u * w : u + q * w;
        if (on & 1) X[s] = p * X[a] + q * X[b];
        if (on & 2) Y[s] = p * Y[a] + q * Y[b];
        continue;
      }
      if (rule === POWER && !second) {
        // most of the time of a formula with powers; the rest is for the second derivatives
        jet[0] = Math.pow(V[a], V[b]);
        jet[1] = V[b] * Math.pow(V[a], V[b] - 1);
        jet[2] = by[b] ? jet[0] * Math.log(V[a]) : 0;
      } else table[rule](V[a], V[b]);
      const p = jet[1], q = jet[2];
      V[s] = jet[0];
      const [f, g] = [by[a], by[b]];
      if (on & 1) X[s] = along(p, X[a], f & 1, V[s]) + along(q, X[b], g & 1, V[s]);
      if (on & 2) Y[s] = along(p, Y[a], f & 2, V[s]) + along(q, Y[b], g & 2, V[s]);
      if (!second) continue;
      if (on & 1) XX[s] = times(p, XX[a]) + times(q, XX[b]) + bend(X[a], X[a], X[b], X[b]);
      if (on === 3) XY[s] = times(p, XY[a]) + times(q, XY[b]) + bend(X[a], Y[a], X[b], Y[b]);
      if (on & 2) YY[s] = times(p, YY[a]) + times(q, YY[b]) + bend(Y[a], Y[a], Y[b], Y[b]);
    }
  }

  const filled = (out, a, b) => ((out[0] = a), two && (out[1] = b), out);
  return {
    variables: two ? ["x", "y"] : ["x"],
    parameters: {},
    value: (x) => (run(x, false), V[r]),
    gradient: (x, _, out = []) => (run(x, false), filled(out, X[r], Y[r])),
    hessian: (x, _, out = []) => (run(x, true), Object.assign(out, two ? [XX[r], XY[r], XY[r], YY[r]] : [XX[r]])),
    step: (x, h, _, out = []) => (run(x, false), filled(out, V[0] - h * X[r], V[1] - h * Y[r])),
  };
}

// What does not depend on a variable has no derivative, even where the factor is infinite; nor has what is level, but where
// the value is infinite too, as that of 1/x^2 at 0, there is no slope at all.
const along = (factor, slope, depends, value) =>
  factor === 0 || !depends || (slope === 0 && Number.isFinite(value)) ? 0 : factor * slope;
const times = (a, b) => (a === 0 || b === 0 ? 0 : a * b);
const bend = (f, g, F, G) => times(jet[3], f * g) + times(jet[4], f * G + F * g) + times(jet[5], F * G);
