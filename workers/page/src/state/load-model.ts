import { fetchModels, type ServedModel } from "../api/model.ts";
import { FailureError, failureOf } from "../api/failure.ts";
import { recallModel } from "./device-model.ts";
import type { Store } from "./store.ts";

/** Asks the server which models it has and remembers them, or remembers why not. The one that answers now is returned. */
export async function loadModel(store: Store, signal: AbortSignal): Promise<ServedModel> {
  try {
    store.dispatch({ type: "models-loaded", models: await fetchModels(signal) });
    const { model } = store.get();
    if (model === null) throw new FailureError({ kind: "protocol" });
    return model;
  } catch (error) {
    const kept = store.get().preferences.onDevice ? recallModel() : null;
    if (kept !== null && ["offline", "network"].includes(failureOf(error)?.kind ?? "")) {
      // Without a server there is still the model on this device.
      store.dispatch({ type: "models-loaded", models: [kept] });
      return kept;
    }
    if (error instanceof FailureError) store.dispatch({ type: "model-failed", failure: error.failure });
    throw error;
  }
}

/** What can answer may have changed meanwhile; where the server can't be asked, it stays as it was known. */
export async function refreshModels(store: Store, signal: AbortSignal): Promise<void> {
  const models = await fetchModels(signal).catch(() => null);
  if (models !== null) store.dispatch({ type: "models-loaded", models });
}
