// Kernel dumps with physical memory: processes as a tree, memory of a chosen space, translation, long lists. The dumps are
// written by the testkit (`make-browser-dumps`), which also says what stands where.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { eventually, launch, machines, pick, serve, withPage } from "./harness.mjs";

let browser, site, marks;
before(async () => {
  browser = await launch();
  site = await serve();
  marks = JSON.parse(await readFile(path.join(machines, "marks.json"), "utf8"));
});
after(async () => {
  await browser?.close();
  await site?.close();
});

/** Opens one of the machines on a fresh page. */
const on = (name, dump, body, options) =>
  withPage(
    browser,
    site.url,
    name,
    async (page) => {
      await pick(page, path.join(machines, dump));
      await page.getByTestId("summary").waitFor();
      await body(page, marks[dump]);
    },
    options,
  );

const names = async (page) => {
  const cells = await page.getByTestId("processes").locator(".row > div:first-child").allInnerTexts();
  return cells.map((name) => name.replace(/\s+current at the crash$/, ""));
};
const text = (page, id, pattern) => eventually(async () => assert.match(await page.getByTestId(id).innerText(), pattern));

/** Goes to an address of the space that is shown. */
async function to(page, address) {
  await page.getByTestId("memory-address").fill(address);
  await page.getByTestId("memory-address").press("Enter");
}

/** Bytes as the dump draws them, of a number in memory. */
const bytes = (number) => {
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, BigInt(number), true);
  return [...new Uint8Array(view.buffer)].map((byte) => byte.toString(16).padStart(2, "0"));
};

/** What the eight bytes from the target on look like, with the dash in the middle of a row. */
function drawn(number, address) {
  const hex = bytes(number);
  return hex.map((byte, index) => (index === 0 ? byte : (BigInt(address) + BigInt(index)) % 16n === 8n ? `-${byte}` : ` ${byte}`)).join("");
}

test("processes stand in the tree of who created whom; a sorted column flattens it", () =>
  on("tree", "kernel.dmp", async (page) => {
    assert.equal(await page.getByTestId("tab-processes").locator(".count").count(), 0, "not counted yet");
    await page.getByTestId("tab-processes").click();
    const tree = ["System", "smss.exe", "csrss.exe", "winlogon.exe", "explorer.exe", "notepad.exe"];
    await eventually(async () => assert.deepEqual(await names(page), tree));
    assert.equal(await page.getByTestId("tab-processes").locator(".count").innerText(), "6");
    const row = (name) => page.getByTestId("processes").locator(".row", { hasText: name });
    const level = (name) => row(name).getAttribute("aria-level");
    assert.deepEqual([await level("System"), await level("smss.exe"), await level("notepad.exe")], ["1", "2", "2"]);
    const left = (name) => row(name).getByText(name).evaluate((cell) => {
      const range = document.createRange();
      range.selectNodeContents([...cell.childNodes].filter((node) => node.nodeType === Node.TEXT_NODE && node.data)[0]);
      return range.getBoundingClientRect().left;
    });
    assert.ok((await left("notepad.exe")) > (await left("explorer.exe")) + 8, "children are indented");
    assert.match(await row("System").innerText(), /current at the crash/);
    assert.match(await row("explorer.exe").innerText(), /3120\s+3004\s+1\s+3\s+2026-03-14 09:52:00\s+ffffa50f/);

    await page.getByRole("columnheader", { name: "Name" }).getByRole("button").click();
    const sorted = ["csrss.exe", "explorer.exe", "notepad.exe", "smss.exe", "System", "winlogon.exe"];
    await eventually(async () => assert.deepEqual(await names(page), sorted));
    assert.equal(await level("notepad.exe"), null, "a flat list has no levels");
    const button = page.getByTestId("processes-tree");
    assert.equal(await button.getAttribute("aria-pressed"), "false");
    await button.click();
    await eventually(async () => assert.deepEqual(await names(page), tree));

    await page.getByTestId("processes-filter").fill("notepad");
    await eventually(async () => assert.deepEqual(await names(page), ["explorer.exe", "notepad.exe"]));
    assert.equal(await page.getByTestId("processes-count").innerText(), "1 of 6");
    assert.equal(await page.getByTestId("processes").locator(".row.dimmed").count(), 1, "its creator is dimmed");
  }));

