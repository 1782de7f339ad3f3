"use strict";
// Maps: go down and up without moving the page. Examples: show one outcome. Both work on what is already here.
for (const maps of document.querySelectorAll(".maps")) {
  maps.classList.add("live");
  const show = (map) => {
    for (const other of maps.querySelectorAll(".map")) other.classList.toggle("shown", other === map);
  };
  show(maps.querySelector(location.hash.startsWith("#map-") ? location.hash : ".map"));
  maps.addEventListener("click", (event) => {
    const link = event.target.closest("a");
    if (!link) return;
    event.preventDefault();
    const map = document.getElementById(link.getAttribute("href").slice(1));
    show(map);
    const up = map.querySelector(".path a:last-of-type") || map.querySelector(".treemap a");
    if (up) up.focus({ preventScroll: true });
  });
}
for (const filter of document.querySelectorAll(".filter")) {
  filter.hidden = false;
  filter.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    for (const other of filter.querySelectorAll("button")) other.setAttribute("aria-pressed", String(other === button));
    for (const example of document.querySelectorAll(".example")) {
      example.hidden = button.dataset.show !== "" && example.dataset.outcome !== button.dataset.show;
    }
  });
}
