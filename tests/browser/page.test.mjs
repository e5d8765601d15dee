// The page as a visitor uses it. Each test starts on a fresh page and fails if the page talks to another origin, breaks its
// content security policy, or reports an error.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { mkdtemp, writeFile, truncate } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { drop, eventually, launch, pick, real, samples, serve, withPage } from "./harness.mjs";
import { manyThreads } from "./threads.mjs";

let browser, site, folder;
before(async () => {
  browser = await launch();
  site = await serve();
  folder = await mkdtemp(path.join(tmpdir(), "dumplens-"));
});
after(async () => {
  await browser?.close();
  await site?.close();
});

const on = (name, body, options) => withPage(browser, site.url, name, body, options);
const sample = (name) => path.join(samples, name);

async function file(name, bytes) {
  const target = path.join(folder, name);
  await writeFile(target, bytes);
  return target;
}

test("the page loads below a sub-path and says what it is for", () =>
  on("landing", async (page) => {
    assert.equal(await page.title(), "Dumplens");
    await page.getByText("never leaves this computer").waitFor();
    await page.getByTestId("sample-driver-irql.dmp").waitFor();
  }));

test("a click on a sample tells the driver's story", () =>
  on("sample-driver", async (page) => {
    await page.getByTestId("sample-driver-irql.dmp").click();
    assert.match(await page.getByTestId("verdict").innerText(), /glasswing\.sys crashed Windows by reading memory/);
    assert.match(await page.getByTestId("bugcheck").innerText(), /DRIVER_IRQL_NOT_LESS_OR_EQUAL[\s\S]*DISPATCH_LEVEL/);
    assert.match(await page.getByTestId("machine").innerText(), /Contoso Lantern 14/);
    assert.match(await page.getByTestId("blame").innerText(), /high confidence/);
  }));