test("a process shows its threads and leads to its memory, which is its own", () =>
  on("process", "kernel.dmp", async (page, marks) => {
    await page.getByTestId("tab-processes").click();
    await page.getByTestId("processes-filter").fill("note");
    await page.getByTestId("processes").getByText("notepad.exe").click();
    await text(page, "process", /notepad\.exe \(4816\)[\s\S]*Created by\s+explorer\.exe \(3120\)[\s\S]*4820\s+Waiting\s+UserRequest/);
    assert.equal(await page.getByTestId("processes-filter").inputValue(), "note", "choosing keeps the filter");
    await page.getByTestId("view-memory").click();
    await page.waitForFunction((object) => location.hash.startsWith(`#/memory/${object}/`), marks.notepad);
    await to(page, marks.user);
    const dump = page.getByTestId("hexdump");
    await dump.getByText(drawn(4816, marks.user)).waitFor();
    assert.equal(await page.getByTestId("space").inputValue(), marks.notepad);
    // The same address in another process is another page.
    await page.getByTestId("space").selectOption({ label: "explorer.exe (3120)" });
    await dump.getByText(drawn(3120, marks.user)).waitFor();
    assert.ok(page.url().endsWith(`/${marks.user}`), "the address stays");
  }));

test("a translation leads from the address to the physical page, which holds the same bytes", () =>
  on("translation", "kernel.dmp", async (page, marks) => {
    await page.evaluate(([object, user]) => { location.hash = `#/memory/${object}/${user}`; }, [marks.notepad, marks.user]);
    await page.getByTestId("hexdump").getByText(drawn(4816, marks.user)).waitFor();
    await text(page, "translation-steps", /PXE[\s\S]*PPE[\s\S]*PDE[\s\S]*PTE[\s\S]*V/);
    await text(page, "translation", /notepad\.exe \(4816\)/);
    const flags = page.getByTestId("translation-steps").locator("td.flags").last();
    assert.match(await flags.getAttribute("title"), /programs may use it, writable/);
    await page.getByText("What the letters mean").click();
    await page.getByText("dirty: was written to").waitFor();
    const offset = await page.getByTestId("file-offset").innerText();
    const file = await readFile(path.join(machines, "kernel.dmp"));
    assert.equal(file.readBigUInt64LE(Number(offset)), 4816n, "the file offset is true");
    await page.getByTestId("physical-link").click();
    await page.waitForFunction(() => location.hash.startsWith("#/memory/p/"));
    await page.getByTestId("hexdump").getByText(drawn(4816, marks.user)).waitFor();
    assert.equal(await page.getByTestId("space").inputValue(), "physical");
    await eventually(async () => assert.equal(await page.getByTestId("file-offset").innerText(), offset));
    assert.equal(await page.getByTestId("translation-steps").count(), 0, "a physical address has no way through tables");
  }));

test("what cannot be read says why", () =>
  on("reasons", "kernel.dmp", async (page, marks) => {
    await page.getByTestId("tab-memory").click();
    for (const [mark, reason] of [
      ["pagedOut", /page 0x4321 of paging file 1/],
      ["demandZero", /was never touched/],
      ["absent", /a page the dump does not hold/],
      ["unmapped", /is not mapped/],
      ["lostTable", /the page table at physical 0x[0-9a-f]+ that holds its PTE is not in the dump/],
    ]) {
      await to(page, marks[mark]);
      await text(page, "at-cursor", reason);
      await text(page, "outcome", reason);
      await eventually(async () => {
        const reasons = await page.getByTestId("hexdump").locator(".reason").allInnerTexts();
        assert.ok(reasons.some((text) => reason.test(text)), `${mark}: ${reasons}`);
      });
    }
    await to(page, marks.prototype);
    await text(page, "translation-steps", /prototype\s+PTE/);
    await text(page, "outcome", /shared/);
    await to(page, marks.large);
    await text(page, "translation", /2\.0 MiB/);
    await text(page, "translation-steps", /large page/);
  }));

