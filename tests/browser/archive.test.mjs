// Dumps in archives: the list of members, unpacking into the browser's own storage, cancel, and that nothing stays behind.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import zlib from "node:zlib";
import { drop, eventually, launch, pick, samples, serve, withPage } from "./harness.mjs";
import { zip } from "./archives.mjs";

let browser, site, folder, driver, program;
before(async () => {
  browser = await launch();
  site = await serve();
  folder = await mkdtemp(path.join(tmpdir(), "dumplens-archive-"));
  driver = await readFile(path.join(samples, "driver-irql.dmp"));
  program = await readFile(path.join(samples, "null-call.dmp"));
});
after(async () => {
  await browser?.close();
  await site?.close();
  await rm(folder, { recursive: true, force: true });
});

const on = (name, body, options) => withPage(browser, site.url, name, body, options);

async function file(name, bytes) {
  const target = path.join(folder, name);
  await writeFile(target, bytes);
  return target;
}

/** Names and sizes of the files that lie in the site's own storage. */
const stored = (page) =>
  page.evaluate(async () => {
    const root = await navigator.storage.getDirectory();
    const folder = await root.getDirectoryHandle("dumplens-unpacked", { create: true });
    const names = [];
    for await (const name of folder.keys()) names.push(name);
    return names;
  });

const storedFiles = (page, count) =>
  eventually(async () => assert.equal((await stored(page)).length, count, `${count} files in storage`));

/** A gzip file of a kernel dump's first bytes and then zeros, as long as is wanted. */
async function large(name, megabytes) {
  const target = path.join(folder, name);
  const piece = Buffer.alloc(1 << 20);
  const gzip = zlib.createGzip({ level: 1 });
  const { createWriteStream } = await import("node:fs");
  const { pipeline } = await import("node:stream/promises");
  const { Readable } = await import("node:stream");
  const content = function* () {
    yield Buffer.from("PAGEDU64");
    for (let count = 0; count < megabytes; count++) yield piece;
  };
  await pipeline(Readable.from(content()), gzip, createWriteStream(target));
  return target;
}

/** Changes what the worker finds, before the engine is loaded. */
async function sabotage(page, script) {
  await page.route("**/worker.js", async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, body: `${script};${await response.text()}` });
  });
  await page.reload();
}

test("a dump in a gzip file is unpacked, opened, and removed when another file is opened", async () => {
  const packed = await file("driver-irql.dmp.gz", zlib.gzipSync(driver));
  await on("archive-gzip", async (page) => {
    await drop(page, packed);
    assert.match(await page.getByTestId("verdict").innerText(), /glasswing\.sys crashed Windows by reading memory/);
    assert.equal(await page.getByTestId("file-name").innerText(), "driver-irql.dmp.gz › driver-irql.dmp");
    await storedFiles(page, 1);
    // What was unpacked is read from storage: the memory view asks for bytes that the summary did not need.
    await page.getByTestId("tab-memory").click();
    await page.getByTestId("memory-address").fill("fffff801`3a604a1c");
    await page.getByTestId("memory-address").press("Enter");
    await page.getByTestId("hexdump").getByText("48 8b 40 10").waitFor();
    await page.goto(`${site.url}#/summary`);
    await pick(page, path.join(samples, "null-call.dmp"));
    await page.getByTestId("verdict").getByText("null pointer").waitFor();
    await storedFiles(page, 0);
  });
});

test("an archive with several files lists them; one is opened with the keyboard, then another", async () => {
  const packed = await file(
    "crashes.zip",
    zip([
      { name: "monday/driver.dmp", content: driver },
      { name: "tuesday/program.dmp", content: program },
      { name: "letter.txt", content: Buffer.from("Dear support team,\n"), stored: true },
    ]),
  );
  await on("archive-zip", async (page) => {
    await drop(page, packed);
    const rows = page.getByTestId("members").locator("tbody tr");
    await page.getByTestId("archive").getByText("This zip archive holds 3 files").waitFor();
    assert.equal(await rows.count(), 3);
    assert.match(await rows.nth(1).innerText(), /tuesday\/program\.dmp\s+[\d.]+ KiB\s+[\d.]+ KiB\s+deflate/);
    assert.match(await rows.nth(2).innerText(), /letter\.txt\s+19 bytes\s+19 bytes\s+stored/);
    await storedFiles(page, 0);
    await page.getByTestId("open-file").focus();
    await page.keyboard.press("Tab");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement.getAttribute("aria-label")), "Open tuesday/program.dmp");
    await page.keyboard.press("Enter");
    await page.getByTestId("verdict").getByText("null pointer").waitFor();
    assert.equal(await page.getByTestId("file-name").innerText(), "crashes.zip › tuesday/program.dmp");
    await storedFiles(page, 1);
    // Back to the list, and back to the dump without unpacking anew.
    await page.getByTestId("show-archive").click();
    await page.getByTestId("back-to-dump").click();
    await page.getByTestId("summary").waitFor();
    await page.getByTestId("show-archive").click();
    await page.getByTestId("open-member-2").click();
    await page.getByTestId("member-refused").getByText("text file").waitFor();
    assert.match(await page.getByTestId("member-refused").innerText(), /letter\.txt cannot be opened/);
    await storedFiles(page, 0);
    await page.getByTestId("open-member-0").click();
    await page.getByTestId("verdict").getByText("glasswing.sys").waitFor();
    await storedFiles(page, 1);
  });
});

