// What every browser test needs: the built site on a local server under a sub-path, a headless Chromium, and a page that
// fails the test if it talks to another origin, breaks its own content security policy or reports an error.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { readFile, mkdir } from "node:fs/promises";
import { existsSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const here = path.dirname(fileURLToPath(import.meta.url));
const dist = process.env.DUMPLENS_DIST ?? path.join(here, "../../dist");
export const data = process.env.DUMPLENS_DATA;
/** Dumps of whole machines, as `make-browser-dumps` writes them. */
export const machines = process.env.DUMPLENS_MACHINES ?? path.join(here, "../../target/browser-dumps");
export const samples = path.join(here, "../../public/samples");

const TYPES = { html: "text/html", js: "text/javascript", css: "text/css", wasm: "application/wasm", svg: "image/svg+xml", json: "application/json" };

/** Serves the site below a path of several segments: every URL in it must be relative for that to work. `index` stands in for
 * the page. */
export async function serve(prefix = "/some/sub/path/", index = null) {
  const server = createServer(async (request, response) => {
    const url = new URL(request.url, "http://localhost");
    const name = url.pathname.startsWith(prefix) ? url.pathname.slice(prefix.length) || "index.html" : null;
    try {
      if (name === null || name.includes("..")) throw new Error("not served");
      const body = name === "index.html" && index !== null ? index : await readFile(path.join(dist, name));
      response.writeHead(200, { "content-type": TYPES[name.split(".").pop()] ?? "application/octet-stream" });
      response.end(body);
    } catch {
      response.writeHead(404).end("not found");
    }
  });
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  const url = `http://127.0.0.1:${server.address().port}${prefix}`;
  return { url, close: () => new Promise((done) => server.close(done)) };
}

export async function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
}

/** A page, and a list of everything that it must not do. Beside its own origin it may ask those of `options.allowed`. */
export async function open(browser, url, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  const page = await context.newPage();
  const faults = [];
  const origin = new URL(url).origin;
  page.on("request", (request) => {
    const target = request.url();
    const allowed = [origin, ...(options.allowed ?? [])].some((allowed) => target.startsWith(allowed));
    if (!allowed && !target.startsWith("blob:") && !target.startsWith("data:")) faults.push(`foreign request: ${target}`);
  });
  page.on("console", (message) => {
    if (message.type() === "error" && !options.expectErrors) faults.push(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => faults.push(`page error: ${error.message}`));
  await page.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) => console.error(`CSP violation: ${event.violatedDirective} ${event.blockedURI}`));
  });
  await page.goto(url);
  await page.getByTestId("landing").waitFor();
  return { page, context, faults };
}

/** Runs a test on a fresh page; keeps a screenshot if it fails. */
export async function withPage(browser, url, name, body, options) {
  const { page, context, faults } = await open(browser, url, options);
  try {
    await body(page);
    assert.deepEqual(faults, [], "the page did something that it must not do");
  } catch (error) {
    const folder = path.join(here, "../../target/screenshots");
    await mkdir(folder, { recursive: true });
    await page.screenshot({ path: path.join(folder, `${name}.png`) }).catch(() => {});
    throw error;
  } finally {
    await context.close();
  }
}

/** Repeats a check until it holds: the page fills in what the worker answers a moment later. */
export async function eventually(check, patience = 10_000) {
  const end = Date.now() + patience;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (Date.now() > end) throw error;
      await new Promise((wait) => setTimeout(wait, 50));
    }
  }
}

/** Picks a file as the file dialog would. */
export async function pick(page, file) {
  await page.getByTestId("file-input").setInputFiles(file);
}

/** Puts a file where a drop event inside the page can take it from: the input `#dropped`. */
export async function hold(page, file) {
  await page.evaluate(() => {
    const input = document.createElement("input");
    input.type = "file";
    input.id = "dropped";
    input.hidden = true;
    document.body.append(input);
  });
  await page.locator("#dropped").setInputFiles(file);
}

/** What the page says that the session has cost: a function from a figure's name to the figure. */
export async function costs(page) {
  await page.getByTestId("tab-notes").click();
  const statistics = page.getByTestId("statistics");
  await statistics.waitFor();
  return async (name) => Number(await statistics.getAttribute(`data-${name}`));
}

/** Drops a file on the page with a real drop event. */
export async function drop(page, file) {
  await hold(page, file);
  await page.evaluate(() => {
    const input = document.getElementById("dropped");
    const transfer = new DataTransfer();
    transfer.items.add(input.files[0]);
    input.remove();
    for (const type of ["dragover", "drop"]) {
      window.dispatchEvent(new DragEvent(type, { dataTransfer: transfer, bubbles: true, cancelable: true }));
    }
  });
}

/** A file of the data set, or null with a message when there is none. */
export function real(test, name) {
  if (!data) {
    test.skip("skipped: DUMPLENS_DATA not set");
    return null;
  }
  const file = path.join(data, name);
  assert.ok(existsSync(file), `${file} is missing`);
  return file;
}

// The middle one of five rounds by `figure`, each in a page of its own that is open at `url`: what benchmarks print.
export async function median(browser, url, figure, measure) {
  const rounds = [];
  for (let round = 0; round < 5; round++) {
    const context = await browser.newContext();
    const page = await context.newPage();
    await page.goto(url);
    rounds.push(await measure(page));
    await context.close();
  }
  rounds.sort((a, b) => a[figure] - b[figure]);
  return rounds[2];
}
