// On every page: the theme's buttons that had inline handlers, and what axe finds wrong in the theme.

const actions = {
  print: () => window.print(),
  "full-screen": () =>
    document.fullscreenElement ? document.exitFullscreen() : document.documentElement.requestFullscreen(),
};

document.addEventListener("click", (event) => {
  const button = event.target.closest?.("[data-click]");
  if (button) actions[button.dataset.click]?.();
});

// What a button shows must be part of its name, or voice control cannot find it.
function nameButtons() {
  for (const button of document.querySelectorAll(".search-button__button, .theme-switch-button")) {
    const seen = button.textContent.trim().replace(/\s+/g, " ");
    const name = button.getAttribute("aria-label") ?? "";
    if (seen && !name.includes(seen)) button.setAttribute("aria-label", `${name}: ${seen}`);
  }
}

// A box that scrolls sideways must be reachable by keyboard; typesetting changes which ones do.
const BOXES = ".bd-content :is(pre, div.math, .output, .pst-scrollable-table-container)";
const boxes = new ResizeObserver((entries) => {
  for (const { target } of entries) letScroll(target, target.scrollWidth > target.clientWidth);
});
function letScroll(box, wide) {
  if (wide) box.tabIndex = 0;
  else box.removeAttribute("tabindex");
}

// A formula within a line that is longer than the line becomes such a box.
const formulas = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    const line = target.parentElement?.closest("p, li, td, dd, figcaption");
    const wide = Boolean(line) && target.scrollWidth > line.clientWidth;
    target.classList.toggle("wide", wide);
    letScroll(target, wide);
  }
});
async function observeFormulas() {
  await window.MathJax?.startup?.promise;
  for (const formula of document.querySelectorAll(".bd-content mjx-container:not([display])")) formulas.observe(formula);
}

addEventListener("DOMContentLoaded", () => {
  const side = document.querySelector(".bd-sidebar-primary");
  side?.setAttribute("role", "complementary");
  side?.setAttribute("aria-label", "Sidebar");
});
addEventListener("load", () => {
  nameButtons();
  for (const box of document.querySelectorAll(BOXES)) boxes.observe(box);
  observeFormulas();
  // The theme names its colour button again whenever the mode changes.
  const names = new MutationObserver(nameButtons);
  for (const button of document.querySelectorAll(".theme-switch-button")) {
    names.observe(button, { attributeFilter: ["aria-label"], childList: true, subtree: true });
  }
});