test("a stored member is read in place, and the only dump among other files is opened at once", async () => {
  const packed = await file(
    "stored.zip",
    zip([{ name: "readme.txt", content: Buffer.from("read me") }, { name: "a.dmp", content: driver, stored: true }]),
  );
  await on("archive-stored", async (page) => {
    await pick(page, packed);
    await page.getByTestId("verdict").getByText("glasswing.sys").waitFor();
    assert.equal(await page.getByTestId("file-name").innerText(), "stored.zip › a.dmp");
    await storedFiles(page, 0);
  });
});

test("an archive in an archive is opened, one deeper is refused by name", async () => {
  const inner = zlib.gzipSync(driver);
  const nested = await file("nested.zip", zip([{ name: "a.dmp.gz", content: inner }]));
  const deeper = await file("deeper.zip", zip([{ name: "b.zip", content: zip([{ name: "a.dmp.gz", content: inner }]) }]));
  await on("archive-nested", async (page) => {
    await pick(page, nested);
    await page.getByTestId("verdict").getByText("glasswing.sys").waitFor();
    assert.equal(await page.getByTestId("file-name").innerText(), "nested.zip › a.dmp.gz › a.dmp");
    // The packed file in between is no longer needed.
    await storedFiles(page, 1);
    await pick(page, deeper);
    await page.getByTestId("refused").getByText("archive in an archive in an archive").waitFor();
    assert.match(await page.getByTestId("refused").innerText(), /deeper\.zip cannot be opened\s+b\.zip › a\.dmp\.gz: /);
    await storedFiles(page, 0);
  });
});

test("unpacking shows how far it is and can be cancelled; nothing stays behind", async () => {
  const packed = await large("large.dmp.gz", 2_048);
  await on("archive-cancel", async (page) => {
    await pick(page, packed);
    const strip = page.getByTestId("unpacking");
    await eventually(async () => assert.match(await strip.innerText(), /unpacking large\.dmp: [\d.]+ [KM]iB of [\d.]+ MiB/));
    const first = await strip.locator("progress").getAttribute("value");
    await eventually(async () => assert.notEqual(await strip.locator("progress").getAttribute("value"), first));
    assert.equal((await stored(page)).length, 1);
    await page.getByTestId("cancel-open").click();
    await page.getByTestId("landing").waitFor();
    await storedFiles(page, 0);
    // Another file opened while one is being unpacked takes its place.
    await pick(page, packed);
    await strip.waitFor();
    await pick(page, path.join(samples, "driver-irql.dmp"));
    await page.getByTestId("verdict").getByText("glasswing.sys").waitFor();
    await storedFiles(page, 0);
  });
});

test("what is no dump is refused by its first bytes, a damaged archive says what is wrong", async () => {
  const letter = Buffer.alloc(64 << 20, "all work and no play\n");
  const text = await file("letter.dmp.gz", zlib.gzipSync(letter, { level: 1 }));
  const cut = await file("cut.dmp.gz", zlib.gzipSync(driver).subarray(0, 1_000));
  const half = await file("half.zip", zip([{ name: "a.dmp", content: driver }]).subarray(0, 1_000));
  await on("archive-refused", async (page) => {
    await pick(page, text);
    await page.getByTestId("refused").locator("p").getByText("letter.dmp: not a Windows crash dump: this is a text file").waitFor();
    await pick(page, cut);
    await page.getByTestId("refused").locator("p").getByText("ends inside").waitFor();
    await pick(page, half);
    await page.getByTestId("refused").locator("p").getByText("no directory at its end").waitFor();
    await storedFiles(page, 0);
  });
});

