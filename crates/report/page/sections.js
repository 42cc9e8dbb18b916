// Strips, mistakes, modes, numbers.
(function () {
  function shown(card, verdict, note) {
    return make("figure", { class: verdict, title: card.name }, picture("large", card.slot, 80),
      make("figcaption", { text: className(card.class) + (note ? " " + note : "") }));
  }

  function strip(answer) {
    const query = answer.query;
    const right = answer.predicted === query.class;
    const words = make("div", { class: "words" },
      make("strong", { text: className(query.class) }),
      make("div", { class: right ? "right-text" : "wrong-text", text: "taken for " + className(answer.predicted) + ", " + percent(answer.sure) }),
      make("div", { text: short(query.name) }));
    const found = answer.found.map(card => shown(card, card.class === query.class ? "right" : "wrong", card.distance.toFixed(2)));
    return make("div", { class: "strip" }, shown(query, "", ""), words, make("div", { class: "gap" }), ...found);
  }

  function fill(id, children) {
    if (children.length) document.getElementById(id).append(...children);
    else document.getElementById(id + "-section").remove();
  }
  fill("worst", DATA.worst.map(strip));
  fill("best", DATA.best.map(strip));

  fill("confused", DATA.confused.map(pair => make("div", { class: "strip" },
    make("div", { class: "words" }, make("strong", { text: className(pair.class) }), " taken for ",
      make("strong", { text: className(pair.takenFor) }),
      make("div", { text: pair.count + " of " + pair.of + " (" + percent(pair.count / pair.of) + ")" })),
    ...pair.examples.map(card => shown(card, "wrong", "")))));

  const modes = DATA.clusters.map(cluster => make("div", { class: "strip" },
    make("div", { class: "words" }, make("strong", { text: className(cluster.class) }),
      make("div", { text: "cluster " + cluster.number + ", " + cluster.size + " photographs" }),
      make("div", { text: "radius " + cluster.radius.toFixed(2) }),
      cluster.nearest ? make("div", { text: "next: " + className(cluster.nearest[0]) + ", " + cluster.nearest[1].toFixed(2) + " away" }) : null),
    ...cluster.exemplars.map(card => shown(card, "", ""))));
  if (modes.length < DATA.allClusters) modes.push(make("p", { class: "hint", text: "the " + modes.length + " largest of " + DATA.allClusters }));
  fill("clusters", modes);

  function table(header, lines) {
    const row = (tag, cells) => make("tr", {}, ...cells.map((text, at) => make(tag, { class: at ? "number" : "", text })));
    return make("table", {}, make("thead", {}, row("th", header)), make("tbody", {}, ...lines.map(line => row("td", line))));
  }
  const wrong = new Map();
  for (let at = 0; at < QUERIES.count; at++) {
    const line = wrong.get(QUERIES.labels[at]) || { all: 0, wrong: 0 };
    line.all += 1;
    line.wrong += MAP.predicted[at] === QUERIES.labels[at] ? 0 : 1;
    wrong.set(QUERIES.labels[at], line);
  }
  const numbers = document.getElementById("numbers");
  const total = [...wrong.values()].reduce((sum, line) => sum + line.wrong, 0);
  numbers.append(make("p", { text: "On this page the class of a photograph is a vote of its " + DATA.voters
    + " nearest ones, in which nearer ones count more: " + total + " of " + QUERIES.count + " are wrong (" + percent(total / QUERIES.count) + ")." }));
  if (DATA.report) {
    for (const warning of DATA.report.warnings) numbers.append(make("p", { class: "wrong-text", text: warning }));
    const digits = value => value === null ? "–" : value.toFixed(4);
    numbers.append(make("h3", { text: "Measures" }), table(["measure", "value", "over"],
      Object.entries(DATA.report.measures).map(([name, measure]) => [name,
        digits(measure.value) + (measure.interval ? " [" + measure.interval.map(digits).join(", ") + "]" : ""), measure.count])));
  }
  const lines = [...wrong].sort((a, b) => b[1].wrong / b[1].all - a[1].wrong / a[1].all)
    .map(([label, line]) => [className(label), line.all, line.wrong, percent(line.wrong / line.all)]);
  numbers.append(make("h3", { text: "Classes, worst first" }), table(["class", "photographs", "wrong", "share"], lines));

  for (const section of document.querySelectorAll("section")) {
    document.getElementById("contents").append(make("a", { href: "#" + section.id, text: section.dataset.title }));
  }
})();
