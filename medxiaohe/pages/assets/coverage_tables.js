// Controls, tables that sort and search, the comparison of two corpora, and the start.

const PAGE = 25;

function selectOf(label, value, options, change) {
  const select = make("select", { onchange: (event) => change(event.target.value) }, options.map(([key, words]) => make("option", { value: key, selected: key === value }, words)));
  return make("label", {}, make("span", {}, label), select);
}

function drawControls() {
  const set = (key) => (value) => { state[key] = value; writeAddress(); show(true); };
  const counts = new Map(store.kinds.map((kind) => [kind, 0]));
  for (const kind of store.kind) counts.set(store.kinds[kind], counts.get(store.kinds[kind]) + 1);
  const kinds = [...counts].sort((a, b) => b[1] - a[1]).map(([kind, count]) => [kind, `${kind} (${format(count)})`]);
  const colors = Object.entries(COLORS).filter(([key]) => key !== "ratio" || store.sides.length > 1).map(([key, color]) => [key, color.label]);
  const rare = make("input", { type: "checkbox", checked: state.rare, onchange: (event) => set("rare")(event.target.checked) });
  const list = make("ul", { class: "found", id: "found" });
  const find = make("input", { type: "search", placeholder: "name, synonym or code", autocomplete: "off", "aria-controls": "found", oninput: (event) => suggest(event.target.value, list), onkeydown: (event) => { if (event.key === "Escape") list.replaceChildren(); } });
  $("controls").replaceChildren(...[
    selectOf("Kind", state.kind, [["", "all kinds"], ...kinds], set("kind")),
    selectOf("Layer", state.layer, [["", "all layers"], ["1", "1 domain"], ["2", "2 chapter"], ["3", "3 group"], ["4", "4 entity"], ["5", "5 variant"]], set("layer")),
    selectOf("Colour", state.color, colors, set("color")),
    store.sides.length > 1 ? selectOf("Corpus", String(state.side), store.sides.map((side, i) => [String(i), side.name]), (value) => set("side")(Number(value))) : null,
    make("label", { class: "check" }, rare, make("span", {}, "rare diseases only")),
    make("label", { class: "finder" }, make("span", {}, "Find"), find, list),
  ].filter(Boolean));
}

function suggest(text, list) {
  const asked = text.trim().toLowerCase().replace(/\s+/g, " ");
  const found = search(text, 10);
  const item = (node) => {
    const other = foundBy(node, asked);
    const notes = `${other ? ` (${other})` : ""} ${store.kinds[store.kind[node]]}, ${format(documentsBelow(node))} documents`;
    return make("li", {}, make("button", { type: "button", onclick: () => {
      list.replaceChildren();
      go(node);
    } }, store.names[node], make("small", {}, notes)));
  };
  const none = asked && !found.length ? [make("li", { class: "quiet", role: "status" }, `No name, synonym or code holds \u201c${text.trim()}\u201d.`)] : [];
  list.replaceChildren(...found.map(item), ...none);
}

// ---- tables ----------------------------------------------------------------------------------------

// `columns` are {name, value(node), text?, wide?}; `order` is [column, descending]; ties keep the order of `nodes`.
function nodeTable(place, caption, nodes, columns, order) {
  let most = PAGE, asked = "", [by, down] = order;
  const body = make("tbody"), heads = make("tr"), foot = make("p", { class: "quiet pager" });
  const find = make("input", { type: "search", placeholder: `search ${format(nodes.length)} names`, "aria-label": "Search this table", oninput: (event) => { asked = event.target.value.trim().toLowerCase(); most = PAGE; fill(); } });
  function fill() {
    const kept = asked ? nodes.filter((node) => foundBy(node, asked) !== null) : [...nodes];
    const value = columns[by].value, sign = down ? -1 : 1;
    kept.sort((a, b) => { const x = value(a), y = value(b); return sign * (typeof x === "string" ? x.localeCompare(y) : x - y); });
    body.replaceChildren(...kept.slice(0, most).map((node) => make("tr", {}, columns.map((column, i) => {
      const cell = column.cell ? column.cell(node) : column.text ? column.text(node) : typeof column.value(node) === "number" ? format(column.value(node)) : column.value(node);
      return make(i ? "td" : "th", { class: column.number ? "number" : null, scope: i ? null : "row" }, cell);
    }))));
    heads.replaceChildren(...columns.map((column, i) => make("th", { scope: "col", class: column.number ? "number" : null, "aria-sort": i === by ? (down ? "descending" : "ascending") : null },
      make("button", { type: "button", onclick: () => { down = i === by ? !down : Boolean(column.number); by = i; fill(); } }, column.name, i === by ? (down ? " \u25be" : " \u25b4") : ""))));
    const next = make("button", { type: "button", onclick: () => { most += 4 * PAGE; fill(); } }, `show ${format(Math.min(4 * PAGE, kept.length - most))} more`);
    foot.replaceChildren(`${format(Math.min(most, kept.length))} of ${format(kept.length)} `, ...(kept.length > most ? [next] : []));
  }
  fill();
  const table = make("table", {}, make("caption", {}, make("span", {}, caption)), make("thead", {}, heads), body);
  place.replaceChildren(make("div", { class: "tabletop" }, find), make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption }, table), foot);
}

