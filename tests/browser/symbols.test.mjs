// Symbols: what the dump wants, in order; files by picker, by drop, from folders, archives; what came of them in plain words;
// that views change in place; what is kept and forgotten; and that the page still asks nobody for anything.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import zlib from "node:zlib";
import { drop, eventually, launch, machines, pick, real, samples, serve, withPage } from "./harness.mjs";
import { cabinet, zip } from "./archives.mjs";

let browser, site, folder;
const symbols = (name) => path.join(machines, "symbols", name);
const DUMP = path.join(samples, "driver-irql.dmp");
before(async () => {
  browser = await launch();
  site = await serve();
  folder = await mkdtemp(path.join(tmpdir(), "dumplens-symbols-"));
});
after(async () => {
  await browser?.close();
  await site?.close();
  await rm(folder, { recursive: true, force: true });
});

/** A fresh page with the sample open. */
const on = (name, body, options) =>
  withPage(
    browser,
    site.url,
    name,
    async (page) => {
      await pick(page, DUMP);
      await page.getByTestId("summary").waitFor();
      await body(page);
    },
    options,
  );

const toast = (page, pattern) => eventually(async () => assert.match(await page.getByTestId("toast").innerText(), pattern));
const add = (page, files) => page.getByTestId("symbols-input").first().setInputFiles(files);
const show = (page, view) => page.getByTestId(`tab-${view}`).click();
const cells = (page, column) => page.getByTestId("symbols").locator(`.row > div:nth-child(${column})`).allInnerTexts();

async function file(name, bytes) {
  const target = path.join(folder, name);
  await mkdir(path.dirname(target), { recursive: true });
  await writeFile(target, bytes);
  return target;
}

/** Names of files that are kept in the site's own storage. */
const kept = (page) =>
  page.evaluate(async () => {
    const names = [];
    const walk = async (folder, path) => {
      for await (const [name, entry] of folder.entries()) {
        if (entry.kind === "directory") await walk(entry, `${path}${name}/`);
        else names.push(`${path}${name}`);
      }
    };
    const root = await navigator.storage.getDirectory();
    try {
      await walk(await root.getDirectoryHandle("dumplens-symbols"), "");
    } catch (error) {
      if (error.name !== "NotFoundError") throw error;
    }
    return names;
  });

test("what the dump wants is listed in the order in which it matters, with paths and links, and nothing is fetched", () =>
  on("symbols-needs", async (page) => {
    assert.match(await page.getByTestId("names-hint").innerText(), /drop glasswing\.sys, Wdf01000\.sys and ntoskrnl\.exe on this page/);
    await show(page, "symbols");
    await eventually(async () => assert.deepEqual((await cells(page, 1)).slice(0, 3), ["glasswing", "Wdf01000", "nt"]));
    assert.deepEqual((await cells(page, 2)).slice(0, 2), ["missing", "missing"]);
    assert.deepEqual((await cells(page, 3)).slice(0, 2), ["where it crashed", "frame 3 of the crash"]);
    assert.match((await cells(page, 4))[0], /^glasswing\.sys\/[0-9A-F]{8}1c000\/glasswing\.sys$/);
    assert.match(await page.getByTestId("symbols-overview").innerText(), /^0 of \d+ modules have names.*: glasswing, Wdf01000 and nt\.$/);
    await page.getByTestId("symbols").locator(".row", { hasText: "glasswing" }).click();
    const need = page.getByTestId("need");
    const link = need.getByRole("link", { name: "Get from Microsoft" });
    await eventually(async () =>
      assert.match(await link.getAttribute("href"), /^https:\/\/msdl\.microsoft\.com\/download\/symbols\/glasswing\.sys\/[0-9A-F]{8}1c000\/glasswing\.sys$/));
    assert.equal(await link.getAttribute("target"), "_blank");
    assert.equal(await link.getAttribute("rel"), "noopener noreferrer");
    await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
    await need.getByRole("button", { name: "Copy the path of glasswing.sys" }).click();
    assert.match(await page.evaluate(() => navigator.clipboard.readText()), /^glasswing\.sys\/[0-9A-F]{8}1c000\/glasswing\.sys$/);
    await page.getByTestId("symbols-filter").fill("ntfs");
    await eventually(async () => assert.deepEqual(await cells(page, 1), ["Ntfs"]));
  }));

