// Formulas that readers type: a parser for a small grammar. No text is ever run as code: it may come with a link from anyone.
//
//   sum     = term { ("+" | "-") term }
//   term    = ("-" | "+") term | product                  so that -x^2 is -(x^2), and -x y is -(x y)
//   product = power { ("*" | "/") signed | power }        what follows directly begins with no digit: 2x, not x2
//   signed  = ("-" | "+") signed | power
//   power   = atom [ superscripts | ("^" | "**") signed ]
//   atom    = number | "x" | "y" | "pi" | "e" | function "(" sum [ "," sum ] ")" | "(" sum ")"

import { compiled, jet, rules } from "./forward_mode.js";

const [LONGEST_TEXT, MOST_PARTS, DEEPEST] = [500, 400, 64];
const LARGEST_EXPONENT = 1000; // nested ones multiplied: SymPy, with its exact numbers, would not end far beyond
const LONGEST_PRODUCT = 64; // as in source.py

export class FormulaError extends Error {
  position = 0; // where in the text
}

const functions = new Map(Object.keys(rules).slice(6).map((name) => [name, name]));
functions.set("ln", "log").set("relu", "max");
const constants = new Map([["e", Math.E], ["pi", Math.PI], ["π", Math.PI]]);
const names = ["x", "y", ...constants.keys(), ...functions.keys()].sort((a, b) => b.length - a.length);
const inPython = { e: "E", π: "pi", abs: "Abs", max: "Max", min: "Min" };
const lookalikes = new Map([["−", "-"], ["–", "-"], ["·", "*"], ["⋅", "*"], ["×", "*"], ["÷", "/"]]);
const hints = new Map([..."0123456789"].map((digit) => [digit, "a number stands first in a product, 2x or x*2"]));
hints.set(",", "decimals have a point, and only max and min have two arguments").set("|", "write abs(x)");
hints.set("=", "write only what stands to the right of it").set(")", "it closes nothing");

// The formula of a text, with the members of a module that Python generates: variables, parameters, value(x),
// gradient(x, p, out), hessian(x, p, out) row by row and step(x, h, p, out). `python` is its text for gdbook.Objective,
// `text` the same in the grammar above, or what was typed, if that would be too long or deep to be read again. Where a
// formula has no value it gives NaN. Throws FormulaError and nothing else.
export function parse(text) {
  const reader = new Reader(String(text));
  const { slot, code } = reader.whole();
  const typed = code.replaceAll("**", "^").replace(/\b(Abs|Max|Min|E)\b/g, (name) => name.toLowerCase());
  const readable = typed.length <= LONGEST_TEXT && reader.deepest < DEEPEST / 2;
  return {
    ...compiled(reader.nodes, slot, reader.seen.has("y")),
    python: code,
    text: readable ? typed : reader.text.trim(),
  };
}

