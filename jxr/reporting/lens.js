// A lens for all pictures of an example at once, so that the same detail can be compared. The event
// "place" says which pixel the pointer is on.
const MOST = 16; // times
const DOUBLE = { "+": 2, "=": 2, "-": 0.5, _: 0.5 };
const STEP = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function limited(value, least, most) {
  return Math.min(Math.max(value, least), most);
}

for (const hint of document.querySelectorAll(".hint")) hint.hidden = false;
for (const example of document.querySelectorAll(".example")) {
  const pictures = example.querySelector(".pictures");
  const tools = example.querySelector(".lens");
  const [closer, wider, whole] = tools.querySelectorAll("button");
  const views = [...example.querySelectorAll(".view")];
  const films = [...example.querySelectorAll(".film .view")];
  const columns = Number(example.dataset.columns);
  const rows = Number(example.dataset.rows);
  // Where the upper left corner of what is seen lies in the picture, as shares of its sides.
  let [zoom, left, top] = [1, 0, 0];

  function show() {
    left = limited(left, 0, 1 - 1 / zoom);
    top = limited(top, 0, 1 - 1 / zoom);
    example.style.setProperty("--zoom", zoom);
    example.style.setProperty("--left", left);
    example.style.setProperty("--top", top);
    example.classList.toggle("zoomed", zoom > 1);
    wider.disabled = whole.disabled = zoom === 1;
    closer.disabled = zoom === MOST;
    const [column, row] = middle();
    const enlarged = `${Number(zoom.toPrecision(2))} times, around row ${row}, column ${column}`;
    tools.querySelector("output").textContent = zoom > 1 ? enlarged : "the whole picture";
  }

  function middle() {
    const half = 0.5 / zoom;
    const above = 1e-6; // what is between two pixels but for rounding counts as the second
    return [
      Math.floor((left + half) * columns + above),
      Math.floor((top + half) * rows + above),
    ];
  }

  // Keeps the place at these shares of the view where it is.
  function zoomBy(factor, x = 0.5, y = 0.5) {
    const next = limited(zoom * factor, 1, MOST);
    left += x / zoom - x / next;
    top += y / zoom - y / next;
    zoom = next;
    show();
  }

  function moveBy(x, y) {
    left += x / zoom;
    top += y / zoom;
    show();
  }

  function point(place) {
    example.classList.toggle("pointed", place !== null);
    if (place) {
      example.style.setProperty("--x", place[0] / columns);
      example.style.setProperty("--y", place[1] / rows);
    }
    const words = place ? `pointer on row ${place[1]}, column ${place[0]}` : "";
    tools.querySelector(".place").textContent = words;
    example.dispatchEvent(new CustomEvent("place", { detail: place }));
  }

  function shares(event, view) {
    const box = view.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  }

  function follow(event, view) {
    const [x, y] = shares(event, view);
    const column = Math.floor((left + x / zoom) * columns);
    const row = Math.floor((top + y / zoom) * rows);
    point([limited(column, 0, columns - 1), limited(row, 0, rows - 1)]);
  }

  function onWheel(event, view) {
    const pinch = event.ctrlKey || event.metaKey; // so do trackpads say it
    if (!pinch && !pictures.contains(document.activeElement)) return; // the page scrolls
    if (!pinch && zoom === 1 && event.deltaY > 0) return;
    event.preventDefault();
    const notches = event.deltaY / (event.deltaMode ? 3 : pinch ? 50 : 100);
    zoomBy(2 ** limited(-notches, -1, 1), ...shares(event, view));
    follow(event, view);
  }

  // One finger or the mouse moves the picture, two fingers enlarge it too.
  const fingers = new Map();

  function grip() {
    const at = [...fingers.values()];
    const centre = [0, 1].map((i) => at.reduce((sum, p) => sum + p[i], 0) / at.length);
    const spread = at.length > 1 ? Math.hypot(at[0][0] - at[1][0], at[0][1] - at[1][1]) : 1;
    return { centre, spread };
  }

  function onMove(event, view) {
    if (fingers.has(event.pointerId)) {
      const before = grip();
      fingers.set(event.pointerId, shares(event, view));
      const { centre, spread } = grip();
      zoomBy(spread / before.spread, ...before.centre);
      moveBy(before.centre[0] - centre[0], before.centre[1] - centre[1]);
    }
    follow(event, view);
  }

  function onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { key } = event;
    if (key in DOUBLE) zoomBy(DOUBLE[key]);
    else if (key === "0" || key === "Escape") zoomBy(0);
    else if (key in STEP && zoom > 1 && event.target.tagName !== "INPUT") {
      moveBy(STEP[key][0] / 8, STEP[key][1] / 8);
    } else return;
    event.preventDefault();
    point(middle());
  }

  for (const view of views) {
    const frame = document.createElement("div"); // around the pixel under the pointer
    frame.className = "frame";
    view.append(frame);
  }
  for (const view of films) {
    view.addEventListener("dragstart", (event) => event.preventDefault());
    view.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      view.setPointerCapture(event.pointerId);
      fingers.set(event.pointerId, shares(event, view));
      follow(event, view);
    });
    for (const end of ["pointerup", "pointercancel"]) {
      view.addEventListener(end, (event) => fingers.delete(event.pointerId));
    }
    view.addEventListener("dblclick", (event) => zoomBy(2, ...shares(event, view)));
    for (const touch of ["touchstart", "touchmove"]) {
      // Two fingers are for the lens, not for the page.
      const keep = (event) => event.touches.length > 1 && event.preventDefault();
      view.addEventListener(touch, keep, { passive: false });
    }
  }
  for (const view of [...films, example.querySelector(".stack")]) {
    view.addEventListener("pointermove", (event) => onMove(event, view));
    view.addEventListener("wheel", (event) => onWheel(event, view), { passive: false });
    view.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && point(null));
  }
  closer.addEventListener("click", () => zoomBy(2));
  wider.addEventListener("click", () => zoomBy(0.5));
  whole.addEventListener("click", () => zoomBy(0));
  pictures.addEventListener("keydown", onKey);
  pictures.tabIndex = 0;
  example.style.setProperty("--columns", columns);
  example.style.setProperty("--rows", rows);
  tools.hidden = false;
  show();
}
