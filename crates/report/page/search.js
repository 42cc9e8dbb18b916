// Where a server answers: photographs are sent one after the other, and their answers shown.
(function () {
  const drop = document.getElementById("drop");
  if (!drop) return;
  const answers = document.getElementById("answers");

  function shown(file, answer) {
    const photograph = make("img", { width: 80, height: 80, alt: file.name });
    photograph.style.objectFit = "cover";
    photograph.src = URL.createObjectURL(file);
    const verdict = answer.unknown
      ? make("div", { class: "wrong-text", text: "unknown: farther than what is known lies apart" })
      : answer.classes.length === 0
        ? make("div", { text: "nearest" })
        : make("div", { class: "right-text", text: answer.classes[0].class_name + ", " + percent(answer.classes[0].probability) });
    const found = answer.nearest.map(near => make("figure", { title: near.path },
      picture("small", FOUND.slots[near.row], 80),
      make("figcaption", { text: near.class_name + " " + near.distance.toFixed(2) })));
    return make("div", { class: "strip" }, photograph,
      make("div", { class: "words" }, make("strong", { text: file.name }), verdict), make("div", { class: "gap" }), ...found);
  }

  async function look(files) {
    for (const file of files) {
      const line = make("div", { text: file.name + " …" });
      answers.prepend(line);
      try {
        const response = await fetch("/search", { method: "POST", body: file });
        const text = await response.text();
        if (!response.ok) throw new Error(text);
        line.replaceWith(shown(file, JSON.parse(text)));
      } catch (problem) {
        line.className = "wrong-text";
        line.textContent = file.name + ": " + problem.message;
      }
    }
  }
  document.getElementById("files").addEventListener("change", event => look([...event.target.files]));
  drop.addEventListener("dragover", event => { event.preventDefault(); drop.classList.add("over"); });
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", event => {
    event.preventDefault();
    drop.classList.remove("over");
    look([...event.dataTransfer.files]);
  });
})();
