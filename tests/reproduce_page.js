"use strict";
// Run behind the page by reproduce_page.sh: does what a reader would do, and writes into <html data-tested> what came of it.
(async () => {
  const report = (text) => { document.documentElement.dataset.tested = text; };
  const check = (fact, what) => { if (!fact) throw new Error(what); };
  try {
    check(document.body.dataset.ready === "yes", "the page's own script did not come to its end");

    // Sorting: the first numeric column, up and then down.
    const table = document.querySelector("table");
    check(table, "no table");
    const heads = [...table.tHead.rows[0].cells];
    const column = heads.findIndex((head) => head.textContent.startsWith("error@1"));
    check(column >= 0, "no column error@1");
    const values = () => [...table.tBodies[0].rows].map((row) => parseFloat(row.cells[column].textContent));
    const rises = (list) => list.every((value, i) => i === 0 || list[i - 1] <= value);
    heads[column].click();
    check(rises(values()), `not sorted upwards: ${values()}`);
    heads[column].click();
    check(rises(values().reverse()), `not sorted downwards: ${values()}`);

    // The pointer on a row with photographs.
    const hover = document.getElementById("hover");
    const move = (target, x, y) => {
      target.dispatchEvent(new MouseEvent("mousemove", { clientX: x, clientY: y, bubbles: true }));
    };
    const row = document.querySelector("tr[data-strip]");
    check(row, "no row has photographs");
    move(row, 20, 20);
    check(!hover.hidden && hover.querySelector("img"), "no photograph under the pointer on a row");
    row.dispatchEvent(new MouseEvent("mouseleave"));
    check(hover.hidden, "the photograph stays when the pointer has left");

    // The pointer on a point of a map.
    const maps = [...document.querySelectorAll("canvas[data-map]")];
    check(maps.length > 0, "no map");
    const drawn = () => maps.every((map) => Number(map.dataset.drawn) > 0);
    for (let tries = 0; tries < 100 && !drawn(); tries++) await new Promise((next) => setTimeout(next, 20));
    check(drawn(), "a map has no points");
    const map = maps[0];
    const pixels = map.getContext("2d").getImageData(0, 0, map.width, map.height);
    const box = map.getBoundingClientRect();
    let found = null;
    for (let place = 0; place < pixels.data.length && !found; place += 4) {
      if (pixels.data[place + 3] > 0) found = [(place / 4) % map.width, Math.floor(place / 4 / map.width)];
    }
    check(found, "the map is empty");
    // The corner of the topmost frame; the point lies half a frame further in.
    const scale = box.width / map.width;
    move(map, box.left + (found[0] + 11) * scale, box.top + (found[1] + 11) * scale);
    check(!hover.hidden && hover.querySelector("canvas"), "no photograph under the pointer on a map");
    check(/test image \d+: class \d+/.test(hover.textContent), `the photograph has the words ${hover.textContent}`);

    const figures = document.querySelectorAll("figure svg").length;
    check(figures > 0, "no figure");
    report(`passed: ${document.querySelectorAll("table").length} tables, ${figures} figures, ${maps.length} maps; sorting and hovering work`);
  } catch (error) {
    report(`failed: ${error.message}`);
  }
})();
