// Measures a large PDB in the page: node bench-pdb.mjs DUMP PDB prints one JSON line. Called by `cargo xtask bench`.
import { costs, hold, launch, median, serve } from "./harness.mjs";

const server = await serve();
const browser = await launch();
const [dump, pdb] = process.argv.slice(2);
const middle = await median(browser, server.url, "name", async (page) => {
  await page.getByTestId("file-input").setInputFiles(dump);
  await page.getByTestId("tab-stack").click();
  await page.getByTestId("frames").waitFor();
  await hold(page, pdb);
  // The clock starts at the drop event and stops when the function's name is in the document, both inside the page.
  const name = await page.evaluate(() => new Promise((done) => {
    const transfer = new DataTransfer();
    transfer.items.add(document.getElementById("dropped").files[0]);
    const start = performance.now();
    const look = () =>
      document.querySelector('[data-testid="frames"]').textContent.includes("nt!large::") ? done(performance.now() - start) : requestAnimationFrame(look);
    window.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
    look();
  }));
  const number = await costs(page);
  return { name, memory: await number("engine-memory"), bytes: await number("symbol-bytes"), reads: await number("symbol-reads") };
});
console.log(JSON.stringify(middle));
await browser.close();
await server.close();
