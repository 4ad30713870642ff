// The flame graph as its readers use it: in a browser.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync, statSync } from "node:fs";
import { after, before, test } from "node:test";

import {
  boxes,
  centre,
  contrasts,
  makeGraph,
  maker,
  openGraph,
  setUp,
  shot,
  tearDown,
  textOf,
  tipOf,
} from "./flame_page.mjs";

// 1,200 px of window, 10 px of margin on both sides: 1,000 samples have 1,180 px.
const INNER = 1180;
let small;

before(async () => {
  await setUp();
  small = makeGraph("small");
});
after(tearDown);

function near(actual, expected, what) {
  assert.ok(Math.abs(actual - expected) <= 1, `${what}: ${actual}, expected ${expected} +- 1 px`);
}

async function one(page, label) {
  const found = await boxes(page, label);
  assert.equal(found.length, 1, `cells labelled ${label}`);
  return found[0];
}

async function assertBox(page, label, samplesLeft, samples, whole = 1000) {
  const box = await one(page, label);
  near(box.x, 10 + (samplesLeft / whole) * INNER, label + " x");
  near(box.width, (samples / whole) * INNER, label + " width");
  return box;
}

async function click(page, label) {
  await page.mouse.click(...centre(await one(page, label)));
}

// playwright's inputValue() knows no <input> in an XML document
function searched(page) {
  return page.evaluate(() => document.getElementById("search").value);
}

async function close(page) {
  assert.deepEqual(page.problems, []);
  await page.context().close();
}

test("opens without errors and lays cells out by samples", async () => {
  const page = await openGraph(small);
  await shot(page, "light");
  const root = await assertBox(page, "all", 0, 1000);
  const comm = await assertBox(page, "server", 0, 1000);
  await assertBox(page, "__libc_start_main", 50, 600);
  await assertBox(page, "main", 50, 600);
  await assertBox(page, "lookup", 50, 150);
  await assertBox(page, "hash_step", 50, 150);
  await assertBox(page, "memcpy", 200, 50);
  await assertBox(page, "worker_loop", 650, 350);
  await assertBox(page, "ksys_read", 800, 200);
  assert.ok(root.y > comm.y, "the root is at the bottom");
  assert.equal(await page.evaluate(() => document.documentElement.dataset.totalSamples), "1000");
  assert.equal(await textOf(page, "title"), "./server --port 8080 '--name=a & b' (pid 4242)");
  assert.match(await textOf(page, "subtitle"), /^1,000 samples \u00b7 10\.0 s \u00b7 999 Hz/);
  assert.equal(
    await textOf(page, "quality"),
    "95.0 % of stacks complete \u00b7 95.0 % symbolized \u00b7 7 lost",
  );
  await close(page);
});

test("a click zooms, ancestors stay dimmed, and there are three ways back", async () => {
  const page = await openGraph(small);
  assert.equal(await page.locator("#reset").isVisible(), false);
  for (const reset of [
    () => page.locator("#reset").click(),
    () => click(page, "all"),
    () => page.keyboard.press("Escape"),
  ]) {
    await click(page, "main");
    await assertBox(page, "main", 0, 600, 600);
    await assertBox(page, "memcpy", 150, 50, 600);
    for (const ancestor of ["all", "server", "__libc_start_main"]) {
      const box = await assertBox(page, ancestor, 0, 600, 600);
      assert.match(box.class, /\babove\b/);
    }
    assert.deepEqual(await boxes(page, "worker_loop"), []);
    assert.equal(await page.locator("#reset").isVisible(), true);
    await reset();
    await assertBox(page, "main", 50, 600);
    await assertBox(page, "worker_loop", 650, 350);
    assert.equal(await page.locator("#reset").isVisible(), false);
  }
  await click(page, "main");
  await shot(page, "zoomed");
  await click(page, "memcpy");
  await assertBox(page, "memcpy", 0, 50, 50);
  await close(page);
});

