// Lays the cells out for the window's width and the zoomed cell, and draws those that can be seen.

const SVG_NS = "http://www.w3.org/2000/svg";
const MIN_SEEN_PX = 0.2; // narrower cells are left out of the drawing, with all above them
const LABEL_MARGIN_PX = 3;

function svgElement(name, attributes, parent) {
  const element = document.createElementNS(SVG_NS, name);
  for (const key of Object.keys(attributes)) {
    element.setAttribute(key, attributes[key]);
  }
  if (parent) {
    parent.appendChild(element);
  }
  return element;
}

function createView(svg, model) {
  const view = {
    svg,
    model,
    geometry: model.data.geometry,
    group: svg.getElementById("cells"),
    header: svg.getElementById("header"),
    footer: svg.getElementById("footer"),
    zoomed: 0,
    cursor: -1,
    icicle: model.data.icicle,
    hits: null, // of search(), or null
    width: 0,
    elements: new Array(model.count), // {group, rect, text}, made when first seen
    shown: [], // cells in the document
  };
  // The picture without script goes; titles would show a second tooltip.
  view.group.replaceChildren();
  view.group.setAttribute("tabindex", "0");
  view.group.setAttribute("role", "application");
  view.group.setAttribute("aria-label", "Flame graph: arrow keys move, Enter zooms");
  svg.removeAttribute("viewBox");
  view.columnPx = measureColumn(view);
  return view;
}

function measureColumn(view) {
  const probe = svgElement("text", { class: "label", visibility: "hidden" }, view.group);
  probe.textContent = "0".repeat(100);
  const width = probe.getComputedTextLength() / 100;
  probe.remove();
  return width > 0 ? width : view.geometry.column;
}

function isAncestor(model, outer, inner) {
  return outer < inner && inner < model.last[outer];
}

// Where a cell is in the current layout: {x, y, width}, in px of the document.
function boxOf(view, cell) {
  const { model, geometry, zoomed } = view;
  const inner = view.width - 2 * geometry.margin;
  const levels = view.icicle ? model.depth[cell] : model.maxDepth - model.depth[cell];
  const y = geometry.header + levels * geometry.level;
  if (cell === zoomed || isAncestor(model, cell, zoomed)) {
    return { x: geometry.margin, y, width: inner };
  }
  const scale = inner / model.samples[zoomed];
  return {
    x: geometry.margin + (model.start[cell] - model.start[zoomed]) * scale,
    y,
    width: model.samples[cell] * scale,
  };
}

// Calls visit(cell, box) for every cell that can be seen.
function eachSeen(view, visit) {
  const { model, zoomed } = view;
  let i = 0;
  while (i < model.count) {
    if (i > zoomed && i >= model.last[zoomed]) {
      return;
    }
    if (i < zoomed && !isAncestor(model, i, zoomed)) {
      i = model.last[i];
      continue;
    }
    const box = boxOf(view, i);
    if (box.width < MIN_SEEN_PX) {
      i = model.last[i];
      continue;
    }
    visit(i, box);
    i++;
  }
}

function elementsOf(view, cell) {
  let made = view.elements[cell];
  if (!made) {
    const group = svgElement("g", {});
    const rect = svgElement("rect", { height: view.geometry.cell }, group);
    made = { group, rect, text: null };
    group.cprofCell = cell;
    view.elements[cell] = made;
  }
  return made;
}

function drawLabel(view, cell, made, box) {
  const columns = Math.floor((box.width - 2 * LABEL_MARGIN_PX) / view.columnPx);
  if (columns < 3) {
    if (made.text) {
      made.text.remove();
      made.text = null;
    }
    return;
  }
  if (!made.text) {
    made.text = svgElement("text", { class: "label" }, made.group);
  }
  made.text.textContent = fitLabel(nameOf(view.model, cell), columns);
  made.text.setAttribute("x", (box.x + LABEL_MARGIN_PX).toFixed(2));
  made.text.setAttribute("y", box.y + view.geometry.baseline);
}

function classesOf(view, cell) {
  let classes = colourOf(view.model, cell);
  if (isAncestor(view.model, cell, view.zoomed)) {
    classes += " above";
  }
  if (view.hits && view.hits[cell]) {
    classes += " hit";
  }
  if (cell === view.cursor) {
    classes += " cursor";
  }
  return classes;
}

function drawCell(view, cell, box) {
  const made = elementsOf(view, cell);
  const gap = Math.min(0.6, box.width / 5); // between neighbours
  made.rect.setAttribute("x", box.x.toFixed(2));
  made.rect.setAttribute("y", box.y);
  made.rect.setAttribute("width", (box.width - gap).toFixed(2));
  made.rect.setAttribute("class", classesOf(view, cell));
  drawLabel(view, cell, made, box);
  return made.group;
}