function common() {
  const side = store.sides[state.side];
  return {
    name: { name: "Entity", value: (node) => store.names[node], cell: (node) => [link(node), store.rare[node] ? make("span", { class: "badge notice" }, "rare") : null].filter(Boolean) },
    kind: { name: "Kind", value: (node) => store.kinds[store.kind[node]] },
    layer: { name: "Layer", value: (node) => store.layer[node], number: true },
    below: { name: "Entities below", value: (node) => store.below.all[node], number: true },
    covered: { name: "Of them named", value: (node) => store.below.named[node] / (store.below.all[node] || 1), text: (node) => percent(store.below.named[node], store.below.all[node]) || "0 %", number: true },
    own: { name: "Documents, itself", value: (node) => side.documents[node], number: true },
    documents: { name: "Documents", value: (node) => side.documents_below[node], number: true },
    passages: { name: "Passages", value: (node) => side.passages_below[node], number: true },
    definition: { name: "Definition", value: (node) => (store.definition[node] ? "yes" : "no") },
    reviewed: { name: "Reviewed", value: (node) => store.reviewedBelow[node], number: true },
  };
}

function drawTables() {
  const side = store.sides[state.side], all = [];
  for (let node = 0; node < store.size; node++) if (store.kept[node] && store.layer[node] > 1) all.push(node);
  all.sort((a, b) => store.below.all[b] - store.below.all[a]);
  const c = common(), of = store.sides.length > 1 ? ` in ${side.name}` : "";
  const thin = all.filter((node) => side.documents_below[node] > 0), empty = all.filter((node) => !side.documents_below[node]);
  nodeTable($("thin-table"), `${format(thin.length)} entities are named${of}, themselves or below`, thin, [c.name, c.documents, c.below, c.covered, c.own, c.passages, c.reviewed, c.kind, c.layer], [1, false]);
  nodeTable($("empty-table"), `${format(empty.length)} entities are not named${of}, nor is anything below them`, empty, [c.name, c.below, c.definition, c.reviewed, c.kind, c.layer], [1, true]);
  for (const place of document.querySelectorAll(".kept")) place.textContent = filtered() ? `They keep ${format(all.length)} entities now.` : "";
  if (store.sides.length > 1) drawCompare(all);
}

function drawBelow() {
  const c = common(), children = divided(state.node === ALL || childrenOf(state.node).length ? state.node : trail[trail.length - 2] ?? ALL);
  if ($("below").open) nodeTable($("below-table"), `${format(children.length)} branches`, children, [c.name, c.below, c.covered, c.documents, c.passages, c.reviewed, c.kind, c.layer], [1, true]);
}

// ---- two corpora -----------------------------------------------------------------------------------

function drawCompare(all) {
  const [a, b] = store.sides, c = common();
  const either = all.filter((node) => a.documents[node] || b.documents[node]);
  const shares = [a, b].map((side) => ({ name: side.name, number: true, value: (node) => side.documents[node], text: (node) => `${format(side.documents[node])} (${percent(side.documents[node], side.total) || "0 %"})` }));
  const own = (node) => ratio(node, "documents"), score = (node) => Math.abs(zScore(node, "documents"));
  const times = { name: "Ratio", number: true, value: own, text: (node) => (own(node) < 0 ? `1 : ${(2 ** -own(node)).toFixed(1)}` : `${(2 ** own(node)).toFixed(1)} : 1`) };
  const z = { name: "z", number: true, value: score, text: (node) => score(node).toFixed(1) };
  nodeTable($("compare-table"), `${format(either.length)} entities are named in one of the two`, either, [c.name, ...shares, times, z, c.kind, c.layer], [4, true]);
  drawScatter(either);
}

const svg = (name, attributes, ...children) => {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
};

