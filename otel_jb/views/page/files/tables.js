// SPDX-License-Identifier: Apache-2.0
// Tables whose rows stay the same elements from update to update, so that a thousand rows cost what changed of them.

const ROWS_AT_ONCE = 100;

/**
 * A table.
 * columns: [{id, title, text(row, key), sort(row, key), link(key), kind: "text", minor: 1 or 2, alarm(row)}]
 * `minor` columns go first where the window is narrow: 2 on a small screen, 1 on a phone too. Never a digit.
 */
function makeTable(name, columns, options) {
  const given = options || {};
  const state = { by: given.by || null, down: true, shown: ROWS_AT_ONCE, rows: new Map() };
  const head = make("tr", {});
  const body = make("tbody", {});
  const caption = make("caption", {}, name);
  const more = make("button", { type: "button", class: "more" });
  const table = make("table", {}, caption, make("thead", {}, head), body);
  const element = make("div", {}, make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": name }, table), more);
  let last = { map: new Map(), keep: () => true };
  const css = (column) => [column.kind || "", column.kind === "long" ? "text" : "", column.minor === 1 ? "minor" : column.minor === 2 ? "minor2" : ""].join(" ").trim() || null;

  for (const column of columns) {
    const button = make("button", { type: "button" }, column.title);
    const cell = make("th", { scope: "col", class: css(column) }, button);
    button.addEventListener("click", () => {
      state.down = state.by === column.id ? !state.down : column.kind !== "text" && column.kind !== "long";
      state.by = column.id;
      render();
    });
    column.head = cell;
    head.append(cell);
  }
  more.addEventListener("click", () => {
    state.shown += ROWS_AT_ONCE;
    render();
  });
  body.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1, j: 1, k: -1 }[event.key];
    const row = event.target.closest("tr");
    if (!step || !row || event.ctrlKey || event.metaKey || event.altKey) return;
    const next = step > 0 ? row.nextElementSibling : row.previousElementSibling;
    const link = next && next.querySelector("a");
    if (link) link.focus();
    event.preventDefault();
  });

  function render() {
    const wanted = filterText();
    const found = [];
    for (const [key, row] of last.map) {
      if (!last.keep(row, key)) continue;
      if (wanted && !columns.some((column) => (column.kind === "text" || column.kind === "long") && String(column.text(row, key)).toLowerCase().includes(wanted))) continue;
      found.push([key, row]);
    }
    const by = columns.find((column) => column.id === state.by);
    if (by) {
      const value = by.sort || ((row, key) => by.text(row, key));
      const sorted = found.map(([key, row]) => [key, row, value(row, key)]);
      sorted.sort((a, b) => (a[2] < b[2] ? -1 : a[2] > b[2] ? 1 : 0) * (state.down ? -1 : 1));
      found.splice(0, found.length, ...sorted);
    }
    for (const column of columns) {
      const sorted = column.id === state.by ? (state.down ? "descending" : "ascending") : "none";
      if (column.head.getAttribute("aria-sort") !== sorted) column.head.setAttribute("aria-sort", sorted);
    }
    const visible = found.slice(0, state.shown);
    const present = new Set(visible.map(([key]) => key));
    for (const [key, kept] of state.rows) {
      if (!present.has(key)) {
        kept.element.remove();
        state.rows.delete(key);
      }
    }
    let place = body.firstElementChild;
    for (const [key, row] of visible) {
      let kept = state.rows.get(key);
      if (!kept) {
        kept = addRow(key, row);
        state.rows.set(key, kept);
      }
      fill(kept, row, key);
      if (kept.element === place) place = place.nextElementSibling;
      else body.insertBefore(kept.element, place);
    }
    const count = wanted ? `${found.length} of ${last.map.size} rows` : `${found.length}`;
    setText(caption, found.length ? `${name}: ${count}` : wanted ? `${name}: no row has this text` : given.empty || `${name}: none`);
    more.hidden = found.length <= state.shown;
    setText(more, `Show ${Math.min(ROWS_AT_ONCE, found.length - state.shown)} more of ${found.length}`);
  }

  function addRow(key, row) {
    const cells = columns.map((column) => {
      const cell = make("td", { class: css(column) });
      const href = column.link && column.link(key, row);
      if (href) cell.append(make("a", { href }));
      return cell;
    });
    return { element: make("tr", { "data-key": key }, ...cells), cells, texts: [], alarms: [], ended: false };
  }

  /** What a row shows is kept beside it: asking a thousand elements for their text takes longer than making the texts. */
  function fill(kept, row, key) {
    columns.forEach((column, place) => {
      const cell = kept.cells[place];
      const text = String(column.text(row, key));
      if (kept.texts[place] !== text) (cell.firstElementChild || cell).textContent = kept.texts[place] = text;
      const alarm = Boolean(column.alarm && column.alarm(row, key));
      if (Boolean(kept.alarms[place]) !== alarm) cell.classList.toggle("alarm", (kept.alarms[place] = alarm));
    });
    const ended = Boolean(given.ended && given.ended(row));
    if (kept.ended !== ended) kept.element.classList.toggle("ended", (kept.ended = ended));
  }

  return {
    element,
    update(map, keep) {
      last = { map, keep: keep || (() => true) };
      render();
    },
  };
}

function filterText() {
  const input = document.getElementById("filter");
  return input ? input.value.trim().toLowerCase() : "";
}

/** A list of names and values that keeps its elements. */
function makeFacts(more) {
  const element = make("dl", { class: `facts ${more || ""}`.trim() });
  const kept = new Map();
  return {
    element,
    update(pairs) {
      const names = pairs.map(([name]) => name).join("\n");
      if (element.dataset.names !== names) {
        element.dataset.names = names;
        element.replaceChildren();
        kept.clear();
        for (const [name] of pairs) {
          const value = make("dd", { "data-fact": name });
          kept.set(name, value);
          element.append(make("div", {}, make("dt", {}, name), value));
        }
      }
      for (const [name, value] of pairs) setText(kept.get(name), String(value));
    },
  };
}
