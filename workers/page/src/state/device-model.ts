/** What the server has said of the model that runs on this device, for visits without a network. */
import type { ServedModel } from "../api/model.ts";

const storageKey = "spikingbrain.device-model";

export function rememberModel(model: ServedModel): void {
  try {
    localStorage.setItem(storageKey, JSON.stringify(model));
  } catch {
    // A full or forbidden storage: without a network there is then no model.
  }
}

/** Null where none was ever loaded here. */
export function recallModel(): ServedModel | null {
  try {
    return JSON.parse(localStorage.getItem(storageKey) ?? "null") as ServedModel | null;
  } catch {
    return null;
  }
}
