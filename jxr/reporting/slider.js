// Before and after: the recovered image lies over the blurred one and is cut at the slider.
// The pictures are those of the films above, so the page holds each of them once.
for (const example of document.querySelectorAll(".example")) {
  const slider = example.querySelector(".slider");
  const stack = slider.querySelector(".stack");
  const range = slider.querySelector("input[type=range]");
  const after = slider.querySelector(".after");
  const films = example.querySelectorAll("[data-restorer]");

  function picture(film, ...classes) {
    const view = document.createElement("div"); // the lens moves the picture in it
    view.classList.add("view", ...classes);
    const image = new Image();
    image.className = "radiograph";
    image.alt = film.alt;
    image.src = film.src;
    image.width = Number(slider.dataset.width);
    image.height = Number(slider.dataset.height);
    view.append(image);
    return view;
  }

  const under = picture(example.querySelector("[data-blurred]"));
  const over = picture(films[0], "over");
  stack.prepend(under, over);

  function cut() {
    stack.style.setProperty("--cut", `${range.value}%`);
    const words = `${range.value} % ${range.dataset.before}, the rest ${after.textContent}`;
    range.setAttribute("aria-valuetext", words);
  }

  function choose(number) {
    over.firstChild.src = films[number].src;
    over.firstChild.alt = films[number].alt;
    after.textContent = films[number].dataset.restorer;
    cut();
  }

  range.addEventListener("input", cut);
  for (const radio of slider.querySelectorAll("input[type=radio]")) {
    radio.addEventListener("change", () => choose(Number(radio.value)));
  }
  // Browsers keep what was set when a page is loaded anew.
  const chosen = slider.querySelector("input[type=radio]:checked");
  choose(chosen ? Number(chosen.value) : 0);
  slider.hidden = false;
}