test("a search highlights and counts every sample once", async () => {
  const page = await openGraph(small);
  const matched = async (pattern) => {
    await page.locator("#search").fill(pattern);
    return textOf(page, "matched");
  };
  const hits = () => page.locator("#cells rect.hit").count();
  await page.keyboard.press("/");
  await page.keyboard.type("parse_");
  // 400 below main, 120 of them nested three deep, and 50 of the cut stacks
  assert.equal(await textOf(page, "matched"), "Matched: 45.00 %");
  assert.equal(await hits(), 5);
  await shot(page, "searched");
  assert.equal(await matched("parse_header"), "Matched: 17.00 %");
  assert.equal(await hits(), 2);
  assert.equal(await matched("hash_step|memcpy"), "Matched: 20.00 %");
  assert.equal(await matched("^all$"), "Matched: 0.00 %");
  assert.equal(await matched("PARSE_HEADER"), "Matched: 17.00 %");
  await page.locator("#case").click();
  assert.equal(await textOf(page, "matched"), "Matched: 0.00 %");
  await page.locator("#case").click();
  assert.equal(await matched("parse_("), "not a regular expression");
  assert.equal(await hits(), 0);
  assert.equal(await page.locator("#search.wrong").count(), 1);
  await page.locator("#search").press("Escape");
  assert.equal(await searched(page), "");
  assert.equal(await textOf(page, "matched"), "");
  // what matches does not change with the zoom
  await click(page, "main");
  assert.equal(await matched("parse_"), "Matched: 45.00 %");
  await close(page);
});

test("tooltip and status line tell everything about a frame", async () => {
  const page = await openGraph(small);
  const inMain = (await boxes(page, "parse_request")).find((box) => box.width > 400);
  await page.mouse.move(...centre(inMain));
  const expected = [
    "parse_request",
    "400 samples (40.00 %), self 280 (28.00 %)",
    "/src/parse.c:81", // 300 samples pass through it, through line 77 only 100
    "/usr/bin/server \u00b7 user code",
  ];
  assert.deepEqual(await tipOf(page), expected);
  assert.equal(await textOf(page, "status"), expected.join(" \u00b7 "));
  await page.mouse.move(...centre(await one(page, "ksys_read")));
  assert.deepEqual(await tipOf(page), [
    "ksys_read",
    "200 samples (20.00 %), all self",
    "fs/read_write.c:613",
    "[kernel.kallsyms] \u00b7 kernel",
  ]);
  await page.mouse.move(...centre(await one(page, "hash_step")));
  assert.equal((await tipOf(page))[3], "/usr/bin/server \u00b7 inlined");
  await page.mouse.move(600, 650);
  assert.equal(await tipOf(page), null);
  assert.match(await textOf(page, "status"), /^Click a frame to zoom/);
  await close(page);
});

test("a tooltip stays inside the window", async () => {
  const page = await openGraph(makeGraph("big"), { viewport: { width: 700, height: 320 } });
  const { width, height } = page.viewportSize();
  for (let x = 12; x < width - 30; x += 60) {
    await page.mouse.move(x, height - 108); // right above the footer, which has a line of marks
    const box = await page.evaluate(() => {
      const { left, top, right, bottom } = document.querySelector(".tip").getBoundingClientRect();
      return { left, top, right, bottom };
    });
    assert.notEqual(await tipOf(page), null);
    assert.ok(box.left >= 0 && box.top >= 0, JSON.stringify(box));
    assert.ok(box.right <= width && box.bottom <= height, JSON.stringify(box));
  }
  await close(page);
});

test("keyboard alone is enough", async () => {
  const page = await openGraph(small);
  await page.keyboard.press("Control+f");
  assert.equal(await page.evaluate(() => document.activeElement.id), "search");
  await page.keyboard.type("i/");
  assert.equal(await searched(page), "i/");
  await page.keyboard.press("Escape");
  await page.locator("#cells").focus();
  await page.keyboard.press("ArrowUp"); // the root
  await page.keyboard.press("ArrowUp"); // server
  await page.keyboard.press("ArrowUp"); // its widest child: 600 samples of 1,000
  assert.match(await textOf(page, "status"), /^__libc_start_main \u00b7 600 samples \(60\.00 %\)/);
  await page.keyboard.press("ArrowRight");
  assert.match(await textOf(page, "status"), /^worker_loop \u00b7 350 samples/);
  await page.keyboard.press("Enter");
  await assertBox(page, "worker_loop", 0, 350, 350);
  await page.keyboard.press("ArrowDown");
  assert.match(await textOf(page, "status"), /^server \u00b7 1,000 samples/);
  await page.keyboard.press("Escape");
  await assertBox(page, "worker_loop", 650, 350);
  await page.keyboard.press("i");
  const root = await one(page, "all");
  assert.ok(root.y < (await one(page, "server")).y, "the root is at the top");
  await close(page);
});

test("zoom and search are in the address", async () => {
  const page = await openGraph(small);
  await click(page, "main");
  await page.locator("#search").fill("parse_h");
  const hash = await page.evaluate(() => location.hash);
  const shared = await openGraph(small, { hash });
  await assertBox(shared, "main", 0, 600, 600);
  assert.equal(await textOf(shared, "matched"), "Matched: 17.00 %");
  await close(shared);
  await page.goBack();
  await assertBox(page, "main", 50, 600);
  await close(page);
  const wrong = await openGraph(small, { hash: "#zoom=99999&search=%28&case=x" });
  await assertBox(wrong, "main", 50, 600);
  assert.equal(await textOf(wrong, "matched"), "not a regular expression");
  await close(wrong);
});

