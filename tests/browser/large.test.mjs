// A PDB of more than a gigabyte: the page reads what it needs of it, and its memory stays small.
import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { after, before, test } from "node:test";
import path from "node:path";
import { costs, drop, eventually, launch, machines, pick, serve, withPage } from "./harness.mjs";

let browser, site;
before(async () => {
  browser = await launch();
  site = await serve();
});
after(async () => {
  await browser?.close();
  await site?.close();
});

test("a PDB of a gigabyte names the stack, and a few megabytes of it are read", () =>
  withPage(browser, site.url, "large-pdb", async (page) => {
    const pdb = path.join(machines, "symbols/ntkrnlmp.pdb");
    assert.ok(statSync(pdb).size > 2 ** 30);
    await pick(page, path.join(machines, "kernel.dmp"));
    await page.getByTestId("summary").waitFor();
    await page.getByTestId("tab-stack").click();
    await eventually(async () => assert.match(await page.getByTestId("frames").innerText(), /nt!IofCallDriver\+0x8/));
    await drop(page, pdb);
    // The function is in the last of 2 500 modules, and the name is not the export's.
    await eventually(async () => assert.match(await page.getByTestId("frames").innerText(), /nt!large::part2499::function4\+0x8/));
    await eventually(async () => assert.match(await page.getByTestId("toast").innerText(), /^ntkrnlmp\.pdb was added: nt has names now/));
    const number = await costs(page);
    const [read, memory] = [await number("symbol-bytes"), await number("engine-memory")];
    assert.ok(read > 1e6 && read < 8e6, `${read} bytes were read`);
    assert.ok(memory < 64 * 2 ** 20, `the engine has ${memory} bytes`);
  }));
