// What the flame graph tests share: profiles, a browser, and questions about a page.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

export const maker = process.env.CPROF_MAKE_PROFILE;
const folder = mkdtempSync(join(tmpdir(), "cprof-browser-"));
let browser;

export async function setUp() {
  if (!maker) {
    throw new Error("CPROF_MAKE_PROFILE must be the path of the built make_profile: run ctest");
  }
  browser = await chromium.launch({
    executablePath: process.env.CPROF_CHROMIUM || "/usr/bin/chromium",
    // with scroll bars, as readers have them
    ignoreDefaultArgs: ["--hide-scrollbars"],
    args: [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}

export async function tearDown() {
  if (browser) {
    await browser.close();
  }
  rmSync(folder, { recursive: true, force: true });
}

let made = 0;

// Write a graph of a kind that make_profile knows; returns its path.
export function makeGraph(kind, ...options) {
  const path = join(folder, kind + made++ + ".svg");
  execFileSync(maker, [kind, path, ...options]);
  return path;
}

// Open a graph. `page.problems` collects what a page should never do.
export async function openGraph(path, options = {}) {
  const context = await browser.newContext({
    viewport: options.viewport || { width: 1200, height: 700 },
    colorScheme: options.scheme || "light",
    javaScriptEnabled: options.script !== false,
  });
  const page = await context.newPage();
  page.problems = [];
  page.on("console", (message) => page.problems.push("console: " + message.text()));
  page.on("pageerror", (error) => page.problems.push("error: " + error.message));
  page.on("request", (request) => {
    if (!request.url().startsWith("file:")) {
      page.problems.push("request: " + request.url());
    }
  });
  page.on("dialog", async (dialog) => {
    page.problems.push("dialog: " + dialog.message());
    await dialog.dismiss();
  });
  await page.goto(pathToFileURL(path).href + (options.hash || ""));
  if (options.script !== false) {
    await page.waitForSelector("svg[data-ready=true]", { state: "attached" });
  }
  return page;
}

export function shot(page, name) {
  const into = process.env.CPROF_SCREENSHOTS;
  return into ? page.screenshot({ path: join(into, name + ".png") }) : null;
}

// The boxes of the cells with this label, left to right, in px of the window.
export function boxes(page, label) {
  return page.evaluate((wanted) => {
    const found = [];
    for (const group of document.querySelectorAll("#cells > g")) {
      const text = group.querySelector("text");
      if (text && text.textContent === wanted) {
        const { x, y, width, height } = group.querySelector("rect").getBoundingClientRect();
        found.push({ x, y, width, height, class: group.querySelector("rect").getAttribute("class") });
      }
    }
    return found.sort((a, b) => a.x - b.x || b.y - a.y);
  }, label);
}

export function centre(box) {
  return [box.x + box.width / 2, box.y + box.height / 2];
}

export function textOf(page, id) {
  return page.evaluate((wanted) => document.getElementById(wanted).textContent, id);
}

// The lines of the tooltip, or null when it is hidden.
export function tipOf(page) {
  return page.evaluate(() => {
    const tip = document.querySelector(".tip");
    if (tip.getAttribute("visibility") !== "visible") {
      return null;
    }
    return [...tip.querySelectorAll("text")].map((text) => text.textContent);
  });
}

// The lowest contrast (WCAG 2.1) of each kind of text with what lies under it, as drawn.
export function contrasts(page) {
  return page.evaluate(() => {
    const rgb = (colour) => colour.match(/[\d.]+/g).slice(0, 3).map(Number);
    const luminance = (channels) =>
      channels
        .map((value) => value / 255)
        .map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
        .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
    const ratio = (a, b) => {
      const [x, y] = [luminance(a), luminance(b)].sort((m, n) => n - m);
      return (x + 0.05) / (y + 0.05);
    };
    const paper = rgb(getComputedStyle(document.querySelector(".paper")).fill);
    const lowest = {};
    const note = (kind, value) => {
      lowest[kind] = Math.min(lowest[kind] || 99, value);
    };
    for (const text of document.querySelectorAll("#cells text")) {
      const rect = getComputedStyle(text.parentNode.querySelector("rect"));
      const alpha = Number(rect.fillOpacity);
      const under = rgb(rect.fill).map((c, i) => alpha * c + (1 - alpha) * paper[i]);
      note("label", ratio(rgb(getComputedStyle(text).fill), under));
    }
    for (const text of document.querySelectorAll("#header > text, #footer > text")) {
      note("around", ratio(rgb(getComputedStyle(text).fill), paper));
    }
    const card = rgb(getComputedStyle(document.querySelector(".tip rect")).fill);
    for (const text of document.querySelectorAll(".tip text")) {
      note("tip", ratio(rgb(getComputedStyle(text).fill), card));
    }
    for (const tool of document.querySelectorAll(".tools input, .tools button")) {
      const style = getComputedStyle(tool);
      note("tool", ratio(rgb(style.color), rgb(style.backgroundColor)));
    }
    return lowest;
  });
}
