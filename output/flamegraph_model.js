// What a flame graph file holds, as arrays, and what can be computed from it without a document.
//
// data.cells is four numbers per cell, depth first, left to right:
//   pop    levels up from the previous cell to this one's parent (0: the previous cell is it)
//   entry  index into data.entries, -1 for a "(merged)" cell
//   total  samples
//   extra  line of the frame (0: unknown), or the number of frames merged
// data.entries is four numbers per function: name, file and module in data.strings, colour class.

function createModel(data) {
  const count = data.cells.length / 4;
  const model = {
    data,
    count,
    total: data.cells[2],
    maxDepth: 0,
    parent: new Int32Array(count),
    depth: new Int32Array(count),
    last: new Int32Array(count), // the cell after the whole subtree
    start: new Float64Array(count), // samples to the left of it
    samples: new Float64Array(count),
    self: new Float64Array(count), // samples in none of its children
  };
  const path = []; // cells from the root to the current one
  const filled = new Float64Array(count); // samples of the children seen so far
  for (let i = 0; i < count; i++) {
    const pop = data.cells[4 * i];
    for (let k = 0; k < pop; k++) {
      model.last[path.pop()] = i;
    }
    const parent = path.length ? path[path.length - 1] : -1;
    const samples = data.cells[4 * i + 2];
    model.parent[i] = parent;
    model.depth[i] = path.length;
    model.maxDepth = Math.max(model.maxDepth, path.length);
    model.samples[i] = samples;
    model.self[i] = samples;
    if (parent >= 0) {
      model.start[i] = model.start[parent] + filled[parent];
      filled[parent] += samples;
      model.self[parent] -= samples;
    }
    path.push(i);
  }
  for (const i of path) {
    model.last[i] = count;
  }
  return model;
}

function entryOf(model, cell) {
  return model.data.cells[4 * cell + 1];
}

function isMerged(model, cell) {
  return entryOf(model, cell) < 0;
}

function entryString(model, entry, field) {
  return model.data.strings[model.data.entries[4 * entry + field]];
}

function nameOf(model, cell) {
  return isMerged(model, cell) ? "(merged)" : entryString(model, entryOf(model, cell), 0);
}

function moduleOf(model, cell) {
  return isMerged(model, cell) ? "" : entryString(model, entryOf(model, cell), 2);
}

// "file:line", "file" or "".
function placeOf(model, cell) {
  if (isMerged(model, cell)) {
    return "";
  }
  const file = entryString(model, entryOf(model, cell), 1);
  const line = model.data.cells[4 * cell + 3];
  return file && line ? file + ":" + line : file;
}

// CSS class of a cell's colour: a letter for the family and a hexadecimal digit for the shade.
function colourOf(model, cell) {
  if (isMerged(model, cell)) {
    return "m0";
  }
  const number = model.data.entries[4 * entryOf(model, cell) + 3];
  return "uikjnpm"[number >> 4] + (number & 15).toString(16);
}

function familyOf(model, cell) {
  return {
    u: "user code",
    i: "inlined",
    k: "kernel",
    j: "JIT code",
    n: "no symbol",
    p: "",
    m: "",
  }[colourOf(model, cell)[0]];
}

function formatCount(value) {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ",");
}

// Nanoseconds, as cp_format_duration() in base/text.c writes them.
function formatDuration(ns) {
  const digits = (value) => String(Number(value.toPrecision(3)));
  if (ns < 1e3) {
    return ns + " ns";
  }
  if (ns < 999500) {
    return digits(ns / 1e3) + " us";
  }
  if (ns < 999500e3) {
    return digits(ns / 1e6) + " ms";
  }
  if (ns < 59950e6) {
    return (ns / 1e9).toFixed(1) + " s";
  }
  const seconds = Math.round(ns / 1e9);
  const minutes = Math.floor(seconds / 60);
  const two = (number) => String(number).padStart(2, "0");
  return seconds < 3600
    ? minutes + " m " + two(seconds % 60) + " s"
    : Math.floor(minutes / 60) + " h " + two(minutes % 60) + " m";
}

