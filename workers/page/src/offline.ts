/** Must be served from the root, whose pages it serves. */
const serviceWorkerPath = "/sw.js";

interface TrustedTypes {
  createPolicy(name: string, rules: { createScriptURL: (url: string) => string }): { createScriptURL: (url: string) => string };
}

/** Has the page kept for visits without a network. A browser that does not take it goes without. */
export async function keepForOffline(): Promise<void> {
  if (!("serviceWorker" in navigator)) return;
  await navigator.serviceWorker.register(trustedPath(), { updateViaCache: "none" });
}

/** The page's policy takes script addresses from this function only, which knows one. */
function trustedPath(): string {
  const { trustedTypes } = globalThis as { readonly trustedTypes?: TrustedTypes };
  return (
    trustedTypes?.createPolicy("service-worker", { createScriptURL: () => serviceWorkerPath }).createScriptURL("") ?? serviceWorkerPath
  );
}
