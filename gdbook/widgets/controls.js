// Controls: the frame of a live figure with its sliders, buttons, status line, keys and shared address.

import { Plot, Theme, clamp, format } from "./drawing.js";

const LONGEST_ADDRESS = 6000; // characters that are looked at

// A figure is a Frame with plots and controls. Its state is the model's traits named in `limits`, each a number
// between two limits or a list of such numbers: { learning_rate: [0, 2.5], start: [[-2, 2], [-1, 1]] }. A third limit 1
// asks for whole numbers, and a single number in the place of limits is the greatest length of a text. Everything that
// changes the state goes through `set`, and every change, from wherever it comes, ends in one call of `draw` in the next
// animation frame.
export class Frame {
  constructor({ model, el }, name, limits, accept = () => true) {
    this.model = model;
    this.limits = limits;
    this.accept = accept;
    this.names = Object.keys(limits);
    this.root = el.appendChild(element("div", { className: "live" }));
    this.root.dataset.live = name;
    this.root.setAttribute("role", "group");
    this.root.setAttribute("aria-label", model.get("_name"));
    this.plots = this.root.appendChild(element("div", { className: "live-plots" }));
    this.status = this.root.appendChild(element("p", { className: "live-status" }));
    this.status.dataset.status = "";
    this.status.setAttribute("role", "status");
    this.status.setAttribute("aria-live", "polite");
    this.sliders = this.root.appendChild(element("div", { className: "live-sliders" }));
    this.buttons = this.root.appendChild(element("div", { className: "live-buttons" }));

    this.timings = { redraw: [] };
    this.draw = () => {};
    this.report = () => ({});
    this.arrived = () => {};
    this.root.liveFigure = {
      state: () => ({ ...this.state(), ...this.report() }),
      timings: this.timings,
    };
    this.theme = new Theme(this.root, model.get("_colours"), () => this.request());
    this.removals = [() => this.theme.remove(), () => cancelAnimationFrame(this.frame)];
    this.initial = this.state();
    for (const trait of this.names) {
      const changed = () => this.request();
      model.on(`change:${trait}`, changed);
      this.removals.push(() => model.off(`change:${trait}`, changed));
    }
    this.keyHandlers = new Map();
    this.listenToKeys();
    this.readAddress(el);
    const follow = () => {
      this.readAddress(el);
      this.arrived();
      this.request();
    };
    window.addEventListener("hashchange", follow); // a shared address, opened where the page is open already
    this.removals.push(() => window.removeEventListener("hashchange", follow));
  }

  state() {
    return Object.fromEntries(this.names.map((name) => [name, this.model.get(name)]));
  }

  get(name) {
    return this.model.get(name);
  }

  set(changes) {
    for (const [name, value] of Object.entries(changes)) {
      this.model.set(name, Array.isArray(value) ? value.map(short) : short(value));
    }
    this.model.save_changes();
    this.writeAddress();
  }

  reset() {
    this.set(this.initial);
  }

  plot(options) {
    const plot = new Plot(this.plots, options, () => this.request());
    this.removals.push(() => plot.remove());
    return plot;
  }

