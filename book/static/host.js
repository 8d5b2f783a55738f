// Runs the live figures of a page: no kernel, no library.
// A figure's module is what Jupyter runs too; here it gets its state from the page
// and everything else (formulas, workers) as files of this site.

class Model extends EventTarget {
  #state;
  #handlers = new Map();

  constructor(state) {
    super();
    this.#state = state;
  }
  get(name) {
    return this.#state[name];
  }
  set(name, value) {
    if (Object.is(this.#state[name], value)) return;
    this.#state[name] = value;
    this.dispatchEvent(new Event(`change:${name}`));
    this.dispatchEvent(new Event("change"));
  }
  on(type, handler) {
    const call = () => handler();
    this.#handlers.set(handler, [...(this.#handlers.get(handler) ?? []), { type, call }]);
    this.addEventListener(type, call);
  }
  off(type, handler) {
    for (const entry of this.#handlers.get(handler) ?? []) {
      if (entry.type === type) this.removeEventListener(type, entry.call);
    }
  }
  save_changes() {} // there is no kernel to tell
}

async function start(figure) {
  const { module, texts, state } = JSON.parse(figure.querySelector("script").textContent);
  const address = (path) => new URL(path, document.baseURI).href;
  const el = document.createElement("div");
  el.className = "live-host";
  figure.querySelector(".live-space").append(el);
  try {
    const { render } = (await import(address(module))).default;
    await render({ model: new Model(state), el, url: (name) => address(texts[name]) });
    figure.classList.add("running"); // only now the still goes
  } catch (error) {
    el.remove();
    throw error;
  }
}

const near = new IntersectionObserver(
  (entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      near.unobserve(target);
      start(target);
    }
  },
  { rootMargin: "400px" },
);
for (const figure of document.querySelectorAll(".live-figure")) near.observe(figure);

// A shared address names a figure and its state: go there, unless the page is only loaded again.
const shared = /^#(live-\d+)\?/.exec(location.hash);
const [visit] = performance.getEntriesByType("navigation");
if (shared && visit?.type === "navigate") document.getElementById(shared[1])?.scrollIntoView();
