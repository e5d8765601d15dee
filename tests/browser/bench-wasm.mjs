// Times the engine as WebAssembly on the workloads of crates/bench: node bench-wasm.mjs MODULE.js DUMP prints a JSON line.
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import path from "node:path";

const [module, file] = process.argv.slice(2);
const { Bench } = createRequire(import.meta.url)(path.resolve(module));
const bench = new Bench(await readFile(file));
const result = {};
for (const workload of Bench.workloads()) {
  // The best of many rounds, as the native side takes it.
  const started = performance.now();
  let best = Infinity;
  for (let rounds = 0; rounds < 10 || performance.now() - started < 1500; rounds++) {
    const start = performance.now();
    bench.run(workload);
    best = Math.min(best, performance.now() - start);
  }
  result[workload] = best;
}
console.log(JSON.stringify(result));
