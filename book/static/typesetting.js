// Formulas change the length of lines when they are typeset. Until those of the first screen are, the
// text waits unseen, so that nothing that is being read moves; but not for long, and never without script.

const PATIENCE = 2500; // milliseconds

document.documentElement.classList.add("typesetting");
const show = () => document.documentElement.classList.remove("typesetting");
setTimeout(show, PATIENCE);

// MathJax leaves an empty element where a formula is still to come.
const onFirstScreen = (place) => place.getClientRects()[0]?.top < innerHeight;
function showWhenTypeset() {
  if ([...document.querySelectorAll("mjx-lazy")].some(onFirstScreen)) requestAnimationFrame(showWhenTypeset);
  else show();
}

addEventListener("DOMContentLoaded", () => {
  const typeset = document.querySelector(".bd-article .math") && window.MathJax?.startup?.promise;
  if (typeset) typeset.then(showWhenTypeset, show);
  else show();
});