  // Draws in the next animation frame, once however often it is asked.
  request() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = undefined;
      const before = performance.now();
      this.draw(this.theme);
      this.timings.redraw.push(performance.now() - before);
      if (this.timings.redraw.length > 200) this.timings.redraw.shift();
    });
  }

  // The status line, with a small square in the colour of the regime or method that it speaks of.
  say(words, name) {
    this.status.style.setProperty("--live-colour", this.theme.colours[name]);
    if (this.status.textContent !== words) this.status.textContent = words;
  }

  // A labelled range with its value typed in beside it. `log` makes equal moves multiply by equal factors.
  // `read` and `write` connect it to the state; by default to the trait `name`. `digits()` is how many are shown after
  // the point.
  slider({ name, label, limits = this.limits[name], log = false, read, write, digits = () => 3 }) {
    const [lowest, highest, whole] = limits;
    read ??= () => this.get(name);
    write ??= (value) => this.set({ [name]: value });
    const toRange = log ? Math.log10 : (value) => value;
    const fromRange = log ? (value) => Number((10 ** value).toPrecision(3)) : (value) => value;
    const box = this.sliders.appendChild(element("div", { className: "live-slider" }));
    const caption = box.appendChild(element("label"));
    caption.append(element("span", { textContent: label }));
    const range = caption.appendChild(
      element("input", {
        type: "range", min: toRange(lowest), max: toRange(highest), step: log ? 0.01 : whole ?? unit(limits),
      }),
    );
    range.setAttribute("aria-label", label);
    const number = box.appendChild(
      element("input", { type: "number", min: lowest, max: highest, step: whole ?? "any" }),
    );
    number.setAttribute("aria-label", `${label}, as a number`);
    const show = () => {
      const value = read();
      range.value = toRange(value);
      range.setAttribute("aria-valuetext", whole ? value : format(value, digits()));
      if (document.activeElement !== number) number.value = Number(Math.abs(value) < 0.1 ? value.toPrecision(digits()) : value.toFixed(digits()));
    };
    range.addEventListener("input", () => write(clamp(fromRange(Number(range.value)), lowest, highest)));
    number.addEventListener("input", () => {
      if (believable(number.valueAsNumber, limits)) write(number.valueAsNumber);
    });
    number.addEventListener("blur", show);
    this.model.on("change", show);
    this.removals.push(() => this.model.off("change", show));
    show();
    return box;
  }

  button(label, action) {
    const button = this.buttons.appendChild(element("button", { type: "button", textContent: label }));
    button.addEventListener("click", action);
    return button;
  }

  // Small squares with words: what the colours mean.
  legend(entries) {
    const list = this.buttons.appendChild(element("ul", { className: "live-legend" }));
    for (const [words, colour] of entries) {
      const item = list.appendChild(element("li", { textContent: words }));
      item.style.setProperty("--live-colour", colour);
    }
  }

  // JupyterLab takes arrow keys for itself unless they are caught on the window first.
  // The browser's own action (a range that moves, text that is typed) is not touched by this.
  listenToKeys() {
    const listener = (event) => {
      if (!this.root.contains(event.target) || event.ctrlKey || event.metaKey || event.altKey) return;
      if (["Tab", "Escape", "F5"].includes(event.key)) return;
      event.stopImmediatePropagation();
      if (this.keyHandlers.get(event.target)?.(event)) event.preventDefault();
    };
    window.addEventListener("keydown", listener, true);
    this.removals.push(() => window.removeEventListener("keydown", listener, true));
  }

  // `act(dx, dy)` with unit moves for the arrow keys, ten times as much with Shift; `others` for single keys.
  keys(plot, act, others = {}) {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    this.keyHandlers.set(plot.canvas, (event) => {
      const scale = event.shiftKey ? 10 : 1;
      if (event.key in moves) act(...moves[event.key].map((move) => move * scale));
      else if (event.key in others) others[event.key]();
      else return false;
      return true;
    });
  }

  // Pointer and touch: `grab(x, y)` in pixels says whether something is taken there, `move(x, y)` follows the pointer.
  // A finger on something that can be taken does not scroll the page.
  drag(plot, { grab, move }) {
    const { canvas } = plot;
    const place = (event) => {
      const box = canvas.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };
    let taken = false;
    canvas.addEventListener(
      "touchstart",
      (event) => {
        if (event.touches.length === 1 && grab(...place(event.touches[0]))) event.preventDefault();
      },
      { passive: false },
    );
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || !event.isPrimary) return;
      taken = grab(...place(event), event);
      if (!taken) return;
      canvas.setPointerCapture(event.pointerId);
      canvas.focus({ preventScroll: true });
      move(...place(event), event);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (taken && event.isPrimary) move(...place(event), event);
      else canvas.style.cursor = event.pointerType === "mouse" && grab(...place(event)) ? "grab" : "";
    });
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => (taken = false));
  }

  // The state after # in the page's address, "#live-2?learning_rate=1.5": only in the site, where the figure has a place
  // among others, and only numbers within their limits are believed.
  readAddress(el) {
    this.figure = el.closest("figure.live-figure");
    if (!this.figure?.id) return;
    this.key = `#${this.figure.id}?`;
    if (!location.hash.startsWith(this.key)) return;
    const shared = location.hash.slice(this.key.length, LONGEST_ADDRESS);
    const given = new URLSearchParams(shared.replaceAll("+", "%2B")); // a plus is a plus there, and no blank
    const changes = {};
    for (const name of this.names) {
      const longest = this.limits[name];
      if (typeof longest === "number") {
        // one character more than is allowed: who reads it can see that it is too long
        if (given.has(name)) changes[name] = given.get(name).slice(0, longest + 1);
        continue;
      }
      const several = Array.isArray(this.get(name));
      const limits = several ? this.limits[name] : [this.limits[name]];
      const numbers = (given.get(name) ?? "").split(",").map((text) => (text.trim() ? Number(text) : NaN));
      if (numbers.length !== limits.length || !numbers.every((value, i) => believable(value, limits[i]))) continue;
      changes[name] = several ? numbers : numbers[0];
    }
    for (const [name, value] of Object.entries(changes)) if (this.accept(name, value)) this.model.set(name, value);
  }

  writeAddress() {
    if (!this.key) return;
    clearTimeout(this.writing);
    this.writing = setTimeout(() => history.replaceState(history.state, "", this.address), 300);
  }

  // The state as it stands in the page's address.
  get address() {
    const written = (value) => [value].flat().map(short).map(encodeURIComponent).join(",");
    const pairs = Object.entries(this.state()).map(([name, value]) => `${name}=${written(value)}`);
    return this.key + pairs.join("&");
  }

  remove() {
    clearTimeout(this.writing);
    for (const removal of this.removals) removal();
    this.root.remove();
  }
}

// Twelve digits: what a figure shows and what its address says are the same numbers, which chaos would tell apart.
// A text stays as it is.
function short(value) {
  return typeof value === "string" ? value : Number(value.toPrecision(12));
}

// Whether something typed or shared is a number that a slider could show. NaN is between nothing.
function believable(value, [low, high, whole]) {
  return value >= low && value <= high && !(whole && value % whole !== 0);
}

// The power of ten that divides a range into a hundred to a thousand moves: one press of an arrow key.
export function unit([low, high]) {
  return 10 ** Math.floor(Math.log10((high - low) / 100) + 1e-9);
}

export function element(tag, properties = {}) {
  return Object.assign(document.createElement(tag), properties);
}