test("a resized window is used in full", async () => {
  const page = await openGraph(small);
  await page.setViewportSize({ width: 700, height: 500 });
  await page.waitForFunction(
    () => Math.abs(document.querySelector("#cells rect").getBoundingClientRect().width - 680) < 1,
  );
  const main = await one(page, "main");
  near(main.x, 10 + 0.05 * 680, "x");
  near(main.width, 0.6 * 680, "width");
  await close(page);
});

test("text is readable in light and dark, dimmed and highlighted", async () => {
  for (const scheme of ["light", "dark"]) {
    const page = await openGraph(small, { scheme });
    const check = async (state) => {
      for (const [kind, value] of Object.entries(await contrasts(page))) {
        assert.ok(value >= 4.5, `${scheme}, ${state}, ${kind}: ${value.toFixed(2)}:1`);
      }
    };
    await page.mouse.move(...centre(await one(page, "main")));
    await check("overview");
    await shot(page, scheme + "-tip");
    await click(page, "main");
    await page.locator("#search").fill("parse_|server");
    await check("zoomed and searched");
    await page.locator("#search").fill("(");
    await check("wrong expression");
    await close(page);
  }
});

test("hostile names stay text", async () => {
  const path = makeGraph("hostile");
  const page = await openGraph(path);
  await shot(page, "hostile");
  const seen = [];
  for (const box of await page.evaluate(() =>
    [...document.querySelectorAll("#cells rect")].map((rect) => {
      const { x, y, width, height } = rect.getBoundingClientRect();
      return { x, y, width, height };
    }),
  )) {
    await page.mouse.move(...centre(box));
    seen.push((await tipOf(page))[0]);
  }
  for (const name of [
    "</script><script>window.pwned=1;alert(1)</script>",
    "]]></script><script>window.pwned=1</script>",
    '" onload="window.pwned=1',
    "' onmouseover='window.pwned=1' x='",
    "<img src=x onerror=window.pwned=1>",
    "<!-- <![CDATA[ &lt;b&gt; &amp; ${window.pwned=1} \\u003cb\\u003e \\",
    "bad utf-8 \ufffd\ufffd(\ufffd\ufffd\ufffd tail",
    "control \ufffd\ufffd[31m\ufffd\ufffd\ufffd end",
    "bidi \ufffd gnp.exe \ufffd",
    "__proto__",
    "constructor",
    "<b>&\"'</b>]]>",
  ]) {
    assert.ok(seen.includes(name), name);
  }
  await page.locator("#search").fill("<script>");
  // two of thirteen names
  assert.equal(await textOf(page, "matched"), "Matched: " + (200 / 13).toFixed(2) + " %");
  const found = await page.evaluate(() => ({
    pwned: window.pwned,
    scripts: document.querySelectorAll("script").length,
    strangers: document.querySelectorAll("b, img, [onload], [onmouseover], [onerror]").length,
  }));
  assert.deepEqual(found, { pwned: undefined, scripts: 2, strangers: 0 });
  await close(page);

  // The same text inside an HTML page, which has other rules for what ends a script.
  const html = await openGraph(small);
  html.problems.length = 0;
  await html.goto("about:blank");
  const svg = readFileSync(path, "utf8").replace(/^<\?xml.*\?>\n/, "");
  await html.setContent("<!doctype html><body>" + svg + "</body>");
  await html.waitForSelector("svg[data-ready=true]", { state: "attached" });
  const inHtml = await html.evaluate(() => ({
    pwned: window.pwned,
    scripts: document.querySelectorAll("script").length,
    strangers: document.querySelectorAll("b, img, [onload], [onmouseover], [onerror]").length,
  }));
  assert.deepEqual(inHtml, { pwned: undefined, scripts: 2, strangers: 0 });
  await html.context().close();
});