// As cp_format_bytes() writes them.
function formatBytes(bytes) {
  const units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
  if (bytes < 1024) {
    return bytes + " B";
  }
  let value = bytes / 1024;
  let unit = 0;
  for (; value >= 1023.95 && unit + 1 < units.length; unit++) {
    value /= 1024;
  }
  return value.toFixed(1) + " " + units[unit];
}

function countsTime(model) {
  return model.data.unit === "nanoseconds";
}

function countsBytes(model) {
  return model.data.unit === "bytes";
}

// A number of what is counted, without the unit where that is not part of the number.
function formatValue(model, value) {
  if (countsBytes(model)) {
    return formatBytes(value);
  }
  return countsTime(model) ? formatDuration(value) : formatCount(value);
}

function formatShare(part, whole) {
  return ((100 * part) / whole).toFixed(2) + " %";
}

// The lines of a tooltip: name first.
function describe(model, cell) {
  const samples = model.samples[cell];
  const self = model.self[cell];
  const lines = [nameOf(model, cell)];
  const unit = countsTime(model) || countsBytes(model) ? "" : " " + model.data.unit;
  const amount = formatValue(model, samples) + unit + " (" + formatShare(samples, model.total) + ")";
  if (isMerged(model, cell)) {
    const frames = model.data.cells[4 * cell + 3];
    lines.push(amount);
    lines.push(formatCount(frames) + (frames === 1 ? " frame" : " frames") + " too narrow to show");
    return lines;
  }
  lines.push(
    self > 0 && self < samples
      ? amount + ", self " + formatValue(model, self) + " (" + formatShare(self, model.total) + ")"
      : amount + (self > 0 ? ", all self" : ""),
  );
  const place = placeOf(model, cell);
  if (place) {
    lines.push(place);
  }
  const about = [moduleOf(model, cell), familyOf(model, cell)].filter((text) => text);
  if (about.length) {
    lines.push(about.join(" \u00b7 "));
  }
  return lines;
}

// Which cells a regular expression finds, by name; the root is none that can be found.
// `samples` counts every sample once, also where matches nest. `hidden` are the samples outside of
// all matches whose innermost frames are merged: some of those might have matched.
function search(model, pattern, caseSensitive) {
  const re = new RegExp(pattern, caseSensitive ? "" : "i");
  const byEntry = new Int8Array(model.data.entries.length / 4).fill(-1);
  const hits = new Uint8Array(model.count);
  const result = { hits, cells: 0, samples: 0, hidden: 0 };
  let covered = 1; // cells below this one lie inside a match
  for (let i = 1; i < model.count; i++) {
    const entry = entryOf(model, i);
    if (entry < 0) {
      if (i >= covered) {
        result.hidden += model.samples[i];
      }
      continue;
    }
    if (byEntry[entry] < 0) {
      byEntry[entry] = re.test(entryString(model, entry, 0)) ? 1 : 0;
    }
    if (!byEntry[entry]) {
      continue;
    }
    hits[i] = 1;
    result.cells++;
    if (i >= covered) {
      result.samples += model.samples[i];
      covered = model.last[i];
    }
  }
  return result;
}

// Columns of a monospace font; beyond U+10FF two, as in output/safe_text.c.
function columnsOf(character) {
  const point = character.codePointAt(0);
  return point < 0x1100 || point === 0xfffd || point === 0x2026 ? 1 : 2;
}

// A name cut to some columns; a cut one ends in an ellipsis.
function fitLabel(name, columns) {
  let used = 0;
  let cut = ""; // what leaves room for the ellipsis
  let all = "";
  for (const character of name) {
    const width = columnsOf(character);
    if (used + width > columns) {
      return columns > 0 ? cut + "\u2026" : "";
    }
    used += width;
    all += character;
    if (used < columns) {
      cut = all;
    }
  }
  return all;
}
