// Formulas change the length of lines when they are typeset. Until the first of them are, the text
// waits unseen, so that nothing that is being read moves; but not for long, and never without script.

const PATIENCE = 2500; // milliseconds

document.documentElement.classList.add("typesetting");
const show = () => document.documentElement.classList.remove("typesetting");
setTimeout(show, PATIENCE);
addEventListener("DOMContentLoaded", () => {
  const formulas = document.querySelector(".bd-article .math");
  const typeset = formulas && window.MathJax?.startup?.promise;
  if (typeset) typeset.then(show, show);
  else show();
});
