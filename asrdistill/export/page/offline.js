// Service worker: the page works without a network once it was open. What the server has is preferred.
const SCRIPTS = ["app", "worker", "recogniser", "vocabulary", "capture"].map((name) => `${name}.js`);
const FILES = ["./", ...SCRIPTS, "style.css", "core.wasm", "model.bin"];

addEventListener("install", (event) => event.waitUntil(caches.open("page").then((cache) => cache.addAll(FILES))));

async function answer(request) {
  const cache = await caches.open("page");
  try {
    const found = await fetch(request);
    if (found.ok) await cache.put(request, found.clone());
    return found;
  } catch (error) {
    const kept = await cache.match(request, { ignoreSearch: true });
    if (!kept) throw error;
    return kept;
  }
}

addEventListener("fetch", (event) => {
  if (event.request.method === "GET") event.respondWith(answer(event.request));
});
