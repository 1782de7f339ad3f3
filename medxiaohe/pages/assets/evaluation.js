"use strict";
// Tables: sort by a column. Items: filter, search and page through what is already here; every text is set as text.
const amount = (text) => {
  const found = text.replace(/\u2212/g, "-").replace(/,/g, "").match(/-?\d+(\.\d+)?/);
  return found ? Number(found[0]) : null;
};
for (const table of document.querySelectorAll(".sortable table")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const numbers = head.classList.contains("number");
      const key = (row) => (numbers ? amount(row.cells[column].textContent) : row.cells[column].textContent);
      const rows = [...table.tBodies[0].rows].sort((a, b) => {
        const [x, y] = [key(a), key(b)];
        if (x === null || y === null) return (x === null) - (y === null);
        return (numbers ? x - y : x.localeCompare(y)) * (up ? 1 : -1);
      });
      table.tBodies[0].append(...rows);
    });
  });
}

const source = document.getElementById("item-data");
if (source) {
  const all = JSON.parse(source.textContent);
  const pictures = JSON.parse(document.getElementById("picture-data").textContent);
  const place = document.querySelector(".items");
  const pager = document.querySelector(".pager");
  const status = document.querySelector(".found");
  const filters = document.querySelector(".filters");
  const SIZE = 20;
  let page = 0;
  let chosen = all;
  filters.hidden = false;

  const make = (name, text, kind) => {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    if (kind) made.className = kind;
    return made;
  };
  const tone = (verdict) => (verdict.endsWith("of 1") ? "partly" : verdict);
  const good = (verdict) => verdict === "right";
  const flipped = (item) => (item.v || []).some(([, verdict]) => good(verdict) !== good(item.s));

  const card = (item) => {
    const whole = make("article", undefined, "answered" + (item.m ? " pictured" : ""));
    const head = make("header");
    head.append(make("span", item.s, "verdict " + tone(item.s)), make("strong", item.t), make("code", item.i));
    whole.append(head);
    if (item.m) {
      const box = make("div", undefined, "pictures");
      for (const index of item.m) {
        if (pictures[index]) {
          const image = make("img");
          image.src = "data:image/jpeg;base64," + pictures[index];
          image.alt = "Image of this item";
          image.loading = "lazy";
          box.append(image);
        } else box.append(make("p", "The image cannot be opened.", "missing"));
      }
      whole.append(box);
    }
    const facts = make("dl");
    const fact = (name, text, kind) => {
      const value = make("dd", text, kind);
      value.dir = "auto";
      facts.append(make("dt", name), value);
      return value;
    };
    fact("Prompt", item.p, "prompt");
    fact("Answer", item.a || "(empty)", "answer");
    fact("Read as", item.r || "nothing");
    fact("Gold", item.g);
    if (item.w) fact("Why", item.w);
    if (item.n && !item.m) fact("Images", item.n + ", not in the page");
    if (item.k) fact("Draws", item.k.map((value) => (value === null ? "unjudged" : value)).join(", "));
    if (item.o) fact("Also", item.o.map(([name, value]) => name + " " + value).join(", "));
    if (item.v) {
      const list = make("ul");
      for (const [name, verdict, said] of item.v) {
        const line = make("li");
        line.append(make("span", verdict, "verdict " + tone(verdict)), make("span", name.replaceAll("_", " ")), make("span", said, "quiet"));
        list.append(line);
      }
      fact("Changed").append(list);
    }
    whole.append(facts);
    return whole;
  };

  const show = (scroll) => {
    const pages = Math.max(1, Math.ceil(chosen.length / SIZE));
    page = Math.min(Math.max(page, 0), pages - 1);
    place.replaceChildren(...chosen.slice(page * SIZE, (page + 1) * SIZE).map(card));
    status.textContent = chosen.length.toLocaleString("en") + (chosen.length === 1 ? " item" : " items");
    const turn = (name, to) => {
      const button = make("button", name);
      button.type = "button";
      button.disabled = to < 0 || to >= pages;
      button.addEventListener("click", () => { page = to; show(true); });
      return button;
    };
    pager.replaceChildren(turn("Previous", page - 1), make("span", "page " + (page + 1) + " of " + pages), turn("Next", page + 1));
    if (scroll) document.getElementById("items").scrollIntoView();
  };

  const filter = () => {
    const value = (name) => (filters.querySelector(`[name=${name}]`) || { value: "" }).value;
    const words = value("words").toLowerCase().split(/\s+/).filter(Boolean);
    chosen = all.filter((item) => {
      if (value("task") && item.t !== value("task")) return false;
      if (value("verdict") && tone(item.s) !== value("verdict")) return false;
      if (value("flipped") && !flipped(item)) return false;
      const text = words.length ? (item.i + " " + item.p + " " + item.a + " " + item.g).toLowerCase() : "";
      return words.every((word) => text.includes(word));
    });
    page = 0;
    show(false);
  };
  filters.addEventListener("input", filter);
  show(false);
}
