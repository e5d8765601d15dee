// Stacks: of processors, trap frames, thread objects, addresses that experts know; arguments; all stacks of a machine with
// many threads; images that are added where a walk lacked them. All of it with a link that can be opened again.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { drop, eventually, launch, machines, pick, real, serve, withPage } from "./harness.mjs";
import { manyThreads } from "./threads.mjs";

let browser, site, folder;
before(async () => {
  browser = await launch();
  site = await serve();
  folder = await mkdtemp(path.join(tmpdir(), "dumplens-stacks-"));
});
after(async () => {
  await browser?.close();
  await site?.close();
  await rm(folder, { recursive: true, force: true });
});

/** Opens a dump on a fresh page, at a view. */
const on = (name, dump, hash, body, options) =>
  withPage(
    browser,
    site.url,
    name,
    async (page) => {
      await pick(page, dump);
      await page.getByTestId("summary").waitFor();
      await page.evaluate((hash) => { location.hash = hash; }, hash);
      await body(page);
    },
    options,
  );

const machine = (name) => path.join(machines, name);
const TRIAGE = "kernel/triage_x64_0x1000007e_19041.dmp";
const hash = (page) => page.evaluate(() => location.hash);
const text = (page, id, pattern) => eventually(async () => assert.match(await page.getByTestId(id).innerText(), pattern));
/** The texts of a column of the frames. */
const column = (page, number) => page.getByTestId("frames").locator(`tbody td:nth-child(${number})`).allInnerTexts();

/** Chooses what the choice offers under a text. */
async function choose(page, pattern) {
  const option = page.getByTestId("stack-of").locator("option").filter({ hasText: pattern });
  await option.first().waitFor({ state: "attached" });
  await page.getByTestId("stack-of").selectOption(await option.first().getAttribute("value"));
}

test("a processor is chosen; back, forward and reload keep it", () =>
  on("stack-processor", machine("kernel.dmp"), "#/stack", async (page) => {
    await text(page, "stack-title", /^Stack of the crash, in thread 8$/);
    await choose(page, /^CPU 1 – glasswing!/);
    await text(page, "stack-title", /^Stack of CPU 1, in thread 12$/);
    assert.equal(await hash(page), "#/stack/cpu-1");
    assert.match((await column(page, 4))[0], /^glasswing!glasswingEntry\+0xe4/);
    await page.goBack();
    await text(page, "stack-title", /the crash/);
    assert.equal(await page.getByTestId("stack-of").inputValue(), "", "the choice follows the address bar");
    await page.goForward();
    await text(page, "stack-title", /CPU 1/);
    await page.reload();
    await pick(page, machine("kernel.dmp"));
    await text(page, "stack-title", /^Stack of CPU 1, in thread 12$/);
    await eventually(async () => assert.equal(await page.getByTestId("stack-of").inputValue(), "cpu-1"));
  }));

test("the list of processors leads to what each ran", () =>
  on("stack-processors", machine("kernel.dmp"), "#/stack", async (page) => {
    const list = page.getByTestId("processors");
    await text(page, "processors", /2 processors[\s\S]*CPU 0\s+8\s+glasswing!\S+\s+CPU 1\s+12\s+glasswing!/);
    await list.getByRole("link", { name: "CPU 1" }).click();
    await text(page, "stack-title", /^Stack of CPU 1/);
    assert.equal(await list.locator("[aria-current]").innerText(), "CPU 1");
  }));