test("too little room is said plainly, with what to do", async () => {
  const content = Buffer.concat([driver, Buffer.alloc(8 << 20)]);
  const packed = await file("big.zip", zip([{ name: "big.dmp", content }]));
  await on("archive-room", async (page) => {
    await sabotage(page, "StorageManager.prototype.estimate = async () => ({ quota: 3 << 20, usage: 2 << 20 })");
    await pick(page, packed);
    const said = page.getByTestId("refused").locator("p");
    await said.getByText("1.0 MiB").waitFor();
    assert.match(await said.innerText(), /takes 8\.\d MiB, and the browser lets this site store 1\.0 MiB; .*command line/);
    await storedFiles(page, 0);
  });
  await on("archive-full", async (page) => {
    // The estimate promised more than there is.
    await sabotage(page, `FileSystemSyncAccessHandle.prototype.write = function () { throw new DOMException("full", "QuotaExceededError"); }`);
    await pick(page, packed);
    await page.getByTestId("refused").locator("p").getByText("make room on the disk").waitFor();
    await storedFiles(page, 0);
  });
});

test("without private storage small dumps are unpacked into memory and large ones refused with advice", async () => {
  const small = await file("small.dmp.gz", zlib.gzipSync(driver));
  const big = await file("claims.zip", zip([{ name: "big.dmp", content: driver, size: 300 << 20 }]));
  await on("archive-memory", async (page) => {
    await sabotage(page, `StorageManager.prototype.getDirectory = async () => { throw new DOMException("private window", "SecurityError"); }`);
    await pick(page, small);
    await page.getByTestId("verdict").getByText("glasswing.sys").waitFor();
    await pick(page, big);
    const said = page.getByTestId("refused").locator("p");
    await said.getByText("300.0 MiB").waitFor();
    assert.match(await said.innerText(), /256\.0 MiB are the most; unpack it yourself/);
    await storedFiles(page, 0);
  });
});

test("what a closed tab left is removed, what another tab has open is not", async () => {
  const packed = await file("tabs.dmp.gz", zlib.gzipSync(driver));
  await on("archive-tabs", async (page) => {
    // This page's own worker may still be cleaning up, and would take the file away: it stays once that is done.
    await eventually(async () => {
      await page.evaluate(async () => {
        const root = await navigator.storage.getDirectory();
        const folder = await root.getDirectoryHandle("dumplens-unpacked", { create: true });
        await folder.getFileHandle("left-behind", { create: true });
        await new Promise((done) => setTimeout(done, 300));
      });
      assert.deepEqual(await stored(page), ["left-behind"]);
    });
    await page.reload();
    await storedFiles(page, 0);
    await pick(page, packed);
    await page.getByTestId("summary").waitFor();
    const mine = await stored(page);
    assert.equal(mine.length, 1);
    const other = await page.context().newPage();
    await other.goto(site.url);
    await pick(other, packed);
    await other.getByTestId("summary").waitFor();
    await storedFiles(other, 2);
    await pick(other, path.join(samples, "null-call.dmp"));
    await other.getByTestId("verdict").getByText("null pointer").waitFor();
    await eventually(async () => assert.deepEqual(await stored(other), mine));
    await other.close();
    // The first tab still reads its own.
    await page.getByTestId("tab-parts").click();
    await page.getByTestId("parts").getByText("Dump header").click();
    await eventually(async () => assert.match(await page.getByTestId("part").innerText(), /BugCheckCode/));
  });
});

test("a list of many files is filtered; dark and light, wide and narrow, nothing spills over", async () => {
  const content = Buffer.from("MDMP");
  const members = Array.from({ length: 300 }, (_, index) => ({ name: `folder/sub/crash-${index}.dmp`, content }));
  members.unshift({ name: `${"a-very-long-name-without-any-space".repeat(6)}.dmp`, content: driver });
  const packed = await file("many.zip", zip(members));
  const shots = process.env.DUMPLENS_SHOTS;
  if (shots) await mkdir(shots, { recursive: true });
  for (const colorScheme of ["dark", "light"]) {
    for (const width of [1440, 390]) {
      await on(
        `archive-look-${colorScheme}-${width}`,
        async (page) => {
          await pick(page, packed);
          await page.getByTestId("members").waitFor();
          const spill = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
          assert.ok(spill <= 0, `${spill} pixels too wide at ${width}`);
          assert.ok(await page.getByTestId("open-member-0").isVisible());
          if (shots) await page.screenshot({ path: path.join(shots, `listing-${colorScheme}-${width}.png`) });
          assert.equal(await page.getByTestId("members").locator("tbody button").count(), 200);
          await page.getByTestId("members").getByText("and 101 more").waitFor();
          await page.getByTestId("members-filter").fill("crash-299");
          await eventually(async () => assert.equal(await page.getByTestId("members").locator("tbody button").count(), 1));
        },
        { colorScheme, viewport: { width, height: 800 } },
      );
    }
  }
});