function layOut(view) {
  const { model, geometry } = view;
  const content = geometry.header + (model.maxDepth + 1) * geometry.level + geometry.footer;
  view.height = Math.max(content, window.innerHeight);
  view.contentHeight = content;
  view.svg.setAttribute("height", content > window.innerHeight ? content : "100%");
  view.svg.setAttribute("width", "100%");
  // Only now is it known whether a scroll bar takes its part.
  view.width = Math.max(320, view.svg.getBoundingClientRect().width || window.innerWidth);
  const drawn = document.createDocumentFragment();
  view.shown = [];
  eachSeen(view, (cell, box) => {
    drawn.appendChild(drawCell(view, cell, box));
    view.shown.push(cell);
  });
  view.group.replaceChildren(drawn);
  view.svg.classList.toggle("searching", view.hits !== null);
  placeBars(view);
}

// Only what a change of the search or of the cursor touches.
function recolour(view) {
  for (const cell of view.shown) {
    view.elements[cell].rect.setAttribute("class", classesOf(view, cell));
  }
  view.svg.classList.toggle("searching", view.hits !== null);
}

// Header and footer stay in sight however tall the graph is.
function placeBars(view) {
  const { geometry } = view;
  const top = window.scrollY;
  const bottom = Math.min(view.contentHeight, top + window.innerHeight) - geometry.footer;
  view.header.setAttribute("transform", "translate(0 " + top + ")");
  view.footer.setAttribute("transform", "translate(0 " + Math.max(bottom, top) + ")");
  for (const paper of view.svg.querySelectorAll(".paper, .rule")) {
    paper.setAttribute(paper.localName === "rect" ? "width" : "x2", view.width);
  }
}

// Scroll so that a cell is between the bars.
function reveal(view, cell) {
  const { geometry } = view;
  const y = boxOf(view, cell).y;
  const top = window.scrollY + geometry.header;
  const bottom = window.scrollY + window.innerHeight - geometry.footer - geometry.level;
  if (y < top) {
    window.scrollTo(0, y - geometry.header);
  } else if (y > bottom) {
    window.scrollTo(0, y - window.innerHeight + geometry.footer + geometry.level);
  }
}

// Words of at most `columns`, so that a long name can be read in a tooltip.
function wrap(text, columns, maxLines) {
  const lines = [];
  let rest = Array.from(text);
  while (rest.length > columns && lines.length + 1 < maxLines) {
    let at = columns;
    for (let i = columns; i > columns / 2; i--) {
      if (" ,:/<(".includes(rest[i - 1])) {
        at = i;
        break;
      }
    }
    lines.push(rest.slice(0, at).join(""));
    rest = rest.slice(at);
  }
  lines.push(fitLabel(rest.join(""), columns));
  return lines;
}

function createTip(view) {
  const group = svgElement("g", { class: "tip", visibility: "hidden" }, view.svg);
  return { group, rect: svgElement("rect", { rx: 4 }, group), cell: -1 };
}

function hideTip(tip) {
  tip.group.setAttribute("visibility", "hidden");
  tip.cell = -1;
}

function fillTip(view, tip, cell) {
  const columns = Math.max(30, Math.min(100, Math.floor(view.width / view.columnPx) - 12));
  const [name, ...rest] = describe(view.model, cell);
  for (const old of tip.group.querySelectorAll("text")) {
    old.remove();
  }
  let y = 4;
  let width = 0;
  const add = (line, className) => {
    y += 16;
    const text = svgElement("text", { x: 9, y, class: className }, tip.group);
    text.textContent = line;
    width = Math.max(width, text.getComputedTextLength());
  };
  wrap(name, columns, 10).forEach((line) => add(line, "name"));
  rest.forEach((entry) => wrap(entry, columns + 10, 4).forEach((line) => add(line, "")));
  tip.width = width + 18;
  tip.height = y + 9;
  tip.rect.setAttribute("width", tip.width);
  tip.rect.setAttribute("height", tip.height);
  tip.cell = cell;
}

// Beside the mouse, inside the window.
function showTip(view, tip, cell, clientX, clientY) {
  if (tip.cell !== cell) {
    fillTip(view, tip, cell);
  }
  let x = clientX + 14;
  if (x + tip.width > view.width - 4) {
    x = Math.max(4, Math.min(clientX - tip.width - 10, view.width - tip.width - 4));
  }
  let y = clientY + 18;
  if (y + tip.height > window.innerHeight - 4) {
    y = Math.max(4, clientY - tip.height - 12);
  }
  tip.group.setAttribute("transform", "translate(" + x + " " + (y + window.scrollY) + ")");
  tip.group.setAttribute("visibility", "visible");
}