test("a thread is shown by its object, across the borders to user mode and to 32-bit code", () =>
  on("stack-borders", machine("kernel.dmp"), "#/threads", async (page) => {
    await page.getByTestId("threads-filter").fill("notepad");
    await page.getByTestId("threads").locator(".row").first().click();
    await text(page, "stack-title", /^Stack of thread 4820$/);
    assert.match(await hash(page), /^#\/stack\/thread-0x[0-9a-f]{16}$/);
    const borders = page.getByTestId("frames").locator("tr.border");
    assert.deepEqual(await borders.allInnerTexts(), ["User mode from here on", "32-bit code (WOW64) from here on"]);
    const rows = await page.getByTestId("frames").locator("tbody tr").allInnerTexts();
    const user = rows.findIndex((row) => row.startsWith("User mode"));
    assert.match(rows[user - 1], /nt!/, "the kernel's last frame stands above the border");
    assert.match(rows[user + 1], /ntdll!/, "and the program's first below");
    assert.ok(rows.every((row) => !/from here on;|; /.test(row)), "notes do not repeat the border");
  }));

test("trap frames and the header are offered where the dump has them", (context) => {
  const dump = real(context, TRIAGE);
  if (!dump) return;
  return on("stack-trap", dump, "#/stack", async (page) => {
    const groups = page.getByTestId("stack-of").locator("optgroup");
    await eventually(async () => assert.deepEqual(await groups.evaluateAll((all) => all.map((one) => one.label)), ["Saved registers", "Threads"]));
    await choose(page, /^trap frame at 0xffff850429891f90 – amdppm\+0x334c/);
    await text(page, "stack-title", /^Stack of trap frame at 0xffff850429891f90, in thread 264$/);
    assert.equal(await hash(page), "#/stack/trap-0xffff850429891f90");
    assert.equal((await column(page, 2))[0], "fffff8048b58334c");
    await choose(page, /^registers in the dump's header/);
    await text(page, "stack-title", /^Stack of registers in the dump's header/);
    assert.equal(await hash(page), "#/stack/header");
  });
});

test("experts walk from registers at an address; what is wrong there is said", (context) => {
  const dump = real(context, TRIAGE);
  if (!dump) return;
  return on("stack-address", dump, "#/stack", async (page) => {
    const toggle = page.getByTestId("at-address-toggle");
    await toggle.click();
    assert.equal(await toggle.getAttribute("aria-expanded"), "true");
    const address = page.getByTestId("at-address");
    await address.fill("over there");
    await address.press("Enter");
    await page.getByRole("alert").getByText("hexadecimal").waitFor();
    // The context record that the fourth parameter of the bug check names, as WinDbg prints addresses.
    await address.fill("ffff8504`29891720");
    await page.getByTestId("at-address-go").click();
    await text(page, "stack-title", /^Stack of context record at 0xffff850429891720, in thread 264$/);
    assert.equal((await column(page, 2))[0], "fffff8048b58334c");
    await page.getByTestId("at-address-kind").selectOption("trap");
    await address.fill("1000");
    await address.press("Enter");
    await text(page, "stack-trouble", /^No stack of trap frame at 0x1000: there is no trap frame at 0x1000: /);
    assert.equal(await address.inputValue(), "1000", "the form stays");
  });
});

test("arguments are a column with a caveat, and stay on from stack to stack", () =>
  on("stack-arguments", machine("kernel.dmp"), "#/stack", async (page) => {
    const button = page.getByTestId("arguments");
    assert.equal(await page.getByTestId("arguments-caveat").count(), 0);
    await button.click();
    await text(page, "arguments-caveat", /may have stored them.*not certain/);
    assert.equal(await button.getAttribute("aria-pressed"), "true");
    assert.match((await column(page, 5))[0], /^([0-9a-f]{16}\s*){4}$/);
    await choose(page, /^CPU 1/);
    await text(page, "stack-title", /CPU 1/);
    await text(page, "arguments-caveat", /not certain/);
    await button.click();
    await eventually(async () => assert.equal(await page.getByTestId("arguments-caveat").count(), 0));
    assert.deepEqual(await column(page, 5), []);
  }));

test("no arguments are promised where calls pass them in registers only", () =>
  on("stack-arm64", machine("arm64.dmp"), "#/stack", async (page) => {
    await page.getByTestId("frames").waitFor();
    assert.equal(await page.getByTestId("arguments").count(), 0);
  }));

test("all stacks: progress, cancel, the most common first, a filter, and the way to each thread", () =>
  withPage(browser, site.url, "stack-all", async (page) => {
    // A worker that rests between its steps: on a fast machine nobody could hit the button in time.
    const slow = `
      let clock = 0;
      Date.now = () => (clock += 1000);
      const post = MessagePort.prototype.postMessage;
      MessagePort.prototype.postMessage = function (message) { setTimeout(() => post.call(this, message), 20); };
    `;
    await page.route("**/worker.js", async (route) => {
      const response = await route.fetch();
      await route.fulfill({ response, body: slow + (await response.text()) });
    });
    await page.reload();
    await pick(page, machine("crowded.dmp"));
    await page.getByTestId("summary").waitFor();
    await page.getByTestId("tab-stack").click();
    await page.getByRole("link", { name: "All stacks" }).click();
    await eventually(async () => assert.match(await page.getByTestId("progress").innerText(), /walking stacks \d+ of 1211/), 60_000);
    await page.getByTestId("cancel").click();
    await page.getByTestId("trouble").getByText("cancelled").waitFor();
    assert.equal(await page.getByTestId("progress").count(), 0);
    await page.getByTestId("trouble").getByRole("button").click();
    await eventually(async () => assert.match(await page.getByTestId("stacks-count").innerText(), /^\d+ stacks of 1211 threads$/), 60_000);

    const groups = page.getByTestId("stack-groups").getByRole("button", { name: /thread/ });
    const sizes = (await groups.locator(".size").allInnerTexts()).map((text) => parseInt(text, 10));
    assert.equal(sizes.reduce((sum, size) => sum + size, 0), 1211, "every thread is in one group");
    assert.deepEqual(sizes, [...sizes].sort((a, b) => b - a), "largest first");
    assert.ok(sizes[0] > 1000, `${sizes}`);

    await groups.first().click();
    assert.equal(await groups.first().getAttribute("aria-expanded"), "true");
    const members = page.getByTestId("stack-members").getByRole("link");
    assert.equal(await members.count(), 100, "a long list of threads comes in pieces");
    await page.getByTestId("stack-members").getByRole("button", { name: "more" }).click();
    assert.equal(await members.count(), 200);

    await page.getByTestId("stacks-filter").fill("GLASSWING");
    await text(page, "stacks-count", /^2 of \d+ stacks, 2 of 1211 threads$/);
    await page.getByTestId("stacks-filter").fill("ntdll wow64");
    await text(page, "stacks-count", /^1 of \d+ stacks, 1 of 1211 threads$/);
    await groups.first().click();
    await members.first().click();
    await text(page, "stack-title", /^Stack of thread \d+$/);
    assert.match(await hash(page), /^#\/stack\/thread-0x[0-9a-f]{16}$/);
    assert.match(await page.getByTestId("frames").innerText(), /wow64!/);
    await page.goBack();
    await text(page, "stacks-count", /stacks of 1211 threads$/);
    assert.equal(await page.getByTestId("progress").count(), 0, "nothing is walked twice");
  }));

test("ten thousand threads at hundreds of places are shown in pieces", async () => {
  const many = path.join(folder, "places.dmp");
  await writeFile(many, manyThreads(10_000, 300));
  await on("stack-many", many, "#/stacks", async (page) => {
    await eventually(async () => assert.equal(await page.getByTestId("stacks-count").innerText(), "300 stacks of 10000 threads"), 60_000);
    const groups = page.getByTestId("stack-groups").locator(".brief");
    assert.equal(await groups.count(), 50);
    // 10 000 threads in turn at 300 places: a hundred places have one more.
    assert.match(await groups.first().innerText(), /^34 threads\s+a\+0x2000\s/);
    await page.getByTestId("more-stacks").click();
    assert.equal(await groups.count(), 100);
    const start = Date.now();
    await page.getByTestId("stacks-filter").fill("a+0x212b");
    await eventually(async () => assert.equal(await page.getByTestId("stacks-count").innerText(), "1 of 300 stacks, 33 of 10000 threads"));
    assert.ok(Date.now() - start < 2_000, "the filter answers while one types");
    await groups.first().click();
    await page.getByTestId("stack-members").getByRole("link", { name: "300", exact: true }).click();
    await text(page, "stack-title", /^Stack of thread 300$/);
    assert.equal(await hash(page), "#/stack/300");
  });
});

test("the warning about missing unwind data takes the image right there", (context) => {
  const dump = real(context, TRIAGE);
  const image = real(context, "kernel/symbols/amdppm.sys/c9c030003b000/amdppm.sys");
  if (!dump || !image) return;
  return on("stack-image", dump, "#/stack", async (page) => {
    await text(page, "stack", /Warning: no unwind data for amdppm\.sys, /);
    assert.equal((await column(page, 3))[1], "scan");
    await page.getByTestId("wanted-input").setInputFiles(image);
    await eventually(async () => assert.equal((await column(page, 3))[1], "unwind"));
    assert.match((await column(page, 4))[1], /^amdppm\+0x/);
    assert.doesNotMatch(await page.getByTestId("stack").innerText(), /no unwind data for amdppm\.sys/);
    assert.equal(await hash(page), "#/stack");
  });
});

test("an image that is dropped while all stacks are in sight has them walked anew, in place", (context) => {
  const dump = real(context, TRIAGE);
  const image = real(context, "kernel/symbols/amdppm.sys/c9c030003b000/amdppm.sys");
  if (!dump || !image) return;
  return on("stack-all-image", dump, "#/stacks", async (page) => {
    const groups = page.getByTestId("stack-groups");
    await page.getByTestId("stacks-filter").fill("amdppm");
    await groups.getByRole("button", { name: /1 thread/ }).click();
    assert.equal((await column(page, 3))[1], "scan");
    await drop(page, image);
    await eventually(async () => assert.equal((await column(page, 3))[1], "unwind"));
    assert.equal(await page.getByTestId("stacks-filter").inputValue(), "amdppm", "the filter stays, and what is open stays open");
  });
});

test("the stack view can be used with the keyboard alone", () =>
  on("stack-keyboard", machine("kernel.dmp"), "#/stack", async (page) => {
    await page.getByTestId("stack-of").locator("option", { hasText: "CPU 0" }).waitFor({ state: "attached" });
    await page.getByTestId("stack-of").focus();
    await page.keyboard.press("ArrowDown");
    await text(page, "stack-title", /^Stack of CPU 0/);
    await page.keyboard.press("ArrowDown");
    await text(page, "stack-title", /^Stack of CPU 1/);
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await page.getByTestId("arguments-caveat").waitFor();
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await page.getByTestId("at-address-form").waitFor();
    await page.getByRole("link", { name: "All stacks" }).focus();
    await page.keyboard.press("Enter");
    await page.getByTestId("stack-groups").waitFor();
    await page.getByTestId("stacks-filter").focus();
    await page.keyboard.type("glasswing");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await page.getByTestId("stack-members").waitFor();
  }));

test("stacks fit, wide and narrow, dark and light", async () => {
  for (const colorScheme of ["dark", "light"]) {
    for (const width of [1440, 380]) {
      const look = { colorScheme, viewport: { width, height: 800 } };
      await on(`stack-look-${colorScheme}-${width}`, machine("kernel.dmp"), "#/stack/4820", async (page) => {
        const spill = () => page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
        await page.getByTestId("frames").waitFor();
        await page.getByTestId("arguments").click();
        await page.getByTestId("at-address-toggle").click();
        await page.getByTestId("arguments-caveat").waitFor();
        assert.ok((await spill()) <= 0, `one stack at ${width}`);
        await page.getByRole("link", { name: "All stacks" }).click();
        await page.getByTestId("stack-groups").getByRole("button").first().click();
        await page.getByTestId("frames").waitFor();
        assert.ok((await spill()) <= 0, `all stacks at ${width}`);
      }, look);
    }
  }
});
