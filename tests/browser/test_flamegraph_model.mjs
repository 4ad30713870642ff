// The flame graph's arithmetic, without a browser: output/flamegraph_model.js.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const source = readFileSync(new URL("../../output/flamegraph_model.js", import.meta.url), "utf8");
const names = [
  ...["createModel", "search", "describe", "nameOf", "colourOf", "fitLabel", "formatCount"],
  ...["formatDuration", "formatBytes"],
];
const lib = new Function(source + "\nreturn {" + names.join(",") + "};")();

// all 100 > app 100 > (f 60 > (g 40 > f 10, merged 5), h 30 > g 30), self of app: 10
function example() {
  return lib.createModel({
    unit: "samples",
    strings: ["", "all", "app", "f", "g", "h", "/src/a.c", "/bin/app"],
    // name, file, module, colour class
    entries: [1, 0, 0, 80, 2, 0, 0, 80, 3, 6, 7, 5, 4, 6, 7, 16, 5, 0, 7, 32],
    // pop, entry, samples, line or merged frames
    cells: [
      [0, 0, 100, 0],
      [0, 1, 100, 0],
      [0, 2, 60, 12],
      [0, 3, 40, 0],
      [0, 2, 10, 13],
      [2, -1, 5, 3],
      [2, 4, 30, 0],
      [0, 3, 30, 20],
    ].flat(),
  });
}

test("cells get their place from the order they are written in", () => {
  const model = example();
  assert.equal(model.total, 100);
  assert.equal(model.maxDepth, 4);
  assert.deepEqual([...model.parent], [-1, 0, 1, 2, 3, 2, 1, 6]);
  assert.deepEqual([...model.depth], [0, 1, 2, 3, 4, 3, 2, 3]);
  assert.deepEqual([...model.start], [0, 0, 0, 0, 0, 40, 60, 60]);
  assert.deepEqual([...model.last], [8, 8, 6, 5, 5, 6, 8, 8]);
  assert.deepEqual([...model.self], [0, 10, 15, 30, 10, 5, 0, 30]);
});

test("a search counts nested matches once and says what merged frames hide", () => {
  const model = example();
  const f = lib.search(model, "^f$", false);
  assert.deepEqual([...f.hits], [0, 0, 1, 0, 1, 0, 0, 0]);
  assert.equal(f.samples, 60);
  assert.equal(f.hidden, 0); // the merged cell lies inside the match
  const g = lib.search(model, "g", false);
  assert.equal(g.samples, 70);
  assert.equal(g.cells, 2);
  assert.equal(g.hidden, 5);
  assert.equal(lib.search(model, ".", false).samples, 100);
  assert.equal(lib.search(model, "all", false).samples, 0);
  assert.equal(lib.search(model, "APP", false).samples, 100);
  assert.equal(lib.search(model, "APP", true).samples, 0);
  assert.throws(() => lib.search(model, "(", false), SyntaxError);
});

test("a description has samples, share, self, place and kind", () => {
  const model = example();
  assert.deepEqual(lib.describe(model, 2), [
    "f",
    "60 samples (60.00 %), self 15 (15.00 %)",
    "/src/a.c:12",
    "/bin/app \u00b7 user code",
  ]);
  assert.deepEqual(lib.describe(model, 3), [
    "g",
    "40 samples (40.00 %), self 30 (30.00 %)",
    "/src/a.c",
    "/bin/app \u00b7 inlined",
  ]);
  assert.deepEqual(lib.describe(model, 6), ["h", "30 samples (30.00 %)", "/bin/app \u00b7 kernel"]);
  assert.equal(lib.describe(model, 7)[1], "30 samples (30.00 %), all self");
  assert.deepEqual(lib.describe(model, 5), [
    "(merged)",
    "5 samples (5.00 %)",
    "3 frames too narrow to show",
  ]);
});

test("colours are family and shade", () => {
  const model = example();
  assert.deepEqual([0, 2, 3, 5, 6].map((cell) => lib.colourOf(model, cell)), [
    "p0",
    "u5",
    "i0",
    "m0",
    "k0",
  ]);
});

test("labels are cut to columns, with an ellipsis", () => {
  assert.equal(lib.fitLabel("memcpy", 6), "memcpy");
  assert.equal(lib.fitLabel("memcpy", 5), "memc\u2026");
  assert.equal(lib.fitLabel("memcpy", 1), "\u2026");
  assert.equal(lib.fitLabel("memcpy", 0), "");
  assert.equal(lib.fitLabel("", 3), "");
  assert.equal(lib.fitLabel("\u51fd\u6570", 4), "\u51fd\u6570");
  assert.equal(lib.fitLabel("\u51fd\u6570", 3), "\u51fd\u2026");
});

test("counts have separators", () => {
  assert.deepEqual([0, 999, 1000, 1234567].map(lib.formatCount), ["0", "999", "1,000", "1,234,567"]);
});

test("bytes are shown in units of 1024", () => {
  const cases = [
    [0, "0 B"],
    [1023, "1023 B"],
    [1024, "1.0 KiB"],
    [1048524, "1023.9 KiB"],
    [1048525, "1.0 MiB"],
    [6606028, "6.3 MiB"],
    [2 ** 40, "1.0 TiB"],
  ];
  for (const [bytes, text] of cases) {
    assert.equal(lib.formatBytes(bytes), text);
  }
});

test("nanoseconds are shown as durations, also at the limits of each unit", () => {
  const cases = [
    [0, "0 ns"],
    [999, "999 ns"],
    [1000, "1 us"],
    [1234567, "1.23 ms"],
    [999499999, "999 ms"],
    [999500000, "1.0 s"],
    [12345678901, "12.3 s"],
    [59950000000, "1 m 00 s"],
    [3599400000000, "59 m 59 s"],
    [3600000000000, "1 h 00 m"],
    [9296000000000, "2 h 34 m"],
  ];
  for (const [ns, text] of cases) {
    assert.equal(lib.formatDuration(ns), text);
  }
  const model = example();
  model.data.unit = "nanoseconds";
  assert.equal(lib.describe(model, 3)[1], "40 ns (40.00 %), self 30 ns (30.00 %)");
  model.data.unit = "bytes";
  assert.equal(lib.describe(model, 3)[1], "40 B (40.00 %), self 30 B (30.00 %)");
  model.data.unit = "samples";
  assert.equal(lib.describe(model, 3)[1], "40 samples (40.00 %), self 30 (30.00 %)");
});
