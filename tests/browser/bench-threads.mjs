// Measures all stacks of a dump in the page: node bench-threads.mjs DUMP prints one JSON line. Called by `cargo xtask bench`.
import { costs, launch, median, pick, serve } from "./harness.mjs";

const server = await serve();
const browser = await launch();
const [dump] = process.argv.slice(2);
const middle = await median(browser, server.url, "stacks", async (page) => {
  await pick(page, dump);
  await page.getByTestId("summary").waitFor();
  await page.getByTestId("tab-stack").click();
  await page.getByTestId("frames").waitFor();
  await page.getByRole("link", { name: "All stacks" }).waitFor();
  // The clock starts at the click and stops when the list is in the document, both inside the page.
  const stacks = await page.evaluate(() => new Promise((done) => {
    const link = [...document.querySelectorAll("a")].find((link) => link.textContent.includes("All stacks"));
    const start = performance.now();
    const look = () => document.querySelector('[data-testid="stack-groups"]') ? done(performance.now() - start) : requestAnimationFrame(look);
    link.click();
    look();
  }));
  const number = await costs(page);
  return { stacks, memory: await number("engine-memory") };
});
console.log(JSON.stringify(middle));
await browser.close();
await server.close();