test("a deep graph scrolls from its root, with both bars in sight", async () => {
  const page = await openGraph(makeGraph("deep"));
  const bars = () =>
    page.evaluate(() => {
      const top = (id) => document.querySelector("#" + id + " .paper").getBoundingClientRect();
      return {
        header: top("header").top,
        footer: top("footer").bottom,
        right: top("footer").right,
        client: document.documentElement.getBoundingClientRect().right,
        scrolled: window.scrollY,
        window: window.innerHeight,
      };
    });
  await shot(page, "deep");
  const root = await one(page, "all");
  assert.ok(root.y > 500 && root.y < 700, "the root is in sight");
  // levels: all, process, main, 2,500 times descend, work
  const height = await page.evaluate(() => document.documentElement.getBoundingClientRect().height);
  assert.equal(height, 62 + 2504 * 18 + 74);
  for (const y of [0, 20000, 1e6]) {
    await page.evaluate((to) => window.scrollTo(0, to), y);
    await page.waitForFunction(
      () => Math.abs(document.querySelector("#header .paper").getBoundingClientRect().top) < 1,
    );
    const seen = await bars();
    near(seen.header, 0, "header");
    near(seen.footer, seen.window, "footer");
    near(seen.right, seen.client, "the bar ends where the scroll bar begins");
  }
  const right = await page.evaluate(() => document.documentElement.clientWidth);
  const all = await one(page, "all");
  assert.ok(all.x + all.width <= right - 9, "nothing lies under the scroll bar");
  await page.mouse.click(all.x + 20, all.y - 18 * 10);
  const descend = (await boxes(page, "descend")).filter((box) => box.width > INNER - 60);
  assert.equal(descend.length, 2500); // what was clicked, all below and above
  await close(page);
});

test("an icicle has the root at the top", async () => {
  const page = await openGraph(makeGraph("small", "--icicle"));
  await shot(page, "icicle");
  const root = await assertBox(page, "all", 0, 1000);
  const main = await assertBox(page, "main", 50, 600);
  assert.ok(root.y < main.y);
  await close(page);
});

test("100,000 samples stay below 1 MB and work", async () => {
  const path = makeGraph("big");
  const size = statSync(path).size;
  assert.ok(size < 1000000, `${size} bytes`);
  for (const scheme of ["light", "dark"]) {
    // high enough for all of it: a scroll bar would take from the width
    const page = await openGraph(path, { scheme, viewport: { width: 1200, height: 760 } });
    await shot(page, "big-" + scheme);
    const found = await page.evaluate(() => ({
      total: Number(document.documentElement.dataset.totalSamples),
      frames: Number(document.documentElement.dataset.mergedFrames),
      merged: Number(document.documentElement.dataset.mergedSamples),
      cells: document.querySelectorAll("#cells > g").length,
    }));
    assert.equal(found.total, 100000);
    assert.ok(found.cells > 1000, `${found.cells} cells`);
    assert.ok(found.frames > 0 && found.merged > 0 && found.merged < 100000);
    assert.match(
      await textOf(page, "quality"),
      new RegExp(
        found.frames.toLocaleString("en-US") +
          " frames narrower than 0\\.\\d px merged \\(" +
          (found.merged / 1000).toFixed(2) +
          " % of samples\\)",
      ),
    );
    await page.locator("#search").fill("app-server");
    // six of the eight threads; the process is an ancestor of all that is merged in it
    assert.match(await textOf(page, "matched"), /^Matched: 7\d\.\d\d % \(merged frames may/);
    await click(page, "app-server");
    const zoomed = await one(page, "app-server");
    near(zoomed.width, INNER, "zoomed");
    await shot(page, "big-zoomed-" + scheme);
    await close(page);
  }
});

test("without script it is a picture with titles", async () => {
  const page = await openGraph(makeGraph("big"), { script: false });
  await shot(page, "no-script");
  const size = await page.evaluate(() => {
    const { width, height } = document.documentElement.viewBox.baseVal;
    const cells = [...document.querySelectorAll("#cells rect")].map((rect) => rect.getBBox());
    return {
      width,
      cells: cells.length,
      outside: cells.filter(
        (box) => box.x < 10 || box.x + box.width > width - 9 || box.y < 62 || box.y > height - 74,
      ).length,
      title: document.querySelector("#cells title").textContent,
    };
  });
  assert.equal(size.width, 1200);
  assert.ok(size.cells > 1000);
  assert.equal(size.outside, 0);
  assert.equal(size.title, "all (100,000 samples, 100.00 %)");
  await page.context().close();
});

test("threads can be chosen", async () => {
  const page = await openGraph(makeGraph("small", "--thread", "^worker$"));
  assert.equal(await page.evaluate(() => document.documentElement.dataset.totalSamples), "400");
  assert.match(await textOf(page, "subtitle"), /threads matching "\^worker\$"/);
  assert.deepEqual(await boxes(page, "main"), []);
  await close(page);
  const failed = spawnSync(maker, ["small", "/dev/null/x.svg", "--thread", "nobody"]);
  assert.notEqual(failed.status, 0);
});
