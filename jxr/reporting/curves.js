// Scores over sigma: a line at one of the measured sigmas, which follows the pointer or the slider,
// and the numbers there in the legends.
for (const figure of document.querySelectorAll(".sweep")) {
  const sigmas = figure.dataset.sigmas.split(" ");
  const panels = [...figure.querySelectorAll(".panel")];
  const slider = figure.querySelector(".stops");
  const range = slider.querySelector("input");

  function show() {
    const sigma = sigmas[range.value];
    const said = panels.map((panel) => {
      const svg = panel.querySelector("svg");
      const marker = svg.querySelector(".marker");
      const x = svg.dataset.stops.split(" ")[range.value];
      marker.setAttribute("x1", x);
      marker.setAttribute("x2", x);
      const curves = [...svg.querySelectorAll(".curve")];
      const lines = [...panel.querySelectorAll("li")].map((line, i) => {
        const mark = curves[i].querySelector(`[data-sigma="${sigma}"]`);
        line.querySelector("b").textContent = mark ? mark.dataset.numbers : "–";
        return `${line.children[1].textContent} ${line.children[2].textContent}`;
      });
      return `${panel.dataset.score}: ${lines.join(", ")}`;
    });
    slider.querySelector("output").textContent = `${sigma} pixels`;
    range.setAttribute("aria-valuetext", `${sigma} pixels. ${said.join(". ")}`);
  }

  for (const panel of panels) {
    const svg = panel.querySelector("svg");
    const stops = svg.dataset.stops.split(" ").map(Number);
    function follow(event) {
      const box = svg.getBoundingClientRect();
      const x = ((event.clientX - box.left) / box.width) * svg.viewBox.baseVal.width;
      const far = stops.map((stop) => Math.abs(stop - x));
      range.value = far.indexOf(Math.min(...far));
      show();
    }
    svg.addEventListener("pointermove", follow);
    svg.addEventListener("pointerdown", follow);
  }
  range.addEventListener("input", show);
  show();
  slider.hidden = false;
}
