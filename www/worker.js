// Starts the engine in a dedicated worker. A classic script, because every browser can start those as workers.
"use strict";

// Messages that come before the engine is ready wait here.
const early = [];
self.onmessage = (event) => early.push(event.data);
importScripts("./dumplens-worker.js");
wasm_bindgen({ module_or_path: "./dumplens-worker_bg.wasm" }).then(
  () => {
    closeNetwork();
    early.forEach((data) => self.onmessage(new MessageEvent("message", { data })));
  },
  (error) => self.postMessage({ Crashed: { message: `the engine could not be loaded: ${error}` } }),
);

// The worker holds the dump, and a policy in the page's head does not bind the workers of that page. Once the engine is
// loaded nothing here needs the network, so the ways to it are removed.
function closeNetwork() {
  const ways = ["fetch", "importScripts", "XMLHttpRequest", "WebSocket", "WebSocketStream", "WebTransport", "EventSource", "Worker"];
  for (let scope = self; scope; scope = Object.getPrototypeOf(scope)) {
    for (const way of ways) {
      if (Object.hasOwn(scope, way)) {
        Object.defineProperty(scope, way, { value: undefined, writable: false, configurable: false });
      }
    }
  }
}
