// The map: rectangles to go down into, the path to go up, and a panel that keeps the three counts of one entity apart.

const SHARES = [0, 0, 0.02, 0.05, 0.15, 0.4]; // of the entities below; the first colour is none at all
const COUNTS = [0, 1, 10, 100, 1000, 10000];
const RATIOS = [-3, -1, -0.25, 0.25, 1, 3]; // doublings
const SMALLEST = 900; // square pixels of a rectangle that is still drawn by itself
const MOST = 60, MOST_INSIDE = 12;
const COLORS = {
  named: { label: "Named: share of entities", share: "named", word: "named" },
  documents: { label: "Named: documents", count: (node) => documentsBelow(node), word: "documents" },
  passages: { label: "Evidence: share with a passage", share: "passages", word: "with a passage" },
  images: { label: "Evidence: share with an image", share: "images", word: "with an image" },
  definitions: { label: "Evidence: share with a definition", share: "definitions", word: "with a definition" },
  reviewed: { label: "Reviewed: share with an item", share: "reviewed", word: "reviewed" },
  ratio: { label: "Difference of the two corpora", word: "difference" },
};
let trail = [];

const colorOf = () => COLORS[state.color] || COLORS.named;

function level(node) {
  const color = colorOf();
  if (color === COLORS.ratio) {
    if (!documentsBelow(node, 0) && !documentsBelow(node, 1)) return "c0";
    return `d${RATIOS.filter((least) => ratio(node) >= least).length}`;
  }
  const value = color.share ? at(store.below[color.share], node) / (at(store.below.all, node) || 1) : color.count(node);
  const steps = color.share ? SHARES : COUNTS;
  if (!value) return "c0";
  return `c${Math.max(1, steps.reduce((best, least, i) => (value >= least ? i : best), 0))}`;
}

function note(node) {
  const color = colorOf();
  if (color === COLORS.ratio) return store.sides.map((side, i) => format(documentsBelow(node, i))).join(" : ");
  if (color.count) return `${format(color.count(node))} documents`;
  return `${format(at(store.below[color.share], node))} of ${format(at(store.below.all, node))} ${color.word}`;
}

// ---- rectangles --------------------------------------------------------------------------------------

function squarify(areas, width, height) {
  const scale = (width * height) / (areas.reduce((a, b) => a + b, 0) || 1);
  let left = areas.map((area) => area * scale), x = 0, y = 0;
  const boxes = [];
  const worst = (row, side) => {
    const whole = row.reduce((a, b) => a + b, 0);
    return Math.max((side * side * Math.max(...row)) / whole ** 2, whole ** 2 / (side * side * Math.min(...row)));
  };
  while (left.length) {
    const side = Math.max(1, Math.min(width, height));
    let row = 1;
    while (row < left.length && worst(left.slice(0, row + 1), side) <= worst(left.slice(0, row), side)) row++;
    const thick = left.slice(0, row).reduce((a, b) => a + b, 0) / side;
    let along = 0;
    for (const area of left.slice(0, row)) {
      const length = area / (thick || 1);
      boxes.push(width < height ? [x + along, y, length, thick] : [x, y + along, thick, length]);
      along += length;
    }
    if (width < height) { y += thick; height -= thick; } else { x += thick; width -= thick; }
    left = left.slice(row);
  }
  return boxes;
}

// A single child that is divided itself is passed over, so that every map shows a division.
function divided(node) {
  let found = childrenOf(node), place = node;
  while (found.length === 1 && childrenOf(found[0]).length) {
    place = found[0];
    found = childrenOf(place);
  }
  return found;
}

// The children large enough to be drawn, their areas, and the rest, which shares one rectangle of at most a quarter.
function drawable(children, surface, most) {
  const sizes = children.map((child) => store.below.all[child]);
  const whole = sizes.reduce((a, b) => a + b, 0) || 1;
  let count = sizes.findIndex((size) => (size / whole) * surface < SMALLEST);
  count = Math.min(count < 0 ? children.length : Math.max(count, Math.min(4, children.length)), most);
  const rest = children.slice(count);
  const restSize = sizes.slice(count).reduce((a, b) => a + b, 0);
  const areas = sizes.slice(0, count);
  if (rest.length) areas.push(Math.max(Math.min(restSize, areas.reduce((a, b) => a + b, 0) / 3), (whole * SMALLEST) / surface));
  return { shown: children.slice(0, count), rest, areas };
}

