// A site that was built with a symbol server: files come from there when the visitor says so, and only then; what comes is
// matched like what is dropped; and what goes wrong is said plainly. A site without one offers nothing and asks nobody.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, beforeEach, test } from "node:test";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { eventually, launch, machines, pick, samples, serve, withPage } from "./harness.mjs";
import { cabinet } from "./archives.mjs";

const KEY = "D62801151c000";
const DUMP = path.join(samples, "driver-irql.dmp");
const symbols = (name) => readFile(path.join(machines, "symbols", name));

/** What the server holds, by path; how it answers else; and what it was asked. */
let files, answer, asked, headers;
let browser, store, other, closed, site, origin, elsewhere, strayed;
before(async () => {
  browser = await launch();
  store = createServer((request, response) => {
    asked.push(request.url);
    headers.push(request.headers);
    if (answer?.(request, response)) return;
    const body = files[decodeURIComponent(request.url)];
    const cors = { "access-control-allow-origin": "*" };
    if (body) response.writeHead(200, { ...cors, "content-type": "application/octet-stream", "content-length": body.length }).end(body);
    else response.writeHead(404, cors).end("not here");
  });
  await new Promise((ready) => store.listen(0, "127.0.0.1", ready));
  origin = `http://127.0.0.1:${store.address().port}`;
  other = createServer((_, response) => {
    strayed += 1;
    response.writeHead(200, { "access-control-allow-origin": "*" }).end("stray");
  });
  await new Promise((ready) => other.listen(0, "127.0.0.1", ready));
  elsewhere = `http://127.0.0.1:${other.address().port}`;
  // The page as `cargo xtask dist --symbol-server` makes it, for the port that is free.
  const page = await readFile(path.join(machines, "with-server.html"), "utf8");
  site = await serve("/with/server/", page.replaceAll("http://127.0.0.1:8099", origin));
  closed = await serve();
});
beforeEach(() => {
  [files, answer, asked, headers, strayed] = [{}, null, [], [], 0];
});
after(async () => {
  await browser?.close();
  await site?.close();
  await closed?.close();
  for (const server of [store, other]) {
    server?.closeAllConnections();
    await new Promise((done) => server.close(done));
  }
});

const show = (page, view) => page.getByTestId(`tab-${view}`).click();
const toast = (page, pattern) => eventually(async () => assert.match(await page.getByTestId("toast").innerText(), pattern));

/** The sample open on a fresh page that knows the server, at the view of symbols. */
const on = (name, body) =>
  withPage(
    browser,
    site.url,
    `server-${name}`,
    async (page) => {
      await pick(page, DUMP);
      await page.getByTestId("summary").waitFor();
      await show(page, "symbols");
      await page.getByTestId("fetch-all").waitFor();
      assert.deepEqual(asked, [], "nothing is fetched unless the visitor says so");
      await body(page);
    },
    // Browsers put every answer but 200 on the console.
    { allowed: [origin, elsewhere], expectErrors: true },
  );

/** Chooses the module and fetches its image alone. */
async function fetchOne(page) {
  await page.getByTestId("symbols").locator(".row", { hasText: "glasswing" }).click();
  await page.getByTestId("need").getByText("glasswing.sys").first().waitFor();
  await page.getByTestId("need").getByTestId("fetch").first().click();
}

test("a site without a server offers none, and its policy is closed", () =>
  withPage(browser, closed.url, "server-none", async (page) => {
    const policy = await page.locator("meta[http-equiv=Content-Security-Policy]").getAttribute("content");
    assert.equal(policy, "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self'; connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'");
    await pick(page, DUMP);
    await show(page, "symbols");
    await page.getByTestId("need").waitFor();
    assert.equal(await page.getByTestId("fetch-all").count() + await page.getByTestId("fetch").count(), 0);
  }));

test("what names the stack of the crash is fetched, packed or not, and says nothing of the visitor", () =>
  on("all", async (page) => {
    files[`/symbols/glasswing.sys/${KEY}/glasswing.sy_`] = cabinet("glasswing.sys", await symbols("right/glasswing.sys"));
    await page.getByTestId("fetch-all").click();
    await toast(page, /^1 file was added: glasswing has names now\. \d+ files are not on the server\./);
    // The image named its PDB, which was asked for too; each file as it is and packed.
    assert.ok(asked.includes("/symbols/glasswing.pdb/676767676767676767676767676767672/glasswing.pd_"), asked.join("\n"));
    assert.ok(asked.includes(`/symbols/glasswing.sys/${KEY}/glasswing.sys`));
    assert.equal(new Set(asked).size, asked.length, "nothing is asked for twice");
    for (const header of headers) assert.deepEqual([header.cookie, header.referer], [undefined, undefined]);
    await show(page, "stack");
    await eventually(async () => assert.match(await page.getByTestId("frames").innerText(), /glasswing!Glasswing/));
  }));

