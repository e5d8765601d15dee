// Loads the page's WebAssembly module. Its file names stand on the script tag, because build tools name them.
// A file of its own, and not an inline script, so that the content security policy can forbid those.
const tag = document.querySelector("script[data-js]");
const at = (name) => new URL(name, document.baseURI);
const page = await import(at(tag.dataset.js));
await page.default({ module_or_path: at(tag.dataset.wasm) });