// Reads { slot, code, level, nested }: the place among the nodes of forward_mode.js, the text in Python, how strongly that
// holds together (1 a sum, 2 a product, 3 a power, 4 all else) and the exponents nested in it, multiplied.
class Reader {
  constructor(text) {
    Object.assign(this, { text, place: 0, depth: 0, deepest: 0, parts: 0, seen: new Set(), known: new Map() });
    this.nodes = [{ on: 1 }, { on: 2 }];
  }
  fail(message, position = this.place) {
    throw Object.assign(new FormulaError(message), { position });
  }
  unexpected(expected) {
    if (!this.peek()) this.fail(`expected ${expected} at the end`);
    const next = String.fromCodePoint(this.text.codePointAt(this.place));
    const code = next.codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
    const shown = /[\p{L}\p{N}\p{P}\p{S}]/u.test(next) ? `'${next}'` : `the character U+${code}`;
    this.fail(`expected ${expected} here, not ${shown}${hints.has(next) ? `: ${hints.get(next)}` : ""}`);
  }
  peek() {
    this.take(/^\s+/);
    const next = this.text.charAt(this.place);
    return lookalikes.get(next) ?? next;
  }
  take(pattern) {
    const found = pattern.exec(this.text.slice(this.place))?.[0] ?? "";
    this.place += found.length;
    return found;
  }
  nested(rule) {
    if (++this.depth > DEEPEST) this.fail(`the brackets, signs and exponents nest deeper than ${DEEPEST}`);
    this.deepest = Math.max(this.deepest, this.depth);
    const part = this[rule]();
    this.depth--;
    return part;
  }
  part(slot, code, level = 4, inside = []) {
    if (++this.parts > MOST_PARTS) this.fail(`the formula has more than ${MOST_PARTS} parts`);
    return { slot, code, level, nested: Math.max(1, ...inside.map((part) => part.nested)) };
  }
  whole() {
    if (this.text.length > LONGEST_TEXT) this.fail(`a formula has at most ${LONGEST_TEXT} characters`, LONGEST_TEXT);
    const whole = this.sum();
    if (this.peek()) this.unexpected("an operation or the end");
    return this.seen.size ? whole : this.fail("the formula must contain x", 0);
  }
  sum() {
    let left = this.term();
    for (let sign = this.peek(); sign === "+" || sign === "-"; sign = this.peek()) {
      const at = this.place++;
      left = this.joined(sign, left, this.term(), at);
    }
    return left;
  }
  term(rule = "product", again = "term") {
    const sign = this.peek();
    if (sign !== "-" && sign !== "+") return this[rule]();
    this.place++;
    const part = this.nested(again);
    return sign === "+" ? part : this.part(this.emit("*", this.number(-1), part.slot), `-${held(part, 2)}`, 1, [part]);
  }
  signed() {
    return this.term("power", "signed");
  }
  product() {
    let left = this.power();
    for (let sign = this.peek(); /[*/(\p{L}]/u.test(sign); sign = this.peek()) {
      const at = this.place;
      const given = this.take(/^[^(\p{L}]/u);
      left = this.joined(given ? sign : "*", left, given ? this.signed() : this.power(), at);
    }
    return left;
  }
  joined(sign, left, right, at) {
    const level = sign === "+" || sign === "-" ? 1 : 2;
    const code = [held(left, level), sign, held(right, level + 1)].join(level === 1 ? " " : "");
    return this.part(this.emit(sign, left.slot, right.slot, at), code, level, [left, right]);
  }
  power() {
    const base = this.atom();
    const at = (this.peek(), this.place);
    const raised = this.take(/^(\^|\*\*|[⁰¹²³⁴-⁹]+)/);
    if (!raised) return base;
    const digits = raised.replace(/./g, (digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹".indexOf(digit));
    const exponent = raised === "^" || raised === "**" ? this.nested("signed") : this.literal(digits, at);
    const [b, e] = [base, exponent].map((part) => this.nodes[part.slot].value);
    if (e === undefined && b <= 0) this.fail("a number to a power that varies must be positive", at);
    const nested = base.nested * Math.max(1, Math.abs(e ?? 1));
    if (nested > LARGEST_EXPONENT) this.fail(`this power is too large: exponents go up to ${LARGEST_EXPONENT}`, at);
    const code = `${held(base, 4)}**${held(exponent, 3)}`;
    const part = this.part(this.raised(base.slot, exponent.slot, at), code, 3, [base, exponent]);
    return { ...part, nested: Math.max(nested, exponent.nested) };
  }
  atom() {
    if (this.peek() === "(") return this.brackets()[0];
    const at = this.place;
    const digits = this.take(/^(\d+\.?\d*|\.\d+)(e[+-]?\d+)?/i);
    if (digits) return this.literal(digits, at);
    const letters = /^\p{L}[\p{L}\p{M}]*/u.exec(this.text.slice(at))?.[0];
    const name = letters ? this.firstName(letters) : this.unexpected("a number, x, y or an opening bracket");
    this.place += name.length;
    if (functions.has(name)) return this.call(name, functions.get(name), at);
    if (constants.has(name)) return this.part(this.number(constants.get(name)), inPython[name] ?? name);
    this.seen.add(name);
    return this.part("xy".indexOf(name), name);
  }
  literal(digits, at) {
    const value = Number(digits);
    if (value === Infinity) this.fail("this number is too large", at);
    return this.part(this.number(value), value ? digits.toLowerCase().replace(/^0+(?=\d)/, "") : "0");
  }
  // The longest name that the letters begin with; all of them must be names.
  firstName(letters) {
    const first = (rest) => names.find((name) => rest.startsWith(name));
    for (let rest = letters; rest; rest = rest.slice(first(rest).length)) {
      if (first(rest)) continue;
      const word = letters.slice(0, 20).normalize("NFKC").toLowerCase();
      const near = (k) => names.find((name) => name.length > 2 * k - 1 && within(k, word, name));
      const guess = near(0) ?? near(1) ?? near(2);
      const hint = guess ? `did you mean ${guess}?` : "the letters are x and y";
      this.fail(`unknown name '${letters.slice(0, 20)}': ${hint}`);
    }
    return first(letters);
  }
  call(name, rule, at) {
    const two = name === "max" || name === "min";
    if (this.peek() !== "(") this.fail(`${name} needs brackets, as in ${name}(${two ? "x, 1" : "x"})`);
    const parts = this.brackets(name, two ? 2 : 1);
    if (name === "relu") parts.push(this.literal("0", at));
    const slots = parts.map((part) => part.slot);
    // at a tie the second is taken: a constant, and y rather than x
    if (this.nodes[slots[0]].value !== undefined || (slots[0] === 1 && slots[1] === 0)) slots.reverse();
    const slot = this.emit(rule, slots[0], slots[1] ?? slots[0], at);
    return this.part(slot, `${inPython[rule] ?? rule}(${parts.map((part) => part.code).join(", ")})`, 4, parts);
  }
  brackets(name, count = 1) {
    const parts = [];
    do {
      this.place++;
      parts.push(this.nested("sum"));
    } while (name && this.peek() === ",");
    if (this.peek() !== ")") this.unexpected("a closing bracket");
    if (parts.length !== count) this.fail(`${name} takes ${count === 2 ? "two arguments" : "one argument"}`);
    this.place++;
    return parts;
  }
  // What is written twice is one node, and what has no variable is a number.
  node(key, node) {
    if (!this.known.has(key)) this.known.set(key, this.nodes.push(node) - 1);
    return this.known.get(key);
  }
  number(value) {
    return this.node(String(value), { value, on: 0 });
  }
  emit(rule, a, b, at) {
    const [{ value: u, on }, { value: w, on: also }] = [this.nodes[a], this.nodes[b]];
    // no digit is lost where the rest is small, as in source.py
    const rest = rule === "log" ? this.afterOne(this.nodes[a]) : undefined;
    if (rest !== undefined) return this.emit("log1p", rest, rest, at);
    // as source.py prints it: nothing is divided by a number, which must not be zero
    if (rule === "/" && u === undefined && w !== undefined) {
      return this.emit("*", this.emit("/", this.number(1), b, at), a, at);
    }
    if (u === undefined || w === undefined) return this.node(`${rule} ${a} ${b}`, { rule, a, b, on: on | also });
    rules[rule](u, w);
    return Number.isFinite(jet[0]) ? this.number(jet[0]) : this.fail("this is not a finite real number", at);
  }
  afterOne({ rule, a, b }) {
    const one = this.known.get("1") ?? NaN;
    return rule !== "+" ? undefined : a === one ? b : b === one ? a : undefined;
  }
  raised(a, b, at) {
    const n = this.nodes[b].value;
    if (this.nodes[a].value === Math.E) return this.emit("exp", b, b, at);
    if (n === 0.5) return this.emit("sqrt", a, a, at);
    if (!Number.isInteger(n) || Math.abs(n) > LONGEST_PRODUCT) return this.emit("^", a, b, at);
    let power = n ? a : this.number(1);
    for (let bit = 30 - Math.clz32(Math.abs(n)); bit >= 0; bit--) {
      power = this.emit("*", power, power, at);
      if ((Math.abs(n) >> bit) & 1) power = this.emit("*", power, a, at);
    }
    return n < 0 ? this.emit("/", this.number(1), power, at) : power;
  }
}

const held = (part, level) => (part.level < level ? `(${part.code})` : part.code);

// Whether k changes of one letter lead from one word to another.
function within(k, a, b) {
  if (k === 0 || a === b) return a === b;
  if (a && a[0] === b[0]) return within(k, a.slice(1), b.slice(1));
  return [[1, 1], [1, 0], [0, 1]].some(([i, j]) => within(k - 1, a.slice(i), b.slice(j)));
}