test("a picked image names frames at once: views change in place, filter, scroll and address stay", () =>
  on("symbols-in-place", async (page) => {
    await show(page, "modules");
    await page.getByTestId("modules-filter").fill("sys");
    const grid = page.getByTestId("modules").locator(".grid");
    await page.getByTestId("modules").locator(".row").first().waitFor();
    await page.setViewportSize({ width: 1280, height: 420 });
    await grid.evaluate((grid) => (grid.scrollTop = 240));
    const before = await grid.evaluate((grid) => grid.scrollTop);
    assert.ok(before > 100, `${before}`);
    await drop(page, symbols("right/glasswing.sys"));
    await toast(page, /^glasswing\.sys was added: glasswing has names now\./);
    const row = page.getByTestId("modules").locator(".row", { hasText: "glasswing" });
    await eventually(async () => assert.match(await row.innerText(), /exports[^]*glasswing\.pdb/));
    assert.equal(await grid.evaluate((grid) => grid.scrollTop), before);
    assert.equal(await page.getByTestId("modules-filter").inputValue(), "sys");
    assert.match(page.url(), /#\/modules$/);

    await show(page, "stack");
    await eventually(async () => assert.match(await page.getByTestId("frames").innerText(), /glasswing!GlasswingQueue\+0x18/));
    await show(page, "symbols");
    await page.getByTestId("symbols").locator(".row", { hasText: "glasswing" }).click();
    // The image named its PDB.
    await eventually(async () => assert.match(await page.getByTestId("need").innerText(), /PDB\s+glasswing\.pdb\/67676767/));
    assert.match(await page.getByTestId("symbols-overview").innerText(), /^1 of \d+ modules/);
  }));

test("the stack and the summary change while they are looked at", () =>
  on("symbols-stack", async (page) => {
    await show(page, "stack");
    await page.getByTestId("frames").waitFor();
    assert.doesNotMatch(await page.getByTestId("frames").innerText(), /Glasswing/);
    await add(page, [symbols("right/glasswing.sys"), symbols("wrong/glasswing.sys")]);
    await eventually(async () => assert.match(await page.getByTestId("frames").innerText(), /GlasswingEvtDpc|GlasswingQueue/));
    assert.match(page.url(), /#\/stack$/);
    await eventually(async () => assert.match(await page.getByTestId("names-hint").innerText(), /drop Wdf01000\.sys and ntoskrnl\.exe on/));
    await show(page, "summary");
    assert.match(await page.getByTestId("frames").innerText(), /Glasswing/);
  }));

test("a file that does not match says why, and what is no symbol file is refused", async () => {
  const letter = await file("letter.pdb", Buffer.from("Dear support team,\n"));
  await on("symbols-mismatch", async (page) => {
    await add(page, symbols("wrong/glasswing.sys"));
    await toast(page, /^glasswing\.sys does not match: .*another version.*its time stamp is 0x[0-9a-f]+, the module's 0x[0-9a-f]+; its size is 0x1d000, the module's 0x1c000/);
    await show(page, "symbols");
    const row = page.getByTestId("symbols").locator(".row", { hasText: "glasswing" });
    await eventually(async () => assert.match(await row.innerText(), /mismatched[^]*another version/));
    await add(page, letter);
    await toast(page, /letter\.pdb: not a symbol file/);
    await page.getByTestId("symbol-results").locator("summary").click();
    assert.equal(await page.getByTestId("symbol-results").locator("li").count(), 2);
    // Whoever insists gets names, marked as forced, and can take that back.
    await row.click();
    await page.getByTestId("force").click();
    await eventually(async () => assert.match(await row.innerText(), /forced[^]*because you insisted/));
    await show(page, "stack");
    await eventually(async () => assert.match(await page.getByTestId("frames").innerText(), /Glasswing/));
    await show(page, "symbols");
    await row.click();
    await page.getByTestId("unforce").click();
    await eventually(async () => assert.match(await row.innerText(), /mismatched/));
  });
});

test("symbols that come before the dump wait for it; a dump among dropped files is opened", async () => {
  await withPage(browser, site.url, "symbols-wait", async (page) => {
    await drop(page, symbols("right/glasswing.sys"));
    await page.getByTestId("symbols-waiting").getByText("glasswing.sys waits for a dump").waitFor();
    await pick(page, DUMP);
    await toast(page, /glasswing has names now/);
    assert.equal(await page.getByTestId("symbols-waiting").count(), 0);
    // Both at once.
    await pick(page, [symbols("right/glasswing.sys"), path.join(samples, "null-call.dmp")]);
    await page.getByTestId("verdict").getByText("null pointer").waitFor();
    await toast(page, /glasswing\.sys belongs to no module of this dump/);
  });
});

test("of a folder only what the dump wants is read", () =>
  on("symbols-folder", async (page) => {
    await show(page, "symbols");
    await page.getByTestId("symbols-folder-input").first().setInputFiles(symbols("store"));
    await toast(page, /^2 files were added: glasswing and Wdf01000 have names now\./);
    await eventually(async () => assert.equal(await page.getByTestId("symbol-results").locator("li").count(), 2));
    await page.getByTestId("symbols-folder-input").first().setInputFiles(symbols("wrong"));
    await toast(page, /^glasswing\.sys does not match: the image offered is another version.*\. glasswing keeps the names it has \(exported names of glasswing\.sys\)/);
    // What does not fit stays in sight beside what names the module.
    await show(page, "symbols");
    const row = page.getByTestId("symbols").locator(".row", { hasText: "glasswing" });
    await eventually(async () => assert.match(await row.innerText(), /exports[^]*exported names of glasswing\.sys; glasswing\.sys does not fit: the image offered is another version/));
    await row.click();
    await page.getByTestId("mismatch").getByText("glasswing.sys does not fit").waitFor();
    await show(page, "notes");
    await page.getByText(/glasswing: glasswing\.sys does not fit/).waitFor();
  }));

test("a file that is added twice is kept once", () =>
  on("symbols-twice", async (page) => {
    await show(page, "symbols");
    await add(page, symbols("right/glasswing.sys"));
    await toast(page, /^glasswing\.sys was added: glasswing has names now\./);
    await add(page, symbols("right/glasswing.sys"));
    await toast(page, /^glasswing\.sys was there already: the same file is kept once\./);
    await page.getByTestId("symbol-results").locator("summary").click();
    await page.getByTestId("symbol-results").getByText(/kept once glasswing\.sys: the same file was there already \(image, time stamp/).waitFor();
  }));

test("a dropped folder is searched as a store is", () =>
  on("symbols-drop-folder", async (page) => {
    const client = await page.context().newCDPSession(page);
    const data = { items: [], files: [symbols("store")], dragOperationsMask: 1 };
    for (const type of ["dragEnter", "dragOver", "drop"]) await client.send("Input.dispatchDragEvent", { type, x: 600, y: 400, data });
    await toast(page, /^2 files were added: (glasswing and Wdf01000|Wdf01000 and glasswing) have names now\./);
    await show(page, "symbols");
    await eventually(async () => assert.match(await page.getByTestId("symbols-overview").innerText(), /^2 of/));
  }));

test("a search of a large folder shows how far it is and can be cancelled", () =>
  on("symbols-walk", async (page) => {
    await page.evaluate(() => {
      // A folder without end, in which nothing is wanted.
      const handle = Object.create(FileSystemDirectoryHandle.prototype, { name: { value: "endless" }, kind: { value: "directory" } });
      handle.values = async function* () {
        for (let number = 0; ; number++) {
          await new Promise((wait) => setTimeout(wait));
          yield Object.create(FileSystemFileHandle.prototype, { name: { value: `x${number}.pdb` }, kind: { value: "file" } });
        }
      };
      window.showDirectoryPicker = async () => handle;
    });
    await show(page, "symbols");
    await page.getByTestId("add-folder").first().click();
    await eventually(async () => assert.match(await page.getByTestId("symbols-busy").innerText(), /Searching the folder: \d+ names seen/));
    await page.getByTestId("symbols-cancel").click();
    await eventually(async () => assert.equal(await page.getByTestId("symbols-busy").count(), 0));
  }));

test("a picked folder is remembered and searched again with one click", () =>
  on("symbols-remember", async (page) => {
    // The picker of folders cannot be driven: a folder of the site's own storage stands in, which is remembered alike.
    const stub = () => {
      window.showDirectoryPicker = async () => (await navigator.storage.getDirectory()).getDirectoryHandle("store");
    };
    const bytes = [...(await readFile(symbols("right/glasswing.sys")))];
    await page.evaluate(async (bytes) => {
      let folder = await (await navigator.storage.getDirectory()).getDirectoryHandle("store", { create: true });
      for (const name of ["gl", "GLASSWING.SYS", "d62801151C000"]) folder = await folder.getDirectoryHandle(name, { create: true });
      const stream = await (await folder.getFileHandle("glasswing.sys", { create: true })).createWritable();
      await stream.write(new Uint8Array(bytes));
      await stream.close();
    }, bytes);
    await page.evaluate(stub);
    await show(page, "symbols");
    await page.getByTestId("add-folder").first().click();
    await toast(page, /glasswing\.sys was added: glasswing has names now/);
    await page.reload();
    await pick(page, DUMP);
    await page.getByTestId("symbols-view").waitFor();
    await page.getByTestId("search-remembered").click();
    await toast(page, /glasswing\.sys was added/);
    await page.getByRole("button", { name: "Forget the folder" }).click();
    await eventually(async () => assert.equal(await page.getByTestId("search-remembered").count(), 0));
  }));

test("archives of symbols are looked into: dropped, picked, with a dump in them, with many members", async () => {
  const image = await readFile(symbols("right/glasswing.sys"));
  const packed = await file("symbols.zip", zip([
    { name: "store/glasswing.sys/KEY/glasswing.sys", content: image },
    { name: "readme.txt", content: Buffer.from("read me") },
  ]));
  const many = await file("many.zip", zip([
    ...Array.from({ length: 100 }, (_, index) => ({ name: `noise${index}.pdb`, content: Buffer.from("noise") })),
    { name: "deep/glasswing.sys", content: image },
  ]));
  const dump = await file("dump.zip", zip([{ name: "a.dmp", content: await readFile(path.join(samples, "null-call.dmp")) }]));
  const gzip = await file("glasswing.sys.gz", zlib.gzipSync(image));
  const twin = await file("glasswing.sy_", cabinet("glasswing.sys", image));
  const nested = await file("nested.zip", zip([{ name: "glasswing.sys/KEY/glasswing.sy_", content: cabinet("glasswing.sys", image) }]));
  for (const [name, archive] of [["zip", packed], ["many", many], ["gzip", gzip], ["cab", twin], ["nested", nested]]) {
    await on(`symbols-${name}`, async (page) => {
      await drop(page, archive);
      await toast(page, /^\S+ was added: glasswing has names now\./);
      await show(page, "stack");
      await eventually(async () => assert.match(await page.getByTestId("frames").innerText(), /Glasswing/));
    });
  }
  await on("symbols-dump-zip", async (page) => {
    await add(page, dump);
    await toast(page, /dump\.zip: no symbol file for this dump is in it/);
    await drop(page, dump);
    await page.getByTestId("verdict").getByText("null pointer").waitFor();
  });
});

test("scripts that fetch the files are downloaded", () =>
  on("symbols-scripts", async (page) => {
    await show(page, "symbols");
    for (const [id, name, pattern] of [
      ["script-powershell", "fetch-symbols.ps1", /Fetch 'glasswing\.sys\//],
      ["script-shell", "fetch-symbols.sh", /^#!\/bin\/sh[^]*fetch 'ntoskrnl\.exe\//],
      ["script-symchk", "symbols.man", /^glasswing\.sys,[0-9A-F]{8}1c000,1/],
    ]) {
      const [download] = await Promise.all([page.waitForEvent("download"), page.getByTestId(id).click()]);
      assert.equal(download.suggestedFilename(), name);
      assert.match(await readFile(await download.path(), "utf8"), pattern);
    }
  }));

test("files are kept if that is wished, added at the next visit, and forgotten with one click", () =>
  on("symbols-keep", async (page) => {
    await show(page, "symbols");
    await add(page, symbols("right/glasswing.sys"));
    await toast(page, /was added/);
    assert.deepEqual(await kept(page), [], "not without being asked");
    await page.getByTestId("keep-symbols").check();
    await page.getByTestId("kept").getByText(/1 file, 112\.0 KiB/).waitFor();
    await add(page, [symbols("right/glasswing.sys"), symbols("wrong/glasswing.sys")]);
    await toast(page, /^1 file was there already and kept once\. glasswing\.sys does not match: .* glasswing keeps the names it has/);
    await page.getByTestId("kept").getByText(/1 file, 112\.0 KiB/).waitFor();
    assert.deepEqual(await kept(page), ["glasswing.sys/D62801151c000/glasswing.sys"]);
    await page.reload();
    await pick(page, DUMP);
    await toast(page, /glasswing\.sys was added: glasswing has names now/);
    await eventually(async () => assert.match(await page.getByTestId("symbols-overview").innerText(), /^1 of/));
    await page.getByTestId("forget-kept").click();
    await toast(page, /were removed/);
    await eventually(async () => assert.equal(await page.getByTestId("kept").count(), 0));
    assert.deepEqual(await kept(page), []);
  }));

test("no room and no private storage are said plainly", async () => {
  await on("symbols-quota", async (page) => {
    await page.evaluate(() => {
      FileSystemWritableFileStream.prototype.write = async () => { throw new DOMException("full", "QuotaExceededError"); };
    });
    await show(page, "symbols");
    await page.getByTestId("keep-symbols").check();
    await add(page, symbols("right/glasswing.sys"));
    await eventually(async () => assert.match(await page.getByTestId("symbols-overview").innerText(), /^1 of/));
    await toast(page, /added but not kept: the browser gives this site no more room/);
    assert.deepEqual(await kept(page), []);
  });
  await withPage(browser, site.url, "symbols-no-storage", async (page) => {
    await page.addInitScript(() => {
      StorageManager.prototype.getDirectory = async () => { throw new DOMException("private window", "SecurityError"); };
    });
    await page.reload();
    await pick(page, DUMP);
    await show(page, "symbols");
    await page.getByTestId("keep-trouble").getByText(/refuses private storage here/).waitFor();
    assert.ok(await page.getByTestId("keep-symbols").isDisabled());
  });
});

test("a large archive of symbols shows how far it is and can be cancelled", async () => {
  const noise = Buffer.concat([Buffer.from("Microsoft C/C++ MSF 7.00\r\n\x1aDS\0\0\0", "latin1"), Buffer.alloc(600 << 20)]);
  const packed = await file("large.pdb.gz", zlib.gzipSync(noise, { level: 1 }));
  await on("symbols-cancel", async (page) => {
    await show(page, "symbols");
    await add(page, packed);
    await eventually(async () => assert.match(await page.getByTestId("symbols-busy").innerText(), /unpacking large\.pdb – [\d.]+ [KM]iB of [\d.]+ MiB/));
    await page.getByTestId("symbols-cancel").click();
    await eventually(async () => assert.equal(await page.getByTestId("symbols-busy").count(), 0));
    await add(page, symbols("right/glasswing.sys"));
    await toast(page, /glasswing has names now/);
  });
});

test("a real dump and its real image", (context) => {
  const dump = real(context, "kernel/triage_x64_0x1000007e_19041.dmp");
  const image = dump && real(context, "kernel/symbols/amdppm.sys/c9c030003b000/amdppm.sys");
  const store = image && path.resolve(path.dirname(image), "../..");
  return image && withPage(browser, site.url, "symbols-real", async (page) => {
    await pick(page, dump);
    await page.getByTestId("names-hint").getByText(/drop amdppm\.sys/).waitFor();
    await drop(page, image);
    await toast(page, /amdppm\.sys was added: amdppm has names now/);
    await show(page, "symbols");
    await page.getByTestId("symbols").locator(".row", { hasText: "amdppm" }).click();
    await page.getByTestId("need").getByText("amdppm.pdb/1C19FDDB27BB3399D9B45973EFEAFCF31/amdppm.pdb").waitFor();
    await page.getByTestId("symbols-folder-input").first().setInputFiles(store);
    await toast(page, /2 files were added: (amdppm and Wdf01000|Wdf01000 and amdppm) have names now\. 1 file was there already/);
    await eventually(async () => assert.match(await page.getByTestId("symbols").locator(".row", { hasText: "amdppm" }).innerText(), /loaded/));
    // What was added before the switch was turned is kept too.
    await page.getByTestId("keep-symbols").check();
    await eventually(async () => assert.ok((await kept(page)).includes("amdppm.pdb/1C19FDDB27BB3399D9B45973EFEAFCF31/amdppm.pdb")));
    assert.deepEqual((await page.getByTestId("symbols-overview").innerText()).slice(0, 5), "2 of ");
    // The next visit adds the image, learns from it which PDB it has, and adds that too.
    await page.reload();
    await pick(page, dump);
    await eventually(async () => assert.match(await page.getByTestId("symbols").locator(".row", { hasText: "amdppm" }).innerText(), /loaded/));
  });
});

test("symbols fit, wide and narrow, dark and light", async () => {
  const shots = process.env.DUMPLENS_SHOTS;
  if (shots) await mkdir(shots, { recursive: true });
  for (const colorScheme of ["dark", "light"]) {
    for (const width of [1440, 420]) {
      await on(
        `symbols-look-${colorScheme}-${width}`,
        async (page) => {
          const shot = async (name) => {
            const spill = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
            assert.ok(spill <= 0, `${name}: ${spill} pixels too wide at ${width}`);
            if (shots) await page.screenshot({ path: path.join(shots, `${name}-${colorScheme}-${width}.png`) });
          };
          await page.getByTestId("names-hint").waitFor();
          await shot("symbols-summary");
          await show(page, "stack");
          await page.getByTestId("names-hint").waitFor();
          await shot("symbols-stack");
          await show(page, "symbols");
          await page.getByTestId("need").waitFor();
          await shot("symbols-before");
          await page.getByTestId("keep-symbols").check();
          await add(page, [symbols("right/glasswing.sys"), symbols("wrong/glasswing.sys"), symbols(`store/noise1.pdb/${"1".padStart(32, "0")}1/noise1.pdb`)]);
          await toast(page, /glasswing/);
          await page.getByTestId("symbols").locator(".row", { hasText: "glasswing" }).click();
          await page.getByTestId("symbol-results").locator("summary").click();
          await page.getByTestId("kept").waitFor();
          assert.match(await page.getByTestId("symbol-results").innerText(), /Files offered: 3, of use: 1/);
          await shot("symbols-after");
          await show(page, "stack");
          await eventually(async () => assert.match(await page.getByTestId("frames").innerText(), /Glasswing/));
          await shot("symbols-stack-after");
        },
        { colorScheme, viewport: { width, height: 800 } },
      );
    }
  }
});
