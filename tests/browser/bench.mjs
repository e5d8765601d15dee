// Measures the page: node bench.mjs DUMP [DUMP…] prints one JSON line for each. Called by `cargo xtask bench`.
import { costs, hold, launch, serve } from "./harness.mjs";

const server = await serve();
const browser = await launch();
for (const file of process.argv.slice(2)) {
  const rounds = [];
  for (let round = 0; round < 5; round++) {
    const context = await browser.newContext();
    const page = await context.newPage();
    await page.goto(server.url);
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
    rounds.push({ summary, memory: await number("engine-memory"), bytes: await number("file-bytes"), reads: await number("file-reads") });
    await context.close();
  }
  rounds.sort((a, b) => a.summary - b.summary);
  console.log(JSON.stringify({ file, ...rounds[2] }));
}
await browser.close();
await server.close();
