// The map: a canvas that draws the points colour by colour, and a grid that finds the point under the mouse.
(function () {
  const canvas = document.getElementById("map");
  const pen = canvas.getContext("2d");
  const tip = document.getElementById("tip");
  const kept = document.getElementById("kept");
  const count = QUERIES.count;
  const wrong = row => MAP.predicted[row] !== QUERIES.labels[row];

  // Bounds of all points, in the map's own unit.
  let [left, right, top, bottom] = [Infinity, -Infinity, Infinity, -Infinity];
  for (let row = 0; row < count; row++) {
    const x = MAP.points[2 * row], y = MAP.points[2 * row + 1];
    left = Math.min(left, x); right = Math.max(right, x);
    top = Math.min(top, y); bottom = Math.max(bottom, y);
  }
  const span = Math.max(right - left, bottom - top) || 1;

  // Cells of the grid hold the rows in them.
  const CELLS = Math.max(1, Math.min(256, Math.ceil(Math.sqrt(count))));
  const cellOf = (x, y) => {
    const at = v => Math.max(0, Math.min(CELLS - 1, Math.floor(v * CELLS)));
    return at((y - top) / span) * CELLS + at((x - left) / span);
  };
  const cells = Array.from({ length: CELLS * CELLS }, () => []);
  for (let row = 0; row < count; row++) cells[cellOf(MAP.points[2 * row], MAP.points[2 * row + 1])].push(row);

  // Points from which on each frame is written pixel by pixel.
  const MANY = 8000;
  const view = { x: 0, y: 0, scale: 1 };
  const state = { colour: "class", shown: "all", find: "", hidden: new Set(), over: -1, kept: -1 };
  let groups = [];

  function groupOf(row) {
    if (state.colour === "error") return wrong(row) ? 1 : 0;
    if (state.colour === "cluster") return MAP.clusters.length ? MAP.clusters[row] : 0;
    return QUERIES.labels[row];
  }
  function nameOf(group) {
    if (state.colour === "error") return ["right", "wrong"][group];
    if (state.colour !== "cluster") return className(group);
    const known = DATA.clusters.find(cluster => cluster.number === group);
    return known ? className(known.class) + ", " + group : "cluster " + group;
  }
  const tint = group => state.colour === "error" ? ["hsl(150 55% 42%)", "hsl(2 80% 55%)"][group] : colourOf(group);

  function regroup() {
    const find = state.find.toLowerCase();
    const byGroup = new Map();
    for (let row = 0; row < count; row++) {
      if (state.shown === "wrong" && !wrong(row)) continue;
      if (find && !QUERIES.names[row].toLowerCase().includes(find)) continue;
      const group = groupOf(row);
      if (!byGroup.has(group)) byGroup.set(group, []);
      byGroup.get(group).push(row);
    }
    groups = [...byGroup].sort((a, b) => a[0] - b[0]).map(([group, rows]) => ({ group, rows }));
    legend();
    draw();
  }

  function legend() {
    const shown = groups.reduce((sum, { rows }) => sum + rows.length, 0);
    document.getElementById("counts").textContent = shown + " of " + count + " photographs";
    document.getElementById("legend").replaceChildren(...groups.map(({ group, rows }) => {
      const dot = make("i");
      dot.style.background = tint(group);
      const toggle = () => {
        state.hidden.has(group) ? state.hidden.delete(group) : state.hidden.add(group);
        legend();
        draw();
      };
      const off = state.hidden.has(group) ? "off" : "";
      return make("button", { class: off, onclick: toggle }, dot, nameOf(group) + " (" + rows.length + ")");
    }));
  }

  // Pixels of the canvas per unit of the map at scale 1.
  const fit = () => 0.92 * Math.min(canvas.clientWidth, canvas.clientHeight) / span;
  function onScreen(row) {
    const zoom = fit() * view.scale;
    return [
      canvas.clientWidth / 2 + (MAP.points[2 * row] - (left + right) / 2 - view.x) * zoom,
      canvas.clientHeight / 2 + (MAP.points[2 * row + 1] - (top + bottom) / 2 - view.y) * zoom,
    ];
  }

  let waiting = false;
  function draw() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; paint(); });
  }

  function paint() {
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (canvas.width !== Math.round(width * ratio)) canvas.width = Math.round(width * ratio);
    if (canvas.height !== Math.round(height * ratio)) canvas.height = Math.round(height * ratio);
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    const size = Math.max(1.5, Math.min(7, (count > 5000 ? 2.2 : 4) * Math.sqrt(view.scale)));
    if (count > MANY) paintMany(size * ratio, ratio);
    else paintFew(size, width, height);
    for (const [row, radius] of [[state.over, 7], [state.kept, 9]]) {
      if (row < 0) continue;
      const [x, y] = onScreen(row);
      pen.lineWidth = 2;
      pen.strokeStyle = getComputedStyle(document.body).color;
      pen.beginPath();
      pen.arc(x, y, radius, 0, 7);
      pen.stroke();
    }
  }

  function paintFew(size, width, height) {
    pen.globalAlpha = 0.8;
    for (const { group, rows } of groups) {
      if (state.hidden.has(group)) continue;
      pen.fillStyle = tint(group);
      for (const row of rows) {
        const [x, y] = onScreen(row);
        if (x > -size && y > -size && x < width + size && y < height + size) pen.fillRect(x - size / 2, y - size / 2, size, size);
      }
    }
    pen.globalAlpha = 1;
  }

  // Pixels written one by one: ten times as fast as that many rectangles.
  function paintMany(wanted, ratio) {
    const image = pen.createImageData(canvas.width, canvas.height);
    const pixels = new Uint32Array(image.data.buffer);
    const [width, height, size] = [canvas.width, canvas.height, Math.max(2, Math.round(wanted))];
    const zoom = fit() * view.scale * ratio;
    const middleX = width / 2 - ((left + right) / 2 + view.x) * zoom - size / 2;
    const middleY = height / 2 - ((top + bottom) / 2 + view.y) * zoom - size / 2;
    for (const { group, rows } of groups) {
      if (state.hidden.has(group)) continue;
      const ink = pixelOf(tint(group));
      for (const row of rows) {
        const x = Math.round(middleX + MAP.points[2 * row] * zoom), y = Math.round(middleY + MAP.points[2 * row + 1] * zoom);
        if (x < 0 || y < 0 || x + size > width || y + size > height) continue;
        for (let line = y; line < y + size; line++) pixels.fill(ink, line * width + x, line * width + x + size);
      }
    }
    pen.putImageData(image, 0, 0);
  }

  // A colour as the four bytes of a pixel.
  const inks = new Map();
  function pixelOf(colour) {
    if (!inks.has(colour)) {
      const one = document.createElement("canvas").getContext("2d");
      one.fillStyle = colour;
      one.fillRect(0, 0, 1, 1);
      inks.set(colour, new Uint32Array(one.getImageData(0, 0, 1, 1).data.buffer)[0]);
    }
    return inks.get(colour);
  }

  const visible = row => {
    const group = groupOf(row);
    return !state.hidden.has(group)
      && (state.shown === "all" || wrong(row))
      && (!state.find || QUERIES.names[row].toLowerCase().includes(state.find.toLowerCase()));
  };

  // The visible point nearest to the mouse, within 14 pixels.
  function pointAt(px, py) {
    const zoom = fit() * view.scale;
    const x = (px - canvas.clientWidth / 2) / zoom + view.x + (left + right) / 2;
    const y = (py - canvas.clientHeight / 2) / zoom + view.y + (top + bottom) / 2;
    const reach = 14 / zoom;
    let [best, least] = [-1, reach * reach];
    const low = v => Math.max(0, Math.min(CELLS - 1, Math.floor((v - reach) / span * CELLS)));
    const high = v => Math.max(0, Math.min(CELLS - 1, Math.floor((v + reach) / span * CELLS)));
    for (let line = low(y - top); line <= high(y - top); line++) {
      for (let column = low(x - left); column <= high(x - left); column++) {
        for (const row of cells[line * CELLS + column]) {
          const dx = MAP.points[2 * row] - x, dy = MAP.points[2 * row + 1] - y;
          const squared = dx * dx + dy * dy;
          if (squared < least && visible(row)) [best, least] = [row, squared];
        }
      }
    }
    return best;
  }

  function words(row) {
    const verdict = wrong(row)
      ? make("div", { class: "wrong-text", text: "taken for " + className(MAP.predicted[row]) + " (" + percent(MAP.sure[row]) + ")" })
      : make("div", { class: "right-text", text: "taken for it (" + percent(MAP.sure[row]) + ")" });
    const cluster = MAP.clusters.length ? make("div", { text: "cluster " + MAP.clusters[row] }) : null;
    return [make("strong", { text: className(QUERIES.labels[row]) }), verdict, cluster, make("div", { text: QUERIES.names[row] })];
  }

  function showTip(row, px, py) {
    tip.hidden = row < 0;
    if (row < 0) return;
    tip.replaceChildren(picture("small", QUERIES.slots[row], 112), ...words(row).filter(Boolean));
    const overRight = px + 290 > canvas.clientWidth, overBottom = py + 220 > canvas.clientHeight;
    tip.style.left = (overRight ? Math.max(0, px - 280) : px + 16) + "px";
    tip.style.top = (overBottom ? Math.max(0, py - 210) : py + 16) + "px";
  }

  function keep(row) {
    state.kept = row;
    kept.replaceChildren();
    if (row < 0) return;
    kept.append(picture("small", QUERIES.slots[row], 128), ...words(row).filter(Boolean), make("h3", { text: "Nearest" }));
    for (let at = row * MAP.neighbours; at < (row + 1) * MAP.neighbours; at++) {
      const other = MAP.rows[at];
      if (other >= FOUND.count) continue;
      const same = FOUND.labels[other] === QUERIES.labels[row];
      kept.append(make("div", { class: "strip" }, picture("small", FOUND.slots[other], 48), make("div", {},
        make("div", { class: same ? "right-text" : "wrong-text", text: className(FOUND.labels[other]) }),
        make("div", { text: MAP.distances[at].toFixed(3) }),
        make("div", { text: short(FOUND.names[other]) }))));
    }
  }

  let drag = null;
  canvas.addEventListener("pointerdown", event => {
    drag = { x: event.offsetX, y: event.offsetY, viewX: view.x, viewY: view.y, moved: false };
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", event => {
    if (drag) {
      const zoom = fit() * view.scale;
      const [dx, dy] = [event.offsetX - drag.x, event.offsetY - drag.y];
      drag.moved = drag.moved || Math.abs(dx) + Math.abs(dy) > 4;
      if (drag.moved) [view.x, view.y] = [drag.viewX - dx / zoom, drag.viewY - dy / zoom];
    }
    state.over = pointAt(event.offsetX, event.offsetY);
    showTip(drag && drag.moved ? -1 : state.over, event.offsetX, event.offsetY);
    draw();
  });
  canvas.addEventListener("pointerup", event => {
    if (drag && !drag.moved) keep(pointAt(event.offsetX, event.offsetY));
    drag = null;
    draw();
  });
  canvas.addEventListener("pointerleave", () => { state.over = -1; tip.hidden = true; draw(); });
  canvas.addEventListener("dblclick", () => { Object.assign(view, { x: 0, y: 0, scale: 1 }); draw(); });
  canvas.addEventListener("wheel", event => {
    event.preventDefault();
    const before = fit() * view.scale;
    view.scale = Math.max(0.5, Math.min(400, view.scale * Math.exp(-event.deltaY * 0.0015)));
    const after = fit() * view.scale;
    const [dx, dy] = [event.offsetX - canvas.clientWidth / 2, event.offsetY - canvas.clientHeight / 2];
    view.x += dx / before - dx / after;
    view.y += dy / before - dy / after;
    state.over = pointAt(event.offsetX, event.offsetY);
    showTip(state.over, event.offsetX, event.offsetY);
    draw();
  }, { passive: false });

  const listen = (id, key) => document.getElementById(id).addEventListener("input", event => {
    state[key] = event.target.value;
    if (key === "colour") state.hidden.clear();
    regroup();
  });
  listen("colour", "colour");
  listen("shown", "shown");
  listen("find", "find");
  if (!MAP.clusters.length) document.querySelector("#colour option[value=cluster]").remove();
  new ResizeObserver(draw).observe(canvas);
  regroup();
})();