function drawMap() {
  const cells = $("cells");
  const focused = cells.contains(document.activeElement);
  const mapped = state.node !== ALL && !childrenOf(state.node).length ? trail[trail.length - 2] ?? ALL : state.node;
  const width = cells.clientWidth, height = cells.clientHeight;
  const children = divided(mapped);
  const { shown, rest, areas } = drawable(children, width * height, MOST);
  const boxes = squarify(areas, width, height);
  const drawn = [];
  shown.forEach((child, i) => {
    drawn.push(tile(child, boxes[i], false));
    drawn.push(...inside(child, boxes[i]));
  });
  if (rest.length) drawn.push(more(rest, boxes[boxes.length - 1]));
  if (!drawn.length) drawn.push(make("p", { class: "quiet wait" }, "The filters keep nothing below this entity."));
  cells.setAttribute("aria-label", `Map of ${nameOf(mapped)}: ${format(children.length)} branches`);
  cells.replaceChildren(...drawn);
  if (focused) (cells.querySelector("button") || cells).focus({ preventScroll: true });
}

function tile(node, [x, y, width, height], small) {
  const words = [];
  if (width > 38 && height > 16) words.push(make("span", {}, store.names[node]));
  if (!small && width > 70 && height > 36) words.push(make("small", {}, note(node)));
  const button = make("button", {
    class: `tile ${level(node)}${small ? " small" : ""}${node === state.node ? " open" : ""}`, type: "button", tabindex: small ? "-1" : null,
    title: `${store.names[node]}: ${note(node)}`, "aria-label": `${store.names[node]}: ${note(node)}`, onclick: () => go(node),
  }, words);
  return placed(button, x, y, width, height);
}

function inside(node, [x, y, width, height]) {
  const head = 40, edge = 5;
  if (width < 110 || height < 84) return [];
  const children = divided(node);
  if (children.length < 2) return [];
  const wide = width - 2 * edge - 2, high = height - head - edge - 2;
  const { shown, rest, areas } = drawable(children, wide * high, MOST_INSIDE);
  return squarify(areas, wide, high).slice(0, shown.length + (rest.length ? 0 : 1)).flatMap(([left, top, across, down], i) =>
    i < shown.length ? [tile(shown[i], [x + edge + left + 1, y + head + top, across, down], true)] : []);
}

function more(rest, [x, y, width, height]) {
  const words = `${format(rest.length)} more`;
  const open = () => { $("below").open = true; $("below").scrollIntoView({ behavior: "smooth" }); };
  return placed(make("button", { class: "tile rest", type: "button", title: `${words}, each with fewer entities; open the list`, onclick: open }, make("span", {}, words)), x, y, width, height);
}

function placed(element, x, y, width, height) {
  Object.assign(element.style, { left: `${x}px`, top: `${y}px`, width: `${Math.max(0, width - 2)}px`, height: `${Math.max(0, height - 2)}px` });
  return element;
}

// ---- path, legend, panel -------------------------------------------------------------------------------

function trailTo(node) {
  const found = [];
  for (let step = node; step !== undefined && step !== ALL; step = store.parents[step][0]) found.unshift(step);
  return [ALL, ...found];
}

function go(node) {
  const known = trail.indexOf(node);
  if (known >= 0) trail = trail.slice(0, known + 1);
  else if (node !== ALL && store.parents[node].includes(trail[trail.length - 1])) trail = [...trail, node];
  else trail = trailTo(node);
  state.node = node;
  writeAddress();
  show(false);
}

