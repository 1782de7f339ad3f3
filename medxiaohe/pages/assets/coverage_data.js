"use strict";
// The tree as columns, unpacked from the page itself; what the filters keep; and the state, which lives in the address.

const ALL = -1; // stands above all domains
const $ = (id) => document.getElementById(id);
const format = (value) => value.toLocaleString("en-US");
const store = { size: 0 };
const state = { node: ALL, kind: "", layer: "", rare: false, color: "named", side: 0 };

function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(key, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

function percent(part, whole) {
  if (!whole) return "";
  const value = (100 * part) / whole;
  if (value > 0 && value < 0.1) return "< 0.1 %";
  if (value < 100 && value > 99.9) return "> 99.9 %";
  return `${value.toFixed(value && value < 10 ? 1 : 0)} %`;
}

// ---- unpacking -------------------------------------------------------------------------------------

async function unpack() {
  const letters = atob($("packed").textContent);
  const packed = new Uint8Array(letters.length);
  for (let i = 0; i < letters.length; i++) packed[i] = letters.charCodeAt(i);
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  const raw = JSON.parse(await new Response(stream).text());
  store.ids = raw.ids.split("\n");
  store.names = raw.names.split("\n");
  store.size = store.ids.length;
  store.others = raw.others.split("\n").map((line) => (line ? line.split("\t") : []));
  store.lower = null; // all names in lower case, made at the first search
  store.kinds = raw.kinds;
  store.kind = Uint8Array.from(raw.kind);
  store.layer = Uint8Array.from(raw.layer, Number);
  store.rare = Uint8Array.from(raw.flags, (flag) => flag & 1);
  store.definition = Uint8Array.from(raw.flags, (flag) => (flag >> 1) & 1);
  store.parents = raw.parents;
  store.children = raw.parents.map(() => []);
  store.roots = [];
  raw.parents.forEach((parents, node) => {
    if (!parents.length) store.roots.push(node);
    for (const parent of parents) store.children[parent].push(node);
  });
  store.items = raw.reviewed_items;
  store.reviewed = column(raw.reviewed);
  store.reviewedBelow = column(raw.reviewed_below);
  store.sides = raw.sides.map((side) => {
    const columns = Object.fromEntries(Object.entries(side.columns).map(([name, sparse]) => [name, column(sparse)]));
    return { name: side.name, totals: side.totals, total: side.totals.documents, ...columns };
  });
  store.number = new Map(store.ids.map((id, node) => [id, node]));
}

function column([steps, values]) {
  const found = new Int32Array(store.size);
  let place = 0;
  steps.forEach((step, i) => {
    place += step;
    found[place] = values[i];
  });
  return found;
}

// ---- filters ---------------------------------------------------------------------------------------

function keeps(node) {
  return (
    (!state.kind || store.kinds[store.kind[node]] === state.kind) &&
    (!state.layer || store.layer[node] === Number(state.layer)) &&
    (!state.rare || store.rare[node] === 1)
  );
}

// Of the entities kept, how many are below each (itself included), and of those how many have at least one of each count.
function aggregate() {
  const side = store.sides[state.side];
  const having = {
    named: side.documents, passages: side.passages, images: side.images, definitions: store.definition, reviewed: store.reviewed,
  };
  const below = { all: new Int32Array(store.size + 1) }; // the last place is that of ALL
  for (const name of Object.keys(having)) below[name] = new Int32Array(store.size + 1);
  const counts = Object.entries(having).map(([name, values]) => [values, below[name]]);
  const stamp = new Int32Array(store.size).fill(-1);
  const queue = [];
  store.kept = new Uint8Array(store.size);
  for (let node = 0; node < store.size; node++) {
    if (!keeps(node)) continue;
    store.kept[node] = 1;
    const own = [below.all];
    for (const [values, sums] of counts) if (values[node] > 0) own.push(sums);
    queue.length = 0;
    queue.push(node);
    stamp[node] = node;
    for (let i = 0; i < queue.length; i++) {
      const place = queue[i];
      for (let k = 0; k < own.length; k++) own[k][place]++;
      for (const parent of store.parents[place]) {
        if (stamp[parent] !== node) {
          stamp[parent] = node;
          queue.push(parent);
        }
      }
    }
    for (const sums of own) sums[store.size]++;
  }
  store.below = below;
}

const at = (counts, node) => counts[node === ALL ? store.size : node];
const nameOf = (node) => (node === ALL ? "All entities" : store.names[node]);

function childrenOf(node) {
  const children = node === ALL ? store.roots : store.children[node];
  const sizes = store.below.all;
  return children.filter((child) => sizes[child] > 0).sort((a, b) => sizes[b] - sizes[a] || a - b);
}

function documentsBelow(node, side = state.side) {
  return node === ALL ? store.sides[side].totals.documents_with_mentions : store.sides[side].documents_below[node];
}

// How many doublings the first corpus names it more often than the second, itself or with all below it: as in coverage.jsonl.
function ratio(node, column = "documents_below") {
  const [a, b] = store.sides;
  return Math.log2((a[column][node] + 0.5) / (a.total + 1) / ((b[column][node] + 0.5) / (b.total + 1)));
}

function zScore(node, column = "documents_below") {
  const [a, b] = store.sides;
  return (ratio(node, column) * Math.LN2) / Math.sqrt(1 / (a[column][node] + 0.5) + 1 / (b[column][node] + 0.5));
}

// ---- search ----------------------------------------------------------------------------------------

// For each entity its name, its code, then its other names, in lower case.
function lowered() {
  store.lower = store.lower || store.names.map((name, node) => [name, store.ids[node], ...store.others[node]].map((one) => one.toLowerCase()));
  return store.lower;
}

// The other name by which an entity holds the words; "" where its own name or code does, null where nothing does.
function foundBy(node, asked) {
  const place = lowered()[node].findIndex((name) => name.includes(asked));
  return place < 0 ? null : place < 2 ? "" : store.others[node][place - 2];
}

// Entities whose name, code or other name is the words, begins with them, or holds them: in this order.
function search(text, most, wanted = () => true) {
  const asked = text.trim().toLowerCase().replace(/\s+/g, " ");
  if (!asked) return [];
  const exact = [], starts = [], holds = [];
  lowered().forEach((names, node) => {
    if (!names.some((name) => name.includes(asked)) || !wanted(node)) return;
    (names.includes(asked) ? exact : names.some((name) => name.startsWith(asked)) ? starts : holds).push(node);
  });
  return [...exact, ...starts, ...holds].slice(0, most);
}

// ---- the address -----------------------------------------------------------------------------------

function readAddress() {
  if (!location.hash.includes("=")) return; // a link to a section
  const said = new URLSearchParams(location.hash.slice(1));
  state.node = store.number.get(said.get("node") || "") ?? ALL;
  state.kind = store.kinds.includes(said.get("kind")) ? said.get("kind") : "";
  state.layer = /^[1-5]$/.test(said.get("layer") || "") ? said.get("layer") : "";
  state.rare = said.get("rare") === "1";
  state.color = said.get("color") || "named";
  state.side = Math.min(Number(said.get("side")) || 0, store.sides.length - 1);
}

function writeAddress() {
  const said = new URLSearchParams();
  if (state.node !== ALL) said.set("node", store.ids[state.node]);
  for (const key of ["kind", "layer"]) if (state[key]) said.set(key, state[key]);
  if (state.rare) said.set("rare", "1");
  if (state.color !== "named") said.set("color", state.color);
  if (state.side) said.set("side", state.side);
  history.replaceState(null, "", `#${said.toString() || "map="}`);
}
