"use strict";
// Buttons of a conversation open and close all steps of one role.
for (const talk of document.querySelectorAll(".talk")) {
  const place = talk.querySelector(".roles");
  const steps = [...talk.querySelectorAll(".step")];
  if (!place) continue;
  place.hidden = false;
  for (const button of place.querySelectorAll("button")) {
    button.addEventListener("click", () => {
      const open = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(open));
      for (const step of steps) if (step.dataset.role === button.dataset.role) step.open = open;
    });
  }
}
document.documentElement.dataset.ready = "yes";
