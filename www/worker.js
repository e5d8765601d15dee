// Starts the engine in a dedicated worker. A classic script, because every browser can start those as workers.
// Messages that come before the engine is ready wait here.
"use strict";
const early = [];
self.onmessage = (event) => early.push(event.data);
importScripts("./dumplens-worker.js");
wasm_bindgen({ module_or_path: "./dumplens-worker_bg.wasm" }).then(
  () => early.forEach((data) => self.onmessage(new MessageEvent("message", { data }))),
  (error) => self.postMessage({ Crashed: { message: `the engine could not be loaded: ${error}` } }),
);
