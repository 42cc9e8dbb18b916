// What the page holds, unpacked, and the small pieces that every section is built of.
const DATA = JSON.parse(document.getElementById("data").textContent);

function bytes(text) {
  const raw = atob(text);
  const out = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) out[i] = raw.charCodeAt(i);
  return out;
}
const uints = text => new Uint32Array(bytes(text).buffer);
const ints = text => new Int32Array(bytes(text).buffer);
const floats = text => new Float32Array(bytes(text).buffer);

function unpackSide(side) {
  return side && { names: side.names, labels: uints(side.labels), slots: ints(side.slots), count: side.count };
}
const QUERIES = unpackSide(DATA.queries);
const FOUND = unpackSide(DATA.gallery) || QUERIES;
const MAP = {
  points: floats(DATA.map.points),
  predicted: uints(DATA.map.predicted),
  sure: floats(DATA.map.sure),
  clusters: uints(DATA.map.clusters),
  neighbours: DATA.map.neighbours,
  rows: uints(DATA.map.rows),
  distances: floats(DATA.map.distances),
};

// Builds an element; texts are set as text, so that a name is never markup.
function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(properties)) {
    if (key === "class") element.className = value;
    else if (key === "text") element.textContent = value;
    else if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value);
  }
  element.append(...children.filter(child => child !== null && child !== undefined));
  return element;
}

// Sheets of photographs become addresses of their own when they are first needed.
const addresses = new Map();
function sheet(size, number) {
  const id = size + "-" + number;
  if (!addresses.has(id)) {
    const holder = document.getElementById(id);
    addresses.set(id, holder && {
      url: URL.createObjectURL(new Blob([bytes(holder.textContent)], { type: "image/jpeg" })),
      side: Number(holder.dataset.side),
    });
  }
  return addresses.get(id);
}

// The photograph in a slot, `pixels` wide; a grey square where the page does not hold it.
function picture(size, slot, pixels) {
  const box = make("div", { class: "picture" });
  box.style.width = box.style.height = pixels + "px";
  const known = slot !== null && slot >= 0 && sheet(size, Math.floor(slot / DATA.onASheet));
  if (known) {
    const place = slot % DATA.onASheet;
    box.style.backgroundImage = "url(" + known.url + ")";
    box.style.backgroundSize = 16 * pixels + "px";
    box.style.backgroundPosition = -(place % 16) * pixels + "px " + -Math.floor(place / 16) * pixels + "px";
    box.style.backgroundOrigin = "content-box";
    box.style.boxSizing = "content-box";
    box.style.backgroundClip = "content-box";
  }
  return box;
}

const className = number => DATA.classes[number];
const percent = share => (100 * share).toFixed(share > 0.995 || share < 0.005 ? 2 : 1) + " %";
const short = name => name.split(/[\\/]/).pop();

// Colours that differ as far as many can: around the circle by the golden angle, at three lightnesses.
function colourOf(number) {
  const hue = (number * 137.508) % 360;
  return "hsl(" + hue.toFixed(0) + " 70% " + [48, 62, 36][number % 3] + "%)";
}

document.getElementById("title").textContent = DATA.title;
for (const [name, text] of DATA.facts) {
  document.getElementById("facts").append(make("span", { text: name + ": " + text }));
}