test("space and address survive a reload; a link to another dump's process is explained", () =>
  on("reload", "kernel.dmp", async (page, marks) => {
    await page.evaluate(([object, user]) => { location.hash = `#/memory/${object}/${user}`; }, [marks.notepad, marks.user]);
    await page.getByTestId("hexdump").getByText(drawn(4816, marks.user)).waitFor();
    await page.reload();
    await page.getByTestId("landing").waitFor();
    await pick(page, path.join(machines, "kernel.dmp"));
    await page.getByTestId("hexdump").getByText(drawn(4816, marks.user)).waitFor();
    await eventually(async () => assert.equal(await page.getByTestId("space").inputValue(), marks.notepad));
    // The choice of the panel is remembered as well.
    await page.getByTestId("translation").waitFor();
    await page.getByTestId("translation-toggle").click();
    await page.reload();
    await pick(page, path.join(machines, "kernel.dmp"));
    await page.getByTestId("hexdump").getByText(drawn(4816, marks.user)).waitFor();
    assert.equal(await page.getByTestId("translation").count(), 0);
    await page.evaluate(() => { location.hash = "#/memory/0x1234/0x1000"; });
    await text(page, "memory-trouble", /no process object at 0x1234/);
    await page.getByTestId("memory-trouble").getByRole("link").click();
    await page.getByTestId("hexdump").waitFor();
  }));

test("captured memory is found in both directions, and the cursor is moved with keys", () =>
  on("seek", "kernel.dmp", async (page, marks) => {
    await page.evaluate(([object, user]) => { location.hash = `#/memory/${object}/${user}`; }, [marks.notepad, marks.user]);
    await page.getByTestId("hexdump").getByText(drawn(4816, marks.user)).waitFor();
    // From the program's memory over the hole of the address space to the kernel's, and back.
    const address = async () => BigInt((await page.evaluate(() => location.hash)).split("/").pop());
    const step = async (button) => {
      const before = await address();
      await page.getByTestId(button).click();
      await eventually(async () => assert.notEqual(await address(), before));
      return address();
    };
    let at = await address();
    for (let turn = 0; at < 1n << 63n; turn++) {
      assert.ok(turn < 20, "the kernel is reached");
      const next = await step("next-region");
      assert.ok(next > at, "forward is up");
      at = next;
    }
    for (let turn = 0; at > BigInt(marks.user); turn++) {
      assert.ok(turn < 20, "the program is reached again");
      const next = await step("previous-region");
      assert.ok(next < at, "backward is down");
      at = next;
    }
    await to(page, marks.user);
    const cursor = () => page.getByTestId("at-cursor").innerText();
    await eventually(async () => assert.match(await cursor(), /^00007ff612340000\s+=\s+00000000000012d0/));
    await page.getByTestId("hexdump").focus();
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("ArrowDown");
    await eventually(async () => assert.match(await cursor(), /^00007ff612340011/));
    await eventually(async () => assert.equal(await page.getByTestId("translated").innerText(), "00007ff612340011"));
    await page.getByTestId("hexdump").locator(".hexrow.target .bytes").click({ position: { x: 3, y: 8 } });
    await eventually(async () => assert.match(await cursor(), /^00007ff612340000/));
  }));