test("one file is fetched alone", () =>
  on("one", async (page) => {
    files[`/symbols/glasswing.sys/${KEY}/glasswing.sys`] = await symbols("right/glasswing.sys");
    await fetchOne(page);
    await toast(page, /^glasswing\.sys was added: glasswing has names now\./);
    assert.deepEqual(asked, [`/symbols/glasswing.sys/${KEY}/glasswing.sys`]);
  }));

test("fetched files are kept if that is wished, and not asked for again", () =>
  on("keep", async (page) => {
    files[`/symbols/glasswing.sys/${KEY}/glasswing.sys`] = await symbols("right/glasswing.sys");
    await page.getByTestId("keep-symbols").check();
    await fetchOne(page);
    await page.getByTestId("kept").getByText(/1 file, 112\.0 KiB/).waitFor();
    asked = [];
    await page.reload();
    await pick(page, DUMP);
    await toast(page, /glasswing\.sys was added: glasswing has names now/);
    assert.deepEqual(asked, []);
  }));

test("what comes is matched: a page of words, another version, half a file", async () => {
  const cors = { "access-control-allow-origin": "*" };
  const image = await symbols("right/glasswing.sys");
  const old = await symbols("wrong/glasswing.sys");
  const cases = [
    ["words", (response) => response.writeHead(200, { ...cors, "content-type": "text/html" }).end("<html>Sign in, please</html>"), /glasswing\.sys: not a symbol file/],
    ["version", (response) => response.writeHead(200, cors).end(old), /glasswing\.sys does not match: the image offered is another version/],
    ["half", (response) => {
      response.writeHead(200, { ...cors, "content-length": image.length });
      response.write(image.subarray(0, 1000), () => response.destroy());
    }, /broke off in the middle of glasswing\.sys/],
    ["failure", (response) => response.writeHead(503, cors).end(), /failed on glasswing\.sys \(status 503\)/],
    ["refusal", (response) => response.writeHead(403, cors).end(), /refuses to give glasswing\.sys \(status 403\)/],
    ["absence", (response) => response.writeHead(404, cors).end(), /127\.0\.0\.1:\d+ does not have glasswing\.sys\/D62801151c000\/glasswing\.sys\./],
    ["no headers", (response) => response.writeHead(200).end(image), /did not answer, or does not allow this site to read its answers/],
    ["elsewhere", (response) => response.writeHead(302, { ...cors, location: `${elsewhere}/glasswing.sys` }).end(), /did not answer, or does not allow/],
  ];
  for (const [name, reply, pattern] of cases) {
    answer = (_, response) => (reply(response), true);
    asked = [];
    await on(name.replace(" ", "-"), async (page) => {
      await fetchOne(page);
      await toast(page, pattern);
      assert.match(await page.getByTestId("symbols-overview").innerText(), /^0 of/);
      assert.equal(strayed, 0, "a redirect leads to nobody whom the policy does not name");
    });
  }
});

test("a server that cannot be asked is asked once", () => {
  answer = (_, response) => (response.writeHead(200).end(), true);
  return on("deaf", async (page) => {
    await page.getByTestId("fetch-all").click();
    await toast(page, /did not answer, or does not allow this site/);
    assert.equal(asked.length, 1);
  });
});

test("a slow file shows how far it is and can be cancelled", () => {
  let gone = false;
  answer = (request, response) => {
    response.writeHead(200, { "access-control-allow-origin": "*", "content-length": 300 << 20 });
    response.write(Buffer.alloc(3 << 20));
    request.on("close", () => (gone = true));
    return true;
  };
  return on("slow", async (page) => {
    await page.getByTestId("fetch-all").click();
    await eventually(async () => assert.match(await page.getByTestId("symbols-busy").innerText(), /fetching \S+\.(sys|exe) from 127\.0\.0\.1:\d+ – [\d.]+ [KM]iB of 300\.0 MiB/));
    await page.getByTestId("symbols-cancel").click();
    await eventually(async () => assert.equal(await page.getByTestId("symbols-busy").count(), 0));
    await eventually(() => assert.ok(gone, "the connection was closed"));
    assert.equal(asked.length, 1);
  });
});