test("a click on a sample tells the program's story", () =>
  on("sample-program", async (page) => {
    await page.getByTestId("sample-null-call.dmp").click();
    assert.match(await page.getByTestId("verdict").innerText(), /called a function through a null pointer/);
    await page.getByTestId("tab-threads").click();
    await page.getByTestId("threads").getByText("io-worker").click();
    await page.getByTestId("frames").waitFor();
    assert.match(page.url(), /#\/stack\/6424$/);
    await eventually(async () => assert.match(await page.getByTestId("frames").innerText(), /ntdll/));
  }));

test("a real dump that is dropped is read", (context) => {
  const dump = real(context, "kernel/triage_x64_0x1000007e_19041.dmp");
  if (!dump) return;
  return on("real", async (page) => {
    await drop(page, dump);
    assert.match(await page.getByTestId("verdict").innerText(), /amdppm\.sys/);
    assert.match(await page.getByTestId("bugcheck").innerText(), /1000007e[\s\S]*fffff8048b58334c/);
    await page.getByTestId("tab-stack").click();
    await page.getByTestId("stack").waitFor();
    await eventually(async () => assert.match(await page.getByTestId("frames").innerText(), /context[\s\S]*amdppm\+0x334c[\s\S]*scan[\s\S]*nt\+0x3fd0d8/));
    await page.getByTestId("tab-registers").click();
    assert.match(await page.getByTestId("registers").innerText(), /rip\s+fffff8048b58334c/);
  });
});

test("modules are filtered, sorted and counted; only rows in sight are in the document", (context) => {
  const dump = real(context, "kernel/training_116_0.dmp");
  if (!dump) return;
  return on("modules", async (page) => {
    await pick(page, dump);
    await page.getByTestId("tab-modules").click();
    const table = page.getByTestId("modules");
    await eventually(async () => assert.equal(await page.getByTestId("modules-count").innerText(), "194 of 194"));
    await eventually(async () => assert.ok((await table.locator(".row").count()) > 10));
    assert.ok((await table.locator(".row").count()) < 80, "the table is virtual");
    await page.getByTestId("modules-filter").fill("nvl");
    await page.waitForFunction(() => document.querySelector('[data-testid="modules-count"]').innerText.startsWith("1 of"));
    await eventually(async () => assert.match(await table.locator(".row").innerText(), /nvlddmkm/));
    await page.getByTestId("modules-filter").fill("");
    await table.getByRole("button", { name: "Name" }).click();
    const sorted = (how) =>
      eventually(async () => assert.equal(await table.getByRole("columnheader").first().getAttribute("aria-sort"), how));
    const first = () => table.locator(".row > div").first().innerText();
    await sorted("ascending");
    const lowest = await first();
    await table.getByRole("button", { name: "Name" }).click();
    await sorted("descending");
    await eventually(async () => assert.notEqual(await first(), lowest));
  });
});

test("memory is read as it is scrolled, and absent memory says why", () =>
  on("memory", async (page) => {
    await page.getByTestId("sample-driver-irql.dmp").click();
    await page.getByTestId("tab-memory").click();
    await page.getByTestId("memory-address").fill("fffff801`3a604a1c");
    await page.getByTestId("memory-address").press("Enter");
    const dump = page.getByTestId("hexdump");
    await dump.getByText("48 8b 40 10").waitFor();
    assert.match(page.url(), /#\/memory\/0xfffff8013a604a1c$/);
    await eventually(async () => assert.match(await dump.innerText(), /\?\? \?\?[\s\S]*not in the dump/));
    await dump.evaluate((element) => element.scrollBy(0, 20_000));
    await page.waitForFunction(() => !document.querySelector('[data-testid="hexdump"]').innerText.includes("…"));
    await page.getByTestId("previous-region").click();
    await page.waitForFunction(() => !location.hash.endsWith("3a604a1c"));
    await page.getByTestId("next-region").click();
    await page.waitForFunction(() => location.hash.startsWith("#/memory/0xfffff8013a60"));
    await page.getByTestId("memory-address").fill("not hex");
    await page.getByTestId("memory-address").press("Enter");
    await page.getByRole("alert").getByText("hexadecimal").waitFor();
  }));

test("parts of the file are shown field by field", () =>
  on("parts", async (page) => {
    await page.getByTestId("sample-driver-irql.dmp").click();
    await page.getByTestId("tab-parts").click();
    await page.getByTestId("parts").getByText("Dump header").click();
    await eventually(async () => assert.match(await page.getByTestId("part").innerText(), /BugCheckCode[\s\S]*0xd1/));
    await page.goBack();
    await page.getByTestId("parts").getByText("Triage header").waitFor();
  }));

test("a broken file gets a plain message and the next one still opens", () =>
  on("broken", async (page) => {
    await drop(page, await file("letter.dmp", "Dear support team,\nthe PC crashed.\n"));
    assert.match(await page.getByTestId("refused").innerText(), /letter\.dmp cannot be opened[\s\S]*text file/);
    await pick(page, await file("empty.dmp", ""));
    await page.getByTestId("refused").locator("p").getByText("empty").waitFor();
    await pick(page, await file("hostile.dmp", Buffer.concat([Buffer.from("MDMP"), Buffer.alloc(60, 0xff)])));
    await page.getByTestId("refused").locator("p").getByText("damaged").waitFor();
    await pick(page, sample("null-call.dmp"));
    await page.getByTestId("summary").waitFor();
  }));

test("a file that is cut off gives what is left and says so", async () => {
  const { readFile } = await import("node:fs/promises");
  const bytes = await readFile(sample("driver-irql.dmp"));
  const cut = await file("cut.dmp", bytes.subarray(0, bytes.length - 9_000));
  await on("cut", async (page) => {
    await pick(page, cut);
    await page.getByTestId("troubles").getByText("cut off").first().waitFor();
    assert.match(await page.getByTestId("bugcheck").innerText(), /d1/);
  });
});

test("a sparse file of 64 GiB is refused at once, without being read", async () => {
  const huge = await file("huge.dmp", "");
  await truncate(huge, 64 * 2 ** 30);
  await on("huge", async (page) => {
    await pick(page, huge);
    await page.getByTestId("refused").locator("p").getByText("only zeros").waitFor({ timeout: 5_000 });
  });
});

test("reading costs what is asked, not the file", (context) => {
  const dump = real(context, "kernel/training_9f.dmp");
  if (!dump) return;
  return on("costs", async (page) => {
    await pick(page, dump);
    await page.getByTestId("summary").waitFor();
    await page.getByTestId("tab-notes").click();
    const cost = page.getByTestId("statistics");
    const memory = Number(await cost.getAttribute("data-engine-memory"));
    assert.ok(memory > 0 && memory < 32 * 2 ** 20, `${memory} bytes of engine memory`);
    assert.ok(Number(await cost.getAttribute("data-file-bytes")) < 4_177_980, "less than the whole file was read");
  });
});

test("the view survives back, forward and reload of the page", () =>
  on("reload", async (page) => {
    await page.getByTestId("sample-null-call.dmp").click();
    await page.getByTestId("tab-modules").click();
    await page.getByTestId("modules").waitFor();
    await page.getByTestId("tab-threads").click();
    await page.getByTestId("threads").waitFor();
    await page.goBack();
    await page.getByTestId("modules").waitFor();
    await page.reload();
    // The browser forgets which file was open: the page says what it needs instead of showing an empty view.
    await page.getByTestId("landing").waitFor();
    await page.getByTestId("sample-null-call.dmp").click();
    await page.getByTestId("modules").waitFor();
  }));

test("the worker that holds the dump has no way to the network", () =>
  on("network", async (page) => {
    await page.getByTestId("sample-null-call.dmp").click();
    await page.getByTestId("summary").waitFor();
    const [worker] = page.workers();
    const ways = await worker.evaluate(() => [typeof fetch, typeof XMLHttpRequest, typeof WebSocket, typeof importScripts]);
    assert.deepEqual(ways, ["undefined", "undefined", "undefined", "undefined"]);
  }));

test("everything can be reached with the keyboard", () =>
  on("keyboard", async (page) => {
    await page.getByTestId("sample-null-call.dmp").focus();
    await page.keyboard.press("Enter");
    await page.getByTestId("summary").waitFor();
    await page.keyboard.press("Alt+4");
    await page.getByTestId("modules").waitFor();
    const grid = page.getByTestId("modules").getByRole("table");
    await grid.focus();
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
    await page.getByTestId("memory").waitFor();
    await page.getByTestId("tab-memory").focus();
    await page.keyboard.press("ArrowDown");
    await page.getByTestId("notes").waitFor();
  }));

test("the report is saved as JSON that says the same", () =>
  on("export", async (page) => {
    await page.getByTestId("sample-driver-irql.dmp").click();
    await page.getByTestId("summary").waitFor();
    const [download] = await Promise.all([page.waitForEvent("download"), page.getByTestId("save-json").click()]);
    assert.equal(download.suggestedFilename(), "driver-irql.dmp.json");
    const { readFile } = await import("node:fs/promises");
    const report = JSON.parse(await readFile(await download.path(), "utf8"));
    assert.equal(report.schema, "dumplens.report.v1");
    assert.equal(report.bugcheck.code, "0xd1");
    assert.equal(report.threads[0].frames.length, report.stack.frames.length);
  }));

test("long work shows how far it is and can be cancelled; the page stays usable", async () => {
  const many = await file("many.dmp", manyThreads(60_000));
  await on("cancel", async (page) => {
    await pick(page, many);
    await page.getByTestId("summary").waitFor();
    // A fast machine may be done before the button is hit: then it is asked again.
    await eventually(async () => {
      await page.getByTestId("save-json").click({ timeout: 5_000 });
      await page.getByTestId("cancel").click({ timeout: 5_000 });
      await page.getByTestId("toast").getByText("Cancelled").waitFor({ timeout: 5_000 });
    }, 60_000);
    await page.getByTestId("tab-threads").click();
    await page.getByTestId("threads-count").getByText("60000 of 60000").waitFor();
    assert.ok((await page.getByTestId("threads").locator(".row").count()) < 80, "the table is virtual");
    await page.getByTestId("tab-modules").click();
    await page.getByTestId("modules").getByText("a.exe").waitFor();
  });
});

test("an engine that dies is restarted with a clear message", () =>
  on("crash", async (page) => {
    // A worker that reports an internal error when it is asked for processes, as its panic hook would; the next one is well.
    let sick = true;
    await page.route("**/worker.js", async (route) => {
      const response = await route.fetch();
      const death = `;self.addEventListener("message", (event) => {
        if (event.data.body?.Call?.request === "Processes") self.postMessage({ Crashed: { message: "out of luck" } });
      });`;
      await route.fulfill({ response, body: (await response.text()) + (sick ? death : "") });
      sick = false;
    });
    await page.reload();
    await page.getByTestId("sample-null-call.dmp").click();
    await page.getByTestId("summary").waitFor();
    await page.getByTestId("tab-processes").click();
    await page.getByTestId("crashed").getByText("out of luck").waitFor();
    await page.getByTestId("open-again").click();
    await page.getByTestId("processes").getByText("lantern.exe").waitFor();
  }));

test("dark and light, wide and narrow, nothing spills over", async () => {
  for (const colorScheme of ["dark", "light"]) {
    for (const width of [1440, 390]) {
      await on(
        `look-${colorScheme}-${width}`,
        async (page) => {
          await page.getByTestId("sample-driver-irql.dmp").click();
          await page.getByTestId("summary").waitFor();
          const spill = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
          assert.ok(spill <= 0, `${spill} pixels too wide at ${width}`);
        },
        { colorScheme, viewport: { width, height: 800 } },
      );
    }
  }
});
