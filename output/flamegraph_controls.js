// What the reader does: mouse, keys, the search box, and the state kept in the page's address.

const XHTML_NS = "http://www.w3.org/1999/xhtml";
const HINT =
  "Click a frame to zoom \u00b7 / or Ctrl-F searches \u00b7 Esc resets \u00b7 I flips the graph";

function htmlElement(name, attributes, parent) {
  const element = document.createElementNS(XHTML_NS, name);
  for (const key of Object.keys(attributes)) {
    element.setAttribute(key, attributes[key]);
  }
  parent.appendChild(element);
  return element;
}

function createTools(svg) {
  const place = svgElement("foreignObject", { y: 8, height: 32 }, svg.getElementById("header"));
  const bar = htmlElement("div", { class: "tools" }, place);
  const reset = htmlElement("button", { type: "button", id: "reset", hidden: "" }, bar);
  reset.textContent = "Reset zoom";
  const input = htmlElement(
    "input",
    {
      type: "search",
      id: "search",
      placeholder: "Search (regular expression)",
      "aria-label": "Search frames by regular expression",
      autocomplete: "off",
      spellcheck: "false",
    },
    bar,
  );
  const sensitive = htmlElement(
    "button",
    {
      type: "button",
      id: "case",
      "aria-pressed": "false",
      "aria-label": "Match case",
      title: "Match case",
    },
    bar,
  );
  sensitive.textContent = "Aa";
  return { place, reset, input, sensitive, matched: svg.getElementById("matched") };
}

function createPage(svg, model) {
  const view = createView(svg, model);
  return {
    view,
    model,
    tools: createTools(svg),
    tip: createTip(view),
    status: svg.getElementById("status"),
    title: svg.getElementById("title"),
    subtitle: svg.getElementById("subtitle"),
    restoring: false, // the state comes from the address: do not write it back
  };
}

function showStatus(page, cell) {
  const text = cell < 0 ? HINT : describe(page.model, cell).join(" \u00b7 ");
  fitText(page.status, text, page.view.width - 2 * page.view.geometry.margin);
}

function fitText(element, text, width) {
  element.textContent = text;
  const full = element.getComputedTextLength();
  if (full > width) {
    const columns = Math.floor((Array.from(text).length * width) / full) - 1;
    element.textContent = fitLabel(text, Math.max(1, columns));
  }
}

function refresh(page) {
  const { view, tools } = page;
  layOut(view);
  const toolsWidth = Math.min(460, Math.max(240, view.width * 0.45));
  tools.place.setAttribute("x", view.width - toolsWidth - view.geometry.margin);
  tools.place.setAttribute("width", toolsWidth);
  const room = view.width - toolsWidth - 3 * view.geometry.margin;
  fitText(page.title, view.model.data.title, room);
  fitText(page.subtitle, view.model.data.subtitle, room);
  tools.matched.setAttribute("x", view.width - view.geometry.margin);
  tools.reset.toggleAttribute("hidden", view.zoomed === 0);
  hideTip(page.tip);
}

// ---- state in the address

function writeState(page, push) {
  if (page.restoring) {
    return;
  }
  const { view, tools } = page;
  const state = new URLSearchParams();
  if (view.zoomed) {
    state.set("zoom", view.zoomed);
  }
  if (tools.input.value) {
    state.set("search", tools.input.value);
    if (isCaseSensitive(page)) {
      state.set("case", "1");
    }
  }
  if (view.icicle !== view.model.data.icicle) {
    state.set("flip", "1");
  }
  const hash = "#" + state;
  if (hash === (location.hash || "#")) {
    return;
  }
  try {
    history[push ? "pushState" : "replaceState"](null, "", hash);
  } catch (error) {
    // A sandboxed or data: document has no history of its own; the graph works without.
  }
}

function readState(page) {
  const state = new URLSearchParams(location.hash.slice(1));
  const zoom = Number(state.get("zoom"));
  const { view, tools } = page;
  page.restoring = true;
  view.zoomed = Number.isInteger(zoom) && zoom > 0 && zoom < view.model.count ? zoom : 0;
  view.icicle = view.model.data.icicle !== (state.get("flip") === "1");
  tools.input.value = state.get("search") || "";
  tools.sensitive.setAttribute("aria-pressed", String(state.get("case") === "1"));
  runSearch(page);
  refresh(page);
  page.restoring = false;
}

// ---- zoom

function zoomTo(page, cell) {
  const { view, model } = page;
  if (isMerged(model, cell)) {
    cell = model.parent[cell];
  }
  view.zoomed = cell;
  refresh(page);
  reveal(view, cell);
  placeBars(view);
  writeState(page, true);
}

function flip(page) {
  page.view.icicle = !page.view.icicle;
  refresh(page);
  showRoot(page.view);
  writeState(page, false);
}

// A graph taller than the window starts at its root.
function showRoot(view) {
  window.scrollTo(0, view.icicle ? 0 : view.height);
  placeBars(view);
}

// ---- search

function isCaseSensitive(page) {
  return page.tools.sensitive.getAttribute("aria-pressed") === "true";
}

