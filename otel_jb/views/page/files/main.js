// SPDX-License-Identifier: Apache-2.0
// The page: takes events, shows the view that the address names, and obeys keys.

const page = { update: null, frozen: false, waiting: [], source: null, lastAt: 0, retry: null };
const THEMES = ["system", "light", "dark"];

function start() {
  const nav = document.getElementById("nav");
  nav.append(...VIEWS.map(([path, title]) => make("li", {}, make("a", { href: `#/${path}`, "data-view": path }, title))));
  document.getElementById("filter").addEventListener("input", show);
  document.getElementById("freeze").addEventListener("click", () => freeze(!page.frozen));
  document.getElementById("theme").addEventListener("click", nextTheme);
  document.getElementById("keys").addEventListener("click", () => document.getElementById("help").showModal());
  document.addEventListener("keydown", onKey);
  document.addEventListener("visibilitychange", () => (document.hidden ? disconnect() : connect()));
  window.addEventListener("hashchange", open);
  window.addEventListener("resize", show);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    colours.clear();
    show();
  });
  useTheme(remembered());
  open();
  connect();
  setInterval(sayStatus, 1000);
}

/** A hidden page takes no events: it would use up one of the browser's six connections, and one of the agent's. */
function connect() {
  if (page.source || document.hidden) return;
  clearTimeout(page.retry);
  const source = (page.source = new EventSource("events"));
  source.addEventListener("whole", (event) => take("whole", event.data));
  source.addEventListener("change", (event) => take("change", event.data));
  source.addEventListener("error", () => {
    page.lastAt = 0;
    sayStatus();
    if (source.readyState !== EventSource.CLOSED) return; // it tries again by itself
    disconnect();
    page.retry = setTimeout(connect, 5000);
  });
}

function disconnect() {
  if (page.source) page.source.close();
  page.source = null;
}

function take(kind, text) {
  const begin = performance.now();
  const message = JSON.parse(text);
  page.lastAt = Date.now();
  if (page.frozen) {
    if (kind === "whole") page.waiting.length = 0;
    page.waiting.push([kind, message]);
    if (page.waiting.length > KEPT) {
      // Too far behind to catch up: take everything anew when it goes on.
      page.waiting.length = 0;
      disconnect();
    }
    return;
  }
  apply(kind, message);
  show();
  sayStatus();
  performance.clearMeasures();
  performance.measure(kind, { start: begin, end: performance.now() });
}

function apply(kind, message) {
  if (kind === "whole") takeWhole(message);
  else takeChange(message);
}

function show() {
  if (page.update && store.head.version) {
    page.update();
    document.getElementById("main").dataset.shown = location.hash; // for those who wait for it: tests, pictures
  }
  setText(document.getElementById("host"), store.head.host || "");
  setText(document.getElementById("version"), store.head.version ? `otel_jb ${store.head.version}` : "");
}

/** Show what the address names. */
function open() {
  const [, view, key] = location.hash.split("/");
  const main = document.getElementById("main");
  const opened = OPENED[view];
  const found = VIEWS.find(([path]) => path === (view || "")) || VIEWS[0];
  const parent = { function: "functions", stream: "streams", "slow-call": "slow" }[view];
  for (const link of document.querySelectorAll("#nav a")) {
    if (link.dataset.view === (opened ? parent : found[0])) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  main.replaceChildren();
  page.update = opened && key ? opened(main, decodeURIComponent(key)) : found[2](main);
  show();
  window.scrollTo(0, 0);
}

function sayStatus() {
  const status = document.getElementById("status");
  const age = page.lastAt ? (Date.now() - page.lastAt) / 1000 : Infinity;
  const bad = !page.frozen && age > 25;
  let text = `As of ${clock(store.head.read_ms)}`;
  if (page.frozen) text = `Frozen at ${clock(store.head.read_ms)}; space goes on`;
  else if (bad) text = store.head.version ? `No answer from the agent; last seen at ${clock(store.head.read_ms)}. Trying again …` : "Connecting … (the agent is not there, too many pages are open, or it asks for a password)";
  status.classList.toggle("bad", bad && Boolean(store.head.version));
  setText(status, text);
}

function freeze(frozen) {
  page.frozen = frozen;
  document.getElementById("freeze").setAttribute("aria-pressed", String(frozen));
  if (!frozen) {
    for (const [kind, message] of page.waiting) apply(kind, message);
    page.waiting.length = 0;
    connect();
    show();
  }
  sayStatus();
}

function remembered() {
  try {
    return localStorage.getItem("theme") || "system";
  } catch {
    return "system"; // the browser keeps nothing for this page
  }
}

function nextTheme() {
  const theme = THEMES[(THEMES.indexOf(remembered()) + 1) % THEMES.length];
  try {
    localStorage.setItem("theme", theme);
  } catch {
    // it is not remembered
  }
  useTheme(theme);
}

function useTheme(theme) {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  colours.clear();
  setText(document.getElementById("theme"), { system: "Auto", light: "Light", dark: "Dark" }[theme]);
  show();
}

function onKey(event) {
  const help = document.getElementById("help");
  const filter = document.getElementById("filter");
  if (event.ctrlKey || event.metaKey || event.altKey || help.open) return;
  if (event.target === filter) {
    if (event.key === "Escape") {
      filter.value = "";
      filter.blur();
      show();
    }
    return;
  }
  const onControl = event.target.closest("button, a, canvas, summary");
  if (event.key === "/") filter.focus();
  else if (event.key === "?") help.showModal();
  else if (event.key === "t") nextTheme();
  else if (event.key === " " && !onControl) freeze(!page.frozen);
  else if (event.key >= "1" && event.key <= String(VIEWS.length)) location.hash = `#/${VIEWS[Number(event.key) - 1][0]}`;
  else if (event.key === "Escape") history.back();
  else if (["j", "ArrowDown"].includes(event.key) && !event.target.closest("tbody, canvas")) {
    const first = document.querySelector("#main tbody a");
    if (!first) return;
    first.focus();
  } else return;
  event.preventDefault();
}

start();
