/**
 * Serves the page itself where there is no network. The network comes first for the document, so that a new deployment is seen at once;
 * everything else that the page is made of has a name with its content's digest, and can't be stale. The API is never touched.
 */
declare const self: ServiceWorkerGlobalScope;
/** Written in by `build.mjs`: a digest of all below, and what a first visit loads. */
declare const pageVersion: string;
declare const pageShell: readonly string[];

const cachePrefix = "page-";
const cacheName = cachePrefix + pageVersion;
const documentPath = "/";
const assetsPath = "/assets/";
/** A network that answers later than this is as good as none. */
const patienceMs = 4_000;

self.addEventListener("install", (event) => {
  // Past the browser's own cache: what is kept is what is deployed. A new worker does not wait until every tab is closed.
  event.waitUntil(keep([documentPath, ...pageShell]).then(() => self.skipWaiting()));
});

self.addEventListener("activate", (event) => {
  event.waitUntil(dropOthers().then(() => self.clients.claim()));
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const { origin, pathname } = new URL(request.url);
  if (request.method !== "GET" || origin !== location.origin) return;
  if (request.mode === "navigate" && pathname === documentPath) event.respondWith(freshDocument(request));
  else if (pathname.startsWith(assetsPath)) event.respondWith(asset(request));
});

async function keep(paths: readonly string[]): Promise<void> {
  const cache = await caches.open(cacheName);
  await cache.addAll(paths.map((path) => new Request(path, { cache: "reload" })));
}

/** What a tab of the version before still asks for, its own server has no more, and it does without. */
async function dropOthers(): Promise<void> {
  const names = await caches.keys();
  await Promise.all(names.filter((name) => name.startsWith(cachePrefix) && name !== cacheName).map((name) => caches.delete(name)));
}

async function freshDocument(request: Request): Promise<Response> {
  const response = await fetch(request, { signal: AbortSignal.timeout(patienceMs) }).catch(() => null);
  if (response?.ok === true) return response;
  return (await caches.match(documentPath, { cacheName })) ?? response ?? Response.error();
}

/** Kept when first asked for, as the highlighter is. */
async function asset(request: Request): Promise<Response> {
  const cache = await caches.open(cacheName);
  const kept = await cache.match(request);
  if (kept !== undefined) return kept;
  const response = await fetch(request);
  if (response.ok) await cache.put(request, response.clone());
  return response;
}

export {};
