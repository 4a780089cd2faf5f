"use strict";
// Sorts and filters tables, shows the values of a figure under the pointer, and opens folded parts. The page reads well
// without it.

const number = (text) => {
  const found = text.replaceAll(",", "").replace("\u2212", "-").match(/^\s*[+-]?\d+(\.\d+)?/);
  return found ? Number(found[0]) : null;
};

function compare(a, b) {
  if (!a || !b) return (a ? 0 : 1) - (b ? 0 : 1); // empty cells last
  const [x, y] = [number(a), number(b)];
  return x !== null && y !== null ? x - y : a.localeCompare(b);
}

function sortable(table) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[table.tHead.rows.length - 1].cells];
  heads.forEach((head, column) => {
    if (!head.textContent) return; // a column without a name
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const text = (row) => row.cells[column].textContent.trim();
      const rows = [...body.rows].sort((a, b) => {
        const order = compare(text(a), text(b));
        return down && text(a) && text(b) ? -order : order;
      });
      body.append(...rows);
    });
  });
}

function filterable(table) {
  const rows = [...table.tBodies[0].rows];
  const form = document.createElement("div");
  form.className = "filter";
  const wanted = document.createElement("input");
  wanted.type = "search";
  const count = document.createElement("output");
  const controls = [["Filter", wanted]];
  const words = [...new Set(rows.flatMap((row) => [...row.querySelectorAll(".word")].map(word)))].sort();
  const verdict = document.createElement("select");
  if (words.length > 1) {
    verdict.append(new Option("every verdict", ""), ...words.map((each) => new Option(each)));
    controls.push(["Verdict", verdict]);
  }
  for (const [name, control] of controls) {
    const label = document.createElement("label");
    label.append(`${name} `, control);
    form.append(label);
    control.addEventListener("input", () => {
      const parts = wanted.value.toLowerCase().split(/\s+/);
      for (const row of rows) {
        const text = row.textContent.toLowerCase();
        const own = [...row.querySelectorAll(".word")].map(word);
        row.hidden = !parts.every((part) => text.includes(part)) || (verdict.value && !own.includes(verdict.value));
      }
      count.textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length} rows`;
    });
  }
  form.append(count);
  table.closest(".scroll").before(form);
}

const word = (cell) => cell.querySelector(".verdict").lastChild.textContent.split(":")[0];

for (const table of document.querySelectorAll("table")) {
  if (table.tBodies[0].rows.length > 1) sortable(table);
  if (table.querySelector(".word") && table.tBodies[0].rows.length > 3) filterable(table);
}

const NEAR = 24; // pixels

function hoverable(sheet) {
  const marks = JSON.parse(sheet.dataset.marks);
  const [tip, point] = ["tip", "point"].map((name) => {
    const each = document.createElement("div");
    each.className = name;
    each.hidden = true;
    each.ariaHidden = "true";
    sheet.append(each);
    return each;
  });
  const show = (event) => {
    const box = sheet.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    const far = ([right, down]) => Math.hypot(right * box.width - x, down * box.height - y);
    const nearest = marks.reduce((best, mark) => (far(mark) < far(best) ? mark : best));
    tip.hidden = point.hidden = far(nearest) > NEAR;
    if (tip.hidden) return;
    const [right, down, text] = nearest;
    tip.textContent = text;
    point.style.left = `${100 * right}%`;
    point.style.top = `${100 * down}%`;
    tip.style.left = `${Math.max(0, Math.min(right * box.width + 12, box.width - tip.offsetWidth))}px`;
    tip.style.top = `${Math.max(0, down * box.height - tip.offsetHeight - 10)}px`;
  };
  if (!marks.length) return;
  sheet.addEventListener("pointermove", show);
  sheet.addEventListener("pointerdown", show);
  sheet.addEventListener("pointerleave", () => (tip.hidden = point.hidden = true));
}

document.querySelectorAll(".sheet").forEach(hoverable);

function unfold() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  for (let each = target; each; each = each.parentElement) if (each.tagName === "DETAILS") each.open = true;
  if (target) target.scrollIntoView();
}
addEventListener("hashchange", unfold);
if (location.hash) unfold();
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((each) => (each.open = true)));
