// What the pictures hold at the place that the lens names: grey values, rounded to 8 bits, and
// errors, told by their colours to a step of the scale.
const scale = document.querySelector(".scale img");
const read = new Map(); // pixels by picture, once they were asked for

function pixels(image) {
  if (!read.has(image)) {
    const { naturalWidth: width, naturalHeight: height } = image;
    const canvas = Object.assign(document.createElement("canvas"), { width, height });
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0);
    read.set(image, context.getImageData(0, 0, width, height));
  }
  return read.get(image);
}

function colour({ data, width }, column, row) {
  const at = 4 * (row * width + column);
  return data.subarray(at, at + 3).join();
}

function error(found) {
  const { limit } = scale.dataset;
  const steps = pixels(scale);
  for (let i = 0; i < steps.width; i++) {
    if (colour(steps, i, 0) === found) {
      const last = i === steps.width - 1;
      return last ? `${limit} and more` : (((i + 0.5) / steps.width) * limit).toPrecision(2);
    }
  }
  return "";
}

function value(image, place) {
  if (!place || !image.complete || !scale.complete) return "";
  const found = colour(pixels(image), ...place);
  return image.className === "map" ? error(found) : (parseInt(found) / 255).toFixed(3);
}

for (const example of document.querySelectorAll(".example")) {
  const films = [...example.querySelectorAll(".film")].map((film) => {
    const line = document.createElement("span");
    line.className = "value";
    film.append(line);
    return [film.querySelector("img"), line];
  });
  example.addEventListener("place", ({ detail: place }) => {
    for (const [image, line] of films) {
      const found = value(image, place);
      line.textContent = found && `here ${found}`;
    }
  });
}
