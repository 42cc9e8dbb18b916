"use strict";
// Tables sort by a click on a head; rows of a loss and points of a map show photographs when the pointer is on them.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const hover = document.getElementById("hover");

  const number = (text) => {
    const value = parseFloat(text.replace("−", "-"));
    return Number.isNaN(value) ? null : value;
  };
  // Numbers before words, each in their own order.
  const compare = (a, b) => {
    const [x, y] = [number(a), number(b)];
    if (x !== null && y !== null) return x - y;
    if (x !== null) return -1;
    if (y !== null) return 1;
    return a.localeCompare(b);
  };
  for (const table of document.querySelectorAll("table")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      head.addEventListener("click", () => {
        const order = head.dataset.order === "1" ? -1 : 1;
        for (const other of heads) delete other.dataset.order;
        head.dataset.order = order;
        const body = table.tBodies[0];
        const text = (row) => row.cells[column].textContent;
        const rows = [...body.rows].sort((a, b) => order * compare(text(a), text(b)));
        body.append(...rows);
      });
    });
  }

  const show = (event, content) => {
    hover.replaceChildren(...content);
    hover.hidden = false;
    const left = Math.min(event.clientX + 16, window.innerWidth - hover.offsetWidth - 8);
    const top = Math.min(event.clientY + 16, window.innerHeight - hover.offsetHeight - 8);
    hover.style.left = `${Math.max(0, left)}px`;
    hover.style.top = `${Math.max(0, top)}px`;
  };
  const hide = () => { hover.hidden = true; };

  for (const row of document.querySelectorAll("tbody tr")) {
    const loss = [...row.cells].map((cell) => cell.textContent).find((text) => text in data.strips);
    if (!loss) continue;
    row.dataset.strip = loss;
    const picture = new Image();
    picture.src = data.strips[loss];
    row.addEventListener("mousemove", (event) => show(event, [picture]));
    row.addEventListener("mouseleave", hide);
  }

  const colours = ["#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#17a2b8", "#8c564b", "#e377c2"];
  for (const canvas of document.querySelectorAll("canvas[data-map]")) {
    const { map, sheet } = data.maps[canvas.dataset.map];
    const points = map.points;
    const classes = [...new Set(points.map((point) => point.fine))].sort((a, b) => a - b);
    const colour = (point) => colours[classes.indexOf(point.fine) % colours.length];
    const range = (axis) => {
      const values = points.map((point) => point[axis]);
      return [Math.min(...values), Math.max(...values)];
    };
    const [xs, ys] = [range("x"), range("y")];
    const edge = 16;
    const place = (value, [low, high], size) => edge + ((value - low) / (high - low || 1)) * (size - 2 * edge);
    const at = (point) => [place(point.x, xs, canvas.width), place(point.y, ys, canvas.height)];
    const picture = new Image();
    const source = (point) => {
      const side = picture.naturalWidth / map.columns;
      return [(point.row % map.columns) * side, Math.floor(point.row / map.columns) * side, side, side];
    };
    picture.addEventListener("load", () => {
      const context = canvas.getContext("2d");
      for (const point of points) {
        const [x, y] = at(point);
        context.fillStyle = colour(point);
        context.fillRect(x - 11, y - 11, 22, 22);
        context.drawImage(picture, ...source(point), x - 9, y - 9, 18, 18);
      }
      canvas.dataset.drawn = points.length;
    });
    picture.src = sheet;

    const large = document.createElement("canvas");
    [large.width, large.height] = [168, 168];
    const words = document.createElement("div");
    canvas.addEventListener("mousemove", (event) => {
      const box = canvas.getBoundingClientRect();
      const x = ((event.clientX - box.left) * canvas.width) / box.width;
      const y = ((event.clientY - box.top) * canvas.height) / box.height;
      let [nearest, least] = [null, 14 * 14];
      for (const point of points) {
        const [px, py] = at(point);
        const distance = (px - x) ** 2 + (py - y) ** 2;
        if (distance < least) [nearest, least] = [point, distance];
      }
      if (!nearest) return hide();
      large.getContext("2d").drawImage(picture, ...source(nearest), 0, 0, 168, 168);
      words.textContent = `test image ${nearest.row}: class ${nearest.fine}, trained as merged class ${nearest.trained}`;
      show(event, [large, words]);
    });
    canvas.addEventListener("mouseleave", hide);
  }
  document.body.dataset.ready = "yes";
})();