function drawPath() {
  const steps = trail.flatMap((step, i) => {
    const last = i === trail.length - 1;
    const words = last ? make("strong", { "aria-current": "page" }, nameOf(step)) : make("button", { type: "button", onclick: () => go(step) }, nameOf(step));
    return i ? [make("span", { class: "quiet", "aria-hidden": "true" }, " \u203a "), words] : [words];
  });
  $("path").replaceChildren(...steps);
  const color = colorOf();
  const name = (i) => store.sides[i].name;
  const words = color === COLORS.ratio
    ? ["much more in " + name(1), "more", "a little more", "alike", "a little more", "more", "much more in " + name(0)].map((word, i) => [`d${i}`, word])
    : (color.share ? ["none", "to 2 %", "to 5 %", "to 15 %", "to 40 %", "above"] : ["none", "1 to 9", "10 to 99", "100 to 999", "1,000 to 9,999", "more"]).map((word, i) => [`c${i}`, word]);
  $("legend").replaceChildren(...words.map(([key, word]) => make("span", { class: "item" }, make("span", { class: `key ${key}` }), word)));
}

function drawPanel() {
  const node = state.node;
  const parts = [make("h3", {}, nameOf(node))];
  if (node !== ALL) {
    const facts = [store.kinds[store.kind[node]], `layer ${store.layer[node]}`, store.ids[node]];
    parts.push(make("p", { class: "quiet" }, facts.join(" \u00b7 "), store.rare[node] ? make("span", { class: "badge notice" }, "rare") : null));
    const others = store.parents[node].filter((parent) => !trail.includes(parent));
    if (others.length) parts.push(make("p", { class: "quiet" }, "Also below ", ...others.slice(0, 4).flatMap((parent, i) => [i ? ", " : "", link(parent)])));
  }
  const all = at(store.below.all, node);
  parts.push(make("p", {}, make("strong", {}, format(all)), ` ${all === 1 ? "entity" : "entities"} below, itself included`, filtered() ? ", of those the filters keep" : ""));
  store.sides.forEach((side, i) => {
    if (store.sides.length > 1) parts.push(make("h4", { class: `side${i}` }, side.name));
    parts.push(make("table", { class: "counts" }, make("thead", {}, make("tr", {}, make("th", {}), make("th", {}, "itself"), make("th", {}, "with all below"))), make("tbody", {},
      row("Named by documents", node === ALL ? null : side.documents[node], documentsBelow(node, i)),
      row("Mentions in texts", node === ALL ? null : side.mentions[node], node === ALL ? sum(side.mentions) : side.mentions_below[node]),
      row("Passages about it", node === ALL ? null : side.passages[node], node === ALL ? side.totals.passages : side.passages_below[node]),
      row("Images", node === ALL ? null : side.images[node], node === ALL ? side.totals.images : side.images_below[node]))));
  });
  parts.push(make("table", { class: "counts" }, make("tbody", {},
    node === ALL ? null : row("Definition in the tree", store.definition[node] ? "yes" : "no", null),
    row("Reviewed items", node === ALL ? null : store.reviewed[node], node === ALL ? store.items : store.reviewedBelow[node]))));
  const of = store.sides.length > 1 ? ` (${store.sides[state.side].name})` : "";
  parts.push(make("p", { class: "quiet bars" }, `Entities below with at least one${of}`),
    ...["named", "passages", "images", "definitions", "reviewed"].map((name) => meter(COLORS[name].word, at(store.below[name], node), all)));
  $("panel").replaceChildren(...parts);
}

const filtered = () => state.kind || state.layer || state.rare;
const sum = (values) => values.reduce((a, b) => a + b, 0);
const link = (node) => make("button", { type: "button", class: "link", onclick: () => go(node) }, store.names[node]);
const shown = (value) => (value === null ? "" : typeof value === "number" ? format(value) : value);
const row = (name, own, below) => make("tr", {}, make("th", { scope: "row" }, name), make("td", {}, shown(own)), make("td", {}, shown(below)));

function meter(word, part, whole) {
  const bar = make("span", { class: "fill" });
  bar.style.width = `${whole ? (100 * part) / whole : 0}%`;
  return make("div", { class: "meter" }, make("span", {}, word), make("span", { class: "track" }, bar), make("span", { class: "number" }, percent(part, whole) || "0 %"));
}
