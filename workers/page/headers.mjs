/** Nothing is allowed but what the page is made of; there is no inline script or style, so none is allowed either. */
const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self' data:",
  "font-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "worker-src 'self'",
  // Text becomes markup in one place only, the sanitizer, and an address a script in two, `offline.ts` and `device/client.ts`: these are their policies.
  "trusted-types dompurify service-worker device-worker",
  "require-trusted-types-for 'script'",
];

/**
 * What the Worker with the engine may do, which has a policy of its own: compile WebAssembly, which the page itself may not, and read files of this
 * server. It has no document, and starts nothing but the threads that compute with it.
 */
const deviceWorkerPolicy = [
  "default-src 'none'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "connect-src 'self'",
  "worker-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  // For the address of those threads' script, in one place: `device/ranks/ranks.ts`.
  "trusted-types rank-worker",
];

/** What each of those threads may do: run the engine's code. */
const rankWorkerPolicy = [
  "default-src 'none'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
];

const permissions = ["camera", "geolocation", "microphone", "payment", "usb"].map((feature) => `${feature}=()`);

const everywhere = {
  "Content-Security-Policy": contentSecurityPolicy.join("; "),
  "X-Content-Type-Options": "nosniff",
  "Referrer-Policy": "no-referrer",
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Permissions-Policy": permissions.join(", "),
  // Links in an answer must not be looked up before they are clicked.
  "X-DNS-Prefetch-Control": "off",
};

/** File names carry a hash of their content. */
const assets = { "Cache-Control": "public, max-age=31536000, immutable" };

/** In the place of the page's policy, not beside it: two would both hold. */
const deviceWorker = inPlaceOf(deviceWorkerPolicy);
const rankWorker = inPlaceOf(rankWorkerPolicy);

/** Named by digest, too. The page keeps them itself (`device/kept-files.ts`). */
const weights = assets;

/** A browser asks for it on every visit, and must see a new one at once. */
const serviceWorker = { "Cache-Control": "no-cache" };

/** The `_headers` file of Cloudflare's static assets. */
export function pageHeaders() {
  return [
    section("/*", everywhere),
    section("/assets/*", assets),
    section("/assets/device-worker-*", deviceWorker),
    section("/assets/rank-worker-*", rankWorker),
    section("/weights/*", weights),
    section("/sw.js", serviceWorker),
  ].join("\n");
}

function inPlaceOf(policy) {
  return { "! Content-Security-Policy": null, "Content-Security-Policy": policy.join("; ") };
}

function section(path, headers) {
  const lines = Object.entries(headers).map(([name, value]) => (value === null ? `  ${name}\n` : `  ${name}: ${value}\n`));
  return `${path}\n${lines.join("")}`;
}
