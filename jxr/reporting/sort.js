// A click on the head of a column sorts the table by it: rising, falling, as it was.
const NUMBER = /[-+]?\d+(\.\d+)?(e[-+]?\d+)?/i;
const NEXT = { none: "ascending", ascending: "descending", descending: "none" };
const collator = new Intl.Collator("en", { numeric: true });

// What a cell counts as; null for a dash, which goes last either way.
function value(cell) {
  const text = cell.textContent.trim();
  if (!cell.classList.contains("number")) return text === "–" ? null : text;
  const found = text.match(NUMBER); // of "0.81 [0.78, 0.84]" the first
  if (!found) return null;
  return Number(found[0]) * (text.startsWith("<") ? 0.999 : 1); // "< 0.001" before "0.001"
}

function compare(a, b) {
  return typeof a === "number" ? a - b : collator.compare(a, b);
}

for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const original = [...body.rows];
  const heads = [...table.tHead.rows[0].cells];

  function sort(column, order) {
    const sign = order === "descending" ? -1 : 1;
    const keyed = original.map((row) => [value(row.cells[column]), row]);
    const inOrder = ([a], [b]) => {
      if (a === null || b === null) return (a === null) - (b === null);
      return sign * compare(a, b);
    };
    if (order !== "none") keyed.sort(inOrder);
    body.append(...keyed.map(([, row]) => row));
    heads.forEach((head, i) => head.setAttribute("aria-sort", i === column ? order : "none"));
  }

  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    button.addEventListener("click", () => sort(column, NEXT[head.getAttribute("aria-sort")]));
    head.append(button);
    head.setAttribute("aria-sort", "none");
  });
}
