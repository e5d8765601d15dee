// Times the engine as WebAssembly on the workloads of crates/bench: node bench-wasm.mjs MODULE.js DUMP prints a JSON line.
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import path from "node:path";

const [module, file] = process.argv.slice(2);
const { Bench } = createRequire(import.meta.url)(path.resolve(module));
const bench = new Bench(await readFile(file));
const result = {};
for (const workload of Bench.workloads()) {
  bench.run(workload);
  const times = [];
  for (let round = 0; round < 9; round++) {
    const start = performance.now();
    bench.run(workload);
    times.push(performance.now() - start);
  }
  times.sort((a, b) => a - b);
  result[workload] = times[4];
}
console.log(JSON.stringify(result));
