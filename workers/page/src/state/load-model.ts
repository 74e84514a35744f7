import { FailureError } from "../api/failure.ts";
import { fetchModel } from "../api/model.ts";
import type { Store } from "./store.ts";

/** Asks the server which model it serves and remembers it, or remembers why not. */
export async function loadModel(store: Store, signal: AbortSignal) {
  try {
    const model = await fetchModel(signal);
    store.dispatch({ type: "model-loaded", model });
    return model;
  } catch (error) {
    if (error instanceof FailureError) store.dispatch({ type: "model-failed", failure: error.failure });
    throw error;
  }
}
