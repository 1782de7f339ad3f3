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

  const zoom = make("dialog", undefined, "zoom");
  zoom.setAttribute("aria-label", "Image, enlarged");
  zoom.addEventListener("click", () => zoom.close());
  document.body.append(zoom);
  const enlarge = (source) => {
    const image = make("img");
    image.src = source;
    image.alt = "Image of this item, enlarged";
    const close = make("button", "Close");
    close.type = "button";
    zoom.replaceChildren(image, close);
    zoom.showModal();
  };

  const card = (item) => {
    const whole = make("article", undefined, "answered" + (item.m ? " pictured" : ""));
    const head = make("header");
    const link = make("a", "link");
    link.href = "#item=" + encodeURIComponent(item.t + " " + item.i);
    link.setAttribute("aria-label", "Link to the item " + item.i);
    head.append(make("span", item.c || item.s, "verdict " + tone(item.c || item.s)), make("strong", item.t), make("code", item.i), link);
    whole.append(head);
    if (item.m) {
      const box = make("div", undefined, "pictures");
      for (const index of item.m) {
        if (pictures[index]) {
          const image = make("img");
          image.src = "data:image/jpeg;base64," + pictures[index];
          image.alt = "Image of this item";
          image.loading = "lazy";
          const button = make("button", undefined, "picture");
          button.type = "button";
          button.setAttribute("aria-label", "Enlarge the image");
          button.addEventListener("click", () => enlarge(image.src));
          button.append(image);
          box.append(button);
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
    fact(item.b ? "Base" : "Answer", item.a || "(empty)", "answer");
    fact("Read as", (item.r || "nothing") + (item.b ? ": " + item.s : ""));
    if (item.b) {
      fact("Other", item.b.a || "(empty)", "answer");
      fact("Read as", (item.b.r || "nothing") + ": " + item.b.s);
    }
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

  // The address keeps the filters: #items?task=...&verdict=...&words=...&page=2, or one item: #item=TASK ID.
  const NAMES = ["task", "verdict", "flipped", "words"];
  const field = (name) => filters.querySelector(`[name=${name}]`);
  const value = (name) => (field(name) || { value: "" }).value;
  let single = "";

  const address = () => {
    if (single) return "#item=" + encodeURIComponent(single);
    const found = new URLSearchParams();
    for (const name of NAMES) if (value(name)) found.set(name, value(name));
    if (page) found.set("page", page + 1);
    const text = found.toString();
    return text ? "#items?" + text : "";
  };
  const keep = () => {
    const text = address();
    if (text !== location.hash && (text || /^#items?[?=]/.test(location.hash))) history.replaceState(null, "", text || location.pathname + location.search);
  };
  const restore = () => {
    const hash = location.hash;
    if (hash.startsWith("#item=")) {
      single = decodeURIComponent(hash.slice(6));
    } else if (hash.startsWith("#items?")) {
      single = "";
      const found = new URLSearchParams(hash.slice(7));
      for (const name of NAMES) if (field(name)) field(name).value = found.get(name) || "";
      filter(Math.max(0, (Number(found.get("page")) || 1) - 1));
      document.getElementById("items").scrollIntoView();
      return;
    } else return;
    filter(0);
    document.getElementById("items").scrollIntoView();
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
    keep();
    if (scroll) document.getElementById("items").scrollIntoView();
  };

  const filter = (to) => {
    const words = value("words").toLowerCase().split(/\s+/).filter(Boolean);
    chosen = all.filter((item) => {
      if (single) return item.t + " " + item.i === single;
      if (value("task") && item.t !== value("task")) return false;
      if (value("verdict") && tone(item.c || item.s) !== value("verdict")) return false;
      if (value("flipped") && !flipped(item)) return false;
      const text = words.length ? (item.i + " " + item.p + " " + item.a + " " + item.g).toLowerCase() : "";
      return words.every((word) => text.includes(word));
    });
    page = to;
    show(false);
  };
  filters.addEventListener("input", () => { single = ""; filter(0); });

  // What the filters leave, as a file. A cell that a spreadsheet would run as a formula begins with an apostrophe.
  const columns = [["task", "t"], ["id", "i"], ["prompt", "p"], ["gold", "g"], ["answer", "a"], ["read_as", "r"], ["verdict", "s"], ["why", "w"]];
  const cell = (text) => '"' + String(text ?? "").replace(/^([=+\-@\t\r])/, "'$1").replaceAll('"', '""') + '"';
  const row = (item) => Object.fromEntries(columns.map(([name, key]) => [name, item[key] ?? ""]).concat(item.b ? [["other_answer", item.b.a], ["other_read_as", item.b.r], ["other_verdict", item.b.s], ["change", item.c]] : []));
  const save = (name, kind, text) => {
    const link = make("a");
    link.href = URL.createObjectURL(new Blob([text], { type: kind }));
    link.download = name;
    link.click();
    URL.revokeObjectURL(link.href);
  };
  const csv = () => {
    const rows = chosen.map(row);
    const names = rows.length ? Object.keys(rows[0]) : columns.map(([name]) => name);
    return [names, ...rows.map((one) => names.map((name) => one[name]))].map((line) => line.map(cell).join(",")).join("\r\n") + "\r\n";
  };
  const button = (name, act) => {
    const made = make("button", name);
    made.type = "button";
    made.addEventListener("click", act);
    return made;
  };
  const tools = make("span", undefined, "saves");
  tools.append(
    button("CSV", () => save("items.csv", "text/csv", csv())),
    button("JSON", () => save("items.json", "application/json", JSON.stringify(chosen.map(row), null, 1))),
    button("All items", () => { single = ""; for (const name of NAMES) if (field(name)) field(name).value = ""; filter(0); }),
  );
  filters.append(tools);
  addEventListener("hashchange", restore);
  if (/^#items?[?=]/.test(location.hash)) restore();
  else show(false);
}
document.documentElement.dataset.ready = "yes";
