// Measures the page: node bench.mjs DUMP [DUMP…] prints one JSON line for each. Called by `cargo xtask bench`.
import { costs, hold, launch, median, serve } from "./harness.mjs";

const server = await serve();
const browser = await launch();
for (const file of process.argv.slice(2)) {
  const middle = await median(browser, server.url, "summary", async (page) => {
    await page.getByTestId("open-file").waitFor();
    // The clock starts at the drop event and stops when the verdict is in the document, both inside the page.
    await hold(page, file);
    const summary = await page.evaluate(() => new Promise((done) => {
      const transfer = new DataTransfer();
      transfer.items.add(document.getElementById("dropped").files[0]);
      const start = performance.now();
      const look = () => document.querySelector('[data-testid="verdict"]') ? done(performance.now() - start) : requestAnimationFrame(look);
      window.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
      look();
    }));
    const number = await costs(page);
    return { summary, memory: await number("engine-memory"), bytes: await number("file-bytes"), reads: await number("file-reads") };
  });
  console.log(JSON.stringify({ file, ...middle }));
}
await browser.close();
await server.close();