function runSearch(page) {
  const { view, model, tools } = page;
  const pattern = tools.input.value;
  let found = null;
  let wrong = false;
  if (pattern) {
    try {
      found = search(model, pattern, isCaseSensitive(page));
    } catch (error) {
      wrong = true;
    }
  }
  tools.input.classList.toggle("wrong", wrong);
  tools.input.setAttribute("aria-invalid", String(wrong));
  view.hits = found ? found.hits : null;
  if (wrong) {
    tools.matched.textContent = "not a regular expression";
  } else if (!found) {
    tools.matched.textContent = "";
  } else {
    let text = "Matched: " + formatShare(found.samples, model.total);
    if (found.hidden) {
      text += " (merged frames may hold up to " + formatShare(found.hidden, model.total) + " more)";
    }
    tools.matched.textContent = text;
  }
}

function searchAgain(page) {
  runSearch(page);
  recolour(page.view);
  writeState(page, false);
}

function openSearch(page) {
  page.tools.input.focus({ preventScroll: true });
  page.tools.input.select();
}

function clearSearch(page) {
  page.tools.input.value = "";
  searchAgain(page);
}

// ---- keyboard

function moveCursor(page, cell) {
  page.view.cursor = cell;
  recolour(page.view);
  reveal(page.view, cell);
  placeBars(page.view);
  showStatus(page, cell);
}

// The nearest cell in sight on the same level, to the left (-1) or right (1).
function neighbour(view, cell, direction) {
  const level = view.shown.filter((other) => view.model.depth[other] === view.model.depth[cell]);
  const next = level[level.indexOf(cell) + direction];
  return next === undefined ? cell : next;
}

function onArrow(page, key) {
  const { view, model } = page;
  if (!view.shown.includes(view.cursor)) {
    moveCursor(page, view.zoomed);
    return;
  }
  const outward = view.icicle ? "ArrowUp" : "ArrowDown";
  if (key === "ArrowLeft" || key === "ArrowRight") {
    moveCursor(page, neighbour(view, view.cursor, key === "ArrowLeft" ? -1 : 1));
  } else if (key === outward) {
    moveCursor(page, Math.max(0, model.parent[view.cursor]));
  } else {
    const children = view.shown.filter((cell) => model.parent[cell] === view.cursor);
    const widest = children.reduce(
      (best, cell) => (model.samples[cell] > model.samples[best] ? cell : best),
      children[0],
    );
    if (widest !== undefined) {
      moveCursor(page, widest);
    }
  }
}

function onKey(page, event) {
  const { view, tools } = page;
  const typing = event.target === tools.input;
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "f") {
    openSearch(page);
  } else if (event.ctrlKey || event.metaKey || event.altKey) {
    return;
  } else if (event.key === "Escape") {
    onEscape(page, typing);
  } else if (typing) {
    return;
  } else if (event.key === "/") {
    openSearch(page);
  } else if (event.key === "i" || event.key === "I") {
    flip(page);
  } else if (event.key.startsWith("Arrow") && document.activeElement === view.group) {
    onArrow(page, event.key);
  } else if (event.key === "Enter" && document.activeElement === view.group && view.cursor >= 0) {
    zoomTo(page, view.cursor);
  } else {
    return;
  }
  event.preventDefault();
}

function onEscape(page, typing) {
  hideTip(page.tip);
  if (typing) {
    clearSearch(page);
    page.tools.input.blur();
  } else if (page.view.zoomed) {
    zoomTo(page, 0);
  } else {
    clearSearch(page);
  }
}

// ---- mouse

function cellUnder(event) {
  const group = event.target.closest ? event.target.closest("#cells > g") : null;
  return group ? group.cprofCell : -1;
}

function onMove(page, event) {
  const cell = cellUnder(event);
  if (cell < 0) {
    hideTip(page.tip);
    return;
  }
  if (page.tip.cell !== cell) {
    showStatus(page, cell);
  }
  showTip(page.view, page.tip, cell, event.clientX, event.clientY);
}

function listen(page) {
  const { view, tools } = page;
  view.group.addEventListener("mousemove", (event) => onMove(page, event));
  view.group.addEventListener("mouseleave", () => {
    hideTip(page.tip);
    showStatus(page, -1);
  });
  view.group.addEventListener("click", (event) => {
    const cell = cellUnder(event);
    if (cell >= 0) {
      view.cursor = -1;
      view.group.focus({ preventScroll: true });
      zoomTo(page, cell);
      view.cursor = view.zoomed;
    }
  });
  tools.reset.addEventListener("click", () => zoomTo(page, 0));
  tools.input.addEventListener("input", () => searchAgain(page));
  tools.sensitive.addEventListener("click", () => {
    tools.sensitive.setAttribute("aria-pressed", String(!isCaseSensitive(page)));
    searchAgain(page);
  });
  window.addEventListener("keydown", (event) => onKey(page, event));
  window.addEventListener("resize", () => refresh(page));
  window.addEventListener("scroll", () => {
    hideTip(page.tip);
    placeBars(view);
  });
  window.addEventListener("popstate", () => readState(page));
  window.addEventListener("hashchange", () => readState(page));
}

function start() {
  const svg = document.currentScript ? document.currentScript.closest("svg") : null;
  const root = svg || document.documentElement;
  const model = createModel(JSON.parse(root.getElementById("data").textContent));
  const page = createPage(root, model);
  page.status.setAttribute("aria-live", "polite");
  listen(page);
  readState(page);
  showStatus(page, -1);
  showRoot(page.view);
  if (page.view.zoomed) {
    reveal(page.view, page.view.zoomed);
    placeBars(page.view);
  }
  root.setAttribute("data-ready", "true");
}

start();