function drawScatter(nodes) {
  const [a, b] = store.sides, width = 400, height = 330, left = 58, bottom = 286, right = 388, top = 14, steps = 34;
  const most = nodes.reduce((best, node) => Math.max(best, a.documents[node], b.documents[node]), 1);
  const place = (value) => Math.log10(value + 1) / Math.log10(most + 1);
  const cells = new Map();
  for (const node of nodes) {
    const key = `${Math.min(steps - 1, Math.floor(place(a.documents[node]) * steps))} ${Math.min(steps - 1, Math.floor(place(b.documents[node]) * steps))}`;
    if (!cells.has(key)) cells.set(key, []);
    cells.get(key).push(node);
  }
  const wide = (right - left) / steps, high = (bottom - top) / steps;
  const largest = Math.log(Math.max(...[...cells.values()].map((cell) => cell.length), 1) + 1);
  const dots = [...cells].map(([key, cell]) => {
    const [x, y] = key.split(" ").map(Number);
    const radius = Math.max(1.6, (Math.log(cell.length + 1) / largest) * Math.min(wide, high) * 0.52);
    const names = cell.slice(0, 6).map((node) => store.names[node]).join(", ");
    const dot = svg("circle", { cx: left + (x + 0.5) * wide, cy: bottom - (y + 0.5) * high, r: radius, class: "dot s1" }, svg("title", {}, `${format(cell.length)}: ${names}${cell.length > 6 ? " \u2026" : ""}`));
    dot.addEventListener("click", () => go(cell[0]));
    return dot;
  });
  const marks = [0, 1, 10, 100, 1000, 10000, 100000].filter((value) => value <= most).flatMap((value) => [
    svg("line", { x1: left, x2: right, y1: bottom - place(value) * (bottom - top), y2: bottom - place(value) * (bottom - top), class: "grid" }),
    svg("text", { x: left - 6, y: bottom - place(value) * (bottom - top) + 4, class: "tick end" }, format(value)),
    svg("text", { x: left + place(value) * (right - left), y: bottom + 17, class: "tick middle" }, value >= 10000 ? `${value / 1000} k` : format(value)),
  ]);
  // where the shares of documents are equal
  const [x, y] = a.total > b.total ? [most, (most * b.total) / a.total] : [(most * a.total) / b.total, most];
  const equal = svg("line", { x1: left, y1: bottom, x2: left + place(x) * (right - left), y2: bottom - place(y) * (bottom - top), class: "reference" });
  $("scatter").replaceChildren(svg("svg", { viewBox: `0 0 ${width} ${height}`, class: "chart", role: "img", "aria-label": `Documents in ${a.name} and in ${b.name}, an entity a dot` },
    ...marks, equal, ...dots, svg("text", { x: right, y: height - 8, class: "name end" }, `documents in ${a.name} \u2192`), svg("text", { x: 4, y: 10, class: "name" }, `\u2191 ${b.name}`)),
    make("figcaption", {}, "Both axes are logarithmic. Dashed: equal counts for the sizes of the corpora. Choose a dot to open it on the map."));
}

function drawBars() {
  if (store.sides.length < 2) return;
  const children = divided(state.node === ALL || childrenOf(state.node).length ? state.node : trail[trail.length - 2] ?? ALL).filter((node) => documentsBelow(node, 0) || documentsBelow(node, 1));
  const chosen = children.sort((x, y) => Math.abs(zScore(y)) - Math.abs(zScore(x))).slice(0, 14).sort((x, y) => ratio(y) - ratio(x));
  const most = Math.max(1, ...chosen.map((node) => Math.abs(ratio(node))));
  $("bars-title").textContent = `Below ${nameOf(state.node)}: which corpus names it more often`;
  $("bars").replaceChildren(...chosen.map((node) => {
    const bar = make("span", { class: `fill ${ratio(node) < 0 ? "less" : "more"}` });
    bar.style.width = `${(50 * Math.abs(ratio(node))) / most}%`;
    bar.style.left = ratio(node) < 0 ? `${50 - (50 * Math.abs(ratio(node))) / most}%` : "50%";
    return make("div", { class: "diverging" }, link(node), make("span", { class: "track" }, bar), make("span", { class: "number" }, `${format(documentsBelow(node, 0))} : ${format(documentsBelow(node, 1))}`));
  }), make("figcaption", {}, `Left: more often in ${store.sides[1].name}; right: in ${store.sides[0].name}. Numbers are documents.`));
}

// ---- the start -------------------------------------------------------------------------------------

function show(again) {
  if (again) {
    aggregate();
    drawTables();
  }
  drawPath();
  drawMap();
  drawPanel();
  drawBelow();
  drawBars();
}

function fromAddress() {
  readAddress();
  trail = trailTo(state.node);
  drawControls();
  show(true);
}

async function start() {
  try {
    await unpack();
  } catch (error) {
    $("cells").replaceChildren(make("p", { class: "notice" }, `This browser cannot unpack the data of the page (${error.message}). The same numbers are in coverage.csv, beside it.`));
    return;
  }
  fromAddress();
  document.documentElement.dataset.ready = "yes";
  let width = $("cells").clientWidth;
  new ResizeObserver(() => { if ($("cells").clientWidth !== width) { width = $("cells").clientWidth; drawMap(); } }).observe($("cells"));
  addEventListener("hashchange", () => { if (location.hash.includes("=")) fromAddress(); });
  $("below").addEventListener("toggle", drawBelow);
  $("cells").addEventListener("keydown", (event) => {
    const tiles = [...$("cells").querySelectorAll(".tile:not(.small)")], place = tiles.indexOf(document.activeElement);
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (step && place >= 0) { event.preventDefault(); tiles[(place + step + tiles.length) % tiles.length].focus(); }
    if ((event.key === "Escape" || event.key === "Backspace") && trail.length > 1) { event.preventDefault(); go(trail[trail.length - 2]); }
  });
}
start();