test("a search that takes long pauses, says how far it came, and goes on when asked", () =>
  withPage(browser, site.url, "pause", async (page) => {
    // An engine that finds nothing for a while: the page's own side of the worker answers for it.
    await page.addInitScript(() => {
      const post = Worker.prototype.postMessage;
      window.asked = 0;
      Worker.prototype.postMessage = function (message, ...rest) {
        const call = message?.body?.Call;
        if (!call?.request?.Regions) return post.call(this, message, ...rest);
        window.asked += 1;
        const start = `0x${(0x7ff000000000 + window.asked * 0x1000).toString(16)}`;
        const found = window.asked > 60 ? [{ start, length: "0x1000", kind: "read, write" }] : [];
        const reply = { Regions: { regions: found, next: start } };
        const data = { Reply: { id: call.id, reply } };
        setTimeout(() => this.dispatchEvent(new MessageEvent("message", { data })), 0);
      };
    });
    await page.reload();
    await page.getByTestId("sample-null-call.dmp").click();
    await page.getByTestId("summary").waitFor();
    await page.evaluate(() => { location.hash = "#/memory/0x10000"; });
    await page.getByTestId("next-region").click();
    await text(page, "seek-paused", /Nothing captured as far as\s+0x7ff0000[0-9a-f]+/);
    assert.equal(await page.evaluate(() => window.asked), 48, "a bounded number of requests");
    await page.getByTestId("seek-on").click();
    await page.waitForFunction(() => location.hash === "#/memory/0x7ff00003d000");
    assert.equal(await page.getByTestId("seek-paused").count(), 0);
  }));

test("the tree and the dump of memory can be used with the keyboard alone", () =>
  on("keys", "kernel.dmp", async (page, marks) => {
    await page.keyboard.press("Alt+7");
    const grid = page.getByTestId("processes").getByRole("treegrid");
    await grid.focus();
    await page.keyboard.press("End");
    await page.keyboard.press("Enter");
    await text(page, "process", /notepad\.exe \(4816\)/);
    assert.ok(page.url().endsWith(`#/processes/${marks.notepad}`));
    await page.getByTestId("view-memory").focus();
    await page.keyboard.press("Enter");
    await page.getByTestId("hexdump").focus();
    const cursor = () => page.getByTestId("at-cursor").innerText();
    const first = await cursor();
    for (const key of ["PageDown", "ArrowUp", "End"]) await page.keyboard.press(key);
    await eventually(async () => assert.notEqual(await cursor(), first));
    assert.ok(await page.getByTestId("hexdump").locator("mark").first().isVisible(), "the cursor stays in sight");
    // A step of the search leaves the focus on its button.
    await page.getByTestId("next-region").focus();
    const before = page.url();
    await page.keyboard.press("Enter");
    await eventually(async () => assert.notEqual(page.url(), before));
    assert.ok(await page.getByTestId("next-region").evaluate((button) => button === document.activeElement));
  }));

test("32-bit machines have 8-digit addresses", () =>
  on("narrow", "pae.dmp", async (page, marks) => {
    await page.getByTestId("tab-registers").click();
    assert.match(await page.getByTestId("registers").innerText(), /eip\s+[0-9a-f]{8}\s/);
    await page.getByTestId("tab-modules").click();
    await text(page, "modules", /nt\s+82600000\s/);
    await page.getByTestId("tab-processes").click();
    await text(page, "processes", new RegExp(`notepad\\.exe[\\s\\S]*${marks.notepad.slice(2)}\\s`));
    await page.evaluate(([object, user]) => { location.hash = `#/memory/${object}/${user}`; }, [marks.notepad, marks.user]);
    await page.getByTestId("hexdump").getByText(drawn(4816, marks.user)).waitFor();
    const addresses = await page.getByTestId("hexdump").locator(".address").allInnerTexts();
    assert.ok(addresses.every((address) => /^[0-9a-f]{8}$/.test(address)), addresses[0]);
    await text(page, "translation", /x86 PAE, 3 levels[\s\S]*PPE[\s\S]*PDE[\s\S]*PTE/);
  }));

