"use strict";
// Choosing a sentence marks the spans and boxes that its rulings rest on; choosing it again unmarks them.
const buttons = [...document.querySelectorAll(".sentence")];
const pieces = [...document.querySelectorAll("[data-evidence]:not(.sentence)")];
const status = document.getElementById("marked");
const before = status ? status.textContent : "";
const choose = (button) => {
  const wanted = new Set(button ? button.dataset.evidence.split(" ").filter(Boolean) : []);
  for (const one of buttons) one.setAttribute("aria-pressed", String(one === button));
  for (const piece of pieces) piece.classList.toggle("chosen", wanted.has(piece.dataset.evidence));
  const first = pieces.find((piece) => piece.classList.contains("chosen"));
  if (first) first.scrollIntoView({ block: "nearest" });
  if (status) status.textContent = !button ? before : wanted.size ? `${wanted.size} ${wanted.size === 1 ? "piece of evidence is" : "pieces of evidence are"} marked.` : "This sentence rests on no evidence.";
};
for (const button of buttons) {
  button.addEventListener("click", () => choose(button.getAttribute("aria-pressed") === "true" ? null : button));
}
document.addEventListener("keydown", (event) => { if (event.key === "Escape") choose(null); });
document.documentElement.dataset.ready = "yes";