test("ARM64 machines are translated as their processors do", () =>
  on("arm64", "arm64.dmp", async (page, marks) => {
    await page.evaluate(([object, user]) => { location.hash = `#/memory/${object}/${user}`; }, [marks.notepad, marks.user]);
    await page.getByTestId("hexdump").getByText(drawn(4816, marks.user)).waitFor();
    await text(page, "translation", /ARM64, 4 levels/);
  }));

test("a long list of threads shows how far it is, can be cancelled and read again", () =>
  withPage(browser, site.url, "crowded", async (page) => {
    // A worker that rests between its steps: on a fast machine nobody could hit the button in time.
    const slow = `
      let clock = 0;
      Date.now = () => (clock += 1000);
      const post = MessagePort.prototype.postMessage;
      MessagePort.prototype.postMessage = function (message) { setTimeout(() => post.call(this, message), 50); };
    `;
    await page.route("**/worker.js", async (route) => {
      const response = await route.fetch();
      await route.fulfill({ response, body: slow + (await response.text()) });
    });
    await page.reload();
    await pick(page, path.join(machines, "crowded.dmp"));
    await page.getByTestId("summary").waitFor();
    const badge = page.getByTestId("tab-threads").locator(".count");
    assert.equal(await badge.count(), 0, "not counted yet");
    await page.getByTestId("tab-threads").click();
    await text(page, "progress", /listing processes \d+ of 306/);
    await page.getByTestId("cancel").click();
    await page.getByTestId("trouble").getByText("cancelled").waitFor();
    assert.equal(await page.getByTestId("progress").count(), 0);
    await page.getByTestId("trouble").getByRole("button").click();
    await text(page, "progress", /listing threads \d+ of 306/);
    await page.getByTestId("cancel").click();
    await page.getByTestId("trouble").getByRole("button").click();
    await text(page, "threads-count", /1211 of 1211/);
    assert.equal(await badge.innerText(), "1211");
    assert.equal(await page.getByTestId("progress").count(), 0);
    assert.ok((await page.getByTestId("threads").locator(".row").count()) < 80, "the table is virtual");
    await page.getByTestId("threads-filter").fill("worker299.exe");
    await eventually(async () => assert.equal(await page.getByTestId("threads-count").innerText(), "4 of 1211"));
    await page.getByTestId("threads").locator(".row").first().click();
    await page.waitForFunction(() => /#\/stack\/thread-0x[0-9a-f]{16}$/.test(location.hash));
    await text(page, "stack-title", /^Stack of thread \d+$/);
  }));

test("dumps without physical memory have no spaces to choose from", () =>
  withPage(browser, site.url, "plain", async (page) => {
    await page.getByTestId("sample-driver-irql.dmp").click();
    await page.getByTestId("tab-memory").click();
    await page.getByTestId("hexdump").locator(".hexrow").first().waitFor();
    await page.waitForTimeout(300);
    for (const id of ["space", "translation", "translation-toggle"]) assert.equal(await page.getByTestId(id).count(), 0, id);
  }));

test("memory and processes fit, wide and narrow, dark and light", async () => {
  for (const colorScheme of ["dark", "light"]) {
    for (const width of [1440, 420]) {
      await on(
        `fit-${colorScheme}-${width}`,
        "kernel.dmp",
        async (page, marks) => {
          for (const hash of [`#/processes/${marks.notepad}`, `#/memory/${marks.pagedOut}`, `#/memory/${marks.prototype}`, "#/memory/p"]) {
            await page.evaluate((hash) => { location.hash = hash; }, hash);
            await page.getByTestId(hash.startsWith("#/memory") ? "outcome" : "process").waitFor();
            const spill = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
            assert.ok(spill <= 0, `${hash}: ${spill} pixels too wide at ${width}`);
          }
        },
        { colorScheme, viewport: { width, height: 800 } },
      );
    }
  }
});
